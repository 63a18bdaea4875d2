"""A model whose file is not in the page cache: from the request to the first token, against the disk itself.

Before each measurement the kernel is asked to drop the file's pages. "Disk" reads the file from front to back and does
nothing else. The engine alone maps it and reads what it touches; Drover has it read ahead while the process starts.
"""

import contextlib
import ctypes
import mmap
import os
import time

import machine
import servers
from switch import engine_alone, through_drover, unload

DISK, ALONE, DROVER, CACHED = "disk", "engine alone", "Drover", "Drover, file cached"
MODELS = ("gemma", "large")
PIECE_BYTES = 8 << 20
PATIENCE_SECONDS = 10


def cached_bytes(path):
    """Of the file, by what the kernel says about its pages."""
    size = os.path.getsize(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        pages = (ctypes.c_ubyte * ((size + mmap.PAGESIZE - 1) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(view)
        ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), pages)
        del start
        return sum(page & 1 for page in pages) * mmap.PAGESIZE


def drop(path):
    """Returns when the file is out of the page cache, which needs that nobody maps it any more."""
    deadline = time.perf_counter() + PATIENCE_SECONDS
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        while time.perf_counter() < deadline:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            if cached_bytes(path) < os.path.getsize(path) / 100:
                return
            time.sleep(0.05)
    finally:
        os.close(file)
    raise SystemExit(f"{path} stays in the page cache; the benchmark needs a file system that lets go of it")


def read_all(path):
    begun = time.perf_counter()
    buffer = bytearray(PIECE_BYTES)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return {"first": time.perf_counter() - begun}


def measure(bed, rounds):
    models = [bed.model(name) for name in MODELS]
    runs = []
    with contextlib.ExitStack() as stack:
        settings = {model.name: {"file": model.file} for model in models}
        server = stack.enter_context(servers.drover(bed, "drover-cold", settings))
        ways = {DISK: lambda model: read_all(model.file), ALONE: lambda model: engine_alone(bed, model),
                DROVER: lambda model: through_drover(server, model)}
        for turn in range(rounds):
            for model in models:
                for way, run in ways.items():
                    drop(model.file)
                    runs.append({"round": turn, "model": model.name, "way": way, **run(model)})
                unload(server, model)
                runs.append({"round": turn, "model": model.name, "way": CACHED, **through_drover(server, model)})
                unload(server, model)
                for run in runs[-4:]:
                    print(f"   round {turn + 1}, {model.name}, {run['way']}: {run['first'] * 1000:.0f} ms", flush=True)
    return {"rounds": rounds, "runs": runs, "sizes": {model.name: os.path.getsize(model.file) for model in models}}


def report(result):
    lines = ["| model | file | disk | engine alone | Drover | of the disk's rate | Drover, file cached |",
             "|---|---|---|---|---|---|---|"]
    for model in MODELS:
        cells, firsts = [], {}
        for way in (DISK, ALONE, DROVER, CACHED):
            firsts[way] = [run["first"] for run in result["runs"] if (run["model"], run["way"]) == (model, way)]
            found = machine.spread(one * 1000 for one in firsts[way])
            cells.append(f"{found['median']:.0f} ms ({found['min']:.0f} to {found['max']:.0f})")
        share = machine.spread(disk / drover for disk, drover in zip(firsts[DISK], firsts[DROVER]))["median"]
        lines.append(f"| {model} | {result['sizes'][model] / 1e6:.0f} MB | {cells[0]} | {cells[1]} | {cells[2]} "
                     f"| {share:.2f} | {cells[3]} |")
    return "\n".join([*lines, "", f"Median (smallest to largest) of {result['rounds']} rounds."])
