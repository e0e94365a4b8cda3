"""ELECTRA's generator (its discriminator predicts no tokens)."""

from __future__ import annotations

from lens.models._family import BERT_PARTS, Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("electra",),
    blocks="electra.encoder.layer",
    unembed=("generator_predictions", "generator_lm_head"),
    kind="masked",
    parts=BERT_PARTS,
)
