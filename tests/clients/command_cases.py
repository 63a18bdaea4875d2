"""The `ollama` command with OLLAMA_HOST set to the server. DROVER_OLLAMA names the program."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

MODELFILE = """FROM smol
PARAMETER temperature 0
PARAMETER num_predict 6
PARAMETER stop "###"
SYSTEM Be brief.
LICENSE "Free as air"
MESSAGE user Hello
MESSAGE assistant Hello yourself.
"""


def run(url, *arguments, stdin=None):
    """What the program prints, without what differs each time: times, sizes of progress, terminal codes."""
    with tempfile.TemporaryDirectory() as home:
        ran = subprocess.run(
            [os.environ["DROVER_OLLAMA"], *arguments], input=stdin or "", capture_output=True, text=True, timeout=120, cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": home, "OLLAMA_HOST": url, "NO_COLOR": "1"},
        )
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", ran.stdout + ("" if ran.returncode == 0 else ran.stderr))
    return {"status": ran.returncode, "text": text.strip()}


def columns(url, *arguments):
    """The head of a table, and of each line the first column."""
    table = run(url, *arguments)
    lines = table["text"].splitlines()
    return {"status": table["status"], "head": lines[0].split() if lines else [], "names": sorted(one.split()[0] for one in lines[1:] if one.split())}


def create(url):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Modelfile"
        file.write_text(MODELFILE)
        made = run(url, "create", "made", "-f", str(file))["status"]
        file.write_text(f"FROM {os.environ['DROVER_MODELS']}/all-MiniLM-L6-v2.Q8_0.gguf\n")
        uploaded = run(url, "create", "uploaded", "-f", str(file))["status"]
    shown = {part: run(url, "show", f"--{part}", "made")["text"] for part in ("system", "license", "parameters")}
    shown["parameters"] = sorted(" ".join(one.split()) for one in shown["parameters"].splitlines())
    copied = run(url, "cp", "made", "copied")["text"]
    answered = run(url, "run", "copied", "Hello")["status"]
    removed = run(url, "rm", "made", "copied", "uploaded")["text"].splitlines()
    return {"made": made, "uploaded": uploaded, "shown": shown, "copied": copied, "answered": answered, "removed": removed}


def stop(url):
    run(url, "run", "smol")
    running = columns(url, "ps")
    stopped = run(url, "stop", "smol")
    return {"running": running, "stopped": stopped, "left": "smol:latest" in columns(url, "ps")["names"]}


CASES = {
    "version": lambda url: run(url, "--version")["status"],
    "list": lambda url: columns(url, "list"),
    "show": lambda url: [one.strip().split()[0] for one in run(url, "show", "smol")["text"].splitlines() if one.strip()][:9],
    "show, modelfile": lambda url: run(url, "show", "--modelfile", "smol")["text"].splitlines()[0],
    "run": lambda url: run(url, "run", "smol", "Say hello.", "--format", "json")["status"],
    "run, verbose": lambda url: run(url, "run", "--verbose", "--keepalive", "5m", "smol", "Say hello.")["status"],
    "run, embedding": lambda url: run(url, "run", "minilm", "a river")["text"][:1],
    "stop": stop,
    "create, cp, rm": create,
    "cp, not there": lambda url: run(url, "cp", "nobody", "x"),
    "rm, not there": lambda url: run(url, "rm", "nobody"),
    "show, not there": lambda url: run(url, "show", "nobody"),
    "push, not there": lambda url: run(url, "push", "127.0.0.1:9/none/none:none")["status"],
}
