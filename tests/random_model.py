"""Writes a tiny model with random weights, for kinds of cache of which no small real model is at hand.

usage: random_model.py {llama|mamba|jamba|projector} FILE

It says nonsense, but its cache behaves as that of a large one: `llama` has only attention layers, `mamba` only recurrent
ones, `jamba` both. `projector` is what lets `llama` see: an image becomes 16 embeddings.
"""

import random
import struct
import sys
from pathlib import Path

WIDTH, INNER, STATE, RANK, CONV = 64, 128, 16, 4, 4
HEADS, FEED_FORWARD, LAYERS = 4, 128, 4
IMAGE, PATCH = 32, 8
ALIGNMENT = 32
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind: int, value) -> bytes:
    if kind == STRING:
        return text(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def entry(key: str, kind: int, value) -> bytes:
    if isinstance(value, list):
        items = b"".join(scalar(kind, one) for one in value)
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return text(key) + struct.pack("<I", kind) + scalar(kind, value)


def tokenizer() -> list[bytes]:
    """One token for each byte: any text can be said."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [2, 3, 3] + [6] * 256  # unknown, control, byte
    return [
        entry("tokenizer.ggml.model", STRING, "llama"),
        entry("tokenizer.ggml.tokens", STRING, tokens),
        entry("tokenizer.ggml.scores", F32, [0.0] * len(tokens)),
        entry("tokenizer.ggml.token_type", I32, kinds),
        entry("tokenizer.ggml.bos_token_id", U32, 1),
        entry("tokenizer.ggml.eos_token_id", U32, 2),
        entry("tokenizer.ggml.unknown_token_id", U32, 0),
    ]


def recurrent_layer(at: str, norms: bool) -> dict[str, tuple[int, ...]]:
    tensors = {
        f"{at}.ssm_in.weight": (WIDTH, 2 * INNER),
        f"{at}.ssm_conv1d.weight": (CONV, INNER),
        f"{at}.ssm_conv1d.bias": (INNER,),
        f"{at}.ssm_x.weight": (INNER, RANK + 2 * STATE),
        f"{at}.ssm_dt.weight": (RANK, INNER),
        f"{at}.ssm_dt.bias": (INNER,),
        f"{at}.ssm_a": (STATE, INNER),
        f"{at}.ssm_d": (INNER,),
        f"{at}.ssm_out.weight": (INNER, WIDTH),
    }
    if norms:
        tensors |= {f"{at}.ssm_dt_norm.weight": (RANK,), f"{at}.ssm_b_norm.weight": (STATE,), f"{at}.ssm_c_norm.weight": (STATE,)}
    return tensors


def attention_layer(at: str) -> dict[str, tuple[int, ...]]:
    return {f"{at}.attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}


def feed_forward(at: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{at}.ffn_norm.weight": (WIDTH,),
        f"{at}.ffn_gate.weight": (WIDTH, FEED_FORWARD),
        f"{at}.ffn_down.weight": (FEED_FORWARD, WIDTH),
        f"{at}.ffn_up.weight": (WIDTH, FEED_FORWARD),
    }


def values(name: str, shape: tuple[int, ...], rng: random.Random) -> bytes:
    count = 1
    for size in shape:
        count *= size
    if name.endswith("norm.weight"):
        return struct.pack(f"<{count}f", *[1.0] * count)
    if name.endswith("ssm_a"):  # decays
        return struct.pack(f"<{count}f", *(-rng.uniform(0.5, 2.0) for _ in range(count)))
    return struct.pack(f"<{count}f", *(rng.gauss(0, 0.1) for _ in range(count)))


def write(architecture: str, file: Path):
    hybrid = architecture == "jamba"
    plain = architecture == "llama"
    attends = [plain or (hybrid and layer % 2 == 1) for layer in range(LAYERS)]
    shapes = {"token_embd.weight": (WIDTH, 259), "output_norm.weight": (WIDTH,)}
    for layer, attention in enumerate(attends):
        at = f"blk.{layer}"
        shapes[f"{at}.attn_norm.weight"] = (WIDTH,)
        shapes |= attention_layer(at) if attention else recurrent_layer(at, hybrid)
        if hybrid or plain:
            shapes |= feed_forward(at)
    entries = [
        entry("general.architecture", STRING, architecture),
        entry("general.name", STRING, f"random {architecture}"),
        entry(f"{architecture}.context_length", U32, 8192),
        entry(f"{architecture}.embedding_length", U32, WIDTH),
        entry(f"{architecture}.block_count", U32, LAYERS),
        entry(f"{architecture}.feed_forward_length", U32, FEED_FORWARD if hybrid or plain else 0),
        entry(f"{architecture}.attention.head_count", U32, HEADS if hybrid or plain else 0),
        entry(f"{architecture}.attention.layer_norm_rms_epsilon", F32, 1e-5),
        *tokenizer(),
    ]
    if not plain:
        entries += [
            entry(f"{architecture}.ssm.conv_kernel", U32, CONV),
            entry(f"{architecture}.ssm.inner_size", U32, INNER),
            entry(f"{architecture}.ssm.state_size", U32, STATE),
            entry(f"{architecture}.ssm.time_step_rank", U32, RANK),
        ]
    if hybrid:
        entries.append(entry("jamba.attention.head_count_kv", I32, [HEADS if one else 0 for one in attends]))
    write_file(file, entries, shapes)


def write_projector(file: Path):
    """A vision tower of one layer and LLaVA's two-layer projector."""
    shapes = {
        "v.patch_embd.weight": (PATCH, PATCH, 3, WIDTH),
        "v.position_embd.weight": (WIDTH, (IMAGE // PATCH) ** 2),
        "mm.0.weight": (WIDTH, WIDTH),
        "mm.0.bias": (WIDTH,),
        "mm.2.weight": (WIDTH, WIDTH),
        "mm.2.bias": (WIDTH,),
    }
    for layer in range(2):  # the last one is not used
        at = f"v.blk.{layer}"
        for name, size in {"attn_q": WIDTH, "attn_k": WIDTH, "attn_v": WIDTH, "attn_out": WIDTH}.items():
            shapes |= {f"{at}.{name}.weight": (WIDTH, size), f"{at}.{name}.bias": (size,)}
        shapes |= {f"{at}.ffn_up.weight": (WIDTH, FEED_FORWARD), f"{at}.ffn_up.bias": (FEED_FORWARD,)}
        shapes |= {f"{at}.ffn_down.weight": (FEED_FORWARD, WIDTH), f"{at}.ffn_down.bias": (WIDTH,)}
        for name in ("ln1", "ln2"):
            shapes |= {f"{at}.{name}.weight": (WIDTH,), f"{at}.{name}.bias": (WIDTH,)}
    entries = [
        entry("general.architecture", STRING, "clip"),
        entry("clip.has_vision_encoder", BOOL, True),
        entry("clip.projector_type", STRING, "mlp"),
        entry("clip.use_gelu", BOOL, True),
        entry("clip.vision.image_size", U32, IMAGE),
        entry("clip.vision.patch_size", U32, PATCH),
        entry("clip.vision.embedding_length", U32, WIDTH),
        entry("clip.vision.feed_forward_length", U32, FEED_FORWARD),
        entry("clip.vision.block_count", U32, 2),
        entry("clip.vision.projection_dim", U32, WIDTH),
        entry("clip.vision.attention.head_count", U32, HEADS),
        entry("clip.vision.attention.layer_norm_epsilon", F32, 1e-5),
        entry("clip.vision.image_mean", F32, [0.5, 0.5, 0.5]),
        entry("clip.vision.image_std", F32, [0.5, 0.5, 0.5]),
    ]
    write_file(file, entries, shapes)


def write_file(file: Path, entries: list[bytes], shapes: dict[str, tuple[int, ...]]):
    """GGUF with all tensors in f32."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(entries)) + b"".join(entries)
    data = b""
    rng = random.Random(1)
    for name, shape in shapes.items():
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", 0, len(data))  # f32
        data += values(name, shape, rng)
        data += bytes(-len(data) % ALIGNMENT)
    file.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)


if __name__ == "__main__":
    kind, file = sys.argv[1], Path(sys.argv[2])
    write_projector(file) if kind == "projector" else write(kind, file)
