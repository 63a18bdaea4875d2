"""Writes models with random weights in Q4_0, to measure what only size shows.

Their shapes are those of known models (TinyLlama, Mistral 7B, Qwen2.5 32B), their vocabulary is that of the small default
model. They say nonsense as fast as real ones.

usage: large_model.py FILE SOURCE [SHAPE]
"""

import os
import random
import struct
import sys
from dataclasses import dataclass

@dataclass
class Shape:
    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    context: int


SHAPES = {
    "1.1b": Shape(22, 2048, 5632, 32, 4, 8192),
    "7b": Shape(32, 4096, 14336, 32, 8, 32768),
    "32b": Shape(64, 5120, 27648, 40, 8, 32768),
}
ALIGNMENT = 32
U32, F32, STRING, ARRAY = 4, 6, 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, U32: 4, 5: 4, F32: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of GGUF's scalar types
TYPE_F32, TYPE_Q4_0 = 0, 2
BLOCK, BLOCK_BYTES = 32, 18
PIECE_BLOCKS = 1 << 16


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + (
        text(value) if kind == STRING else struct.pack("<f" if kind == F32 else "<I", value))


class Header:
    """Steps through the entries of a GGUF header."""

    def __init__(self, data):
        self.data, self.at = data, 24
        self.count = struct.unpack_from("<Q", data, 16)[0]

    def number(self, form):
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def skip_text(self):
        length = self.number("<Q")
        self.at += length

    def skip_value(self, kind):
        if kind == STRING:
            self.skip_text()
        elif kind == ARRAY:
            inner, count = self.number("<I"), self.number("<Q")
            if inner == STRING:
                for _ in range(count):
                    self.skip_text()
            else:
                self.at += count * SIZES[inner]
        else:
            self.at += SIZES[kind]

    def entries(self, prefix):
        """The entries whose keys begin with `prefix`, as bytes."""
        found = []
        for _ in range(self.count):
            begun = self.at
            length = self.number("<Q")
            key = self.data[self.at:self.at + length].decode()
            self.at += length
            self.skip_value(self.number("<I"))
            if key.startswith(prefix):
                found.append(self.data[begun:self.at])
        return found


def vocabulary_size(entries):
    """Of the array `tokenizer.ggml.tokens`."""
    one = next(entry for entry in entries if entry[8:].startswith(b"tokenizer.ggml.tokens"))
    return struct.unpack_from("<Q", one, 8 + len("tokenizer.ggml.tokens") + 8)[0]


def tensors_of(shape, vocabulary):
    width, narrow, forward = shape.width, shape.width * shape.kv_heads // shape.heads, shape.feed_forward
    tensors = {"token_embd.weight": (width, vocabulary), "output_norm.weight": (width,)}
    for layer in range(shape.layers):
        at = f"blk.{layer}"
        tensors |= {
            f"{at}.attn_norm.weight": (width,), f"{at}.ffn_norm.weight": (width,),
            f"{at}.attn_q.weight": (width, width), f"{at}.attn_output.weight": (width, width),
            f"{at}.attn_k.weight": (width, narrow), f"{at}.attn_v.weight": (width, narrow),
            f"{at}.ffn_gate.weight": (width, forward), f"{at}.ffn_up.weight": (width, forward),
            f"{at}.ffn_down.weight": (forward, width),
        }
    return tensors


def blocks_of_random_values(rng):
    """Blocks of Q4_0 are a scale of 1/256 and 32 random values."""
    return b"".join(b"\x00\x1c" + rng.randbytes(BLOCK_BYTES - 2) for _ in range(PIECE_BLOCKS))


def pieces(shape, piece):
    """A tensor's bytes: the same random blocks over and over."""
    if len(shape) == 1:
        yield struct.pack(f"<{shape[0]}f", *[1.0] * shape[0])
        return
    blocks = shape[0] * shape[1] // BLOCK
    while blocks > 0:
        yield piece[:blocks * BLOCK_BYTES]
        blocks -= PIECE_BLOCKS


def write(file, source, name="1.1b"):
    """`source` is a GGUF file of which the vocabulary is taken."""
    shape = SHAPES[name]
    with open(source, "rb") as model:
        entries = Header(model.read(64 << 20)).entries("tokenizer.")
    tensors = tensors_of(shape, vocabulary_size(entries))
    entries += [
        entry("general.architecture", STRING, "llama"), entry("general.name", STRING, f"random {name}"),
        entry("llama.context_length", U32, shape.context), entry("llama.embedding_length", U32, shape.width),
        entry("llama.block_count", U32, shape.layers), entry("llama.feed_forward_length", U32, shape.feed_forward),
        entry("llama.attention.head_count", U32, shape.heads), entry("llama.attention.head_count_kv", U32, shape.kv_heads),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), entry("general.file_type", U32, TYPE_Q4_0),
        entry("llama.rope.dimension_count", U32, shape.width // shape.heads),
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries)
    offset = 0
    for tensor, sizes in tensors.items():
        plain = len(sizes) == 1
        size = sizes[0] * 4 if plain else sizes[0] * sizes[1] // BLOCK * BLOCK_BYTES
        head += text(tensor) + struct.pack("<I", len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes)
        head += struct.pack("<IQ", TYPE_F32 if plain else TYPE_Q4_0, offset)
        offset += size + -size % ALIGNMENT
    blocks = blocks_of_random_values(random.Random(1))
    with open(file + ".part", "wb") as out:
        out.write(head + bytes(-len(head) % ALIGNMENT))
        for sizes in tensors.values():
            size = sum(out.write(piece) for piece in pieces(sizes, blocks))
            out.write(bytes(-size % ALIGNMENT))
    os.replace(file + ".part", file)


if __name__ == "__main__":
    write(*sys.argv[1:])
