"""LiteLLM as a client, unchanged, against the real engine. `scripts/test clients` installs it."""

import pytest

cases = pytest.importorskip("litellm_cases", reason="LiteLLM is not there; run scripts/test clients")


def is_cut(value):
    return value["content"] and value["finish_reason"] == "length"


def has_ended(value):
    """Whatever ended it: the older of LiteLLM's two ways to Ollama says no more."""
    return value["content"] and value["finish_reason"] == "stop"


EXPECTED = {
    " chat": lambda it: is_cut(it) and it["tokens"] == 6,
    " chat, stream": is_cut,
    " chat, tools": lambda it: it["content"],
    " chat, stop": lambda it: it["finish_reason"] == "stop" and "." not in it["content"],
    " chat, not there": Exception,
    "ollama chat": lambda it: has_ended(it) and it["tokens"] == 6,
    "ollama chat, stream": has_ended,
    "text completion": lambda it: len(it) > 3,
    "ollama embedding": [384, 384],
    "openai embedding": [16],
    "responses": "incomplete",
}


@pytest.mark.parametrize("name", cases.CASES)
def test_litellm(check, name):
    rest = name.partition(" chat")[2]
    check(cases.CASES[name], EXPECTED[name] if name in EXPECTED else EXPECTED[" chat" + rest])
