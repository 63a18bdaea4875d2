"""Requests a second and added latency of gateways before the same fake engine, asked by wrk.

One thread of wrk, a body of 1 KiB, one connection and then many. The targets take turns within each
round, so that whatever else the machine does meets all of them.
"""

import contextlib
import json
import os
import subprocess

import machine
import servers
from bed import Model

BODY_BYTES = 1024
CONNECTIONS = (1, 32)
DIRECT, DROVER, SWAP = "engine alone", "Drover", "llama-swap"
NGINX = ("nginx, UNIX socket", "nginx, TCP")


def body():
    """A chat request of exactly BODY_BYTES."""
    request = {"model": "fake", "max_tokens": 4, "messages": [{"role": "user", "content": ""}]}
    missing = BODY_BYTES - len(json.dumps(request))
    request["messages"][0]["content"] = ("All work and no play makes Jack a dull boy. " * 40)[:missing]
    return json.dumps(request)


def start(bed, stack):
    """By name: what is measured."""
    enter = stack.enter_context
    fake = Model("fake", bed.models["smol"], bed.fake_engine)
    tcp = enter(servers.fake_engine(bed, "fake-tcp"))
    unix = enter(servers.fake_engine(bed, "fake-unix", os.path.join(bed.folder, "fake.sock")))
    targets = {DIRECT: tcp}
    if bed.nginx:
        targets[NGINX[0]] = enter(servers.nginx(bed, "nginx-unix", f"unix:{unix.path}"))
        targets[NGINX[1]] = enter(servers.nginx(bed, "nginx-tcp", f"127.0.0.1:{tcp.port}"))
    else:
        print("   nginx is not there and is left out")
    # Room for all connections at once: what is measured is forwarding, not waiting.
    settings = {"file": fake.file, "parallel": 64, "context": 256, "prompt_cache": 0}
    targets[DROVER] = enter(servers.drover(bed, "drover", {"fake": settings}, bed.fake_engine))
    if bed.llama_swap:
        targets[SWAP] = enter(servers.llama_swap(bed, "llama-swap", [fake], lambda _: []))
    else:
        print("   llama-swap was not given (--llama-swap) and is left out")
    return targets


def ask(bed, server, connections, seconds):
    """One run of wrk."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "request.lua")
    command = [bed.wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
               server.url + "/v1/chat/completions"]
    before = server.computed(server.name.startswith("nginx"))
    output = subprocess.check_output(command, text=True, env={**os.environ, "BENCH_BODY": body()})
    result = json.loads(output.splitlines()[-1])
    if result["errors"]:
        raise RuntimeError(f"{server.name}: {result['errors']} of {result['requests']} requests failed")
    result["cpu"] = (server.computed(server.name.startswith("nginx")) - before) / result["requests"] * 1e6
    result["rate"] = result["requests"] / result["seconds"]
    return result


def measure(bed, rounds, seconds):
    if not bed.wrk:
        raise SystemExit("wrk is not there; scripts/bench installs it")
    runs = []
    with contextlib.ExitStack() as stack:
        targets = start(bed, stack)
        names = list(targets)
        for name in names:
            targets[name].request("POST", "/v1/chat/completions", body().encode())  # loads it
        for turn in range(rounds):
            for connections in CONNECTIONS:
                for name in names[turn % len(names):] + names[:turn % len(names)]:
                    run = ask(bed, targets[name], connections, seconds)
                    runs.append({"round": turn, "target": name, "connections": connections, **run})
                    print(f"   round {turn + 1}, {connections:2} connections, {name}: "
                          f"{run['rate']:,.0f}/s, p50 {run['p50']} us", flush=True)
    return {"seconds": seconds, "rounds": rounds, "runs": runs}


def of(result, target, connections):
    return [run for run in result["runs"] if (run["target"], run["connections"]) == (target, connections)]


def ratios(result):
    """Drover against the better nginx, round by round: added latency at 1, rate at 32."""
    direct, drover = of(result, DIRECT, 1), of(result, DROVER, 1)
    nginx = [of(result, name, 1) for name in NGINX]
    if not nginx[0]:
        return {}
    added = [(d["p50"] - e["p50"]) / max(min(n["p50"] for n in ns) - e["p50"], 1)
             for e, d, *ns in zip(direct, drover, *nginx)]
    many = CONNECTIONS[1]
    rate = [d["rate"] / max(n["rate"] for n in ns)
            for d, *ns in zip(of(result, DROVER, many), *(of(result, name, many) for name in NGINX))]
    cpu = [d["cpu"] / min(n["cpu"] for n in ns)
           for d, *ns in zip(of(result, DROVER, many), *(of(result, name, many) for name in NGINX))]
    return {"added": machine.spread(added), "rate": machine.spread(rate), "cpu": machine.spread(cpu)}


def report(result):
    lines = ["| | p50, 1 connection | added | requests/s, 1 connection | requests/s, 32 connections | p50, 32 | p99, 32 "
             "| processor time a request, 32 |",
             "|---|---|---|---|---|---|---|---|"]
    base = machine.spread(run["p50"] for run in of(result, DIRECT, 1))["median"]
    for name in (DIRECT, *NGINX, DROVER, SWAP):
        one, many = of(result, name, 1), of(result, name, CONNECTIONS[1])
        if not one:
            continue
        median = lambda runs, key: machine.spread(run[key] for run in runs)["median"]
        rate = machine.spread(run["rate"] for run in many)
        lines.append(
            f"| {name} | {median(one, 'p50'):.0f} us | {median(one, 'p50') - base:+.0f} us | {median(one, 'rate'):,.0f} "
            f"| {rate['median']:,.0f} ({rate['min']:,.0f} to {rate['max']:,.0f}) "
            f"| {median(many, 'p50'):.0f} us | {median(many, 'p99'):.0f} us "
            f"| {median(many, 'cpu'):.1f} us |")
    found = ratios(result)
    if found:
        added, rate, cpu = found["added"], found["rate"], found["cpu"]
        lines += ["", f"Against the better of the two nginx, round by round: Drover adds {added['median']:.2f} x "
                  f"({added['min']:.2f} to {added['max']:.2f}) of what nginx adds at 1 connection, and carries "
                  f"{rate['median']:.2f} x ({rate['min']:.2f} to {rate['max']:.2f}) of its rate at 32, "
                  f"with {cpu['median']:.2f} x ({cpu['min']:.2f} to {cpu['max']:.2f}) its processor time a request. "
                  f"{result['rounds']} rounds of {result['seconds']} s."]
    return "\n".join(lines)
