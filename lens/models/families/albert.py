"""ALBERT: one shared block (or a few) called again and again; each call is a block here."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("albert",),
    blocks="albert.encoder.albert_layer_groups",
    unembed=("predictions",),
    kind="masked",
)
