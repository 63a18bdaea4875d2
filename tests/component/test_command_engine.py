"""Engines that a command starts: `engine: command`, with the fake engine as somebody's server."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import httpx
import psutil
import pytest
from support import DROVER, FAKE_ENGINE, is_alive, subprocess, wait_until

SOCKET = [FAKE_ENGINE, "--host", "{socket}", "--alias", "{model}", "--parallel", "{parallel}"]


@pytest.fixture
def serve(start):
    """serve(a={...}, b={...}) runs a server whose models are these entries of the configuration."""
    if not FAKE_ENGINE:
        pytest.skip("DROVER_FAKE_ENGINE is not set; run scripts/test")

    def run(config=None, **models):
        for name, entry in models.items():
            models[name] = {"engine": "command", "command": SOCKET, "memory": "64MiB", **entry}
        return start({**(config or {}), "models": models}, engine="/nonexistent/llama-server")

    return run


def tree_of(server, model: str) -> list[psutil.Process]:
    """The guard of a model's engine and all that is below it."""
    guard = psutil.Process(server.pid_of(model))
    return [guard, *guard.children(recursive=True)]


def sent(server, model: str) -> dict:
    """The request as the engine got it: the fake answers so for what it does not know."""
    return server.post("/v1/responses", {"model": model, "input": "x"}).json()


def test_it_serves_without_any_llama_server(serve):
    server = serve(a={"aliases": ["first"]})
    assert server.chat("first").json()["choices"][0]["message"]["content"]
    with server.stream("a") as answer:
        assert "data: [DONE]" in answer.read().decode()
    assert server.post("/v1/embeddings", {"model": "a", "input": "x"}).json()["data"]
    question = {"model": "a", "messages": [{"role": "user", "content": "x"}], "options": {"num_predict": 3}}
    ollama = server.post("/api/chat", {**question, "stream": False}).json()
    assert ollama["done"] and ollama["message"]["content"]


def test_listings_show_it_like_any_other(serve, tmp_path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"x" * 1000)
    server = serve(a={"file": str(file)}, b={"memory": "1GiB", "context": 1234})
    assert {one["id"] for one in server.get("/v1/models").json()["data"]} == {"a", "b"}
    assert {one["name"] for one in server.get("/api/tags").json()["models"]} == {"a:latest", "b:latest"}
    assert server.post("/api/show", {"model": "a"}).json()["capabilities"] == ["completion"]
    assert str(file) in server.run("list", "--json").stdout
    plan = server.post("/admin/plan", {"models": ["a", "b"]}).json()
    assert [(one["bytes"], one["context"]) for one in plan["models"]] == [(64 << 20, 4096), (1 << 30, 1234)]


def test_the_doctor_misses_no_llama_server_where_none_is_needed(serve):
    server = serve(a={})
    command = [DROVER, "-c", str(server.config_file), "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=server.environment)
    assert "no model that needs it" in done.stdout, done.stdout + done.stderr


def test_requests_name_the_model_as_the_engine_does(serve):
    strict = [*SOCKET, "--served-model-name", "{model}"]
    server = serve(a={"served_name": "org/a", "command": strict, "aliases": ["other"]}, b={})
    assert server.chat("a").status_code == 200
    assert server.chat("other").status_code == 200
    with server.stream("a") as answer:
        assert answer.status_code == 200 and b"[DONE]" in answer.read()
    assert json.loads(sent(server, "A")["body"]) == {"model": "org/a", "input": "x"}
    assert json.loads(sent(server, "b")["body"])["model"] == "b"


def test_nobody_else_reaches_a_socket(serve):
    server = serve(a={})
    server.chat("a")
    folder = next(Path(server.environment["DROVER_RUNTIME_DIR"]).glob("*"))
    assert list(folder.glob("*.sock"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    listening = [c for p in tree_of(server, "a") for c in p.net_connections(kind="inet")]
    assert not listening


def test_a_port_is_closed_to_all_but_drover_by_a_key(serve):
    server = serve(a={"command": [FAKE_ENGINE, "--port", "{port}"], "environment": {"VLLM_API_KEY": "{key}"}})
    assert server.chat("a").status_code == 200
    processes = tree_of(server, "a")
    connections = [one for p in processes for one in p.net_connections(kind="inet")]
    (listening,) = {one.laddr for one in connections if one.status == psutil.CONN_LISTEN}
    assert listening.ip == "127.0.0.1"
    direct = f"http://127.0.0.1:{listening.port}/v1/models"
    assert httpx.get(direct).status_code == 401
    assert httpx.get(direct, headers={"authorization": "Bearer guess"}).status_code == 401
    key = next(p.environ()["VLLM_API_KEY"] for p in processes if "VLLM_API_KEY" in p.environ())
    assert httpx.get(direct, headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert key not in " ".join(word for p in processes for word in p.cmdline())
    assert key not in server.log_file.read_text()
    wait_until(lambda: (server.directory / "measured.sqlite").exists(), what="the measurement")
    assert b"VLLM_API_KEY" not in (server.directory / "measured.sqlite").read_bytes()
    server.post("/admin/unload", {"model": "a"})
    assert server.chat("a").status_code == 200
    assert key not in {p.environ().get("VLLM_API_KEY") for p in tree_of(server, "a")}


def test_a_fixed_port(serve):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve(a={"command": [FAKE_ENGINE, "--port", str(port)], "port": port})
    assert server.chat("a").status_code == 200


@pytest.mark.parametrize("end", ["unload", "crash", "server"])
def test_a_stop_command_ends_what_is_no_descendant(serve, end):
    """A container is none of its client's."""
    with subprocess.Popen(["sleep", "600"]) as container:
        try:
            server = serve(a={"stop_command": f"sh -c 'test {{model}} = a && kill {container.pid}'"})
            server.chat("a")
            assert container.poll() is None
            if end == "unload":
                server.post("/admin/unload", {"model": "a"})
            else:
                os.kill(tree_of(server, "a")[1].pid if end == "crash" else server.process.pid, signal.SIGKILL)
            assert container.wait(timeout=30) == -signal.SIGTERM
        finally:
            container.kill()


@pytest.mark.parametrize("victim", ["guard", "engine"])
def test_a_killed_engine_hurts_no_other(serve, victim):
    server = serve(a={"command": [*SOCKET, "--fake", "slow=20,grandchild-session"]}, b={"command": [*SOCKET, "--fake", "slow=20"]})
    with server.stream("a", fake="endless") as dying, server.stream("b", fake="tokens=40") as other:
        lines = dying.iter_lines()
        next(lines)
        tree = tree_of(server, "a")
        os.kill(tree[0 if victim == "guard" else 1].pid, signal.SIGKILL)
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert "signal 9" in rest[-1]["error"]["message"]
        assert other.read().count(b"token") >= 40
    if victim == "engine":
        wait_until(lambda: not any(is_alive(p) for p in tree), what="the end of its tree")
    assert server.chat("a").status_code == 200
    for left in tree:
        if is_alive(left):
            left.kill()


def test_it_ends_with_its_whole_tree(serve):
    both = f"{FAKE_ENGINE} --host {{socket}} --fake grandchild-session & {FAKE_ENGINE} --port 0 & wait"
    server = serve(a={"command": ["sh", "-c", both], "stop_timeout": "200ms"})
    server.chat("a")
    tree = wait_until(lambda: (found := tree_of(server, "a")) and len(found) >= 5 and found, what="the tree")
    server.post("/admin/unload", {"model": "a"})
    wait_until(lambda: not any(is_alive(p) for p in tree), what="the end of its tree")


def test_nothing_stays_behind_a_killed_server(serve):
    server = serve(a={"command": [*SOCKET, "--fake", "grandchild-session,ignore-term"]})
    server.chat("a")
    tree = tree_of(server, "a")
    assert len(tree) == 3
    server.stop(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(p) for p in tree), what="the end of its tree")


def test_all_of_its_processes_are_measured(serve):
    server = serve(a={"command": ["sh", "-c", f"{FAKE_ENGINE} --host {{socket}} --fake alloc=150 & wait"]})
    server.chat("a")
    wait_until(lambda: server.instances()["a"]["bytes"] > 150 << 20, what="the measurement")


def test_it_is_charged_what_it_declares(serve):
    server = serve({"memory": {"budget": "700MiB", "min_residency": "1ms"}}, a={"memory": "400MiB"}, b={"memory": "400MiB"})
    server.chat("a")
    server.chat("b")
    assert set(server.instances()) == {"b"}
    assert server.instances()["b"]["bytes"] == 400 << 20


def test_a_failing_command_says_why(serve):
    server = serve(
        a={"command": [*SOCKET, "--fake", "exit-at-start=7,message=no_weights_here"]},
        b={"command": ["no-such-program", "{socket}"]},
        c={"command": ["/nonexistent/program", "{socket}"]},
    )
    assert "no_weights_here" in server.chat("a").json()["error"]["message"]
    assert "no-such-program" in server.chat("b").json()["error"]["message"]
    assert "/nonexistent/program" in server.chat("c").json()["error"]["message"]


def test_a_hanging_engine_is_killed(serve):
    server = serve({"engine": {"health_timeout": "600ms"}}, a={})
    server.chat("a")
    tree = tree_of(server, "a")
    os.kill(tree[1].pid, signal.SIGSTOP)
    assert server.chat("a").status_code == 200
    wait_until(lambda: not any(is_alive(p) for p in tree), what="the end of the hanging one")


def test_a_command_that_cannot_work_is_told_at_the_start(serve):
    server = serve(a={"command": [FAKE_ENGINE]})
    assert "{socket}" in server.log_file.read_text()
    assert server.chat("a").status_code == 502


def test_the_import_of_llama_swap_serves(start, tmp_path):
    """Its file goes through `drover import` and is served as it comes out."""
    if not FAKE_ENGINE:
        pytest.skip("DROVER_FAKE_ENGINE is not set; run scripts/test")
    file = tmp_path / "llama-swap.yaml"
    file.write_text(
        "macros:\n"
        f"  server: {FAKE_ENGINE} --port ${{PORT}}\n"
        "models:\n"
        "  one:\n"
        "    cmd: |\n"
        "      # comment\n"
        "      ${server} --alias ${MODEL_ID}\n"
        "    aliases: [uno]\n"
        "    unlisted: true\n"
    )
    done = subprocess.run([DROVER, "import", "llama-swap", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert f"{file}:9: models.one.unlisted" in done.stderr
    imported = tmp_path / "drover.yaml"
    imported.write_text(done.stdout)
    check = subprocess.run([DROVER, "-c", str(imported), "config", "check"], capture_output=True, text=True, timeout=30)
    assert check.returncode == 0, check.stderr
    server = start(written=done.stdout, engine="/nonexistent/llama-server")
    assert server.chat("uno").status_code == 200
    assert tree_of(server, "one")[1].cmdline()[-2:] == ["--alias", "one"]


def test_the_import_refuses_other_files(tmp_path):
    if not DROVER:
        pytest.skip("DROVER_BIN is not set; run scripts/test")
    file = tmp_path / "x.yaml"
    file.write_text("listen: 1\n")
    done = subprocess.run([DROVER, "import", "llama-swap", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "no `models`" in done.stderr and not done.stdout
