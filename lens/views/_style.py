"""One look for all figures: colours that mean the same everywhere, and text that stays text."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["CIVIDIS", "colour", "faded", "layout", "plain"]

CIVIDIS: Final = "Cividis"
# as in the panels: orange is id, blue is mat; the others tell apart for colour-blind eyes (Okabe & Ito 2008)
COLOURS: Final = {
    "id": "#d9730d",
    "mat": "#2f7bc8",
    "~attn": "#128a63",
    "round-robin": "#128a63",
    "affine": "#128a63",
    "~ffn": "#b0447f",
    "by r²": "#b0447f",
    "tuned": "#b0447f",
    "~ln": "#7a6a00",
    "ridge": "#7a6a00",
    "lowrank": "#5a4fcf",
    "skip": "#57606a",
    "middle repeat": "#b42318",
    "reverse": "#7a6a00",
    "random": "#b0447f",
    "parallel": "#128a63",
    "looped parallel": "#5a4fcf",
}
OTHER: Final = "#57606a"


def colour(key: str) -> str:
    """The colour of a cast, a part or another method."""
    return COLOURS.get(key, OTHER)


def faded(key: str) -> str:
    """That colour, thin enough for a band."""
    red, green, blue = (int(colour(key)[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def layout(title: str, x: str, y: str, **more: Any) -> dict[str, Any]:
    """The layout of a figure with two named axes."""
    return {
        "title": {"text": plain(title), "x": 0, "xanchor": "left", "font": {"size": 16}},
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
        "template": "plotly_white",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "height": 380,
        "margin": {"l": 60, "r": 20, "t": 60, "b": 50},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
    } | more


def plain(text: str) -> str:
    """Text as text: plotly reads some mark-up in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
