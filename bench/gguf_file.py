"""Writes GGUF files: metadata as a dictionary, tensors in f32, f16 or q8_0 with values of no meaning."""

import random
import struct

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32
TYPES = {"f32": (0, 1, 4), "f16": (1, 1, 2), "q8_0": (8, 32, 34)}  # number, elements and bytes of a block


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def kind_of(value):
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return U32 if value >= 0 else I32
    return F32 if isinstance(value, float) else STRING


def scalar(kind, value):
    if kind == STRING:
        return text(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def entry(key, value):
    if isinstance(value, list):
        kind = I32 if key == "tokenizer.ggml.token_type" else kind_of(value[0])
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(scalar(kind, v) for v in value)
    return text(key) + struct.pack("<I", kind_of(value)) + scalar(kind_of(value), value)


def tensor_bytes(kind, sizes):
    _, elements, size = TYPES[kind]
    assert sizes[0] % elements == 0, sizes
    rows = sizes[1] * sizes[2] * sizes[3]
    return sizes[0] // elements * size * rows


def noise():
    """A megabyte of small numbers: as f32 about 0.03 to 0.06, and harmless as any other type."""
    generator = random.Random(1)
    return b"".join(
        struct.pack("<f", generator.choice((-1, 1)) * generator.uniform(0.0313, 0.0624)) for _ in range(1 << 18)
    )


def write(path, metadata, tensors=(), with_values=True):
    """`tensors`: name, sizes (four), type. Without values the file is sparse: zeros that take no disk."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(entry(key, value) for key, value in metadata.items())
    offset = 0
    for name, sizes, kind in tensors:
        shape = list(sizes)
        while len(shape) > 1 and shape[-1] == 1:
            shape.pop()
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", TYPES[kind][0], offset)
        offset += tensor_bytes(kind, sizes)
        offset += -offset % ALIGNMENT
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        start = file.tell()
        if with_values:
            values = noise()
            while file.tell() < start + offset:
                file.write(values[: start + offset - file.tell()])
        file.truncate(start + offset)
