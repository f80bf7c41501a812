"""Operations that a step's mathematics needs: what throughput is held against (model FLOPs utilisation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def decoder_forward(config: Any, lengths: Sequence[int], heads: int) -> float:
    """A causal decoder's forward pass over sequences, its head at so many places.

    Args:
        config: of the language model.
        lengths: tokens of each sequence, no padding.
        heads: places where logits are computed.
    """
    width, layers, inner = config.hidden_size, config.num_hidden_layers, config.intermediate_size
    size = getattr(config, "head_dim", None) or width // config.num_attention_heads
    queries = config.num_attention_heads * size
    keys = (config.num_key_value_heads or config.num_attention_heads) * size
    weights = layers * (2 * width * queries + 2 * width * keys + 3 * width * inner)
    # Two products of queries with keys and weights with values; half of each is masked.
    attention = layers * 2 * queries
    return float(sum(2.0 * weights * n + attention * n * n for n in lengths) + 2.0 * width * config.vocab_size * heads)


def tower_forward(config: Any, crops: int) -> float:
    """A CLIP tower's forward pass over so many crops."""
    width, layers = config.hidden_size, config.num_hidden_layers
    patches = (config.image_size // config.patch_size) ** 2
    tokens = patches + 1
    weights = layers * (4 * width * width + 2 * width * config.intermediate_size)
    attention = layers * 4 * width * tokens * tokens
    return float(crops * (2.0 * weights * tokens + attention + 2.0 * 3 * config.patch_size**2 * width * patches))
