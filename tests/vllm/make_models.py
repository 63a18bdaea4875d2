"""Makes folders in Hugging Face's layout out of the GGUF files of the other tests.

usage: PYTHON make_models.py MODELS FOLDER

PYTHON is that of the vLLM environment: it has torch, transformers and gguf.
"""

import json
import re
import sys
from pathlib import Path

import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertTokenizer

SMOL = "SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = "all-MiniLM-L6-v2.Q8_0.gguf"

# Of a BERT model: what llama.cpp and transformers call the same tensor.
BERT = [
    (r"token_embd\.weight", "embeddings.word_embeddings.weight"),
    (r"position_embd\.weight", "embeddings.position_embeddings.weight"),
    (r"token_types\.weight", "embeddings.token_type_embeddings.weight"),
    (r"token_embd_norm\.(.*)", r"embeddings.LayerNorm.\1"),
    (r"blk\.(\d+)\.attn_q\.(.*)", r"encoder.layer.\1.attention.self.query.\2"),
    (r"blk\.(\d+)\.attn_k\.(.*)", r"encoder.layer.\1.attention.self.key.\2"),
    (r"blk\.(\d+)\.attn_v\.(.*)", r"encoder.layer.\1.attention.self.value.\2"),
    (r"blk\.(\d+)\.attn_output\.(.*)", r"encoder.layer.\1.attention.output.dense.\2"),
    (r"blk\.(\d+)\.attn_output_norm\.(.*)", r"encoder.layer.\1.attention.output.LayerNorm.\2"),
    (r"blk\.(\d+)\.ffn_up\.(.*)", r"encoder.layer.\1.intermediate.dense.\2"),
    (r"blk\.(\d+)\.ffn_down\.(.*)", r"encoder.layer.\1.output.dense.\2"),
    (r"blk\.(\d+)\.layer_output_norm\.(.*)", r"encoder.layer.\1.output.LayerNorm.\2"),
]


# The same of a Llama model.
LLAMA = [
    (r"token_embd\.weight", "model.embed_tokens.weight"),
    (r"output_norm\.weight", "model.norm.weight"),
    (r"blk\.(\d+)\.attn_norm\.weight", r"model.layers.\1.input_layernorm.weight"),
    (r"blk\.(\d+)\.ffn_norm\.weight", r"model.layers.\1.post_attention_layernorm.weight"),
    (r"blk\.(\d+)\.attn_([qkv])\.weight", r"model.layers.\1.self_attn.\2_proj.weight"),
    (r"blk\.(\d+)\.attn_output\.weight", r"model.layers.\1.self_attn.o_proj.weight"),
    (r"blk\.(\d+)\.ffn_(gate|up|down)\.weight", r"model.layers.\1.mlp.\2_proj.weight"),
]


class Gguf:
    def __init__(self, file: Path):
        reader = GGUFReader(file)
        self.field = {name: one.contents() for name, one in reader.fields.items() if not name.startswith("GGUF.")}
        self.tensors = {one.name: torch.from_numpy(dequantize(one.data, one.tensor_type).copy()).float() for one in reader.tensors}


def renamed(name: str, names: list) -> str:
    for pattern, replacement in names:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    raise ValueError(f"unknown tensor {name}")


def save(folder: Path, tensors: dict, config: dict):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))


def unpermuted(tensor, heads: int):
    """llama.cpp keeps the two halves of a rotated pair beside each other."""
    return tensor.reshape(heads, -1, 2, tensor.shape[1]).swapaxes(1, 2).reshape(tensor.shape)


def make_smol(models: Path, folder: Path):
    model = Gguf(models / SMOL)
    field = {name.removeprefix("llama."): value for name, value in model.field.items()}
    heads = {"q": field["attention.head_count"], "k": field["attention.head_count_kv"]}
    tensors = {}
    for name, tensor in model.tensors.items():
        rotated = re.fullmatch(r"blk\.\d+\.attn_([qk])\.weight", name)
        tensor = unpermuted(tensor, heads[rotated[1]]) if rotated else tensor
        tensors[renamed(name, LLAMA)] = tensor.bfloat16()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": field["embedding_length"],
        "num_hidden_layers": field["block_count"],
        "num_attention_heads": heads["q"],
        "num_key_value_heads": heads["k"],
        "intermediate_size": field["feed_forward_length"],
        "max_position_embeddings": field["context_length"],
        "rms_norm_eps": field["attention.layer_norm_rms_epsilon"],
        "rope_theta": field["rope.freq_base"],
        "vocab_size": tensors["model.embed_tokens.weight"].shape[0],
        "tie_word_embeddings": True,
        "bos_token_id": field["tokenizer.ggml.bos_token_id"],
        "eos_token_id": field["tokenizer.ggml.eos_token_id"],
        "torch_dtype": "bfloat16",
    }
    save(folder, tensors, config)
    AutoTokenizer.from_pretrained(models, gguf_file=SMOL).save_pretrained(folder)


def bert_token(token: str) -> str:
    """llama.cpp marks the beginnings of words, BERT their continuations."""
    if token.startswith("\u2581"):
        return token[1:]
    return token if re.fullmatch(r"\[.*\]", token) else "##" + token


def make_minilm(models: Path, folder: Path):
    model = Gguf(models / MINILM)
    field = model.field
    tensors = {renamed(name, BERT): tensor for name, tensor in model.tensors.items()}
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": field["bert.embedding_length"],
        "num_hidden_layers": field["bert.block_count"],
        "num_attention_heads": field["bert.attention.head_count"],
        "intermediate_size": field["bert.feed_forward_length"],
        "max_position_embeddings": field["bert.context_length"],
        "layer_norm_eps": field["bert.attention.layer_norm_epsilon"],
        "vocab_size": tensors["embeddings.word_embeddings.weight"].shape[0],
        "type_vocab_size": tensors["embeddings.token_type_embeddings.weight"].shape[0],
        "torch_dtype": "float32",
    }
    save(folder, tensors, config)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(bert_token(one) for one in field["tokenizer.ggml.tokens"]) + "\n")
    BertTokenizer(str(vocabulary)).save_pretrained(folder)
    pooling = folder / "1_Pooling"
    pooling.mkdir(exist_ok=True)
    mean = {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True}
    (pooling / "config.json").write_text(json.dumps(mean))
    kind = "sentence_transformers.models"
    parts = [("", f"{kind}.Transformer"), ("1_Pooling", f"{kind}.Pooling"), ("2_Normalize", f"{kind}.Normalize")]
    modules = [{"idx": i, "name": str(i), "path": path, "type": type_} for i, (path, type_) in enumerate(parts)]
    (folder / "modules.json").write_text(json.dumps(modules))


def main():
    models, folder = Path(sys.argv[1]), Path(sys.argv[2])
    make_smol(models, folder / "smol")
    make_minilm(models, folder / "minilm")


main()
