"""A small language model as the classifier of a route, played by the fake engine."""

import contextlib
import json
import subprocess

import httpx
import pytest
import support
from remote_server import RemoteServer

CODE = "Write a Python function that reverses a linked list, with type hints and a docstring."
CHAT = "Write a short poem about autumn in the mountains."


def asking(text, **fields):
    return {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 2, **fields}


def by_task(fake, tiny, config=None, remotes=None, **classifier):
    """A server whose route asks `tiny`, which behaves so."""
    stage = {"code": "coder", "law": "lawyer", "classifier": {"model": "tiny", "timeout": "10s", **classifier}}
    route = {"task": stage, "fallback": "talker"}
    fakes = {"coder": "", "lawyer": "", "talker": "", **({} if remotes else {"tiny": tiny})}
    return fake(fakes, {"routes": {"auto": route}, **(config or {})}, remotes=remotes)


def by_complexity(fake, tiny, **classifier):
    stage = {"small": "small", "large": "large", "threshold": 0, "classifier": {"model": "tiny", "timeout": "10s", **classifier}}
    return fake({"small": "", "large": "", "tiny": tiny}, {"routes": {"auto": {"complexity": stage}}})


def chosen(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["x-drover-model"], answer.headers["x-drover-reason"]


def answers_of(server, model):
    """How many generations the fake engine of this model has completed."""
    for socket in (server.directory / "run").rglob("*.sock"):
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as engine:
            stats = engine.get("/fake/stats").json()
        if stats["pid"] == server.pid_of(model):
            return stats["completed"]
    raise AssertionError(f"no engine serves {model}")


@contextlib.contextmanager
def running(server):
    yield server
    server.stop()


CALLS = [
    ("/v1/chat/completions", asking(CODE)),
    ("/v1/completions", {"model": "auto", "prompt": CODE, "max_tokens": 2}),
    ("/v1/messages", asking(CODE)),
    ("/api/chat", asking(CODE, stream=False)),
]


def test_what_the_model_says_decides_over_every_api(fake):
    server = by_task(fake, "say=law,tokens=1")
    for path, body in CALLS:
        assert chosen(server.post(path, body)) == ("lawyer", "task law, confidence 1.00 (says tiny)"), path


def test_a_streamed_request_is_classified_too(fake):
    server = by_task(fake, "say=law,tokens=1")
    with server.client.stream("POST", "/v1/chat/completions", json=asking(CODE, stream=True)) as answer:
        assert answer.headers["x-drover-model"] == "lawyer"
        assert b"[DONE]" in answer.read()


@pytest.mark.parametrize(
    "tiny, why",
    [
        ("say=law", "which is none of the labels"),
        ("status=500", "status 500"),
        ("crash", "tiny did not say"),
        ("garbage", "tiny did not say"),
        ("exit-at-start=3", "tiny did not say"),
    ],
)
def test_where_it_says_nothing_of_use_the_predictor_decides(fake, tiny, why):
    model, reason = chosen(by_task(fake, tiny).post("/v1/chat/completions", asking(CODE)))
    assert model == "coder" and "task code" in reason and why in reason


@pytest.mark.parametrize("tiny", ["think=60000", "load=60000"])
def test_a_slow_one_is_not_waited_for(fake, tiny):
    model, reason = chosen(by_task(fake, tiny, timeout="300ms").post("/v1/chat/completions", asking(CODE)))
    assert model == "coder" and "tiny did not say" in reason


def test_one_that_keeps_taking_too_long_is_left_alone(fake):
    server = by_task(fake, "think=60000", timeout="100ms")
    for i in range(3):
        assert "no answer within" in chosen(server.post("/v1/chat/completions", asking(f"{CODE} {i}")))[1]
    model, reason = chosen(server.post("/v1/chat/completions", asking(f"{CODE} again")))
    assert model == "coder" and "left alone for a while" in reason
    task = server.post("/v1/route", asking(f"{CODE} and again")).json()["task"]
    assert "left alone" in task["classifier"]["failure"] and task["classifier"]["ms"] == 0


def test_the_model_is_told_what_labels_mean(fake):
    with running(RemoteServer()) as upstream:
        entry = {"engine": "remote", "url": upstream.url, "served_name": "upstream-model"}
        server = by_task(fake, "", remotes={"tiny": entry}, labels={"law": "courts and contracts"})
        server.post("/v1/chat/completions", asking(CODE))
        (body,) = upstream.bodies()
    assert "chat, code, math, law (courts and contracts)?" in body["messages"][0]["content"]


def test_a_meaning_of_no_label_is_told(fake):
    with pytest.raises(AssertionError, match="task.classifier 'lore' is none of the labels chat, code, math, law"):
        by_task(fake, "", labels={"lore": "old tales"})


def test_too_many_labels_are_told(fake):
    many = {f"label{i}": "talker" for i in range(30)}
    route = {"task": {**many, "classifier": {"model": "tiny"}}, "fallback": "talker"}
    with pytest.raises(AssertionError, match="33 labels, with those of the predictor; a classifier tells at most 32"):
        fake({"talker": "", "tiny": ""}, {"routes": {"auto": route}})


def test_too_many_labels_are_told_with_their_line(tmp_path):
    config = tmp_path / "drover.yaml"
    labels = "".join(f"      label{i}: a\n" for i in range(33))
    config.write_text(f"routes:\n  auto:\n    fallback: a\n    task:\n{labels}")
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    assert result.returncode == 2 and "names 33 labels; a route tells at most 32 apart" in result.stderr


def test_easy_goes_to_the_small_model_and_hard_to_the_large_one(fake):
    for word, model in (("easy", "small"), ("hard", "large")):
        answer = by_complexity(fake, f"say={word},tokens=1").post("/v1/chat/completions", asking(CODE))
        assert chosen(answer)[0] == model
        assert f"tiny says {word}" in chosen(answer)[1]


def test_it_is_asked_once_about_a_prompt_and_a_conversation(fake):
    server = by_task(fake, "say=law,tokens=1")
    server.post("/v1/chat/completions", asking(CODE))
    before = answers_of(server, "tiny")
    server.post("/v1/chat/completions", asking(CODE))
    later = asking(CODE)
    later["messages"] += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": CHAT}]
    assert chosen(server.post("/v1/chat/completions", later)) == ("lawyer", "the conversation stays with its model")
    assert answers_of(server, "tiny") == before
    server.post("/v1/chat/completions", asking(CHAT))
    assert answers_of(server, "tiny") == before + 1


def test_it_is_not_asked_for_embeddings(fake):
    server = fake(
        {"tiny": "say=law,tokens=1", "talker": ""},
        {"routes": {"auto": {"task": {"law": "talker", "classifier": {"model": "tiny"}}, "fallback": "talker"}}},
        talker={"task": "embedding"},
    )
    server.post("/v1/embeddings", {"model": "auto", "input": CODE})
    assert "tiny" not in server.instances()


def test_an_explanation_asks_it_and_no_target(fake):
    server = by_task(fake, "say=law,tokens=1")
    explained = server.post("/v1/route", asking(CODE)).json()
    task = explained["task"]
    assert explained["models"][0] == "lawyer" and task["label"] == "law" and task["probabilities"]["law"] == 1
    assert task["classifier"]["model"] == "tiny" and task["classifier"]["answered"] and not task["classifier"]["cached"]
    assert server.instances().keys() == {"tiny"}
    assert server.post("/v1/route", asking(CODE)).json()["task"]["classifier"]["cached"]
    printed = server.run("route", "explain", CODE).stdout
    assert "task        law, confidence 1.00 (0.50 needed)" in printed
    assert "as tiny said of this prompt before" in printed


def test_the_log_says_what_it_said(fake, tmp_path):
    file = tmp_path / "routing.jsonl"
    server = by_task(fake, "say=law,tokens=1", {"routing": {"log": "outcomes", "file": str(file)}})
    server.post("/v1/chat/completions", asking(CODE))
    support.wait_until(lambda: file.exists() and file.read_text().endswith("\n"), what="a line in the log")
    task = json.loads(file.read_text())["task"]
    assert task["label"] == "law" and task["classifier"]["model"] == "tiny" and task["classifier"]["answered"]


def test_what_must_not_leave_is_not_shown_to_a_remote_one(fake):
    with running(RemoteServer()) as upstream:
        entry = {"engine": "remote", "url": upstream.url, "served_name": "upstream-model"}
        server = by_task(fake, "", remotes={"tiny": entry})
        private = {"x-drover-local-only": "1"}
        model, reason = chosen(server.post("/v1/chat/completions", asking(CODE), headers=private))
        assert model == "coder" and "tiny did not say" in reason and not upstream.requests
        server.post("/v1/chat/completions", asking(CODE))
        (body,) = upstream.bodies()
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["chat", "code", "math", "law"]
    assert body["model"] == "upstream-model" and body["temperature"] == 0 and CODE in body["messages"][0]["content"]


def test_a_route_is_no_classifier(tmp_path):
    config = tmp_path / "drover.yaml"
    config.write_text(
        "routes:\n  auto:\n    fallback: a\n    task:\n      code: a\n      classifier:\n        {model: 'Other:latest'}\n"
        "  other:\n    complexity: {small: a, large: b, classifier: {timeout: 1s}}\n"
    )
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "drover.yaml:7: routes.auto.classifier 'Other:latest' is a route; name a model" in result.stderr
    assert "routes.other.complexity.classifier.model is missing" in result.stderr
