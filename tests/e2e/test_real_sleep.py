"""The real engine falls asleep, gives its memory back, and wakes up with its conversation."""

import re
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest
import support

MIB = 1024 * 1024
PROMPT = "Tell me about rivers and mountains. " * 40


@pytest.fixture
def server(start, real_models):
    """Either chat model fits, with what the other one keeps asleep."""
    models = {name: {"file": str(real_models[name]), "context": 2048} for name in ("smol", "gemma")}
    return start({"memory": {"budget": "620MiB", "min_residency": "1ms"}, "models": models})


@pytest.fixture
def repacked(real_models, tmp_path):
    """A model that the engine keeps in another layout than its file, in memory of its own."""
    file = tmp_path / "repacked.gguf"
    quantize = Path(support.ENGINE).parent / "llama-quantize"
    if not quantize.exists():
        pytest.skip("there is no llama-quantize beside the engine; run scripts/install-engine")
    subprocess.run([quantize, "--allow-requantize", real_models["smol"], file, "Q4_0"], check=True, capture_output=True)
    return file


@pytest.fixture
def two(start, real_models, repacked, tmp_path):
    """two(cache) runs a server in which either of two chat models fits, one of them repacked."""

    def run(cache):
        models = {"repacked": {"file": str(repacked), "context": 2048},
                  "gemma": {"file": str(real_models["gemma"]), "context": 2048}}
        config = {"memory": {"budget": "620MiB", "min_residency": "1ms"}, "models": models}
        return start(config, environment={"DROVER_CACHE": str(cache)})

    return run


def pss(pid):
    return psutil.Process(pid).memory_full_info().pss


def ask(server, model):
    """The answer's text, and how many tokens of the prompt it did not have to compute."""
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 8, "temperature": 0, "seed": 1}
    answer = server.post("/v1/chat/completions", {"model": model, **body})
    assert answer.status_code == 200, answer.text
    answer = answer.json()
    return answer["choices"][0]["message"]["content"], answer["timings"].get("cache_n", 0)


def ask_twice(server, model):
    """What the model answers to a prompt that it has seen: computed in pieces, numbers differ in their last digits."""
    ask(server, model)
    return ask(server, model)[0]


def test_an_evicted_model_sleeps_and_goes_on_where_it_was(server):
    first = ask_twice(server, "smol")
    awake = server.instances()["smol"]
    memory = pss(awake["pid"])
    ask(server, "gemma")
    asleep = server.instances()["smol"]
    assert (asleep["state"], asleep["pid"]) == ("asleep", awake["pid"])
    assert pss(awake["pid"]) < memory / 2
    assert abs(pss(awake["pid"]) - asleep["bytes"]) < 16 * MIB
    again, cached = ask(server, "smol")
    assert server.instances()["smol"]["pid"] == awake["pid"]
    assert again == first
    assert cached > 100


def test_models_that_take_turns_are_loaded_once(server):
    answers = {model: ask_twice(server, model) for model in ("smol", "gemma")}
    for _ in range(4):
        for model, text in answers.items():
            assert ask(server, model)[0] == text
    log = server.log_file.read_text()
    assert log.count("instance.starting") == 2
    assert log.count("instance.waking") >= 8
    assert "instance.sleepless" not in log


def test_the_budget_holds_while_models_sleep_and_wake(server):
    budget = 620 * MIB
    support.wait_until(lambda: server.chat("smol").status_code == 200, 60, "an answer")
    for model in ("gemma", "smol", "gemma"):
        with server.stream(model, max_tokens=32) as answer:
            for _ in answer.iter_lines():
                held = sum(pss(one.pid) for one in server.processes())
                assert held <= budget, f"{held / MIB:.0f} MiB"


def test_repacked_weights_go_to_the_disk_and_come_back(two, tmp_path):
    server = two(tmp_path / "cache")
    first = ask_twice(server, "repacked")
    awake = server.instances()["repacked"]
    memory = pss(awake["pid"])
    for _ in range(2):
        ask(server, "gemma")
        asleep = server.instances()["repacked"]
        assert (asleep["state"], asleep["pid"]) == ("asleep", awake["pid"])
        assert asleep["bytes"] < 48 * MIB < memory - 70 * MIB
        assert ask(server, "repacked") == (first, pytest.approx(300, abs=100))
    folder = tmp_path / "cache" / "asleep"
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700


def return_after_gemma(server):
    """The model leaves, however it can, and says the same when it is back; what the log has of it."""
    first = ask_twice(server, "repacked")
    ask(server, "gemma")
    assert ask(server, "repacked")[0] == first
    return server.log_file.read_text()


def test_weights_stay_in_memory_where_the_folder_for_them_is_on_no_disk(two):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        log = return_after_gemma(two(folder))
    kept = re.findall(r"instance.asleep model=repacked .*keeps=\"?(\d+)", log)
    assert kept and all(int(mebibytes) > 80 for mebibytes in kept)


def test_weights_stay_in_memory_where_there_can_be_no_folder_for_them(two, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "asleep").write_text("in the way")
    assert "sleep.in_memory" in return_after_gemma(two(tmp_path / "cache"))
