"""A result drawn as a plotly figure, which is returned and never shown."""

from __future__ import annotations

from lens.views._curves import breakdown, curves
from lens.views._early_exit import early_exit, exit_layers
from lens.views._layer_stats import cosines, importance, skip_effect
from lens.views._lens_table import lens_table
from lens.views._page import figure_html, plotly_script
from lens.views._r2 import composition, r2_maps
from lens.views._sweep import grid, inversions, sweep
from lens.views._transfer import transfer

__all__ = [
    "breakdown",
    "composition",
    "cosines",
    "curves",
    "early_exit",
    "exit_layers",
    "figure_html",
    "grid",
    "importance",
    "inversions",
    "lens_table",
    "plotly_script",
    "r2_maps",
    "skip_effect",
    "sweep",
    "transfer",
]
