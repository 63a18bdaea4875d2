"""Cascades: how well a small model's answers are judged, and how much of the large model's work that saves.

The same labelled questions go to a cascade that lets every answer of the small model through, and to the large
model alone. The cascade's own log has the score of each small answer, and the benchmark tells it which were
right, as a client would (`POST /v1/feedback`); `drover route calibrate cascade` makes the calibration of that.
What a confidence would have let through is then reckoned from the answers that both models gave: the score
above which the small model's answer counts is chosen on one half of the questions and judged on the other.
"""

import concurrent.futures
import json
import os
import random
import re
import statistics
import subprocess

import route
import servers

CLIENTS = 4
MMLU = 100
GSM8K = 60
ARITHMETIC = 240
SPLITS = 200


def arithmetic(count, rng):
    """Made up, in six grades from easy to hard."""
    made = []
    for i in range(count):
        sign, left, right = (("+", 2, 2), ("*", 1, 2), ("-", 3, 3), ("+", 5, 5), ("*", 2, 2), ("*", 3, 2))[i % 6]
        a, b = (rng.randrange(10 ** (digits - 1), 10**digits) for digits in (left, right))
        answer = {"+": a + b, "-": a - b, "*": a * b}[sign]
        made.append({"kind": "sums", "prompt": f"What is {a} {sign} {b}? Answer with the number alone.", "answer": str(answer)})
    return made


def questions(given):
    rng = random.Random(given.seed)
    by_kind = {"mmlu": [], "gsm8k": []}
    with open(route.QUESTIONS) as lines:
        for line in lines:
            one = json.loads(line)
            by_kind[one["kind"]].append(one)
    chosen = rng.sample(by_kind["mmlu"], MMLU) + rng.sample(by_kind["gsm8k"], GSM8K) + arithmetic(ARITHMETIC, rng)
    rng.shuffle(chosen)
    return chosen[: given.questions or len(chosen)]


def ask(server, model, question):
    """The whole answer: whether it is right, and the tokens that were read and written for it."""
    body = route.body_of(model, question) | {"stream": False}
    del body["stream_options"]
    connection = server.connect(route.PATIENCE_SECONDS)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            return {"error": f"{answer.status} {told}", "right": False, "read": 0, "written": 0}
    finally:
        connection.close()
    text = told["choices"][0]["message"].get("content") or ""
    return {"id": answer.headers.get("x-drover-id"), "right": route.is_right(question, text),
            "read": told["usage"]["prompt_tokens"], "written": told["usage"]["completion_tokens"]}


def judge(server, answer):
    connection = server.connect(route.PATIENCE_SECONDS)
    try:
        connection.request("POST", "/v1/feedback", json.dumps({"id": answer["id"], "correct": answer["right"]}),
                           {"Content-Type": "application/json"})
        connection.getresponse().read()
    finally:
        connection.close()


def ask_all(server, model, asked):
    answers = [None] * len(asked)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        pending = {pool.submit(ask, server, model, one): at for at, one in enumerate(asked)}
        for done, future in enumerate(concurrent.futures.as_completed(pending), 1):
            answers[pending[future]] = future.result()
            if done % 50 == 0:
                print(f"   {model}: {done} of {len(asked)} answered", flush=True)
    return answers


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
    settings = {name: {"file": file, "context": 2048, "parallel": CLIENTS} for name, file in files.items()}
    asked = questions(given)
    with servers.drover(bed, "drover-cascade", settings, routes=routes, routing={"log": "outcomes", "file": log}) as server:
        small = ask_all(server, "careful", asked)
        for answer in small:
            if answer.get("id"):
                judge(server, answer)
        large = ask_all(server, "large", asked)
    calibration = os.path.join(folder, "cascade-calibration.json")
    told = subprocess.run([bed.drover, "route", "calibrate", "cascade", log, "-o", calibration],
                          capture_output=True, text=True)
    by_id = scores(log)
    runs = [{"kind": question["kind"], "score": by_id[one["id"]], "small": one, "large": other}
            for question, one, other in zip(asked, small, large) if one.get("id") in by_id]
    return {"seed": given.seed, "files": {name: os.path.basename(file) for name, file in files.items()},
            "asked": len(asked), "runs": runs, "calibrate": told.stdout + told.stderr}


def cascaded(runs, threshold):
    """Answers right, requests to the large model, and its written tokens, where lower scores go on to it."""
    right = passed_on = written = 0
    for one in runs:
        goes_on = one["score"] < threshold
        right += one["large" if goes_on else "small"]["right"]
        passed_on += goes_on
        written += one["large"]["written"] if goes_on else 0
    return right, passed_on, written


def threshold_of(runs, wanted):
    """The lowest one with which as many answers are right as `wanted`; beyond all scores where none does."""
    for threshold in sorted({one["score"] for one in runs}):
        if cascaded(runs, threshold)[0] >= wanted:
            return threshold
    return float("inf")


def held_out(runs, seed):
    """Chosen on a half, judged on the other: means over many splits, as shares of the large model alone."""
    rng, rows = random.Random(seed), []
    for _ in range(SPLITS):
        mixed = rng.sample(runs, len(runs))
        half, rest = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
        threshold = threshold_of(half, sum(one["large"]["right"] for one in half))
        right, passed_on, written = cascaded(rest, threshold)
        rows.append((right / len(rest), sum(one["large"]["right"] for one in rest) / len(rest), passed_on / len(rest),
                     written / max(1, sum(one["large"]["written"] for one in rest))))
    return [statistics.mean(column) for column in zip(*rows)]


def right_of(runs, model):
    kinds = sorted({one["kind"] for one in runs})
    of = {kind: [one[model]["right"] for one in runs if one["kind"] == kind] for kind in kinds}
    parts = ", ".join(f"{kind} {sum(rights)}/{len(rights)}" for kind, rights in of.items())
    return f"{100 * sum(one[model]['right'] for one in runs) / len(runs):.1f} % ({parts})"


def report(result):
    runs = result["runs"]
    right, alone, passed_on, written = held_out(runs, result["seed"])
    error = re.search(r"(?i)calibration error[^0-9]*([0-9.]+)", result["calibrate"])
    lines = ["| | |", "|---|---|", f"| right: small alone | {right_of(runs, 'small')} |",
             f"| right: large alone | {right_of(runs, 'large')} |",
             f"| calibration error, five folds | {error.group(1).rstrip('.') if error else 'none told'} |",
             f"| threshold from one half, the other half: right, cascade against large alone | {100 * right:.1f} % against {100 * alone:.1f} % |",
             f"| requests that went on to the large model | {100 * passed_on:.1f} % |",
             f"| its written tokens, of those it writes alone | {100 * written:.1f} % |"]
    lines += ["", f"small: {result['files']['small']}; large: {result['files']['large']}; {len(runs)} of {result['asked']} "
              f"questions judged, seed {result['seed']}; means over {SPLITS} random halves.", "",
              "```", result["calibrate"].strip(), "```"]
    return "\n".join(lines)
