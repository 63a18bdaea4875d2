#!/usr/bin/env python3
"""Plants one fault of each kind in a small tree and expects tools/tidy.py to name every one."""

import sys
import tempfile
from pathlib import Path

import tidy

FAULTS = {
    "src/memory/bad_layer.cpp": ('#include "gateway/server.hpp"\n', "memory may not include gateway"),
    "src/memory/bad_header.cpp": ('#include "models/registry.hpp"\n', "memory may include of models only"),
    "src/memory/bad_pure.cpp": ("#include <boost/asio/io_context.hpp>\n", "no I/O"),
    "src/control/bad_clock.cpp": ("auto t = std::chrono::steady_clock::now();\n", "platform::now()"),
    "src/gateway/bad_await.cpp": ("if (!co_await more()) {\n", "a name first"),
    "src/gateway/bad_task.cpp": ("co_spawn(loop, f, asio::detached);\n", "TaskScope"),
    "src/base/bad_size.cpp": ("int x;\n" * 601, "more than 600"),
    "src/base/bad_guard.hpp": ("// A header.\n", "#pragma once"),
    "src/base/bad_unlisted.cpp": ("", "is in no CMakeLists.txt"),
    "src/unknown/bad_component.cpp": ("", "not in the layering table"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, (text, _) in FAULTS.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if "unlisted" not in name:
                with (path.parent / "CMakeLists.txt").open("a") as file:
                    file.write(path.name + "\n")
        found = list(tidy.findings(root))
    missed = [name for name, (_, message) in FAULTS.items() if not any(f.startswith(name) and message in f for f in found)]
    for name in missed:
        print(f"not noticed: {name}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
