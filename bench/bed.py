"""Where a benchmark runs: the programs, the models, and a folder for what the servers write."""

import glob
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field

import large_model

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.environ.get("DROVER_CACHE", os.path.expanduser("~/.cache/drover"))


@dataclass
class Model:
    name: str
    file: str
    engine: str
    plan: dict = field(default_factory=dict)  # what drover-estimate says

    @property
    def embeds(self):
        return self.plan.get("embeds", False)

    @property
    def total(self):
        """Bytes that Drover charges at most."""
        return self.plan["total"]


def first(pattern):
    found = sorted(glob.glob(pattern))
    return found[0] if found else None


class Bed:
    """Finds everything; what is not there is None, and a benchmark skips it or says what is missing."""

    def __init__(self, arguments):
        self.folder = tempfile.mkdtemp(prefix="drover-bench-")
        self.build = arguments.build
        self.drover = self.built("drover")
        self.estimate = self.built("drover-estimate")
        self.fake_engine = self.built("tests/fake_engine/fake_engine")
        self.engine = arguments.engine or first(f"{CACHE}/engines/llama.cpp-v0.5.0-*/bin/llama-server")
        self.nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        self.wrk = shutil.which("wrk")
        self.llama_swap = self.peer("llama-swap", arguments.llama_swap)
        self.ollama = self.peer("Ollama", arguments.ollama)
        files = {"smol": "SmolLM2-135M*.gguf", "gemma": "gemma-3-270m*.gguf", "minilm": "all-MiniLM-L6-v2*.gguf",
                 "qwen_small": "qwen2.5-coder-0.5b*.gguf", "qwen_large": "qwen2.5-coder-1.5b*.gguf"}
        self.models = {name: first(f"{CACHE}/models/{pattern}") for name, pattern in files.items()}

    def built(self, name):
        path = os.path.join(self.build, name)
        if not os.path.exists(path):
            raise SystemExit(f"{path} is not there; scripts/bench builds it")
        return path

    @staticmethod
    def peer(name, path):
        if path and not os.access(path, os.X_OK):
            raise SystemExit(f"{name}: {path} is not a program")
        return os.path.abspath(path) if path else None

    def model(self, name):
        """One of the default models, or a random one (large_model.SHAPES), with Drover's plan for it."""
        file = self.random_model(name) if name in large_model.SHAPES else self.models[name]
        if not file or not self.engine:
            raise SystemExit("the default models or the engine are not there; scripts/start --setup-only gets them")
        socket = os.path.join(self.folder, f"{name}.sock")
        plan = json.loads(subprocess.check_output([self.estimate, file, self.engine, socket]))
        return Model(name, file, self.engine, plan)

    def random_model(self, shape):
        """Made once."""
        file = os.path.join(CACHE, "bench", f"random-{shape}.gguf")
        if not os.path.exists(file):
            os.makedirs(os.path.dirname(file), exist_ok=True)
            large_model.write(file, self.models["smol"], shape)
        return file

    def new_folder(self, name):
        return tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)

    def kept_folder(self, name):
        """The same one at every call."""
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
