"""What a decoder remembers of each token while it writes.

To write the next token, attention needs the keys and values of all tokens before it. They are kept,
not computed again, and for long texts they outweigh the model. Fewer heads for keys and values
make them smaller, and a compressed vector from which keys and values are made, smaller still.
"""

from dlcourse.compute.machines.hardware import device
from dlcourse.compute.memory.states import States


def bytes_per_token(
    n_layers: int, n_kv_heads: int, head_width: int, bytes_per_number: int = 2
) -> int:
    """Bytes kept of one token: a key and a value in each layer for each of its heads.

    .. displayed:: eq-memory-kv

    `n_kv_heads` is the number of heads in multi-head attention, 1 where all share one (Shazeer,
    2019), between the two in grouped-query attention (Ainslie et al., 2023). Raises `ValueError`
    unless the sizes are whole numbers, 1 or more.

    >>> bytes_per_token(n_layers=126, n_kv_heads=8, head_width=128)  # Llama 3.1 405B
    516096
    """
    _whole(n_layers=n_layers, n_kv_heads=n_kv_heads, head_width=head_width)
    return 2 * n_layers * n_kv_heads * head_width * bytes_per_number


def bytes_per_token_latent(
    n_layers: int, latent_width: int, rotated_width: int, bytes_per_number: int = 2
) -> int:
    """Bytes kept of one token by multi-head latent attention, whatever its number of heads.

    Each layer keeps one compressed vector for keys and values together and one rotated key. Raises
    `ValueError` unless the sizes are whole numbers, 1 or more.
    Reference: DeepSeek-AI (2024), DeepSeek-V2, section 2.1. Book: eq. `eq-memory-latent`.

    >>> bytes_per_token_latent(n_layers=61, latent_width=512, rotated_width=64)  # DeepSeek-V3
    70272
    """
    _whole(n_layers=n_layers, latent_width=latent_width, rotated_width=rotated_width)
    return n_layers * (latent_width + rotated_width) * bytes_per_number


def tokens_that_fit(device_name: str, weight_bytes: int | States, token_bytes: int) -> int:
    """Tokens, of all texts together, that fit beside the weights on one device; 0 if none do."""
    weights = weight_bytes.weights if isinstance(weight_bytes, States) else weight_bytes
    return max(0, device(device_name).memory_bytes - weights) // token_bytes


def _whole(**sizes):
    for name, value in sizes.items():
        if value != int(value) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1, got {value!r}.")
