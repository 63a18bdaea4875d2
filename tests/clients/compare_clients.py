#!/usr/bin/env python3
"""Runs the cases of a client against two servers and prints how what it gets differs.

usage: tests/clients/compare_clients.py OLLAMA_URL DROVER_URL CLIENT...

CLIENT is langchain, llama_index, litellm, open_webui or command. Both servers have the models `smol` (chat) and
`minilm` (embedding) with the same context. Run it with the Python of the environment that `scripts/test clients` made.
"""

import importlib
import json
import sys


def outcome(case, url: str):
    try:
        return json.loads(json.dumps(case(url), default=str))
    except Exception as error:  # whatever a client throws is what its user sees
        return {"raised": type(error).__name__, "says": str(error)[:200].replace(url, "URL")}


def differences(theirs, ours, path: str = ""):
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if key not in ours or key not in theirs:
                yield f"{path}.{key} is {'missing' if key not in ours else 'ours alone'} ({json.dumps(theirs.get(key, ours.get(key)))[:80]})"
            else:
                yield from differences(theirs[key], ours[key], f"{path}.{key}")
    elif theirs != ours:
        yield f"{path}: {json.dumps(theirs)[:200]} -> {json.dumps(ours)[:200]}"


def main() -> None:
    ollama, drover, *clients = sys.argv[1:]
    same = 0
    for client in clients:
        for name, case in importlib.import_module(f"{client}_cases").CASES.items():
            found = list(differences(outcome(case, ollama), outcome(case, drover)))
            same += not found
            print(f"{'same' if not found else 'DIFF'}  {client}: {name}", flush=True)
            for one in found:
                print(f"        {one}")
    print(f"{same} cases without a difference")


if __name__ == "__main__":
    main()
