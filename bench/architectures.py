"""Hyperparameters of small models of the architectures that llama.cpp v0.5.0 knows, as GGUF metadata.

Numbers that real models keep alike (heads, key lengths, widths) differ here wherever the engine allows it, so that a size that
was computed from the wrong one is wrong.
"""

WIDTH, FEED_FORWARD, LAYERS, VOCABULARY, CONTEXT = 256, 384, 4, 512, 32768
HEADS, KV_HEADS, KEY, VALUE = 4, 2, 64, 64
WINDOW = 640

ENCODERS = """bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert gemma-embedding
    t5encoder""".split()
DIFFUSION = "dream llada llada-moe rnd1".split()
RECURRENT = "mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7".split()
HYBRID = """jamba falcon-h1 granitehybrid plamo2 lfm2 lfm2moe nemotron_h nemotron_h_moe qwen3next qwen35 qwen35moe qwen4exp
    kimi-linear kimi-k3 bailingmoe3 minimax-01""".split()
LATENT = "deepseek2 deepseek32 glm-dsa dots3note kimi-linear bailingmoe3 kimi-k3 mistral4 hy_v4".split()
EXPANDED = "minicpm3 plm".split()  # low ranks only in the weights
SLIDING = """llama4 gemma2 gemma3 gemma3n gemma4 cohere2 cohere2moe exaone4 exaone-moe gpt-oss smallthinker afmoe laguna
    olmo2 plamo3 mellum mimo2 muse-glimmer granite_swa maple spark2_5 step35 dots3note deepseek4""".split()
PLAIN = """llama deci falcon grok gpt2 gptneox mpt baichuan starcoder refact bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3
    qwen3moe qwen3vl qwen3vlmoe phi2 phi3 phimoe plamo codeshell orion internlm2 minicpm gemma starcoder2 xverse command-r
    dbrx olmo olmoe openelm arctic deepseek deepseek2-ocr chatglm glm4 glm4moe bitnet jais jais2 nemotron exaone granite
    granitemoe graniteswitch chameleon bailingmoe bailingmoe2 dots1 arcee ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense
    hunyuan_vl hy_v3 smollm3 seed_oss grovemoe apertus hrm_text minimax-m2 minimax-m3 cogvlm pangu-embedded mistral3
    paddleocr llama-embed maincoder talkie nanbeige t5""".split()
# Variants with a layer that guesses the token after next.
BASES = {"glm4moe-mtp": "glm4moe", "deepseek32-mtp": "deepseek32", "qwen35-mtp": "qwen35", "step35-mtp": "step35"}
# Known, but the engine asserts with numbers such as these, or does not serve them.
UNSERVED = {"arwkv7", "chameleon", "plm", "rwkv6", "t5", "t5encoder"}
ALL = sorted({*ENCODERS, *DIFFUSION, *RECURRENT, *HYBRID, *LATENT, *EXPANDED, *SLIDING, *PLAIN, *BASES} - UNSERVED)

EXPERTS = """llama4 cohere2moe grok qwen2moe qwen3moe qwen3next qwen3vlmoe qwen35moe qwen4exp phimoe dbrx olmoe arctic deepseek
    deepseek2 deepseek2-ocr deepseek32 dots3note deepseek4 glm4moe glm-dsa exaone-moe bailingmoe bailingmoe2 bailingmoe3 dots1
    afmoe ernie4_5-moe hunyuan-moe hy_v3 hy_v4 gpt-oss lfm2moe smallthinker llada-moe grovemoe minimax-01 minimax-m2 minimax-m3
    rnd1 mimo2 kimi-linear kimi-k3 step35 mistral4 mellum laguna maple nemotron_h_moe granitemoe nomic-bert-moe""".split()


def tokenizer(vocabulary):
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += [f"word{index}" for index in range(vocabulary - len(tokens))]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (len(tokens) - 259),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.token_type_count": 2,
    }


def shape(layers):
    """What nearly every architecture has."""
    return {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": layers,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.group_norm_epsilon": 1e-5,
        "attention.group_norm_groups": 8,
        "rope.dimension_count": KEY,
        "rope.dimension_sections": [16, 8, 8, 0],
        "rope.freq_base_swa": 10000.0,
        "vocab_size": VOCABULARY,
        "attention.sliding_window": WINDOW,
        "attention.max_alibi_bias": 8.0,
        "attention.clamp_kqv": 1.0,
        "attention.relative_buckets_count": 8,
        "logit_scale": 1.0,
        "residual_scale": 1.0,
        "use_parallel_residual": False,
    }


LATENT_ATTENTION = {
    "attention.key_length": 160 + 32,
    "attention.value_length": 160,
    "attention.kv_lora_rank": 160,
    "attention.q_lora_rank": 96,
    "attention.key_length_mla": 96,
    "attention.value_length_mla": 64,
    "rope.dimension_count": 32,
}
LOW_RANKS = {
    "attention.head_count_kv": HEADS,
    "attention.key_length": 96,
    "attention.value_length": 64,
    "attention.kv_lora_rank": 160,
    "attention.q_lora_rank": 96,
    "rope.dimension_count": 32,
}
STATE_SPACE = {
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 2 * WIDTH,
    "ssm.state_size": 128,
    "ssm.time_step_rank": 4,
    "ssm.group_count": 2,
}
INDEXER = {
    "attention.indexer.head_count": 64,
    "attention.indexer.key_length": 128,
    "attention.indexer.top_k": 2048,
    "attention.indexer.block_size": 4,
    "attention.indexer.local_blocks": 1,
}
MIXTURE = {
    "expert_count": 8,
    "expert_used_count": 2,
    "expert_shared_count": 1,
    "expert_feed_forward_length": 128,
    "expert_shared_feed_forward_length": 192,
    "expert_chunk_feed_forward_length": 64,
    "expert_gating_func": 2,
    "expert_group_scale": 1.0,
    "experts_per_group": 1,
    "expert_weights_scale": 1.0,
    "expert_weights_norm": True,
    "expert_latent_length": 128,
    "leading_dense_block_count": 1,
    "interleave_moe_layer_step": 2,
    "moe_every_n_layers": 2,
}
RWKV_RANKS = {
    "attention.decay_lora_rank": 32,
    "attention.iclr_lora_rank": 32,
    "attention.value_residual_mix_lora_rank": 32,
    "attention.gate_lora_rank": 64,
}
HYPER_CONNECTIONS = {
    "hyper_connection.count": 4,
    "hyper_connection.low_rank": 8,
    "hyper_connection.epsilon": 1e-6,
    "hyper_connection.magnitude": 2.0,
    "hyper_connection.sinkhorn_iterations": 2,
}


def alternating(first, second, layers=LAYERS):
    return [first if layer % 2 == 0 else second for layer in range(layers)]


def layers_of(architecture):
    if architecture in BASES:
        return layers_of(BASES[architecture]) + 1
    return {"gemma3n": 24, "gemma4": 10, "gemma3": 8, "exaone4": 64, "hrm_text": 8, "nemotron_h": 6, "nemotron_h_moe": 6}.get(
        architecture, 16 if architecture in ("minimax-01",) else LAYERS
    )


def heads_by_layer(architecture):
    """Architectures whose layers without attention have no heads."""
    layers = layers_of(architecture)
    if architecture in ("nemotron_h", "nemotron_h_moe"):
        # attention, recurrent, feed-forward, and again
        kv = [KV_HEADS, 0, 0] * 2
        return {
            "attention.head_count": [HEADS] * layers,
            "attention.head_count_kv": kv,
            "feed_forward_length": [0, 0, FEED_FORWARD] * 2,
        }
    if architecture in ("jamba", "granitehybrid", "plamo2", "lfm2", "lfm2moe", "kimi-linear", "kimi-k3", "bailingmoe3"):
        latent = architecture in LATENT
        return {
            "attention.head_count": alternating(HEADS, HEADS, layers),
            "attention.head_count_kv": alternating(0, 1 if latent else KV_HEADS, layers),
        }
    return {}


SPECIAL = {
    "rwkv6": {"wkv.head_size": 64, "time_mix_extra_dim": 32, "time_decay_extra_dim": 64, "attention.head_count": 0},
    "rwkv6qwen2": {"wkv.head_size": 64, "time_mix_extra_dim": 32, "time_decay_extra_dim": 64, "token_shift_count": 1},
    "rwkv7": {"wkv.head_size": 64, "attention.head_count": 0, **RWKV_RANKS},
    "arwkv7": {"wkv.head_size": 64, "token_shift_count": 1, "attention.head_count_kv": HEADS, **RWKV_RANKS},
    "gemma3n": {"embedding_length_per_layer_input": 32},
    "gemma4": {
        "embedding_length_per_layer_input": 32,
        "attention.shared_kv_layers": 5,
        "attention.key_length": 128,
        "attention.value_length": 128,
        "attention.key_length_swa": 64,
        "attention.value_length_swa": 64,
        "attention.sliding_window_pattern": [True, True, True, True, False] * 2,
        "rope.dimension_count_swa": 64,
        "rope.dimension_count": 128,
    },
    "gemma3": {"attention.key_length": 96, "attention.value_length": 96},
    "llama": {"attention.key_length": 96, "attention.value_length": 96, "rope.dimension_count": 96},
    "deci": {
        "attention.head_count": [4, 4, 0, 4],
        "attention.head_count_kv": [2, 4, 0, 1],
        "feed_forward_length": [384, 256, 384, 128],
    },
    "openelm": {"attention.head_count": [4, 4, 8, 8], "attention.head_count_kv": [1, 1, 2, 2], "feed_forward_length": [256, 384, 384, 512], "attention.key_length": 64, "attention.value_length": 64},
    "minimax-m3": {**INDEXER, "attention.indexer.head_count": KV_HEADS, "rope.dimension_count": 64},
    "hrm_text": {"hrm.layers_per_stack": 1, "hrm.h_cycles": 2, "hrm.l_cycles": 3},
    "nanbeige": {"num_loops": 2},
    "kimi-linear": {"kda.head_dim": 64, "ssm.conv_kernel": 4},
    "bailingmoe3": {"kda.head_dim": 64, "ssm.conv_kernel": 4, "kda.gate_lower_bound": -5.0},
    "kimi-k3": {
        "kda.head_dim": 64,
        "ssm.conv_kernel": 4,
        "kda.safe_gate": True,
        "kda.gate_lower_bound": -5.0,
        "attn_res.block_size": 12,
        "activation.situ_beta": 4.0,
        "activation.situ_linear_beta": 25.0,
    },
    "deepseek32": INDEXER,
    "glm-dsa": INDEXER,
    "dots3note": {
        **INDEXER,
        "attention.indexer.types": alternating(1, 0),
        "attention.sliding_window_pattern": alternating(0, 1),
        "attention.kv_lora_rank_swa": 160,
        "attention.key_length_swa": 192,
        "attention.value_length_swa": 160,
        "attention.key_length_mla_swa": 96,
        "attention.value_length_mla_swa": 64,
    },
    "hy_v4": {**INDEXER, **HYPER_CONNECTIONS, "attention.indexer.types": alternating(1, 0), "swiglu_clamp_exp": 10.0},
    "deepseek4": {
        **INDEXER,
        **HYPER_CONNECTIONS,
        "embedding_length": 512,
        "attention.head_count": 8,
        "attention.head_count_kv": 1,
        "attention.key_length": 64,
        "attention.value_length": 64,
        "rope.dimension_count": 32,
        "attention.q_lora_rank": 64,
        "attention.output_group_count": 8,
        "attention.output_lora_rank": 32,
        "attention.compress_ratios": [0, 0, 4, 128],
        "attention.compress_rope_freq_base": 160000.0,
        "hash_layer_count": 0,
        "swiglu_clamp_exp": 10.0,
        "expert_gating_func": 4,
    },
    "qwen4exp": {**INDEXER, **HYPER_CONNECTIONS, "attention.indexer.key_length": 64, "attention.compress_ratios": [4] * LAYERS},
    "apertus": {"xielu.alpha_n": 1.0, "xielu.alpha_p": 1.0, "xielu.beta": 1.0, "xielu.eps": 1e-7},
    "minicpm3": LOW_RANKS,
    "dots1": {"attention.head_count_kv": HEADS},
    "olmoe": {"attention.head_count_kv": HEADS},
    "deepseek2-ocr": {"attention.head_count_kv": HEADS},
    "t5": {"attention.head_count_kv": HEADS},
    "t5encoder": {"attention.head_count_kv": HEADS},
    "plm": LOW_RANKS,
    "plamo2": {"ssm.group_count": 0},
    "graniteswitch": {
        "adapters.count": 2,
        "adapters.lora_rank": 8,
        "adapters.token_ids_activate": [300, 301],
        "adapters.token_ids_substitute": [302, 303],
    },
    "maple": {"swiglu_clamp_exp": 7.0},
    "phi3": {"context_length": 4096},
}
GLOBAL = ("xielu.",)

# What the engine does not ask for, for real files may lack it, and cannot do without here.
CONVOLUTION_BIAS = {"ssm_conv1d.bias": [2 * WIDTH + 2 * 2 * 128]}
JOINT_PROJECTION = {"attn_qkv.weight": [WIDTH, 2 * 2 * 128 + 2 * WIDTH], "attn_gate.weight": [WIDTH, 2 * WIDTH]}
UNASKED = {
    "falcon-h1": CONVOLUTION_BIAS,
    "granitehybrid": CONVOLUTION_BIAS,
    "nemotron_h": CONVOLUTION_BIAS,
    "nemotron_h_moe": CONVOLUTION_BIAS,
    "qwen35": JOINT_PROJECTION,
    "qwen35moe": JOINT_PROJECTION,
    "qwen3next": JOINT_PROJECTION,
    "glm-dsa": {
        "indexer.k_norm.weight": [128],
        "indexer.k_norm.bias": [128],
        "indexer.proj.weight": [WIDTH, 64],
        "indexer.attn_k.weight": [WIDTH, 128],
        "indexer.attn_q_b.weight": [96, 64 * 128],
    },
}


def unasked(architecture, layer, asked):
    """Further tensors of one layer, by name: in layers that have the part that they belong to."""
    architecture = BASES.get(architecture, architecture)
    if architecture != "glm-dsa" and f"blk.{layer}.ssm_conv1d.weight" not in asked:
        return {}
    return {f"blk.{layer}.{name}": shape for name, shape in UNASKED.get(architecture, {}).items()}


def settings_of(architecture):
    return ["mtp=1"] if architecture in BASES else []


def loads_with(architecture, settings):
    """The engine computes Grok without flash attention, which a quantised cache of values needs."""
    return architecture != "grok" or not any(setting.startswith("v=") for setting in settings)


def window_pattern(architecture):
    if architecture in ("cohere2moe", "mimo2", "step35", "spark2_5", "muse-glimmer", "granite_swa", "maple"):
        return {"attention.sliding_window_pattern": alternating(0, 1)}
    return {}


def metadata(name):
    """The whole header of one architecture: keys as in a file."""
    architecture = BASES.get(name, name)
    own = shape(layers_of(architecture))
    if architecture in LATENT:
        own |= LATENT_ATTENTION | {"attention.head_count_kv": 1}
    if architecture in RECURRENT and "rwkv" not in architecture or architecture in HYBRID:
        own |= STATE_SPACE
    if architecture in ("lfm2", "lfm2moe"):
        own |= {"shortconv.l_cache": 3}
    if architecture in ("mamba", "jamba"):
        del own["ssm.group_count"]
    if architecture in EXPERTS:
        own |= MIXTURE
    own |= heads_by_layer(architecture) | window_pattern(architecture) | SPECIAL.get(architecture, {})
    header = {"general.architecture": architecture, "general.name": "random"}
    if name != architecture:
        own |= {"block_count": layers_of(name), "nextn_predict_layers": 1}
    for key, value in own.items():
        header[key if key.startswith(GLOBAL) else f"{architecture}.{key}"] = value
    return header | tokenizer(VOCABULARY)
