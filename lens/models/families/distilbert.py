"""DistilBERT: the head's four steps lie beside the encoder."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("distilbert",),
    blocks="distilbert.transformer.layer",
    unembed=("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    kind="masked",
)
