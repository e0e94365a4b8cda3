"""BLOOM: GPT-2's names, but its attention and feed-forward modules add the residual themselves."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("bloom",),
    blocks="transformer.h",
    unembed=("transformer.ln_f", "lm_head"),
    parts={"attn": ("self_attention>self_attention.dense",), "ffn": ("mlp>mlp.dense_4h_to_h",)},
)
