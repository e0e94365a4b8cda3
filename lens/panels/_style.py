"""How controls look beside each other."""

from __future__ import annotations

from typing import Final

__all__ = ["PLAIN"]

PLAIN: Final = {"description_width": "initial"}  # a label as wide as its words
