#!/usr/bin/env python3
"""Checks what no compiler checks: which component includes which, forbidden words, sizes, and that every
source belongs to a build file.

usage: tools/tidy.py [ROOT]

Prints one line a finding and exits with 1 when there is any. A line may be excused with a comment
`tidy: REASON` on it.
"""

import re
import sys
from pathlib import Path

# Component -> components that it may include. Arrows only point down this table.
LAYERS = {
    "base": [],
    "config": ["base"],
    "platform": ["base"],
    "models": ["base", "config", "platform"],
    "store": ["base", "config", "models", "platform"],
    "memory": ["base", "models"],
    "router": ["base"],
    "snapshots": ["base"],
    "upstreams": ["base"],
    "engines": ["base", "config", "models", "platform"],
    "control": ["base", "config", "engines", "memory", "models", "platform", "snapshots", "upstreams"],
    "planner": ["base", "config", "control", "engines", "memory", "models"],
    "gateway": ["base", "config", "control", "engines", "memory", "platform", "router", "store", "upstreams"],
    "importer": ["base", "config"],
    "cli": ["base", "config", "importer", "platform", "router", "store"],
    "app": ["base", "cli", "config", "control", "engines", "gateway", "memory", "models", "planner", "platform", "router", "store", "upstreams"],
}

# Headers of other components that a pure component may see, although it sees nothing else of them.
ONLY_HEADERS = {
    "planner": {"control": r"control/sizing\.hpp"},
    "memory": {"models": r"models/(model_facts|ggml_types|repack)\.hpp"},
    "gateway": {"control": r"control/fleet\.hpp", "engines": r"engines/upstream_connection\.hpp", "memory": r"memory/events\.hpp", "store": r"store/library\.hpp", "upstreams": r"upstreams/circuit\.hpp"},
}

# Folders and files without I/O, clock, threads or logs.
PURE = [r"src/base/", r"src/memory/", r"src/planner/", r"src/snapshots/", r"src/router/", r"src/upstreams/", r"src/config/(fields|model_fields|parsers|setters|command_line|load_engine|load_remote)", r"src/importer/", r"src/engines/(chat_template|child_environment|child_settings|command_launch|engine_devices|llama_cpp_args|settings|speculation|last_words|endpoint|vllm_launch)", r"src/models/(gguf|hugging_face\.)", r"src/gateway/dialect/"]
IMPURE_INCLUDES = r"<(boost/asio|thread|mutex|spdlog|fstream|sys/|unistd)"

# (pattern, where it does not apply, what to do instead)
BANNED = [
    (r"\basio::detached\b", r"$^", "spawn through platform::TaskScope"),
    (r"steady_clock::now|system_clock::now", r"src/platform/|bench/|sim/main|_bench|tests/", "take `now` as an argument, or platform::now()"),
    (r"std::(thread|mutex|condition_variable)\b", r"src/platform/|tests/|bench/", "the loop owns all state; block in platform::BlockingPool"),
    (r"\b(sleep_for|sleep_until|usleep)\b", r"bench/|tests/fake_engine/", "wait for an event"),
    (r"\b(std::)?s?rand\(", r"$^", "drover::Rng"),
    (r"\bsystem\(", r"$^", "platform::ChildProcess"),
    (r"\bFIXME\b", r"$^", "mend it"),
    (r"using namespace", r"$^", "name what is used"),
    # g++ 12 copies an aggregate that is made in the call of a coroutine bit by bit and destroys it twice.
    (r"\bco_await \S*\(\{", r"$^", "give the argument a name first"),
    # g++ 12 lays out the frame of a coroutine without locals wrongly when it awaits in a condition.
    (r"\b(if|while) \((?!.*= co_await)[^;]*\bco_await\b", r"$^", "give the awaited value a name first"),
]

LINES_MAX = {".cpp": 600, ".hpp": 250}
TEST_LINES_MAX = 800
SOURCES = ("src", "sim", "tests", "bench")


def sources(root: Path):
    for folder in SOURCES:
        yield from sorted(p for p in (root / folder).rglob("*") if p.suffix in (".cpp", ".hpp"))


def code_only(line: str) -> str:
    """The line without its comment and the insides of its strings."""
    return re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]


def check_layers(name: str, text: str):
    part = name.split("/")[1] if name.startswith("src/") else None
    if part is None:
        return
    if part not in LAYERS:
        yield 1, f"component '{part}' is not in the layering table"
        return
    if name.endswith("_test.cpp") or "/testing/" in name:
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'#include "(([a-z_]+)/[^"]+)"', line)
        if not found or found[2] == part:
            continue
        only = ONLY_HEADERS.get(part, {}).get(found[2])
        if found[2] not in LAYERS[part]:
            yield number, f"{part} may not include {found[2]}; it may include: {', '.join(LAYERS[part]) or 'nothing'}"
        elif only and not re.fullmatch(only, found[1]):
            yield number, f"{part} may include of {found[2]} only {only}"


def check_words(name: str, text: str):
    pure = any(re.match(one, name) for one in PURE) and not name.endswith("_test.cpp")
    for number, line in enumerate(text.splitlines(), 1):
        if "tidy:" in line:
            continue
        code = code_only(line)
        for pattern, elsewhere, remedy in BANNED:
            if re.search(pattern, code) and not re.match(elsewhere, name) and not name.startswith("tests/fake"):
                yield number, f"'{re.search(pattern, code)[0]}' is banned: {remedy}"
        if pure and re.search(r"#include " + IMPURE_INCLUDES, line):
            yield number, "a pure file does no I/O and knows no threads"
        if re.search(r'#include "\.\./', line):
            yield number, "include from src/, not by ../"


def check_awaited(text: str):
    """g++ 12 destroys twice what is made within a co_await expression and is a lambda with captures or an
    aggregate with a destructor (platform/async.hpp)."""
    code = "\n".join(code_only(line) for line in text.splitlines())
    for found in re.finditer(r"\bco_await\b[^;]*", code):
        if re.search(r"\{\s*\.\w|[(,]\s*\[(?!&|this\]|\])[^\]]*\]\s*[({m]", found[0]):
            yield code[: found.start()].count("\n") + 1, "made within co_await: give it a name first (platform/async.hpp)"


def check_size(name: str, path: Path, text: str):
    lines = text.count("\n")
    limit = TEST_LINES_MAX if name.endswith("_test.cpp") else LINES_MAX[path.suffix]
    if lines > limit:
        yield lines, f"{lines} lines, more than {limit}: a file is about one noun"
    if path.suffix == ".hpp" and not text.startswith("//"):
        yield 1, "a header opens with what it is for"
    if path.suffix == ".hpp" and "#pragma once" not in text:
        yield 1, "'#pragma once' is missing"


def check_listed(root: Path):
    """Every source file is in the CMakeLists.txt of its folder or of one above."""
    lists = {p.parent: p.read_text() for folder in SOURCES for p in (root / folder).rglob("CMakeLists.txt")}
    for path in sources(root):
        if path.suffix != ".cpp":
            continue
        folder = path.parent
        while folder != root and not (folder in lists and re.search(rf"(^|[\s(/]){re.escape(path.name)}\b", lists[folder])):
            folder = folder.parent
        if folder == root:
            yield path, "is in no CMakeLists.txt"


PRIVATE_NAME = re.compile(r"^(?:(?:inline )?constexpr [^=({]*?\b(k[A-Z]\w*)|(?:class|struct|enum class|enum) (\w+)(?= [{:]))", re.M)


def check_private_names(root: Path):
    """Constants and types of anonymous namespaces have names of their own within a component: the release build
    compiles many files as one."""
    seen = {}
    for path in sorted((root / "src").rglob("*.cpp")):
        if path.name.endswith("_test.cpp"):
            continue
        component = path.relative_to(root).parts[1]
        text = path.read_text()
        for space in re.finditer(r"^namespace \{\n(.*?)^\}  // namespace\n", text, re.S | re.M):
            for found in PRIVATE_NAME.finditer(space[1]):
                name = found[1] or found[2]
                first = seen.setdefault((component, name), path)
                if first != path:
                    yield path, f"'{name}' is the name of something else in {first.name}; share it, or say what differs"


def findings(root: Path):
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        text = path.read_text()
        for check in (check_layers(name, text), check_words(name, text), check_awaited(text), check_size(name, path, text)):
            for line, message in check:
                yield f"{name}:{line}: {message}"
    for path, message in [*check_listed(root), *check_private_names(root)]:
        yield f"{path.relative_to(root).as_posix()}: {message}"


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(findings(root))
    print("\n".join(found) if found else "tidy: nothing to complain about")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
