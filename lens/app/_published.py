"""What "Jump to Conclusions" reports, to stand beside what is measured here.

Numbers marked second-hand are from a co-author's list of the paper's claims, the others from its abstract.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PUBLISHED"]

SECOND_HAND: Final = " (second-hand)"

PUBLISHED: Final[dict[str, tuple[str, ...]]] = {
    "r2": (f"Figures 2–3{SECOND_HAND}: mat r² above id r² for every pair; id explains almost nothing in BERT.",),
    "curves": (
        f"Figure 4{SECOND_HAND}: GPT-2, 48 layers: P@1 of mat over id by more than 20 points up to layer 44; early "
        "layers P@10 62–82 %, P@5 52–74 %, P@1 28–45 %.",
        f"Figure 5{SECOND_HAND}: BERT, 24 layers, first ten: mat 8–52 %, id about 0; over 25 % of final predictions "
        "found from layer 3.",
    ),
    "early exit": (
        "Abstract: at 95 % accuracy mat saves 7.9 % (GPT-2) and 5.4 % (BERT) of the layers more than id.",
        f"Figure 9{SECOND_HAND}: 24-layer GPT-2: mat saves about 3.3 layers (13.8 %), id 1.4 (5.9 %); 24-layer BERT: "
        "mat 4.8 (20 %), id 3.5 (14.6 %).",
    ),
    "sub-modules": (
        f"Figure 10{SECOND_HAND}: 24-layer GPT-2: from about layer 7 each of the three variants beats mat; attention "
        "loses least.",
    ),
    "transfer": (
        f"Section 5.2{SECOND_HAND}: fitted on one corpus, tested on the other: GPT-2 −5.5 and −8 points P@1, BERT "
        "−0.1 and +1.1.",
    ),
}
