"""Phi 1 to 2, and others that spell the last norm this way."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("phi", "persimmon"),
    blocks="model.layers",
    unembed=("model.final_layernorm", "lm_head"),
)
