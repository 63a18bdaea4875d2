"""Runs the real `drover` program for a test and looks at it from outside."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

DROVER = os.environ.get("DROVER_BIN", "")
FAKE_ENGINE = os.environ.get("DROVER_FAKE_ENGINE", "")
FAKE_NVML = os.environ.get("DROVER_FAKE_NVML", "")
ENGINE = os.environ.get("DROVER_ENGINE", "")
MODELS = Path(os.environ.get("DROVER_MODELS", "/nonexistent"))
SHARED = Path(os.environ.get("DROVER_SHARED", "/nonexistent"))
SMOL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = MODELS / "all-MiniLM-L6-v2.Q8_0.gguf"
LOG_SHOWN = 6000
LISTENING = re.compile(r"drover listening on (http://\S+)")


def gemma() -> Path:
    """The larger chat model; its file depends on where it came from."""
    return next(iter(sorted(MODELS.glob("gemma-3-270m*.gguf"))), MODELS / "gemma-3-270m.Q4_K_M.gguf")


def wait_until(condition, timeout: float = 10.0, what: str = "the condition"):
    """Polls until `condition()` is truthy and returns it. The only place that sleeps."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {timeout} s")


def to_yaml(value) -> str:
    return json.dumps(value)  # JSON is YAML


class Drover:
    """One server with a configuration and a folder of its own, on a free port. `written` is YAML for the same file."""

    def __init__(self, directory: Path, config: dict, engine: str, environment: dict | None = None, written: str = ""):
        self.directory = directory
        self.config_file = directory / "drover.yaml"
        settings = {"listen": "127.0.0.1:0", "models_dir": str(directory), **config}
        settings.setdefault("snapshots", {}).setdefault("directory", str(directory / "snapshots"))
        settings["engine"] = {"llama_server": engine, **config.get("engine", {})}
        self.config_file.write_text(written + "".join(f"{name}: {to_yaml(value)}\n" for name, value in settings.items()))
        self.log_file = directory / "log"
        runtime = directory / "run"
        self.environment = {
            **os.environ,
            "DROVER_RUNTIME_DIR": str(runtime),
            "DROVER_STORE": str(directory / "store"),
            "DROVER_DISCOVER": "none",
            "DROVER_MEASURED": str(directory / "measured.sqlite"),
            **(environment or {}),
        }
        for name in ("DROVER_CONFIG", "DROVER_HOST"):
            self.environment.pop(name, None)
        self.log = self.log_file.open("w")
        self.process = subprocess.Popen(
            [DROVER, "-c", str(self.config_file), "serve"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.environment,
            text=True,
        )
        self.engines: set[int] = set()
        line = self.process.stdout.readline()
        match = LISTENING.search(line)
        assert match, f"drover did not start: {line!r} {self.log_file.read_text()}"
        self.url = match[1]
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def get(self, path: str, **arguments):
        return self.client.get(path, **arguments)

    def post(self, path: str, body: dict, **arguments):
        return self.client.post(path, json=body, **arguments)

    def chat(self, model: str, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4, **fields}
        return self.post("/v1/chat/completions", body)

    def stream(self, model: str, **fields):
        """A context with a streaming response, not read yet."""
        body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "stream": True, **fields}
        return self.client.stream("POST", "/v1/chat/completions", json=body)

    def instances(self) -> dict:
        """By model: what /admin/ps says of it."""
        found = {one["model"]: one for one in self.get("/admin/ps").json()["instances"]}
        self.engines |= {one["pid"] for one in found.values()}
        return found

    def pid_of(self, model: str) -> int:
        return self.instances()[model]["pid"]

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60):
        """A command of the CLI against this server."""
        return subprocess.run(
            [DROVER, "--host", self.url, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment,
            stdin=subprocess.DEVNULL if stdin is None else None,
        )

    def processes(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self, how: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Ends the server and checks that it leaves no engine behind."""
        children = [one for one in self.processes() if one.pid != self.process.pid]
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            said = self.log_file.read_text()[-LOG_SHOWN:]
            left = [f"{one.pid} {one.name()} {one.status()}" for one in self.processes()]
            self.process.kill()
            raise AssertionError(f"drover did not end within {timeout} s; processes: {left}; its log ends with:\n{said}") from None
        finally:
            self.client.close()
            self.process.stdout.close()
            self.log.close()
        wait_until(lambda: not any(is_alive(one) for one in children), 5, "the end of all engines")
        return self.process.returncode


def statuses_at_once(server: Drover, clients: int, requests: int, timeout: float, **body) -> set[int]:
    """What so many clients get when they send so many chats, each the next one as soon as it has an answer."""
    body = {"messages": [{"role": "user", "content": "Hi"}], **body}

    def ask(_):
        url = f"{server.url}/v1/chat/completions"
        return httpx.post(url, json=body, timeout=timeout, trust_env=False).status_code

    with ThreadPoolExecutor(clients) as pool:
        return set(pool.map(ask, range(requests)))


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree_of(server: Drover, model: str) -> list[psutil.Process]:
    """The model's guard, its engine, and what that started."""
    guard = psutil.Process(server.pid_of(model))
    return [guard, *guard.children(recursive=True)]


def pss_of(pid: int) -> int:
    """Bytes of a process, shared pages in parts; 0 when it is gone."""
    with contextlib.suppress(OSError):
        match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        return int(match[1]) * 1024 if match else 0
    return 0


class MemorySampler:
    """Samples the sum of the PSS of a server and all its engines every 50 ms."""

    PERIOD_S = 0.05

    def __init__(self, drover: Drover):
        self.drover, self.peak, self.samples = drover, 0, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(self.PERIOD_S):
            self.peak = max(self.peak, sum(pss_of(one.pid) for one in self.drover.processes()))
            self.samples += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
