"""vLLM on a real NVIDIA GPU, alone and beside llama.cpp: memory, sleep, and what happens when something is killed. A run of
its own: scripts/test gpu, with DROVER_VLLM naming an environment that vLLM for CUDA is installed in."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support import SMOL, Drover, is_alive, pss_of, statuses_at_once, tree_of, wait_until
from test_real_gpu import ENGINE, MIB, users
from vllm_folder import real_models

VLLM = Path(os.environ.get("DROVER_VLLM", "/nonexistent"))
TIMEOUT_S = 600
GIB = 1 << 30
# One of vLLM's awake (4.5 GiB: the declared memory without what is in host memory), one asleep, and a small one of llama.cpp.
BUDGET = 8 * GIB

pytestmark = [
    pytest.mark.skipif(not ENGINE or not VLLM.exists(), reason="DROVER_VLLM and DROVER_GPU_ENGINE are not both set"),
    pytest.mark.timeout(2 * TIMEOUT_S),
]


@pytest.fixture(scope="module")
def folder():
    return real_models(VLLM, TIMEOUT_S)


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """Two models of vLLM that sleep in its two ways and one of llama.cpp; the GPU's budget holds one of vLLM's awake."""
    entry = {"engine": "vllm", "venv": str(VLLM), "file": str(folder / "smol"), "context": 1024, "parallel": 32,
             "queue": 1000, "extra_args": ["--enforce-eager"], "keep_alive": -1, "memory": "5GiB"}
    models = {
        "light": {**entry, "sleep": 1},
        "deep": {**entry, "sleep": 2},
        "little": {"file": str(SMOL), "keep_alive": -1},
    }
    config = {
        "engine": {"llama_server": ENGINE, "load_timeout": f"{TIMEOUT_S}s", "health_timeout": "5m"},
        "limits": {"queue_timeout": f"{TIMEOUT_S}s"},
        "memory": {"gpus": {"0": BUDGET}, "min_residency": "1ms"},
        "models": models,
    }
    drover = Drover(tmp_path_factory.mktemp("server"), config, ENGINE)
    drover.client.timeout = httpx.Timeout(TIMEOUT_S)
    yield drover
    if drover.process.poll() is None:
        drover.stop()


def used_by(server, *models) -> int:
    """Of the GPU, by the driver."""
    pids = {process.pid for model in models for process in tree_of(server, model)}
    return sum(used for pid, used in users().items() if pid in pids)


def used_by_all(server) -> int:
    return used_by(server, *server.instances())


def host_memory_of(server, model) -> int:
    return sum(pss_of(process.pid) for process in tree_of(server, model))


def says(server, model) -> str:
    question = [{"role": "user", "content": "What is the capital of France?"}]
    answer = server.chat(model, messages=question, max_tokens=16, temperature=0)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def state_of(server, model):
    return server.instances().get(model, {}).get("state")


def charged(server, model) -> int:
    return server.instances()[model]["devices"]["GPU 0"]


def report(text, *values):
    """Figures for the docs; pytest shows them with -s."""
    print("\nFIGURE", text, *(round(value / MIB) for value in values))


def test_it_answers_on_the_gpu_and_takes_no_more_than_it_was_granted(server):
    assert "Paris" in says(server, "light")
    assert server.instances()["light"]["where"] == "GPU 0"
    report("awake: GPU, charged; host, charged", used_by(server, "light"), charged(server, "light"),
           host_memory_of(server, "light"), server.instances()["light"]["devices"]["host"])
    assert GIB < used_by(server, "light") <= charged(server, "light")


@pytest.mark.parametrize("model, other", [("light", "deep"), ("deep", "light")])
def test_it_sleeps_and_wakes_up_as_it_was(server, model, other):
    before, awake = says(server, model), used_by(server, model)
    pids = [process.pid for process in tree_of(server, model)]
    says(server, other)
    assert state_of(server, model) == "asleep", server.instances()
    report(f"{model} asleep: GPU, charged; host, charged", used_by(server, model), charged(server, model),
           host_memory_of(server, model), server.instances()[model]["devices"]["host"])
    assert used_by(server, model) < awake - GIB
    assert used_by(server, model) <= charged(server, model)
    assert used_by_all(server) <= BUDGET
    begun = time.monotonic()
    assert says(server, model) == before
    print("\nFIGURE", model, "wakes up and answers in", round(time.monotonic() - begun, 2), "s")
    assert [process.pid for process in tree_of(server, model)] == pids
    assert used_by_all(server) <= BUDGET


def test_it_shares_the_gpu_with_another_engine(server):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: says(server, one), ["light", "little"] * 8))
    assert all("Paris" in answer for answer in answers)
    assert used_by(server, "light") > 0 and used_by(server, "little") > 0
    assert used_by_all(server) <= BUDGET


def test_a_killed_worker_is_survived(server):
    says(server, "light")
    tree = tree_of(server, "light")
    worker = next(process for process in tree if process.pid in users())
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(p) for p in tree), 120, "the end of the whole tree")
    assert "Paris" in says(server, "light")


def test_two_hundred_at_once_lose_nothing(server):
    assert statuses_at_once(server, 200, 400, TIMEOUT_S, model="light", max_tokens=16) == {200}


def test_a_killed_server_leaves_nothing_on_the_gpu(server):
    says(server, "light")
    tree = tree_of(server, "light")
    server.stop(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(p) for p in tree), 30, "the end of the whole tree")
    wait_until(lambda: not {process.pid for process in tree} & users().keys(), 30, "the driver to forget them")
