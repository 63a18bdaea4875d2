"""Predicted sizes against what the engine reports, for one small model of each kind of cache (bench/size_matrix.py)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MATRIX = Path(__file__).parents[2] / "bench" / "size_matrix.py"
ESTIMATE, ENGINE = os.environ.get("DROVER_ESTIMATE"), os.environ.get("DROVER_ENGINE")
# Plain, a latent cache, sliding windows, shared layers, an indexer, joint keys, states, both, experts, an encoder.
KINDS = "llama,deepseek2,gemma3,gemma4,minimax-m3,deepseek4,mamba2,rwkv7,jamba,qwen35moe,grok,modern-bert"


@pytest.mark.skipif(not ESTIMATE or not ENGINE, reason="DROVER_ESTIMATE and DROVER_ENGINE are not set; run scripts/test")
@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_weights_and_caches_are_predicted_exactly():
    command = [sys.executable, MATRIX, "--estimate", ESTIMATE, "--engine", ENGINE, "--quick", "--only", KINDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact in 12" in done.stdout
