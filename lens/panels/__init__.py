"""Widgets: a person's questions, and the pictures of their answers."""

from __future__ import annotations

from lens.panels._explore import Explore, explore

__all__ = ["Explore", "explore"]
