"""GPUs, invented by a fake of NVIDIA's library (tests/fake_nvml): where models lie, what their engines are told, and what
happens when others take the memory, or a GPU is lost."""

import json
import os

import psutil
import pytest
from support import DROVER, subprocess, wait_until

FAKE_NVML = os.environ.get("DROVER_FAKE_NVML", "")
GIB = 1 << 30
TWO = ["gpu GPU-a Large 8192 8192", "gpu GPU-b Small 6144 6144"]


class Machine:
    """The GPUs, as lines of the fake's file."""

    def __init__(self, folder):
        self.file = folder / "gpus"
        self.environment = {"DROVER_NVML": FAKE_NVML, "FAKE_NVML": str(self.file), "FAKE_GPUS": "2"}
        self.set(*TWO)

    def set(self, *lines):
        changed = self.file.with_suffix(".new")
        changed.write_text("".join(line + "\n" for line in lines))
        changed.replace(self.file)  # nobody reads half of it


@pytest.fixture
def machine(tmp_path):
    if not FAKE_NVML:
        pytest.skip("DROVER_FAKE_NVML is not set; run scripts/test")
    return Machine(tmp_path)


@pytest.fixture
def gpus(fake, machine):
    """gpus({"a": ""}, config) runs a server on a machine with two GPUs."""

    def run(behaviours, config=None, environment=None, **settings):
        return fake(behaviours, config, environment={**machine.environment, **(environment or {})}, **settings)

    return run


def budgets(server) -> dict:
    return {one["device"]: one for one in server.get("/admin/ps").json()["budget"]}


def told(server, model: str):
    """What the model's engine was told: its arguments, and the GPUs that it can see."""
    process = psutil.Process(server.pid_of(model))
    words = process.cmdline()
    return dict(zip(words, words[1:])), process.environ().get("CUDA_VISIBLE_DEVICES")


def test_a_model_lies_where_it_fits_best_and_its_engine_is_told(gpus):
    server = gpus({"a": ""})
    assert server.chat("a").status_code == 200
    placed = server.instances()["a"]
    assert placed["where"] == "GPU 1"  # the smaller one keeps the larger free
    assert placed["devices"]["GPU 1"] > placed["devices"]["host"] > 0
    assert sum(placed["devices"].values()) == placed["bytes"]
    arguments, visible = told(server, "a")
    assert visible == "GPU-b"
    assert arguments["--device"] == "CUDA0" and arguments["--n-gpu-layers"] == "all"
    assert budgets(server)["GPU 1"]["held"] == placed["devices"]["GPU 1"]
    assert budgets(server)["GPU 0"]["held"] == 0
    shown = server.run("ps").stdout
    assert "GPU 1 (Small): " in shown and "WHERE" in shown


def test_models_are_pinned_split_or_kept_from_gpus(gpus):
    server = gpus(
        {"one": "", "both": "", "none": "", "some": ""},
        one={"device": 0},
        both={"device": [1, "GPU-a"]},
        none={"device": "host"},
        some={"device": 0, "gpu_layers": 10},
    )
    for model in ("one", "both", "none", "some"):
        assert server.chat(model).status_code == 200
    where = {model: one["where"] for model, one in server.instances().items()}
    assert where == {"one": "GPU 0", "both": "GPU 1 and 0", "none": "host", "some": "GPU 0 and host (10 of 31 layers)"}
    arguments, visible = told(server, "both")
    assert visible == "GPU-b,GPU-a" and arguments["--device"] == "CUDA0,CUDA1"
    assert sum(int(part) for part in arguments["--tensor-split"].split(",")) == 31
    arguments, visible = told(server, "none")
    assert visible == "" and arguments["--device"] == "none"
    assert told(server, "some")[0]["--n-gpu-layers"] == "10"


def test_models_on_two_gpus_do_not_touch_each_others_budget(gpus):
    config = {"memory": {"gpus": {0: "1GiB", 1: "1GiB"}, "min_residency": "1ms"}}
    server = gpus({"a": "", "b": "", "other": ""}, config, a={"device": 0}, b={"device": 0}, other={"device": 1})
    server.chat("other")
    pid = server.pid_of("other")
    for model in "abab":
        assert server.chat(model).status_code == 200
        assert budgets(server)["GPU 0"]["held"] <= GIB
    assert server.pid_of("other") == pid
    assert len({"a", "b"} & server.instances().keys()) == 1


def test_layers_that_fit_on_no_gpu_lie_on_the_host(gpus):
    server = gpus({"a": "", "b": ""}, {"memory": {"gpus": {0: "700MiB", 1: "0"}}}, b={"gpu_layers": "all"})
    assert server.chat("a").status_code == 200
    placed = server.instances()["a"]
    assert placed["where"].startswith("GPU 0 and host (")
    assert placed["devices"]["GPU 0"] <= 700 << 20
    refused = server.chat("b")
    assert refused.status_code == 507 and "of GPU 0, but at most" in refused.json()["error"]["message"]


def test_what_the_driver_measures_replaces_the_estimate(gpus, machine):
    server = gpus({"a": ""}, a={"device": 0})
    server.chat("a")
    estimate = server.instances()["a"]["devices"]["GPU 0"]
    machine.set("gpu GPU-a Large 8192 7000", TWO[1], f"process 0 {server.pid_of('a')} 300")
    # What it has, and what it may still take.
    wait_until(lambda: server.instances()["a"]["devices"]["GPU 0"] < estimate, 10, "the measurement")
    assert server.instances()["a"]["devices"]["GPU 0"] in range(300 << 20, 600 << 20)


def test_an_unknown_measurement_leaves_the_estimate(gpus, machine):
    server = gpus({"a": ""}, a={"device": 0})
    server.chat("a")
    (model,) = server.get("/admin/models").json()["models"]
    wait_until(lambda: server.instances()["a"]["bytes"] != model["estimated_bytes"], 10, "a measurement")
    assert server.instances()["a"]["devices"]["GPU 0"] > 512 << 20  # the context alone
    assert budgets(server)["GPU 0"]["taken_by_others"] == 0


def test_a_gpu_that_others_need_is_given_back(gpus, machine):
    server = gpus({"a": ""})
    server.chat("a")
    assert server.instances()["a"]["where"] == "GPU 1"
    machine.set(TWO[0], "gpu GPU-b Small 6144 100", f"process 1 {server.pid_of('a')} 300", "process 1 1 5700")
    wait_until(lambda: "a" not in server.instances(), 10, "the model to leave")
    assert budgets(server)["GPU 1"]["taken_by_others"] > 5 * GIB
    assert server.chat("a").status_code == 200
    assert server.instances()["a"]["where"] == "GPU 0"
    assert "memory.given_back" in server.log_file.read_text()


def test_a_lost_gpu_has_nothing_to_give(gpus, machine):
    server = gpus({"a": "", "b": ""}, a={"device": 1}, b={"device": 0})
    for model in "ab":
        assert server.chat(model).status_code == 200
    machine.set(TWO[0], "lost")
    wait_until(lambda: "a" not in server.instances(), 10, "the model to leave")
    assert "b" in server.instances()
    refused = server.chat("a")
    assert refused.status_code == 507 and "GPU 1" in refused.json()["error"]["message"]
    assert server.chat("b").status_code == 200


def test_a_llama_server_without_gpus_is_given_none(gpus):
    server = gpus({"a": "", "b": ""}, environment={"FAKE_GPUS": "0"}, b={"device": 0})
    assert server.chat("a").status_code == 200
    assert server.instances()["a"]["where"] == "host"
    assert "--device" not in told(server, "a")[0]
    assert server.chat("b").status_code >= 500
    assert "built for CUDA" in server.log_file.read_text()


def test_unified_memory_is_the_hosts(gpus, machine):
    machine.set("unified GPU-u Spark")
    server = gpus({"a": ""}, {"memory": {"budget": "4GiB"}}, environment={"FAKE_GPUS": "1"})
    assert server.chat("a").status_code == 200
    placed = server.instances()["a"]
    assert placed["where"] == "GPU 0" and list(placed["devices"]) == ["host"]
    assert list(budgets(server)) == ["host"]
    assert told(server, "a")[1] == "GPU-u"


def test_a_driver_that_fails_is_told_and_missed_by_nobody(gpus, machine):
    machine.set("fails init")
    server = gpus({"a": ""})
    assert server.chat("a").status_code == 200
    assert server.instances()["a"]["where"] == "host"
    assert "gpus.problem" in server.log_file.read_text()


def test_sizes_are_remembered_for_each_placement(gpus, machine, tmp_path):
    measured = {"DROVER_MEASURED": str(tmp_path / "sizes.sqlite")}
    server = gpus({"a": ""}, environment=measured, a={"device": 0})
    server.chat("a")
    estimate = server.instances()["a"]["devices"]["GPU 0"]
    machine.set(*TWO, f"process 0 {server.pid_of('a')} 300")
    wait_until(lambda: server.instances()["a"]["devices"]["GPU 0"] < estimate, 10, "the measurement")
    charged = server.instances()["a"]["devices"]["GPU 0"]
    server.stop()
    machine.set(*TWO)
    again = gpus({"a": ""}, environment=measured, a={"device": 0})
    again.chat("a")
    assert again.instances()["a"]["devices"]["GPU 0"] == charged


def run(machine, tmp_path, *arguments, config=None):
    file = tmp_path / "drover.yaml"
    file.write_text(json.dumps({"models_dir": str(tmp_path), **(config or {})}))
    environment = {**os.environ, **machine.environment, "DROVER_DISCOVER": "none", "DROVER_STORE": str(tmp_path / "s")}
    command = [DROVER, "-c", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_the_doctor_lists_gpus_and_what_is_wrong_with_them(machine, tmp_path):
    shown = run(machine, tmp_path, "doctor").stdout
    assert "GPU 0" in shown and "Large, GPU-a" in shown and "of 6.0 GiB" in shown
    wrong = run(machine, tmp_path, "doctor", config={"memory": {"gpus": {7: "4GiB"}}})
    assert wrong.returncode != 0 and "there is no GPU 7; there are GPU 0 (Large, GPU-a)" in wrong.stdout


def test_a_plan_is_made_for_gpus_that_are_not_there(machine, tmp_path):
    arguments = ("plan", "70b-q4", "7b-q4", "--budget", "64GiB", "--gpu", "24GiB", "--gpu", "24GiB")
    planned = json.loads(run(machine, tmp_path, *arguments, "--json").stdout)
    assert planned["budgets"] == {"host": 64 * GIB, "GPU 0": 24 * GIB, "GPU 1": 24 * GIB}
    assert all(planned["totals"][device] <= planned["budgets"][device] for device in planned["budgets"])
    assert "GPU 0 and 1" in planned["models"][0]["where"]
    shown = run(machine, tmp_path, *arguments).stdout
    assert "GPU 1\n" in shown and "WHERE" in shown
