"""vLLM's sleep mode on GPUs, with the fake engine in its place and invented GPUs: what it keeps where, and what may go wrong."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import FAKE_NVML, is_alive, tree_of, wait_until

GIB = 1 << 30
# Each has 1 GiB of weights and 4.5 GiB of cache, beside 2 GiB of the GPU and 3 GiB of host memory: one fits on a GPU, and
# what another one keeps of it asleep.
MODEL = {"memory": "8GiB", "device": 0}
CONFIG = {"memory": {"budget": "16GiB", "gpus": {0: "10GiB"}, "min_residency": "1ms"}}


@pytest.fixture
def sleepy(vllm, tmp_path):
    """sleepy({"a": "directives"}) runs a server on a machine with a GPU that has room for one of the models."""
    if not FAKE_NVML:
        pytest.skip("DROVER_FAKE_NVML is not set; run scripts/test")
    gpus = tmp_path / "gpus"
    gpus.write_text("gpu GPU-a A 24576 24576\ngpu GPU-b B 24576 24576\n")

    def run(behaviours, config=CONFIG, **entries):
        models = {name: {**MODEL, **entries.get(name, {})} for name in behaviours}
        return vllm(behaviours, config, {"DROVER_NVML": FAKE_NVML, "FAKE_NVML": str(gpus)}, tensors=GIB, **models)

    return run


def state_of(server, model):
    return server.instances().get(model, {}).get("state")


def pids_of(server, model):
    return [process.pid for process in tree_of(server, model)]


def test_it_gives_the_gpu_back_and_keeps_its_weights_in_host_memory(sleepy):
    server = sleepy({"a": "worker", "b": ""})
    assert server.chat("a").status_code == 200
    awake, pids = server.instances()["a"], pids_of(server, "a")
    assert server.chat("b").status_code == 200
    asleep = server.instances()["a"]
    assert (asleep["state"], pids_of(server, "a")) == ("asleep", pids)
    assert awake["devices"]["GPU 0"] == 7.5 * GIB and asleep["devices"]["GPU 0"] == 2 * GIB
    assert asleep["devices"]["host"] == awake["devices"]["host"] + GIB
    held = {one["device"]: one["held"] for one in server.get("/admin/ps").json()["budget"]}
    assert held["GPU 0"] == 9.5 * GIB
    assert server.chat("a").status_code == 200
    assert (state_of(server, "a"), pids_of(server, "a")) == ("ready", pids)
    assert server.instances()["a"]["devices"] == awake["devices"]
    assert state_of(server, "b") == "asleep"


def test_level_2_keeps_no_weights_and_reads_them_again(sleepy):
    server = sleepy({"a": "", "b": ""}, a={"sleep": 2})
    server.chat("a")
    pids = pids_of(server, "a")
    server.chat("b")
    asleep = server.instances()["a"]
    assert asleep["state"] == "asleep" and asleep["devices"]["host"] < GIB
    assert server.chat("a").status_code == 200  # the fake dies when it is asked with weights that are not its own
    assert pids_of(server, "a") == pids


def test_one_whose_weights_find_no_room_in_host_memory_sleeps_deeply(sleepy):
    memory = {**CONFIG["memory"], "budget": "6656MiB"}
    server = sleepy({"a": "", "b": ""}, {"memory": memory})
    server.chat("a")
    pids = pids_of(server, "a")
    assert server.chat("b").status_code == 200
    assert (state_of(server, "a"), pids_of(server, "a")) == ("asleep", pids)
    assert server.instances()["a"]["devices"]["host"] < GIB
    assert server.chat("a").status_code == 200  # the fake dies unless its weights were read again
    assert pids_of(server, "a") == pids


def test_one_that_finds_no_room_in_host_memory_leaves(sleepy):
    memory = {**CONFIG["memory"], "budget": "5632MiB"}
    server = sleepy({"a": "", "b": ""}, {"memory": memory})
    server.chat("a")
    assert server.chat("b").status_code == 200
    assert list(server.instances()) == ["b"]


def test_one_that_is_divided_sleeps_and_wakes_on_all_of_its_gpus(sleepy):
    memory = {**CONFIG["memory"], "gpus": {0: "10GiB", 1: "10GiB"}}
    both = {"device": [0, 1], "memory": "14GiB"}
    server = sleepy({"a": "", "b": ""}, {"memory": memory}, a=both, b=both)
    assert server.chat("a").status_code == 200
    awake, pids = server.instances()["a"]["devices"], pids_of(server, "a")
    assert awake["GPU 0"] == awake["GPU 1"] > 7 * GIB
    assert server.chat("b").status_code == 200
    asleep = server.instances()["a"]
    assert (asleep["state"], pids_of(server, "a")) == ("asleep", pids)
    assert asleep["devices"]["GPU 0"] == asleep["devices"]["GPU 1"] == 2 * GIB
    assert server.chat("a").status_code == 200
    assert pids_of(server, "a") == pids and state_of(server, "b") == "asleep"


def test_a_sleep_is_no_matter_of_other_gpus(sleepy):
    server = sleepy({"a": "", "b": "", "other": ""}, other={"device": 1, "memory": "4GiB"})
    for model in ("other", "a", "b"):
        assert server.chat(model).status_code == 200
    assert state_of(server, "other") == "ready" and state_of(server, "a") == "asleep"


def test_it_can_be_switched_off_and_is_not_for_the_host(sleepy):
    server = sleepy({"a": "", "b": "", "c": ""}, a={"sleep": False}, c={"device": "host", "memory": "3GiB"})
    for model in "ac":
        server.chat(model)
        (engine, *_) = tree_of(server, model)[1:]
        assert "--enable-sleep-mode" not in engine.cmdline()
        assert "VLLM_SERVER_DEV_MODE" not in engine.environ()
    server.chat("b")
    (engine, *_) = tree_of(server, "b")[1:]
    assert "--enable-sleep-mode" in engine.cmdline() and engine.environ()["VLLM_SERVER_DEV_MODE"] == "1"
    assert state_of(server, "a") is None


def test_running_requests_end_before_it_sleeps(sleepy):
    server = sleepy({"a": "slow=20", "b": ""})
    with server.stream("a", fake="tokens=20") as answer, ThreadPoolExecutor() as others:
        lines = answer.iter_lines()
        next(lines)
        other = others.submit(server.chat, "b")
        assert sum("token" in line for line in lines) >= 19
        assert other.result().status_code == 200
    assert state_of(server, "a") == "asleep"


@pytest.mark.parametrize("fault", ["sleep-fails", "sleepless", "sleep-crash"])
def test_a_sleep_that_fails_costs_no_request(sleepy, fault):
    server = sleepy({"a": fault, "b": ""})
    server.chat("a")
    assert server.chat("b").status_code == 200
    assert list(server.instances()) == ["b"]
    assert server.chat("a").status_code == 200


def test_one_that_does_not_wake_up_is_started_anew(sleepy):
    server = sleepy({"a": "wake-crash", "b": ""})
    server.chat("a")
    pids = pids_of(server, "a")
    server.chat("b")
    assert state_of(server, "a") == "asleep"
    assert server.chat("a").status_code == 200
    assert not set(pids) & set(pids_of(server, "a"))


def test_it_is_not_asked_before_it_is_awake(sleepy):
    server = sleepy({"a": "wake=100,wake-busy=300", "b": ""})
    for model in ("a", "b", "a"):
        assert server.chat(model).status_code == 200


def test_a_worker_killed_in_its_sleep_ends_the_sleep(sleepy):
    server = sleepy({"a": "worker", "b": ""})
    server.chat("a")
    server.chat("b")
    tree = tree_of(server, "a")
    os.kill(tree[-1].pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(process) for process in tree), what="the end of its tree")
    assert server.chat("a").status_code == 200


def test_stop_ends_one_that_sleeps_with_its_workers(sleepy):
    server = sleepy({"a": "worker", "b": ""})
    server.chat("a")
    server.chat("b")
    tree = tree_of(server, "a")
    server.post("/admin/unload", {"model": "a"})
    wait_until(lambda: not any(is_alive(process) for process in tree), what="the end of its tree")
    assert list(server.instances()) == ["b"]


def test_many_clients_of_three_models_with_room_for_one_lose_nothing(sleepy):
    server = sleepy({"a": "", "b": "", "c": ""})
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda i: server.chat("abc"[i % 3]).status_code, range(30)))
    assert answers == [200] * 30
