"""Pushing models to a registry that misbehaves."""

import json
import random

import pytest
from registry import digest_of

pytestmark = pytest.mark.usefixtures("needs_the_program")

MIB = 1 << 20
WEIGHTS = random.Random(2).randbytes(3 * MIB)


@pytest.fixture
def origin(registry):
    """Where the model comes from."""
    registry.add("library/tiny:latest", [("model", WEIGHTS), ("license", b"MIT")])
    return registry


@pytest.fixture
def target(elsewhere):
    return elsewhere


@pytest.fixture
def machine(machine, origin):
    machine.pull("tiny")
    return machine


def push(machine, target, *more):
    return machine.run("push", "tiny", f"{target.url}/team/tiny:v1", *more)


def has_it(target, origin):
    manifest = origin.manifests["/v2/library/tiny/manifests/latest"]
    return target.blobs == origin.blobs and target.manifests == {"/v2/team/tiny/manifests/v1": manifest}


def test_a_pushed_model_can_be_pulled_from_there(machine, origin, target):
    process = push(machine, target)
    assert process.returncode == 0 and "is there" in process.out, process.err
    assert has_it(target, origin), "with the same bytes, so with the same digest"
    machine.pull(f"{target.url}/team/tiny:v1", "--name", "again")
    assert (machine.store / "manifests/registry.ollama.ai/library/again/latest").exists()


def test_what_is_there_is_not_sent_again(machine, target):
    assert push(machine, target).returncode == 0
    target.requests.clear()
    assert push(machine, target).returncode == 0
    assert {one["method"] for one in target.sent("/blobs/")} == {"HEAD"}


def test_a_model_goes_where_its_name_says(machine, target):
    name = f"{target.url.removeprefix('http://')}/team/tiny:v1"
    assert machine.run("cp", "tiny", name).returncode == 0
    process = machine.run("push", f"http://{name}")
    assert process.returncode == 0, process.err
    assert "/v2/team/tiny/manifests/v1" in target.manifests


def test_a_cut_piece_goes_on_where_the_registry_has_it(machine, origin, target):
    target.faults.upload_cuts = [0, MIB, 0, MIB // 2]
    process = push(machine, target)
    assert process.returncode == 0, process.err
    assert has_it(target, origin)
    sent = sum(one["sent"] for one in target.sent("/uploads/") if one["method"] == "PATCH")
    assert sent == sum(map(len, target.blobs.values())), "no byte was sent twice"


def test_a_busy_registry_is_asked_again(machine, origin, target):
    target.faults.statuses = [("/uploads/", 503, {}), ("/uploads/", 429, {"Retry-After": "0"}), ("/manifests/", 500, {})]
    process = push(machine, target)
    assert process.returncode == 0, process.err
    assert has_it(target, origin) and target.faults.statuses == []


def test_a_lost_session_is_begun_anew(machine, origin, target):
    target.faults.forget_uploads = 2
    process = push(machine, target)
    assert process.returncode == 0, process.err
    assert has_it(target, origin)


def test_a_challenge_is_answered_and_the_token_not_told(machine, origin, target):
    target.faults.token, target.faults.tokens_last = "let-me-in", 3
    process = push(machine, target)
    assert process.returncode == 0, process.err
    assert has_it(target, origin) and len(target.sent("/token")) > 1
    assert "let-me-in" not in process.out + process.err


def test_what_cannot_be_pushed_is_told(machine, target):
    target.faults.needs_account = True
    process = push(machine, target)
    assert process.returncode == 1 and "without an account" in process.err
    target.faults.needs_account = False
    target.faults.damage_uploads = True
    process = push(machine, target)
    assert process.returncode == 1 and "DIGEST_INVALID" in process.err
    assert target.manifests == {}, "a model is there completely or not at all"
    assert "not in the store" in machine.run("push", "nothing", f"{target.url}/a/b").err
    assert "Hugging Face hub" in machine.run("push", "tiny", "hf.co/org/tiny").err
    target.faults.statuses = [("/blobs/", 503, {"Retry-After": "0"})] * 6
    process = push(machine, target)
    assert process.returncode == 1 and "503" in process.err


def test_plain_http_to_another_machine_must_be_asked_for(machine):
    process = machine.run("push", "tiny", "http://registry.invalid/library/tiny")
    assert process.returncode == 1 and "--insecure" in process.err


def test_the_api_pushes_what_it_has(fake, origin, target):
    server = fake({"base": ""}, environment={"DROVER_REGISTRY": origin.url})
    name = f"{target.url.removeprefix('http://')}/team/tiny:v1"
    assert server.post("/api/pull", {"model": "tiny", "stream": False}).status_code == 200
    assert server.post("/api/copy", {"source": "tiny", "destination": name}).status_code == 200
    told = [json.loads(one) for one in server.post("/api/push", {"model": f"http://{name}"}).iter_lines()]
    assert told[0] == {"status": "retrieving manifest"} and told[-1] == {"status": "success"}
    pushing = [one for one in told if one.get("digest") == digest_of(WEIGHTS)]
    assert pushing[-1]["completed"] == pushing[-1]["total"] == len(WEIGHTS)
    assert has_it(target, origin)
    missing = server.post("/api/push", {"model": "nothing", "stream": False})
    assert (missing.status_code, missing.json()) == (404, {"error": "model 'nothing' not found"})
    foreign = server.post("/api/push", {"model": "base", "stream": False})
    assert foreign.status_code == 400 and "copy it first" in foreign.json()["error"]
