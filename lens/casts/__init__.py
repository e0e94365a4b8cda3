"""Casts, one file each, and the files that fitted maps live in."""

from __future__ import annotations

from lens.casts._card import CARD, Card, card_text
from lens.casts._cast import Cast, cast_named, casts
from lens.casts._maps import Maps, store_folder
from lens.casts._shared import HeldMaps, SharedMaps, card_of

__all__ = [
    "CARD",
    "Card",
    "Cast",
    "HeldMaps",
    "Maps",
    "SharedMaps",
    "card_of",
    "card_text",
    "cast_named",
    "casts",
    "store_folder",
]
