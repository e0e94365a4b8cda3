"""ModernBERT: normalised before each block, so a final norm stands before the head."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("modernbert",),
    blocks="model.layers",
    unembed=("model.final_norm", "head", "decoder"),
    kind="masked",
)
