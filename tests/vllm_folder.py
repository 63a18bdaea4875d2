"""Models in Hugging Face's layout, as vLLM serves them."""

import json
import struct


def make_folder(folder, tensors=1 << 20, **config):
    """A model with one tensor of zeros."""
    folder.mkdir(parents=True)
    settings = {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 256,
        "max_position_embeddings": 2048,
        **config,
    }
    (folder / "config.json").write_text(json.dumps(settings))
    head = json.dumps({"w": {"dtype": "BF16", "shape": [tensors // 2], "data_offsets": [0, tensors]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + tensors)
    return folder
