"""Ollama's own clients, unchanged, against the real engine."""

import json
import os
import signal

import ollama
import pytest
from support import wait_until

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
SHORT = {"num_predict": 6, "temperature": 0}
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
# The first bytes of a picture: enough to be refused by a model that cannot see.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def client(shared):
    return ollama.Client(host=shared.url)


def test_python_chat_streams_and_does_not(client):
    whole = client.chat("smol", ASK, options=SHORT)
    assert whole.message.role == "assistant" and whole.message.content
    assert whole.done and whole.done_reason == "length" and whole.model == "smol"
    assert whole.eval_count == 6 and whole.prompt_eval_count > 6 and whole.total_duration > whole.eval_duration > 0
    pieces = list(client.chat("smol:latest", ASK, options=SHORT, stream=True))
    assert "".join(one.message.content for one in pieces) == whole.message.content
    assert [one.done for one in pieces] == [False] * (len(pieces) - 1) + [True]


def test_python_generate_continues_its_context(client):
    first = client.generate("smol", "Count: one, two,", options=SHORT)
    assert first.response and first.context and first.done_reason == "length"
    again = client.generate("smol", "Count: one, two,", options={**SHORT, "seed": 1}, stream=True)
    assert "".join(one.response for one in again) == first.response
    more = client.generate("smol", "And then?", context=first.context, options=SHORT)
    assert more.context[: len(first.context)] == first.context
    assert more.prompt_eval_count > first.prompt_eval_count


def test_python_raw_and_stop(client):
    options = {"num_predict": 12, "temperature": 0}
    raw = client.generate("smol", "One, two, three, four,", raw=True, options=options)
    assert raw.response and raw.context is None
    stopped = client.generate("smol", "One, two, three, four,", raw=True, options={**options, "stop": [","]})
    assert "," not in stopped.response and stopped.done_reason == "stop"


def test_python_formats(client):
    options = {"num_predict": 60, "temperature": 0}
    chat = client.chat("smol", [{"role": "user", "content": "A colour?"}], format=COLOUR, options=options)
    assert json.loads(chat.message.content)["colour"] in ("red", "blue")
    raw = client.generate("smol", "A colour:", raw=True, format=COLOUR, options=options)
    assert json.loads(raw.response)["colour"] in ("red", "blue")
    assert client.generate("smol", "Some JSON:", format="json", options=SHORT).response.lstrip().startswith(("{", "["))


def test_python_tools(client):
    def weather(city: str) -> str:
        """The weather in a city"""
        return city

    # A model this small calls nothing by itself: what it is shown of tools, calls and results must be taken.
    talk = [
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}]},
        {"role": "tool", "content": "sunny", "tool_name": "weather"},
    ]
    answer = client.chat("smol", talk, tools=[weather], options=SHORT)
    assert answer.message.content and answer.message.tool_calls is None


def test_python_logprobs(client):
    answer = client.chat("smol", ASK, logprobs=True, top_logprobs=2, options=SHORT)
    assert len(answer.logprobs) == 6 and all(len(one.top_logprobs) == 2 for one in answer.logprobs)
    assert "".join(one.token for one in answer.logprobs) == answer.message.content


def test_python_embeddings(client):
    answer = client.embed("minilm", ["a river", "a stone"])
    assert [len(one) for one in answer.embeddings] == [384, 384] and answer.prompt_eval_count > 4
    old = client.embeddings("minilm", "a river").embedding
    assert max(abs(x - y) for x, y in zip(old, answer.embeddings[0], strict=True)) < 1e-5
    assert len(client.embed("minilm", "a", dimensions=16).embeddings[0]) == 16
    long = "river stone " * 600
    assert len(client.embed("minilm", long).embeddings) == 1
    with pytest.raises(ollama.ResponseError, match="the input length exceeds the context length"):
        client.embed("minilm", long, truncate=False)


def test_python_a_chat_that_is_too_long_loses_its_beginning(client):
    turns = [{"role": ("user", "assistant")[i % 2], "content": "stone " * 60} for i in range(13)]
    answer = client.chat("smol", [{"role": "system", "content": "Be brief."}, *turns], options={"num_predict": 1})
    assert 200 < answer.prompt_eval_count < 512


def test_python_lists(client, real_models):
    listed = {one.model: one for one in client.list().models}
    assert {"smol:latest", "minilm:latest"} <= listed.keys()
    assert listed["smol:latest"].size == real_models["smol"].stat().st_size
    assert listed["smol:latest"].modified_at.year > 2000
    shown = client.show("smol")
    assert shown.details.family == "llama" and shown.modelinfo["llama.block_count"] == 30
    assert "completion" in shown.capabilities and client.show("minilm").capabilities == ["embedding"]


def test_python_loads_and_unloads(client):
    assert client.generate("smol").done_reason == "load"
    running = {one.model: one for one in client.ps().models}
    assert running["smol:latest"].context_length == 512 and running["smol:latest"].size > 50_000_000
    assert client.generate("smol", keep_alive=0).done_reason == "unload"
    assert "smol:latest" not in {one.model for one in client.ps().models}
    client.chat("smol", ASK, options={"num_predict": 1}, keep_alive=0)
    wait_until(lambda: "smol:latest" not in {one.model for one in client.ps().models}, 5, "the model's leaving")


def test_python_errors(client):
    for ask in (lambda: client.chat("nobody", ASK), lambda: client.generate("nobody", "x"), lambda: client.show("nobody"), lambda: client.embed("nobody", "x")):
        with pytest.raises(ollama.ResponseError, match="not found") as raised:
            ask()
        assert raised.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="does not support thinking") as raised:
        client.chat("smol", ASK, think=True)
    assert raised.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="does not support chat"):
        client.chat("minilm", ASK)
    with pytest.raises(ollama.ResponseError, match="does not support insert"):
        client.generate("smol", "x", suffix="y")
    with pytest.raises(ollama.ResponseError, match="image") as raised:
        client.chat("smol", [{"role": "user", "content": "x", "images": [PICTURE]}])
    assert raised.value.status_code == 400


def test_python_hears_of_an_engine_that_dies_in_mid_stream(doomed):
    client = ollama.Client(host=doomed.url)
    stream = client.generate("smol", "1, 2, 3, 4, 5, 6, 7,", raw=True, options={"num_predict": 400, "temperature": 0}, stream=True)
    with pytest.raises(ollama.ResponseError, match="signal 9"):
        for count, _ in enumerate(stream):
            if count == 2:
                os.kill(doomed.pid_of("smol"), signal.SIGKILL)
    assert client.generate("smol", "x", options={"num_predict": 1}).done


def test_javascript_client(shared, javascript):
    javascript("ollama_client.mjs", shared.url, package="ollama")
