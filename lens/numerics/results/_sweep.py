"""Many plans on the same texts, compared with the full model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SWEEP_METRICS", "Sweep"]

SWEEP_METRICS: Final = ("change", "loss", "kl", "agreement")


@dataclass(frozen=True, eq=False)
class Sweep:
    """What each of P rows of plans does to the predictions; a row of several plans (seeds) is their mean.

    Axes: P rows, B bins of positions. Means are over tokens, errors over sentences; `change` is paired, token by token,
    so that its error is smaller than that of two losses. A mean over seeds is over those seeds: `spread` says how much
    single plans of the row differ.
    """

    model: str
    corpus: str
    rows: tuple[str, ...]  # (P,) what each row is called
    plans: tuple[tuple[str, ...], ...]  # (P,) its plans
    bins: tuple[str, ...]  # (B,) ("all",), or ranges of positions
    full: Estimate  # (B,) nats, loss of the full model on the text's next (or masked) token
    loss: Estimate  # (P, B) nats, under the plan
    change: Estimate  # (P, B) nats, loss minus that of the full model
    kl: Estimate  # (P, B) nats, KL(model ‖ plan)
    agreement: Estimate  # (P, B) share of tokens whose top-1 is the full model's
    spread: NDArray[np.float64]  # (P,) standard deviation of `change` over the row's plans; NaN for one plan
    applications: NDArray[np.float64]  # (P,) blocks that run, mean over the row's plans
    depth: NDArray[np.float64]  # (P,) blocks that run one after the other
    time: Estimate  # (P,) measured, as a multiple of the full model's; NaN where it was not
    timed: int  # sentences on which time was measured
    shared: float  # blocks that really ran, as a share of all that the plans name; equal beginnings run once
    sentences: int
    tokens: NDArray[np.int64]  # (B,)

    def __repr__(self) -> str:
        seen = f"{int(self.tokens.sum()):,} tokens of {self.sentences:,} sentences"
        return f"Sweep({self.model!r}, {len(self.rows)} rows on {seen}; .frame() is a table)"

    def row(self, name: str) -> int:
        """The place of a row."""
        return self.rows.index(name)

    def frame(self) -> pd.DataFrame:
        """One row per (row, bin): each measure with its error, and what it costs."""
        import pandas as pd

        axes = np.indices(self.loss.value.shape)
        columns: dict[str, Any] = {
            "row": np.array(self.rows, object)[axes[0]].ravel(),
            "plan": np.array([plans[0] for plans in self.plans], object)[axes[0]].ravel(),
            "plans": np.array([len(plans) for plans in self.plans])[axes[0]].ravel(),
            "bin": np.array(self.bins, object)[axes[1]].ravel(),
            "tokens": self.tokens[axes[1]].ravel(),
        }
        for metric in SWEEP_METRICS:
            estimate: Estimate = getattr(self, metric)
            columns |= {metric: estimate.value.ravel(), f"{metric}_error": estimate.error.ravel()}
        for name in ("spread", "applications", "depth"):
            columns[name] = getattr(self, name)[axes[0]].ravel()
        columns |= {"time": self.time.value[axes[0]].ravel(), "time_error": self.time.error[axes[0]].ravel()}
        return pd.DataFrame(columns)
