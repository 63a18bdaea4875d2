"""OpenAI's own clients, unchanged, against the real engine."""

import json
import os
import shutil
import signal
from pathlib import Path

import openai
import pytest
from support import subprocess

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 10}}, "required": ["city"]},
    },
}
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
# The smallest of models may talk for long before it calls: it is helped to begin.
CALL = [*ASK, {"role": "assistant", "content": "<tool_call>\n"}]


@pytest.fixture
def server(start, real_models):
    models = {name: {"file": str(file)} for name, file in real_models.items()}
    return start({"models": models, "defaults": {"context": 1024}})


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as one:
        yield one


def test_python_chat_and_streaming(client):
    answer = client.chat.completions.create(model="smol", messages=ASK, max_tokens=6)
    assert answer.choices[0].message.content and answer.model == "smol"
    pieces = [c.choices[0].delta.content or "" for c in client.chat.completions.create(model="smol", messages=ASK, max_tokens=6, stream=True) if c.choices]
    assert "".join(pieces)
    assert client.completions.create(model="smol", prompt="One, two,", max_tokens=3).choices[0].text


def test_python_embeddings(client):
    floats = client.embeddings.create(model="minilm", input=["a", "b"], encoding_format="float").data
    base64 = client.embeddings.create(model="minilm", input=["a", "b"]).data
    assert len(floats) == 2 and len(floats[0].embedding) == 384
    assert max(abs(x - y) for x, y in zip(floats[0].embedding, base64[0].embedding, strict=True)) < 1e-6


def test_python_tools(client):
    answer = client.chat.completions.create(model="smol", messages=CALL, tools=[TOOL], tool_choice="required", temperature=0, max_tokens=60)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "weather" and json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "snow"}
    turn = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}, result]
    answer = client.chat.completions.create(model="smol", messages=turn, tools=[TOOL], temperature=0, max_tokens=20)
    assert answer.choices[0].message.content


def test_python_models(client):
    assert {"smol", "minilm"} <= {one.id for one in client.models.list()}
    assert client.models.retrieve("smol").id == "smol"


def test_python_errors(client):
    with pytest.raises(openai.NotFoundError, match="smol"):
        client.chat.completions.create(model="smoll", messages=ASK)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="smol", messages="nonsense")


def test_python_hears_of_an_engine_that_dies_in_mid_stream(client, server):
    stream = client.chat.completions.create(model="smol", messages=ASK, max_tokens=1000, stream=True, extra_body={"ignore_eos": True})
    with pytest.raises(openai.APIError, match="signal 9"):
        for count, _ in enumerate(stream):
            if count == 2:
                os.kill(server.pid_of("smol"), signal.SIGKILL)
    assert client.chat.completions.create(model="smol", messages=ASK, max_tokens=2).choices


def test_javascript_client(server, tmp_path):
    modules = Path(os.environ.get("DROVER_NODE_MODULES", "/nonexistent"))
    if not modules.exists() or shutil.which("node") is None:
        pytest.skip("the JavaScript client is not there; run scripts/test")
    script = tmp_path / "client.mjs"
    shutil.copyfile(Path(__file__).with_name("openai_client.mjs"), script)
    (tmp_path / "node_modules").symlink_to(modules)
    ran = subprocess.run(["node", str(script), f"{server.url}/v1"], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "all fine" in ran.stdout
