"""The over-commit benchmark: which failures it excuses (bench/overcommit.py)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
# In a process of its own: the benchmarks and the tests have modules of the same name.
ASK = "import json, overcommit, sys; s, a = json.load(sys.stdin); print(overcommit.died_under_it(s, a.encode()))"


def died_under_it(status, answer):
    told = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps([status, answer]), cwd=BENCH, capture_output=True, text=True, check=True
    )
    return told.stdout.strip() == "True"


def failure(code, message):
    return json.dumps({"error": {"code": code, "message": message, "type": "server_error", "param": None}})


KILLED = "the engine of model 'a' was killed by signal 9 (Killed); its last words: W"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (502, failure("engine_failed", KILLED)),
        (200, 'data: {"choices": []}\n\n'),
        (200, 'data: {"choices": []}\n\ndata: ' + failure("engine_failed", KILLED) + "\n\n"),
    ],
)
def test_who_was_at_an_engine_that_is_killed_is_excused(status, answer):
    assert died_under_it(status, answer)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (502, failure("engine_failed", "model 'a' could not be loaded: " + KILLED)),
        (502, failure("engine_failed", "the engine of model 'a' gave an answer that is not valid HTTP")),
        (503, failure("unavailable", "model 'a' failed lately and is not tried again yet: " + KILLED)),
        (507, failure("insufficient_memory", "model 'a' needs more")),
        (200, 'data: {"choices": []}\n\ndata: ' + failure("timeout", "too late") + "\n\n"),
        (200, 'data: {"choices": []}\n\ndata: [DONE]\n\n'),
        (500, "<html>"),
    ],
)
def test_who_only_waited_while_an_engine_was_killed_is_lost(status, answer):
    assert not died_under_it(status, answer)
