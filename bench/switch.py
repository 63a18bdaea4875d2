"""From a request for a model that is not in memory to its first token: Drover against its engine alone.

The engine alone is started with Drover's command line, asked for its health every 2 ms, and asked for a
token as soon as it is ready. Drover is measured in three ways: with nothing else in memory; with another
model that has to end first; and with another one that may sleep, while this one sleeps already. All take
turns.
"""

import contextlib
import json
import os
import time

import machine
import servers

ALONE, COLD, SWAP, WAKE = "engine alone", "Drover, room", "Drover, swap", "Drover, asleep"
PARTNERS = {"smol": "gemma", "gemma": "smol", "minilm": "smol"}
MIB = 1 << 20
# Beyond the larger of two models: Drover's own memory, which is charged in steps of 16 MiB.
OWN_BYTES = 64 * MIB
# What the other model keeps when it sleeps: 27 to 67 MiB (docs/memory.md).
ASLEEP_BYTES = 64 * MIB
QUIET_SECONDS = 0.3


def first_token(server, model):
    """Sends a streamed request and returns when its first token, or its embedding, is there."""
    connection = server.connect(120)
    if model.embeds:
        path, body = "/v1/embeddings", {"input": "Why is the sky blue?"}
    else:
        path = "/v1/chat/completions"
        body = {"messages": [{"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 4, "stream": True}
    connection.request("POST", path, json.dumps({"model": model.name, **body}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{server.name}: {answer.status} {answer.read()[:300]}")
    if model.embeds:
        answer.read()
        got = time.perf_counter()
    else:
        line = b""
        while b'"content":"' not in line or b'"content":""' in line:
            line = answer.readline()
            if not line:
                raise RuntimeError(f"{server.name}: no token came")
        got = time.perf_counter()
        answer.read()
    connection.close()
    return got


def engine_alone(bed, model):
    argv = model.plan["argv"]
    path = argv[argv.index("--host") + 1]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # the engine does not start over what an earlier one left
    environment = dict(entry.split("=", 1) for entry in model.plan["environment"])
    begun = time.perf_counter()
    with servers.Server(bed.folder, f"alone-{model.name}", argv, None, path, environment, inherits=False) as engine:
        engine.wait_ready()
        return {"first": first_token(engine, model) - begun}


def through_drover(server, model):
    begun = time.perf_counter()
    return {"first": first_token(server, model) - begun}


def after_another(server, model, other):
    """The other model is in memory, and idle."""
    first_token(server, other)
    time.sleep(QUIET_SECONDS)
    return through_drover(server, model)


def unload(server, model):
    server.request("POST", "/admin/unload", {"model": model.name})


def measure(bed, rounds):
    models = {name: bed.model(name) for name in PARTNERS}
    runs = []
    with contextlib.ExitStack() as stack:
        def start(name, chosen, budget, **defaults):
            settings = {model.name: {"file": model.file} for model in chosen}
            return stack.enter_context(
                servers.drover(bed, name, settings, memory={"budget": budget}, defaults=defaults))

        roomy = start("drover-room", models.values(), sum(m.total for m in models.values()) + OWN_BYTES)
        tight, sleepy = {}, {}
        for name, model in models.items():
            pair = [model, models[PARTNERS[name]]]
            budget = max(one.total for one in pair) + OWN_BYTES
            tight[name] = start(f"drover-swap-{name}", pair, budget, sleep=False)
            sleepy[name] = start(f"drover-sleep-{name}", pair, budget + ASLEEP_BYTES)
        for turn in range(rounds + 1):
            for name, model in models.items():
                other = models[PARTNERS[name]]
                for way in (ALONE, COLD, SWAP, WAKE):
                    if way == ALONE:
                        run = engine_alone(bed, model)
                    elif way == COLD:
                        run = through_drover(roomy, model)
                        unload(roomy, model)
                    elif way == SWAP:
                        run = after_another(tight[name], model, other)
                    else:
                        run = after_another(sleepy[name], model, other)
                    if turn > 0:  # the first round fills the page cache, and lets the sleepers fall asleep
                        runs.append({"round": turn, "model": name, "way": way, **run})
                        print(f"   round {turn}, {name}, {way}: first token {run['first'] * 1000:.0f} ms", flush=True)
    return {"rounds": rounds, "runs": runs}


def firsts(result, model, way):
    return [run["first"] * 1000 for run in result["runs"] if (run["model"], run["way"]) == (model, way)]


def report(result):
    lines = ["| model | engine alone | Drover, with room | ratio | another model ends first | ratio "
             "| another falls asleep, this one wakes up | ratio |", "|---|---|---|---|---|---|---|---|"]
    cell = lambda found: f"{found['median']:.0f} ms ({found['min']:.0f} to {found['max']:.0f})"
    for model in PARTNERS:
        alone = firsts(result, model, ALONE)
        row = f"| {model} | {cell(machine.spread(alone))} |"
        for way in (COLD, SWAP, WAKE):
            found = firsts(result, model, way)
            ratio = machine.spread(one / base for one, base in zip(found, alone))["median"]
            row += f" {cell(machine.spread(found))} | {ratio:.2f} |"
        lines.append(row)
    lines += ["", f"Median (smallest to largest) of {result['rounds']} rounds; ratios are medians of each round's."]
    return "\n".join(lines)
