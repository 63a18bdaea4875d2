"""Models of servers elsewhere, which fail in every way that servers do."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import support
from remote_server import RemoteServer, Swallow, certificate

SLACK = 1.5  # what a busy machine may add to a time-out


@pytest.fixture
def serve():
    """serve(...) runs a RemoteServer; all of them are stopped at the end of the test."""
    servers = []

    def run(*arguments, **keywords):
        servers.append(RemoteServer(*arguments, **keywords))
        return servers[-1]

    yield run
    for server in servers:
        server.stop()


def entry(*servers, **settings) -> dict:
    urls = [one if isinstance(one, str) else one.url for one in servers]
    return {"engine": "remote", "url": urls, "served_name": "upstream-model", **settings}


def remotes(drover) -> list[dict]:
    return drover.get("/admin/ps").json()["remotes"]


def circuit(drover) -> str:
    return remotes(drover)[0]["circuit"]


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def error_of(answer: httpx.Response) -> str:
    return answer.json()["error"]["message"]


def streamed(drover, model: str, **fields) -> tuple[int, str, bool]:
    """The status of a streamed answer, its text, and whether it ended well."""
    with drover.stream(model, **fields) as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines if line.startswith('{"object"')]
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in events)
    return answer.status_code, text, lines[-1:] == ["[DONE]"]


SOUND = bytes(range(256)) * 40


def transcribe(drover, model: str, **arguments) -> httpx.Response:
    form = {"data": {"model": model, "language": "de"}, "files": {"file": ("a.wav", SOUND)}}
    return drover.client.post("/v1/audio/transcriptions", **form, **arguments)


def timed(call):
    began = time.monotonic()
    return call(), time.monotonic() - began


# ---- serving ----


def test_a_remote_is_served_under_its_own_name_with_its_key(start, serve, tmp_path):
    remote = serve()
    drover = start(
        {"models": {"far": entry(remote, key_env="FAR_KEY", aliases=["away"])}, "log": {"level": "debug"}},
        environment={"FAR_KEY": "sesame-1234"},
    )
    assert text_of(drover.chat("far", keep_alive="5m")) == "one two three four"
    assert text_of(drover.chat("away")) == "one two three four"
    with drover.stream("far") as answer:
        assert answer.read().decode().count("data: ") == 6
    sent = remote.requests[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["headers"]["authorization"] == "Bearer sesame-1234"
    assert sent["headers"]["host"] == remote.url.removeprefix("http://")
    assert sent["body"]["model"] == "upstream-model"
    assert "keep_alive" not in sent["body"]
    assert drover.post("/v1/embeddings", {"model": "far", "input": "a"}).json()["data"][0]["embedding"] == [0.5, 0.25]
    shown = drover.get("/admin/models").text + drover.get("/admin/ps").text + drover.get("/v1/models").text
    assert remote.url in shown
    drover.stop()
    assert "sesame" not in shown + drover.log_file.read_text()


def test_a_key_that_goes_to_another_machine_in_the_clear_is_told(start, serve, tmp_path):
    remote = serve()
    exposed = remote.url.replace("127.0.0.1", "0.0.0.0")  # not a name of this machine, but it leads there
    keyed = {"key_env": "FAR_KEY"}
    models = {"near": entry(remote, **keyed), "open": entry(exposed), "far": entry(exposed, **keyed)}
    drover = start({"models": models}, environment={"FAR_KEY": "sesame"})
    drover.stop()
    warned = [line for line in drover.log_file.read_text().splitlines() if "remote.exposed_key" in line]
    assert len(warned) == 1 and "far" in warned[0] and exposed in warned[0] and "plain HTTP" in warned[0]
    told = drover.run("--config", str(drover.config_file), "doctor").stdout
    assert told.count("over plain HTTP: whoever is on the way can read it") == 1
    assert "sesame" not in told


def test_a_key_may_stand_in_a_file_and_a_missing_one_is_told(start, serve, tmp_path):
    remote = serve()
    (tmp_path / "key").write_text("open-me\n")
    models = {"far": entry(remote, key_file=str(tmp_path / "key")), "keyless": entry(remote, key_env="NOT_THERE")}
    drover = start({"models": models})
    assert drover.chat("far").status_code == 200
    assert remote.requests[0]["headers"]["authorization"] == "Bearer open-me"
    assert drover.chat("keyless").status_code == 502
    assert "key_env: the variable NOT_THERE is empty or not set" in drover.log_file.read_text()


def test_ollamas_clients_reach_a_remote(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}})
    body = {"model": "far", "messages": [{"role": "user", "content": "hi"}], "options": {"num_predict": 9, "top_k": 3}}
    with drover.client.stream("POST", "/api/chat", json=body) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert "".join(line["message"]["content"] for line in lines) == "one two three four"
    assert lines[-1]["done"]
    assert remote.bodies()[0]["max_tokens"] == 9
    assert "top_k" not in remote.bodies()[0] and "n_predict" not in remote.bodies()[0]
    answer = drover.post("/api/generate", {"model": "far", "prompt": "hi", "stream": False}).json()
    assert answer["response"] == "one two three four"
    assert "far" in [one["name"].removesuffix(":latest") for one in drover.get("/api/tags").json()["models"]]


def test_anthropics_clients_reach_a_remote(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}})
    body = {"model": "far", "max_tokens": 4, "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]}
    answer = drover.post("/v1/messages", body).json()
    assert answer["content"] == [{"type": "text", "text": "one two three four"}]
    assert answer["stop_reason"] == "end_turn" and answer["usage"] == {"input_tokens": 3, "output_tokens": 4}
    assert remote.requests[0]["path"] == "/v1/chat/completions"
    assert remote.bodies()[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    with drover.client.stream("POST", "/v1/messages", json={**body, "stream": True}) as streamed:
        lines = list(streamed.iter_lines())
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert "".join(one["delta"]["text"] for one in events if one["type"] == "content_block_delta") == "one two three four"
    assert events[-1]["type"] == "message_stop"
    remote.mode = "503"
    answer = drover.post("/v1/messages", body)
    assert answer.status_code == 503 and answer.json()["type"] == "error"


def test_responses_reach_a_remote_as_chats(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}})
    body = {"model": "far", "max_output_tokens": 4, "instructions": "Be brief.", "input": "hi", "store": False}
    answer = drover.post("/v1/responses", body).json()
    assert answer["object"] == "response" and answer["output"][0]["content"][0]["text"] == "one two three four"
    assert remote.requests[0]["path"] == "/v1/chat/completions"
    sent = remote.bodies()[0]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."} and "store" not in sent and "input" not in sent
    with drover.client.stream("POST", "/v1/responses", json={**body, "stream": True}) as streamed:
        lines = list(streamed.iter_lines())
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta") == "one two three four"
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    refused = drover.post("/v1/responses", {"model": "far", "input": "hi", "previous_response_id": "resp_1"})
    assert refused.status_code == 400 and "previous_response_id" in refused.text


def test_what_few_servers_have_is_asked_as_it_came(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}})
    for path in ("/tokenize", "/infill", "/v1/messages/count_tokens", "/score", "/v1/chat/completions/input_tokens"):
        assert drover.post(path, {"model": "far", "content": "a"}).status_code == 200
        assert remote.requests[-1]["path"] == path
        assert remote.requests[-1]["body"] == {"model": "upstream-model", "content": "a"}


def test_what_a_server_lacks_is_refused_in_the_clients_words_and_no_failure(start, serve):
    remotes_of_one = [serve(), serve()]
    for remote in remotes_of_one:
        remote.lacks = {"/tokenize", "/v1/messages/count_tokens"}
    drover = start({"models": {"far": entry(*remotes_of_one, failures=1)}})
    answer = drover.post("/v1/messages/count_tokens", {"model": "far", "messages": []})
    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    assert "no such path, or no such model" in error_of(answer)
    answer = drover.post("/tokenize", {"model": "far", "content": "a"})
    assert answer.status_code == 404 and "/tokenize" in error_of(answer)
    assert [len(one.requests) for one in remotes_of_one] == [2, 2]
    assert {one["circuit"] for one in remotes(drover)} == {"closed"}
    assert text_of(drover.chat("far")) == "one two three four"


def test_the_model_of_a_form_is_renamed(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}})
    assert transcribe(drover, "far").status_code == 200
    assert remote.requests[0]["path"] == "/v1/audio/transcriptions"
    assert remote.bodies()[0] == {"model": "upstream-model", "language": "de", "file": SOUND}


def test_a_form_that_names_a_route_is_routed_by_its_endpoint_and_headers(start, serve):
    dead, next_one, special = serve(), serve(), serve()
    dead.mode = "503"
    rules = [
        {"headers": {"x-team": "lab"}, "endpoint": "/v1/audio/transcriptions", "use": "special"},
        {"endpoint": "chat", "use": "special"},
    ]
    models = {"dead": entry(dead), "next": entry(next_one), "special": entry(special)}
    drover = start({"models": models, "routes": {"auto": {"rules": rules, "fallback": ["dead", "next"]}}})
    answer = transcribe(drover, "auto")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-drover-model"] == "next" and answer.headers["x-drover-route"] == "auto"
    assert dead.requests[0]["path"] == next_one.requests[0]["path"] == "/v1/audio/transcriptions"
    assert dead.bodies() == next_one.bodies() == [{"model": "upstream-model", "language": "de", "file": SOUND}]
    assert special.requests == []
    assert transcribe(drover, "auto", headers={"x-team": "lab"}).headers["x-drover-model"] == "special"
    assert special.bodies() == next_one.bodies()
    assert transcribe(drover, "nobody").status_code == 404


def test_a_client_that_leaves_ends_the_request_at_the_remote(start, serve):
    remote = serve()
    remote.mode = "slow"
    drover = start({"models": {"far": entry(remote)}})
    with drover.stream("far") as answer:
        next(answer.iter_lines())
    assert remote.left.wait(10)
    assert circuit(drover) == "closed"
    assert remotes(drover)[0]["failures"] == 0


# ---- circuits ----


def test_a_circuit_opens_after_so_many_failures_and_closes_by_itself(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote, failures=3, open_time="1s", health_interval="1h")}})
    assert drover.chat("far").status_code == 200
    remote.stop()
    for _ in range(3):
        answer = drover.chat("far")
        assert answer.status_code == 502, answer.text
        assert remote.url in error_of(answer)
    answer, took = timed(lambda: drover.chat("far"))
    assert answer.status_code == 503
    assert took < SLACK
    assert int(answer.headers["retry-after"]) >= 1
    assert "refused" in error_of(answer)
    assert circuit(drover) != "closed"
    again = serve(port=remote.port)
    support.wait_until(lambda: circuit(drover) == "closed", 20, "the circuit to close without a request")
    assert again.requests == []
    assert drover.chat("far").status_code == 200


def test_nobody_waits_longer_than_the_connect_timeout(start):
    swallow = Swallow()
    drover = start({"models": {"far": entry(swallow.url, connect_timeout="700ms", failures=4, health_interval="1h")}})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: timed(lambda: drover.chat("far")), range(24)))
    swallow.stop()
    assert all(answer.status_code in (503, 504) for answer, _ in answers)
    assert max(took for _, took in answers) < 0.7 + SLACK
    assert circuit(drover) != "closed"
    answer, took = timed(lambda: drover.chat("far"))
    assert answer.status_code == 503
    assert took < 0.7


def test_two_replicas_that_swallow_connections_share_the_connect_timeout(start):
    swallows = [Swallow(), Swallow()]
    urls = [one.url for one in swallows]
    drover = start({"models": {"far": entry(*urls, connect_timeout="1s", health_interval="1h")}})
    answer, took = timed(lambda: drover.chat("far"))
    for one in swallows:
        one.stop()
    assert answer.status_code == 504
    assert took < 1 + SLACK


def test_silence_before_the_first_byte_ends_in_time(start, serve):
    remote = serve()
    remote.mode = "hang"
    drover = start({"models": {"far": entry(remote, first_byte_timeout="500ms")}})
    answer, took = timed(lambda: drover.chat("far"))
    assert answer.status_code == 504
    assert "silent for 500ms" in error_of(answer)
    assert took < 0.5 + SLACK
    assert remote.left.wait(10)


@pytest.mark.parametrize("stream", [False, True])
def test_a_head_is_no_first_byte(start, serve, stream):
    remote = serve()
    remote.pause = 1
    patient, hasty = {"first_byte_timeout": "30s", "idle_timeout": "500ms"}, {"first_byte_timeout": "300ms", "idle_timeout": "30s"}
    drover = start({"models": {"patient": entry(remote, **patient), "hasty": entry(remote, **hasty)}})
    if stream:
        assert streamed(drover, "patient") == (200, "one two three four", True)
    else:
        assert text_of(drover.chat("patient")) == "one two three four"
    assert drover.get("/admin/ps").json()["remotes"][0]["first_byte_ms"] >= 1000
    remote.mode = "head-hang"
    answer = drover.chat("hasty", stream=stream)
    assert answer.status_code == 504 and "silent for 300ms" in error_of(answer)
    assert remote.left.wait(10)


@pytest.mark.parametrize("stream", [False, True])
def test_a_head_without_a_body_is_a_failure_with_a_status(start, serve, stream):
    remote = serve()
    remote.mode = "head"
    drover = start({"models": {"far": entry(remote)}})
    answer = drover.chat("far", stream=stream)
    assert answer.status_code == 502 and remote.url in error_of(answer)
    assert remotes(drover)[0]["failures"] == 1


@pytest.mark.parametrize("mode", ["500", "503", "garbage", "cut"])
def test_an_answer_that_is_none_is_a_failure(start, serve, mode):
    remote = serve()
    remote.mode = mode
    drover = start({"models": {"far": entry(remote, failures=2, open_time="1m")}})
    for _ in range(2):
        answer = drover.chat("far")
        assert answer.status_code == (int(mode) if mode.isdigit() else 502), answer.text
        assert answer.json()["error"]["message"]
    assert drover.chat("far").status_code == 503
    assert len(remote.requests) == 2
    assert circuit(drover) == "open"


def test_a_key_that_is_refused_is_not_the_clients_fault(start, serve):
    remote = serve()
    remote.mode = "401"
    drover = start({"models": {"far": entry(remote)}})
    answer = drover.chat("far")
    assert answer.status_code == 502
    assert "refuses the key that Drover has" in error_of(answer)


def test_a_server_that_asks_for_rest_gets_it(start, serve):
    remote = serve()
    remote.mode, remote.headers = "429", ["Retry-After: 2"]
    drover = start({"models": {"far": entry(remote)}})
    answer = drover.chat("far")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    remote.mode = "ok"
    answer = drover.chat("far")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] in ("1", "2")
    assert len(remote.requests) == 1
    assert circuit(drover) == "closed"
    support.wait_until(lambda: drover.chat("far").status_code == 200, 10, "the end of the rest")


def test_a_model_that_the_server_does_not_have_is_told(start, serve):
    remote = serve(models=["other"])
    drover = start({"models": {"far": entry(remote)}})
    answer = drover.chat("far")
    assert answer.status_code == 404
    assert "upstream-model" in error_of(answer)
    problem = support.wait_until(lambda: remotes(drover)[0]["problem"], 10, "the health check")
    assert problem == "it does not list model 'upstream-model'; it has other"


# ---- streams that break ----


@pytest.mark.parametrize("mode", ["cut", "cut-plain", "slow"])
def test_a_broken_stream_ends_with_an_error_event(start, serve, mode):
    remote = serve()
    remote.mode = mode
    drover = start({"models": {"far": entry(remote, idle_timeout="500ms")}})
    with drover.stream("far") as answer:
        assert answer.status_code == 200
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    assert [one["choices"][0]["delta"]["content"] for one in events[:2]] == ["one", " two"]
    assert events[-1]["error"]["message"]
    assert len(remote.requests) == 1
    assert remotes(drover)[0]["failures"] == 1


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/messages", "/api/chat", "/api/generate"])
def test_a_broken_stream_ends_with_an_error_in_the_clients_words(start, serve, path):
    remote = serve()
    remote.mode = "cut"
    drover = start({"models": {"far": entry(remote)}})
    body = {"model": "far", "stream": True, "max_tokens": 4, "prompt": "hi", "input": "hi"}
    with drover.client.stream("POST", path, json={**body, "messages": [{"role": "user", "content": "hi"}]}) as answer:
        assert answer.status_code == 200
        lines = [line for line in answer.iter_lines() if line]
    last = json.loads(lines[-1].removeprefix("data: "))
    assert any("one" in line for line in lines[:-1])
    if path.startswith("/api/"):
        assert "closed" in last["error"]
        return
    assert lines[-1].startswith("data: ") and "closed" in last["error"]["message"]
    if path == "/v1/messages":
        assert lines[-2] == "event: error" and last["type"] == "error"


# ---- replicas ----


def test_one_of_two_replicas_killed_under_load_fails_no_request(start, serve):
    replicas = [serve(), serve()]
    for one in replicas:
        one.delay = 0.02
    drover = start({"models": {"far": entry(*replicas, failures=3, parallel=64)}})
    killed = threading.Event()

    def ask(i: int) -> int:
        if i == 60:
            replicas[0].stop()
            killed.set()
        return drover.chat("far").status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(200)))
    assert killed.is_set()
    assert statuses == [200] * 200
    assert all(len(one.requests) > 10 for one in replicas)
    assert [one["circuit"] == "closed" for one in remotes(drover)] == [False, True]


def test_one_of_two_replicas_killed_under_load_fails_no_stream_without_a_byte(start, serve):
    replicas = [serve(), serve()]
    for one in replicas:
        one.pause = 0.05
    drover = start({"models": {"far": entry(*replicas, failures=3, parallel=64)}})

    def ask(i: int) -> tuple[int, str, bool]:
        if i == 60:
            replicas[0].stop()
        return streamed(drover, "far", messages=[{"role": "user", "content": f"Conversation {i}."}])

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert {status for status, _, _ in answers} == {200}
    assert [text for _, text, whole in answers if not whole and not text] == []
    assert all(text == "one two three four" for _, text, whole in answers if whole)
    assert all(len(one.requests) > 10 for one in replicas)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses", "/api/chat", "/api/generate"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_replica_that_dies_after_its_head_is_replaced(start, serve, path, stream):
    good, bad = serve(), serve()
    bad.mode = "head"
    drover = start({"models": {"far": entry(good, bad, failures=100)}})
    for i in range(8):
        text = f"Conversation {i}."
        body = {"model": "far", "stream": stream, "max_tokens": 4, "prompt": text, "input": text}
        answer = drover.post(path, {**body, "messages": [{"role": "user", "content": text}]})
        assert answer.status_code == 200 and " four" in answer.text and "error" not in answer.text.replace('"error":null', "")
    assert len(good.requests) == 8 and bad.requests


def test_half_an_answer_that_was_kept_is_forgotten_with_its_replica(start, serve):
    good, bad = serve(), serve()
    bad.mode = "cut"
    drover = start({"models": {"far": entry(good, bad, failures=100)}})
    for i in range(8):
        body = {"model": "far", "stream": False, "messages": [{"role": "user", "content": f"Conversation {i}."}]}
        assert drover.post("/api/chat", body).json()["message"]["content"] == "one two three four"
        assert drover.post("/api/generate", {**body, "prompt": f"Prompt {i}."}).json()["response"] == "one two three four"
        assert text_of(drover.post("/v1/chat/completions", body)) == "one two three four"
    assert len(bad.requests) > 3


def test_a_burst_of_errors_of_one_replica_reaches_no_client(start, serve):
    good, bad = serve(), serve()
    bad.mode = "503"
    drover = start({"models": {"far": entry(good, bad, failures=5, open_time="1m")}})
    for i in range(30):
        messages = [{"role": "user", "content": f"Conversation {i}."}]
        assert drover.chat("far", messages=messages).status_code == 200
    assert len(bad.requests) == 5
    assert [one["circuit"] for one in remotes(drover)] == ["closed", "open"]


def test_a_replica_that_fails_most_of_its_requests_is_left_out_for_a_while(start, serve):
    flaky = serve()
    flaky.mode = "flaky"
    drover = start({"models": {"far": entry(flaky, serve(), serve(), failures=100, open_time="4s", health_interval="1h")}})

    def ask(i: int) -> int:
        return drover.chat("far", messages=[{"role": "user", "content": f"Conversation {i}."}]).status_code

    asked = 0
    while circuit(drover) == "closed":
        assert ask(asked) == 200
        asked += 1
        assert asked < 300
    assert "circuit=open outlier=true" in drover.log_file.read_text()
    before = len(flaky.requests)
    assert before >= 10
    assert {ask(i) for i in range(20)} == {200}
    assert circuit(drover) == "open" and len(flaky.requests) == before
    flaky.mode = "ok"
    support.wait_until(lambda: circuit(drover) == "closed", 20, "the end of its pause")
    assert {ask(i) for i in range(30)} == {200}
    assert len(flaky.requests) > before


def test_a_request_that_streamed_is_never_repeated(start, serve):
    replicas = [serve(), serve()]
    for one in replicas:
        one.mode = "cut"
    drover = start({"models": {"far": entry(*replicas)}})
    with drover.stream("far") as answer:
        assert "error" in answer.read().decode()
    assert sum(len(one.requests) for one in replicas) == 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
def test_a_conversation_stays_with_its_replica(start, serve, path):
    replicas = [serve(), serve(), serve()]
    drover = start({"models": {"far": entry(*replicas)}})
    for name in ("anna", "bert", "carl", "dora", "emil"):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"I am {name}."}]
        for turn in range(4):
            before = [len(one.requests) for one in replicas]
            assert drover.post(path, {"model": "far", "messages": messages, "stream": False}).status_code == 200
            here = next(i for i, one in enumerate(replicas) if len(one.requests) > before[i])
            first = here if turn == 0 else first
            assert here == first
            messages += [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": f"turn {turn}"}]
    assert sum(1 for one in replicas if one.requests) > 1


def test_a_replica_gets_no_more_than_its_limit_at_once(start, serve):
    remote = serve()
    remote.mode = "hang"
    drover = start({"models": {"far": entry(remote, parallel=2, queue=1)}})
    with ThreadPoolExecutor(3) as pool, contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(httpx.Client(base_url=drover.url, timeout=60))
            pool.submit(client.post, "/v1/chat/completions", json={"model": "far", "messages": []})
        support.wait_until(lambda: remotes(drover)[0]["queued"] == 1, 10, "one that waits")
        assert remotes(drover)[0]["leases"] == 2
        answer = drover.chat("far")
        assert answer.status_code == 429
        assert len(remote.requests) == 2
        remote.stop()


# ---- TLS ----


def test_an_unknown_authority_is_not_trusted(start, serve, tmp_path):
    _, context = certificate(tmp_path)
    remote = serve(tls=context)
    drover = start({"models": {"far": entry(remote)}})
    answer = drover.chat("far")
    assert answer.status_code == 502
    assert "certificate" in error_of(answer)
    assert remote.requests == []


def test_an_authority_of_the_configuration_is_trusted(start, serve, tmp_path):
    cert, context = certificate(tmp_path)
    remote = serve(tls=context)
    drover = start({"models": {"far": entry(remote, ca_file=str(cert))}})
    assert text_of(drover.chat("far")) == "one two three four"
    large = "x" * 3_000_000
    assert drover.chat("far", messages=[{"role": "user", "content": large}]).status_code == 200
    assert len(remote.bodies()[1]["messages"][0]["content"]) == 3_000_000
    with drover.stream("far") as answer:
        assert answer.read().decode().endswith("data: [DONE]\n\n")


def test_a_certificate_for_another_name_is_refused(start, serve, tmp_path):
    cert, context = certificate(tmp_path, "elsewhere.example")
    remote = serve(tls=context)
    drover = start({"models": {"far": entry(remote, ca_file=str(cert))}})
    answer = drover.chat("far")
    assert answer.status_code == 502
    assert remote.requests == []


# ---- privacy ----


@pytest.mark.parametrize("value", ["1", "true", "yes please"])
def test_a_request_marked_local_only_never_reaches_a_remote(start, serve, value):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}, "routes": {"any": {"fallback": ["far"]}}})
    private = {"x-drover-local-only": value}
    body = {"model": "far", "messages": [{"role": "user", "content": "secret"}]}
    texts = {"prompt": "secret", "input": "secret", "query": "secret", "documents": ["secret"], "max_tokens": 4}
    openais = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/rerank", "/tokenize")
    others = ("/v1/messages", "/v1/messages/count_tokens", "/api/chat", "/api/generate", "/api/embed")
    for model in ("far", "any"):
        for path in (*openais, *others):
            answer = drover.post(path, {**body, **texts, "model": model}, headers=private)
            assert answer.status_code in (400, 404), (path, model, answer.text)
        answer = transcribe(drover, model, headers=private)
        assert answer.status_code in (400, 404), (model, answer.text)
    assert remote.requests == []
    assert transcribe(drover, "any").status_code == 200
    assert drover.post("/v1/chat/completions", body, headers={"x-drover-local-only": "false"}).status_code == 200


def test_a_server_that_is_local_only_sends_nothing_away(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote)}, "local_only": True})
    answer = drover.chat("far")
    assert answer.status_code == 400
    assert "local_only" in error_of(answer)
    assert remote.requests == []


def test_routes_mix_local_and_remote_models_and_keep_private_ones_here(fake, serve):
    remote = serve()
    routes = {
        "mixed": {"fallback": ["far", "near"]},
        "private": {"fallback": ["far", "near"], "local_only": True},
    }
    drover = fake({"near": ""}, {"routes": routes}, remotes={"far": entry(remote)})
    assert drover.chat("mixed").headers["x-drover-model"] == "far"
    assert drover.chat("private").headers["x-drover-model"] == "near"
    body = {"model": "mixed", "messages": [{"role": "user", "content": "secret"}]}
    answer = drover.post("/v1/chat/completions", body, headers={"x-drover-local-only": "1"})
    assert answer.headers["x-drover-model"] == "near"
    assert len(remote.requests) == 1
    kept = {"input": "hi", "previous_response_id": "resp_1"}  # what a remote cannot be asked
    assert drover.post("/v1/responses", {"model": "far", **kept}).status_code == 400
    answer = drover.post("/v1/responses", {"model": "mixed", **kept})
    assert answer.status_code == 200 and answer.headers["x-drover-model"] == "near"
    assert "far failed: invalid_argument" in answer.headers["x-drover-reason"]
    remote.mode = "head"
    for stream in (False, True):
        answer = drover.chat("mixed", stream=stream)
        assert answer.status_code == 200 and answer.headers["x-drover-model"] == "near"
    remote.stop()
    assert drover.chat("mixed").headers["x-drover-model"] == "near"
    assert drover.chat("near").status_code == 200


# ---- lists ----


def test_the_lists_of_servers_are_merged_and_clashes_told(start, serve):
    first, second = serve(models=["alpha", "shared"]), serve(models=["beta", "shared", "far"])
    everything = {"served_name": "*"}
    models = {"one": entry(first, **everything), "two": entry(second, **everything), "far": entry(first, served_name="alpha")}
    drover = start({"models": models})

    def listed():
        return {one["id"] for one in drover.get("/v1/models").json()["data"]}

    support.wait_until(lambda: {"alpha", "beta"} <= listed(), 10, "both lists")
    names = listed()
    assert "far" in names and "two/far" in names
    assert "shared" in names and len({"one/shared", "two/shared"} & names) == 1
    assert "one" not in names and "two" not in names
    assert text_of(drover.chat("beta")) and second.bodies()[-1]["model"] == "beta"
    assert text_of(drover.chat("two/far")) and second.bodies()[-1]["model"] == "far"
    assert text_of(drover.chat("one/alpha")) and first.bodies()[-1]["model"] == "alpha"
    assert any("others have these names" in one["problem"] for one in remotes(drover))
    answer = drover.chat("two")
    assert answer.status_code == 404 and "stands for a server's models" in error_of(answer)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_drovers_that_list_each_other_find_an_end(start, serve):
    """Each has a model of the same name, two ways to the other, and so a new name for everything that it hears."""
    source, clock = serve(models=["x"]), serve()
    ports = [free_port(), free_port()]
    ways = {"served_name": "*", "health_interval": "100ms", "connect_timeout": "1s", "failures": 1000}
    drovers = []
    for own, other in (ports, reversed(ports)):
        models = {name: entry(f"http://127.0.0.1:{other}", **ways) for name in ("one", "two")}
        models |= {"x": entry(source, served_name="x"), "clock": entry(clock, health_interval="100ms")}
        drovers.append(start({"models": models, "listen": f"127.0.0.1:{own}"}))

    def listed() -> list[set[str]]:
        return [{one["id"] for one in drover.get("/v1/models").json()["data"]} for drover in drovers]

    support.wait_until(lambda: all({"one/x", "two/x"} <= names for names in listed()), 10, "each other's names")
    seen = clock.lists
    support.wait_until(lambda: clock.lists > seen + 20, 20, "ten more looks")
    before = listed()
    support.wait_until(lambda: clock.lists > seen + 40, 20, "ten more looks")
    assert listed() == before
    assert max(len(names) for names in before) < 20
    assert text_of(drovers[0].chat("one/x")) == "one two three four"


def test_a_server_that_lists_ever_new_names_is_heard_so_long(start, serve):
    remote = serve(models=[])
    drover = start({"models": {"any": entry(remote, served_name="*", health_interval="100ms")}})
    for generation in range(3):
        remote.models = [f"{generation}-{i}" for i in range(1500)]
        seen = remote.lists
        support.wait_until(lambda: remote.lists > seen + 1, 20, "another look")
    support.wait_until(lambda: remotes(drover)[0]["problem"], 20, "the end of its patience")
    assert "it has listed 4000 names by now" in remotes(drover)[0]["problem"]
    assert len(drover.get("/v1/models").json()["data"]) == 1000
    assert text_of(drover.chat("2-999"))
    assert drover.chat("2-1000").status_code == 404


def test_the_commands_show_remotes_and_their_circuits(start, serve):
    remote = serve()
    drover = start({"models": {"far": entry(remote, failures=1, open_time="1m")}})
    assert f"remote ({remote.url}/v1)" in drover.run("list").stdout
    assert "closed" in drover.run("ps").stdout
    healthy = drover.run("--config", str(drover.config_file), "doctor").stdout
    assert f"{remote.url}/v1 answers, 1 models" in healthy
    remote.stop()
    drover.chat("far")
    assert "open for" in drover.run("ps").stdout
    assert "down" in drover.run("list").stdout
    broken = drover.run("--config", str(drover.config_file), "doctor")
    assert "refused" in broken.stdout and broken.returncode != 0


# ---- the others ----


def test_a_dead_remote_disturbs_no_local_model(fake, serve):
    remote = serve()
    remote.mode = "hang"
    drover = fake({"near": ""}, remotes={"far": entry(remote, failures=2)})
    with ThreadPoolExecutor(4) as pool:
        far = [pool.submit(drover.chat, "far") for _ in range(4)]
        support.wait_until(lambda: len(remote.requests) == 4, 10, "the remote's requests")
        assert drover.chat("near").status_code == 200
        remote.stop()
        assert all(one.result().status_code == 502 for one in far)
    assert drover.chat("near").status_code == 200
    assert drover.chat("far").status_code == 503
