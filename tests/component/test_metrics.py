"""What Prometheus reads, with Prometheus' own parser."""

import re

import support
from prometheus_client.parser import text_string_to_metric_families


def metrics(server):
    answer = server.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {(sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text) for sample in family.samples}


def test_requests_are_counted_by_model_and_status(fake):
    server = fake({"a": "", "b": "exit-at-start=1"})
    for _ in range(3):
        assert server.chat("a").status_code == 200
    assert server.chat("b").status_code == 502
    assert server.chat("nobody").status_code == 404
    found = metrics(server)
    assert found["drover_requests_total", ("model", "a"), ("status", "200")] == 3
    assert found["drover_requests_total", ("model", "b"), ("status", "502")] == 1
    assert found["drover_requests_total", ("model", ""), ("status", "404")] == 1
    assert found["drover_request_seconds_count", ("model", "a")] == 3
    assert found["drover_request_wait_seconds_bucket", ("le", "+Inf"), ("model", "a")] == 3


def test_a_refused_request_has_not_the_times_of_the_one_before(fake):
    server = fake({"a": ""}, a={"task": "embedding"})
    assert server.post("/v1/embeddings", {"model": "a", "input": "hello"}).status_code == 200
    assert server.chat("a").status_code == 400  # on the same connection
    assert not re.search(r"_ms=-(?!1\b)", server.log_file.read_text())  # -1: there was none
    sums = [value for name, value in metrics(server).items() if name[0].endswith("_seconds_sum")]
    assert sums and min(sums) >= 0


def test_memory_is_that_of_the_listing(fake):
    server = fake({"a": ""}, {"memory": {"budget": "1GiB"}})
    assert server.chat("a").status_code == 200

    def same():  # both are measured anew now and then
        found, [instance] = metrics(server), server.instances().values()
        [host] = server.get("/admin/ps").json()["budget"]
        return (found["drover_memory_budget_bytes", ("device", "host")] == host["bytes"]
                and found["drover_memory_held_bytes", ("device", "host")] == host["held"]
                and found["drover_instance_bytes", ("model", "a"), ("state", "ready")] == instance["bytes"])

    support.wait_until(same, what="the same bytes in the metrics and in the listing")
    assert metrics(server)["drover_queued_requests",] == 0


def test_a_model_that_is_named_shows_its_engines_own(fake):
    server = fake({"a": ""})
    assert server.chat("a").status_code == 200
    assert "drover_" not in server.get("/metrics?model=a").text
