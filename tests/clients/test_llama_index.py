"""LlamaIndex, unchanged, against the real engine. `scripts/test clients` installs it."""

import pytest

cases = pytest.importorskip("llama_index_cases", reason="LlamaIndex is not there; run scripts/test clients")


def streams(value):
    return value["content"] and value["pieces"] > 6


EXPECTED = {
    "ollama complete": lambda it: len(it) > 3,
    "ollama complete, stream": lambda it: len(it) > 3,
    "ollama chat": lambda it: it["content"] and {"done_reason", "eval_count", "message", "model"} <= set(it["raw"]),
    "ollama chat, stream": streams,
    "ollama chat, async": lambda it: len(it) > 3,
    "ollama chat, json": lambda it: it in ("{", "["),
    "ollama chat, tools": lambda it: len(it) > 3,
    "ollama chat, not there": cases.ResponseError,
    "ollama embedding": 384,
    "ollama embedding, batch": [384, 384],
    "openai chat": lambda it: len(it) > 3,
    "openai chat, stream": streams,
    "openai complete": lambda it: len(it) > 3,
}


@pytest.mark.parametrize("name", cases.CASES)
def test_llama_index(check, name):
    check(cases.CASES[name], EXPECTED[name])
