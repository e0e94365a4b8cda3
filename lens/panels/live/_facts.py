"""A few numbers side by side, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import traitlets

from lens.panels.live._live import Picture

__all__ = ["Facts"]


class Facts(Picture, asset="facts"):
    """A table whose first column names its rows.

    `spec` is `{"title", "columns": [{"title", "format", "digits", "error"}], "rows": [[cell, …]], "note"}`. A `format`
    is "text", "token", "index", "number" or "percent" (of a share in 0…1), the last two with `digits` after the point.
    A cell is a text or a number, null where none is known; where the column has an `error`, it is
    `[value, standard error]`.
    """

    spec = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def fill(self, title: str, columns: list[dict[str, Any]], rows: list[list[Any]], note: str = "") -> None:
        """Show a table; what is no number in it is unknown."""
        self.spec = {"title": title, "columns": columns, "rows": [_known(row) for row in rows], "note": note}


def _known(cells: Sequence[Any]) -> list[Any]:
    """Cells as JSON holds them."""
    return [_known(cell) if isinstance(cell, list | tuple) else _plain(cell) for cell in cells]


def _plain(cell: Any) -> Any:
    value = cell.item() if hasattr(cell, "item") else cell
    return None if isinstance(value, float) and not math.isfinite(value) else value
