"""Cascades: an answer that is not sure enough is not sent, and the next model answers. With the fake engine."""

import json
import os
import re
import stat
import subprocess

import httpx
import pytest
import support

CHAT = "Write a short poem about autumn in the mountains."
CASCADE = {"models": ["small", "large"], "confidence": "60%"}


def asking(text=CHAT, **fields):
    return {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 8, **fields}


def cascade(fake, small, large="sure=99", **options):
    """A server whose route asks `small` first; options go to the cascade, `config` beside the route."""
    config = options.pop("config", {})
    return fake({"small": small, "large": large}, {"routes": {"auto": {"cascade": {**CASCADE, **options}}}, **config})


def chosen(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["x-drover-model"], answer.headers["x-drover-reason"]


def stats_of(server, pid):
    """What the fake engine with this process id counts."""
    for socket in (server.directory / "run").rglob("*.sock"):
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as engine:
            stats = engine.get("/fake/stats").json()
        if stats["pid"] == pid:
            return stats
    raise AssertionError(f"no engine has the process id {pid}")


MESSAGE = [{"type": "message", "role": "user", "content": CHAT}]
CALLS = [
    ("/v1/chat/completions", asking()),
    ("/v1/completions", {"model": "auto", "prompt": CHAT, "max_tokens": 8}),
    ("/api/chat", asking(stream=False, options={"num_predict": 8})),
    ("/api/generate", {"model": "auto", "prompt": CHAT, "stream": False, "options": {"num_predict": 8}}),
    ("/v1/messages", asking()),
    ("/v1/responses", {"model": "auto", "input": MESSAGE, "max_output_tokens": 8}),
]


@pytest.mark.parametrize("path, body", CALLS)
def test_a_sure_answer_is_sent_and_a_weak_one_is_not(fake, path, body):
    server = cascade(fake, "sure=80")
    model, reason = chosen(server.post(path, body))
    assert model == "small" and re.search(r"small's confidence 0.75 is at or above 0.60 \(\d+ tokens, \d+ ms\)$", reason), reason
    assert server.instances().keys() == {"small"}
    weak = cascade(fake, "sure=40")
    model, reason = chosen(weak.post(path, body))
    assert model == "large" and "small's confidence 0.25 is below 0.60" in reason
    assert " tokens, " in reason and " ms)" in reason


@pytest.mark.parametrize("path, body", CALLS)
def test_a_stream_is_judged_by_its_beginning(fake, path, body):
    for sure, model in ((80, "small"), (40, "large")):
        server = cascade(fake, f"sure={sure}", hold=4)
        with server.client.stream("POST", path, json={**body, "stream": True}) as answer:
            assert answer.headers["x-drover-model"] == model
            text = answer.read().decode()
        if model == "small" or "/v1/" not in path or "completions" in path:
            # Each of the eight tokens once, of one model, and nothing of the other's. What is not
            # judged is asked of the engine's own messages and responses, which the fake lacks.
            pieces = text.split("response.output_text.done")[0]
            assert [pieces.count(f"token{i}") for i in range(8)] == [1] * 8
        assert '"logprob":' not in text


def test_a_stream_comes_before_its_end_and_is_never_taken_back(fake):
    server = cascade(fake, "sure=80,endless,slow=5", hold=3)
    with server.client.stream("POST", "/v1/chat/completions", json=asking(stream=True)) as answer:
        assert answer.headers["x-drover-model"] == "small"
        pieces = answer.iter_text()
        seen = ""
        while "token20" not in seen:
            seen += next(pieces)
    assert server.instances().keys() == {"small"}


def test_nobody_gets_what_nobody_asked_for_and_everybody_what_they_did(fake):
    server = cascade(fake, "sure=80")
    plain = server.post("/v1/chat/completions", asking()).json()["choices"][0]
    assert "logprobs" not in plain
    asked = server.post("/v1/chat/completions", asking(logprobs=True, top_logprobs=1)).json()["choices"][0]
    assert len(asked["logprobs"]["content"]) == 8
    ollama = server.post("/api/chat", asking(stream=False, options={"num_predict": 8})).json()
    assert "logprobs" not in ollama and ollama["message"]["content"].startswith("token0")


def test_the_engine_stops_generating_a_weak_answer(fake):
    server = cascade(fake, "sure=40,endless,slow=5", hold=3)
    with server.client.stream("POST", "/v1/chat/completions", json=asking(stream=True)) as answer:
        assert answer.headers["x-drover-model"] == "large"
        answer.read()
    pid = server.pid_of("small")
    support.wait_until(lambda: stats_of(server, pid)["aborted"] == 1, what="the end of the weak answer")


def test_json_that_is_none_is_weak(fake):
    wish = {"response_format": {"type": "json_object"}}
    assert chosen(cascade(fake, "sure=99,tokens=1,say={}").post("/v1/chat/completions", asking(**wish)))[0] == "small"
    broken = cascade(fake, "sure=99,tokens=3,say={")
    for stream in (False, True):
        model, reason = chosen(broken.post("/v1/chat/completions", asking(stream=stream, **wish)))
        assert model == "large" and "answer is not valid JSON" in reason
    assert chosen(broken.post("/v1/chat/completions", asking()))[0] == "small"  # nobody asked for JSON


def test_a_tool_call_that_makes_no_sense_is_weak(fake):
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    for behaviour, model in (
        ("call=look", "small"),
        ("call=jump", "large"),
        ("call=look,arguments={", "large"),
        ("call=look,sure=40", "large"),
    ):
        server = cascade(fake, behaviour, "call=look", hold=2)
        for stream in (False, True):
            answer = server.post("/v1/chat/completions", asking(tools=tools, stream=stream))
            assert chosen(answer)[0] == model, (behaviour, stream)
            assert '"tool_calls"' in answer.text


def test_an_answer_without_log_probabilities_is_weak(fake):
    model, reason = chosen(cascade(fake, "sure=0").post("/v1/chat/completions", asking()))
    assert model == "large" and "tells no log-probabilities" in reason


def events_of(answer):
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


def test_a_judged_message_is_in_anthropics_words(fake):
    server = cascade(fake, "sure=80", hold=4)
    said = server.post("/v1/messages", asking()).json()
    assert said["type"] == "message" and said["model"] == "small" and said["stop_reason"] == "max_tokens"
    assert said["content"][0]["text"].startswith("token0") and said["usage"]["output_tokens"] == 8
    events = events_of(server.post("/v1/messages", asking(stream=True)))
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    text = "".join(one["delta"]["text"] for one in events if one["type"] == "content_block_delta")
    assert text.split() == [f"token{i}" for i in range(8)] and events[-2]["usage"]["output_tokens"] == 8
    refused = cascade(fake, "status=400", "status=400").post("/v1/messages", asking())
    assert refused.status_code == 400 and refused.json()["type"] == "error"


def test_a_judged_response_is_in_openais_words(fake):
    server = cascade(fake, "sure=80", hold=4)
    body = {"model": "auto", "input": CHAT, "max_output_tokens": 8}
    said = server.post("/v1/responses", body).json()
    assert said["object"] == "response" and said["model"] == "small" and said["status"] == "incomplete"
    assert said["output"][0]["content"][0]["text"].startswith("token0") and said["usage"]["output_tokens"] == 8
    events = events_of(server.post("/v1/responses", {**body, "stream": True}))
    assert [events[0]["type"], events[-1]["type"]] == ["response.created", "response.incomplete"]
    text = "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta")
    assert text.split() == [f"token{i}" for i in range(8)]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))


TOOL = {"name": "look", "parameters": {"type": "object"}}
TOOL_CALLS = [
    ("/v1/messages", asking(tools=[{"name": "look", "input_schema": {"type": "object"}}]), '"tool_use"'),
    ("/v1/responses", {"model": "auto", "input": CHAT, "tools": [{"type": "function", **TOOL}]}, '"function_call"'),
    ("/api/chat", asking(tools=[{"type": "function", "function": TOOL}], options={"num_predict": 8}), '"tool_calls"'),
]


@pytest.mark.parametrize("path, body, shape", TOOL_CALLS)
def test_tool_calls_are_judged_on_every_api(fake, path, body, shape):
    for behaviour, model in (("call=look", "small"), ("call=jump", "large"), ("call=look,sure=40", "large")):
        server = cascade(fake, behaviour, "call=look", hold=2)
        for stream in (False, True):
            answer = server.post(path, {**body, "stream": stream})
            assert chosen(answer)[0] == model, (behaviour, stream)
            assert shape in answer.text or model == "large"


def test_a_response_that_should_be_json_is_judged_as_such(fake):
    wish = {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}}
    body = {"model": "auto", "input": CHAT, **wish}
    assert chosen(cascade(fake, "sure=99,tokens=1,say={}").post("/v1/responses", body))[0] == "small"
    broken = cascade(fake, "sure=99,tokens=3,say={")
    for stream in (False, True):
        model, reason = chosen(broken.post("/v1/responses", {**body, "stream": stream}))
        assert model == "large" and "answer is not valid JSON" in reason


def test_where_no_answer_can_be_judged_the_last_model_answers(fake):
    server = cascade(fake, "sure=99")
    for path, body in (
        ("/v1/messages", asking([{"type": "document"}])),
        ("/v1/responses", {"model": "auto", "input": CHAT, "previous_response_id": "resp_1"}),
    ):
        model, reason = chosen(server.post(path, body))
        assert model == "large" and "no answer can be judged" in reason
        assert server.post(f"/v1/route?path={path}", body).json()["cascade"]["judged"] == []
    explained = server.post("/v1/route?path=/v1/messages", asking()).json()
    assert explained["cascade"]["judged"] == ["small"]


def test_a_slow_answer_is_not_waited_for(fake):
    server = cascade(fake, "sure=99,think=60000", wait="300ms")
    for stream in (False, True):
        model, reason = chosen(server.post("/v1/chat/completions", asking(stream=stream)))
        assert model == "large" and "small failed: timeout" in reason
    assert server.pid_of("small")  # it is not taken for hung
    dripping = cascade(fake, "sure=99,slow=100,tokens=600", wait="300ms", hold=1000)
    with dripping.client.stream("POST", "/v1/chat/completions", json=asking(stream=True)) as answer:
        assert answer.headers["x-drover-model"] == "small"  # judged by what was there


@pytest.mark.parametrize("large", ["exit-at-start=3", "status=500", "crash", "too-long"])
def test_a_weak_answer_is_better_than_an_error(fake, large):
    server = cascade(fake, "sure=40", large)
    for path, body in CALLS[::2]:
        model, reason = chosen(server.post(path, body))
        assert model == "small" and "small answers after all" in reason


@pytest.mark.parametrize("fault", ["status=400", "crash", "crash=2", "cut=2", "garbage", "bad-chunk", "exit-at-start=3"])
def test_a_first_model_that_fails_harms_nobody(fake, fault):
    server = cascade(fake, f"{fault},sure=99", hold=6)
    for stream in (False, True):
        assert chosen(server.post("/v1/chat/completions", asking(stream=stream)))[0] == "large", stream


def test_a_calibration_says_what_a_score_is_worth(fake, tmp_path):
    answers = tmp_path / "answers.jsonl"
    rows = [{"score": 0.8 + i % 20 / 100, "correct": i % 5 == 0} for i in range(200)]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "small.json"
    made = subprocess.run(
        [support.DROVER, "route", "calibrate", "cascade", answers, "-o", file], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    assert "200 answers, 20.0 % right" in made.stdout and "calibration error" in made.stdout
    server = cascade(fake, "sure=90", calibration=str(file))
    model, reason = chosen(server.post("/v1/chat/completions", asking()))
    assert model == "large" and "is below 0.60" in reason
    explained = server.post("/v1/route", asking()).json()["cascade"]
    assert explained["judged"] == ["small"] and explained["calibrated"] is True


def test_a_broken_calibration_stops_the_start(fake, tmp_path):
    file = tmp_path / "broken.json"
    file.write_text("{}")
    with pytest.raises(AssertionError, match="is no calibration of a cascade"):
        cascade(fake, "", calibration=str(file))


def test_mistakes_in_a_cascade_are_told_with_their_line(tmp_path):
    config = tmp_path / "drover.yaml"
    config.write_text("routes:\n  auto:\n    cascade:\n      models: [a, a]\n      hold: 0\n      wait: soon\n      confidense: 3\n")
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    assert result.returncode == 2
    for line, words in ((4, "two or more different models"), (5, "'0' is not a whole number"), (6, "positive duration"), (7, "did you mean 'confidence'")):
        assert any(f"drover.yaml:{line}: " in one and words in one for one in result.stderr.splitlines()), (line, result.stderr)


# ---- the log and feedback ----


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def logging(fake, tmp_path, level, small="sure=80"):
    file = tmp_path / "private" / "routing.jsonl"
    return cascade(fake, small, config={"routing": {"log": level, "file": str(file)}}), file


def test_nothing_is_kept_unless_asked_for(fake, tmp_path):
    server = cascade(fake, "sure=80", config={"routing": {"file": str(tmp_path / "log")}})
    answer = server.post("/v1/chat/completions", asking())
    assert "x-drover-id" not in answer.headers and not (tmp_path / "log").exists()
    refused = server.post("/v1/feedback", {"id": "r-1", "correct": True})
    assert refused.status_code == 400 and "routing.log is off" in refused.text


def test_decisions_and_outcomes_are_kept_without_the_text(fake, tmp_path):
    server, file = logging(fake, tmp_path, "outcomes", "sure=40")
    answer = server.post("/v1/chat/completions", asking())
    server.post("/api/chat", asking(stream=False))
    # A line is written after its answer.
    first, second = support.wait_until(lambda: len(lines := lines_of(file)) == 2 and lines, what="both lines")
    assert first["id"] == answer.headers["x-drover-id"] != second["id"]
    assert first["outcome"] == "served" and first["model"] == "large" and first["stage"] == "cascade"
    assert [(c["model"], c["good"], c["tokens"]) for c in first["checks"]] == [("small", False, 8)]
    assert abs(first["checks"][0]["score"] - 0.25) < 1e-3
    assert second["endpoint"] == "chat" and "autumn" not in file.read_text()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600


def test_feedback_is_joined_to_its_request(fake, tmp_path):
    server, file = logging(fake, tmp_path, "prompts")
    ids = [server.post("/v1/chat/completions", asking(f"question {i}")).headers["x-drover-id"] for i in range(20)]
    for i, one in enumerate(ids):
        assert server.post("/v1/feedback", {"id": one, "correct": i % 3 > 0, "label": "chat" if i < 10 else "code"}).status_code == 200
    assert lines_of(file)[0]["prompt"] == "question 0"
    for body, status in (
        ({"id": "r-none", "correct": True}, 404),
        ({"id": ids[0]}, 400),
        ({"id": ids[0], "score": 2}, 400),
        ({"id": ids[0], "correct": 1}, 400),
        ({"id": ids[0], "label": "x" * 65}, 400),
        ({"correct": True}, 400),
    ):
        assert server.post("/v1/feedback", body).status_code == status, body
    for _ in range(3):
        assert server.post("/v1/feedback", {"id": ids[0], "score": 0.7}).status_code == 200
    enough = server.post("/v1/feedback", {"id": ids[0], "score": 0.7})
    assert enough.status_code == 409 and enough.json()["error"]["code"] == "judged_enough"
    unknown = server.post("/v1/feedback", {"id": "r-none", "correct": True}).json()["error"]
    assert unknown["code"] == "answer_not_found" and unknown["param"] == "id"
    broken = server.client.post("/v1/feedback", content='{"id": ')
    assert broken.status_code == 400 and "not valid JSON" in broken.text
    trained = server.run("route", "train", str(file), "-o", str(tmp_path / "t.route"), "--bits", "10")
    assert trained.returncode == 0, trained.stderr
    assert "20 prompts with feedback" in trained.stdout
    calibrated = server.run("route", "calibrate", "cascade", str(file), "-o", str(tmp_path / "c.json"))
    assert calibrated.returncode == 0 and "20 answers" in calibrated.stdout, calibrated.stderr


def test_a_client_that_leaves_is_kept_as_such(fake, tmp_path):
    server, file = logging(fake, tmp_path, "outcomes", "sure=80,endless,slow=5")
    with server.client.stream("POST", "/v1/chat/completions", json=asking(stream=True)) as answer:
        next(answer.iter_text())
    assert support.wait_until(lambda: file.read_text() and lines_of(file), what="the line")[0]["outcome"] == "left"


def test_a_decision_is_explained_on_the_command_line(fake, tmp_path):
    server = cascade(fake, "sure=80")
    shown = server.run("route", "explain", "Write", "a", "poem", "about", "the", "sea.")
    assert shown.returncode == 0, shown.stderr
    assert "models      small, large" in shown.stdout and "judged: small" in shown.stdout
    assert "language en" in shown.stdout and "not in memory" in shown.stdout
    file = tmp_path / "prompt"
    file.write_text("Was ist das und wie geht es dir?")
    assert "language de" in server.run("route", "explain", "--file", str(file)).stdout
    assert json.loads(server.run("route", "explain", "--json", "x").stdout)["route"] == "auto"
    assert server.run("route", "explain", "--route", "nobody", "x").returncode == 1
    assert "no prompt" in server.run("route", "explain").stderr
    assert server.instances() == {}
