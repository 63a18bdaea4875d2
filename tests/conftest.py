import pytest

import support
from machine import Machine
from registry import Registry
from vllm_folder import make_folder


@pytest.fixture
def needs_the_program():
    if not support.DROVER:
        pytest.skip("DROVER_BIN is not set; run scripts/test")


@pytest.fixture
def start(tmp_path):
    """start(config, engine=...) runs a server; all of them are stopped at the end of the test."""
    servers = []

    def run(config=None, engine=None, **arguments):
        directory = tmp_path / f"server{len(servers)}"
        directory.mkdir()
        servers.append(support.Drover(directory, config or {}, engine or support.ENGINE, **arguments))
        return servers[-1]

    yield run
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def fake(start, tmp_path):
    """fake({"a": "load=50"}, config) runs a server whose models behave as the fake engine is told."""
    if not support.FAKE_ENGINE:
        pytest.skip("DROVER_FAKE_ENGINE is not set; run scripts/test")
    if not support.SMOL.exists():
        pytest.skip("the default models are not there; run scripts/fetch-models")

    def run(behaviours, config=None, environment=None, remotes=None, engine=None, **settings):
        models = dict(remotes or {})
        for name, behaviour in behaviours.items():
            file = tmp_path / (f"{name}@{behaviour}.gguf" if behaviour else f"{name}.gguf")
            file.unlink(missing_ok=True)
            file.symlink_to(support.SMOL)
            models[name] = {"file": str(file), **settings.get(name, {})}
        settings = {**(config or {}), "models": models}
        return start(settings, engine=engine or support.FAKE_ENGINE, environment=environment)

    return run


@pytest.fixture
def vllm_model(tmp_path):
    """vllm_model("a", "directives") is the entry of a model that a fake vLLM serves."""
    if not support.FAKE_ENGINE:
        pytest.skip("DROVER_FAKE_ENGINE is not set; run scripts/test")
    program = tmp_path / "venv" / "bin" / "vllm"
    program.parent.mkdir(parents=True)
    program.symlink_to(support.FAKE_ENGINE)

    def make(name, behaviour="", tensors=1 << 20, **settings):
        return {
            "engine": "vllm",
            "file": str(make_folder(tmp_path / "models" / name, tensors=tensors)),
            "venv": str(tmp_path / "venv"),
            "environment": {"FAKE_ENGINE": behaviour},
            **settings,
        }

    return make


@pytest.fixture
def vllm(start, vllm_model):
    """vllm({"a": "directives"}, config) runs a server whose models a fake vLLM serves."""

    def run(behaviours, config=None, environment=None, tensors=1 << 20, **entries):
        models = {name: vllm_model(name, one, tensors, **entries.get(name, {})) for name, one in behaviours.items()}
        config = {**(config or {}), "models": models}
        return start(config, engine="/nonexistent/llama-server", environment=environment)

    return run


@pytest.fixture(scope="session")
def real_models():
    """The three default models' files."""
    files = {"smol": support.SMOL, "gemma": support.gemma(), "minilm": support.MINILM}
    missing = [str(file) for file in files.values() if not file.exists()]
    if missing or not support.ENGINE:
        pytest.skip(f"needs the engine and the default models ({missing}); run scripts/test")
    return files


@pytest.fixture
def registry():
    one = Registry()
    yield one
    one.close()


@pytest.fixture
def elsewhere():
    """Another host: where blobs are redirected to, or models are pushed."""
    one = Registry()
    yield one
    one.close()


@pytest.fixture
def machine(tmp_path, registry):
    """Where `drover` runs without a server, and pulls from `registry`."""
    return Machine(tmp_path, registry)
