"""The calls of Open WebUI's backend against the real engine."""

import open_webui_cases as cases
import pytest

# Ollama's own words, which differ in the quotes.
NOT_THERE = {"status": 404, "error": "model 'nobody:latest' not found"}
NO_SOURCE = {"status": 404, "error": 'model "nobody:latest" not found'}
EXPECTED = {
    "version": 3,
    "lists": lambda it: {"details", "digest", "model", "modified_at", "name", "size"} <= set(it["listed"]) and it["loaded"],
    "unload": "unload",
    "show": ["families", "family", "format", "parameter_size", "parent_model", "quantization_level"],
    "chat": lambda it: it["text"] and it["reason"] == "length" and {"eval_count", "eval_duration", "total_duration"} <= set(it["last"]),
    "title, no stream": lambda it: len(it) > 3,
    "generate": True,
    "embed": [384, 384],
    "embeddings": 384,
    "upload": {"stored": True, "made": {"status": "success"}, "size": 384, "gone": 200},
    "workspace": {
        "made": {"status": "success"}, "copied": 200, "system": "Be brief.", "parameters": ["temperature", "0.5"], "left": []},
    "pull, wrong name": 400,
    "delete, not there": NOT_THERE,
    "copy, not there": NO_SOURCE,
    "openai models": ["created", "id", "object", "owned_by"],
    "openai chat": lambda it: it["text"] and it["tokens"] == 6,
    "openai completions": "text_completion",
}


@pytest.mark.parametrize("name", cases.CASES)
def test_open_webui(check, name):
    check(cases.CASES[name], EXPECTED[name])
