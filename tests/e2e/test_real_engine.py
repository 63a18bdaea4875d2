"""The real engine with the three default models."""

import contextlib
import json
import math
import os
import pty
import random
import select
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import support
from support import DROVER, SHARED, MemorySampler, subprocess, wait_until

NAMES = ("smol", "gemma", "minilm")


@pytest.fixture
def server(start, real_models):
    models = {name: {"file": str(file)} for name, file in real_models.items()}
    return start({"models": models, "defaults": {"context": 1024}})


def test_chat_and_streaming(server):
    answer = server.chat("smol", temperature=0).json()
    streamed = ""
    with server.stream("smol", temperature=0, max_tokens=4) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    streamed += choice["delta"].get("content") or ""
    assert streamed == answer["choices"][0]["message"]["content"] != ""
    assert answer["usage"]["completion_tokens"] == 4


def test_completion_stop_seed_and_logprobs(server):
    body = {"model": "smol", "prompt": "One, two, three, four,", "max_tokens": 12, "seed": 7, "temperature": 0.8}
    texts = {server.post("/v1/completions", body).json()["choices"][0]["text"] for _ in range(2)}
    assert len(texts) == 1
    stopped = server.post("/v1/completions", {**body, "temperature": 0, "stop": [","]}).json()["choices"][0]
    assert "," not in stopped["text"] and stopped["finish_reason"] == "stop"
    answer = server.chat("smol", logprobs=True, top_logprobs=2).json()
    assert len(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2


def test_json_schema_and_tools(server):
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema, "strict": True}}
    content = server.chat("smol", response_format=form, max_tokens=40).json()["choices"][0]["message"]["content"]
    assert json.loads(content)["colour"] in ("red", "blue")
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 10}}, "required": ["city"]}}}
    begun = [{"role": "user", "content": "What is the weather in Paris?"}, {"role": "assistant", "content": "<tool_call>\n"}]
    answer = server.chat("smol", messages=begun, tools=[tool], tool_choice="required", temperature=0, max_tokens=60)
    message = answer.json()["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "weather"


def test_embeddings_agree_with_the_reference(server):
    reference = SHARED / "data" / "embeddings" / "minilm_reference.jsonl"
    if not reference.exists():
        pytest.skip(f"the reference embeddings are not there ({reference})")
    rows = [json.loads(line) for line in reference.read_text().splitlines()]
    answer = server.post("/v1/embeddings", {"model": "minilm", "input": [row["text"] for row in rows]}).json()
    for row, got in zip(rows, answer["data"], strict=True):
        dot = sum(a * b for a, b in zip(row["embedding"], got["embedding"], strict=True))
        norm = math.sqrt(sum(a * a for a in row["embedding"]) * sum(b * b for b in got["embedding"]))
        assert dot / norm >= 0.998, row["text"]
    assert answer["usage"]["prompt_tokens"] == sum(row["tokens"] for row in rows)


def test_the_engines_other_endpoints(server):
    assert server.post("/tokenize", {"model": "smol", "content": "hello"}).json()["tokens"]
    message = {"model": "smol", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
    assert server.post("/v1/messages", message).json()["type"] == "message"
    assert server.post("/v1/messages/count_tokens", message).json()["input_tokens"] > 0
    assert server.post("/v1/responses", {"model": "smol", "input": "Hi", "max_output_tokens": 4}).json()["output"]
    error = server.post("/v1/messages", {**message, "model": "nobody"})
    assert error.status_code == 404 and error.json()["type"] == "error"


def test_tools_reach_a_model_whose_template_has_none(server):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": "Paris"})}}
    asked = {"role": "user", "content": "What is the weather in Paris?"}
    for model in ("smol", "gemma"):  # a template without tools, and no template at all
        body = {"model": model, "messages": [asked], "tools": [tool]}
        assert '"name": "weather"' in server.post("/apply-template", body).json()["prompt"]
        body["messages"] += [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "snow"}]
        prompt = server.post("/apply-template", body).json()["prompt"]
        assert '{"name": "weather", "arguments": {"city": "Paris"}}' in prompt and "snow" in prompt
    plain = server.post("/apply-template", {"model": "smol", "messages": [asked]}).json()["prompt"]
    assert "<tools>" not in plain and plain.endswith("What is the weather in Paris?<|im_end|>\n<|im_start|>assistant\n")


def test_models_that_are_found_need_no_configuration(start, real_models):
    server = start({"models_dir": str(support.MODELS)})
    listed = {one["id"] for one in server.get("/v1/models").json()["data"]}
    assert {"smollm2-135m-instruct", "all-minilm-l6-v2"} <= listed
    assert server.chat("smollm2-135m-instruct").status_code == 200


def test_a_broken_file_is_listed_as_broken(start, real_models, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "half.gguf").write_bytes(support.SMOL.read_bytes()[:5_000_000])
    server = start({"models_dir": str(folder)})
    assert "half" in server.run("list").stdout
    answer = server.chat("half")
    assert answer.status_code >= 400 and "half" in answer.json()["error"]["message"]


def one_request(url: str, model: str, rng: random.Random) -> int:
    words = " ".join(rng.choice(["river", "stone", "cloud", "seven", "green", "walks"]) for _ in range(rng.randint(5, 20)))
    with httpx.Client(base_url=url, timeout=300, trust_env=False) as client:
        if model == "minilm":
            return client.post("/v1/embeddings", json={"model": model, "input": words}).status_code
        body = {"model": model, "max_tokens": rng.randint(1, 6), "messages": [{"role": "user", "content": words}]}
        return client.post("/v1/chat/completions", json=body).status_code


@pytest.mark.timeout(420)
def test_300_requests_over_three_models_with_room_for_two(start, real_models):
    """All succeed, memory never passes the budget, and no engine is left over."""
    settings = {"defaults": {"context": 1024}, "models": {name: {"file": str(file)} for name, file in real_models.items()}}
    probe = start(settings)
    estimates = sorted(one["estimated_bytes"] for one in probe.get("/admin/models").json()["models"] if one["name"] in NAMES)
    probe.stop()
    budget = estimates[1] + estimates[2] + (48 << 20)  # the two largest, and the server itself
    assert budget < sum(estimates)
    server = start({**settings, "memory": {"budget": str(budget)}})
    rng = random.Random(1)
    jobs = [(rng.choice(NAMES), random.Random(i)) for i in range(300)]
    with MemorySampler(server) as memory, ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda job: one_request(server.url, *job), jobs))
    assert statuses.count(200) == 300, statuses
    assert memory.samples > 20
    assert memory.peak <= budget, f"{memory.peak / 2**20:.1f} MiB of {budget / 2**20:.1f} MiB"
    assert server.stop() == 0


def test_run_chats_on_a_terminal(server):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [DROVER, "--host", server.url, "run", "smol"], stdin=theirs, stdout=theirs, stderr=theirs, env={**server.environment, "TERM": "dumb"}
    )
    os.close(theirs)
    shown = b""

    def see(text: bytes) -> bool:
        nonlocal shown
        if select.select([ours], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):  # the other end is closed
                shown += os.read(ours, 65536)
        return text in shown

    wait_until(lambda: see(b">>>"), 10, "the prompt")
    shown = b""
    os.write(ours, b"Say one word.\n")
    wait_until(lambda: see(b">>>") and len(shown) > 30, 60, "an answer and the next prompt")
    os.write(ours, b"/bye\n")
    wait_until(lambda: see(b"never") or process.poll() is not None, 10, "the end")
    assert process.returncode == 0
    os.close(ours)
