"""Models in Hugging Face's layout, as vLLM serves them."""

import json
import struct
import subprocess
from pathlib import Path

from support import MODELS


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


def real_models(environment: Path, timeout: float) -> Path:
    """The folder with smol and minilm for vLLM itself; made once, by its own Python, and kept in its environment."""
    folder = environment / "models"
    if not (folder / "minilm" / "modules.json").exists():
        script = Path(__file__).parent / "vllm" / "make_models.py"
        subprocess.run([environment / "bin" / "python", script, MODELS, folder], check=True, timeout=timeout)
    return folder
