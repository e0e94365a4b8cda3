"""Llama, and the many decoders that kept its names."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("llama", "mistral", "qwen2", "qwen3", "gemma", "olmo", "olmo2"),
    blocks="model.layers",
    unembed=("model.norm", "lm_head"),
)
