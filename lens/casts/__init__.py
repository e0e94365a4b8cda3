"""Casts: functions from the stream at one boundary to the stream at another, their fitting and their files."""

from __future__ import annotations

from lens.casts._cast import Cast, broken_casts, cast_named, casts
from lens.casts._maps import CARD, Card, Maps, store_folder

__all__ = ["CARD", "Card", "Cast", "Maps", "broken_casts", "cast_named", "casts", "store_folder"]
