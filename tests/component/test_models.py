"""Models that come and go while the server runs."""

import json
import shutil

import pytest
import support
from registry import digest_of
from support import wait_until


@pytest.fixture
def folder(fake, tmp_path):
    """A server with a fake engine whose models are in a folder, empty at first."""
    models = tmp_path / "models"
    models.mkdir()
    server = fake({}, {"models_dir": str(models)})
    return server, models


def names(server):
    return {one["name"]: one for one in server.get("/admin/models").json()["models"]}


def copy(file, target):
    """Makes a complete file appear at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target.with_suffix(".part"))
    target.with_suffix(".part").rename(target)


def test_a_new_file_is_served_without_a_restart(folder):
    server, models = folder
    assert names(server) == {}
    copy(support.SMOL, models / "new" / "Some-Chat.Q4_1.gguf")
    wait_until(lambda: "some-chat" in names(server), what="the new model")
    assert server.chat("some-chat").status_code == 200


def test_a_broken_file_is_listed_with_its_reason_until_it_is_whole(folder):
    server, models = folder
    (models / "Cut.Q4_1.gguf").write_bytes(support.SMOL.read_bytes()[:100_000])
    wait_until(lambda: "cut" in names(server), what="the broken model")
    assert "truncated" in names(server)["cut"]["broken"]
    assert "truncated" in server.chat("cut").text
    copy(support.SMOL, models / "Cut.Q4_1.gguf")
    wait_until(lambda: names(server)["cut"]["broken"] is None, what="the whole model")
    assert server.chat("cut").status_code == 200


def test_a_removed_model_leaves_when_its_last_answer_ends(folder):
    server, models = folder
    file = models / "Slow@slow=100,tokens=30.gguf"
    copy(support.SMOL, file)
    wait_until(lambda: names(server), what="the model")
    name = next(iter(names(server)))
    with server.stream(name) as response:
        lines = response.iter_lines()
        next(lines)
        file.unlink()
        wait_until(lambda: names(server) == {}, what="the end of the listing")
        assert server.chat(name).status_code == 404
        assert server.instances()[name]["leases"] == 1, "the running answer is not disturbed"
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    wait_until(lambda: server.instances() == {}, what="the end of the engine")
    copy(support.SMOL, file)
    wait_until(lambda: names(server), what="the model again")
    assert server.chat(name).status_code == 200


def test_ollamas_store_is_served_in_place(fake, tmp_path):
    ollama = tmp_path / "ollama"
    content = support.SMOL.read_bytes()
    blob = ollama / "blobs" / digest_of(content).replace(":", "-")
    copy(support.SMOL, blob)
    manifest = ollama / "manifests/registry.ollama.ai/library/smol/135m"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest_of(content), "size": len(content)}
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [layer]}))
    before = sorted(str(one) for one in ollama.rglob("*"))
    server = fake({}, {"discover": "ollama"}, environment={"OLLAMA_MODELS": str(ollama), "DROVER_DISCOVER": ""})
    assert names(server)["smol:135m"]["file"] == str(blob)
    assert server.chat("smol:135m").status_code == 200
    assert server.run("cp", "smol:135m", "mine").returncode == 0, "a copy goes into Drover's own store"
    assert sorted(str(one) for one in ollama.rglob("*")) == before
