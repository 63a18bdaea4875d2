"""Facts of the machine that a result depends on, and what a benchmark needs of it."""

import os
import platform
import re
import socket
import statistics


def read(path, default=""):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return default


def facts():
    """What to print beside every result."""
    model = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", read("/proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="(.+)"', read("/etc/os-release"), re.M)
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "system": system[1] if system else platform.system(),
        "kernel": platform.release(),
    }


def busy_seconds():
    """Processor time that the whole machine has spent on work so far."""
    ticks = [int(field) for field in read("/proc/stat").splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks[:8]
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def pss(pid):
    """Bytes of a process, shared pages in parts; 0 when it is gone."""
    found = re.search(r"^Pss:\s+(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.M)
    return int(found[1]) * 1024 if found else 0


def is_alive(pid):
    """Whether the process still has its files and sockets: it is there, and no zombie."""
    found = re.search(r"^State:\s+(\w)", read(f"/proc/{pid}/status"), re.M)
    return found is not None and found[1] not in "ZX"


def load():
    """Average number of runnable tasks in the last minute: tells whether others used the machine."""
    return os.getloadavg()[0]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def spread(values):
    """Median, smallest and largest of the rounds."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
