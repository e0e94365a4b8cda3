"""What there is to know about a family of models: where its blocks are and what turns the last stream into logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from torch import Tensor

from lens._discovery import discover

__all__ = ["BERT_PARTS", "Family", "Finish", "Kind", "families"]

# BERT and those that kept its names: the residual is added where the layer norms are, after a part's last product
BERT_PARTS = {
    "attn": ("attention.self>attention.output.dense",),
    "ffn": ("intermediate>output.dense",),
    "ln": ("attention.output.LayerNorm", "output.LayerNorm"),
}

Kind = Literal["causal", "masked"]
Finish = Callable[[Tensor, Any], Tensor]


@dataclass(frozen=True)
class Family:
    """Where the parts of a model are, as dotted paths from the Hugging Face model.

    `unembed` names the modules that the stream at the last boundary passes through, in order, to become logits. A path
    that ends in `?` is passed over where that module is None or absent (some sizes of OPT have no final norm).
    """

    types: tuple[str, ...]  # the `model_type`s of the configs that this family serves
    blocks: str  # the ModuleList of the blocks
    unembed: tuple[str, ...]
    kind: Kind = "causal"
    finish: Finish | None = None  # (logits, config) -> logits: what the model does after its head (a scale, a soft cap)
    positions_after_padding: bool = False  # RoBERTa counts positions from padding_idx + 1
    # where "attn", "ffn" or "ln" are in a block, if not under their usual names: "name", or "first>last" of a row
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@cache
def families() -> tuple[dict[str, Family], dict[str, str]]:
    """Every family by model type, and each file of `families/` that failed to import with the reason."""
    return discover("lens.models.families", "FAMILY", lambda family: family.types)
