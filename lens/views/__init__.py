"""A result drawn as a plotly figure, which is returned and never shown."""

from __future__ import annotations

from lens.views._lens_table import lens_table

__all__ = ["lens_table"]
