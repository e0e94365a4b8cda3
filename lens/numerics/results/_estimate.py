"""A number and how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Estimate", "jackknife", "ratio"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Values with their standard errors over sentences, both of one shape; NaN where there is none."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.value.shape != self.error.shape:
            raise ValueError(f"values of shape {self.value.shape} and errors of shape {self.error.shape}")

    def __getitem__(self, at: Any) -> Estimate:
        """The part of both at an index."""
        return Estimate(np.asarray(self.value[at]), np.asarray(self.error[at]))

    def __repr__(self) -> str:
        if self.value.ndim == 0:
            return f"{float(self.value):.4f} ± {float(self.error):.4f}"
        return f"Estimate(shape {self.value.shape}; .value and .error are arrays)"


def ratio(sums: ArrayLike, counts: ArrayLike) -> Estimate:
    """Mean over tokens, Σ sums / Σ counts, of sentences (S, …), with its standard error over sentences.

    The error is that of a ratio of two means over clusters (Cochran 1977, eq. 6.13): tokens of one sentence are alike,
    so that counting them as independent would promise too much. NaN below two sentences that count.
    """
    sums, counts = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    total = counts.sum(0)
    taking_part = (counts > 0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = sums.sum(0) / total
        spread = ((sums - value * counts) ** 2).sum(0) * taking_part / (taking_part - 1)
        error = np.sqrt(spread) / total
    return Estimate(value, np.where(taking_part > 1, error, np.nan))


def jackknife(whole: ArrayLike, without: ArrayLike) -> Estimate:
    """A statistic of all sentences with its standard error from G groups, each left out once: `without` is (G, …).

    √((G−1)/G · Σ (θ₋g − θ̄)²) (Shao & Tu 1995, eq. 2.11): sentences are dealt to the groups in turn.
    """
    whole, without = np.asarray(whole, np.float64), np.asarray(without, np.float64)
    groups = len(without)
    if groups < 2:
        return Estimate(whole, np.full_like(whole, np.nan))
    deviations = without - without.mean(0)
    return Estimate(whole, np.sqrt((groups - 1) / groups * (deviations**2).sum(0)))
