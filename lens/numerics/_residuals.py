"""Streaming r² of predictions, with its standard error over sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from lens.numerics._moments import Pair, Site
from lens.numerics.results import Estimate, jackknife

__all__ = ["GROUPS", "Residuals"]

GROUPS = 20  # of sentences; the standard error of a standard error is then a sixth of it
TINY = 1e-10  # a coordinate whose spread is this small a part of its mean is constant: float32 keeps seven digits


class _Spread:
    """Count, mean and centred sum of squares of vectors, in each stratum."""

    def __init__(self, strata: int, width: int) -> None:
        self.count = torch.zeros(strata, dtype=torch.float64)
        self.mean = torch.zeros(strata, width, dtype=torch.float64)
        self.square = torch.zeros(strata, width, dtype=torch.float64)

    def update(self, rows: Tensor, strata: Tensor) -> None:
        """Add rows (n, width) to the strata (n,)."""
        count = torch.bincount(strata, minlength=len(self.count)).double()
        mean = _sums(rows, strata, len(count)) / count.clamp(min=1)[:, None]
        square = _sums((rows - mean[strata]) ** 2, strata, len(count))
        self._add(count.cpu(), mean.cpu(), square.cpu())

    def merge(self, other: _Spread) -> None:
        """Add what `other` has seen."""
        self._add(other.count, other.mean, other.square)

    def _add(self, count: Tensor, mean: Tensor, square: Tensor) -> None:
        total = self.count + count
        share = (count / total.clamp(min=1))[:, None]
        shift = mean - self.mean
        self.square += square + shift**2 * (self.count[:, None] * share)
        self.mean += shift * share
        self.count = total

    def about_mean(self, weights: Tensor) -> Tensor:
        """Sums of squares (G, width) about the joint mean of each choice of strata: `weights` (G, strata), 0 or 1."""
        centre = self.mean[self.count > 0].mean(0)  # any point near the means: differences stay small
        off, weights = self.mean - centre, weights * self.count
        total = weights.sum(1, keepdim=True)
        between = weights @ off**2 - (weights @ off) ** 2 / total.clamp(min=1)
        sums = (weights > 0).double() @ self.square + between
        floor = total * (TINY * centre.abs()) ** 2
        return torch.where(sums > floor, sums, torch.zeros_like(sums))


class Residuals:
    """r² of predictions of targets from sources, for any casts, in one pass over held-out vectors.

    1 − Σ (x_t − x̂_t)² / Σ (x_t − x̄_t)² per coordinate, unclipped, uniform mean over those that vary ("Jump to
    Conclusions", section 3.2); errors by leaving out each of GROUPS groups of sentences in turn. Memory is
    (predictions + pairs + targets) · 2 · GROUPS · width · 8 bytes, however many vectors are seen.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._strata = 2 * GROUPS
        self._targets: dict[Site | Pair, _Spread] = {}
        self._errors: dict[tuple[str, Pair], Tensor] = {}
        self.sentences = 0

    @property
    def count(self) -> int:
        """Vectors seen."""
        return int(next(iter(self._targets.values())).count.sum()) if self._targets else 0

    def update(
        self,
        vectors: Mapping[Site, Tensor],
        sentences: Tensor,
        positions: Tensor,
        predictions: Iterable[tuple[str, Pair, Tensor]],
    ) -> None:
        """Add vectors (n, width) by site, of tokens at `positions` (n,) in `sentences` (n,), and what was predicted.

        A prediction is (label, (source, target), vectors (n, width)); labels may differ by pair.
        """
        strata = (2 * (sentences % GROUPS) + (positions == 0)).to(next(iter(vectors.values())).device)
        self.sentences += len(set(sentences.tolist()))  # no sentence comes in two updates
        seen: set[Site | Pair] = set()
        for label, (source, target), predicted in predictions:
            for key in (target, (source, target)):
                if key not in seen:
                    seen.add(key)
                    rows = vectors[target] if key == target else vectors[target] - vectors[source]
                    self._targets.setdefault(key, _Spread(self._strata, self._width)).update(rows, strata)
            errors = _sums((vectors[target] - predicted) ** 2, strata, self._strata).cpu()
            place = label, (source, target)
            self._errors[place] = self._errors[place] + errors if place in self._errors else errors

    def merge(self, other: Residuals) -> None:
        """Add what `other` has seen, of other sentences; the order of merging does not matter beyond rounding."""
        self.sentences += other.sentences
        for key, spread in other._targets.items():
            self._targets.setdefault(key, _Spread(self._strata, self._width)).merge(spread)
        for place, errors in other._errors.items():
            self._errors[place] = self._errors[place] + errors if place in self._errors else errors

    def r2(self, label: str, pair: Pair, variant: str = "stream") -> Estimate:
        """Estimate of one number, for one of VARIANTS; NaN where no coordinate varies."""
        values = self.leave_outs(label, pair, variant)
        return jackknife(values[0], values[1:])

    def leave_outs(self, label: str, pair: Pair, variant: str = "stream") -> np.ndarray:
        """r² of all sentences, then without each group that has any: (1 + G,)."""
        spread = self._targets[pair if variant == "update" else pair[1]]
        weights = self._weights(spread, variant == "inner")
        about = spread.about_mean(weights)
        errors = weights @ self._errors[label, pair]
        per_coordinate = torch.where(about > 0, 1 - errors / about, torch.nan)
        result: np.ndarray = per_coordinate.nanmean(1).numpy()
        return result

    def _weights(self, spread: _Spread, inner: bool) -> Tensor:
        """Which strata count (1 + G, strata): all, then all but each group that holds vectors."""
        strata = torch.arange(self._strata)
        counted = (strata % 2 == 0) | (not inner)
        occupied = [g for g in range(GROUPS) if spread.count[(strata // 2 == g) & counted].sum() > 0]
        rows = [counted, *(counted & (strata // 2 != group) for group in occupied)]
        return torch.stack(rows).double()


def _sums(rows: Tensor, strata: Tensor, count: int) -> Tensor:
    return torch.zeros(count, rows.shape[1], dtype=torch.float64, device=rows.device).index_add_(0, strata, rows)
