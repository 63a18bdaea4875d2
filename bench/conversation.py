"""The next answer of a long conversation whose model had to leave memory: first token, and what keeping it costs.

A long chat with one model, one request to another one for which the first has to leave, and then the
chat goes on. Every system has room for one of the two models, the same engine, and takes its turn in every round. The
engine alone is stopped and started again, as somebody would by hand.

The second part measures the swap itself with short prompts, with a long conversation in memory that is saved or is
not: until the first token of the other model.
"""

import contextlib
import json
import os
import random
import time

import machine
import servers

WORDS = "river stone cloud seven green walks over the a house never falls winter paper small train".split()
MIB = 1 << 20
# Beyond the larger of the two models: Drover's own memory, which is charged in steps of 16 MiB.
OWN_BYTES = 64 * MIB
# What the other model keeps when it sleeps: 27 to 67 MiB (docs/memory.md).
ASLEEP_BYTES = 64 * MIB
DROVER, FORGETFUL, RESTARTED, ROUTER, SWAP, OLLAMA = (
    "Drover", "Drover, snapshots off", "llama-server restarted", "llama-server router", "llama-swap", "Ollama")


def opening(seed, tokens):
    words = " ".join(random.Random(seed).choice(WORDS) for _ in range(tokens))
    return [{"role": "user", "content": f"Story {seed}: {words}. Tell me more about it."}]


def ask(server, model, messages, tokens=8):
    """Seconds until the first token, and the answer's text and timings."""
    body = {"model": model.name, "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True}
    connection = server.connect(600)
    begun = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{server.name}: {answer.status} {answer.read()[:300]}")
    first, text, timings = None, "", {}
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        timings = event.get("timings") or timings
        for choice in event["choices"]:
            piece = choice["delta"].get("content") or ""
            if (piece or choice.get("finish_reason")) and first is None:  # an answer may be empty
                first = time.perf_counter() - begun
            text += piece
    connection.close()
    if first is None:
        raise RuntimeError(f"{server.name}: no token came")
    return {"first": first, "text": text, "cached": timings.get("cache_n"), "computed": timings.get("prompt_n")}


def leave_and_return(server, talk, other, messages):
    begun = ask(server, talk, messages)
    ask(server, other, [{"role": "user", "content": "Hello."}], 2)
    messages += [{"role": "assistant", "content": begun["text"]}, {"role": "user", "content": "And then?"}]
    return begun, ask(server, talk, messages)


def restarted(bed, talk, messages):
    """The engine by hand: stopped after the first answer, started again for the second."""
    argv = talk.plan["argv"]
    path = argv[argv.index("--host") + 1]
    environment = dict(entry.split("=", 1) for entry in talk.plan["environment"])

    def engine():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # the engine does not start over what an earlier one left
        return servers.Server(bed.folder, "restarted", argv, None, path, environment, inherits=False)

    with engine() as first:
        begun = ask(first.wait_ready(), talk, messages)
    messages += [{"role": "assistant", "content": begun["text"]}, {"role": "user", "content": "And then?"}]
    started = time.perf_counter()
    with engine() as second:
        second.wait_ready()
        ready = time.perf_counter() - started
        back = ask(second, talk, messages)
    back["first"] += ready
    return begun, back


def room_for_one(models):
    """For the larger of the models, and what the other one keeps asleep."""
    return {"budget": max(model.total for model in models) + OWN_BYTES + ASLEEP_BYTES}


def drover(bed, name, models, room=room_for_one, defaults=None, **snapshots):
    settings = {model.name: {"file": model.file} for model in models}
    snapshots.setdefault("directory", bed.new_folder("snapshots"))
    return servers.drover(bed, name, settings, snapshots=snapshots, defaults=defaults or {},
                          memory={**room(models), "min_residency": "1ms"})


def written(server):
    return json.loads(server.request("GET", "/admin/ps")[1])["snapshots"]["bytes"]


def measure(bed, rounds, talk="smol", tokens=3000, other="gemma", room=room_for_one):
    """A chat with the model `talk` that begins with about `tokens` tokens; `room` is Drover's memory for the two."""
    talk, other = bed.model(talk), bed.model(other)
    models = [talk, other]
    runs, swaps = [], []
    with contextlib.ExitStack() as stack:
        systems = {DROVER: stack.enter_context(drover(bed, "drover", models, room)),
                   FORGETFUL: stack.enter_context(drover(bed, "drover-forgetful", models, room, budget="0"))}
        systems[ROUTER] = stack.enter_context(servers.llama_router(bed, "router", models, 1))
        if bed.llama_swap:
            systems[SWAP] = stack.enter_context(servers.llama_swap(bed, "swap", models, together=False))
        if bed.ollama:
            systems[OLLAMA] = stack.enter_context(servers.ollama(bed, "ollama", models, 1))
        for turn in range(rounds):
            for name in [*systems, RESTARTED]:
                messages = opening(turn, tokens)
                if name == RESTARTED:
                    begun, back = restarted(bed, talk, messages)
                else:
                    begun, back = leave_and_return(systems[name], talk, other, messages)
                runs.append({"round": turn, "system": name, "begun": begun["first"], "first": back["first"],
                             "cached": back["cached"], "computed": back["computed"]})
                print(f"   round {turn}, {name}: {begun['first']:.2f} s, and back {back['first']:.2f} s "
                      f"({back['cached']} tokens kept)", flush=True)
            for name in (DROVER, FORGETFUL):
                # The long conversation is in memory; the other model's first token needs its end.
                swap = ask(systems[name], other, [{"role": "user", "content": "Hello."}], 2)
                swaps.append({"round": turn, "system": name, "first": swap["first"]})
        disk = written(systems[DROVER])
    return {"rounds": rounds, "runs": runs, "swaps": swaps, "disk": disk}


def of(rows, name, key="first"):
    return [row[key] for row in rows if row["system"] == name and row[key] is not None]


def report(result):
    runs, swaps = result["runs"], result["swaps"]
    cell = lambda values: "{median:.2f} s ({min:.2f} to {max:.2f})".format(**machine.spread(values))
    best = of(runs, DROVER)
    lines = ["| system | first token on return | times Drover's | tokens kept |", "|---|---|---|---|"]
    for name in dict.fromkeys(row["system"] for row in runs):
        ratio = machine.spread(one / own for one, own in zip(of(runs, name), best))["median"]
        kept = of(runs, name, "cached")
        kept = f"{machine.spread(kept)['median']:.0f}" if kept else "not told"
        lines.append(f"| {name} | {cell(of(runs, name))} | {ratio:.1f} | {kept} |")
    with_, without = cell(of(swaps, DROVER)), cell(of(swaps, FORGETFUL))
    lines += ["", f"Median (smallest to largest) of {result['rounds']} rounds; ratios are medians of each round's.",
              f"A swap away from the conversation, to the other model's first token: {with_} with snapshots, {without} "
              f"without. On disk after {result['rounds']} conversations: {result['disk'] / MIB:.0f} MiB."]
    return "\n".join(lines)
