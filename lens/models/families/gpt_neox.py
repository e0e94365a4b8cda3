"""GPT-NeoX and Pythia."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("gpt_neox",),
    blocks="gpt_neox.layers",
    unembed=("gpt_neox.final_layer_norm", "lm_head"),
)
