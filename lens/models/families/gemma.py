"""Gemma 2 and 3 (text): Llama's names, and logits bent smoothly to stay below a cap."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lens.models._family import Family

__all__ = ["FAMILY"]


def soft_cap(logits: Tensor, config: Any) -> Tensor:
    """Logits squeezed into (−cap, cap), where the config has a cap."""
    cap = config.final_logit_softcapping
    return logits if cap is None else torch.tanh(logits / cap) * cap


FAMILY = Family(
    types=("gemma2", "gemma3_text"),
    blocks="model.layers",
    unembed=("model.norm", "lm_head"),
    finish=soft_cap,
)
