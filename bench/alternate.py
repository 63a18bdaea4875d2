"""Two models asked in turn, A, B, A, B, with room for one: seconds until the first token, for every system.

Short prompts, nothing to remember: what is measured is the swap. "Resident" is the same model asked a second time, so
that nothing has to move. The engine alone is stopped and started by hand, once with what a user would write and once
with Drover's command line.
"""

import contextlib
import os
import time

import conversation
import machine
import servers
from switch import first_token

PAIRS = (("smol", "gemma"), ("1.1b", "gemma"))
COLUMNS = (("smol", "gemma"), ("gemma", "smol"), ("1.1b", "gemma"))  # a model, and the one that it takes turns with
RESIDENT, PLAIN, TUNED = "Drover, resident", "llama-server restarted", "llama-server restarted, Drover's flags"
SLEEPLESS = "Drover, sleep: false"


def restarted(bed, model, tuned):
    path = os.path.join(bed.folder, "alternate.sock")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # the engine does not start over what an earlier one left
    flags = servers.tuned_flags(model) if tuned else servers.plain_flags(model)
    begun = time.perf_counter()
    with servers.Server(bed.folder, "alternate", [bed.engine, "--model", model.file, "--host", path, *flags],
                        path=path) as engine:
        engine.wait_ready()
        return first_token(engine, model) - begun


def timed(server, model):
    begun = time.perf_counter()
    return first_token(server, model) - begun


def measure_pair(bed, rounds, models):
    runs = []
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        systems = {conversation.DROVER: enter(conversation.drover(bed, "drover", models)),
                   SLEEPLESS: enter(conversation.drover(bed, "drover-sleepless", models, defaults={"sleep": False})),
                   conversation.ROUTER: enter(servers.llama_router(bed, "router", models, 1))}
        if bed.llama_swap:
            systems[conversation.SWAP] = enter(servers.llama_swap(bed, "swap", models, together=False))
        if bed.ollama:
            systems[conversation.OLLAMA] = enter(servers.ollama(bed, "ollama", models, 1))

        def note(turn, name, model, seconds):
            if turn > 0:  # the first round fills the page cache
                other = next(one.name for one in models if one is not model)
                runs.append({"round": turn, "system": name, "model": model.name, "other": other, "first": seconds})
                print(f"   round {turn}, {model.name}, {name}: {seconds * 1000:.0f} ms", flush=True)

        for turn in range(rounds + 1):
            for name, server in systems.items():
                for model in models:
                    note(turn, name, model, timed(server, model))
                    if name == conversation.DROVER:
                        note(turn, RESIDENT, model, timed(server, model))
            for name in (PLAIN, TUNED):
                for model in models:
                    note(turn, name, model, restarted(bed, model, name == TUNED))
    return runs


def measure(bed, rounds):
    runs = []
    for pair in PAIRS:
        runs += measure_pair(bed, rounds, [bed.model(name) for name in pair])
    return {"rounds": rounds, "runs": runs}


def of(result, system, column):
    return [run["first"] for run in result["runs"] if (run["system"], (run["model"], run["other"])) == (system, column)]


def report(result):
    lines = [f"| system | {' | '.join(f'{model} | times Drover' for model, _ in COLUMNS)} |",
             "|---|" + "---|---|" * len(COLUMNS)]
    for name in dict.fromkeys(run["system"] for run in result["runs"]):
        row = f"| {name} |"
        for column in COLUMNS:
            values, own = of(result, name, column), of(result, conversation.DROVER, column)
            found = machine.spread(value * 1000 for value in values)
            ratio = machine.spread(one / base for one, base in zip(values, own))["median"]
            row += f" {found['median']:.0f} ms ({found['min']:.0f} to {found['max']:.0f}) | {ratio:.2f} |"
        lines.append(row)
    return "\n".join([*lines, "", f"Median (smallest to largest) of {result['rounds']} rounds; ratios are medians of each "
                      "round's."])
