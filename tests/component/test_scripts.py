"""The set-up scripts: steps that go on beside others, and which engine is found."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import support

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMON = SCRIPTS / "lib" / "common.sh"
BEGIN = f"""
source {COMMON}
trap break_off EXIT
trap 'exit 143' TERM
counts() {{ for i in 1 2 3; do say "   compiling [$i/3], $i s"; done; say "   $1"; [ "$1" = good ]; }}
"""


def bash(script, tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    return subprocess.run(["bash", "-c", BEGIN + script], capture_output=True, text=True, timeout=30, env=environment)


def test_a_step_beside_others_is_shown_when_it_is_its_turn(tmp_path):
    result = bash('begin a counts good; wait "${BESIDE[a]}"; say first; step a finish a; say last', tmp_path)
    assert result.returncode == 0
    # Of the progress that nobody saw only the last line.
    assert result.stderr.splitlines() == [
        "first", "== a", "   compiling [3/3], 3 s", "   good", "== a: done in 0 s", "last"]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_step_beside_others_that_fails_ends_the_script_when_it_is_its_turn(tmp_path):
    result = bash("begin a counts bad; step a finish a; say never", tmp_path)
    assert result.returncode == 1
    assert "   bad" in result.stderr and "never" not in result.stderr


def test_what_was_not_begun_runs_at_its_turn(tmp_path):
    result = bash("step a finish_or_run a counts good", tmp_path)
    assert result.returncode == 0
    assert "   compiling [1/3], 1 s" in result.stderr


def test_steps_beside_others_end_with_the_script(tmp_path):
    result = bash('begin a sleep 100; say "${BESIDE[a]}"; exit 3', tmp_path)
    assert result.returncode == 3
    job = int(result.stderr)
    support.wait_until(lambda: not os.path.exists(f"/proc/{job}"), 10)
    assert list(tmp_path.iterdir()) == []


def put_engine(cache, flavour, devices):
    """One that runs and lists these devices."""
    folder = cache / "engines" / f"llama.cpp-v0.5.0-{flavour}"
    for name in ("bin/llama-quantize", "lib/libdrover-preload.3.so", "engine.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch(mode=0o755)
    program = folder / "bin" / "llama-server"
    program.write_text(f"#!/bin/sh\necho 'Available devices:'\necho '{devices}'\n")
    program.chmod(0o755)
    return program


def find(cache, *arguments):
    command = [SCRIPTS / "install-engine", "--print-path", *arguments]
    environment = os.environ | {"DROVER_CACHE": str(cache)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_an_engine_for_gpus_is_found_only_where_it_sees_one(tmp_path):
    processor = put_engine(tmp_path, "prebuilt-cpu", "")
    put_engine(tmp_path, "prebuilt-cuda", "")
    assert find(tmp_path).stdout.strip() == str(processor)
    gpu = put_engine(tmp_path, "prebuilt-cuda", "  CUDA0: NVIDIA H100 (81079 MiB, 80552 MiB free)")
    assert find(tmp_path).stdout.strip() == str(gpu)
    assert find(tmp_path, "--flavour", "gpu").stdout.strip() == str(gpu)


def test_an_engine_that_is_asked_for_by_name_is_taken_as_it_is(tmp_path):
    gpu = put_engine(tmp_path, "prebuilt-cuda", "")
    result = find(tmp_path, "--flavour", "prebuilt-cuda")
    assert result.stdout.strip() == str(gpu) and "in the cache" in result.stderr


def test_an_engine_for_a_gpu_that_is_not_there_is_refused(tmp_path):
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has an NVIDIA GPU")
    put_engine(tmp_path, "prebuilt-cpu", "")
    refused = find(tmp_path, "--flavour", "gpu")
    assert refused.returncode != 0 and "there is no NVIDIA GPU" in refused.stderr and refused.stdout == ""
