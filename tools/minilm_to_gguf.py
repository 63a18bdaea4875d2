#!/usr/bin/env python3
"""Writes all-MiniLM-L6-v2 (safetensors, as sentence-transformers publishes it) as a Q8_0 GGUF file.

usage: minilm_to_gguf.py MODEL_DIRECTORY OUTPUT.gguf

Needs the packages gguf and numpy. Covers just this model's layout: a BERT encoder with mean pooling.
The key and tensor names are those that llama.cpp reads for the architecture "bert".
"""

import json
import struct
import sys
from pathlib import Path

import gguf
import numpy as np

PHANTOM_SPACE = "\u2581"  # llama.cpp marks the start of a word where WordPiece marks its continuation


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All float tensors of a safetensors file, as float32."""
    data = path.read_bytes()
    (header_length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + header_length])
    body = memoryview(data)[8 + header_length :]
    tensors = {}
    for name, info in header.items():
        if name == "__metadata__" or info["dtype"] not in ("F32", "F16"):
            continue
        begin, end = info["data_offsets"]
        dtype = np.float32 if info["dtype"] == "F32" else np.float16
        tensors[name] = np.frombuffer(body[begin:end], dtype=dtype).reshape(info["shape"]).astype(np.float32)
    return tensors


def gguf_name(name: str) -> str | None:
    """llama.cpp's name of a BERT tensor; None for those that it does not use."""
    fixed = {
        "embeddings.word_embeddings.weight": "token_embd.weight",
        "embeddings.position_embeddings.weight": "position_embd.weight",
        "embeddings.token_type_embeddings.weight": "token_types.weight",
        "embeddings.LayerNorm.weight": "token_embd_norm.weight",
        "embeddings.LayerNorm.bias": "token_embd_norm.bias",
    }
    if name in fixed:
        return fixed[name]
    parts = {
        "attention.self.query": "attn_q",
        "attention.self.key": "attn_k",
        "attention.self.value": "attn_v",
        "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm",
        "intermediate.dense": "ffn_up",
        "output.dense": "ffn_down",
        "output.LayerNorm": "layer_output_norm",
    }
    words = name.split(".")
    if words[:2] != ["encoder", "layer"]:
        return None
    part = parts.get(".".join(words[3:-1]))
    return f"blk.{words[2]}.{part}.{words[-1]}" if part else None


def add_tokenizer(writer: gguf.GGUFWriter, directory: Path) -> None:
    tokens, kinds = [], []
    words = (directory / "vocab.txt").read_text(encoding="utf-8").split("\n")
    words = words[:-1] if words[-1] == "" else words
    for word in words:
        special = word.startswith("[") and word.endswith("]") and len(word) > 2
        if special:
            tokens.append(word)
        elif word.startswith("##"):
            tokens.append(word[2:])
        else:
            tokens.append(PHANTOM_SPACE + word)
        kinds.append(gguf.TokenType.CONTROL if special else gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_type_count(2)
    writer.add_unk_token_id(words.index("[UNK]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_pad_token_id(words.index("[PAD]"))
    writer.add_mask_token_id(words.index("[MASK]"))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_eos_token_id(words.index("[SEP]"))


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    directory, output = Path(sys.argv[1]), sys.argv[2]
    config = json.loads((directory / "config.json").read_text())
    if config["model_type"] != "bert":
        sys.exit(f"{directory}: a model of type {config['model_type']}, not bert")
    writer = gguf.GGUFWriter(output, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    add_tokenizer(writer, directory)
    for name, tensor in read_safetensors(directory / "model.safetensors").items():
        target = gguf_name(name)
        if target is None:
            continue
        matrix = tensor.ndim == 2 and target not in ("position_embd.weight", "token_types.weight")
        if matrix:
            quantised = gguf.quants.quantize(tensor, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(target, quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(target, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
