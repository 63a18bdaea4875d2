"""Engines that sleep instead of leaving: what they keep, how they come back, and what may go wrong."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import FAKE_ENGINE, wait_until

# Each model is charged with about 440 MiB: one fits, and what another one keeps asleep.
ROOM_FOR_ONE = {"memory": {"budget": "700MiB", "min_residency": "1ms"}}


@pytest.fixture
def sleepy(fake, tmp_path):
    """As `fake`, with an engine that lies where scripts/install-engine would have put one that can sleep."""
    engine = tmp_path / "engine" / "bin" / "llama-server"
    engine.parent.mkdir(parents=True)
    engine.symlink_to(FAKE_ENGINE)
    library = tmp_path / "engine" / "lib" / "libdrover-preload.3.so"
    library.parent.mkdir()
    library.touch()  # the fake engine needs no library; the loader ignores an empty one

    def run(behaviours, config=None, **arguments):
        return fake(behaviours, config or ROOM_FOR_ONE, engine=str(engine), **arguments)

    return run


def state_of(server, model):
    return server.instances().get(model, {}).get("state")


def test_a_model_that_is_evicted_sleeps_and_wakes_up_in_the_same_process(sleepy):
    server = sleepy({"a": "alloc=100", "b": ""})
    assert server.chat("a").status_code == 200
    before = server.instances()["a"]
    assert server.chat("b").status_code == 200
    asleep = server.instances()["a"]
    assert (asleep["state"], asleep["pid"]) == ("asleep", before["pid"])
    assert asleep["bytes"] < before["bytes"] - 100 * 1024 * 1024
    assert server.chat("a").status_code == 200
    assert server.instances()["a"]["pid"] == before["pid"]
    assert state_of(server, "b") == "asleep"


def test_a_model_that_keeps_too_much_asleep_leaves(sleepy):
    server = sleepy({"a": "sleep-keeps=300", "b": ""})
    server.chat("a")
    assert server.chat("b").status_code == 200
    assert list(server.instances()) == ["b"]
    assert "instance.asleep" in server.log_file.read_text()


def test_sleep_can_be_switched_off(sleepy):
    server = sleepy({"a": "alloc=300", "b": ""}, a={"sleep": False})
    server.chat("a")
    server.chat("b")
    assert list(server.instances()) == ["b"]


def test_an_engine_that_does_not_fall_asleep_in_time_is_stopped(sleepy):
    server = sleepy({"a": "sleepless", "b": ""})
    server.chat("a")
    assert server.chat("b").status_code == 200
    assert list(server.instances()) == ["b"]
    assert "instance.sleepless" in server.log_file.read_text()


def test_an_engine_that_dies_instead_of_falling_asleep_harms_nobody(sleepy):
    server = sleepy({"a": "sleep-crash", "b": ""})
    server.chat("a")
    assert server.chat("b").status_code == 200
    assert server.chat("a").status_code == 200


def test_an_engine_that_does_not_wake_up_is_started_anew(sleepy):
    server = sleepy({"a": "wake-crash", "b": ""})
    server.chat("a")
    pid = server.pid_of("a")
    server.chat("b")
    assert state_of(server, "a") == "asleep"
    assert server.chat("a").status_code == 200
    assert server.pid_of("a") != pid


def test_an_engine_that_is_killed_while_it_sleeps_is_started_at_the_next_request(sleepy):
    server = sleepy({"a": "", "b": ""})
    server.chat("a")
    pid = server.pid_of("a")
    server.chat("b")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "a" not in server.instances(), 10, "the end of the instance")
    assert server.chat("a").status_code == 200


def test_stop_ends_a_model_that_sleeps(sleepy):
    server = sleepy({"a": "", "b": ""})
    server.chat("a")
    server.chat("b")
    assert server.run("stop", "a").returncode == 0
    assert list(server.instances()) == ["b"]


def test_a_model_that_sleeps_leaves_when_its_keep_alive_ends(sleepy):
    server = sleepy({"a": "", "b": ""}, a={"keep_alive": "1s"})
    server.chat("a")
    server.chat("b")
    wait_until(lambda: list(server.instances()) == ["b"], 10, "the end of the keep-alive")


def test_the_server_stops_while_models_sleep_and_wake(sleepy):
    server = sleepy({"a": "wake=300", "b": ""})
    server.chat("a")
    server.chat("b")
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(server.chat, "a")
        wait_until(lambda: state_of(server, "a") == "loading", 10, "the awakening")
        assert server.stop() == 0
        assert pending.result().status_code in (200, 503)


def test_conversations_are_saved_before_a_sleep_and_restored_after_it(sleepy):
    server = sleepy({"a": "slots=300", "b": ""})
    server.chat("a")
    server.chat("b")
    assert server.get("/admin/ps").json()["snapshots"]["saved"] == 2
    server.chat("a")
    assert server.instances()["a"]["restored_tokens"] > 0


def test_many_clients_of_three_models_with_room_for_one_lose_nothing(sleepy):
    server = sleepy({"a": "", "b": "", "c": ""})
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(server.chat, "abcabcacbbca" * 5))
    assert [one.status_code for one in answers] == [200] * 60
    log = server.log_file.read_text()
    assert log.count("instance.waking") > 0
    assert "instance.failed" not in log


def test_a_model_that_usually_comes_next_wakes_up_ahead_of_its_request_where_there_is_room(sleepy):
    server = sleepy({"first": "", "next": "", "last": ""}, first={"context": 256, "parallel": 1})
    for _ in range(4):
        for model in ("first", "next", "last"):
            assert server.chat(model).status_code == 200
    assert state_of(server, "next") == "asleep"
    assert server.run("stop", "last").returncode == 0
    server.chat("first")
    wait_until(lambda: state_of(server, "next") == "ready", 10, "the awakening")


def test_a_route_expects_a_model_that_sleeps_sooner_than_one_that_is_cold(sleepy):
    routes = {"auto": {"task": {"code": "a"}, "fallback": ["b", "c"]}}
    server = sleepy({"a": "load=300", "b": "", "c": "load=300"}, {**ROOM_FOR_ONE, "routes": routes})
    for model in ("a", "b", "a", "b"):
        server.chat(model)
    body = {"model": "auto", "messages": [{"role": "user", "content": "Say hello."}]}
    expected = {one["model"]: one["expected_ms"] for one in server.post("/v1/route", body).json()["targets"]}
    assert expected["b"] < expected["a"] < expected["c"]
