"""Names for screen readers, where ipywidgets gives none."""

from __future__ import annotations

from lens.panels.live._live import Live

__all__ = ["Reach"]


class Reach(Live, asset="reach"):
    """Nothing to see: the sliders around it are called by their labels, as every other control is."""
