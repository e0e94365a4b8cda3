"""Gemma 3 with eyes: the language model inside it, whose logits have no cap."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("gemma3",),
    blocks="model.language_model.layers",
    unembed=("model.language_model.norm", "lm_head"),
)
