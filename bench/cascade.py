"""Cascades: how well a small model's answers are judged, and how much of the large model's work that saves.

Short everyday questions, made up from easy to hard (sums, and lookups in a text), go to a cascade that lets every
answer of the small model through, and the first of them to the large model alone. The cascade's own log has the score
of each small answer, and the benchmark tells it which were right, as a client would (`POST /v1/feedback`);
`drover route calibrate cascade` makes the calibration of that. What a confidence would have let through is then
reckoned from the answers that both models gave: the score above which the small model's answer counts is chosen on
one half of the questions and judged on the other.
"""

import json
import os
import random
import re
import statistics
import subprocess

import made_up
import route

QUESTIONS = 1600
BOTH = 480
SPLITS = 200


def questions(count, seed):
    rng = random.Random(seed)
    made = made_up.sums(-(-count // 2), rng) + made_up.lookups(count // 2, rng)
    rng.shuffle(made)
    return made


def ask(server, model, question):
    """The whole answer: whether it is right, and the tokens that it took."""
    body = {"model": model, "messages": [{"role": "user", "content": question["prompt"]}], "temperature": 0, "max_tokens": 16}
    connection = server.connect(route.PATIENCE_SECONDS)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            return {"error": f"{answer.status} {told}", "right": False, "tokens": 0}
    finally:
        connection.close()
    text = told["choices"][0]["message"].get("content") or ""
    return {"id": answer.headers.get("x-drover-id"), "right": route.is_right(question, text),
            "tokens": told["usage"]["total_tokens"]}


def scores(log):
    """Of each judged answer, by the request's id."""
    with open(log) as lines:
        entries = [json.loads(line) for line in lines]
    return {one["id"]: one["checks"][0]["score"] for one in entries if one["type"] == "request" and one.get("checks")}


def measure(bed, given):
    files = route.models(bed, given)
    folder = given.json or bed.new_folder("cascade")
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(bed.new_folder("log"), "routing.jsonl")
    routes = {"careful": {"cascade": {"models": ["small", "large"], "confidence": "0%", "wait": "10m"}}}
    asked = questions(given.questions or QUESTIONS, given.seed)
    routing = {"log": "outcomes", "file": log}
    with route.start(bed, files, None, routes, parallel=route.CLIENTS, routing=routing) as server:
        small = route.ask_all(ask, server, "careful", asked)
        for answer in small:
            if answer.get("id"):
                server.request("POST", "/v1/feedback", {"id": answer["id"], "correct": answer["right"]})
        large = route.ask_all(ask, server, "large", asked[:BOTH])
    told = subprocess.run([bed.drover, "route", "calibrate", "cascade", log, "-o", "cascade-calibration.json"],
                          capture_output=True, text=True, cwd=folder)
    by_id = scores(log)
    route.write_outcomes(os.path.join(folder, "outcomes.jsonl"), asked, small, large)
    runs = [{"kind": question["kind"], "score": by_id[one["id"]], "small": one, "large": other}
            for question, one, other in zip(asked, small, large) if one.get("id") in by_id]
    return {"seed": given.seed, "files": {name: os.path.basename(file) for name, file in files.items()},
            "asked": len(asked), "runs": runs, "calibrate": told.stdout + told.stderr}


def cascaded(runs, threshold):
    """Answers right, requests to the large model, and the tokens it reads and writes, where lower scores go on to it."""
    right = passed_on = tokens = 0
    for one in runs:
        goes_on = one["score"] < threshold
        right += one["large" if goes_on else "small"]["right"]
        passed_on += goes_on
        tokens += one["large"]["tokens"] if goes_on else 0
    return right, passed_on, tokens


def threshold_of(runs, wanted):
    """The lowest one with which as many answers are right as `wanted`; beyond all scores where none does."""
    for threshold in sorted({one["score"] for one in runs}):
        if cascaded(runs, threshold)[0] >= wanted:
            return threshold
    return float("inf")


def compared(judged, threshold):
    """Shares of `judged`: right by the cascade and by the large model alone; sent on to it; its tokens, of those alone."""
    right, passed_on, tokens = cascaded(judged, threshold)
    return (right / len(judged), sum(one["large"]["right"] for one in judged) / len(judged), passed_on / len(judged),
            tokens / max(1, sum(one["large"]["tokens"] for one in judged)))


def keeps_up(runs):
    return threshold_of(runs, sum(one["large"]["right"] for one in runs))


def held_out(runs, seed):
    """Chosen on a half, judged on the other: means over many splits."""
    rng, rows = random.Random(seed), []
    for _ in range(SPLITS):
        mixed = rng.sample(runs, len(runs))
        half, rest = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
        rows.append(compared(rest, keeps_up(half)))
    return [statistics.mean(column) for column in zip(*rows)]


def right_of(runs, model):
    kinds = sorted({one["kind"] for one in runs})
    of = {kind: [one[model]["right"] for one in runs if one["kind"] == kind] for kind in kinds}
    parts = ", ".join(f"{kind} {sum(rights)}/{len(rights)}" for kind, rights in of.items())
    return f"{100 * sum(one[model]['right'] for one in runs) / len(runs):.1f} % ({parts})"


def report(result):
    runs = result["runs"]
    error = re.search(r"(?i)calibration error[^0-9]*([0-9.]+)", result["calibrate"])
    lines = ["| | |", "|---|---|", f"| right: small alone | {right_of(runs, 'small')} |",
             f"| right: large alone | {right_of(runs, 'large')} |",
             f"| calibration error, five folds | {error.group(1).rstrip('.') if error else 'none told'} |", "",
             "| the lowest threshold that keeps up with the large model | right | right, large alone | sent on to it | its tokens |",
             "|---|---|---|---|---|"]
    for name, shares in (("on all of these questions", compared(runs, keeps_up(runs))),
                         ("chosen on one half, judged on the other", held_out(runs, result["seed"]))):
        lines.append(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
    lines += ["", f"small: {result['files']['small']}; large: {result['files']['large']}; {result['asked']} questions "
              f"to the small one, {len(runs)} of them to both, seed {result['seed']}; means over {SPLITS} random halves.", "",
              "```", result["calibrate"].strip(), "```"]
    return "\n".join(lines)
