"""Embeddings of a resident model beside a route's words; the model is played by the fake engine."""

import json

import pytest

COLOURS = ["red", "green", "blue", "white", "black", "brown"]
CODE = "fix this python function number 77 pink"
CHAT = "tell me a story of a pink bird 77"


def asking(text):
    return {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 2}


def rows_of(count=8):
    for i in range(count):
        for colour in COLOURS:
            yield {"prompt": f"fix this python function number {i} {colour}", "label": "code", "source": colour}
            yield {"prompt": f"tell me a story of a {colour} bird {i}", "label": "chat", "source": colour}


@pytest.fixture
def predictor(fake, tmp_path):
    """Trained with the embeddings of the fake engine."""
    data = tmp_path / "tasks.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows_of()))
    server = fake({"embedder": "dimensions=8"}, embedder={"task": "embedding"})
    file = tmp_path / "with.route"
    trained = server.run("route", "train", data, "-o", file, "--bits", "12", "--embedding", "embedder")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.count("accuracy 100.0 %") == 2 and "with embeddings of embedder:" in trained.stdout
    judged = server.run("route", "eval", data, "--bits", "12", "--embedding", "embedder")
    assert judged.returncode == 0 and "with embeddings of" in judged.stdout, judged.stderr
    server.stop()
    return file


def test_one_can_be_judged_and_calibrated_with_its_embeddings(fake, predictor, tmp_path):
    data, file = tmp_path / "tasks.jsonl", tmp_path / "anew.route"
    server = fake({"embedder": "dimensions=8", "other": "dimensions=6"}, embedder={"task": "embedding"}, other={"task": "embedding"})
    anew = server.run("route", "calibrate", predictor, data, "-o", file, "--embedding", "embedder")
    assert anew.returncode == 0 and "with embeddings of embedder:" in anew.stdout, anew.stderr
    assert file.stat().st_size > 0 and file.read_bytes() != predictor.read_bytes()
    judged = server.run("route", "eval", data, "--predictor", file, "--embedding", "embedder")
    assert judged.returncode == 0 and judged.stdout.count("accuracy 100.0 %") == 2, judged.stderr
    refused = server.run("route", "eval", data, "--predictor", file, "--embedding", "other")
    assert refused.returncode == 1
    assert "have 6 numbers; the predictor was trained with 8 of 'embedder'" in refused.stderr
    words = tmp_path / "words.route"
    assert server.run("route", "train", data, "-o", words, "--bits", "12").returncode == 0
    refused = server.run("route", "calibrate", words, data, "-o", file, "--embedding", "embedder")
    assert refused.returncode == 1 and "was not trained with any" in refused.stderr


@pytest.fixture
def routed(fake, predictor):
    def start(embedder, embedding="embedder"):
        stage = {"code": "coder", "predictor": str(predictor), "embedding": embedding}
        return fake(
            {"coder": "", "talker": "", "embedder": embedder},
            {"routes": {"auto": {"task": stage, "fallback": "talker"}}},
            embedder={"task": "embedding"},
        )

    return start


def reason_of(server, text):
    answer = server.post("/v1/chat/completions", asking(text))
    assert answer.status_code == 200, answer.text
    return answer.headers["x-drover-model"], answer.headers["x-drover-reason"]


def test_it_has_its_say_only_where_it_is_in_memory(routed):
    server = routed("dimensions=8")
    model, reason = reason_of(server, CODE)
    assert model == "coder" and "without embedder" in reason and "not loaded" in reason
    assert "embedder" not in server.instances()  # nobody waited for it, and it was not loaded
    server.post("/v1/embeddings", {"model": "embedder", "input": "x"})
    model, reason = reason_of(server, CODE)
    assert model == "coder" and reason.endswith("(with embedder)")
    assert reason_of(server, CHAT)[0] == "talker"
    task = server.post("/v1/route", asking(CODE)).json()["task"]
    assert task["label"] == "code" and task["classifier"]["cached"] and task["classifier"]["model"] == "embedder"


def test_a_slow_one_is_not_waited_for(routed):
    server = routed("dimensions=8,think=60000", {"model": "embedder", "timeout": "100ms"})
    server.post("/admin/load", {"model": "embedder"})
    model, reason = reason_of(server, CODE)
    assert model == "coder" and "without embedder" in reason


def test_one_of_another_size_is_told(routed):
    server = routed("dimensions=6")
    server.post("/v1/embeddings", {"model": "embedder", "input": "x"})
    model, reason = reason_of(server, CODE)
    assert model == "coder" and "have 6 numbers; the predictor was trained with 8 of 'embedder'" in reason


def test_a_predictor_without_embeddings_is_told_with_its_line(fake):
    stage = {"small": "small", "large": "large", "embedding": "embedder"}
    with pytest.raises(AssertionError, match=r"drover.yaml:\d+: routes.auto.\w+.embedding the predictor was not trained with any"):
        fake({"small": "", "large": "", "embedder": ""}, {"routes": {"auto": {"complexity": stage}}})


def test_both_a_classifier_and_an_embedding_are_too_many(fake):
    stage = {"code": "coder", "embedding": "coder", "classifier": {"model": "coder"}}
    with pytest.raises(AssertionError, match="takes a classifier or an embedding, not both"):
        fake({"coder": ""}, {"routes": {"auto": {"task": stage, "fallback": "coder"}}})
