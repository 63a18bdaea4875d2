"""Lists the tensors that the engine wants of a model with given metadata.

usage: engine_tensors.py LIBRARY_FOLDER METADATA.gguf

The engine's own library is asked: llama_model_init_from_user makes a model of nothing but hyperparameters, and calls back for
the values of each tensor. Prints one JSON object, shapes by name. It is a process of its own, for the library aborts where
it does not like the numbers, and needs `allowance()` preloaded.
"""

import ctypes
import glob
import json
import subprocess
import sys

DIMENSIONS = 4

# At its end the loader compares what it made with what the file holds, and here there is no file.
ALLOWANCE = "void _ZNK18llama_model_loader20done_getting_tensorsEb(const void *loader, _Bool partial) {}\n"


def allowance(folder):
    """A library to preload, made in `folder`."""
    path = f"{folder}/allowance.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=ALLOWANCE, text=True, check=True
    )
    return path


class Tensor(ctypes.Structure):
    """The beginning of a ggml_tensor."""

    _fields_ = [("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("shape", ctypes.c_int64 * DIMENSIONS)]


class GgufParameters(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p)]


class ModelParameters(ctypes.Structure):
    _fields_ = [
        ("devices", ctypes.c_void_p),
        ("buffer_overrides", ctypes.c_void_p),
        ("gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int),
        ("load_mode", ctypes.c_int),
        ("lazy_mode", ctypes.c_int),
        ("main_gpu", ctypes.c_int32),
        ("tensor_split", ctypes.c_void_p),
        ("progress", ctypes.c_void_p),
        ("progress_data", ctypes.c_void_p),
        ("overrides", ctypes.c_void_p),
        ("vocabulary_only", ctypes.c_bool),
        ("check_tensors", ctypes.c_bool),
        ("extra_buffers", ctypes.c_bool),
        ("no_host", ctypes.c_bool),
        ("no_alloc", ctypes.c_bool),
        ("load_mtp", ctypes.c_bool),
    ]


VISIT = ctypes.CFUNCTYPE(None, ctypes.POINTER(Tensor), ctypes.c_void_p)


def library(folder, name):
    return ctypes.CDLL(sorted(glob.glob(f"{folder}/{name}*.so*"))[0], mode=ctypes.RTLD_GLOBAL)


def wanted_tensors(folder, metadata):
    base, ggml, llama = (library(folder, name) for name in ("libggml-base", "libggml.", "libllama."))
    base.gguf_init_from_file.restype = ctypes.c_void_p
    base.gguf_init_from_file.argtypes = [ctypes.c_char_p, GgufParameters]
    base.ggml_get_name.restype = ctypes.c_char_p
    base.ggml_get_name.argtypes = [ctypes.POINTER(Tensor)]
    llama.llama_model_default_params.restype = ModelParameters
    llama.llama_model_init_from_user.restype = ctypes.c_void_p
    llama.llama_model_init_from_user.argtypes = [ctypes.c_void_p, VISIT, ctypes.c_void_p, ModelParameters]
    ggml.ggml_backend_load_all_from_path(folder.encode())
    header = base.gguf_init_from_file(metadata.encode(), GgufParameters(True, None))
    found = {}

    def visit(tensor, _):
        # A table that is used twice is listed twice.
        found.setdefault(base.ggml_get_name(tensor).decode(), list(tensor.contents.shape))

    parameters = llama.llama_model_default_params()
    parameters.extra_buffers = False
    parameters.load_mtp = True
    if not llama.llama_model_init_from_user(header, VISIT(visit), None, parameters):
        sys.exit("the engine makes no model of it")
    return found


if __name__ == "__main__":
    json.dump(wanted_tensors(sys.argv[1], sys.argv[2]), sys.stdout)
