"""`drover route train|eval|calibrate` on small files; no server."""

import json
import subprocess

import pytest
import support

COLOURS = ["red", "green", "blue", "white", "black", "brown"]


def drover(*arguments):
    return subprocess.run([support.DROVER, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def tasks(tmp_path):
    rows = [{"prompt": f"fix this python function number {i} {c}", "label": "code", "source": c} for i in range(8) for c in COLOURS]
    rows += [{"prompt": f"tell me a story of a {c} bird {i}", "label": "chat", "source": c} for i in range(8) for c in COLOURS]
    return write_lines(tmp_path / "tasks.jsonl", rows)


@pytest.fixture
def outcomes(tmp_path):
    rows = [{"prompt": f"what is {c} {i}", "weak": True, "strong": True} for i in range(20) for c in COLOURS]
    rows += [{"prompt": f"derive a tensor of {c} {i}", "weak": False, "strong": True} for i in range(20) for c in COLOURS]
    return write_lines(tmp_path / "outcomes.jsonl", rows)


def test_a_predictor_is_trained_and_judged(tasks, tmp_path):
    file = tmp_path / "task.route"
    trained = drover("route", "train", tasks, "-o", file, "--bits", 12)
    assert trained.returncode == 0, trained.stderr
    assert "accuracy 100.0 %" in trained.stdout
    judged = drover("route", "eval", tasks, "--predictor", file)
    assert judged.returncode == 0 and "trained on this very file" in judged.stdout
    again = tmp_path / "again.route"
    drover("route", "train", tasks, "-o", again, "--bits", 12)
    assert file.read_bytes() == again.read_bytes()


def test_prompts_that_are_also_trained_on_are_not_judged(tasks, tmp_path):
    more = [{"prompt": f"count {c} marbles {i}", "label": "math", "source": "more"} for i in range(8) for c in COLOURS]
    also = write_lines(tmp_path / "more.jsonl", more)
    file = tmp_path / "task.route"
    trained = drover("route", "train", tasks, "--also", also, "-o", file, "--bits", 12)
    assert trained.returncode == 0, trained.stderr
    assert " 96 prompts" in trained.stdout
    judged = drover("route", "eval", tasks, "--also", also, "--leave-groups-out", 0, "--bits", 12)
    assert judged.returncode == 0 and "6 folds of whole groups" in judged.stdout, judged.stderr
    assert "math" in judged.stdout  # a label that may be guessed, though no judged prompt has it
    alone = drover("route", "train", also, "-o", file)
    assert alone.returncode != 0 and "all examples have the label 'math'; a classifier needs two" in alone.stderr
    wrong = drover("route", "eval", tasks, "--also", tmp_path / "none.jsonl", "--bits", 12)
    assert wrong.returncode != 0 and "none.jsonl" in wrong.stderr


def test_a_predictor_is_judged_by_prompts_of_one_task(tasks, tmp_path):
    file = tmp_path / "task.route"
    drover("route", "train", tasks, "-o", file, "--bits", 12)
    code = write_lines(tmp_path / "code.jsonl", [{"prompt": f"fix this python function {i}", "label": "code"} for i in range(9)])
    judged = drover("route", "eval", code, "--predictor", file)
    assert judged.returncode == 0 and "accuracy 100.0 %" in judged.stdout, judged.stdout + judged.stderr
    law = write_lines(tmp_path / "law.jsonl", [{"prompt": "may my landlord do this?", "label": "law"}])
    refused = drover("route", "eval", law, "--predictor", file)
    assert refused.returncode != 0 and "there is no label 'law'" in refused.stderr


def test_groups_are_left_out_whole(tasks):
    judged = drover("route", "eval", tasks, "--leave-groups-out", 0, "--bits", 12)
    assert judged.returncode == 0, judged.stderr
    assert "6 folds of whole groups" in judged.stdout


def test_the_frontier_is_printed_and_drawn(outcomes, tmp_path):
    picture = tmp_path / "frontier.svg"
    judged = drover("route", "eval", outcomes, "--svg", picture, "--bits", 12)
    assert judged.returncode == 0, judged.stderr
    assert "APGR 0.7" in judged.stdout and "OF STRONG ALONE" in judged.stdout
    assert picture.read_text().startswith("<svg") and picture.read_text().endswith("</svg>\n")


def test_what_cannot_be_drawn_or_written_is_told_before_anything_is_trained(tasks, outcomes, tmp_path):
    picture, nowhere = tmp_path / "frontier.svg", tmp_path / "none" / "x"
    for arguments, words in (
        (("eval", tasks, "--svg", picture), "tasks.jsonl has labels"),
        (("eval", outcomes, "--svg", picture, "--train-size", 60), "excludes"),
        (("eval", outcomes, "--svg", nowhere), "there is no directory"),
        (("train", outcomes, "-o", nowhere), "there is no directory"),
        (("train", outcomes, "-o", tmp_path), "is a directory"),
        (("calibrate", "cascade", outcomes, "-o", nowhere), "there is no directory"),
    ):
        refused = drover("route", *arguments)
        assert refused.returncode != 0 and words in refused.stderr and refused.stdout == "", (arguments, refused)
    assert not picture.exists()


def test_few_labels_are_drawn(outcomes):
    judged = drover("route", "eval", outcomes, "--train-size", 60, "--draws", 2, "--bits", 12)
    assert judged.returncode == 0 and "mean APGR with 60 labels" in judged.stdout


def test_calibration_takes_new_outcomes(outcomes, tmp_path):
    file, new = tmp_path / "a.route", tmp_path / "b.route"
    drover("route", "train", outcomes, "-o", file, "--bits", 12)
    result = drover("route", "calibrate", file, outcomes, "-o", new)
    assert result.returncode == 0, result.stderr
    assert new.read_bytes() != file.read_bytes()


def test_what_is_wrong_is_named(tasks, outcomes, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "x", "label": "a"}\n{"prompt": 3}\n')
    assert 'line 2 has no text "prompt"' in drover("route", "eval", bad).stderr
    assert drover("route", "eval", tmp_path / "none.jsonl").returncode == 1
    file = tmp_path / "task.route"
    drover("route", "train", tasks, "-o", file, "--bits", 12)
    assert "predicts task, and" in drover("route", "eval", outcomes, "--predictor", file).stderr
    file.write_bytes(file.read_bytes()[:-100])
    assert "damaged or cut off" in drover("route", "eval", tasks, "--predictor", file).stderr
