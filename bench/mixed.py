"""Mixed load: three models, room for two, requests for all of them from several clients at once.

Each system starts cold with the same engine binary and the same requests in the same order, which the
clients take from one list. The systems take turns; each round has a seed of its own.
"""

import http.client
import json
import random
import time

import machine
import servers

REQUESTS, CLIENTS, ROOM = 60, 8, 2
WORDS = ("river mountain paper window garden engine number planet silver history music market bridge winter "
         "letter forest science kitchen travel morning colour machine animal water village").split()
MIB = 1 << 20
# Drover's own memory is charged in steps of 16 MiB.
OWN_BYTES = 56 * MIB
PATIENCE_SECONDS = 300


def plan(seed, models):
    """The requests: (model, path, body)."""
    generator = random.Random(seed)
    requests = []
    for _ in range(REQUESTS):
        model = generator.choice(models)
        text = " ".join(generator.choice(WORDS) for _ in range(generator.randint(10, 40)))
        tokens = generator.randint(4, 12)
        if model.embeds:
            requests.append((model.name, "/v1/embeddings", {"model": model.name, "input": text}))
        else:
            messages = [{"role": "user", "content": text}]
            body = {"model": model.name, "messages": messages, "max_tokens": tokens, "temperature": 0}
            requests.append((model.name, "/v1/chat/completions", body))
    return requests


def drive(server, requests):
    """Sends all of them from CLIENTS threads."""
    results = []

    def send(request):
        model, path, body = request
        begun = time.perf_counter()
        try:
            status, answer = server.request("POST", path, body, PATIENCE_SECONDS)
            error = None if status == 200 else f"{status} {answer[:200].decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as failure:
            error = repr(failure)
        results.append({"model": model, "seconds": time.perf_counter() - begun, "error": error})

    begun, busy = time.perf_counter(), machine.busy_seconds()
    servers.from_clients(CLIENTS, requests, send)
    wall = time.perf_counter() - begun
    times = sorted(one["seconds"] for one in results)
    failures = [one["error"] for one in results if one["error"]]
    return {"wall": wall, "p50": times[len(times) // 2], "p95": times[int(len(times) * 0.95)],
            "failed": len(failures), "failures": failures[:3], "busy": machine.busy_seconds() - busy}


def loads(server):
    """How often Drover started an engine; None for the others, which do not say."""
    return machine.read(server.log_path).count("instance.starting") or None


def room_for(models, count):
    """A budget that holds any `count` of them, and what Drover itself takes, but not one more."""
    sizes = sorted(model.total for model in models)
    return sum(sizes[-count:]) + OWN_BYTES


def systems(bed, models):
    """By name: how to start it."""
    settings = {model.name: {"file": model.file} for model in models}
    memory = {"budget": room_for(models, ROOM)}
    found = {
        "Drover": lambda: servers.drover(bed, "drover", settings, memory=memory),
        "llama-server router": lambda: servers.llama_router(bed, "router", models, ROOM),
        "llama-server router, Drover's flags":
            lambda: servers.llama_router(bed, "router-tuned", models, ROOM, servers.tuned_flags),
    }
    if bed.llama_swap:
        found["llama-swap"] = lambda: servers.llama_swap(bed, "swap", models)
        found["llama-swap, Drover's flags"] = (
            lambda: servers.llama_swap(bed, "swap-tuned", models, servers.tuned_flags))
    else:
        print("   llama-swap was not given (--llama-swap) and is left out")
    if bed.ollama:
        found["Ollama"] = lambda: servers.ollama(bed, "ollama", models, ROOM)
    else:
        print("   Ollama was not given (--ollama) and is left out")
    everything = {"budget": room_for(models, len(models))}
    found[LIMIT] = lambda: servers.drover(bed, "drover-all", settings, memory=everything)
    return found


LIMIT = "limit: Drover, room for all three"


def measure(bed, rounds, seed, only=None):
    models = [bed.model(name) for name in ("smol", "gemma", "minilm")]
    chosen = {name: start for name, start in systems(bed, models).items() if not only or name in only}
    runs = []
    for turn in range(rounds):
        requests = plan(seed + turn, models)
        names = list(chosen)
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            with chosen[name]() as server:
                run = drive(server, requests)
                run["loads"] = loads(server)
            runs.append({"round": turn, "system": name, **run})
            print(f"   round {turn + 1}, {name}: {run['wall']:.1f} s, p50 {run['p50']:.1f}, p95 {run['p95']:.1f}, "
                  f"loads {run['loads']}, {run['failed']} failed {run['failures'] or ''}", flush=True)
    return {"rounds": rounds, "seed": seed, "requests": REQUESTS, "clients": CLIENTS, "runs": runs}


def of(result, system, key):
    return [run[key] for run in result["runs"] if run["system"] == system]


def report(result):
    lines = ["| | all requests | p50 | p95 | failed |", "|---|---|---|---|---|"]
    names = list(dict.fromkeys(run["system"] for run in sorted(result["runs"], key=lambda run: run["round"])))
    cell = lambda found: f"{found['median']:.1f} s ({found['min']:.1f} to {found['max']:.1f})"
    for name in sorted(names, key=lambda name: machine.spread(of(result, name, "wall"))["median"]):
        wall, p50, p95 = (machine.spread(of(result, name, key)) for key in ("wall", "p50", "p95"))
        failed = sum(of(result, name, "failed"))
        lines.append(f"| {name} | {cell(wall)} | {p50['median']:.1f} s | {cell(p95)} "
                     f"| {failed} of {result['rounds'] * result['requests']} |")
    peers = [name for name in names if not name.startswith(("Drover", "limit"))]
    if peers and "Drover" in names:
        ratio = {}
        for key in ("wall", "p95"):
            best = [min(ones) for ones in zip(*(of(result, name, key) for name in peers))]
            ratio[key] = machine.spread(d / b for d, b in zip(of(result, "Drover", key), best))
        lines += ["", "Against the best peer of each round: "
                  + " and ".join(f"{ratio[key]['median']:.2f} x ({ratio[key]['min']:.2f} to {ratio[key]['max']:.2f}) "
                                 f"{what}" for key, what in (("wall", "its time"), ("p95", "its p95"))) + "."]
    return "\n".join(lines)
