"""On an NVIDIA GPU: what an engine takes of it and of the host, beside what was estimated; and swaps of large models.

Every case is a server of its own with one model, which is loaded and then given what takes most memory: all its requests
at once, each nearly as long as the context, with log-probabilities. The driver says what the engine has of the GPU.
"""

import concurrent.futures
import json
import os
import subprocess
import time

import conversation
import machine
import servers
import switch

MIB = 1 << 20
CASES = [
    ("minilm", {}),
    ("smol", {}),
    ("smol", {"parallel": 8, "context": 2048}),
    ("7b", {}),
    ("7b", {"parallel": 1, "context": 16384}),
    ("7b", {"parallel": 1, "context": 16384, "cache_type_k": "q8_0", "cache_type_v": "q8_0"}),
    ("7b", {"batch": 2048}),
    ("7b", {"flash_attention": False}),
    ("7b", {"gpu_layers": 16}),
    ("32b", {}),
]
TALK, OTHER, TALK_TOKENS = "7b", "32b", 3900
# CUDA's context and libraries, beside what the engine allocates.
CONTEXT_BYTES = 512 * MIB


def there_is_one():
    try:
        return bool(smi("--query-gpu=name"))
    except (OSError, subprocess.CalledProcessError):
        return False


def smi(query):
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    return subprocess.check_output(command, text=True).splitlines()


def name_of_gpu():
    return ", ".join(smi("--query-gpu=name,memory.total,driver_version"))


def used_by(pid):
    """Bytes that a process has of all GPUs."""
    rows = [line.split(", ") for line in smi("--query-compute-apps=pid,used_memory")]
    return sum(int(used) for owner, used in rows if int(owner) == pid) * MIB


def taken(pid):
    return {"gpu": used_by(pid), "host": machine.pss(pid)}


def estimate_of(bed, settings, folder):
    file = os.path.join(folder, "plan.yaml")
    with open(file, "w") as out:
        json.dump({"engine": {"llama_server": bed.engine}, "models": settings}, out)  # JSON is YAML
    plan = json.loads(subprocess.check_output([bed.drover, "-c", file, "plan", "--json"]))
    (model,) = plan["models"]
    gpus = sum(size for device, size in model["devices"].items() if device != "host")
    return {"gpu": gpus, "host": model["devices"]["host"], "where": model["where"]}


def instance_of(server):
    (one,) = json.loads(server.request("GET", "/admin/ps")[1])["instances"]
    return one


def loaded(server, name):
    begun = time.perf_counter()
    status, answer = server.request("POST", "/admin/load", {"model": name})
    if status != 200:
        raise RuntimeError(f"{name}: {status} {answer[:500]} {server.last_words()}")
    return time.perf_counter() - begun


def keep_busy(server, model, settings):
    parallel, context = settings.get("parallel", 2), settings.get("context", 4096)
    if model.embeds:
        bodies = [("/v1/embeddings", {"model": model.name, "input": ["river stone " * 100] * 16})] * 4
    else:
        bodies = [("/v1/chat/completions",
                   {"model": model.name, "messages": conversation.opening(seed, context - 400), "max_tokens": 64,
                    "logprobs": True, "top_logprobs": 20}) for seed in range(parallel)]
    with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
        for status, answer in pool.map(lambda one: server.request("POST", *one), bodies):
            if status != 200:
                raise RuntimeError(f"{model.name}: {status} {answer[:500]}")


def measure_case(bed, name, given):
    model = bed.model(name)
    settings = {name: {"file": model.file, **given}}
    run = {"model": name, "settings": given, "estimated": estimate_of(bed, settings, bed.new_folder("plan"))}
    with servers.drover(bed, f"gpu-{name}", settings) as server:
        run["load"] = loaded(server, name)
        pid = instance_of(server)["pid"]
        run["ready"] = taken(pid)
        keep_busy(server, model, given)
        run["busy"] = taken(pid)
        # Drover looks every two seconds.
        time.sleep(3)
        charged = instance_of(server)["devices"]
    run["charged"] = {"host": charged["host"], "gpu": sum(charged.values()) - charged["host"]}
    return run


def measure_sizes(bed):
    runs = []
    for name, settings in CASES:
        runs.append(measure_case(bed, name, settings))
        print(f"   {json.dumps(runs[-1])}", flush=True)
    return {"gpu": name_of_gpu(), "runs": runs}


def report_sizes(result):
    lines = ["| model | settings | GPU: estimated | ready | busy | host: estimated | ready | busy | load |",
             "|---|---|---|---|---|---|---|---|---|"]
    for run in result["runs"]:
        settings = ", ".join(f"{name} {value}" for name, value in run["settings"].items()) or "as they come"
        cells = [f"{run[when][where] / MIB:,.0f}" for where in ("gpu", "host") for when in ("estimated", "ready", "busy")]
        lines.append(f"| {run['model']} | {settings} | {' | '.join(cells)} | {run['load']:.1f} s |")
    return "\n".join([*lines, "", f"MiB, by the driver and as PSS. {result['gpu']} MiB."])


def room_for_one(models):
    """Of the GPU, for the larger of the models."""
    largest = max(model.total for model in models)
    return {"gpus": {"0": largest + CONTEXT_BYTES}}


def measure_swaps(bed, rounds):
    """Two large models take turns on a GPU with room for one of them."""
    models = [bed.model(name) for name in (TALK, OTHER)]
    runs = []
    settings = {model.name: {"file": model.file} for model in models}
    memory = {**room_for_one(models), "min_residency": "1ms"}
    with servers.drover(bed, "gpu-swaps", settings, memory=memory) as server:
        for turn in range(rounds + 1):
            for model in models:
                alone = switch.engine_alone(bed, model) if turn > 0 else None
                run = switch.through_drover(server, model)
                if alone:  # the first round fills the page cache
                    runs.append({"round": turn, "model": model.name, "first": run["first"], "alone": alone["first"]})
                    print(f"   {json.dumps(runs[-1])}", flush=True)
    return {"gpu": name_of_gpu(), "rounds": rounds, "runs": runs}


def report_swaps(result):
    lines = ["| model | engine alone, from its start | Drover, another one leaves first | ratio |", "|---|---|---|---|"]
    cell = lambda found: "{median:.2f} s ({min:.2f} to {max:.2f})".format(**machine.spread(found))
    for name in (TALK, OTHER):
        runs = [run for run in result["runs"] if run["model"] == name]
        alone, first = [run["alone"] for run in runs], [run["first"] for run in runs]
        ratio = machine.spread(one / base for one, base in zip(first, alone))["median"]
        lines.append(f"| {name} | {cell(alone)} | {cell(first)} | {ratio:.2f} |")
    return "\n".join([*lines, "", f"First token; median of {result['rounds']} rounds. {result['gpu']} MiB."])


def measure_conversation(bed, rounds):
    result = conversation.measure(bed, rounds, TALK, TALK_TOKENS, OTHER, room_for_one)
    return {"gpu": name_of_gpu(), **result}


def report_conversation(result):
    return conversation.report(result) + f" {result['gpu']} MiB."
