"""Granite: Llama's names, and logits divided by a scale."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lens.models._family import Family

__all__ = ["FAMILY"]


def divided(logits: Tensor, config: Any) -> Tensor:
    """Logits divided by the config's scale."""
    return logits / float(config.logits_scaling)


FAMILY = Family(
    types=("granite", "granitemoe"),
    blocks="model.layers",
    unembed=("model.norm", "lm_head"),
    finish=divided,
)
