"""How controls look beside each other."""

from __future__ import annotations

from typing import Any, Final

import ipywidgets as widgets

__all__ = ["PLAIN", "plain"]

PLAIN: Final = {"description_width": "initial"}  # a label as wide as its words


def plain(description: str, **options: Any) -> widgets.Dropdown:
    """Choices that say themselves what they are about: their description is only for those who can't see them."""
    made = widgets.Dropdown(description=description, **options)
    made.add_class("lens-plain")
    return made
