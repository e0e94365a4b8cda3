"""Widgets: a person's questions, and the pictures of their answers.

`explore` is the workbench; every panel of it stands alone as well, as `lens.panels.jump(model)`, by its key.
"""

from __future__ import annotations

from lens.panels._explore import Explore, explore
from lens.panels._panel import Panel, panels

__all__ = ["Explore", "Panel", "explore", "panels"]


def __getattr__(name: str) -> Panel:
    """Each panel by its key."""
    if name.startswith("_") or name not in panels():
        raise AttributeError(f"module 'lens.panels' has no attribute {name!r}; panels are {', '.join(panels())}")
    return panels()[name]


def __dir__() -> list[str]:
    """Every public name, with the panels'."""
    return sorted({*__all__, *panels()})
