"""The servers that are compared: Drover, the engine alone, and its peers, each as a child process."""

import glob
import hashlib
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import threading
import time

import machine

STOP_SECONDS = 20


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    """A process in a group of its own that answers HTTP on a port or a UNIX socket."""

    def __init__(self, folder, name, argv, port=None, path=None, environment=None, inherits=True):
        """`environment` is added to ours, or is the whole one when nothing is inherited."""
        self.name, self.port, self.path = name, port, path
        self.log_path = os.path.join(folder, name.replace("/", "-") + ".log")
        self.log = open(self.log_path, "w")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            argv, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**(os.environ if inherits else {}), **(environment or {})},
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout=600):
        if self.path:
            return UnixConnection(self.path, timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, timeout=600):
        """Status and body."""
        connection = self.connect(timeout)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def computed(self, workers=False):
        """Seconds of processor time that it has used so far, or that its worker processes have."""
        pids = [self.process.pid]
        if workers:
            pids = machine.read(f"/proc/{pids[0]}/task/{pids[0]}/children").split()
        threads = [path for pid in pids for path in glob.glob(f"/proc/{pid}/task/*/schedstat")]
        return sum(int(machine.read(path, "0").split()[0]) for path in threads) / 1e9

    def wait_ready(self, path="/health", timeout=60, pause=0.002):
        """Returns when `path` is answered with 200; a server that never does is stopped."""
        try:
            self._wait_ready(path, timeout, pause)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_ready(self, path, timeout, pause):
        deadline = time.perf_counter() + timeout
        while time.perf_counter() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start: {self.last_words()}")
            try:
                if self.request("GET", path, timeout=5)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(pause)
        raise RuntimeError(f"{self.name} was not ready after {timeout} s: {self.last_words()}")

    def last_words(self):
        self.log.flush()
        return machine.read(self.log_path)[-1500:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what it may have left behind
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def from_clients(count, requests, send):
    """`count` clients call `send(request)`, each with the next one of the list as soon as it is done with its last."""
    lock, todo = threading.Lock(), iter(requests)

    def client():
        while True:
            with lock:
                request = next(todo, None)
            if request is None:
                return
            send(request)

    threads = [threading.Thread(target=client) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def drover(bed, name, models, engine=None, **settings):
    """`models` maps names to the settings of each; `settings` are the other parts of the file."""
    port = machine.free_port()
    runtime = bed.new_folder("run")
    config = {
        "listen": f"127.0.0.1:{port}",
        "models_dir": runtime,
        "engine": {"llama_server": engine or bed.engine},
        "models": models,
        "snapshots": {"directory": os.path.join(runtime, "snapshots")},
        **settings,
    }
    file = os.path.join(runtime, "drover.yaml")
    with open(file, "w") as out:
        json.dump(config, out)  # JSON is YAML
    clean = {"DROVER_RUNTIME_DIR": runtime}
    return Server(bed.folder, name, [bed.drover, "-c", file, "serve"], port, environment=clean).wait_ready()


def fake_engine(bed, name, path=None):
    port = None if path else machine.free_port()
    where = ["--host", path] if path else ["--host", "127.0.0.1", "--port", str(port)]
    return Server(bed.folder, name, [bed.fake_engine, "--model", "fake.gguf", *where], port, path).wait_ready()


NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream engine {{
        server {upstream};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://engine;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def nginx(bed, name, upstream):
    port = machine.free_port()
    folder = bed.new_folder("nginx")
    file = os.path.join(folder, "nginx.conf")
    with open(file, "w") as out:
        # As root its worker would become somebody who may not enter the folder of the socket.
        user = "user root;" if os.geteuid() == 0 else ""
        out.write(NGINX.format(user=user, folder=folder, port=port, upstream=upstream))
    return Server(folder, name, [bed.nginx, "-c", file, "-e", f"{folder}/start.log"], port).wait_ready()


def plain_flags(model):
    """What a user would write who gives the engine the same context as Drover's default."""
    if model.embeds:
        return ["--embedding", "--ctx-size", "2048", "--parallel", "4"]
    return ["--ctx-size", "8192", "--parallel", "2"]


def tuned_flags(model):
    """Those of Drover, without what the server in front of the engine decides."""
    flags, skip = [], False
    for flag in model.plan["argv"][1:]:
        if skip:
            skip = False
        elif flag in ("--host", "--alias", "--model", "--chat-template"):
            skip = True
        else:
            flags.append(flag)
    return flags


def llama_swap(bed, name, models, flags=plain_flags, together=True):
    """All pairs of models may be there together, or only one at a time. `models` may be one that the fake engine plays."""
    port = machine.free_port()
    lines = ["healthCheckTimeout: 120", f"startPort: {machine.free_port()}", "models:"]
    for model in models:
        command = [model.engine, "--host", "127.0.0.1", "--port", "${PORT}", "--model", model.file, *flags(model)]
        lines += [f"  {model.name}:", f"    cmd: {json.dumps(shlex.join(command).replace(chr(39), ''))}",
                  "    concurrencyLimit: 1000"]
    if len(models) > 1 and together:
        pairs = [f"({one.name} & {other.name})" for i, one in enumerate(models) for other in models[i + 1:]]
        lines += ["routing:", "  router:", "    use: matrix", "    settings:", "      matrix:",
                  "        sets:", f"          pairs: \"{' | '.join(pairs)}\""]
    folder = bed.new_folder("swap")
    file = os.path.join(folder, "config.yaml")
    with open(file, "w") as out:
        out.write("\n".join(lines) + "\n")
    argv = [bed.llama_swap, "-config", file, "-listen", f"127.0.0.1:{port}"]
    return Server(folder, name, argv, port).wait_ready("/health")


def llama_router(bed, name, models, most, flags=plain_flags):
    port = machine.free_port()
    lines = ["version = 1"]
    for model in models:
        lines += [f"[{model.name}]", f"model = {model.file}"]
        for flag in flags(model):
            if flag.startswith("--"):
                lines.append(f"{flag[2:]} = true")
            else:
                lines[-1] = lines[-1].replace("= true", f"= {flag}")
    folder = bed.new_folder("router")
    file = os.path.join(folder, "models.ini")
    with open(file, "w") as out:
        out.write("\n".join(lines) + "\n")
    argv = [bed.engine, "--host", "127.0.0.1", "--port", str(port), "--models-preset", file,
            "--models-max", str(most), "--no-ui"]
    return Server(folder, name, argv, port, environment={"LLAMA_CACHE": folder}).wait_ready("/health")


def ollama(bed, name, models, most):
    """Its engine is what is beside its binary, so that has to be the same one; see docs/benchmarks.md."""
    port = machine.free_port()
    folder = bed.kept_folder("ollama")
    environment = {
        "HOME": folder,
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": os.path.join(folder, "models"),
        "OLLAMA_MAX_LOADED_MODELS": str(most),
        "OLLAMA_CONTEXT_LENGTH": "4096",
        "OLLAMA_NUM_PARALLEL": "2",
    }
    server = Server(bed.folder, name, [bed.ollama, "serve"], port, environment=environment).wait_ready("/")
    try:
        known = server.request("GET", "/api/tags")[1].decode()
        for model in models:
            if f'"{model.name}:latest"' not in known:
                give_to_ollama(server, model)
    except BaseException:
        server.stop()
        raise
    return server


def give_to_ollama(server, model):
    with open(model.file, "rb") as file:
        data = file.read()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    server.request("POST", f"/api/blobs/{digest}", data)
    body = {"model": model.name, "files": {os.path.basename(model.file): digest}, "stream": False}
    status, answer = server.request("POST", "/api/create", body)
    if status != 200:
        raise RuntimeError(f"ollama did not take {model.name}: {status} {answer[:300]}")
