"""RoBERTa and XLM-R: BERT's blocks, a head of their own, positions counted from behind the padding's."""

from __future__ import annotations

from lens.models._family import BERT_PARTS, Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("roberta", "xlm-roberta", "camembert"),
    blocks="roberta.encoder.layer",
    unembed=("lm_head",),
    kind="masked",
    parts=BERT_PARTS,
    positions_after_padding=True,
)
