import os
import shutil
from pathlib import Path

import pytest
import support


def serve(directory, real_models):
    """A server with the real engine. One thread: with more, engines wait for each other on a busy machine."""
    models = {name: {"file": str(file)} for name, file in real_models.items()}
    return support.Drover(directory, {"models": models, "defaults": {"context": 512, "threads": 1}}, support.ENGINE)


@pytest.fixture(scope="session")
def shared(real_models, tmp_path_factory):
    """One server for all tests that leave it as it is."""
    server = serve(tmp_path_factory.mktemp("shared"), real_models)
    yield server
    server.stop()


@pytest.fixture
def doomed(real_models, tmp_path):
    """A server for a test that kills its engine."""
    server = serve(tmp_path, real_models)
    yield server
    server.stop()


@pytest.fixture
def javascript(tmp_path):
    """javascript("x.mjs", ARGUMENTS...) runs a script of this folder with the clients that scripts/test installs."""
    modules = Path(os.environ.get("DROVER_NODE_MODULES", "/nonexistent"))

    def run(name, *arguments, package):
        if not (modules / package).exists() or shutil.which("node") is None:
            pytest.skip(f"the JavaScript client {package} is not there; run scripts/test")
        script = tmp_path / name
        shutil.copyfile(Path(__file__).with_name(name), script)
        (tmp_path / "node_modules").symlink_to(modules)
        ran = support.subprocess.run(["node", str(script), *arguments], capture_output=True, text=True, timeout=100)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "all fine" in ran.stdout

    return run
