#!/usr/bin/env python3
"""Compares predicted with measured memory of llama-server, and writes the table of docs/memory.md.

For each model and combination of settings: asks drover-estimate for the prediction and for the command
line that Drover would use, starts that engine, measures it when it is ready, then loads it with what
takes most memory (every slot filled to its context several times over, log-probabilities, JSON schemas,
tools, long batches of embeddings), sampling memory all the while.

Measured is RSS: what PSS would be if nothing were shared with other processes. KV caches and repacked
weights are compared with what the engine itself reports, to the byte that it prints.

    bench/memory_matrix.py --estimate build/dev/drover-estimate [--quick] [--output docs/memory.md]
"""

import argparse
import concurrent.futures
import glob
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import document

MIB = 1 << 20
CACHE = os.environ.get("DROVER_CACHE", os.path.expanduser("~/.cache/drover"))

SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "scores": {"type": "array", "items": {"type": "number"}},
            },
            "required": ["name", "scores"],
        }
    },
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
                "required": ["city"],
            },
        },
    }
]


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=900)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(900)
        self.sock.connect(self.path)


def rss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"^Rss:\s+(\d+) kB", file.read(), re.M)[1]) * 1024


class Engine:
    """One engine process, with a thread that remembers the most memory it had."""

    def __init__(self, plan, folder, threads):
        self.socket = os.path.join(folder, "m.sock")
        self.log_path = os.path.join(folder, "log")
        argv = list(plan["argv"])
        argv[argv.index("--log-verbosity") + 1] = "4"  # buffer sizes are printed as information
        argv += ["--threads", str(threads)] if threads else []
        self.log = open(self.log_path, "w")
        self.started = time.time()
        self.process = subprocess.Popen(
            argv, stdout=self.log, stderr=self.log, env=dict(e.split("=", 1) for e in plan["environment"])
        )
        self.peak = 0
        self.running = True
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        self.sampler.start()
        self._wait_ready()
        self.ready_seconds = time.time() - self.started
        time.sleep(0.2)
        self.resident = rss(self.process.pid)

    def _sample(self):
        while self.running:
            try:
                self.peak = max(self.peak, rss(self.process.pid))
            except (OSError, TypeError):
                pass
            time.sleep(0.02)

    def _wait_ready(self):
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("engine ended: " + open(self.log_path).read()[-800:])
            try:
                if self.request("GET", "/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.005)

    def request(self, method, path, body=None):
        connection = Connection(self.socket)
        connection.request(
            method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def post(self, path, body):
        status, data = self.request("POST", path, body)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {data[:300]}")

    def reported(self, kind):
        """Sum of the buffers of one kind as printed, in MiB."""
        with open(self.log_path, errors="replace") as file:
            found = re.findall(rf"{kind} buffer size =\s*([\d.]+) MiB", file.read())
        return sum(float(size) for size in found)

    def stop(self):
        self.running = False
        self.sampler.join()
        self.process.terminate()
        self.process.wait()
        self.log.close()
        if os.path.exists(self.socket):
            os.unlink(self.socket)


def in_parallel(count, call, times):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(call, range(times)))


def tokens(generator, plan, count):
    return [generator.randrange(1000, min(plan["vocabulary"], 40000)) for _ in range(count)]


def load_generate(engine, plan, rounds):
    slots, context = plan["parallel"], plan["context"]
    generator = random.Random(1)
    for _ in range(rounds):
        in_parallel(
            slots,
            lambda i: engine.post(
                "/completion",
                {"prompt": tokens(generator, plan, context - 20), "n_predict": 4, "id_slot": i},
            ),
            slots,
        )
    words = min(context // 8, 60)

    def chat(i, **more):
        text = f"Tell me story number {i}. " + "word " * words
        engine.post(
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": text}], "max_tokens": 6, **more},
        )

    in_parallel(slots, lambda i: chat(i, logprobs=True, top_logprobs=20), slots)
    in_parallel(slots, lambda i: chat(i, response_format=SCHEMA), slots)
    if context >= 1024:
        in_parallel(slots, lambda i: chat(i, tools=TOOLS), slots)
        in_parallel(slots + 4, chat, 8)


def load_embed(engine, plan):
    generator = random.Random(1)
    long = [tokens(generator, plan, plan["context"] - 4) for _ in range(4)]
    in_parallel(plan["parallel"], lambda i: engine.post("/v1/embeddings", {"input": long}), 8)
    short = {"input": ["several words in a row " * 8] * 64}
    in_parallel(plan["parallel"] + 4, lambda i: engine.post("/v1/embeddings", short), 16)


def measure(args, model, settings, folder):
    command = [args.estimate, model, args.engine, os.path.join(folder, "m.sock")]
    plan = json.loads(subprocess.check_output(command + settings))
    engine = Engine(plan, folder, args.threads)
    try:
        if plan["embeds"]:
            load_embed(engine, plan)
        else:
            # One round touches everything; more are needed to fill a prompt cache.
            load_generate(engine, plan, 3 if plan["parts"]["prompt_cache"] else 1)
        kv = engine.reported("KV") + engine.reported("RS")
        repacked = engine.reported("CPU_REPACK model")
        compute = engine.reported("compute")
    finally:
        engine.stop()
    return {
        "model": os.path.basename(model),
        "settings": " ".join(settings) or "defaults",
        "plan": plan,
        "resident": engine.resident,
        "peak": engine.peak,
        "kv": kv,
        "repacked": repacked,
        "compute": compute,
        "ready": engine.ready_seconds,
    }


def combinations(name, quick):
    if "minilm" in name.lower():
        return [[], ["parallel=1"], ["context=256"], ["flash=0"]][: 2 if quick else None]
    plain = ["prompt_cache=0"]
    shapes = [["context=512", "parallel=1"], ["context=2048", "parallel=2"]]
    if quick:
        return [plain + shape for shape in shapes]
    shapes += [["context=1024", "parallel=4"], ["context=4096", "parallel=1"]]
    middle = ["context=1024", "parallel=2"]
    return (
        [plain + shape for shape in shapes]
        + [plain + middle + ["repack=0"]]
        + [plain + middle + ["k=q8_0", "v=q8_0"]]
        + [plain + middle + ["k=q8_0", "v=q4_0"]]
        + [plain + middle + ["flash=0"]]
        + [plain + middle + ["batch=128"]]
        + [middle]
    ) + ([["task=embedding", "context=512"]] if "smol" in name.lower() else [])


def percent(predicted, measured):
    return 100.0 * (predicted - measured) / measured


def row(result):
    parts = result["plan"]["parts"]
    kv = (parts["kv_cache"] + parts["recurrent_state"]) / MIB
    total, resident = result["plan"]["total"], result["plan"]["resident"]
    mib = lambda count: f"{count / MIB:.0f}"
    return (
        f"| {result['model']} | {result['settings']} | {kv:.2f} / {result['kv']:.2f} "
        f"| {parts['compute_buffer'] / MIB:.1f} / {result['compute']:.1f} "
        f"| {mib(resident)} / {mib(result['resident'])} | {mib(total)} / {mib(result['peak'])} "
        f"| {percent(total, result['peak']):+.1f} % |"
    )


def table(results):
    errors = [percent(r["plan"]["total"], r["peak"]) for r in results]
    loaded = [percent(r["plan"]["resident"], r["resident"]) for r in results]
    kv_exact = sum(
        abs((r["plan"]["parts"]["kv_cache"] + r["plan"]["parts"]["recurrent_state"]) / MIB - r["kv"]) < 0.006
        for r in results
    )
    lines = [
        "| model | settings | KV | compute | after load | at most | over |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [row(result) for result in results]
    lines += [
        "",
        f"{len(results)} loads. KV exact in {kv_exact}. At most: mean {sum(errors) / len(errors):+.1f} %, "
        f"from {min(errors):+.1f} % to {max(errors):+.1f} %, {sum(e < 0 for e in errors)} under. After load: "
        f"mean {sum(loaded) / len(loaded):+.1f} %, from {min(loaded):+.1f} % to {max(loaded):+.1f} %.",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--estimate", default="build/dev/drover-estimate")
    parser.add_argument("--engine", default=None, help="llama-server; default: the engine cache's")
    parser.add_argument("--models", nargs="*", default=sorted(glob.glob(f"{CACHE}/models/*.gguf")))
    parser.add_argument("--quick", action="store_true", help="two combinations a model, one round")
    parser.add_argument("--threads", type=int, help="of an engine; one wastes least on a machine that is busy")
    parser.add_argument("--output", help="a document with the marks; its table is replaced")
    parser.add_argument("--json", help="keep the raw results here")
    args = parser.parse_args()
    if args.engine is None:
        found = sorted(glob.glob(f"{CACHE}/engines/llama.cpp-v0.5.0-*/bin/llama-server"))
        if not found:
            sys.exit("no engine in the cache; run scripts/install-engine or give --engine")
        args.engine = found[0]
    results = []
    with tempfile.TemporaryDirectory(prefix="drover-matrix-") as folder:
        for model in args.models:
            for settings in combinations(os.path.basename(model), args.quick):
                results.append(measure(args, model, settings, folder))
                print(row(results[-1]), f"{results[-1]['ready']:.2f} s", flush=True)
    text = table(results)
    print(text.splitlines()[-1])
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)
    if args.output:
        document.write_between(args.output, "matrix", text)
    if any(result["plan"]["total"] < result["peak"] for result in results):
        sys.exit("some predictions are under what was measured")


if __name__ == "__main__":
    main()
