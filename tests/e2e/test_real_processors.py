"""The real engines share the processors: all threads compute while one engine does, one each while all do."""

import os
import statistics

import psutil
import pytest
import support

pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor cannot be shared")


@pytest.fixture
def server(start, real_models):
    models = {name: {"file": str(real_models[name]), "context": 2048} for name in ("smol", "gemma")}
    server = start({"memory": {"budget": "2GiB"}, "models": models})
    for model in models:
        assert server.chat(model).status_code == 200
    return server


def second_share(pid):
    """Processor time of the second busiest thread as a part of the busiest one's: the median of five looks at some work."""
    def times():
        return {one.id: one.user_time + one.system_time for one in psutil.Process(pid).threads()}

    def look():
        def spent():
            return sorted((after - before.get(thread, 0) for thread, after in times().items()), reverse=True)

        before = times()
        support.wait_until(lambda: spent()[0] > 0.3, 20, "a thread that computes")
        busiest, second, *_ = spent()
        return second / busiest

    return statistics.median(look() for _ in range(5))


def computing(server):
    """How many engines say that they compute: locks on the file that they share."""
    [file] = (server.directory / "run").glob("*/computing")
    with open("/proc/locks") as locks:
        return sum(f":{file.stat().st_ino} " in line for line in locks)


def test_an_engine_alone_computes_with_all_threads_and_two_share_them(server):
    pids = {model: one["pid"] for model, one in server.instances().items()}
    with server.stream("smol", max_tokens=1500, ignore_eos=True) as alone:
        words = alone.iter_lines()  # the client leaves when this ends
        next(words)
        assert second_share(pids["smol"]) > 0.3
        # A model without a template ends before it speaks for the user, unless it is told where to end.
        with server.stream("gemma", max_tokens=1500, ignore_eos=True, stop=["no such word"]) as beside:
            others = beside.iter_lines()
            next(others)
            support.wait_until(lambda: computing(server) == 2, 10, "two that compute")
            # On a busy machine a step that both threads began may take long, for they wait for each other.
            for pid in pids.values():
                support.wait_until(lambda pid=pid: second_share(pid) < 0.2, 40, "one thread that computes")


def test_the_place_of_an_engine_that_is_killed_is_free_again(server):
    pid = server.instances()["smol"]["pid"]
    with server.stream("smol", max_tokens=1500, ignore_eos=True) as answer:
        words = answer.iter_lines()
        next(words)
        support.wait_until(lambda: computing(server) == 1, 10, "one that computes")
        psutil.Process(pid).kill()
        support.wait_until(lambda: computing(server) == 0, 10, "no lock")


def test_an_engine_that_has_answered_leaves_its_place(server):
    support.wait_until(lambda: computing(server) == 0, 10, "no lock")
