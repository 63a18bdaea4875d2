"""Budget, eviction and keep-alive as a client sees them."""

import threading

import psutil
import pytest

from support import wait_until

GIB = 1 << 30


def held(server) -> int:
    return server.get("/admin/ps").json()["budget"][0]["held"]


def estimate(server, model: str) -> int:
    return next(one["estimated_bytes"] for one in server.get("/admin/models").json()["models"] if one["name"] == model)


def test_a_model_that_can_never_fit_gets_507_with_what_helps(fake):
    server = fake({"a": ""}, {"memory": {"budget": "300MiB"}}, a={"context": 8192, "parallel": 4})
    answer = server.chat("a")
    assert answer.status_code == 507
    message = answer.json()["error"]["message"]
    assert "MiB" in message and "context" in message


def test_who_cannot_fit_beside_a_pinned_model_is_told_its_name(fake):
    large = {"context": 8192, "parallel": 4}
    room = estimate(fake({"b": ""}, b=large), "b") + (100 << 20)
    server = fake({"a": "alloc=150", "b": ""}, {"memory": {"budget": str(room)}}, a={"pin": True}, b=large)
    assert server.chat("a").status_code == 200
    answer = server.chat("b")
    assert answer.status_code == 507
    message = answer.json()["error"]["message"]
    assert "Pinned models hold" in message and "'a'" in message and "drover stop" in message


def test_a_preload_that_can_never_fit_is_said_in_the_log(fake):
    server = fake({"a": ""}, {"memory": {"budget": "100MiB"}}, a={"preload": True})
    assert "preload.impossible model=a" in server.log_file.read_text()


def test_idle_models_leave_for_others_and_busy_ones_do_not(fake):
    probe = fake({"a": ""})
    room = int(estimate(probe, "a") * 2.5) + (64 << 20)
    server = fake(
        {"a": "slow=20", "b": "", "c": ""}, {"memory": {"budget": str(room), "min_residency": "1ms"}}
    )
    with server.stream("a", fake="endless") as running:
        lines = running.iter_lines()  # kept: a dropped iterator closes the connection
        next(lines)
        for model in "bcbc":
            assert server.chat(model).status_code == 200
            resident = server.instances()
            assert "a" in resident and resident["a"]["leases"] == 1
            assert held(server) <= room
    assert server.instances().keys() <= {"a", "b", "c"}


def test_a_busy_model_gives_way_to_one_that_has_waited(fake):
    probe = fake({"a": ""})
    room = int(estimate(probe, "a") * 1.5) + (64 << 20)
    server = fake({"a": "slow=5", "b": ""}, {"memory": {"budget": str(room), "max_wait": "500ms"}})
    stop = threading.Event()

    def keep_busy():
        import httpx

        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
            while not stop.is_set():
                client.post("/v1/chat/completions", json={"model": "a", "messages": [], "max_tokens": 20})

    threads = [threading.Thread(target=keep_busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: "a" in server.instances(), 10)
    answer = server.chat("b")
    stop.set()
    for thread in threads:
        thread.join()
    assert answer.status_code == 200


@pytest.mark.parametrize("variable", [True, False])
def test_no_more_models_are_loaded_than_max_models(fake, variable):
    """Ollama's variable means the same."""
    memory = {"min_residency": "1ms"} | ({} if variable else {"max_models": 2})
    environment = {"OLLAMA_MAX_LOADED_MODELS": "2"} if variable else {}
    server = fake({"a": "", "b": "", "c": ""}, {"memory": memory}, environment=environment)
    for model in "abcab":
        assert server.chat(model).status_code == 200
        awake = {name for name, one in server.instances().items() if one["state"] != "asleep"}
        assert model in awake and len(awake) <= 2


def test_a_model_is_refused_when_pinned_ones_are_as_many_as_may_be_loaded(fake):
    server = fake({"a": "", "b": ""}, {"memory": {"max_models": 1}}, a={"pin": True})
    assert server.chat("a").status_code == 200
    answer = server.chat("b")
    assert answer.status_code == 507
    assert "memory.max_models" in answer.json()["error"]["message"]


def test_keep_alive_zero_leaves_at_once_and_negative_stays(fake):
    server = fake({"a": "", "b": ""})
    server.chat("a", keep_alive=0)
    wait_until(lambda: "a" not in server.instances(), 5)
    server.chat("b", keep_alive=-1)
    assert server.instances()["b"]["expires_at_ms"] is None


def test_keep_alive_expires(fake):
    server = fake({"a": ""}, a={"keep_alive": "200ms"})
    server.chat("a")
    assert "a" in server.instances()
    wait_until(lambda: "a" not in server.instances(), 5)


def test_preload_and_pin(fake):
    server = fake({"a": "", "b": ""}, a={"preload": True, "pin": True})
    wait_until(lambda: server.instances().get("a", {}).get("state") == "ready", 10)
    assert server.instances()["a"]["expires_at_ms"] is None
    assert "b" not in server.instances()


def test_load_and_unload_return_when_done(fake):
    server = fake({"a": "load=100"})
    assert server.post("/admin/load", {"model": "a"}).status_code == 200
    assert server.instances()["a"]["state"] == "ready"
    freed = server.post("/admin/unload", {"model": "a"}).json()["freed"]
    assert freed > 0 and server.instances() == {}
    assert server.post("/admin/unload", {"model": "a"}).json()["freed"] == 0


def test_an_engine_that_grows_is_charged_for_it(fake):
    server = fake({"a": ""})
    server.chat("a")
    before = server.instances()["a"]["bytes"]
    for _ in range(4):
        server.chat("a", fake="grow=400")
    wait_until(lambda: server.instances()["a"]["bytes"] > before, 10, "the new measurement")


def test_models_load_side_by_side(fake):
    server = fake({name: "load=1000" for name in "abc"})
    threads = [threading.Thread(target=server.run, args=("load", name)) for name in "abc"]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(one["state"] == "loading" for one in server.instances().values()) == 3, 5)
    for thread in threads:
        thread.join()
    assert {one["state"] for one in server.instances().values()} == {"ready"}


def test_the_budget_shrinks_while_another_program_needs_the_memory(fake):
    available = psutil.virtual_memory().available
    if available < 8 * GIB:
        pytest.skip("needs 8 GiB of memory, so that what others do meanwhile does not matter")
    # Half of the reserve is kept free: all but 4 GiB of what there is now.
    reserve = 2 * (available - 4 * GIB)
    server = fake({"a": "", "b": ""}, {"memory": {"budget": str(GIB), "reserve": str(reserve)}})
    budget = lambda: server.get("/admin/ps").json()["budget"][0]["bytes"]
    assert server.chat("a").status_code == 200
    assert budget() == GIB
    other = bytearray(5 * GIB)
    for at in range(0, len(other), 4096):
        other[at] = 1
    wait_until(lambda: not server.instances(), 20, "the end of the idle engine")
    assert budget() < GIB
    refused = server.chat("b")
    assert refused.status_code == 507 and "Other programs" in refused.json()["error"]["message"]
    del other
    wait_until(lambda: budget() == GIB, 30, "the rise of the budget")
    assert server.chat("b").status_code == 200
