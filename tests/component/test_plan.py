"""`drover plan`, `POST /admin/plan`, the strategies, and sizes that are remembered."""

import json

import pytest
import support
from support import DROVER, subprocess, wait_until


@pytest.fixture
def plan(tmp_path):
    if not DROVER:
        pytest.skip("DROVER_BIN is not set; run scripts/test")

    def run(*arguments):
        environment = {**support.os.environ, "DROVER_DISCOVER": "none", "DROVER_STORE": str(tmp_path)}
        return subprocess.run([DROVER, "plan", *arguments], capture_output=True, text=True, timeout=60, env=environment)

    return run


def estimate(server, model: str) -> int:
    return next(one["estimated_bytes"] for one in server.get("/admin/models").json()["models"] if one["name"] == model)


def serve_concurrent(server, settings):
    """What becomes of a server that is started anew so, and is expected to refuse."""
    environment = {**server.environment, **settings, "DROVER_STRATEGY": "concurrent"}
    return subprocess.run(
        [DROVER, "-c", str(server.config_file), "serve"], capture_output=True, text=True, timeout=60, env=environment
    )


def test_the_example_of_the_64_gb_machine(plan):
    arguments = ("30b-q4", "7b-q4", "embedding", "--budget", "64GB", "--parallel", "1")
    shown = plan(*arguments)
    assert shown.returncode == 0, shown.stderr
    assert "All fit together" in shown.stdout and "[###" in shown.stdout
    planned = json.loads(plan(*arguments, "--json").stdout)
    assert planned["fits"] and abs(planned["total_bytes"] - 25e9) < 1.5e9
    assert [one["model"] for one in planned["models"]] == ["30b-q4", "7b-q4", "embedding"]


def test_what_does_not_fit_gets_settings_and_swaps(plan):
    planned = json.loads(plan("30b-q4", "7b-q4", "embedding", "--budget", "21GiB", "--json").stdout)
    assert not planned["fits"]
    assert sum(one["bytes"] for one in planned["fitting"]) <= 21 << 30
    assert any(one["changes"] for one in planned["fitting"])
    assert planned["round"]["swaps"]


def test_a_trace_is_replayed(plan, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("".join(f"{60 * i},{('7b-q4', '8b-q4')[i % 2]},1.5\n" for i in range(20)))
    planned = json.loads(plan("7b-q4", "8b-q4", "--budget", "8GiB", "--trace", str(trace), "--json").stdout)
    small, large = planned["replay"][0], planned["replay"][-1]
    assert small["served"] == large["served"] == 20
    assert small["loads"] == 20 and large["loads"] == 2
    assert small["waited_mean_ms"] > large["waited_mean_ms"]
    trace.write_text("1,nobody\n")
    wrong = plan("7b-q4", "--budget", "8GiB", "--trace", str(trace))
    assert wrong.returncode == 1 and "line 1" in wrong.stderr


def test_files_are_planned_by_their_header(plan):
    if not support.SMOL.exists():
        pytest.skip("the default models are not there; run scripts/fetch-models")
    planned = json.loads(plan(str(support.SMOL), "--budget", "8GiB", "--json").stdout)
    assert planned["models"][0]["bytes"] < 1 << 30


def test_mistakes_are_named(plan):
    unknown = plan("no-such-model", "--budget", "8GiB").stderr
    assert "7b-q4" in unknown and "there is no model 'no-such-model'. Without" in unknown
    assert "Q4_K_M" in plan("7b-q99", "--budget", "8GiB").stderr
    assert plan("7b-q4", "--budget", "lots").returncode == 2


def test_the_server_plans_too(fake):
    server = fake({"a": "", "b": ""})
    planned = server.post("/admin/plan", {}).json()
    assert [one["model"] for one in planned["models"]] == ["a", "b"]
    planned = server.post("/admin/plan", {"models": ["a", "70b"], "budget": "16GiB", "parallel": 1}).json()
    assert planned["never_fit"] == ["70b"] and planned["budget_bytes"] == 16 << 30
    for body, word in (
        ({"models": "a"}, "models"),
        ({"models": [1]}, "models"),
        ({"models": ["a"], "budget": "lots"}, "budget"),
        ({"models": ["a"], "context": -1}, "context"),
        ({"models": ["a"], "cache_type": "q3"}, "cache_type_k"),
        ({"models": ["a"], "contxt": 1024}, "contxt"),
    ):
        refused = server.post("/admin/plan", body)
        assert refused.status_code == 400 and word in refused.json()["error"]["message"], body
    assert server.post("/admin/plan", {"models": ["/etc/passwd"]}).status_code == 404
    assert server.client.post("/admin/plan", content="{").status_code == 400


def test_a_budget_to_plan_for_is_not_held_against_this_machine(plan):
    shown = plan("70b-q4", "--budget", "64TB")
    assert shown.returncode == 0 and shown.stderr == ""


def test_the_plan_of_a_server_takes_what_was_measured(fake):
    server = fake({"a": ""})
    assert server.post("/admin/plan", {"models": ["a"]}).json()["models"][0]["measured"] is False
    estimated = estimate(server, "a")
    assert server.chat("a").status_code == 200
    wait_until(lambda: server.instances()["a"]["bytes"] != estimated, 10)
    measured = server.instances()["a"]["bytes"]

    def planned(**asked):
        return server.post("/admin/plan", {"models": ["a"], **asked}).json()["models"][0]

    wait_until(lambda: planned()["measured"], 10)
    assert planned()["bytes"] == measured
    assert planned(parallel=1)["measured"] is False  # nobody has seen it so


def test_concurrent_is_refused_when_only_drovers_own_memory_is_missing(fake):
    probe = fake({"a": "", "b": ""})
    together = estimate(probe, "a") + estimate(probe, "b")
    probe.stop()
    refused = serve_concurrent(probe, {"DROVER_BUDGET": str(together + (8 << 20))})
    assert refused.returncode == 2 and "(drover)" in refused.stderr


def test_concurrent_is_refused_when_so_many_models_may_not_be_loaded(fake):
    server = fake({"a": "", "b": ""}, {"memory": {"max_models": 1}})
    server.stop()
    refused = serve_concurrent(server, {"DROVER_BUDGET": "8GiB"})
    assert refused.returncode == 2 and "memory.max_models lets 1 of 2" in refused.stderr


def test_a_preload_beside_what_is_pinned_already_is_said_in_the_log(fake):
    probe = fake({"a": "", "b": ""})
    room = int(estimate(probe, "a") * 1.5) + (64 << 20)
    pinned = {"pin": True, "preload": True}
    server = fake({"a": "", "b": ""}, {"memory": {"budget": str(room)}}, a=pinned, b=pinned)
    assert "preload.impossible" in server.log_file.read_text()
    assert "Pinned models hold" in server.log_file.read_text()


def test_concurrent_loads_everything_and_keeps_it(fake):
    server = fake({"a": "", "b": ""}, {"memory": {"budget": "8GiB", "strategy": "concurrent"}, "defaults": {"keep_alive": "1ms"}})
    states = lambda: {name: one["state"] for name, one in server.instances().items()}  # noqa: E731
    wait_until(lambda: states() == {"a": "ready", "b": "ready"}, 20)
    before = {name: one["pid"] for name, one in server.instances().items()}
    assert server.chat("a", keep_alive=0).status_code == 200
    assert server.chat("b").status_code == 200
    assert {name: one["pid"] for name, one in server.instances().items()} == before
    assert all(one["expires_at_ms"] is None for one in server.get("/admin/ps").json()["instances"])


def test_concurrent_is_refused_with_a_plan_when_it_cannot_be(fake, tmp_path):
    server = fake({"a": "", "b": ""})
    room = estimate(server, "a") * 3 // 2
    server.stop()
    refused = serve_concurrent(server, {"DROVER_BUDGET": str(room)})
    assert refused.returncode == 2
    assert "concurrent" in refused.stderr and "[###" in refused.stderr and "fit" in refused.stderr


def test_keep_alive_of_an_openai_request_counts(fake):
    server = fake({"a": ""}, {"defaults": {"keep_alive": "10m"}})
    assert server.chat("a", keep_alive=0).status_code == 200
    wait_until(lambda: "a" not in server.instances(), 10)
    assert server.chat("a", keep_alive=-1).status_code == 200
    assert server.instances()["a"]["expires_at_ms"] is None
    assert server.chat("a", keep_alive="1h").status_code == 200
    assert server.instances()["a"]["expires_at_ms"] is not None


def test_what_a_model_takes_is_remembered(fake, start, tmp_path):
    server = fake({"a": ""})
    estimated = estimate(server, "a")
    assert server.chat("a").status_code == 200
    wait_until(lambda: server.instances()["a"]["bytes"] != estimated, 10)
    measured = server.instances()["a"]["bytes"]
    server.stop()
    config = {"models": {"a": {"file": str(tmp_path / "a.gguf")}}}
    remembered = {"DROVER_MEASURED": server.environment["DROVER_MEASURED"]}
    again = start(config, engine=support.FAKE_ENGINE, environment=remembered)
    assert estimate(again, "a") == measured
    again.stop()
    with open(remembered["DROVER_MEASURED"], "wb") as table:
        table.write(b"x" * 10_000)
    corrupt = start(config, engine=support.FAKE_ENGINE, environment=remembered)
    assert estimate(corrupt, "a") == estimated
    assert corrupt.chat("a").status_code == 200
