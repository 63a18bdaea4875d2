"""`drover plan` and `POST /admin/plan` for models that are somewhere else: only their headers are fetched."""

import json

import pytest
from random_model import F32, STRING, U32, entry, tokenizer, write_file
from registry import digest_of

pytestmark = pytest.mark.usefixtures("needs_the_program")

MIB = 1 << 20


def header(long: bool = False):
    """A decoder of two layers; with `long` its header is larger than what is fetched first."""
    return [
        entry("general.architecture", STRING, "llama"),
        entry("llama.context_length", U32, 8192),
        entry("llama.embedding_length", U32, 256),
        entry("llama.block_count", U32, 2),
        entry("llama.feed_forward_length", U32, 512),
        entry("llama.attention.head_count", U32, 4),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        entry("tokenizer.chat_template", STRING, "word " * (300_000 if long else 1)),
        *tokenizer(),
    ]


def layer(number: int):
    # Named as norms, whose values are quickly made.
    return {f"blk.{number}.{name}_norm.weight": (256, 4096) for name in ("attn", "ffn", "post")}


def model(tmp_path, long: bool = False) -> bytes:
    file = tmp_path / "made.gguf"
    write_file(file, header(long), {"token_embd.weight": (256, 259)} | layer(0) | layer(1))
    return file.read_bytes()


def parts(tmp_path) -> dict[str, bytes]:
    """The same model in two files, as large ones lie on the hub."""
    split = lambda number: [entry("split.no", U32, number), entry("split.count", U32, 2)]  # noqa: E731
    shapes = [{"token_embd.weight": (256, 259)} | layer(0), layer(1)]
    found = {}
    for number, entries in enumerate([header() + split(0), split(1)]):
        name = f"big-Q8_0-0000{number + 1}-of-00002.gguf"
        write_file(tmp_path / name, entries, shapes[number])
        found[name] = (tmp_path / name).read_bytes()
    return found


def planned(machine, *arguments) -> dict:
    process = machine.run("plan", *arguments, "--budget", "8GiB", "--json")
    assert process.returncode == 0, process.err
    return json.loads(process.out)["models"][0]


@pytest.mark.parametrize("long", [False, True])
def test_a_registrys_model_is_planned_as_if_it_were_here(machine, registry, tmp_path, long):
    content = model(tmp_path, long)
    registry.add("library/tiny:8b", [("model", content)])
    away = planned(machine, "tiny:8b")
    (tmp_path / "here.gguf").write_bytes(content)
    here = planned(machine, str(tmp_path / "here.gguf"))
    assert away["bytes"] == here["bytes"] and away["bytes"] > len(content)
    assert registry.bytes_sent(digest_of(content)) < len(content) // 2
    assert not machine.blob(content).exists()


def test_redirects_are_followed(machine, registry, elsewhere, tmp_path):
    content = model(tmp_path)
    registry.add("library/tiny:8b", [("model", content)])
    elsewhere.blobs[digest_of(content)] = content
    registry.faults.redirect_to = elsewhere.url
    assert planned(machine, "tiny:8b")["bytes"] > len(content)
    assert elsewhere.bytes_sent("/cdn/") <= MIB


def test_all_parts_of_a_split_model_on_the_hub_count(machine, registry, tmp_path):
    registry.repositories["org/big-GGUF"] = parts(tmp_path)
    registry.add("library/tiny:8b", [("model", model(tmp_path))])
    split = planned(machine, "hf.co/org/big-GGUF:Q8_0")
    assert split["bytes"] == planned(machine, "tiny:8b")["bytes"]
    assert len({one["path"] for one in registry.sent("/resolve/")}) == 2


def test_projectors_count(machine, registry, tmp_path):
    content = projector = model(tmp_path)
    registry.add("library/plain:8b", [("model", content)])
    registry.add("library/seeing:8b", [("model", content), ("projector", projector)])
    more = planned(machine, "seeing:8b")["bytes"] - planned(machine, "plain:8b")["bytes"]
    assert abs(more - len(projector)) < MIB


def test_a_server_without_ranges_is_named(machine, registry, tmp_path):
    registry.add("library/tiny:8b", [("model", model(tmp_path))])
    registry.faults.no_ranges = True
    refused = machine.run("plan", "tiny:8b", "--budget", "8GiB")
    assert refused.returncode == 1 and "whole files" in refused.err


def test_what_is_nowhere_is_said(machine):
    refused = machine.run("plan", "nobody:8b", "--budget", "8GiB")
    assert refused.returncode == 1 and "nobody:8b" in refused.err


def test_a_server_plans_for_them_too(fake, registry, tmp_path):
    content = model(tmp_path)
    registry.add("library/tiny:8b", [("model", content)])
    server = fake({"a": ""}, {"store": {"registry": registry.url}})
    answer = server.post("/admin/plan", {"models": ["a", "tiny:8b"], "budget": "8GiB"})
    assert answer.status_code == 200, answer.text
    assert [one["model"] for one in answer.json()["models"]] == ["a", "tiny:8b"]
    assert server.post("/admin/plan", {"models": ["nobody:8b"]}).status_code == 404
