"""Streaming first and second moments of the residual stream at several boundaries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

__all__ = ["Moments"]


class Moments:
    """Count, means and centred second moments of joint vectors, in float64.

    `pairs` are the (source, target) boundaries whose cross moments are wanted; the moments of each boundary with
    itself always come along. Memory is (pairs + boundaries) · width² · 8 bytes, however many vectors are seen.

    Moments are centred because raw sums lose r² where a coordinate has a large mean, as residual streams do
    (update: Chan, Golub & LeVeque 1983, eq. 1.5).
    """

    def __init__(self, pairs: Iterable[tuple[int, int]], width: int) -> None:
        wanted = set(pairs)
        self.boundaries = tuple(sorted({boundary for pair in wanted for boundary in pair}))
        self.pairs = tuple(sorted(wanted | {(boundary, boundary) for boundary in self.boundaries}))
        self.width = width
        self.count = 0
        self.mean = {b: torch.zeros(width, dtype=torch.float64) for b in self.boundaries}
        self.scatter = {pair: torch.zeros(width, width, dtype=torch.float64) for pair in self.pairs}

    def update(self, streams: Mapping[int, Tensor]) -> None:
        """Add vectors: for each boundary a tensor (n, width), row r of each belonging to the same token."""
        rows = {b: streams[b].detach().to("cpu", torch.float64) for b in self.boundaries}
        count = len(next(iter(rows.values()))) if rows else 0
        if not count:
            return
        mean = {b: x.mean(0) for b, x in rows.items()}
        centred = {b: x - mean[b] for b, x in rows.items()}
        self._add(count, mean, lambda i, j: centred[i].T @ centred[j])

    def merge(self, other: Moments) -> None:
        """Add the vectors that `other` has seen; the order of merging does not matter beyond rounding."""
        if other.count:
            self._add(other.count, other.mean, lambda i, j: other.scatter[i, j])

    def _add(self, count: int, mean: Mapping[int, Tensor], scatter: Callable[[int, int], Tensor]) -> None:
        total = self.count + count
        shift = {b: mean[b] - self.mean[b] for b in self.boundaries}
        for i, j in self.pairs:
            self.scatter[i, j] += scatter(i, j)
            self.scatter[i, j].addr_(shift[i], shift[j], alpha=self.count * count / total)
        for b in self.boundaries:
            self.mean[b] += shift[b] * (count / total)
        self.count = total

    def covariance(self, source: int, target: int) -> Tensor:
        """Centred E[(x_s − x̄_s)(x_t − x̄_t)ᵀ], (width, width)."""
        return self.scatter[source, target] / self.count

    def second(self, source: int, target: int) -> Tensor:
        """About zero, E[x_s x_tᵀ], (width, width): what a fit without intercept needs."""
        return self.covariance(source, target) + torch.outer(self.mean[source], self.mean[target])
