"""Two models of llama.cpp, one of vLLM and one of a server elsewhere behind one Drover: each is served, by name and through a
route, and outlives the others."""

import contextlib
import json
import os
import re
import signal
import subprocess

import pytest
from support import FAKE_ENGINE, is_alive, tree_of, wait_until

ALL = ("alpha", "beta", "big", "far")
TOKENS = 60
BUDGET = 6 << 30


@pytest.fixture
def remote():
    """A server that is a process of its own, and its URL."""
    if not FAKE_ENGINE:
        pytest.skip("DROVER_FAKE_ENGINE is not set; run scripts/test")
    command = [FAKE_ENGINE, "--host", "127.0.0.1", "--port", "0", "--fake", "slow=20"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = iter(process.stderr.readline, "")
        port = next(found[1] for line in lines if (found := re.search(r"port (\d+)", line)))
        yield process, f"http://127.0.0.1:{port}"
        process.kill()


@pytest.fixture
def server(fake, vllm_model, remote):
    rules = [{"contains": f"for {name}", "use": name} for name in ALL]
    others = {
        "big": vllm_model("big", "worker,slow=20"),
        "far": {"engine": "remote", "url": remote[1], "served_name": "fake"},
    }
    config = {"memory": {"budget": BUDGET}, "routes": {"auto": {"rules": rules, "fallback": list(ALL)}}}
    server = fake(dict.fromkeys(("alpha", "beta"), "slow=20"), config, remotes=others)
    for name in ALL:
        assert server.chat(name).status_code == 200
    return server


def through_route(server, name):
    """The answer to what the route gives to this model, and who gave it."""
    answer = server.chat("auto", messages=[{"role": "user", "content": f"This is for {name}."}])
    return answer.status_code, answer.headers.get("x-drover-model")


def kill(victim, server, remote):
    """What must end."""
    if victim == "far":
        remote[0].kill()
        return []
    tree = tree_of(server, victim.split()[0])
    if victim == "big":
        os.kill(tree[1].pid, signal.SIGKILL)  # vLLM itself
    else:
        os.kill(tree[-1 if victim == "big worker" else 0].pid, signal.SIGKILL)
    return tree


def test_all_are_served_by_name_and_through_a_route_under_one_budget(server):
    assert set(server.instances()) == {"alpha", "beta", "big"}
    for name in ALL:
        assert server.chat(name).headers["x-drover-model"] == name
        assert through_route(server, name) == (200, name)
    (budget,) = server.get("/admin/ps").json()["budget"]
    assert sum(one["bytes"] for one in server.instances().values()) <= budget["held"] <= budget["bytes"] <= BUDGET


@pytest.mark.parametrize("victim", ["alpha", "beta", "big", "big worker", "big guard", "far"])
def test_each_outlives_the_others(server, remote, victim):
    killed = victim.split()[0]
    with contextlib.ExitStack() as open_streams:
        streams = {}
        for name in ALL:
            answer = open_streams.enter_context(server.stream(name, fake=f"tokens={TOKENS}"))
            streams[name] = answer.iter_lines()
            next(streams[name])
        tree = kill(victim, server, remote)
        for name in ALL:
            events = [line[6:] for line in streams[name] if line.startswith("data: ")]
            if name == killed:
                assert "error" in json.loads(events[-1])
            else:
                assert events[-1] == "[DONE]" and len(events) >= TOKENS
    wait_until(lambda: not any(is_alive(process) for process in tree), what="the end of the victim's processes")
    for name in ALL:
        status, model = through_route(server, name)
        assert status == 200 and (model == name) == (name != "far" or killed != "far")
        assert server.chat(name).status_code in ((200,) if name != "far" or killed != "far" else (502, 503))
