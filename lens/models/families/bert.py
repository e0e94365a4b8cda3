"""BERT: its last block is already normalised, so the stream goes straight into the whole masked-LM head."""

from __future__ import annotations

from lens.models._family import BERT_PARTS, Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("bert",),
    blocks="bert.encoder.layer",
    unembed=("cls",),
    kind="masked",
    parts=BERT_PARTS,
)
