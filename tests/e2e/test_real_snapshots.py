"""Conversations that outlive their engine, with the real one: `cache_n` says what it did not compute again."""

import base64
import contextlib
import random
import signal
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import random_model
from support import ENGINE, wait_until

pytestmark = pytest.mark.timeout(300)
WORDS = ["river", "stone", "cloud", "seven", "green", "walks", "over", "the", "a", "house", "never", "falls"]
SHORT = 150  # tokens, about: enough to be worth keeping, and quick to compute
WINDOW = 512  # of Gemma 3: only longer conversations slide


class Conversation:
    """One user's chat with one model."""

    def __init__(self, server, model: str, seed: int, tokens: int = SHORT, system: dict | None = None):
        words = " ".join(random.Random(seed).choice(WORDS) for _ in range(tokens))
        self.server, self.model = server, model
        self.messages = [*([system] if system else []), {"role": "user", "content": f"Conversation {seed}: {words}."}]
        self.timings = self.answer()

    def answer(self) -> dict:
        body = {"model": self.model, "messages": self.messages, "max_tokens": 6, "temperature": 0}
        answer = self.server.post("/v1/chat/completions", body, timeout=300)
        assert answer.status_code == 200, answer.text
        self.messages.append(answer.json()["choices"][0]["message"])
        self.timings = answer.json()["timings"]
        return self.timings

    def goes_on(self) -> dict:
        self.messages.append({"role": "user", "content": "And then?"})
        return self.answer()

    def check_it_was_kept(self):
        """All but the last answer and the new question came from the snapshot."""
        before = self.timings["cache_n"] + self.timings["prompt_n"]
        after = self.goes_on()
        assert after["cache_n"] >= before - 2, (before, after)


def leave(server, model: str):
    assert server.run("stop", model).returncode == 0


def totals(server) -> dict:
    return server.get("/admin/ps").json()["snapshots"]


def config(files: dict, settings: dict | None = None, **others) -> dict:
    """Time is no matter here, and a machine may be busy: what a limit does is tested with the fake engine."""
    models = {name: {"file": str(file), **(settings or {})} for name, file in files.items()}
    snapshots = {"time_limit": "30s", **others.pop("snapshots", {})}
    return {"models": models, "defaults": {"context": 1024}, "snapshots": snapshots, **others}


@pytest.fixture
def smol(real_models):
    return {"smol": real_models["smol"]}


def test_a_conversation_goes_on_after_its_model_was_evicted(start, real_models):
    files = {name: real_models[name] for name in ("smol", "minilm")}
    probe = start(config(files))
    sizes = [one["estimated_bytes"] for one in probe.get("/admin/models").json()["models"] if one["name"] in files]
    probe.stop()
    server = start(config(files, memory={"budget": str(max(sizes) + (48 << 20)), "min_residency": "1ms"}))
    talk = Conversation(server, "smol", 1)
    assert server.post("/v1/embeddings", {"model": "minilm", "input": "out of the way"}).status_code == 200
    assert server.instances().get("smol", {}).get("state") in (None, "asleep")
    talk.check_it_was_kept()
    wait_until(lambda: totals(server)["hits"] == 1, 10, "the hit")
    seen = totals(server)
    assert seen["saved"] == 1 and seen["misses"] == 0 and seen["tokens_saved"] >= SHORT and seen["saved_ms"] > 0
    assert 0 < seen["bytes"] < 64 << 20
    assert "snapshot" in server.run("ps").stdout


@pytest.mark.parametrize("settings", [{"cache_type_k": "q8_0", "cache_type_v": "q8_0"}, {"flash_attention": False}])
def test_other_forms_of_cache(start, smol, settings):
    server = start(config(smol, settings))
    talk = Conversation(server, "smol", 2)
    leave(server, "smol")
    talk.check_it_was_kept()


def test_a_sliding_window(start, real_models):
    server = start(config({"gemma": real_models["gemma"]}))
    talk = Conversation(server, "gemma", 3, WINDOW + 40)
    leave(server, "gemma")
    talk.check_it_was_kept()


def test_answers_that_come_back_as_another_text(start, real_models):
    """A model that cannot go back computes everything again, once; from then on it is saved as it was before the answer."""
    server = start(config({"gemma": real_models["gemma"]}))
    talk = Conversation(server, "gemma", 15, WINDOW + 40)
    leave(server, "gemma")
    talk.messages[-1]["content"] = "Nobody ever said this."
    assert talk.goes_on()["cache_n"] == 0
    leave(server, "gemma")
    assert totals(server)["misses"] == 1
    prompt = talk.timings["prompt_n"]
    talk.messages[-1]["content"] = "Nor this."
    assert talk.goes_on()["cache_n"] >= prompt - 4


def test_more_conversations_than_slots(start, smol):
    """The latest is restored at the load; the older one is recalled for the request that needs it."""
    server = start(config(smol, {"parallel": 1, "prompt_cache": 0}))
    older = Conversation(server, "smol", 4)
    leave(server, "smol")
    newer = Conversation(server, "smol", 5)
    leave(server, "smol")
    older.check_it_was_kept()
    assert "snapshot.recalled" in server.log_file.read_text()
    leave(server, "smol")
    newer.check_it_was_kept()
    older.check_it_was_kept()


def test_a_conversation_that_lost_its_slot_again_is_recalled(start, smol):
    """At once, before anybody has looked at the slots: who holds what follows from the requests."""
    server = start(config(smol, {"parallel": 1, "prompt_cache": 0}))
    talk = Conversation(server, "smol", 20)
    leave(server, "smol")
    talk.check_it_was_kept()
    Conversation(server, "smol", 21)
    # The turn since it was saved went with the slot.
    assert talk.goes_on()["cache_n"] >= SHORT


def test_who_shares_a_system_prompt_does_not_stand_for_the_conversation(start, smol):
    server = start(config(smol, {"parallel": 1, "prompt_cache": 0}))
    system = {"role": "system", "content": "You are brief. " * 50}
    talk = Conversation(server, "smol", 22, system=system)
    leave(server, "smol")
    other = Conversation(server, "smol", 23, system=system)
    assert other.timings["cache_n"] > 100  # the beginning that both have
    talk.check_it_was_kept()


def test_new_conversations_do_not_make_snapshots_useless(start, smol):
    server = start(config(smol, {"parallel": 1, "prompt_cache": 0}))
    for seed in range(24, 30):
        talk = Conversation(server, "smol", seed)
        leave(server, "smol")
    assert "snapshots.useless" not in server.log_file.read_text()
    assert totals(server)["saved"] == 6
    talk.check_it_was_kept()


@pytest.mark.parametrize("path, asked", [
    ("/v1/messages", lambda turns: {"messages": turns}),
    ("/v1/responses", lambda turns: {"input": turns}),
    ("/api/chat", lambda turns: {"messages": turns, "stream": False}),
])
def test_conversations_of_every_api_are_recalled(start, smol, path, asked):
    server = start(config(smol, {"parallel": 1, "prompt_cache": 0}))
    turns = [{"role": "user", "content": " ".join(random.Random(31).choice(WORDS) for _ in range(SHORT))}]

    def ask():
        answer = server.post(path, {"model": "smol", "max_tokens": 6, "max_output_tokens": 6, **asked(turns)}, timeout=300)
        assert answer.status_code == 200, answer.text

    ask()
    leave(server, "smol")
    Conversation(server, "smol", 32)
    ask()
    assert "snapshot.recalled model=smol" in server.log_file.read_text()


def test_two_names_for_one_file_keep_what_the_other_has_saved(start, real_models):
    file = str(real_models["smol"])
    server = start(config({}) | {"models": {"one": {"file": file, "parallel": 1}, "two": {"file": file, "parallel": 2}}})
    talks = [Conversation(server, name, seed) for seed, name in ((33, "one"), (34, "two"))]
    for talk in talks:
        leave(server, talk.model)
    for talk in talks:
        talk.check_it_was_kept()
    assert "snapshots.discarded" not in server.log_file.read_text()


@pytest.mark.parametrize("arguments", [[], ["--kv-unified"]])
def test_several_slots_at_once(start, smol, arguments):
    server = start(config(smol, {"parallel": 2, "extra_args": arguments}))
    with ThreadPoolExecutor(2) as pool:  # at once: one after the other, both might use the same slot
        talks = list(pool.map(lambda seed: Conversation(server, "smol", seed), (6, 7)))
    leave(server, "smol")
    for talk in reversed(talks):
        talk.check_it_was_kept()
    wait_until(lambda: totals(server)["hits"] == 2, 10, "both hits")


def test_embeddings_leave_nothing(start, real_models):
    server = start(config({"minilm": real_models["minilm"]}))
    assert server.post("/v1/embeddings", {"model": "minilm", "input": "word " * 300}).status_code == 200
    leave(server, "minilm")
    assert totals(server)["saved"] == 0


def test_a_restart_of_the_server_and_a_damaged_file(start, smol, tmp_path):
    folder = tmp_path / "kept"
    kept = {"snapshots": {"directory": str(folder)}}
    server = start(config(smol, **kept))
    talk = Conversation(server, "smol", 8)
    assert server.stop() == 0
    talk.server = start(config(smol, **kept))
    talk.check_it_was_kept()
    assert talk.server.stop() == 0
    [file] = folder.glob("*.kv")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    talk.server = start(config(smol, **kept))
    assert talk.goes_on()["cache_n"] == 0
    assert talk.server.log_file.read_text().count("snapshot.discarded") == 1


def test_other_settings_discard_what_was_kept(start, smol, tmp_path):
    kept = {"snapshots": {"directory": str(tmp_path / "kept")}}
    server = start(config(smol, **kept))
    talk = Conversation(server, "smol", 9)
    assert server.stop() == 0
    talk.server = start(config(smol, {"cache_type_k": "q8_0"}, **kept))
    assert talk.goes_on()["cache_n"] == 0
    assert talk.server.log_file.read_text().count("snapshots.discarded") == 1


def test_a_full_disk_fails_no_request(start, smol):
    server = start(config(smol, snapshots={"budget": "1MiB"}))
    talk = Conversation(server, "smol", 10)
    leave(server, "smol")
    assert talk.goes_on()["cache_n"] == 0
    assert totals(server)["bytes"] == 0


def test_a_server_killed_while_it_saves_leaves_nothing_broken(start, smol, tmp_path):
    folder = tmp_path / "kept"
    kept = {"snapshots": {"directory": str(folder)}}
    server = start(config(smol, **kept))
    talk = Conversation(server, "smol", 11)

    def stop_it():
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(f"{server.url}/admin/unload", json={"model": "smol"}, trust_env=False)

    stopping = threading.Thread(target=stop_it)
    stopping.start()
    wait_until(lambda: list(folder.glob("*.tmp")) or list(folder.glob("*.kv")), 60, "a file")
    server.stop(signal.SIGKILL)
    stopping.join()
    talk.server = start(config(smol, **kept))
    assert not list(folder.glob("*.tmp"))
    talk.goes_on()
    assert totals(talk.server)["count"] <= 1
    assert talk.server.stop() == 0


def test_the_models_own_switch(start, smol):
    server = start(config(smol, {"snapshots": False}))
    talk = Conversation(server, "smol", 14)
    leave(server, "smol")
    assert talk.goes_on()["cache_n"] == 0


@pytest.mark.parametrize("architecture", ["mamba", "jamba"])
def test_recurrent_layers(start, tmp_path, architecture):
    """They cannot go back by a single token, so the prompt must go on exactly where it was."""
    file = tmp_path / f"{architecture}.gguf"
    random_model.write(architecture, file)
    server = start(config({"tiny": file}))
    prompt = "hello world " * 30
    for _ in range(3):
        body = {"model": "tiny", "prompt": prompt, "max_tokens": 1, "temperature": 0}
        answer = server.post("/v1/completions", body)
        assert answer.status_code == 200, answer.text
        timings = answer.json()["timings"]
        if prompt.endswith("more "):
            assert timings["cache_n"] >= len(prompt) - len("and more "), timings
        prompt += "and more "
        leave(server, "tiny")
    wait_until(lambda: totals(server)["hits"] == 2, 10, "two hits")


def picture(colour: tuple[int, int, int]) -> str:
    """A PNG of one colour, as a data URL."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = random_model.IMAGE
    rows = (b"\0" + bytes(colour) * size) * size
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def test_a_conversation_with_a_picture_is_kept_and_no_other_picture_passes_for_it(start, tmp_path):
    if not ENGINE:
        pytest.skip("DROVER_ENGINE is not set; run scripts/test")
    file = tmp_path / "seer.gguf"
    random_model.write("llama", file)
    random_model.write_projector(tmp_path / "mmproj-seer.gguf")
    server = start(config({"seer": file}))
    text = {"type": "text", "text": "What do you see? " * 10}

    def ask(colour):
        image = {"type": "image_url", "image_url": {"url": picture(colour)}}
        body = {"model": "seer", "messages": [{"role": "user", "content": [text, image]}], "max_tokens": 4, "temperature": 0}
        answer = server.post("/v1/chat/completions", body, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()["timings"]

    first = ask((255, 0, 0))
    leave(server, "seer")
    same = ask((255, 0, 0))
    assert same["cache_n"] >= first["prompt_n"] - 2
    leave(server, "seer")
    other = ask((0, 0, 255))
    assert other["cache_n"] < same["cache_n"]
