"""Nobody but Drover reaches an engine, whichever it is."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from support import FAKE_ENGINE

NOBODY = 65534


@pytest.fixture
def open_folder():
    """A folder that all users of the machine may enter: only what is made in it keeps them out."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def connects_as(user: int, path: Path) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            socket.socket(socket.AF_UNIX).connect(str(path))
            os._exit(0)
        except PermissionError:
            os._exit(13)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 13)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.fixture(params=["llama_cpp", "vllm", "command"])
def server(request, start, open_folder):
    runtime = {"DROVER_RUNTIME_DIR": str(open_folder / "run")}
    if request.param == "llama_cpp":
        fake = request.getfixturevalue("fake")
        return fake({"a": ""}, environment=runtime)
    if request.param == "vllm":
        vllm = request.getfixturevalue("vllm")
        return vllm({"a": ""}, environment=runtime)
    if not FAKE_ENGINE:
        pytest.skip("DROVER_FAKE_ENGINE is not set; run scripts/test")
    entry = {"engine": "command", "command": [FAKE_ENGINE, "--host", "{socket}"], "memory": "64MiB"}
    return start({"models": {"a": entry}}, engine="/nonexistent/llama-server", environment=runtime)


def test_no_other_user_reaches_an_engine(server, open_folder):
    assert server.chat("a").status_code == 200
    (path,) = open_folder.rglob("*.sock")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    assert connects_as(0, path)
    assert not connects_as(NOBODY, path)
