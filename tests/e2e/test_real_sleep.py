"""The real engine falls asleep, gives its memory back, and wakes up with its conversation."""

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
