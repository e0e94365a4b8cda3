"""OPT: some sizes normalise after each block and have no final norm, some have a narrower vocabulary."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("opt",),
    blocks="model.decoder.layers",
    unembed=("model.decoder.final_layer_norm?", "model.decoder.project_out?", "lm_head"),
    parts={"ffn": ("fc1>fc2",)},
)
