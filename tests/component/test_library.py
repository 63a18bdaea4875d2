"""The endpoints that change the models on the disk, in Ollama's words."""

import hashlib
import json
import os
import socket

import pytest
import support
from registry import digest_of
from support import wait_until


@pytest.fixture
def server(fake, registry):
    """A server with one model of a folder, "base", and a store that pulls from `registry`."""
    registry.add("library/smol:135m", [("model", support.SMOL.read_bytes()), ("system", b"Be brief.")])
    return fake({"base": ""}, environment={"DROVER_REGISTRY": registry.url})


def lines(response):
    return [json.loads(line) for line in response.iter_lines()]


def names(server):
    return {one["name"] for one in server.get("/api/tags").json()["models"]}


def delete(server, model):
    return server.client.request("DELETE", "/api/delete", json={"model": model})


def test_a_pulled_model_can_be_used_when_the_stream_ends(server):
    with server.client.stream("POST", "/api/pull", json={"model": "smol:135m"}) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        told = lines(response)
    assert told[0] == {"status": "pulling manifest"} and told[-1] == {"status": "success"}
    pulling = [one for one in told if one["status"].startswith("pulling ") and one.get("total")]
    assert pulling[-1]["completed"] == pulling[-1]["total"]
    assert server.chat("smol:135m").status_code == 200


def test_a_pull_may_answer_once(server):
    answer = server.post("/api/pull", {"name": "smol:135m", "stream": False})
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})


def test_what_cannot_be_pulled_is_told(server):
    told = server.post("/api/pull", {"model": "nothing"})
    assert told.status_code == 200 and "does not exist" in lines(told)[-1]["error"]
    answer = server.post("/api/pull", {"model": "nothing", "stream": False})
    assert answer.status_code == 404 and "does not exist" in answer.json()["error"]
    assert server.post("/api/pull", {"model": "a/b/c/d"}).status_code == 400
    assert server.post("/api/pull", {}).status_code == 400
    assert server.post("/api/pull", {"model": "/etc/x.gguf"}).status_code == 400


def test_a_client_that_leaves_stops_the_pull_and_the_next_one_goes_on(server, registry):
    registry.faults.hold_after = 1 << 20
    with server.client.stream("POST", "/api/pull", json={"model": "smol:135m"}) as response:
        told = response.iter_lines()
        next(told)
        wait_until(lambda: list((server.directory / "store/blobs").glob("*-ranges")), what="the journal")
    registry.faults.hold_after = None
    registry.faults.gate.set()
    assert server.post("/api/pull", {"model": "smol:135m", "stream": False}).status_code == 200


def test_copy_and_delete(server):
    server.post("/api/pull", {"model": "smol:135m", "stream": False})
    assert server.post("/api/copy", {"source": "smol:135m", "destination": "other"}).status_code == 200
    assert {"smol:135m", "other:latest"} <= names(server)
    assert server.chat("other").status_code == 200
    assert delete(server, "smol:135m").status_code == 200
    assert server.chat("smol:135m").status_code == 404 and server.chat("other").status_code == 200
    gone = delete(server, "smol:135m")
    assert (gone.status_code, gone.json()) == (404, {"error": "model 'smol:135m' not found"})
    kept = delete(server, "base")
    assert kept.status_code == 400 and "remove it where it came from" in kept.json()["error"]
    missing = server.post("/api/copy", {"source": "nothing", "destination": "x"})
    assert (missing.status_code, missing.json()) == (404, {"error": 'model "nothing" not found'})


def test_a_model_is_made_of_another_one_and_fields(server):
    body = {"model": "mine", "from": "base", "system": "Speak plainly.", "parameters": {"temperature": 0.1}}
    told = lines(server.post("/api/create", body))
    assert told[-1] == {"status": "success"} and any("creating new layer" in one["status"] for one in told)
    assert server.chat("mine").status_code == 200
    body = {"model": "mine:2", "from": "mine", "parameters": {"top_k": 3}, "license": ["MIT"], "stream": False}
    assert server.post("/api/create", body).json() == {"status": "success"}
    manifest = json.loads((server.directory / "store/manifests/registry.ollama.ai/library/mine/2").read_text())
    layers = {one["mediaType"].rsplit(".", 1)[1]: one["digest"].replace(":", "-") for one in manifest["layers"]}
    blobs = server.directory / "store/blobs"
    assert (blobs / layers["system"]).read_text() == "Speak plainly."
    assert json.loads((blobs / layers["params"]).read_text()) == {"temperature": 0.1, "top_k": 3}
    assert (blobs / layers["license"]).read_text() == "MIT"
    for wrong in ({"model": "x", "from": "nothing"}, {"model": "x"}, {"model": "x", "from": "base", "quantize": "q4_0"}):
        assert server.post("/api/create", {**wrong, "stream": False}).status_code in (400, 404)


def test_a_recipe_counts_behind_a_route_too(fake):
    server = fake({"base": ""}, {"routes": {"auto": {"fallback": "mine"}}})
    body = {"model": "mine", "from": "base", "system": "word " * 40, "parameters": {"num_predict": 3}, "stream": False}
    assert server.post("/api/create", body).status_code == 200
    for model in ("mine", "auto"):
        answer = server.post("/api/chat", {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": False})
        assert answer.status_code == 200, answer.text
        assert answer.json()["eval_count"] == 3, (model, answer.text)


def test_a_model_is_made_of_an_uploaded_blob(server):
    if not support.MINILM.exists():
        pytest.skip("the default models are not there; run scripts/fetch-models")
    content = support.MINILM.read_bytes()
    path = f"/api/blobs/{digest_of(content)}"
    assert server.client.head(path).status_code == 404
    assert server.client.post(path, content=content[:-1]).status_code == 400
    assert server.client.post(path, content=content).status_code == 201
    assert server.client.head(path).status_code == 200
    assert server.client.post(path, content=content).status_code == 200, "it is there already"
    assert server.client.head("/api/blobs/sha256:1").status_code == 400
    assert server.client.post("/api/blobs/sha256:1", content=b"x").status_code == 400
    body = {"model": "embed", "files": {"minilm.gguf": digest_of(content)}, "stream": False}
    assert server.post("/api/create", body).status_code == 200
    blob = server.directory / "store/blobs" / digest_of(content).replace(":", "-")
    assert hashlib.sha256(blob.read_bytes()).hexdigest() in digest_of(content)
    assert any(one["name"] == "embed:latest" for one in server.get("/admin/models").json()["models"])


def blobs_of(server):
    return [one.name for one in (server.directory / "store/blobs").glob("*")]


def test_an_upload_is_bounded_by_the_disk_alone(fake):
    server = fake({"base": ""}, {"limits": {"body": "1MiB"}})
    content = os.urandom(8 << 20)
    pieces = (content[at : at + 100_000] for at in range(0, len(content), 100_000))
    assert server.client.post(f"/api/blobs/{digest_of(content)}", content=pieces).status_code == 201
    assert blobs_of(server) == [digest_of(content).replace(":", "-")]
    assert server.post("/api/pull", {"model": "x" * (2 << 20)}).status_code == 413, "other bodies have their limit"
    with socket.create_connection(("127.0.0.1", server.client.base_url.port)) as connection:
        head = f"POST /api/blobs/sha256:{'0' * 64} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {1 << 60}\r\n\r\n"
        connection.sendall(head.encode())
        assert "are needed on the disk" in connection.recv(1 << 16).decode()
    assert len(blobs_of(server)) == 1


def test_an_upload_that_breaks_off_leaves_nothing_behind(fake):
    server = fake({"base": ""})
    with socket.create_connection(("127.0.0.1", server.client.base_url.port)) as connection:
        head = f"POST /api/blobs/sha256:{'0' * 64} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {1 << 24}\r\n\r\n"
        connection.sendall(head.encode() + bytes(3 << 20))
        wait_until(lambda: blobs_of(server), what="the beginning of the upload")
    wait_until(lambda: not blobs_of(server), what="its removal")
    assert server.chat("base").status_code == 200


def test_commands_change_the_models_of_a_server_that_is_named(server, registry):
    assert "smol:135m is there" in server.run("pull", "smol:135m").stdout
    shown = server.run("show", "smol:135m").stdout
    assert "architecture    llama" in shown and "Be brief." in shown
    assert server.run("cp", "smol:135m", "other").returncode == 0 and "other:latest" in names(server)
    server.chat("other")
    refused = server.run("rm", "other")
    assert refused.returncode == 1 and "is in memory" in refused.stderr
    assert server.run("rm", "--force", "other").returncode == 0 and "other:latest" not in names(server)
    target = f"{registry.url}/team/smol:v1"
    assert server.run("cp", "smol:135m", target.removeprefix("http://")).returncode == 0
    pushed = server.run("push", target)
    assert pushed.returncode == 0 and "/v2/team/smol/manifests/v1" in registry.manifests, pushed.stderr
    for command in (["pull", "nothing"], ["rm", "nothing"], ["show", "nothing"], ["cp", "nothing", "x"], ["push", "nothing"]):
        failed = server.run(*command)
        assert failed.returncode == 1 and "nothing" in failed.stderr, command
    assert server.run("pull", "smol:135m", "--name", "x").returncode == 1
