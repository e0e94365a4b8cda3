"""Streaming first and second moments of joint vectors at several sites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["Moments", "Pair", "Site"]

Site: TypeAlias = int | str  # a boundary, or what enters or leaves a part of a block
Pair: TypeAlias = tuple[Site, Site]
CPU = torch.device("cpu")


class Moments:
    """Count, means and centred second moments of joint vectors, in float64.

    `pairs` are the (source, target) sites whose cross moments are wanted; each source's moments with itself come along.
    Memory is (pairs + sources) · width² · 8 bytes on `device`, however many vectors are seen.

    Moments are centred because raw sums lose r² where a coordinate has a large mean, as residual streams do
    (update: Chan, Golub & LeVeque 1983, eq. 1.5).
    """

    def __init__(self, pairs: Iterable[Pair], width: int, device: torch.device = CPU) -> None:
        wanted = list(dict.fromkeys(pairs))
        sources = dict.fromkeys(source for source, _ in wanted)
        self.sites = tuple(dict.fromkeys(site for pair in wanted for site in pair))
        self.pairs = tuple(dict.fromkeys([*((source, source) for source in sources), *wanted]))
        self.width = width
        self.count = 0
        self.device = device
        exact: dict[str, Any] = {"dtype": torch.float64, "device": device}
        self.mean = {site: torch.zeros(width, **exact) for site in self.sites}
        self.scatter = {pair: torch.zeros(width, width, **exact) for pair in self.pairs}

    def update(self, vectors: Mapping[Site, Tensor]) -> None:
        """Add vectors: for each site a tensor (n, width), row r of each belonging to the same token."""
        rows = {site: vectors[site].detach().to(self.device, torch.float64) for site in self.sites}
        count = len(next(iter(rows.values()))) if rows else 0
        if not count:
            return
        mean = {site: x.mean(0) for site, x in rows.items()}
        centred = {site: x - mean[site] for site, x in rows.items()}
        self._add(count, mean, lambda total, i, j: total.addmm_(centred[i].T, centred[j]))

    def merge(self, other: Moments) -> None:
        """Add the vectors that `other` has seen; the order of merging does not matter beyond rounding."""
        if other.count:
            self._add(other.count, other.mean, lambda total, i, j: total.add_(other.scatter[i, j]))

    def _add(self, count: int, mean: Mapping[Site, Tensor], add: Callable[[Tensor, Site, Site], Tensor]) -> None:
        total = self.count + count
        shift = {site: mean[site] - self.mean[site] for site in self.sites}
        for i, j in self.pairs:
            add(self.scatter[i, j], i, j).addr_(shift[i], shift[j], alpha=self.count * count / total)
        for site in self.sites:
            self.mean[site] += shift[site] * (count / total)
        self.count = total

    def cpu(self) -> Moments:
        """The same on the CPU, to be sent elsewhere."""
        if self.device != CPU:
            other = Moments(self.pairs, self.width)
            other.restore(self.state())
            return other
        return self

    def covariance(self, source: Site, target: Site) -> Tensor:
        """Centred E[(x_s − x̄_s)(x_t − x̄_t)ᵀ], (width, width)."""
        return self.scatter[source, target] / self.count

    def second(self, source: Site, target: Site) -> Tensor:
        """About zero, E[x_s x_tᵀ], (width, width): what a fit without intercept needs."""
        return self.covariance(source, target).addr_(self.mean[source], self.mean[target])

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on later, as tensors of the CPU by name."""
        means = torch.stack([self.mean[site] for site in self.sites]).cpu()
        scatters = {f"scatter.{number}": self.scatter[pair].cpu() for number, pair in enumerate(self.pairs)}
        return {"count": torch.tensor(self.count), "mean": means, **scatters}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the `state` of moments of the same pairs and width."""
        self.count = int(state["count"])
        self.mean = dict(zip(self.sites, state["mean"].clone().to(self.device).unbind(), strict=True))
        self.scatter = {pair: state[f"scatter.{number}"].to(self.device) for number, pair in enumerate(self.pairs)}
