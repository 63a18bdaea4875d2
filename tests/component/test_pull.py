"""Pulling models from a registry, a hub, a URL and a file that all misbehave, and what the store makes of it."""

import hashlib
import json
import random
import signal

import pytest
import support
from registry import digest_of
from support import wait_until

pytestmark = pytest.mark.usefixtures("needs_the_program")

MIB = 1 << 20
WEIGHTS = random.Random(1).randbytes(24 * MIB)  # six ranges


@pytest.fixture
def registry(registry):
    registry.add("library/tiny:latest", [("model", WEIGHTS), ("template", b"{{ .Prompt }}"), ("license", b"MIT")])
    return registry


def received(machine):
    """Bytes that the journal of an unfinished blob names."""
    spans = [
        tuple(map(int, line.split()))
        for file in (machine.store / "blobs").glob("*-ranges")
        for line in file.read_text().splitlines()
    ]
    return sum(end - begin for begin, end in spans)


def test_a_model_is_pulled_in_ranges_and_lies_as_ollama_would_have_put_it(machine, registry):
    assert "tiny:latest is there" in machine.pull("tiny").out
    manifest = machine.store / "manifests/registry.ollama.ai/library/tiny/latest"
    assert manifest.read_bytes() == registry.manifests["/v2/library/tiny/manifests/latest"]
    assert machine.has(WEIGHTS) and machine.has(b"MIT")
    ranges = {one["range"] for one in registry.sent(digest_of(WEIGHTS))}
    assert len(ranges) == 6 and registry.bytes_sent(digest_of(WEIGHTS)) == len(WEIGHTS)
    assert machine.leftovers() == []
    machine.pull("tiny")
    assert registry.bytes_sent(digest_of(WEIGHTS)) == len(WEIGHTS), "what is there is not fetched again"


def test_a_killed_pull_goes_on_where_it_was(machine, registry):
    registry.faults.hold_after = 2 * MIB
    process = machine.start("pull", "tiny")
    wait_until(lambda: received(machine) >= 8 * MIB, timeout=40, what="some ranges in the journal")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = received(machine)
    registry.faults.hold_after = None
    registry.faults.gate.set()
    wait_until(lambda: all(one["sent"] for one in registry.sent(digest_of(WEIGHTS))), timeout=40)
    registry.requests.clear()
    machine.pull("tiny")
    assert machine.has(WEIGHTS)
    assert registry.bytes_sent(digest_of(WEIGHTS)) <= len(WEIGHTS) - before
    assert machine.leftovers() == []


def test_ctrl_c_keeps_what_is_there_and_says_so(machine, registry):
    registry.faults.hold_after = MIB
    process = machine.start("pull", "tiny")
    wait_until(lambda: received(machine) >= 6 * MIB, timeout=40, what="some ranges in the journal")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "what is there is kept" in errors
    registry.faults.hold_after = None
    registry.faults.gate.set()
    machine.pull("tiny")
    assert machine.has(WEIGHTS)


def test_two_pulls_of_one_blob_share_it(machine, registry):
    registry.faults.hold_after = MIB
    first = machine.start("pull", "tiny")
    wait_until(lambda: received(machine) >= MIB, timeout=40, what="the first pull")
    second = machine.start("pull", "tiny")
    wait_until(lambda: len(registry.sent("/manifests/")) == 2, timeout=40, what="the second pull")
    registry.faults.gate.set()
    for process in (first, second):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert machine.has(WEIGHTS)
    assert registry.bytes_sent(digest_of(WEIGHTS)) == len(WEIGHTS)


def test_connections_that_are_cut_are_made_anew(machine, registry):
    registry.faults.cut_after, registry.faults.cuts_left = MIB, 8
    machine.pull("tiny")
    assert machine.has(WEIGHTS)


def test_a_silent_connection_is_made_anew(machine, registry):
    machine.stall = "2s"
    registry.faults.hold_after = 3 * MIB
    process = machine.start("pull", "tiny")
    wait_until(lambda: len(registry.sent(digest_of(WEIGHTS))) > 6, timeout=40, what="new connections")
    registry.faults.hold_after = None
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert machine.has(WEIGHTS)


def test_damaged_bytes_are_noticed_and_thrown_away(machine, registry):
    registry.faults.damage = True
    process = machine.run("pull", "tiny")
    assert process.returncode == 1 and "another digest" in process.err
    assert not machine.blob(WEIGHTS).exists() and machine.leftovers() == []
    assert not (machine.store / "manifests").exists(), "a model is there completely or not at all"
    registry.faults.damage = False
    machine.pull("tiny")
    assert machine.has(WEIGHTS)


def test_a_busy_server_is_asked_again(machine, registry):
    registry.faults.statuses = [
        ("/manifests/", 503, {}),
        (digest_of(WEIGHTS), 429, {"Retry-After": "0"}),
        (digest_of(WEIGHTS), 500, {}),
    ]
    machine.pull("tiny")
    assert machine.has(WEIGHTS) and registry.faults.statuses == []


def test_a_server_that_stays_busy_is_given_up_with_its_words(machine, registry):
    registry.faults.statuses = [("/manifests/", 503, {"Retry-After": "0"})] * 6
    process = machine.run("pull", "tiny")
    assert process.returncode == 1 and "503" in process.err and "as told" in process.err


def test_a_server_without_ranges_sends_the_whole(machine, registry):
    registry.faults.no_ranges = True
    registry.faults.cut_after, registry.faults.cuts_left = 20 * MIB, 1
    machine.pull("tiny")
    assert machine.has(WEIGHTS)


def test_a_challenge_is_answered_also_when_the_token_expires(machine, registry):
    registry.faults.token, registry.faults.tokens_last = "let-me-in", 4
    process = machine.pull("tiny")
    assert machine.has(WEIGHTS) and len(registry.sent("/token")) > 1
    assert "let-me-in" not in process.out + process.err


def test_blobs_may_be_on_another_host_which_sees_no_token(machine, registry, elsewhere):
    registry.faults.token = "let-me-in"
    registry.faults.redirect_to = elsewhere.url.replace("127.0.0.1", "localhost")
    elsewhere.blobs = registry.blobs
    machine.pull("tiny")
    assert machine.has(WEIGHTS)
    assert {one["authorization"] for one in elsewhere.sent("/cdn/")} == {None}
    assert registry.bytes_sent("/blobs/") == 0


def test_what_does_not_exist_is_named(machine, registry):
    process = machine.run("pull", "nothing:1b")
    assert process.returncode == 1 and "'nothing:1b' does not exist" in process.err
    assert "names no model" in machine.run("pull", "a/b/c/d").err
    assert "only .gguf files" in machine.run("pull", "/etc/passwd").err
    registry.manifests["/v2/library/odd/manifests/latest"] = b'{"layers": [{"digest": "../../x", "size": 1}]}'
    assert "digest is wrong" in machine.run("pull", "odd").err
    registry.add("library/tensors:latest", [("tensor", b"x")])
    assert "no GGUF file" in machine.run("pull", "tensors").err


def test_a_full_disk_is_noticed_before_anything_is_fetched(machine, registry):
    manifest = registry.add("library/huge:latest", [("model", b"x")])
    manifest["layers"][0]["size"] = 1 << 45
    registry.manifests["/v2/library/huge/manifests/latest"] = json.dumps(manifest).encode()
    process = machine.run("pull", "huge")
    assert process.returncode == 1 and "are needed on the disk" in process.err and "32.0 TiB" in process.err
    assert registry.sent("/blobs/") == []


def test_plain_http_to_another_machine_must_be_asked_for(machine):
    process = machine.run("pull", "http://registry.invalid/library/tiny:latest")
    assert process.returncode == 1 and "--insecure" in process.err


def test_a_login_that_looks_like_this_machine_is_another_one(machine):
    machine.environment |= {"DROVER_REGISTRY": "http://127.0.0.1:x@registry.invalid"}
    process = machine.run("pull", "tiny")
    assert process.returncode == 1 and "--insecure" in process.err


def test_proxies_are_honoured(machine, registry):
    machine.environment |= {"DROVER_REGISTRY": "http://registry.invalid", "http_proxy": registry.url}
    assert machine.run("pull", "tiny", "--insecure").returncode == 0
    assert machine.has(WEIGHTS)


@pytest.fixture
def gguf():
    if not support.MINILM.exists():
        pytest.skip("the default models are not there; run scripts/fetch-models")
    return support.MINILM.read_bytes()


def test_a_file_of_the_hub_is_chosen_by_its_quantisation(machine, registry, elsewhere, gguf):
    registry.repositories["org/tiny-GGUF"] = {
        "README.md": b"x", "Tiny-Q8_0.gguf": gguf, "Tiny-Q2_K.gguf": b"y", "mmproj-F16.gguf": b"projector"}
    registry.faults.hub_token = "hf_secret"
    registry.faults.redirect_to = elsewhere.url.replace("127.0.0.1", "localhost")
    elsewhere.blobs = {digest_of(one): one for one in registry.repositories["org/tiny-GGUF"].values()}
    refused = machine.run("pull", "hf.co/org/tiny-GGUF:q8_0")
    assert refused.returncode == 1 and "HF_TOKEN" in refused.err
    machine.environment["HF_TOKEN"] = "hf_secret"
    process = machine.pull("hf.co/org/tiny-GGUF:q8_0")
    assert "hf_secret" not in process.out + process.err
    assert {one["authorization"] for one in elsewhere.sent("/cdn/")} == {None}
    assert machine.has(gguf) and machine.has(b"projector") and not machine.has(b"y")
    manifest = json.loads((machine.store / "manifests/hf.co/org/tiny-GGUF/q8_0").read_text())
    assert [one["mediaType"].rsplit(".", 1)[1] for one in manifest["layers"]] == ["model", "projector"]
    assert "it has Q2_K, Q8_0" in machine.run("pull", "hf.co/org/tiny-GGUF:Q5_K_M").err


def test_a_revision_of_the_hub_is_another_model(machine, registry, gguf):
    registry.repositories["org/tiny-GGUF"] = {"Tiny-Q8_0.gguf": b"of today"}
    registry.repositories["org/tiny-GGUF@v1.0"] = {"Tiny-Q8_0.gguf": gguf}
    assert "hf.co/org/tiny-GGUF@v1.0:Q8_0 is there" in machine.pull("hf.co/org/tiny-GGUF@v1.0:Q8_0").out
    assert machine.has(gguf) and not machine.has(b"of today")
    machine.pull("hf.co/org/tiny-GGUF:Q8_0")
    assert {one.name for one in (machine.store / "manifests/hf.co/org").iterdir()} == {"tiny-GGUF", "tiny-GGUF@v1.0"}
    machine.pull("https://huggingface.co/org/tiny-GGUF/resolve/v1.0/Tiny-Q8_0.gguf")
    assert machine.run("pull", "hf.co/org/tiny-GGUF@v2.0:Q8_0").returncode == 1
    assert machine.run("rm", "hf.co/org/tiny-GGUF@v1.0:Q8_0").returncode == 0


def test_a_url_is_resumed_only_while_the_server_says_that_it_is_the_same_file(machine, registry, gguf):
    registry.files["/models/Tiny.Q8_0.gguf"] = gguf[:-1] + b"\0"
    registry.faults.hold_after = 2 * MIB
    process = machine.start("pull", registry.url + "/models/Tiny.Q8_0.gguf")
    wait_until(lambda: received(machine) >= 2 * MIB, timeout=40, what="some ranges in the journal")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    registry.files["/models/Tiny.Q8_0.gguf"] = gguf
    registry.faults.hold_after = None
    registry.faults.gate.set()
    assert "tiny:q8_0 is there" in machine.pull(registry.url + "/models/Tiny.Q8_0.gguf").out
    assert machine.has(gguf)
    assert len(machine.leftovers()) == 2
    assert "freed" in machine.run("prune").out
    assert machine.leftovers() == [] and machine.has(gguf)
    wrong = machine.run("pull", registry.url + "/models/Tiny.Q8_0.gguf#sha256=" + "0" * 64)
    assert wrong.returncode == 1 and "another digest" in wrong.err


def test_a_page_in_place_of_a_model_is_refused(machine, registry):
    registry.files["/Tiny.gguf"] = b"<html>404</html>"
    process = machine.run("pull", registry.url + "/Tiny.gguf")
    assert process.returncode == 1 and "not a GGUF file" in process.err


def test_a_file_is_taken_into_the_store_under_a_name(machine, gguf):
    file = machine.home / "Some.Q8_0.gguf"
    file.write_bytes(gguf)
    assert "mine:v1 is there" in machine.pull("./Some.Q8_0.gguf", "--name", "mine:v1").out
    assert machine.has(gguf) and hashlib.sha256(file.read_bytes()).hexdigest() in str(machine.blob(gguf))


def test_cp_rm_and_prune(machine):
    machine.pull("tiny")
    assert machine.run("cp", "tiny", "other:2").returncode == 0
    assert machine.run("rm", "tiny").returncode == 0
    assert machine.has(WEIGHTS), "the copy still needs it"
    assert "24.0 MiB freed" in machine.run("rm", "OTHER:2").out
    assert not machine.blob(WEIGHTS).exists()
    assert machine.run("rm", "tiny").returncode == 1
