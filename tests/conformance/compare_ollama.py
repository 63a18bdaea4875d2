#!/usr/bin/env python3
"""Asks two servers the same things in Ollama's words and prints how their answers differ, field by field.

usage: tests/conformance/compare_ollama.py OLLAMA_URL DROVER_URL [CASE...]

Both have the models `smol` (chat) and `minilm` (embedding), with the same context. Values that cannot agree
(times, durations, digests) are compared by type only; so are texts, unless their temperature is 0.
"""

import json
import sys

import httpx

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
COLD = {"num_predict": 6, "temperature": 0, "seed": 1}
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
TALK = [*ASK, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}]},
        {"role": "tool", "content": "sunny", "tool_name": "weather"}]
LONG = "river stone " * 900

# Compared by type only.
VARIES = {"created_at", "modified_at", "expires_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration",
          "digest", "size", "modelfile", "version", "logprob", "error", "embedding", "embeddings", "context", "prompt_eval_count"}


def chat(**more):
    return {"model": "smol", "messages": ASK, "options": COLD, **more}


def generate(**more):
    return {"model": "smol", "prompt": "One, two, three,", "options": COLD, **more}


CASES = {
    "root": ("GET", "/", None),
    "root head": ("HEAD", "/", None),
    "version": ("GET", "/api/version", None),
    "tags": ("GET", "/api/tags", None),
    "show": ("POST", "/api/show", {"model": "smol"}),
    "show, embedding": ("POST", "/api/show", {"model": "minilm"}),
    "show, old name": ("POST", "/api/show", {"name": "smol"}),
    "chat": ("POST", "/api/chat", chat(stream=False)),
    "chat, stream": ("POST", "/api/chat", chat()),
    "chat, tag": ("POST", "/api/chat", chat(model="smol:latest", stream=False)),
    "chat, stop": ("POST", "/api/chat", chat(stream=False, options={**COLD, "num_predict": 40, "stop": [",", "."]})),
    "chat, json": ("POST", "/api/chat", chat(stream=False, format="json", options={**COLD, "num_predict": 20})),
    "chat, schema": ("POST", "/api/chat", chat(stream=False, format=COLOUR, options={**COLD, "num_predict": 60})),
    "chat, logprobs": ("POST", "/api/chat", chat(stream=False, logprobs=True, top_logprobs=2)),
    "chat, logprobs stream": ("POST", "/api/chat", chat(logprobs=True)),
    "chat, tools": ("POST", "/api/chat", chat(stream=False, tools=TOOLS)),
    "chat, tool result": ("POST", "/api/chat", chat(stream=False, messages=TALK)),
    "chat, thinking off": ("POST", "/api/chat", chat(stream=False, think=False)),
    "chat, thinking on": ("POST", "/api/chat", chat(stream=False, think=True)),
    "chat, wrong think": ("POST", "/api/chat", chat(think="much")),
    "chat, debug": ("POST", "/api/chat", chat(stream=False, _debug_render_only=True)),
    "chat, load": ("POST", "/api/chat", {"model": "smol", "messages": []}),
    "chat, too long": ("POST", "/api/chat", chat(stream=False, messages=[{"role": "user", "content": LONG}])),
    "chat, shortened": ("POST", "/api/chat", chat(stream=False, messages=[{"role": r, "content": "river stone " * 100} for r in ("user", "assistant") * 4] + ASK)),
    "chat, not there": ("POST", "/api/chat", chat(model="nobody")),
    "chat, embedding model": ("POST", "/api/chat", chat(model="minilm")),
    "chat, no model": ("POST", "/api/chat", {"messages": ASK}),
    "chat, no body": ("POST", "/api/chat", ""),
    "chat, broken body": ("POST", "/api/chat", "{"),
    "chat, wrong type": ("POST", "/api/chat", chat(messages="x")),
    "chat, wrong option": ("POST", "/api/chat", chat(options={"temperature": "hot"})),
    "chat, wrong format": ("POST", "/api/chat", chat(format="yaml")),
    "chat, wrong keep_alive": ("POST", "/api/chat", chat(keep_alive="soon")),
    "chat, wrong top_logprobs": ("POST", "/api/chat", chat(top_logprobs=21)),
    "chat, picture": ("POST", "/api/chat", chat(stream=False, messages=[{"role": "user", "content": "x", "images": ["iVBORw0KGgo="]}])),
    "chat, wrong method": ("GET", "/api/chat", None),
    "generate": ("POST", "/api/generate", generate(stream=False)),
    "generate, stream": ("POST", "/api/generate", generate()),
    "generate, system": ("POST", "/api/generate", generate(stream=False, system="Be brief.")),
    "generate, raw": ("POST", "/api/generate", generate(stream=False, raw=True)),
    "generate, raw and system": ("POST", "/api/generate", generate(raw=True, system="x")),
    "generate, raw logprobs": ("POST", "/api/generate", generate(stream=False, raw=True, logprobs=True, top_logprobs=1)),
    "generate, context": ("POST", "/api/generate", generate(stream=False, context=[1, 4093, 198])),
    "generate, json": ("POST", "/api/generate", generate(stream=False, format="json")),
    "generate, suffix": ("POST", "/api/generate", generate(suffix="five")),
    "generate, template": ("POST", "/api/generate", generate(stream=False, template="{{ .Prompt }}")),
    "generate, load": ("POST", "/api/generate", {"model": "smol"}),
    "generate, not there": ("POST", "/api/generate", {"model": "nobody", "prompt": "x"}),
    "generate, no model": ("POST", "/api/generate", {"prompt": "x"}),
    "generate, embedding model": ("POST", "/api/generate", generate(model="minilm")),
    "ps": ("GET", "/api/ps", None),
    "unload": ("POST", "/api/generate", {"model": "smol", "keep_alive": 0}),
    "embed": ("POST", "/api/embed", {"model": "minilm", "input": ["a river", "a stone"]}),
    "embed, one": ("POST", "/api/embed", {"model": "minilm", "input": "a river"}),
    "embed, dimensions": ("POST", "/api/embed", {"model": "minilm", "input": "a river", "dimensions": 8}),
    "embed, empty": ("POST", "/api/embed", {"model": "minilm", "input": []}),
    "embed, long": ("POST", "/api/embed", {"model": "minilm", "input": LONG}),
    "embed, too long": ("POST", "/api/embed", {"model": "minilm", "input": LONG, "truncate": False}),
    "embed, wrong input": ("POST", "/api/embed", {"model": "minilm", "input": [1]}),
    "embed, not there": ("POST", "/api/embed", {"model": "nobody", "input": "x"}),
    "embed, chat model": ("POST", "/api/embed", {"model": "smol", "input": "x"}),
    "embeddings": ("POST", "/api/embeddings", {"model": "minilm", "prompt": "a river"}),
    "embeddings, empty": ("POST", "/api/embeddings", {"model": "minilm", "prompt": ""}),
    "show, not there": ("POST", "/api/show", {"model": "nobody"}),
    "show, no model": ("POST", "/api/show", {}),
    "openai chat": ("POST", "/v1/chat/completions", {"model": "smol", "messages": ASK, "max_tokens": 6, "temperature": 0}),
    "openai models": ("GET", "/v1/models", None),
    "openai model": ("GET", "/v1/models/smol", None),
    "openai embeddings": ("POST", "/v1/embeddings", {"model": "minilm", "input": "a river"}),
    "openai, not there": ("POST", "/v1/chat/completions", {"model": "nobody", "messages": ASK}),
    "anthropic messages": ("POST", "/v1/messages", {"model": "smol", "messages": ASK, "max_tokens": 6, "temperature": 0}),
}


def ask(url: str, method: str, path: str, body) -> dict:
    content = body if body is None or isinstance(body, str) else json.dumps(body)
    answer = httpx.request(method, url + path, content=content, timeout=300, trust_env=False)
    kind = answer.headers.get("content-type", "").split(";")[0]
    parsed = answer.text
    if "json" in kind and answer.text:
        lines = [json.loads(line) for line in answer.text.splitlines() if line]
        parsed = {"first": lines[0], "last": lines[-1]} if kind == "application/x-ndjson" else lines[0]
    return {"status": answer.status_code, "type": kind, "body": parsed}


def differences(theirs, ours, path: str = ""):
    name = path.rsplit(".", 1)[-1]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if key not in ours:
                yield f"{path}.{key} is missing ({json.dumps(theirs[key])[:60]})"
            elif key not in theirs:
                yield f"{path}.{key} is ours alone ({json.dumps(ours[key])[:60]})"
            else:
                yield from differences(theirs[key], ours[key], f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list) and name not in VARIES:
        if theirs and ours and isinstance(theirs[0], (dict, list)):
            yield from differences(theirs[0], ours[0], f"{path}[0]")
        elif theirs != ours:
            yield f"{path}: {json.dumps(theirs)[:80]} -> {json.dumps(ours)[:80]}"
    elif name in VARIES:
        if type(theirs) is not type(ours):
            yield f"{path}: {json.dumps(theirs)[:80]} -> {json.dumps(ours)[:80]}"
        elif name == "error" and theirs != ours:
            yield f"{path}: {theirs[:110]!r} -> {ours[:110]!r}"
    elif theirs != ours:
        yield f"{path}: {json.dumps(theirs)[:110]} -> {json.dumps(ours)[:110]}"


def main() -> None:
    ollama, drover, *wanted = sys.argv[1:]
    same = 0
    for name, (method, path, body) in CASES.items():
        if wanted and name not in wanted:
            continue
        found = list(differences(ask(ollama, method, path, body), ask(drover, method, path, body)))
        same += not found
        print(f"{'same' if not found else 'DIFF'}  {name}")
        for one in found:
            print(f"        {one}")
    print(f"{same} cases without a difference")


if __name__ == "__main__":
    main()
