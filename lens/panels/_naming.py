"""How the files that are saved of a panel are called."""

from __future__ import annotations

import re
from collections.abc import Iterator

import ipywidgets as widgets

from lens.panels.live import Picture

__all__ = ["file_name", "name_pictures", "pictures"]


def pictures(widget: widgets.Widget) -> Iterator[Picture]:
    """The pictures in a widget, in the order in which they stand."""
    if isinstance(widget, Picture):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from pictures(child)


def file_name(*words: str) -> str:
    """`lens` and these words, joined by hyphens, of signs that every system takes."""
    kept = [re.sub(r"[^\w.]+", "-", word).strip("-._")[:60] for word in ("lens", *words)]
    return "-".join(filter(None, kept))


def name_pictures(widget: widgets.Widget, key: str, model: str) -> None:
    """Say to the pictures of a panel which panel and model they show; of several, each adds its own title."""
    found = list(pictures(widget))
    stem = file_name(key.replace("_", "-"), model)
    for picture in found:
        picture.stem = stem if len(found) == 1 else f"{stem}-"
