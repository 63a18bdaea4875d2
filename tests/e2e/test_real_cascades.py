"""Cascades over two real chat models: verdicts, streams and a calibration from real answers."""

import json
import random
import re
import subprocess

import pytest
from support import DROVER, wait_until

COUNT = 40


def route(confidence, **options):
    return {"cascade": {"models": ["smol", "gemma"], "confidence": confidence, **options}}


@pytest.fixture
def server(start, real_models, tmp_path):
    models = {name: {"file": str(real_models[name])} for name in ("smol", "gemma")}
    routes = {"sure": route(0), "never": route("100%"), "short": route("100%", hold=4)}
    config = {"models": models, "defaults": {"context": 2048}, "routes": routes}
    return start({**config, "routing": {"log": "outcomes", "file": str(tmp_path / "routing.jsonl")}})


def outcomes(tmp_path, count):
    """The lines of the log, which are written after their answers."""
    file = tmp_path / "routing.jsonl"
    wait_until(lambda: file.exists() and file.read_text().count("\n") == count, what=f"{count} lines in the log")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_first_or_the_next_real_model_answers(server, tmp_path):
    for path in ("/v1/chat/completions", "/api/chat"):
        for name, model in (("sure", "smol"), ("never", "gemma")):
            body = {"model": name, "messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 8, "stream": False}
            answer = server.post(path, {**body, "options": {"num_predict": 8}})
            assert answer.headers["x-drover-model"] == model, answer.headers
            assert "smol's confidence" in answer.headers["x-drover-reason"] and "logprobs" not in answer.text
    checks = [one["checks"][0] for one in outcomes(tmp_path, 4)]
    assert all(0 < check["score"] < 1 and check["tokens"] > 0 for check in checks)


ASK = "Name a colour."
MESSAGES = [{"role": "user", "content": ASK}]
TOOL = {"name": "paint", "description": "Paints a wall.", "parameters": {"type": "object", "properties": {"colour": {"type": "string"}}}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "path, body, done",
    [
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 8}, '"stop_reason":"'),
        ("/v1/responses", {"input": ASK, "max_output_tokens": 8}, '"output_text"'),
    ],
)
def test_messages_and_responses_are_judged_too(server, path, body, stream, done):
    for name, model in (("sure", "smol"), ("never", "gemma")):
        answer = server.post(path, {"model": name, "stream": stream, **body})
        assert answer.status_code == 200 and answer.headers["x-drover-model"] == model, answer.text
        assert "smol's confidence" in answer.headers["x-drover-reason"]
        assert done in answer.text.replace(": ", ":") and "chat.completion" not in answer.text
        assert '"logprob":' not in answer.text


def test_the_engine_tells_log_probabilities_of_a_stream_with_tools(server, tmp_path):
    tools = [{"type": "function", "function": TOOL}]
    body = {"model": "sure", "messages": MESSAGES, "max_tokens": 8, "stream": True}
    for path, offered in (("/v1/chat/completions", tools), ("/v1/messages", [{"name": "paint", "input_schema": TOOL["parameters"]}])):
        answer = server.post(path, {**body, "tools": offered})
        assert answer.status_code == 200, answer.text
        assert "refused" not in answer.headers["x-drover-reason"]
    assert all(one["checks"][0]["tokens"] > 0 for one in outcomes(tmp_path, 2))


def test_a_real_stream_is_given_up_after_its_beginning(server, tmp_path):
    with server.stream("short", max_tokens=40) as answer:
        assert answer.headers["x-drover-model"] == "gemma"
        assert b"[DONE]" in answer.read()
    ((check,),) = [one["checks"] for one in outcomes(tmp_path, 1)]
    assert check["tokens"] == 4 and not check["good"]


@pytest.mark.timeout(400)
def test_a_calibration_is_made_of_real_answers(server, tmp_path):
    rng = random.Random(3)
    right = 0
    for _ in range(COUNT):
        a, b = rng.randrange(1, 10 ** rng.randrange(1, 3)), rng.randrange(1, 10)
        ask = [{"role": "user", "content": f"What is {a} + {b}?"}]
        body = {"model": "sure", "messages": ask, "max_tokens": 16, "temperature": 0}
        answer = server.post("/v1/chat/completions", body)
        numbers = re.findall(r"\d+", answer.json()["choices"][0]["message"]["content"])
        correct = str(a + b) in numbers
        right += correct
        assert server.post("/v1/feedback", {"id": answer.headers["x-drover-id"], "correct": correct}).status_code == 200
    assert 0 < right < COUNT  # else there is nothing to calibrate
    made = tmp_path / "smol.json"
    command = [DROVER, "route", "calibrate", "cascade", tmp_path / "routing.jsonl", "-o", made]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    print(printed)
    assert f"{COUNT} answers, {100 * right / COUNT:.1f} % right" in printed
    assert json.loads(made.read_text())["examples"] == COUNT
