"""Routes: does choosing a model for each request pay, against one model for everything?

The same labelled questions go to each of two models alone and to a route for each policy, one after the
other, streamed, at temperature 0, without the engine's prompt cache: so each one computes the same prompts.
An answer is right when its last number, its first letter of a choice or one of its words is the known one.

`--train N` first asks both models N other questions of the same kinds and trains a predictor on what they got right,
for one more route: as the log and the feedback of users would.
"""

import concurrent.futures
import json
import os
import random
import re
import statistics
import subprocess
import time

import machine
import made_up
import servers

QUESTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "questions.jsonl")
COUNT = 100
TOKENS = {"sums": 16, "lookups": 16, "mmlu": 8, "gsm8k": 192}
WISHES = {
    "mmlu": "Answer with the letter of the right choice alone.\n\n",
    "gsm8k": "Solve this in a few short steps and end with the result as a number.\n\n",
}
CHECK = re.compile(r"\((\d+) tokens, (\d+) ms\)")
PATIENCE_SECONDS = 600
CLIENTS = 4


def questions(count, seed, file=None, but=()):
    """`count` of them, of every kind as many, and none of `but`; a file of the user's may have other kinds and has none added."""
    rng = random.Random(seed)
    known = {one["prompt"] for one in but}
    by_kind = {}
    with open(file or QUESTIONS) as lines:
        for line in lines:
            one = json.loads(line)
            if one["prompt"] not in known:
                by_kind.setdefault(kind_of(one), []).append(one)
    share = -(-count // (len(by_kind) + (0 if file else 2)))
    chosen = [one for ones in by_kind.values() for one in rng.sample(ones, min(share, len(ones)))]
    made = [] if file else made_up.sums(share, rng) + made_up.lookups(share, rng)
    chosen += [one for one in made if one["prompt"] not in known]
    rng.shuffle(chosen)
    return chosen[:count]


def is_right(question, text):
    if re.fullmatch("[A-J]", question["answer"]):
        found = re.findall(r"\b([A-J])\b", text)
        return bool(found) and found[0] == question["answer"]
    if question["answer"].isalpha():
        return question["answer"].lower() in re.findall("[a-z]+", text.lower())
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    return bool(numbers) and float(numbers[-1]) == float(question["answer"])


def kind_of(question):
    return question.get("kind", "gsm8k")


def content_of(question):
    return WISHES.get(kind_of(question), "") + question["prompt"]


def body_of(model, question):
    return {"model": model, "messages": [{"role": "user", "content": content_of(question)}], "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True}, "cache_prompt": False,
            "max_tokens": TOKENS.get(kind_of(question), 192)}


def ask(server, model, question):
    """What came of one question: who answered, how soon, with how many tokens, and whether it is right."""
    connection = server.connect(PATIENCE_SECONDS)
    begun, first, text, usage = time.perf_counter(), None, "", {}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body_of(model, question)),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            return {"error": f"{answer.status} {answer.read()[:200].decode(errors='replace')}"}
        for line in answer:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            for choice in event.get("choices", []):
                piece = choice["delta"].get("content") or ""
                first = first or (time.perf_counter() if piece else None)
                text += piece
        reason = answer.headers.get("x-drover-reason", "")
        answered = answer.headers["x-drover-model"]
    finally:
        connection.close()
    ended = time.perf_counter()
    # What a weak answer took before it was given up; a good one is in the usage.
    thrown = sum(int(tokens) for tokens, _ in CHECK.findall(reason)) if "is below" in reason else 0
    return {"model": answered, "seconds": ended - begun, "first": (first or ended) - begun, "thrown": thrown,
            "tokens": usage.get("completion_tokens", 0), "right": is_right(question, text)}


def ask_all(ask_one, server, model, asked):
    """What `ask_one` says of each question, several at a time."""
    answers = [None] * len(asked)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        pending = {pool.submit(ask_one, server, model, one): at for at, one in enumerate(asked)}
        for done, future in enumerate(concurrent.futures.as_completed(pending), 1):
            answers[pending[future]] = future.result()
            if done % 50 == 0:
                print(f"   {model}: {done} of {len(asked)} answered", flush=True)
    return answers


def write_outcomes(file, asked, small, large):
    """What `drover route train` takes: questions that both models answered."""
    with open(file, "w") as lines:
        for question, one, other in zip(asked, small, large):
            if "error" not in one and "error" not in other:
                known = {"prompt": content_of(question), "weak": one["right"], "strong": other["right"], "group": kind_of(question)}
                lines.write(json.dumps(known) + "\n")


def train(bed, given, files, asked):
    """A predictor's file, from both models' answers to other questions than `asked`; it stays where the results go."""
    folder = given.json or bed.new_folder("trained")
    os.makedirs(folder, exist_ok=True)
    others = questions(given.train, f"training {given.seed}", given.question_file, but=asked)
    with start(bed, files, given.room, {}, parallel=CLIENTS) as server:
        small, large = (ask_all(ask, server, model, others) for model in ("small", "large"))
    outcomes, predictor = (os.path.join(folder, name) for name in ("outcomes.jsonl", "trained.route"))
    write_outcomes(outcomes, others, small, large)
    subprocess.run([bed.drover, "route", "train", outcomes, "-o", predictor], check=True)
    return predictor


def policies(given):
    """Routes by name: `small` and `large` are the models."""
    cascade = {"models": ["small", "large"], "confidence": given.confidence, "hold": 16}
    if given.calibration:
        cascade["calibration"] = os.path.abspath(given.calibration)
    both = {"small": "small", "large": "large"}
    routes = {
        "task": {"task": {"math": "large"}, "fallback": ["small", "large"]},
        "complexity": {"complexity": {**both, "budget": "50%"}},
        "cascade": {"cascade": cascade},
    }
    if given.predictor:
        trained = {**both, "predictor": os.path.abspath(given.predictor), "budget": "50%"}
        routes["trained"] = {"complexity": trained}
    return {name: route for name, route in routes.items() if not given.only or name in given.only}


def swaps(log):
    """Engines that were started or woken up so far."""
    text = machine.read(log)
    return text.count("instance.starting") + text.count("instance.waking")


def models(bed, given):
    """The files of `small` and `large`."""
    files = {"small": given.small or bed.models["qwen_small"], "large": given.large or bed.models["qwen_large"]}
    for name, file in files.items():
        if not file:
            raise SystemExit(f"no {name} model: run scripts/fetch-models qwen-small qwen-large, or name one with --{name}")
    return files


def start(bed, files, room, routes, parallel=1, **others):
    """A server of these models and routes, with `others` of its settings."""
    settings = {name: {"file": file, "context": 2048, "parallel": parallel} for name, file in files.items()}
    memory = {} if room is None else {"memory": {"budget": room}}
    return servers.drover(bed, "drover-route", settings, routes=routes, **memory, **others)


def measure(bed, given):
    files = models(bed, given)
    asked = questions(given.questions or COUNT, given.seed, given.question_file)
    if given.train:
        given.predictor = train(bed, given, files, asked)
    routes = policies(given)
    names = ["small", "large", *routes]
    runs = {name: [] for name in names}
    counted = {}
    with start(bed, files, given.room, routes) as server:
        for model in files:
            ask(server, model, asked[0])  # its load is not part of what follows
        for name in names:
            before, begun = swaps(server.log_path), time.perf_counter()
            for question in asked:
                runs[name].append({"kind": kind_of(question), **ask(server, name, question)})
            counted[name] = swaps(server.log_path) - before
            right = sum(one.get("right", False) for one in runs[name])
            print(f"   {name}: {right} of {len(asked)} right in {time.perf_counter() - begun:.1f} s", flush=True)
    return {"seed": given.seed, "files": {name: os.path.basename(file) for name, file in files.items()},
            "confidence": given.confidence, "calibrated": bool(given.calibration), "room": given.room,
            "swaps": counted, "runs": runs}


def share(runs, name, key="right"):
    return sum(bool(one.get(key)) for one in runs[name]) / len(runs[name])


def large_share(ones):
    return sum(one.get("model") == "large" for one in ones) / len(ones)


def row(result, name):
    runs = result["runs"]
    ones = runs[name]
    served = [one for one in ones if "error" not in one] or [{"seconds": 0, "first": 0, "tokens": 0, "thrown": 0}]
    large = large_share(ones)
    by_chance = share(runs, "small") + large * (share(runs, "large") - share(runs, "small"))
    kinds = list(dict.fromkeys(one["kind"] for one in ones))
    by_kind = ", ".join(f"{kind} {sum(o.get('right', False) for o in ones if o['kind'] == kind)}"
                        f"/{sum(o['kind'] == kind for o in ones)}" for kind in sorted(kinds))
    times = sorted(one["seconds"] for one in served)
    thrown = sum(one["thrown"] for one in served)
    tokens = sum(one["tokens"] for one in served)
    return (f"| {name} | {100 * share(runs, name):.0f} % ({by_kind}) | {100 * by_chance:.0f} % | {100 * large:.0f} % "
            f"| {statistics.mean(times):.2f} s | {times[len(times) // 2]:.2f} s | {times[int(len(times) * 0.95)]:.2f} s "
            f"| {statistics.median(one['first'] for one in served):.2f} s | {tokens}{f' + {thrown}' if thrown else ''} "
            f"| {result['swaps'][name]} | {len(ones) - len([o for o in ones if 'error' not in o])} |")


def report(result):
    lines = ["| | right | by chance at that share | answered by the large model | mean | median | p95 | first token, median "
             "| tokens (+ thrown away) | loads | failed |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    lines += [row(result, name) for name in result["runs"]]
    count = len(result["runs"]["small"])
    room = "for both" if result["room"] is None else f"of {result['room'] >> 20} MiB"
    lines += ["", f"small: {result['files']['small']}; large: {result['files']['large']}; {count} questions, seed "
              f"{result['seed']}; room {room}; cascade with a confidence of {result['confidence']}"
              f"{', calibrated' if result['calibrated'] else ''}. \"By chance\": what sending as many questions to the "
              f"large model by lot would get right, from the first two rows. One question is {100 / count:.1f} points."]
    return "\n".join(lines)
