"""The families of decoder-only models: one row each says how it differs from Llama.

Every row is checked against the class of that name in transformers, on random sizes.
"""

from dlcourse.compute.models.configs.decoders import Family

ALL = "qkvo"
QKV_ON_FLAG = (("attention_bias", "qkv"),)
PLAIN = {"is_gated": False, "hidden_bias": True, "norm_vectors": 2}  # as before Llama

LLAMA = Family(hidden_bias="mlp_bias")
GPT = Family(biases=ALL, positions=0, **PLAIN)

FAMILIES: dict[str, Family] = {
    "arcee": Family(is_gated=False, hidden_bias="mlp_bias"),
    "biogpt": Family(biases=ALL, positions=2, **PLAIN),
    "bloom": Family(biases=ALL, has_embedding_norm=True, **PLAIN),
    "codegen": Family(n_norms=1, head_bias=True, **PLAIN),
    "cohere": Family(n_norms=1, head_norms="each", head_norms_if="use_qk_norm"),
    "cohere2": Family(n_norms=1, full_every=4),
    "deepseek_v2": LLAMA,
    "deepseek_v3": LLAMA,
    "ernie4_5": Family(biases_if=(("use_bias", ALL),), hidden_bias="use_bias"),
    "exaone4": Family(head_norms="one", full_every="sliding_window_pattern"),
    "gemma": Family(),
    "gemma2": Family(n_norms=4, full_every=2),
    "gemma3_text": Family(n_norms=4, head_norms="one", full_every=6),
    "glm": Family(biases_if=QKV_ON_FLAG),
    "glm4": Family(biases_if=QKV_ON_FLAG, n_norms=4),
    "glm4_moe": Family(biases_if=QKV_ON_FLAG, head_norms="one", head_norms_if="use_qk_norm"),
    "gpt2": GPT,
    "gpt_bigcode": GPT,
    "gpt_neo": Family(biases="o", positions=0, **PLAIN),
    "gpt_neox": Family(**PLAIN),
    "gpt_oss": Family(has_sinks=True, router_bias=True, expert_bias=True, full_every=2),
    "gptj": Family(n_norms=1, head_bias=True, **PLAIN),
    "granite": LLAMA,
    "granitemoe": Family(),
    "granitemoeshared": Family(),
    "helium": Family(biases_if=QKV_ON_FLAG, hidden_bias="mlp_bias"),
    "hunyuan_v1_dense": Family(head_norms="one"),
    "llama": LLAMA,
    "llama4_text": Family(),
    "minimax_m2": Family(head_norms="each"),
    "ministral": Family(),
    "ministral3": Family(),
    "mistral": Family(),
    "mixtral": Family(),
    "nanochat": Family(norm_vectors=0, is_gated=False),
    "nemotron": Family(is_gated=False, hidden_bias="mlp_bias", norm_vectors=2),
    "olmo": Family(norm_vectors=0),
    "olmo2": Family(head_norms="each"),
    "olmo3": Family(head_norms="each", full_every=4),
    "olmoe": Family(head_norms="each"),
    "openai-gpt": Family(biases=ALL, positions=0, has_final_norm=False, **PLAIN),
    "persimmon": Family(
        biases=ALL, head_norms="one", head_norms_if="qk_layernorm", head_norm_vectors=2, **PLAIN
    ),
    "phi": Family(
        biases=ALL,
        n_norms=1,
        head_norms="one",
        head_norms_if="qk_layernorm",
        head_norm_vectors=2,
        head_bias=True,
        **PLAIN,
    ),
    "phi3": Family(),
    "phimoe": Family(norm_vectors=2, head_bias="lm_head_bias"),
    "qwen2": Family(biases="qkv"),
    "qwen2_moe": Family(biases_if=(("qkv_bias", "qkv"),)),
    "qwen3": Family(head_norms="one"),
    "qwen3_moe": Family(head_norms="one"),
    "seed_oss": Family(
        biases_if=(("attention_bias", "qkv"), ("attention_out_bias", "o")), hidden_bias="mlp_bias"
    ),
    "smollm3": LLAMA,
    "stablelm": Family(
        biases_if=(("use_qkv_bias", "qkv"),),
        norm_vectors=2,
        head_norms="each",
        head_norms_if="qk_layernorm",
    ),
    "starcoder2": Family(
        biases_if=(("use_bias", ALL),), is_gated=False, hidden_bias="use_bias", norm_vectors=2
    ),
    "xglm": Family(biases=ALL, **PLAIN),
}
