"""A model whose file is not in the page cache: from the request to the first token, against the disk itself.

Before each measurement the kernel is asked to drop the file's pages. "Disk" reads the file from front to back and does
nothing else. The engine alone maps it and reads what it touches; Drover has it read ahead while the process starts.
"""

import contextlib
import ctypes
import mmap
import os
import threading
import time

import machine
import servers
from switch import engine_alone, through_drover, unload

DISK, ALONE, DROVER, CACHED = "disk", "engine alone", "Drover", "Drover, file cached"
MODELS = ("gemma", "1.1b")
PIECE_BYTES = 8 << 20
PATIENCE_SECONDS = 10
WATCH_SECONDS = 0.01


def cached_bytes(path):
    """Of the file, by what the kernel says about its pages."""
    size = os.path.getsize(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        pages = (ctypes.c_ubyte * ((size + mmap.PAGESIZE - 1) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(view)
        ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), pages)
        del start
        # A loop over a hundred thousand of them would take a core from what is watched.
        return (len(pages) - bytes(pages).count(0)) * mmap.PAGESIZE


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


def watched(file, run):
    """What `run` gives, and after how many seconds the whole file was in the page cache."""
    begun, read = time.perf_counter(), []

    def watch():
        while not read and not ended.wait(WATCH_SECONDS):
            if cached_bytes(file) >= os.path.getsize(file):
                read.append(time.perf_counter() - begun)

    ended = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run()
    finally:
        ended.set()
        watcher.join()
    return {**result, "read": read[0] if read else result["first"]}


def measure(bed, rounds):
    models = [bed.model(name) for name in MODELS]
    runs = []
    with contextlib.ExitStack() as stack:
        settings = {model.name: {"file": model.file} for model in models}
        server = stack.enter_context(servers.drover(bed, "drover-cold", settings))
        ways = {DISK: lambda model: read_all(model.file),
                ALONE: lambda model: watched(model.file, lambda: engine_alone(bed, model)),
                DROVER: lambda model: watched(model.file, lambda: through_drover(server, model))}
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
    lines = ["| model, file | | whole file read after | of the disk's rate | first token |", "|---|---|---|---|---|"]
    for model in MODELS:
        def of(way, key):
            return [run[key] for run in result["runs"] if (run["model"], run["way"]) == (model, way)]

        def cell(values):
            found = machine.spread(one * 1000 for one in values)
            return f"{found['median']:.0f} ms ({found['min']:.0f} to {found['max']:.0f})"

        title = f"{model}, {result['sizes'][model] / 1e6:.0f} MB"
        lines.append(f"| {title} | {DISK} | {cell(of(DISK, 'first'))} | 1 | |")
        for way in (ALONE, DROVER):
            share = machine.spread(disk / read for disk, read in zip(of(DISK, "first"), of(way, "read")))["median"]
            lines.append(f"| | {way} | {cell(of(way, 'read'))} | {share:.2f} | {cell(of(way, 'first'))} |")
        lines.append(f"| | {CACHED} | | | {cell(of(CACHED, 'first'))} |")
    return "\n".join([*lines, "", f"Median (smallest to largest) of {result['rounds']} rounds."])
