"""`engine: vllm`, with the fake engine in place of `vllm serve`."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support import FAKE_NVML, is_alive, tree_of, wait_until
from vllm_folder import make_folder


def test_it_serves_under_its_own_name_and_aliases(vllm):
    server = vllm({"a": ""}, a={"aliases": ["other"]})
    assert server.chat("a").status_code == 200
    assert server.chat("OTHER").status_code == 200
    with server.stream("other") as answer:
        assert b"[DONE]" in answer.read()
    assert server.post("/v1/completions", {"model": "a", "prompt": "x", "max_tokens": 2}).status_code == 200
    question = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    assert server.post("/api/chat", {**question, "stream": False}).json()["done"]
    assert server.post("/v1/messages", {**question, "max_tokens": 4}).status_code == 200


def test_a_body_that_curl_calls_a_form_reaches_it_as_json(vllm):
    server = vllm({"a": ""})
    for headers in ({"Content-Type": "application/x-www-form-urlencoded"}, {}):
        body = json.dumps({"model": "a", "messages": [{"role": "user", "content": "Hi"}]})
        answer = server.client.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == 200, answer.text


def test_its_command_line_holds_the_computed_sizes_and_no_key(vllm):
    server = vllm({"a": ""}, a={"context": 1024, "parallel": 8})
    server.chat("a")
    words = next(p.cmdline() for p in tree_of(server, "a")[1:])
    given = dict(zip(words[3::2], words[4::2]))
    assert given["--max-model-len"] == "1024" and given["--max-num-seqs"] == "8"
    # 16 layers x 2 heads x 64 x (key + value) x 2 bytes a token; room for four full requests.
    assert int(given["--kv-cache-memory-bytes"]) == 16 * 2 * 64 * 2 * 2 * 1024 * 4
    assert given["--uds"].endswith(".sock") and given["--served-model-name"] == "a"
    assert not any("key" in word.lower() and word != "--kv-cache-memory-bytes" for word in words)


def test_a_socket_alone_is_not_enough_without_the_key(vllm):
    server = vllm({"a": ""})
    server.chat("a")
    (engine, *_) = tree_of(server, "a")[1:]
    path = engine.cmdline()[engine.cmdline().index("--uds") + 1]
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://engine") as direct:
        assert direct.get("/v1/models").status_code == 401
        # vLLM asks for its key under /v1 only; elsewhere the folder alone keeps others out.
        assert direct.get("/metrics").status_code == 200
    assert engine.environ()["VLLM_API_KEY"] not in server.log_file.read_text()


def test_a_killed_worker_takes_only_its_own_model_down(vllm):
    server = vllm({"a": "worker,slow=20", "b": "slow=20"})
    with server.stream("a", fake="endless") as dying, server.stream("b", fake="tokens=40") as other:
        lines = dying.iter_lines()
        next(lines)
        worker = tree_of(server, "a")[-1]
        os.kill(worker.pid, signal.SIGKILL)
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert "EngineDeadError" in rest[-1]["error"]["message"]
        assert other.read().count(b"token") >= 40
    assert server.chat("a").status_code == 200


def test_a_slow_start_is_waited_for(vllm):
    server = vllm({"a": "listen=300,load=300"})
    assert server.chat("a").status_code == 200


def test_it_leaves_with_its_workers(vllm):
    server = vllm({"a": "worker,grandchild-session"})
    server.chat("a")
    tree = tree_of(server, "a")
    assert len(tree) == 4
    server.post("/admin/unload", {"model": "a"})
    wait_until(lambda: not any(is_alive(p) for p in tree), what="the end of its tree")


def test_it_is_estimated_before_it_is_loaded(vllm):
    server = vllm({"a": ""}, {"memory": {"budget": "1GiB"}})
    answer = server.chat("a")
    assert answer.status_code in (503, 507) and "of memory" in answer.json()["error"]["message"], answer.text


def test_a_reference_is_asked_for_what_it_may_take(start, vllm_model):
    entry = {key: value for key, value in vllm_model("a", "").items() if key != "file"}
    entry |= {"reference": "org/model", "memory": "5GiB"}
    unknown = {key: value for key, value in entry.items() if key != "memory"}
    hub = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_secret"}
    models = {"a": entry, "b": unknown}
    server = start({"models": models}, engine="/nonexistent/llama-server", environment=hub)
    assert server.chat("a").status_code == 200
    (engine, *_) = tree_of(server, "a")[1:]
    words = engine.cmdline()
    assert words[words.index("serve") + 1] == "org/model"
    # A quarter of what is left beside its process, 2.5 GiB.
    assert int(words[words.index("--kv-cache-memory-bytes") + 1]) == (5 * 1024 - 2560) * (1 << 20) // 4
    environment = engine.environ()
    assert environment["HF_TOKEN"] == "hf_secret" and "HF_HUB_OFFLINE" not in environment
    answer = server.chat("b")
    assert answer.status_code == 502 and "models.b.memory" in answer.json()["error"]["message"], answer.text


def test_a_reference_that_was_fetched_before_is_known(start, vllm_model, tmp_path):
    known = vllm_model("a", "")
    snapshot = tmp_path / "hub" / "models--org--model" / "snapshots" / "abc"
    snapshot.parent.mkdir(parents=True)
    Path(known.pop("file")).rename(snapshot)
    server = start(
        {"models": {"a": {**known, "reference": "org/model", "context": 1024}}},
        engine="/nonexistent/llama-server",
        environment={"HF_HUB_CACHE": str(tmp_path / "hub")},
    )
    assert server.chat("a").status_code == 200
    words = tree_of(server, "a")[1].cmdline()
    assert words[words.index("serve") + 1] == "org/model"
    assert int(words[words.index("--kv-cache-memory-bytes") + 1]) == 16 * 2 * 64 * 2 * 2 * 1024 * 4


def test_it_can_do_what_its_flags_and_its_model_say(vllm, tmp_path):
    seeing = str(make_folder(tmp_path / "seeing", vision_config={}))
    server = vllm(
        {"plain": "", "able": ""},
        able={"file": seeing, "extra_args": [*TOOLS, "--reasoning-parser=qwen3"]},
    )
    assert server.post("/api/show", {"model": "plain"}).json()["capabilities"] == ["completion"]
    able = ["completion", "tools", "thinking", "vision"]
    assert server.post("/api/show", {"model": "able"}).json()["capabilities"] == able


def test_a_broken_folder_is_told(vllm, tmp_path):
    server = vllm({"a": "", "b": ""}, b={"file": str(make_folder(tmp_path / "broken", num_hidden_layers=-1))})
    assert server.chat("a").status_code == 200
    answer = server.chat("b")
    assert answer.status_code == 502 and "num_hidden_layers" in answer.json()["error"]["message"]


TOOLS = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]


@pytest.fixture
def asked(vllm):
    """asked(path, body) is what vLLM got of a request."""
    server = vllm({"a": "remember"}, a={"aliases": ["other"], "extra_args": TOOLS})

    def ask(path, body):
        answer = server.post(path, {"model": "other", **body})
        assert answer.status_code == 200, answer.text
        words = tree_of(server, "a")[1].cmdline()
        transport = httpx.HTTPTransport(uds=words[words.index("--uds") + 1])
        with httpx.Client(transport=transport, base_url="http://engine") as direct:
            got = direct.get("/fake/last").json()
        assert got["body"].pop("model", "a") == "a"
        return got

    return ask


CHAT = {"messages": [{"role": "user", "content": "Say hello."}]}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("path", "body", "vllms_path"),
    [
        ("/v1/embeddings", {"input": ["a", "b"]}, "/v1/embeddings"),
        ("/embeddings", {"input": "a"}, "/v1/embeddings"),
        ("/v1/rerank", {"query": "a", "documents": ["b", "c"]}, "/v1/rerank"),
        ("/reranking", {"query": "a", "documents": ["b", "c"], "top_n": 1}, "/v1/rerank"),
        ("/score", {"text_1": "a", "text_2": ["b", "c"]}, "/score"),
        ("/v1/score", {"text_1": "a", "text_2": ["b"]}, "/v1/score"),
        ("/tokenize", {"prompt": "a b c", "add_special_tokens": False}, "/tokenize"),
        ("/detokenize", {"tokens": [1, 2]}, "/detokenize"),
        ("/chat/completions", {**CHAT, "logprobs": True, "top_logprobs": 2}, "/v1/chat/completions"),
        ("/v1/completions", {"prompt": "a", "logprobs": 1}, "/v1/completions"),
        ("/v1/chat/completions", {**CHAT, "response_format": SCHEMA}, "/v1/chat/completions"),
        ("/v1/chat/completions", {**CHAT, "tools": [TOOL], "tool_choice": "auto"}, "/v1/chat/completions"),
        ("/v1/messages", {**CHAT, "max_tokens": 4}, "/v1/messages"),
        ("/v1/messages/count_tokens", CHAT, "/v1/messages/count_tokens"),
    ],
)
def test_everything_that_vllm_offers_reaches_it_as_it_came(asked, path, body, vllms_path):
    assert asked(path, body) == {"path": vllms_path, "body": body}


SAMPLING = {"top_k": 40, "top_p": 0.9, "min_p": 0.0, "temperature": 0.8, "repetition_penalty": 1.5}
PENALTIES = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
FROM_OLLAMA = {**SAMPLING, **PENALTIES, **STREAM, "max_tokens": 4}
OPTIONS = {"options": {"num_predict": 4, "repeat_penalty": 1.5}}


@pytest.mark.parametrize(
    ("path", "body", "vllms_path", "vllms_body"),
    [
        ("/api/chat", {**CHAT, **OPTIONS}, "/v1/chat/completions", {**CHAT, **FROM_OLLAMA}),
        (
            "/api/chat",
            {**CHAT, **OPTIONS, "format": {"type": "object"}},
            "/v1/chat/completions",
            {
                **CHAT,
                **FROM_OLLAMA,
                "response_format": {"type": "json_schema", "json_schema": {"name": "schema", "schema": {"type": "object"}}},
            },
        ),
        ("/api/generate", {"prompt": "x", "raw": True, **OPTIONS}, "/v1/completions", {"prompt": "x", **FROM_OLLAMA}),
        (
            "/api/generate",
            {"prompt": "x", "raw": True, "options": {"repeat_penalty": 1.5}, "format": "json"},
            "/v1/completions",
            {"prompt": "x", **FROM_OLLAMA, "max_tokens": 2048, "response_format": {"type": "json_object"}},
        ),
        (
            "/api/embed",
            {"input": ["x", "y"]},
            "/v1/embeddings",
            {"input": ["x", "y"], "encoding_format": "float", "truncate_prompt_tokens": -1},
        ),
        (
            "/api/embed",
            {"input": "x", "truncate": False},
            "/v1/embeddings",
            {"input": ["x"], "encoding_format": "float"},
        ),
    ],
)
def test_what_ollamas_clients_ask_for_reaches_it_in_its_words(asked, path, body, vllms_path, vllms_body):
    assert asked(path, body) == {"path": vllms_path, "body": vllms_body}


def test_a_generation_goes_on_from_the_context_of_the_last(vllm):
    server = vllm({"a": ""})

    def generate(prompt, **more):
        return server.post("/api/generate", {"model": "a", "prompt": prompt, "stream": False, **more})

    first = generate("one two", options={"num_predict": 2}).json()
    assert first["eval_count"] == 2 and len(first["context"]) == len("one two".split()) + 2
    second = generate("three", context=first["context"], options={"num_predict": 3}).json()
    assert second["context"][: len(first["context"])] == first["context"]
    assert len(second["context"]) == len(first["context"]) + 1 + 3
    assert generate("x", _debug_render_only=True).json()["_debug_info"]["rendered_template"] == "a fake prompt"


def test_what_it_cannot_do_is_told_in_the_clients_words(vllm):
    server = vllm({"a": ""})
    infill = server.post("/api/generate", {"model": "a", "prompt": "x", "suffix": "y"})
    assert (infill.status_code, infill.json()) == (400, {"error": '"a" does not support insert'})
    tools = server.chat("a", tools=[TOOL])
    assert tools.status_code == 400 and "--tool-call-parser" in tools.json()["error"]["message"]


def test_answers_of_all_kinds_come_back(vllm):
    server = vllm({"a": ""}, a={"extra_args": TOOLS})

    def ask(path, **body):
        answer = server.post(path, {"model": "a", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [len(one["embedding"]) > 0 for one in ask("/v1/embeddings", input=["x", "y"])["data"]] == [True, True]
    ranked = ask("/v1/rerank", query="q", documents=["long text", "t"])["results"]
    assert ranked[1]["relevance_score"] > ranked[0]["relevance_score"]
    scores = ask("/score", text_1="q", text_2=["long text", "t"])["data"]
    assert scores[1]["score"] > scores[0]["score"]
    assert ask("/tokenize", prompt="a b c")["tokens"] == [1, 2, 3]
    choice = ask("/v1/chat/completions", **CHAT, max_tokens=4, logprobs=True, fake="sure=90")["choices"][0]
    assert len(choice["logprobs"]["content"]) == 4
    message = ask("/v1/chat/completions", **CHAT, tools=[TOOL], fake="call=clock")["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "clock"
    assert len(ask("/api/embed", input="x")["embeddings"]) == 1
    assert ask("/api/generate", prompt="x", stream=False)["done"]


def test_a_route_expects_what_its_metrics_say(vllm):
    routes = {"auto": {"task": {"code": ["busy", "calm"]}, "fallback": ["busy", "calm"]}}
    server = vllm({"busy": "running=1,waiting=2,cache-used=50,slow=20", "calm": "slow=20"}, {"routes": routes})
    question = {"messages": [{"role": "user", "content": "Say hello."}]}

    def expected():
        targets = server.post("/v1/route", {"model": "auto", **question}).json()["targets"]
        return {one["model"]: one["expected_ms"] for one in targets}

    for model in ("busy", "calm"):
        assert server.chat(model).status_code == 200
    assert expected() == {"busy": 0, "calm": 0}
    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(server.chat, model, fake="think=8000") for model in ("busy", "busy", "busy", "calm")]
        wait_until(lambda: server.instances()["busy"]["load"], what="its metrics")
        assert server.instances()["busy"]["load"] == {"running": 1, "waiting": 2, "cache_used": 0.5}
        wait_until(lambda: server.instances()["busy"]["leases"] == 3, what="three requests")
        assert expected() == {"busy": 2010, "calm": 0}
        told = server.get("/metrics").text
        for name, value in (("running_requests", "1"), ("waiting_requests", "2"), ("cache_used_ratio", "0.5")):
            assert f'drover_instance_{name}{{model="busy"}} {value}\n' in told
        assert all(one.result().status_code == 200 for one in answers)


def test_gpus_are_shared_out_by_uuid_and_share(vllm, tmp_path):
    if not FAKE_NVML:
        pytest.skip("DROVER_FAKE_NVML is not set; run scripts/test")
    gpus = tmp_path / "gpus"
    gpus.write_text("gpu GPU-a A 24576 24576\ngpu GPU-b B 24576 24576\n")
    server = vllm(
        {"one": "", "both": ""},
        environment={"DROVER_NVML": FAKE_NVML, "FAKE_NVML": str(gpus)},
        one={"memory": "8GiB"},
        both={"device": [0, 1]},
    )
    planned = server.post("/admin/plan", {"models": ["one", "both"]}).json()
    assert {one["model"]: one["where"] for one in planned["models"]} == {"one": "GPU 0", "both": "GPU 0 and 1"}
    for model in ("one", "both"):
        assert server.chat(model).status_code == 200
    assert {model: one["where"] for model, one in server.instances().items()} == {"one": "GPU 0", "both": "GPU 0 and 1"}
    (engine, *_) = tree_of(server, "both")[1:]
    words = engine.cmdline()
    assert words[words.index("--tensor-parallel-size") + 1] == "2"
    assert engine.environ()["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    (engine, *_) = tree_of(server, "one")[1:]
    words = engine.cmdline()
    granted = server.instances()["one"]["devices"]["GPU 0"]
    assert float(words[words.index("--gpu-memory-utilization") + 1]) == pytest.approx(granted / (24 << 30), abs=2e-4)


def test_gpus_that_its_heads_cannot_be_divided_over_are_refused(vllm, tmp_path):
    if not FAKE_NVML:
        pytest.skip("DROVER_FAKE_NVML is not set; run scripts/test")
    gpus = tmp_path / "gpus"
    gpus.write_text("".join(f"gpu GPU-{name} {name} 24576 24576\n" for name in "abc"))
    environment = {"DROVER_NVML": FAKE_NVML, "FAKE_NVML": str(gpus)}
    server = vllm({"a": ""}, environment=environment, a={"device": [0, 1, 2]})
    answer = server.chat("a")
    assert answer.status_code == 502
    assert "attention heads cannot be divided over 3 GPUs" in answer.json()["error"]["message"], answer.text


def test_a_reference_on_a_gpu_finds_out_itself_how_large_its_cache_is(start, vllm_model, tmp_path):
    if not FAKE_NVML:
        pytest.skip("DROVER_FAKE_NVML is not set; run scripts/test")
    gpus = tmp_path / "gpus"
    gpus.write_text("gpu GPU-a A 24576 24576\n")
    entry = {key: value for key, value in vllm_model("a", "").items() if key != "file"}
    server = start(
        {"models": {"a": {**entry, "reference": "org/model", "memory": "8GiB"}}},
        engine="/nonexistent/llama-server",
        environment={"DROVER_NVML": FAKE_NVML, "FAKE_NVML": str(gpus)},
    )
    assert server.chat("a").status_code == 200
    words = tree_of(server, "a")[1].cmdline()
    assert "--kv-cache-memory-bytes" not in words
    granted = server.instances()["a"]["devices"]["GPU 0"]
    assert granted <= 8 << 30
    assert float(words[words.index("--gpu-memory-utilization") + 1]) == pytest.approx(granted / (24 << 30), abs=2e-4)
