"""Cohere's Command models: Llama's names, and logits times a scale."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lens.models._family import Family

__all__ = ["FAMILY"]


def scaled(logits: Tensor, config: Any) -> Tensor:
    """Logits times the config's scale."""
    return logits * float(config.logit_scale)


FAMILY = Family(
    types=("cohere", "cohere2"),
    blocks="model.layers",
    unembed=("model.norm", "lm_head"),
    finish=scaled,
)
