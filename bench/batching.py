"""What Drover costs in front of vLLM when 200 clients ask at once: the same instance, asked directly and through Drover.

Both take turns, so that what the GPU does meanwhile is no matter. The model has the shape of a 7B with weights that are not
read from anywhere; it says nonsense as fast as a real one.
"""

import json
import os
import shutil
import struct
import sys
import time

import gpu
import large_model
import machine
import servers

CLIENTS, REQUESTS, TOKENS = 200, 600, 64
DIRECT, DROVER = "vLLM directly", "through Drover"
SHAPE = "7b"
# Two bytes for each of the weights, about.
WEIGHT_BYTES = 14 << 30


def make_folder(folder, tokenizer):
    """A model in Hugging Face's layout with the tokenizer of another one, and a file of weights that is a hole."""
    shape = large_model.SHAPES[SHAPE]
    for name in os.listdir(tokenizer):
        if "token" in name or "chat_template" in name or "vocab" in name or "merges" in name:
            shutil.copy(os.path.join(tokenizer, name), folder)
    with open(os.path.join(tokenizer, "config.json")) as file:
        config = json.load(file)
    config |= {
        "hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "intermediate_size": shape.feed_forward,
        "max_position_embeddings": shape.context,
    }
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    head = json.dumps({"w": {"dtype": "BF16", "shape": [WEIGHT_BYTES // 2], "data_offsets": [0, WEIGHT_BYTES]}}).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + WEIGHT_BYTES)


def children_of(pid):
    found = [pid]
    for one in found:
        found += [int(child) for child in machine.read(f"/proc/{one}/task/{one}/children").split()]
    return found


def directly(server):
    """The instance's own socket and key, which only its user can read."""
    for pid in children_of(gpu.instance_of(server)["pid"]):
        words = machine.read(f"/proc/{pid}/cmdline").split("\0")
        if "--uds" in words:
            environment = dict(one.split("=", 1) for one in machine.read(f"/proc/{pid}/environ").split("\0") if "=" in one)
            return words[words.index("--uds") + 1], environment["VLLM_API_KEY"]
    raise RuntimeError("the instance has no socket")


def ask(connection, key, streamed):
    """Fails unless all tokens come that are asked for."""
    body = {"model": SHAPE, "messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": TOKENS,
            "ignore_eos": True, "stream": streamed}
    connection.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status} {data[:300]}")
    if streamed and not data.rstrip().endswith(b"data: [DONE]"):
        raise RuntimeError(f"a stream ended early: {data[-200:]}")
    if not streamed and json.loads(data)["usage"]["completion_tokens"] != TOKENS:
        raise RuntimeError(f"tokens are missing: {data[:300]}")


def run(connect, key, streamed):
    lost = []

    def send(_):
        try:
            connection = connect()
            ask(connection, key, streamed)
            connection.close()
        except (OSError, RuntimeError) as error:
            lost.append(str(error))

    begun = time.perf_counter()
    servers.from_clients(CLIENTS, range(REQUESTS), send)
    return {"seconds": time.perf_counter() - begun, "lost": lost}


def measure(bed, rounds, vllm):
    """`vllm` is an environment with bin/vllm and the folder models/smol (tests/vllm/make_models.py)."""
    folder = bed.new_folder("model")
    make_folder(folder, os.path.join(vllm, "models", "smol"))
    models = {SHAPE: {"engine": "vllm", "venv": vllm, "file": folder, "context": 1024, "parallel": CLIENTS,
                      "extra_args": ["--enforce-eager", "--load-format", "dummy"], "memory": "40GiB"}}
    runs = []
    with servers.drover(bed, "batching", models, engine="/nonexistent", limits={"queue_timeout": "10m"}) as server:
        gpu.loaded(server, SHAPE)
        socket, key = directly(server)
        ways = {DIRECT: lambda: servers.UnixConnection(socket, 600), DROVER: server.connect}
        for turn in range(rounds + 1):
            for streamed in (False, True):
                for way, connect in ways.items():
                    result = run(connect, key, streamed)
                    if turn > 0:  # the first round warms up
                        runs.append({"round": turn, "way": way, "streamed": streamed, **result})
                        print(f"   round {turn}, {way}, {'streamed' if streamed else 'whole'}: {result['seconds']:.2f} s, "
                              f"{len(result['lost'])} lost", flush=True)
                    for text in result["lost"][:3]:
                        print(f"   lost: {text}", file=sys.stderr)
    return {"gpu": gpu.name_of_gpu(), "rounds": rounds, "runs": runs}


def report(result):
    lines = ["| answers | vLLM directly | through Drover | ratio of throughput | lost |", "|---|---|---|---|---|"]
    for streamed in (False, True):
        by_way = {way: [one for one in result["runs"] if (one["way"], one["streamed"]) == (way, streamed)]
                  for way in (DIRECT, DROVER)}
        rates = {way: [REQUESTS / one["seconds"] for one in runs] for way, runs in by_way.items()}
        ratios = machine.spread(one / base for one, base in zip(rates[DROVER], rates[DIRECT]))
        lost = sum(len(one["lost"]) for one in by_way[DROVER])
        cells = " | ".join(f"{machine.spread(rates[way])['median']:.1f} requests/s" for way in (DIRECT, DROVER))
        lines.append(f"| {'streamed' if streamed else 'whole'} | {cells} | {ratios['median']:.3f} ({ratios['min']:.3f} to "
                     f"{ratios['max']:.3f}) | {lost} |")
    return "\n".join([*lines, "", f"{REQUESTS} requests of {TOKENS} tokens from {CLIENTS} clients; medians of "
                                  f"{result['rounds']} rounds, ratios of each round's. {result['gpu']} MiB."])
