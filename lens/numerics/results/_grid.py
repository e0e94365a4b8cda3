"""A sweep over two things at once: strategies by window, starts by stops, windows by loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lens.numerics.results._estimate import Estimate
from lens.numerics.results._sweep import SWEEP_METRICS, Sweep

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Grid"]


@dataclass(frozen=True, eq=False)
class Grid:
    """A `Sweep` whose rows are laid out along two axes; cells without a plan are NaN."""

    title: str
    row_axis: str  # what differs between rows
    column_axis: str
    rows: tuple[str, ...]  # (R,)
    columns: tuple[int, ...]  # (C,)
    at: NDArray[np.int64]  # (R, C) row of the sweep, −1 where there is none
    sweep: Sweep

    def __repr__(self) -> str:
        return f"Grid({self.title!r}, {len(self.rows)} × {len(self.columns)}; .of('change') has the numbers)"

    def of(self, metric: str, bin: str | None = None) -> Estimate:
        """One of "change", "loss", "kl", "agreement" or "time", as (R, C).

        Of a sweep by position in one of its bins: the first, which is position 0, unless `bin` names another;
        ValueError where there is none of that name. Time has no bins.
        """
        place = 0 if bin is None else self.sweep.bins.index(bin)
        estimate: Estimate = self.sweep.time if metric == "time" else getattr(self.sweep, metric)[:, place]
        return Estimate(self._laid(estimate.value), self._laid(estimate.error))

    def cost(self, name: str) -> NDArray[np.float64]:
        """ "applications", "depth" or "spread", as (R, C)."""
        return self._laid(getattr(self.sweep, name))

    def plan(self, row: int, column: int) -> str:
        """The (first) plan of a cell; "" where there is none."""
        place = int(self.at[row, column])
        return "" if place < 0 else self.sweep.plans[place][0]

    def best(self, metric: str = "change") -> tuple[int | None, ...]:
        """For each row the column with the least of a metric (the most agreement), in the first bin; None in an empty
        row.
        """
        values = self.of(metric).value * (-1 if metric == "agreement" else 1)
        return tuple(None if np.isnan(row).all() else self.columns[int(np.nanargmin(row))] for row in values)

    def frame(self) -> pd.DataFrame:
        """One row per cell, each measure that of the first bin."""
        import pandas as pd

        axes = np.indices(self.at.shape)
        columns: dict[str, Any] = {
            self.row_axis: np.array(self.rows, object)[axes[0]].ravel(),
            self.column_axis: np.array(self.columns)[axes[1]].ravel(),
            "plan": [self.plan(*place) for place in np.ndindex(*self.at.shape)],
        }
        for metric in (*SWEEP_METRICS, "time"):
            estimate = self.of(metric)
            columns |= {metric: estimate.value.ravel(), f"{metric}_error": estimate.error.ravel()}
        for name in ("spread", "applications", "depth"):
            columns[name] = self.cost(name).ravel()
        return pd.DataFrame(columns)[self.at.ravel() >= 0].reset_index(drop=True)

    def _laid(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.at < 0, np.nan, values[np.maximum(self.at, 0)])
