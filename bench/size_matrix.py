#!/usr/bin/env python3
"""Compares predicted sizes with what llama-server reports, over small models of all architectures that can be made.

For each architecture (bench/architectures.py): asks the engine's library which tensors such a model has, writes it with
values of no meaning, and starts the engine with Drover's command line for several contexts, numbers of requests, batches and
types of cache. Compared are the buffers for weights, KV cache and recurrent state, to the last digit that the engine prints
(0.01 MiB: with thousands of cells one element more or less a cell shows), and those for computing.

    bench/size_matrix.py [--estimate build/dev/drover-estimate] [--only llama,mamba] [--quick] [--output docs/memory.md]

Ends with status 1 when weights or a cache are not exact, or a sum is too small by more than the docs allow.
"""

import argparse
import collections
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import architectures
import document
import engine_tensors
import gguf_file

MIB = 1 << 20
RANDOM_MODEL = os.path.join(os.path.dirname(__file__), "..", "tests", "random_model.py")
CACHE = os.environ.get("DROVER_CACHE", os.path.expanduser("~/.cache/drover"))
# The engine prints two digits of MiB; weights are compared without the rest of their last page.
PRINTED, PAGE = 0.0051, 4096 / MIB
UNDER_MIB, UNDER_SHARE = 32, 0.05
LOAD_SECONDS = 60

SETTINGS = [
    ["context=4096", "parallel=2"],
    ["context=8192", "parallel=1"],
    ["context=4096", "parallel=4", "batch=256"],
    ["context=2048", "parallel=1", "batch=128"],
    ["context=1024", "parallel=2", "k=q8_0", "v=q8_0"],
    ["context=2048", "parallel=2", "flash=0"],
    ["context=16384", "parallel=1"],
]
QUICK = SETTINGS[:1]


def tensors_of(architecture, library, allowance, folder):
    """Shapes by name. Fails with what the engine says."""
    header = f"{folder}/{architecture}.header"
    gguf_file.write(header, architectures.metadata(architecture))
    asked = subprocess.run(
        [sys.executable, engine_tensors.__file__, library, header],
        capture_output=True,
        text=True,
        timeout=LOAD_SECONDS,
        env={**os.environ, "LD_PRELOAD": allowance},
    )
    if asked.returncode != 0:
        raise RuntimeError(complaint(asked.stderr))
    found = json.loads(asked.stdout)
    for layer in range(architectures.layers_of(architecture)):
        for name, shape in architectures.unasked(architecture, layer, found).items():
            found[name] = shape + [1] * (4 - len(shape))
    return found


def make_model(architecture, library, allowance, folder):
    tensors = tensors_of(architecture, library, allowance, folder)
    path = f"{folder}/{architecture}.gguf"
    listed = [(name, shape, "f32") for name, shape in tensors.items()]
    gguf_file.write(path, architectures.metadata(architecture), listed)
    return path


def complaint(log):
    lines = [line for line in log.splitlines() if re.search(r"error|ASSERT|failed", line)]
    return (lines or log.splitlines() or ["it ended without a word"])[-1][-160:]


def wait_loaded(process, log_path):
    deadline = time.time() + LOAD_SECONDS
    while time.time() < deadline:
        ended = process.poll() is not None
        with open(log_path, errors="replace") as file:
            log = file.read()
        if "model loaded" in log:
            return log
        if ended:
            break
        time.sleep(0.02)
    raise RuntimeError(complaint(log))


def reported(log, kind):
    return sum(float(size) for size in re.findall(rf"{kind} buffer size =\s*([\d.]+) MiB", log))


def load(estimate, engine, model, settings, number, folder):
    """What is predicted, and the engine's log until the model is loaded."""
    socket = f"{folder}/{number}.sock"
    command = [estimate, model, engine, socket, "prompt_cache=0", *settings]
    plan = json.loads(subprocess.check_output(command, text=True))
    argv = plan["argv"]
    argv[argv.index("--log-verbosity") + 1] = "4"  # buffer sizes are printed as information
    log_path = f"{folder}/{number}.log"
    with open(log_path, "w") as log:
        process = subprocess.Popen(
            [*argv, "--threads", "1"],
            stdout=log,
            stderr=log,
            env=dict(entry.split("=", 1) for entry in plan["environment"]),
        )
    try:
        return plan, wait_loaded(process, log_path)
    finally:
        process.kill()
        process.wait()


def measure(*arguments):
    """Predicted and reported MiB of each part, of one load."""
    plan, text = load(*arguments)
    parts = {name: size / MIB for name, size in plan["parts"].items()}
    return {
        "weights": (plan["weights"] / MIB, reported(text, "model")),
        "kv": (parts["kv_cache"], reported(text, "KV")),
        "state": (parts["recurrent_state"], reported(text, "RS") + reported(text, "state")),
        "compute": (parts["compute_buffer"], reported(text, "compute")),
    }


def write_adapter(path):
    metadata = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": 16.0,
    }
    width, queries, rank = architectures.WIDTH, 4 * 96, 64
    tensors = []
    for layer in range(architectures.LAYERS):
        tensors.append((f"blk.{layer}.attn_q.weight.lora_a", [width, rank, 1, 1], "f32"))
        tensors.append((f"blk.{layer}.attn_q.weight.lora_b", [rank, queries, 1, 1], "f16"))
    gguf_file.write(path, metadata, tensors)


def measure_beside(args, library, allowance, folder):
    """What lies beside a model: (what, predicted, reported)."""
    model = make_model("llama", library, allowance, folder)
    write_adapter(f"{folder}/adapter.gguf")
    for kind, name in (("llama", "small"), ("projector", "projector")):
        subprocess.run([sys.executable, RANDOM_MODEL, kind, f"{folder}/{name}.gguf"], check=True)
    shape = ["context=4096", "parallel=2"]
    run = lambda model, settings, number: load(args.estimate, args.engine, model, shape + settings, number, folder)
    plain = measure(args.estimate, args.engine, model, shape, "plain", folder)
    found = []
    plan, log = run(model, [f"lora={folder}/adapter.gguf"], "lora")
    found.append(("adapter", plan["beside"]["adapters"] / MIB, reported(log, "LoRA")))
    plan, log = run(f"{folder}/small.gguf", [f"mmproj={folder}/projector.gguf"], "mmproj")
    size = re.search(r"model size:\s+([\d.]+) MiB", log)
    found.append(("projector", plan["beside"]["projector"] / MIB, float(size[1]) if size else 0))
    plan, log = run(model, [f"draft={model}"], "draft")
    both = reported(log, "model") + reported(log, "KV")
    found.append(("draft model with its cache", plan["beside"]["draft"] / MIB, both - plain["weights"][1] - plain["kv"][1]))
    return found


def exact(result):
    tolerances = {"weights": PRINTED + PAGE, "kv": None, "state": None}
    for part, tolerance in tolerances.items():
        predicted, measured = result[part]
        # A window and a full cache, keys and indexers are printed apart, each rounded.
        if abs(predicted - measured) > (tolerance or 4 * PRINTED):
            return False
    return True


def total(result):
    return tuple(sum(result[part][side] for part in ("weights", "kv", "state", "compute")) for side in (0, 1))


def too_small(result):
    predicted, measured = total(result)
    return measured - predicted > max(UNDER_MIB, UNDER_SHARE * measured)


def row(architecture, results):
    differences = [result["compute"][0] - result["compute"][1] for result in results]
    largest = max((result["compute"][1] for result in results))
    count = sum(exact(result) for result in results)
    return (
        f"| {architecture} | {results[0]['weights'][1]:.1f} | {results[0]['kv'][1]:.2f} | {results[0]['state'][1]:.2f} "
        f"| {count} of {len(results)} | {largest:.1f} | {min(differences):+.1f} to {max(differences):+.1f} |"
    )


def table(results, failures, beside):
    lines = [
        "| architecture | weights | KV | state | weights and caches exact | largest compute | compute, predicted too much |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [row(name, results[name]) for name in sorted(results)]
    every = [result for loads in results.values() for result in loads]
    errors = [100 * (predicted / measured - 1) for predicted, measured in map(total, every)]
    unders = [measured - predicted for predicted, measured in map(total, every)]
    lines += [
        "",
        f"{len(every)} loads of {len(results)} architectures; weights, KV and state exact in {sum(map(exact, every))}. Their sum "
        f"with the compute buffers: mean {sum(errors) / len(errors):+.1f} %, from {min(errors):+.1f} % to {max(errors):+.1f} %, "
        f"at most {max(0, *unders):.1f} MiB under.",
    ]
    if beside:
        text = ", ".join(f"{what} {predicted:.2f} / {measured:.2f}" for what, predicted, measured in beside)
        lines += ["", f"Beside a model, MiB predicted / reported: {text}."]
    if failures:
        lines += ["", "Not made or not loaded: " + ", ".join(sorted(failures)) + "."]
    return "\n".join(lines)


def tools(args, folder):
    """The folder of the engine's libraries, and what its library needs preloaded to list tensors."""
    library = os.path.join(os.path.dirname(os.path.dirname(args.engine)), "lib")
    return library, engine_tensors.allowance(folder)


def measure_all(args, folder):
    library, allowance = tools(args, folder)
    results, failures = collections.defaultdict(list), {}
    number = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for architecture in args.only.split(",") if args.only else architectures.ALL:
            try:
                model = make_model(architecture, library, allowance, folder)
                loads = []
                for settings in QUICK if args.quick else SETTINGS:
                    number += 1
                    if architectures.loads_with(architecture, settings):
                        loads.append(
                            pool.submit(
                                measure,
                                args.estimate,
                                args.engine,
                                model,
                                settings + architectures.settings_of(architecture),
                                number,
                                folder,
                            )
                        )
                results[architecture] = [load.result() for load in loads]
                print(row(architecture, results[architecture]), flush=True)
            except (RuntimeError, subprocess.SubprocessError) as error:
                results.pop(architecture, None)
                failures[architecture] = str(error)
                print(f"{architecture}: {error}", flush=True)
            for path in glob.glob(f"{folder}/{architecture}.*"):
                os.unlink(path)
    return results, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--estimate", default="build/dev/drover-estimate")
    parser.add_argument("--engine", help="llama-server with its libraries in ../lib; default: the engine cache's")
    parser.add_argument("--only", help="architectures, with commas between")
    parser.add_argument("--quick", action="store_true", help="one load of each")
    parser.add_argument("--jobs", type=int, default=2, help="loads at once")
    parser.add_argument("--output", help="a document with the marks; its table is replaced")
    args = parser.parse_args()
    if args.engine is None:
        found = sorted(glob.glob(f"{CACHE}/engines/llama.cpp-v0.5.0-prebuilt-cpu/bin/llama-server"))
        if not found:
            sys.exit("no engine in the cache; run scripts/install-engine or give --engine")
        args.engine = found[0]
    with tempfile.TemporaryDirectory(prefix="drover-sizes-") as folder:
        results, failures = measure_all(args, folder)
        beside = [] if args.only else measure_beside(args, *tools(args, folder), folder)
    text = table(results, failures, beside)
    print("\n".join(text.splitlines()[len(results) + 2 :]))
    if args.output:
        document.write_between(args.output, "sizes", text)
    wrong = [what for what, predicted, measured in beside if abs(predicted - measured) > 4 * PRINTED + PAGE]
    wrong += [name for name, loads in results.items() if not all(map(exact, loads)) or any(map(too_small, loads))]
    if wrong:
        sys.exit("wrong: " + ", ".join(wrong))
    if failures and (args.only or args.quick):
        sys.exit("not measured: " + ", ".join(failures))


if __name__ == "__main__":
    main()
