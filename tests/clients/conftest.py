import os

import pytest
import support


@pytest.fixture(scope="session")
def server(real_models, tmp_path_factory):
    """One server for all clients; what they make they remove."""
    os.environ.setdefault("DROVER_MODELS", str(support.MODELS))
    models = {name: {"file": str(file)} for name, file in real_models.items()}
    one = support.Drover(tmp_path_factory.mktemp("clients"), {"models": models, "defaults": {"context": 512, "threads": 1}}, support.ENGINE)
    yield one
    one.stop()


@pytest.fixture
def check(server):
    """check(case, expected) runs a case; `expected` is what it gives, or judges it, or is the failure that it must be."""

    def run(case, expected):
        if isinstance(expected, type):
            with pytest.raises(expected):
                case(server.url)
            return
        value = case(server.url)
        assert expected(value) if callable(expected) else value == expected, value

    return run
