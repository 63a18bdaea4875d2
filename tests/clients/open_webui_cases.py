"""The calls that Open WebUI's backend makes to Ollama and to OpenAI's API, as it makes them.

Its names always have a tag, its bodies are bytes, it may send a key and who its user is.
"""

import hashlib
import json
import os
import re
from datetime import datetime
from pathlib import Path

import httpx

MODEL, EMBEDDER = "smol:latest", "minilm:latest"
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer any", "X-OpenWebUI-User-Name": "A%20B", "X-OpenWebUI-User-Role": "admin"}
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
COLD = {"temperature": 0, "num_predict": 6, "num_ctx": 512}


def call(url, method, path, body=None):
    answer = httpx.request(method, url + path, headers=HEADERS, content=None if body is None else json.dumps(body).encode(), timeout=120, trust_env=False)
    if answer.status_code >= 400:
        return {"status": answer.status_code, "error": answer.json()["error"]}
    kind = answer.headers.get("content-type", "")
    if "ndjson" in kind:
        return [json.loads(one) for one in answer.text.splitlines()]
    if "event-stream" in kind:
        return [json.loads(one[6:]) for one in answer.text.splitlines() if one.startswith("data: {")]
    return answer.json() if answer.text else answer.status_code


def version(url):
    """Compared by number, so it must be one."""
    return len([int(one) for one in re.sub(r"^v|-.*", "", call(url, "GET", "/api/version")["version"]).split(".")])


def lists(url):
    listed = {one["model"]: sorted(one) for one in call(url, "GET", "/api/tags")["models"]}
    call(url, "POST", "/api/generate", {"model": MODEL})
    loaded = {one["name"]: one["expires_at"] for one in call(url, "GET", "/api/ps")["models"]}
    return {"listed": listed[MODEL], "loaded": datetime.fromisoformat(loaded[MODEL]).timestamp() > 0}


def unload(url):
    answer = call(url, "POST", "/api/generate", {"model": MODEL, "keep_alive": 0, "prompt": ""})
    last = answer[-1] if isinstance(answer, list) else answer
    return last["done_reason"]


def chat(url):
    lines = call(url, "POST", "/api/chat", {"model": MODEL, "messages": ASK, "options": COLD, "stream": True, "think": False})
    return {"text": "".join(one["message"]["content"] for one in lines), "last": sorted(lines[-1]), "reason": lines[-1]["done_reason"]}


def upload(url):
    """A file becomes a blob, and the blob a model that is named after the file."""
    file = Path(os.environ["DROVER_MODELS"]) / "all-MiniLM-L6-v2.Q8_0.gguf"
    digest = "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    with file.open("rb") as content:
        stored = httpx.post(f"{url}/api/blobs/{digest}", content=content, timeout=120, trust_env=False)
    made = call(url, "POST", "/api/create", {"model": "uploaded", "files": {file.name: digest}})
    size = len(call(url, "POST", "/api/embed", {"model": "uploaded:latest", "input": ["a"]})["embeddings"][0])
    gone = call(url, "DELETE", "/api/delete", {"model": "uploaded:latest"})
    return {"stored": stored.status_code in (200, 201), "made": made[-1], "size": size, "gone": gone}


def workspace(url):
    """A model of its own: made of another one, copied, shown and removed."""
    fields = {"model": "mine:latest", "from": MODEL, "system": "Be brief.", "parameters": {"temperature": 0.5}, "stream": True}
    made = call(url, "POST", "/api/create", fields)[-1]
    copied = call(url, "POST", "/api/copy", {"source": "mine:latest", "destination": "other:latest"})
    shown = call(url, "POST", "/api/show", {"model": "other:latest", "name": "other:latest"})
    for name in ("mine:latest", "other:latest"):
        call(url, "DELETE", "/api/delete", {"model": name, "name": name})
    left = {one["model"] for one in call(url, "GET", "/api/tags")["models"]} & {"mine:latest", "other:latest"}
    return {"made": made, "copied": copied, "system": shown["system"], "parameters": shown["parameters"].split(), "left": sorted(left)}


def openai_chat(url):
    body = {"model": MODEL, "messages": ASK, "stream": True, "max_tokens": 6, "temperature": 0, "stream_options": {"include_usage": True}}
    events = call(url, "POST", "/v1/chat/completions", body)
    return {"text": "".join(c["delta"].get("content") or "" for e in events for c in e["choices"]), "tokens": events[-1]["usage"]["completion_tokens"]}


CASES = {
    "version": version,
    "lists": lists,
    "unload": unload,
    "show": lambda url: sorted(call(url, "POST", "/api/show", {"model": MODEL, "name": MODEL})["details"]),
    "chat": chat,
    "title, no stream": lambda url: call(url, "POST", "/api/chat", {
        "model": MODEL, "messages": ASK, "options": COLD, "stream": False})["message"]["content"],
    "generate": lambda url: call(url, "POST", "/api/generate", {"model": MODEL, "prompt": "One, two,", "options": COLD, "stream": True})[-1]["done"],
    "embed": lambda url: [len(one) for one in call(url, "POST", "/api/embed", {"model": EMBEDDER, "input": ["a", "b"], "truncate": True})["embeddings"]],
    "embeddings": lambda url: len(call(url, "POST", "/api/embeddings", {"model": EMBEDDER, "prompt": "a"})["embedding"]),
    "upload": upload,
    "workspace": workspace,
    "pull, wrong name": lambda url: call(url, "POST", "/api/pull", {"model": "a/b/c/d:e", "insecure": True})["status"],
    "delete, not there": lambda url: call(url, "DELETE", "/api/delete", {"model": "nobody:latest"}),
    "copy, not there": lambda url: call(url, "POST", "/api/copy", {"source": "nobody:latest", "destination": "x:latest"}),
    "openai models": lambda url: sorted({"id", "object", "created", "owned_by"} & set(call(url, "GET", "/v1/models")["data"][0])),
    "openai chat": openai_chat,
    "openai completions": lambda url: call(url, "POST", "/v1/completions", {"model": MODEL, "prompt": "One,", "max_tokens": 3})["object"],
}
