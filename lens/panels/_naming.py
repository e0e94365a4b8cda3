"""How the files that are saved of a panel are called."""

from __future__ import annotations

import re
from collections.abc import Iterator

import ipywidgets as widgets

from lens.panels.live import Picture

__all__ = ["file_name", "name_pictures", "panel_words", "pictures"]


def pictures(widget: widgets.Widget) -> Iterator[Picture]:
    """The pictures in a widget, in the order in which they stand."""
    if isinstance(widget, Picture):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from pictures(child)


def file_name(*words: str) -> str:
    """`lens` and these words, joined by hyphens, of signs that every system takes."""
    kept = [re.sub(r"[^\w.]+", "-", word).strip("-._")[:60] for word in words]
    return "-".join(["lens", *filter(None, kept)])


def panel_words(key: str) -> list[str]:
    """The words of a panel's key; the first of `lens_table` is said already."""
    return key.removeprefix("lens_").split("_")


def name_pictures(widget: widgets.Widget, key: str, model: str) -> None:
    """Say to the pictures of a panel which panel and model they show; of several, each adds its own title."""
    found = list(pictures(widget))
    stem = file_name(*panel_words(key), model)
    for picture in found:
        picture.stem = stem if len(found) == 1 else f"{stem}-"
