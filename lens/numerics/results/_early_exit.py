"""Leaving a model early: layers saved, agreement kept, time measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EarlyExit", "ExitTimes", "Saving"]


@dataclass(frozen=True)
class Saving:
    """The fewest layers at which agreement stays at or above what was asked, one way of leaving; where none does, those
    that keep the most, as `agreement` says.
    """

    cast: str
    how: str  # "dynamic" (by confidence) or "fixed" (one layer for all)
    agreement: float  # share of tokens whose prediction is the full model's
    agreement_error: float
    layers: float  # blocks run, mean over tokens
    saved: float  # blocks not run
    saved_share: float  # of all blocks, in [0, 1]
    threshold: float  # λ, or the layer of a fixed exit


@dataclass(frozen=True, eq=False)
class ExitTimes:
    """Seconds of leaving by confidence at one λ, beside the full model, both measured sentence by sentence."""

    cast: str
    threshold: float  # λ
    device: str
    sentences: int
    full: float  # seconds a sentence, median
    early: float  # seconds a sentence, median
    ratio: Estimate  # () early / full: geometric mean over sentences, with its error
    layers: float  # blocks run, mean over the same sentences
    block: float  # seconds for one block, median
    test: float  # seconds for one look at the vocabulary (cast, final norm, head, softmax), median

    @property
    def break_even(self) -> float:
        """Blocks that one look at the vocabulary costs: each look must save at least as many."""
        return self.test / self.block


@dataclass(frozen=True, eq=False)
class EarlyExit:
    """Leaving at the first layer whose confidence p₁ − p₂ exceeds a threshold, for every λ from one table.

    The threshold at position t is 0.9 λ + 0.1 exp(−4 t / N), with N the mean of position + 1 (CALM, as in "Jump to
    Conclusions", section 5.1); nobody leaves at layer 0, everybody at layer L. C casts, Λ values of λ, L blocks.
    """

    model: str
    corpus: str
    n_blocks: int
    casts: tuple[str, ...]  # (C,)
    lambdas: tuple[tuple[float, ...], ...]  # (C, Λ), ascending; the same number for each cast
    layers: Estimate  # (C, Λ) blocks run, mean over tokens
    precision: Estimate  # (C, Λ) share of tokens whose prediction is the full model's own
    exits: NDArray[np.float64]  # (C, Λ, L+1) share of tokens that leave at each layer
    fixed: Estimate  # (C, L+1) agreement when all leave at that layer
    length: float  # N
    sentences: int
    tokens: int

    def __repr__(self) -> str:
        seen = f"{self.tokens:,} tokens of {self.sentences:,} sentences"
        return f"EarlyExit({self.model!r}, casts {', '.join(self.casts)}, on {seen}; .frame() is a table)"

    def saving(self, agreement: float = 0.95) -> list[Saving]:
        """For each cast, by confidence and at one fixed layer: the fewest layers that keep this much agreement.

        Where no number of layers does, those that keep the most.
        """
        return [saving for place in range(len(self.casts)) for saving in self._savings(place, agreement)]

    def _savings(self, place: int, wanted: float) -> list[Saving]:
        depths = np.arange(self.n_blocks + 1, dtype=float)
        ways = [
            ("dynamic", self.layers.value[place], self.precision[place], np.array(self.lambdas[place])),
            ("fixed", depths, self.fixed[place], depths),
        ]
        return [self._fewest(self.casts[place], how, *way, wanted=wanted) for how, *way in ways]

    def _fewest(
        self,
        cast: str,
        how: str,
        layers: NDArray[np.float64],
        kept: Estimate,
        thresholds: NDArray[np.float64],
        *,
        wanted: float,
    ) -> Saving:
        enough = np.flatnonzero(kept.value >= wanted)
        best = enough[np.argmin(layers[enough])] if len(enough) else int(np.argmax(kept.value))
        saved = self.n_blocks - float(layers[best])
        return Saving(
            cast=cast,
            how=how,
            agreement=float(kept.value[best]),
            agreement_error=float(kept.error[best]),
            layers=float(layers[best]),
            saved=saved,
            saved_share=saved / self.n_blocks,
            threshold=float(thresholds[best]),
        )

    def frame(self) -> pd.DataFrame:
        """One row per (cast, how, threshold): layers run and agreement, with their errors."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for c, cast in enumerate(self.casts):
            for m, threshold in enumerate(self.lambdas[c]):
                rows.append(_row(cast, "dynamic", threshold, self.layers[c, m], self.precision[c, m]))
            for layer in range(self.n_blocks + 1):
                run = Estimate(np.asarray(float(layer)), np.asarray(0.0))
                rows.append(_row(cast, "fixed", layer, run, self.fixed[c, layer]))
        return pd.DataFrame(rows)


def _row(cast: str, how: str, threshold: float, layers: Estimate, precision: Estimate) -> dict[str, Any]:
    return {
        "cast": cast,
        "how": how,
        "threshold": threshold,
        "layers": float(layers.value),
        "layers_error": float(layers.error),
        "precision": float(precision.value),
        "precision_error": float(precision.error),
    }
