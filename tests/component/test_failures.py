"""Engines that crash, hang and lie: each fails only its own requests, and says why."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from support import is_alive, psutil, wait_until


def error_of(answer: httpx.Response) -> str:
    return answer.json()["error"]["message"]


def test_an_engine_killed_in_mid_stream_hits_only_its_own_requests(fake):
    server = fake({"a": "slow=20", "b": "slow=20"})
    with server.stream("a", fake="endless") as dying, server.stream("b", fake="tokens=40") as other:
        lines = dying.iter_lines()
        next(lines)
        os.kill(server.pid_of("a"), signal.SIGKILL)
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert "signal 9" in rest[-1]["error"]["message"]
        assert other.read().count(b"token") >= 40
        assert b"[DONE]" in other.content
    assert server.chat("a").status_code == 200


@pytest.mark.parametrize("directive, words", [("exit-at-start=3,message=no such tensor", "no such tensor"), ("signal-at-start=11", "signal 11")])
def test_an_engine_that_ends_at_start_leaves_its_last_words(fake, directive, words):
    server = fake({"a": directive.replace(" ", "_")})
    answer = server.chat("a")
    assert answer.status_code == 502
    assert words.replace(" ", "_") in error_of(answer) or words in error_of(answer)


def test_repeated_failures_back_off(fake):
    server = fake({"a": "exit-at-start=1"})
    statuses = [server.chat("a").status_code for _ in range(4)]
    assert statuses[0] == 502 and 503 in statuses
    answer = server.chat("a")
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1


def test_an_engine_that_never_becomes_ready_is_killed(fake):
    server = fake({"a": "load-hang"}, {"engine": {"load_timeout": "500ms"}})
    answer = server.chat("a")
    assert answer.status_code in (502, 504)
    assert "load_timeout" in error_of(answer)


def test_an_engine_that_freezes_is_killed(fake):
    server = fake({"a": ""}, {"engine": {"health_timeout": "600ms"}})
    server.chat("a")
    frozen = server.pid_of("a")
    os.kill(frozen, signal.SIGSTOP)
    # No byte of an answer had come, so the request goes to the next engine.
    assert server.chat("a").status_code == 200
    assert server.pid_of("a") != frozen
    assert "health_timeout" in server.log_file.read_text()


def test_an_engine_that_stays_silent_is_killed(fake):
    server = fake({"a": ""}, {"engine": {"stall_timeout": "500ms"}})
    answer = server.chat("a", fake="hang")
    assert answer.status_code == 504
    assert "model 'a' was silent for 500ms; its last words: " in error_of(answer)
    assert server.chat("a").status_code == 200


@pytest.mark.parametrize("directive", ["garbage", "huge-header", "crash", "cut-head"])
def test_answers_that_are_none_become_502(fake, directive):
    server = fake({"a": ""})
    answer = server.chat("a", fake=directive)
    assert answer.status_code == 502, answer.text
    assert "model 'a'" in error_of(answer) and "last words: " in error_of(answer)
    assert server.chat("a").status_code == 200


def test_an_engines_own_error_passes_through(fake):
    server = fake({"a": ""})
    assert server.chat("a", fake="status=418").status_code == 418


def test_a_body_cut_short_is_no_success(fake):
    server = fake({"a": ""})
    with pytest.raises(httpx.HTTPError):
        server.chat("a", fake="cut").raise_for_status()


def test_sigterm_lets_running_requests_finish(fake):
    server = fake({"a": "slow=20"})
    with server.stream("a", fake="tokens=50") as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        assert "data: [DONE]" in list(lines)
    assert server.process.wait(20) == 0


def test_a_stream_that_lasts_longer_than_the_server_ends_with_an_error_event(fake):
    server = fake({"a": "slow=20"}, {"limits": {"drain_timeout": "200ms"}})
    with server.stream("a", fake="endless") as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert events[-1]["error"]["message"] == "the server is stopping"
    assert server.process.wait(20) == 0


def test_who_waits_when_the_server_stops_may_come_again(fake):
    server = fake({"a": "load=60000"})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.chat, "a")
        wait_until(lambda: server.get("/admin/ps").json()["queued"] == 1)
        server.process.send_signal(signal.SIGTERM)
        answer = waiting.result()
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    assert server.process.wait(20) == 0


def test_sigterm_while_a_model_loads_ends_at_once(fake):
    server = fake({"a": "load=60000"})
    with pytest.raises(httpx.HTTPError):
        server.client.post("/v1/chat/completions", json={"model": "a"}, timeout=0.5)
    assert server.stop() == 0


def test_a_killed_server_leaves_no_engine(fake):
    server = fake({"a": "", "b": "load=60000"})
    server.chat("a")
    with pytest.raises(httpx.HTTPError):
        server.client.post("/v1/chat/completions", json={"model": "b"}, timeout=0.5)
    assert len(server.processes()) == 3
    server.stop(signal.SIGKILL)


def test_an_engine_that_ignores_sigterm_is_killed(fake):
    server = fake({"a": "ignore-term"}, {"engine": {"stop_timeout": "300ms"}})
    server.chat("a")
    engine = psutil.Process(server.pid_of("a"))
    assert server.post("/admin/unload", {"model": "a"}).json()["freed"] > 0
    wait_until(lambda: not is_alive(engine), 5)


def test_two_servers_on_one_port(fake, tmp_path):
    server = fake({"a": ""})
    port = server.url.rsplit(":", 1)[1]
    answer = server.run("--set", f"listen=127.0.0.1:{port}", "serve")
    assert answer.returncode == 1
    assert port in answer.stderr


def test_no_request_is_lost_when_engines_die_under_load(fake):
    """Kills engines while clients ask; every request gets an answer, and only a killed engine's own fail."""
    import threading

    server = fake({"a": "slow=2", "b": "slow=2"})
    statuses: list[tuple[str, int]] = []
    done = threading.Event()

    def ask(model: str):
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
            while not done.is_set():
                answer = client.post("/v1/chat/completions", json={"model": model, "messages": [], "max_tokens": 8})
                statuses.append((model, answer.status_code))

    threads = [threading.Thread(target=ask, args=(model,)) for model in "aabb"]
    for thread in threads:
        thread.start()
    for _ in range(3):
        wait_until(lambda: server.instances().get("a", {}).get("state") == "ready", 20)
        before = len(statuses)
        os.kill(server.pid_of("a"), signal.SIGKILL)
        wait_until(lambda: len(statuses) > before + 20, 20)
    done.set()
    for thread in threads:
        thread.join()
    assert {status for model, status in statuses if model == "b"} == {200}
    assert {status for _, status in statuses} <= {200, 502, 503}


