"""LangChain, unchanged, against the real engine. `scripts/test clients` installs it."""

import pytest

cases = pytest.importorskip("langchain_cases", reason="LangChain is not there; run scripts/test clients")


def answers(value):
    """Six tokens, and told so."""
    return value["content"] and value["usage"]["output_tokens"] == 6


EXPECTED = {
    "ollama chat": lambda it: answers(it) and it["metadata"]["done_reason"] == "length",
    "ollama chat, stream": lambda it: answers(it) and it["pieces"] > 6,
    "ollama chat, async": lambda it: answers(it) and it["pieces"] > 6,
    "ollama chat, stop": lambda it: "." not in it["content"] and it["metadata"]["done_reason"] == "stop",
    "ollama chat, tools": lambda it: it["call"]["content"] and it["result"]["content"],
    "ollama chat, schema": lambda it: it["colour"] in ("red", "blue"),
    "ollama chat, not there": cases.ResponseError,
    "ollama completion": lambda it: len(it) > 3,
    "ollama completion, stream": lambda it: len(it) > 3,
    "ollama embeddings": {"documents": [384, 384], "query": 384},
    "openai chat": lambda it: answers(it) and it["metadata"]["finish_reason"] == "length",
    "openai chat, stream": lambda it: answers(it) and it["pieces"] > 6,
    "openai chat, logprobs": 6,
    "openai chat, schema": lambda it: it["colour"] in ("red", "blue"),
    "openai responses": lambda it: it["content"][0]["text"] and it["metadata"]["incomplete_details"]["reason"] == "max_output_tokens",
    "openai responses, stream": lambda it: it["content"][0]["text"] and it["metadata"]["status"] == "incomplete",
    "openai embeddings": {"documents": [16, 16], "query": 16},
    "anthropic chat": lambda it: answers(it) and it["metadata"]["stop_reason"] == "max_tokens",
    "anthropic chat, stream": lambda it: answers(it) and it["metadata"]["stop_reason"] == "max_tokens",
    "anthropic chat, stop": lambda it: it["metadata"]["stop_reason"] == "stop_sequence" and it["metadata"]["stop_sequence"] == ".",
}


@pytest.mark.parametrize("name", cases.CASES)
def test_langchain(check, name):
    check(cases.CASES[name], EXPECTED[name])
