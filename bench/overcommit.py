"""Sixteen models, memory for a quarter of them, engines that die: is any request lost, any byte over the budget?

Not a comparison but a proof: requests at random over sixteen models from sixteen clients, while one engine after the
other is killed. Every 50 ms or so the memory of Drover and all its engines is added up (PSS, so that shared pages count
once). A failure is allowed only for a request that an engine had begun to serve when it was killed: its answer says so
(`died_under_it`), and an engine of its model was killed while it was there. Whoever only waited must be served.
"""

import collections
import http.client
import json
import math
import os
import random
import shutil
import signal
import threading
import time

import machine
import servers

CLIENTS, COPIES, OVERCOMMIT = 16, {"smol": 5, "gemma": 3, "minilm": 8}, 4
KILL_EVERY_REQUESTS = 14  # on average: about every three seconds on two cores
SAMPLE_SECONDS = 0.05
ZIPF_EXPONENT = 0.9
PATIENCE_SECONDS = 600
MIB = 1 << 20


def fleet(bed):
    """Sixteen files, as (name, model, file); the most wanted first, kinds mixed. Copies, so that none shares pages."""
    folder = bed.new_folder("sixteen")
    found = []
    for turn in range(max(COPIES.values())):
        for kind, count in COPIES.items():
            if turn < count:
                model = bed.model(kind)
                file = os.path.join(folder, f"{kind}-{turn}.gguf")
                shutil.copyfile(model.file, file)
                found.append((f"{kind}-{turn}", model, file))
    return found


def request_for(generator, name, model):
    text = " ".join(generator.choice("river stone cloud seven green walks over winter paper".split())
                    for _ in range(generator.randint(3, 30)))
    if model.embeds:
        return name, "/v1/embeddings", {"model": name, "input": text}
    body = {"model": name, "messages": [{"role": "user", "content": text}], "max_tokens": generator.randint(1, 6)}
    if generator.random() < 0.3:
        body["stream"] = True
    return name, "/v1/chat/completions", body


class Memory(threading.Thread):
    """Adds up what a server and its children take; remembers the most."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ended, self.peak, self.samples, self.seconds = pid, threading.Event(), 0, 0, 0.0

    def period(self):
        """Seconds from one sample to the next: reading all the counters takes its time, too."""
        return self.seconds / max(self.samples, 1)

    def run(self):
        begun = time.perf_counter()
        while not self.ended.wait(SAMPLE_SECONDS):
            children = machine.read(f"/proc/{self.pid}/task/{self.pid}/children").split()
            self.peak = max(self.peak, sum(machine.pss(pid) for pid in [self.pid, *children]))
            self.samples += 1
            self.seconds = time.perf_counter() - begun


class Killer:
    """Kills one engine after so many answers, and remembers whose it was and when.

    By answers, not by the clock: on a machine that is slow at the moment an engine would else be killed again before
    it could serve anybody, which is another story (a back-off, and at its end refusals).
    """

    def __init__(self, server, seed):
        self.server, self.generator, self.lock = server, random.Random(seed), threading.Lock()
        self.kills = collections.defaultdict(list)
        self.answers_left = self.next_gap()

    def next_gap(self):
        return self.generator.expovariate(1 / KILL_EVERY_REQUESTS)

    def note_answer(self):
        with self.lock:
            self.answers_left -= 1
            if self.answers_left > 0:
                return
            self.answers_left = self.next_gap()
        self.kill_one()

    def kill_one(self):
        instances = json.loads(self.server.request("GET", "/admin/ps")[1])["instances"]
        ready = [one for one in instances if one["state"] == "ready"]
        if ready:
            victim = self.generator.choice(ready)
            span = [time.perf_counter(), math.inf]
            self.kills[victim["model"]].append(span)
            try:
                os.kill(victim["pid"], signal.SIGKILL)
            except ProcessLookupError:
                self.kills[victim["model"]].remove(span)
                return
            # While a process is being taken down its socket still takes connections.
            while machine.is_alive(victim["pid"]):
                time.sleep(0.001)
            span[1] = time.perf_counter()

    def hit(self, model, begun, ended):
        """Whether an engine of its model was killed while the request was there."""
        return any(begun <= gone and killed <= ended for killed, gone in self.kills[model])


def died_under_it(status, answer):
    """Whether a failure says that the engine ended while it served this request. `status` 200: it had begun to answer.

    A load that failed is none: its requests waited for it.
    """
    text = answer.decode(errors="replace")
    if status == 200:
        ends = [line for line in text.splitlines() if line.startswith("data: ")]
        said = [line for line in ends if '"error"' in line]
        return '"engine_failed"' in said[-1] if said else "data: [DONE]" not in ends
    try:
        error = json.loads(text)["error"]
        return (error["code"] == "engine_failed" and "was killed by signal 9" in error["message"]
                and "could not be loaded" not in error["message"])
    except (ValueError, KeyError, TypeError):
        return False


def is_whole(body, answer):
    """Whether a 200 holds what was asked for."""
    if body.get("stream"):
        return answer.rstrip().endswith(b"data: [DONE]")
    said = json.loads(answer)
    return bool(said.get("choices") or said["data"][0]["embedding"])


def drive(server, killer, requests):
    """What became of each request, by the word for it."""
    outcomes, examples, lock = collections.Counter(), [], threading.Lock()

    def send(request):
        name, path, body = request
        begun = time.perf_counter()
        good = died = False
        try:
            status, answer = server.request("POST", path, body, PATIENCE_SECONDS)
            said = f"{status} {answer[-300:].decode(errors='replace')}"
            died = died_under_it(status, answer)
            good = status == 200 and is_whole(body, answer)
        except http.client.IncompleteRead as failure:
            died, said = True, repr(failure)  # an answer that had begun
        except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
            said = repr(failure)
        hit = died and killer.hit(name, begun, time.perf_counter())
        outcome = "served" if good else "at a killed engine" if hit else "lost"
        killer.note_answer()
        with lock:
            outcomes[outcome] += 1
            if outcome == "lost" and len(examples) < 5:
                examples.append(f"{name}: {said}")

    servers.from_clients(CLIENTS, requests, send)
    return outcomes, examples


def measure(bed, count, seed):
    models = fleet(bed)
    generator = random.Random(seed)
    weights = [1 / (rank + 1) ** ZIPF_EXPONENT for rank in range(len(models))]
    requests = [request_for(generator, name, model)
                for name, model, _ in generator.choices(models, weights, k=count)]
    budget = sum(model.total for _, model, _ in models) // OVERCOMMIT
    settings = {name: {"file": file} for name, _, file in models}
    begun = time.perf_counter()
    with servers.drover(bed, "overcommit", settings, memory={"budget": budget}) as server:
        memory, killer = Memory(server.process.pid), Killer(server, seed)
        memory.start()
        outcomes, examples = drive(server, killer, requests)
        memory.ended.set()
        memory.join()
        loads = machine.read(server.log_path).count("instance.starting")
    return {"requests": count, "seed": seed, "seconds": time.perf_counter() - begun, "budget": budget,
            "peak": memory.peak, "samples": memory.samples, "period": memory.period(), "loads": loads,
            "kills": sum(len(ones) for ones in killer.kills.values()), "outcomes": dict(outcomes), "examples": examples}


def report(result):
    outcomes = result["outcomes"]
    lines = ["| | |", "|---|---|",
             f"| requests | {result['requests']:,} over {sum(COPIES.values())} models from {CLIENTS} clients, in "
             f"{result['seconds']:.0f} s |",
             f"| served | {outcomes.get('served', 0):,} |",
             f"| failed because their engine was killed under them | {outcomes.get('at a killed engine', 0):,} "
             f"({result['kills']} engines were killed) |",
             f"| lost, or failed for another reason | {outcomes.get('lost', 0):,} |",
             f"| loads | {result['loads']:,} |",
             f"| budget, a quarter of what all need | {result['budget'] / MIB:,.0f} MiB |",
             f"| most memory of all processes in {result['samples']:,} samples, one each "
             f"{result['period'] * 1e3:.0f} ms | {result['peak'] / MIB:,.0f} MiB |"]
    lines += [f"\nLost: {text}" for text in result["examples"]]
    return "\n".join(lines)
