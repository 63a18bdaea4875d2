"""The command line against a server with a fake engine."""

import json
from pathlib import Path

import pytest
import support
from remote_server import RemoteServer
from support import DROVER, subprocess

pytestmark = pytest.mark.usefixtures("needs_the_program")

ROOT = Path(__file__).resolve().parents[2]


def drover(*arguments, environment=None, cwd=None):
    return subprocess.run(
        [DROVER, *arguments], capture_output=True, text=True, timeout=30, env={**support.os.environ, **(environment or {})}, cwd=cwd
    )


def test_list_ps_load_and_stop(fake):
    server = fake({"a": "", "b": ""})
    assert "a" in server.run("list").stdout
    assert "no model is in memory" in server.run("ps").stdout
    assert "ready" in server.run("load", "a").stdout
    shown = server.run("ps").stdout
    assert "a" in shown and "ready" in shown and "MiB" in shown
    assert "free" in server.run("stop", "a").stdout
    assert "was not in memory" in server.run("stop", "a").stdout
    assert json.loads(server.run("list", "--json").stdout)["models"]


def test_run_prints_the_answer(fake):
    server = fake({"a": ""})
    assert "token0" in server.run("run", "a", "hello").stdout
    assert "token0" in server.run("run", "a", stdin="hello").stdout
    unknown = server.run("run", "zzz", "hello")
    assert unknown.returncode == 1 and "does not exist" in unknown.stderr and "'a'" in unknown.stderr


def test_run_asks_about_what_comes_in():
    server = RemoteServer()
    try:
        asked = subprocess.run([DROVER, "--host", server.url, "run", "upstream-model", "Say it again:"], input="hello there",
                               capture_output=True, text=True, timeout=30)
        assert asked.returncode == 0, asked.stderr
        assert [one["content"] for one in server.bodies()[-1]["messages"]] == ["hello there\nSay it again:"]
    finally:
        server.stop()


def test_a_wrong_command_is_named():
    answer = drover("lsit")
    assert answer.returncode == 2
    assert "no command 'lsit'" in answer.stderr and "'list'" in answer.stderr


@pytest.mark.parametrize("arguments, environment, address", [
    ([], {}, "127.0.0.1:11435"),
    (["--listen", "12071"], {}, "127.0.0.1:12071"),
    (["--set", "listen=127.0.0.1:12072"], {}, "127.0.0.1:12072"),
    ([], {"OLLAMA_HOST": "127.0.0.1:12070"}, "127.0.0.1:12070"),
])
def test_serve_says_where_it_would_listen(tmp_path, arguments, environment, address):
    answer = drover("serve", "--check", *arguments, environment=environment, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("drover would listen on http://")
    assert answer.stdout.strip().endswith(f"//{address}")


def test_nobody_answers():
    answer = drover("--host", "127.0.0.1:1", "ps")
    assert answer.returncode == 1
    assert "drover serve" in answer.stderr


def test_config_problems_come_all_at_once_with_file_and_line(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "listen: nowhere\n"
        "memory: {budget: lots, rezerve: 1GiB}\n"
        "models:\n"
        "  a: {file: /missing.gguf, context: 8k}\n"
        "  b: {contxt: 1}\n"
        "surprise: 1\n"
        "memroy: {budget: 1GiB}\n"
        "engine: {llama_server: /opt/nowhere/llama-server}\n"
    )
    answer = drover("-c", str(file), "config", "check")
    assert answer.returncode == 2
    for place, word in [(1, "listen"), (2, "budget"), (2, "memory.reserve"), (4, "context"), (4, "missing"), (5, "context"), (5, "file"), (6, "surprise"), (7, "'memory'"), (8, "nowhere")]:
        assert any(f"bad.yaml:{place}:" in line and word in line for line in answer.stderr.splitlines()), (place, word, answer.stderr)
    assert drover("-c", str(file), "serve").returncode == 2


def test_sizes_that_are_passed_on_instead_of_set_are_problems(tmp_path):
    (tmp_path / "a.gguf").touch()
    file = tmp_path / "c.yaml"
    file.write_text(
        "models:\n"
        "  a:\n"
        "    file: a.gguf\n"
        '    extra_args: [--ctx-size=65536, -np, "8", --temp, "0"]\n'
    )
    answer = drover("-c", str(file), "config", "check")
    assert answer.returncode == 2
    assert "c.yaml:4" in answer.stderr and "'context'" in answer.stderr and "'parallel'" in answer.stderr
    assert "--temp" not in answer.stderr


def test_precedence_is_file_environment_flags(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("memory: {budget: 1GiB}\n")
    good = drover("-c", str(file), "config", "check", environment={"DROVER_BUDGET": "2GiB"})
    assert good.returncode == 0
    assert drover("config", "check", "-c", str(file), environment={"DROVER_BUDGET": "2GiB"}).stdout == good.stdout
    bad = drover("-c", str(file), "--set", "memory.budget=x", "config", "check", environment={"DROVER_BUDGET": "2GiB"})
    assert "--set memory.budget" in bad.stderr


def test_the_example_is_valid(tmp_path):
    cache = tmp_path / "models"
    cache.mkdir()
    for name in ("SmolLM2-135M-Instruct.Q4_1.gguf", "all-MiniLM-L6-v2.Q8_0.gguf"):
        (cache / name).touch()
    answer = drover("-c", str(ROOT / "drover.example.yaml"), "config", "check", environment={"DROVER_CACHE": str(tmp_path)})
    assert answer.returncode == 0, answer.stderr


def test_the_reference_in_the_docs_is_current():
    assert drover("config", "reference").stdout in (ROOT / "docs" / "config.md").read_text()


def test_doctor_finds_what_is_wrong(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.gguf").write_bytes(b"GGUF garbage")
    answer = drover("doctor", environment={"DROVER_CACHE": str(tmp_path), "DROVER_RUNTIME_DIR": str(tmp_path / "run")}, cwd=tmp_path)
    assert answer.returncode == 1
    assert "FAIL  model broken" in answer.stdout and "memory" in answer.stdout
