"""vLLM itself, on the processor, behind Drover. A run of its own: scripts/test vllm."""

import json
import math
import os
import signal
from pathlib import Path

import httpx
import pytest
from support import Drover, is_alive, statuses_at_once, tree_of, wait_until
from vllm_folder import real_models

VLLM = Path(os.environ.get("DROVER_VLLM", "/nonexistent"))

# Two processes that import PyTorch: a busy machine with two cores needs minutes.
TIMEOUT_S = 1800

pytestmark = [
    pytest.mark.skipif(not VLLM.exists(), reason="DROVER_VLLM is not set; run scripts/test vllm"),
    pytest.mark.timeout(2 * TIMEOUT_S),
]


@pytest.fixture(scope="module")
def folders():
    return real_models(VLLM, TIMEOUT_S)


@pytest.fixture(scope="module")
def server(folders, tmp_path_factory):
    entry = {"engine": "vllm", "venv": str(VLLM), "extra_args": ["--enforce-eager"], "keep_alive": -1}
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    config = {
        "engine": {"load_timeout": "30m", "health_timeout": "5m"},
        "limits": {"queue_timeout": "30m"},
        "memory": {"budget": "12GiB"},
        "models": {
            "smol": {
                **entry,
                "file": str(folders / "smol"),
                "context": 512,
                "parallel": 16,
                "aliases": ["chat"],
                "extra_args": [*entry["extra_args"], *tools],
            },
            "minilm": {**entry, "file": str(folders / "minilm")},
        },
    }
    drover = Drover(tmp_path_factory.mktemp("server"), config, "/nonexistent/llama-server")
    drover.client.timeout = httpx.Timeout(TIMEOUT_S)
    yield drover
    if drover.process.poll() is None:
        drover.stop()


def test_chat_streaming_and_completions(server):
    answer = server.chat("chat").json()
    assert answer["choices"][0]["message"]["content"], answer
    with server.stream("smol", max_tokens=8) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]" and len(lines) > 4
    completion = server.post("/v1/completions", {"model": "smol", "prompt": "Once", "max_tokens": 4}).json()
    assert completion["usage"]["completion_tokens"] == 4


HELLO = [{"role": "user", "content": "Hello"}]


def test_ollamas_requests(server):
    options = {"num_predict": 4, "repeat_penalty": 1.1, "temperature": 0}
    chat = {"model": "smol", "messages": HELLO, "options": options}
    whole = server.post("/api/chat", {**chat, "stream": False, "logprobs": True}).json()
    assert whole["eval_count"] == 4 and whole["done_reason"] == "length" and len(whole["logprobs"]) == 4, whole
    streamed = [json.loads(line) for line in server.post("/api/chat", chat).text.splitlines()]
    assert "".join(one["message"]["content"] for one in streamed) == whole["message"]["content"]
    raw = {"model": "smol", "prompt": "Once", "raw": True, "stream": False, "options": {"num_predict": 20}, "logprobs": True}
    answer = server.post("/api/generate", raw).json()
    assert answer["eval_count"] == 20 and len(answer["logprobs"]) == 20, answer
    forced = server.post("/api/chat", {**chat, "stream": False, "format": {"const": {"n": 1}}, "options": {}}).json()
    assert json.loads(forced["message"]["content"]) == {"n": 1}, forced


def test_a_generation_goes_on_from_the_context_of_the_last(server):
    def generate(prompt, **more):
        options = {"num_predict": 4, "temperature": 0}
        answer = server.post("/api/generate", {"model": "smol", "prompt": prompt, "stream": False, "options": options, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = generate("Say hello.")
    second = generate("And again.", context=first["context"])
    assert second["context"][: len(first["context"])] == first["context"]
    assert second["prompt_eval_count"] > len(first["context"])
    assert "Say hello." in generate("Say hello.", _debug_render_only=True)["_debug_info"]["rendered_template"]


def test_anthropics_messages_and_openais_responses(server):
    question = {"model": "smol", "messages": HELLO, "max_tokens": 8}
    assert server.post("/v1/messages", question).json()["content"][0]["text"]
    events = server.post("/v1/messages", {**question, "stream": True}).text
    assert "message_start" in events and "message_stop" in events
    assert server.post("/v1/messages/count_tokens", {"model": "smol", "messages": HELLO}).json()["input_tokens"] > 0
    response = server.post("/v1/responses", {"model": "smol", "input": "Hello", "max_output_tokens": 8}).json()
    assert response["output"][-1]["content"][0]["text"], response
    asked = {"model": "smol", "input": "Hello", "max_output_tokens": 8, "stream": True}
    assert "response.completed" in server.post("/v1/responses", asked).text


def test_tools(server):
    clock = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
    answer = server.chat("smol", tools=[clock], tool_choice="required", max_tokens=64).json()
    (call, *_) = answer["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "clock", answer
    assert server.chat("smol", tools=[clock]).status_code == 200  # it may or may not call it
    assert "tools" in server.post("/api/show", {"model": "smol"}).json()["capabilities"]


def test_a_prompt_that_is_too_long_is_told_in_the_clients_words(server):
    answer = server.post("/v1/chat/completions", {"model": "smol", "messages": [{"role": "user", "content": "word " * 2000}]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded", answer.text


def test_a_schema_and_log_probabilities(server):
    number = {"type": "integer", "minimum": 0, "maximum": 9}
    schema = {"type": "object", "properties": {"n": number}, "required": ["n"], "additionalProperties": False}
    format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = server.chat("smol", response_format=format_, logprobs=True, max_tokens=64, temperature=0).json()
    assert answer["choices"][0]["logprobs"]["content"], answer
    assert answer["choices"][0]["message"]["content"].lstrip().startswith("{")


def test_many_at_once_lose_nothing(server):
    assert statuses_at_once(server, 32, 64, TIMEOUT_S, model="smol", max_tokens=4) == {200}


def test_it_is_measured_with_its_workers(server):
    server.chat("smol")
    tree = tree_of(server, "smol")
    assert len(tree) >= 3
    assert server.instances()["smol"]["bytes"] > 1 << 30


def test_nobody_reaches_it_without_the_key(server):
    server.chat("smol")
    engine = next(p for p in tree_of(server, "smol")[1:] if "--uds" in p.cmdline())
    words = engine.cmdline()
    socket = httpx.HTTPTransport(uds=words[words.index("--uds") + 1])
    with httpx.Client(transport=socket, base_url="http://engine") as direct:
        assert direct.get("/v1/models").status_code == 401
    listening = [c for p in tree_of(server, "smol") for c in p.net_connections("inet") if c.status == "LISTEN"]
    assert all(c.laddr.ip in ("127.0.0.1", "::1") for c in listening), listening
    assert engine.environ()["VLLM_API_KEY"] not in " ".join(words)


def test_a_killed_worker_is_survived(server):
    server.chat("smol")
    tree = tree_of(server, "smol")
    os.kill(tree[-1].pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(p) for p in tree), 120, "the end of the whole tree")
    assert server.chat("smol").status_code == 200


def test_embeddings(server):
    texts = ["A cat sat on the mat.", "A kitten lay on the rug.", "Interest rates rose again."]
    answer = server.post("/v1/embeddings", {"model": "minilm", "input": texts}).json()
    cat, kitten, rates = (one["embedding"] for one in answer["data"])

    def similarity(a, b):
        return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    assert len(cat) == 384
    assert len(server.post("/api/embed", {"model": "minilm", "input": "word " * 2000}).json()["embeddings"]) == 1
    refused = server.post("/api/embed", {"model": "minilm", "input": "word " * 2000, "truncate": False})
    assert refused.status_code == 400 and "context length" in refused.json()["error"], refused.text
    assert similarity(cat, kitten) > similarity(cat, rates) + 0.2


def test_scores_and_ranks(server):
    texts = ["Interest rates rose again.", "A kitten lay on the rug."]
    scored = server.post("/score", {"model": "minilm", "text_1": "A cat sat on the mat.", "text_2": texts}).json()
    assert scored["data"][1]["score"] > scored["data"][0]["score"], scored
    ranked = server.post("/v1/rerank", {"model": "minilm", "query": "A cat sat on the mat.", "documents": texts}).json()
    assert ranked["results"][0]["index"] == 1, ranked


def test_tokens_there_and_back(server):
    tokens = server.post("/tokenize", {"model": "smol", "prompt": "Hello there", "add_special_tokens": False}).json()["tokens"]
    assert len(tokens) >= 2
    assert server.post("/detokenize", {"model": "smol", "tokens": tokens}).json()["prompt"] == "Hello there"


def test_it_says_how_busy_it_is(server):
    server.chat("smol")
    with server.stream("smol", max_tokens=400, ignore_eos=True) as stream:
        lines = stream.iter_lines()  # held: without it the stream ends
        next(lines)
        wait_until(lambda: (server.instances()["smol"]["load"] or {}).get("running"), 30, "its metrics")


def test_stopping_leaves_nothing(server):
    server.chat("smol")
    tree = tree_of(server, "smol")
    server.post("/admin/unload", {"model": "smol"})
    wait_until(lambda: not any(is_alive(p) for p in tree), 30, "the end of the whole tree")
    server.chat("smol")
    tree = tree_of(server, "smol")
    server.stop(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(p) for p in tree), 30, "the end of the whole tree")
    assert "VLLM_API_KEY" not in json.dumps(server.log_file.read_text())
