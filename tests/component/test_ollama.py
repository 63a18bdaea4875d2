"""Ollama's API in front of a fake engine: what its clients send, right and wrong."""

import json
import threading

import pytest
import support
from support import wait_until

ASK = [{"role": "user", "content": "Say hello."}]


def lines(answer) -> list[dict]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_the_server_says_that_it_is_there(fake):
    server = fake({"a": ""})
    for path in ("/", "/api/version", "/api/tags"):
        assert server.get(path).status_code == 200
        head = server.client.head(path)
        assert head.status_code == 200 and head.text == ""
    assert server.get("/").text == "Ollama is running"
    major, minor, patch = map(int, server.get("/api/version").json()["version"].split("."))
    assert (major, minor) >= (0, 30) and patch >= 0


def test_a_chat_is_streamed_as_lines(fake):
    server = fake({"a": "tokens=3"})
    answer = server.post("/api/chat", {"model": "a:latest", "messages": ASK})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-drover-model"] == "a"
    *pieces, last = lines(answer)
    assert [one["message"]["content"] for one in pieces] == ["token0", " token1", " token2"]
    assert all(one["model"] == "a:latest" and one["done"] is False for one in pieces)
    assert last["done"] is True and last["done_reason"] == "length"
    assert last["eval_count"] == 3 and last["prompt_eval_count"] == 11
    assert last["total_duration"] >= last["load_duration"] > 0
    assert last["prompt_eval_duration"] == 1_500_000


def test_a_chat_without_a_stream_is_one_object(fake):
    server = fake({"a": ""})
    body = {"model": "a", "messages": ASK, "stream": False, "options": {"num_predict": 2}}
    answer = server.post("/api/chat", body)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["message"] == {"role": "assistant", "content": "token0 token1"}
    assert answer.json()["done"] is True


def test_a_generation_has_a_context_unless_it_is_raw(fake):
    server = fake({"a": "tokens=2"})
    answer = server.post("/api/generate", {"model": "a", "prompt": "x", "stream": False}).json()
    assert answer["response"] == "token0 token1" and answer["context"]
    raw = server.post("/api/generate", {"model": "a", "prompt": "x", "raw": True, "stream": False}).json()
    assert raw["response"] and "context" not in raw
    infill = server.post("/api/generate", {"model": "a", "prompt": "x", "suffix": "y", "stream": False}).json()
    assert infill["response"]
    more = server.post("/api/generate", {"model": "a", "prompt": "x", "context": [1, 2], "stream": False}).json()
    assert more["response"]


def test_an_empty_request_loads_and_one_with_keep_alive_zero_unloads(fake):
    server = fake({"a": ""})
    for path, empty in (("/api/generate", {"prompt": ""}), ("/api/chat", {"messages": []}), ("/api/generate", {})):
        loaded = server.post(path, {"model": "a", **empty}).json()
        assert loaded["done"] is True and loaded["done_reason"] == "load"
        assert server.instances()["a"]["state"] == "ready"
        for zero in (0, "0s"):
            unloaded = server.post(path, {"model": "a", **empty, "keep_alive": zero}).json()
            assert unloaded["done"] is True and unloaded["done_reason"] == "unload"
            assert server.instances() == {}


def test_a_route_unloads_those_of_its_models_that_nobody_uses(fake):
    routes = {"auto": {"fallback": ["a", "b"]}}
    server = fake({"a": "endless,slow=20", "b": "", "other": ""}, {"routes": routes})
    for model in ("b", "other"):
        server.post("/api/generate", {"model": model})
    with server.stream("a") as answer:
        told = answer.iter_lines()
        next(told)
        for path, empty in (("/api/generate", {}), ("/api/chat", {"messages": []})):
            unloaded = server.post(path, {"model": "auto", **empty, "keep_alive": 0}).json()
            assert unloaded["done_reason"] == "unload"
        assert set(server.instances()) == {"a", "other"}


def test_keep_alive_in_all_its_forms(fake):
    server = fake({"a": ""})

    def stays(keep_alive):
        server.post("/api/generate", {"model": "a", "keep_alive": keep_alive})
        return server.instances()["a"]["expires_at_ms"]

    assert stays(-1) is None and stays("-1m") is None
    assert abs(stays(3600) - stays("1h")) < 60_000
    assert abs(stays("1h") - stays("30m") - 1_800_000) < 60_000
    server.post("/api/chat", {"model": "a", "messages": ASK, "keep_alive": 0})
    wait_until(lambda: server.instances() == {}, 5, "the model's leaving")
    answer = server.post("/api/chat", {"model": "a", "messages": ASK, "keep_alive": "soon"})
    assert answer.status_code == 400 and "keep_alive" in answer.json()["error"]


def test_lists_name_models_with_a_tag(fake):
    server = fake({"a": "", "b:2": ""})
    names = {one["name"]: one for one in server.get("/api/tags").json()["models"]}
    assert {"a:latest", "b:2"} <= names.keys()
    assert names["a:latest"]["details"]["family"] == "llama" and names["a:latest"]["size"] > 1_000_000
    assert server.get("/api/ps").json() == {"models": []}
    server.post("/api/generate", {"model": "b:2", "keep_alive": -1})
    server.post("/api/generate", {"model": "a"})
    running = server.get("/api/ps").json()["models"]
    assert [one["name"] for one in running] == ["b:2", "a:latest"]
    assert running[0]["digest"] == names["b:2"]["digest"]
    shown = server.post("/api/show", {"model": "a"}).json()
    assert shown["model_info"]["general.architecture"] == "llama" and shown["template"]
    assert server.post("/api/show", {"name": "a", "verbose": True}).json()["tensors"] == shown["tensors"] != []


def test_embeddings_old_and_new(fake):
    server = fake({"a": "dimensions=8"}, a={"task": "embedding"})
    answer = server.post("/api/embed", {"model": "a", "input": ["x", "yy"]}).json()
    assert [len(one) for one in answer["embeddings"]] == [8, 8] and answer["prompt_eval_count"] == 22
    assert all(abs(sum(x * x for x in one) - 1) < 1e-5 for one in answer["embeddings"])
    short = server.post("/api/embed", {"model": "a", "input": "x", "dimensions": 3}).json()["embeddings"]
    assert len(short[0]) == 3 and abs(sum(x * x for x in short[0]) - 1) < 1e-5
    assert server.post("/api/embed", {"model": "a", "input": []}).json()["embeddings"] == []
    assert len(server.post("/api/embeddings", {"model": "a", "prompt": "x"}).json()["embedding"]) == 8
    assert server.post("/api/embeddings", {"model": "a", "prompt": ""}).json() == {"embedding": []}
    chat = server.post("/api/chat", {"model": "a", "messages": ASK})
    assert chat.status_code == 400 and chat.json() == {"error": '"a" does not support chat'}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"])
def test_errors_are_in_ollamas_words(fake, path):
    server = fake({"a": ""})
    for body, status, words in [
        ({"model": "nobody"}, 404, "not found"),
        ({}, 400, "model is required"),
        ({"model": 5}, 400, '"model"'),
    ]:
        answer = server.post(path, body)
        assert answer.status_code == status, (body, answer.text)
        assert list(answer.json()) == ["error"] and words in answer.json()["error"]
    for garbage in (b"", b"{", b"[]", b"\xff\xfe", b'{"model": "a"} trailing', b"[" * 10_000):
        answer = server.client.post(path, content=garbage)
        assert answer.status_code == 400 and isinstance(answer.json()["error"], str), garbage
    assert server.get(path).status_code == 405
    assert server.post(path + "/more", {}).json()["error"]


def test_members_of_every_wrong_type_are_refused_by_name(fake):
    """Each known member in turn gets a value of each type: never a crash, always an answer in Ollama's shape."""
    server = fake({"a": "tokens=1"})
    members = ["messages", "prompt", "suffix", "system", "template", "context", "stream", "raw", "format", "images", "options",
               "think", "truncate", "shift", "logprobs", "top_logprobs", "tools", "keep_alive"]
    refused = 0
    for path in ("/api/chat", "/api/generate"):
        for member in members:
            for value in (None, True, -7, 1.5, "text", [1], ["x"], [[]], {}, {"x": {}}, [{"role": 1}], 1e300):
                body = {"model": "a", "messages": ASK, "prompt": "x", "options": {"num_predict": 1}, member: value}
                answer = server.post(path, body)
                assert answer.status_code in (200, 400), (path, member, value, answer.text)
                if answer.status_code == 400:
                    refused += 1
                    known = ("raw mode", "invalid think value", "top_logprobs must", '"a" does not support')
                    assert f'"{member}' in answer.json()["error"] or answer.json()["error"].startswith(known), (member, value, answer.text)
    assert refused > 150
    assert server.process.poll() is None


def test_an_engine_that_dies_is_an_error_before_and_within_a_stream(fake):
    server = fake({"early": "cut-head", "late": "crash=2,tokens=9"})
    early = server.post("/api/chat", {"model": "early", "messages": ASK})
    assert early.status_code == 502 and early.json()["error"]
    late = server.post("/api/chat", {"model": "late", "messages": ASK})
    assert late.status_code == 200
    *pieces, last = lines(late)
    assert len(pieces) == 2 and list(last) == ["error"] and "signal" in last["error"]
    whole = server.post("/api/chat", {"model": "late", "messages": ASK, "stream": False})
    assert whole.status_code == 502 and "signal" in whole.json()["error"]


def test_a_full_queue_is_503(fake):
    server = fake({"a": "think=300"}, a={"parallel": 1, "queue": 1})
    statuses = []

    def ask():
        body = {"model": "a", "messages": ASK, "options": {"num_predict": 1}}
        answer = support.httpx.post(f"{server.url}/api/chat", json=body, timeout=30, trust_env=False)
        statuses.append((answer.status_code, answer.json().get("error") if answer.status_code != 200 else None))

    server.post("/api/generate", {"model": "a"})
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (503, "server busy, please try again.  maximum pending requests exceeded") in statuses
    assert sum(1 for status, _ in statuses if status == 200) >= 2


def test_a_client_that_leaves_frees_the_model(fake):
    server = fake({"a": "slow=20,endless"})
    with server.client.stream("POST", "/api/chat", json={"model": "a", "messages": ASK}) as response:
        pieces = response.iter_lines()
        next(pieces)
        assert server.instances()["a"]["leases"] == 1
    wait_until(lambda: server.instances()["a"]["leases"] == 0, 5, "the end of the lease")


def test_one_connection_serves_all_kinds_of_requests(fake):
    server = fake({"a": "tokens=1"})
    with support.httpx.Client(base_url=server.url, trust_env=False, limits=support.httpx.Limits(max_connections=1)) as client:
        for _ in range(20):
            assert client.post("/api/chat", json={"model": "a", "messages": ASK}).status_code == 200
            assert client.post("/api/generate", json={"model": "a", "prompt": "x", "stream": False}).json()["context"]
            assert client.post("/v1/chat/completions", json={"model": "a", "messages": ASK}).status_code == 200
            assert client.post("/api/chat", json={"model": "a", "messages": 5}).status_code == 400
            assert client.get("/api/tags").status_code == 200


def model_entry(server, model):
    return next(one for one in server.get("/admin/models").json()["models"] if one["name"] == model)


def context_of(server, model):
    return model_entry(server, model)["context"]


def ask_with_context(server, model, tokens):
    """Which process answers a request that wants so much context."""
    options = {"num_ctx": tokens, "num_predict": 1}
    answer = server.post("/api/chat", {"model": model, "messages": ASK, "stream": False, "options": options})
    assert answer.status_code == 200, answer.text
    return server.pid_of(model)


def test_a_larger_num_ctx_loads_the_model_anew_once(fake):
    server = fake({"a": ""})
    given = context_of(server, "a")
    first = ask_with_context(server, "a", given)
    larger = ask_with_context(server, "a", given + 100)
    assert larger != first
    assert context_of(server, "a") == given + 100
    for tokens in (given, given + 100, 16):
        assert ask_with_context(server, "a", tokens) == larger
    assert server.chat("a").status_code == 200 and server.pid_of("a") == larger


def test_a_num_ctx_above_what_the_model_was_trained_for_gets_that(fake):
    server = fake({"a": ""})
    largest = ask_with_context(server, "a", 1_000_000_000)
    assert context_of(server, "a") == 8192
    assert ask_with_context(server, "a", 2_000_000_000) == largest


def test_a_num_ctx_that_does_not_fit_changes_nothing(fake):
    server = fake({"a": ""}, {"memory": {"budget": "500MiB"}})
    given = context_of(server, "a")
    first = ask_with_context(server, "a", 16)
    assert ask_with_context(server, "a", 8192) == first
    assert context_of(server, "a") == given


def held_by(server, model):
    """What a model is charged once it was measured."""
    estimated = model_entry(server, model)["estimated_bytes"]
    assert server.chat(model).status_code == 200
    wait_until(lambda: server.instances()[model]["bytes"] != estimated, 10)
    return server.instances()[model]["bytes"]


@pytest.fixture
def beside_a_pinned_one(fake):
    """A server with room for `a` beside the pinned `b`, but for no larger context of it."""
    models = {"a": "", "b": "alloc=400"}
    probe = fake(models)
    room = model_entry(probe, "a")["estimated_bytes"] + held_by(probe, "b") + (128 << 20)
    probe.stop()
    return fake(models, {"memory": {"budget": str(room)}}, b={"pin": True})


def test_a_num_ctx_that_does_not_fit_beside_a_pinned_model_changes_nothing(beside_a_pinned_one):
    server = beside_a_pinned_one
    held_by(server, "b")
    first = ask_with_context(server, "a", 16)
    assert ask_with_context(server, "a", 8192) == first
    assert server.chat("a").status_code == 200 and server.pid_of("a") == first


def test_a_num_ctx_that_does_not_fit_beside_the_others_of_concurrent_changes_nothing(fake):
    models = {"a": "", "b": "alloc=400"}
    probe = fake(models)
    room = sum(model_entry(probe, name)["estimated_bytes"] for name in models) + (160 << 20)
    probe.stop()
    server = fake(models, {"memory": {"budget": str(room), "strategy": "concurrent"}})
    wait_until(lambda: len(server.instances()) == 2, 20)
    held_by(server, "b")
    first = ask_with_context(server, "a", 16)
    assert ask_with_context(server, "a", 8192) == first
    assert server.chat("a").status_code == 200 and server.chat("b").status_code == 200


def test_a_model_goes_back_to_its_own_context_when_the_larger_one_no_longer_fits(beside_a_pinned_one):
    server = beside_a_pinned_one
    given = context_of(server, "a")
    ask_with_context(server, "a", 8192)  # there is room: the pinned one is not there yet
    assert context_of(server, "a") == 8192
    assert server.chat("a", keep_alive=0).status_code == 200
    held_by(server, "b")
    ask_with_context(server, "a", 8192)
    assert context_of(server, "a") == given
    assert server.chat("a").status_code == 200


def test_a_configured_context_stands_whatever_num_ctx_says(fake):
    server = fake({"a": ""}, a={"context": 1024})
    first = ask_with_context(server, "a", 16)
    assert ask_with_context(server, "a", 4096) == first


def test_a_larger_num_ctx_lets_running_answers_end(fake):
    server = fake({"a": "tokens=40,slow=20"})
    with server.stream("a") as running:
        pieces = running.iter_lines()
        next(pieces)
        ask_with_context(server, "a", context_of(server, "a") + 1)
        assert "[DONE]" in "".join(pieces)
