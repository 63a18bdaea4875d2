#!/usr/bin/env python3
"""Runs the benchmarks of docs/benchmarks.md. scripts/bench sets up what they need and calls this.

A peer that is not there is left out and named. llama-swap and Ollama are given as programs: build or
install them yourself (for the same engine in both, Ollama takes the llama-server beside its binary, in
build/lib/ollama).
"""

import argparse
import json
import os
import signal
import sys
import time

import alternate
import batching
import bed as beds
import cascade
import cold
import conversation
import document
import gateway
import gpu
import machine
import mixed
import overcommit
import route
import switch

# By name: what has its report(), and how it is measured.
BENCHES = {
    "gateway": (gateway.report, lambda bed, given: gateway.measure(bed, given.rounds or 7, given.seconds)),
    "switch": (switch.report, lambda bed, given: switch.measure(bed, given.rounds or 7)),
    "alternate": (alternate.report, lambda bed, given: alternate.measure(bed, given.rounds or 7)),
    "cold": (cold.report, lambda bed, given: cold.measure(bed, given.rounds or 5)),
    "mixed": (mixed.report, lambda bed, given: mixed.measure(bed, given.rounds or 3, given.seed, given.only)),
    "conversation": (conversation.report, lambda bed, given: conversation.measure(bed, given.rounds or 3)),
    "conversation-large": (
        conversation.report, lambda bed, given: conversation.measure(bed, given.rounds or 1, "1.1b", 3900)),
    "overcommit": (overcommit.report, lambda bed, given: overcommit.measure(bed, given.requests, given.seed)),
    "route": (route.report, lambda bed, given: route.measure(bed, given)),
    "cascade": (cascade.report, lambda bed, given: cascade.measure(bed, given)),
    "gpu-sizes": (gpu.report_sizes, lambda bed, _: gpu.measure_sizes(bed)),
    "gpu-swaps": (gpu.report_swaps, lambda bed, given: gpu.measure_swaps(bed, given.rounds or 3)),
    "gpu-conversation": (gpu.report_conversation, lambda bed, given: gpu.measure_conversation(bed, given.rounds or 3)),
    "gpu-batching": (batching.report, lambda bed, given: batching.measure(bed, given.rounds or 5, given.vllm)),
}


def chosen(arguments, bed):
    """All that this machine can do, unless some are named."""
    if arguments.benches:
        return arguments.benches
    left_out = []
    if not gpu.there_is_one():
        print("no NVIDIA GPU: gpu-... left out", flush=True)
        left_out = [name for name in BENCHES if name.startswith("gpu-")]
    elif not arguments.vllm:
        print("no --vllm: gpu-batching left out", flush=True)
        left_out = ["gpu-batching"]
    if not (bed.models["qwen_small"] and bed.models["qwen_large"]):
        print("no models of one family (scripts/fetch-models qwen-small qwen-large): route and cascade left out", flush=True)
        left_out += ["route", "cascade"]
    return [name for name in BENCHES if name not in left_out]


def conditions(result):
    facts, load = result["machine"], result["load"]
    return (f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}, Linux "
            f"{facts['kernel']}; {result['date']}, load average {load[0]:.1f} before and {load[1]:.1f} after.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument("--rounds", type=int, help="instead of each benchmark's own number")
    parser.add_argument("--seconds", type=int, default=3, help="gateway: of each run of wrk")
    parser.add_argument("--seed", type=int, default=1, help="mixed: of the first round; overcommit, route, cascade")
    parser.add_argument("--requests", type=int, default=10_000, help="overcommit: how many")
    parser.add_argument("--only", nargs="*", help="mixed: these systems only; route: these routes")
    parser.add_argument("--questions", type=int, help="route: how many, default: 100; cascade: 1600")
    parser.add_argument("--question-file", help="route: lines of {prompt, answer, kind} instead of bench/questions.jsonl")
    parser.add_argument("--small", help="route, cascade: a GGUF file; default: Qwen2.5-Coder 0.5B")
    parser.add_argument("--large", help="route, cascade: a GGUF file; default: Qwen2.5-Coder 1.5B")
    parser.add_argument("--confidence", default="70%", help="route: of the cascade")
    parser.add_argument("--calibration", help="route: of the cascade, made by `drover route calibrate cascade`")
    parser.add_argument("--predictor", help="route: of one more complexity route, made by `drover route train`")
    parser.add_argument("--train", type=int, help="route: make that predictor of so many other questions that both models answer first")
    parser.add_argument("--room", type=int, help="route: memory budget in bytes; default: whatever the machine has")
    parser.add_argument("--build", default=os.path.join(beds.ROOT, "build/release"))
    parser.add_argument("--engine", help="llama-server; default: the engine cache's")
    parser.add_argument("--llama-swap", default=os.environ.get("BENCH_LLAMA_SWAP"), help="or BENCH_LLAMA_SWAP")
    parser.add_argument("--ollama", default=os.environ.get("BENCH_OLLAMA"), help="or BENCH_OLLAMA")
    parser.add_argument("--vllm", help="gpu-batching: an environment with vLLM for CUDA, and the models of tests/vllm")
    parser.add_argument("--json", help="a folder for the raw results")
    parser.add_argument("--output", help="a document with marks; its tables are replaced")
    arguments = parser.parse_args()
    for name in arguments.benches:
        if name not in BENCHES:
            parser.error(f"there is no benchmark '{name}'; there are {', '.join(BENCHES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that all servers are stopped
    bed = beds.Bed(arguments)
    try:
        for name in chosen(arguments, bed):
            print(f"== {name}", flush=True)
            before = machine.load()
            report, measure = BENCHES[name]
            result = measure(bed, arguments)
            result.update(machine=machine.facts(), date=time.strftime("%Y-%m-%d"), load=[before, machine.load()])
            text = report(result) + "\n\n" + conditions(result)
            print(text, flush=True)
            if arguments.json:
                os.makedirs(arguments.json, exist_ok=True)
                with open(os.path.join(arguments.json, f"{name}.json"), "w") as file:
                    json.dump(result, file, indent=1)
            if arguments.output:
                document.write_between(arguments.output, name, text)
    finally:
        bed.close()


if __name__ == "__main__":
    main()
