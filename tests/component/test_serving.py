"""The gateway in front of a fake engine: what clients send, right and wrong."""

import contextlib
import json
import select
import socket
import threading

import support
from support import wait_until


def raw(server, data: bytes, timeout: float = 10) -> bytes:
    """What comes back for bytes on a fresh connection, until the server closes it."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_answers_and_names_the_model(fake):
    server = fake({"a": ""})
    answer = server.chat("a")
    assert answer.status_code == 200
    assert answer.headers["x-drover-model"] == "a"
    assert answer.json()["choices"][0]["message"]["content"]


def test_unknown_model_is_404_with_the_nearest_names(fake):
    server = fake({"smollm": "", "gemma": ""})
    answer = server.chat("smolm")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "model_not_found"
    assert "smolm" in error["message"] and "smollm" in error["message"]


def test_bad_bodies_are_400_and_say_why(fake):
    server = fake({"a": "", "b": ""})
    for body, hint in [
        ("{", "JSON"),
        ("", "empty"),
        ("[1]", "object"),
        ('{"messages": []}', "model"),
        ('{"model": 7}', "model"),
        ('{"model": "a", "keep_alive": "soon"}', "keep_alive"),
    ]:
        answer = server.client.post("/v1/chat/completions", content=body)
        assert answer.status_code == 400, body
        assert hint in answer.json()["error"]["message"], (body, answer.text)


def test_limits_on_head_and_body(fake):
    server = fake({"a": ""}, {"limits": {"body": "10KiB", "header": "2KiB"}})
    answer = server.chat("a", padding="x" * 20_000)
    assert answer.status_code == 413
    assert "limits.body" in answer.json()["error"]["message"]
    answer = server.client.get("/v1/models", headers={"x-long": "y" * 4_000})
    assert answer.status_code == 431
    assert server.chat("a").status_code == 200


def test_all_bodies_together_are_bounded(fake):
    server = fake({"a": ""}, {"limits": {"body": "2MiB", "bodies": "3MiB"}})
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
    answers = []
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((host, int(port)), 10)) for _ in range(2)]
        for client in clients:
            client.sendall(head + b" " * 1_900_000)
        # One of the two finds no room for what it sends.
        ready, _, _ = select.select(clients, [], [], 10)
        answers = [client.recv(65536) for client in ready]
    assert len(answers) == 1 and b" 503 " in answers[0] and b"limits.bodies" in answers[0]
    assert b"\r\nRetry-After: " in answers[0]
    support.wait_until(lambda: server.chat("a", padding="x" * 1_900_000).status_code == 200, what="room again")


def test_a_slow_client_is_cut_off_and_others_are_served(fake):
    server = fake({"a": ""}, {"limits": {"header_timeout": "300ms", "body_timeout": "300ms"}})
    slow_head = raw(server, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
    slow_body = raw(server, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert b" 408 " in slow_head and b" 408 " in slow_body
    assert server.chat("a").status_code == 200


def test_smuggling_attempts_are_refused(fake):
    server = fake({"a": ""})
    both = raw(
        server,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    assert both.startswith(b"HTTP/1.1 400")
    assert raw(server, b"\x16\x03\x01 not http\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_unknown_paths_and_methods(fake):
    server = fake({"a": ""})
    assert server.get("/v1/nothing").status_code == 404
    wrong = server.get("/v1/chat/completions")
    assert wrong.status_code == 405 and "POST" in wrong.headers["allow"]
    assert server.post("/tools", {}).status_code == 404


def test_options_and_admin_replies_leave_the_server_whole(fake):
    """These replies were destroyed twice (a g++ 12 bug): one OPTIONS request ended the server."""
    server = fake({"a": ""})
    for _ in range(3):
        allowed = server.client.options("/v1/chat/completions")
        assert allowed.status_code == 204 and "POST" in allowed.headers["allow"]
        assert server.post("/admin/load", {"model": "a"}).json() == {"model": "a"}
        assert server.post("/admin/unload", {"model": "a"}).json()["freed"] > 0
    assert server.process.poll() is None


def test_a_foreign_host_or_origin_is_refused(fake):
    server = fake({"a": ""})
    assert server.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
    assert server.post("/v1/chat/completions", {"model": "a"}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert server.get("/v1/models", headers={"Host": "localhost"}).status_code == 200


def test_engine_endpoints_are_forwarded(fake):
    server = fake({"a": "", "embeds": "", "ranks": ""}, embeds={"task": "embedding"}, ranks={"task": "rerank"})
    others = {"/v1/embeddings": "embeds", "/v1/rerank": "ranks"}
    for path in ["/v1/completions", "/v1/responses", "/v1/messages", "/infill", "/tokenize", *others]:
        answer = server.post(path, {"model": others.get(path, "a"), "input": "x", "prompt": "x", "content": "x", "query": "x", "documents": ["x"]})
        assert answer.status_code == 200, (path, answer.text)


def test_a_request_without_a_model_goes_to_the_only_one(fake):
    server = fake({"a": ""}, {"models_dir": "/nonexistent"})
    assert server.post("/v1/chat/completions", {"messages": []}).headers["x-drover-model"] == "a"


def test_a_client_that_leaves_stops_the_generation(fake):
    server = fake({"a": "slow=20"})
    with server.stream("a", fake="endless") as response:
        lines = response.iter_lines()  # kept: a dropped iterator closes the connection
        next(lines)
        assert server.instances()["a"]["leases"] == 1
    wait_until(lambda: server.instances()["a"]["leases"] == 0, 5, "the end of the lease")


def test_streams_pass_through_piece_by_piece(fake):
    server = fake({"a": ""})
    with server.stream("a", fake="tokens=5,slow=10") as response:
        events = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    contents = [json.loads(event[6:])["choices"] for event in events[:-1]]
    assert sum(1 for choice in contents if choice and choice[0]["delta"].get("content")) == 5


def test_keep_alive_connections_serve_many_requests(fake):
    server = fake({"a": ""})
    for _ in range(250):  # more than the engine allows on one of its connections
        assert server.chat("a").status_code == 200


def test_the_queue_is_bounded(fake):
    server = fake({"a": "think=300"}, a={"parallel": 1, "queue": 2})
    server.chat("a")
    statuses = []
    lock = threading.Lock()

    def ask():
        answer = support.httpx.post(
            f"{server.url}/v1/chat/completions", json={"model": "a", "messages": []}, timeout=30, trust_env=False
        )
        with lock:
            statuses.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [retry for status, retry in statuses if status == 429]
    assert len(refused) == 5 and all(int(retry) >= 1 for retry in refused), statuses
    assert sum(1 for status, _ in statuses if status == 200) == 3


def test_pages_that_are_allowed_can_read_the_answers(fake):
    server = fake({"a": ""}, {"origins": "https://*.example.org, app://mine"})
    body = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    for origin in ("https://chat.example.org", "http://localhost:3000", "app://mine"):
        headers = {"Origin": origin}
        asked = server.client.options("/api/chat", headers={**headers, "Access-Control-Request-Method": "POST"})
        assert asked.status_code == 204 and "POST" in asked.headers["access-control-allow-methods"]
        answers = [
            server.post("/api/chat", body, headers=headers),
            server.post("/api/chat", {**body, "stream": False}, headers=headers),
            server.post("/v1/chat/completions", {**body, "stream": True}, headers=headers),
            server.get("/v1/models", headers=headers),
            server.post("/api/chat", {}, headers=headers),
        ]
        assert [one.headers.get("access-control-allow-origin") for one in answers] == [origin] * 5
    for origin in ("https://example.org.evil", "https://evil.example"):
        assert server.post("/api/chat", body, headers={"Origin": origin}).status_code == 403
        assert server.client.options("/api/chat", headers={"Origin": origin}).status_code == 403
        assert "access-control-allow-origin" not in server.get("/v1/models", headers={"Origin": origin}).headers
    assert "access-control-allow-origin" not in server.post("/api/chat", body).headers
