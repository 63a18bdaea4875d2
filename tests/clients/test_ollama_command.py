"""The `ollama` command of Ollama itself, with OLLAMA_HOST set to Drover."""

import os
from pathlib import Path

import command_cases as cases
import pytest

OLLAMA = Path(os.environ.get("DROVER_OLLAMA", "/nonexistent"))
EXPECTED = {
    "version": 0,
    "list": lambda it: it["head"] == ["NAME", "ID", "SIZE", "MODIFIED"] and {"minilm:latest", "smol:latest"} <= set(it["names"]),
    "show": lambda it: it[:2] == ["Model", "architecture"],
    "show, modelfile": lambda it: it.startswith("#"),
    "run": 0,
    "run, verbose": 0,
    "run, embedding": "[",
    "stop": lambda it: "smol:latest" in it["running"]["names"] and it["stopped"]["status"] == 0 and not it["left"],
    "create, cp, rm": {
        "made": 0, "uploaded": 0, "copied": "copied 'made' to 'copied'", "answered": 0,
        "shown": {"system": "Be brief.", "license": "apache-2.0\nFree as air", "parameters": ['num_predict 6', 'stop "###"', "temperature 0"]},
        "removed": ["deleted 'made'", "deleted 'copied'", "deleted 'uploaded'"]},
    "cp, not there": lambda it: it["status"] == 1 and "not found" in it["text"],
    "rm, not there": lambda it: it["status"] == 1 and "not found" in it["text"],
    "show, not there": lambda it: it["status"] == 1 and "not found" in it["text"],
    "push, not there": 1,
}


@pytest.mark.skipif(not OLLAMA.is_file(), reason="DROVER_OLLAMA names no ollama")
@pytest.mark.parametrize("name", cases.CASES)
def test_ollama_command(check, name):
    check(cases.CASES[name], EXPECTED[name])
