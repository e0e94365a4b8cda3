"""What the layers of a model do to its stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COSINES", "LayerStats", "Massive"]

COSINES: Final = {
    "flattened": "cosine of whole sentences, (tokens × width) as one vector: the paper's, ruled by its largest tokens",
    "token": "cosine token by token",
    "inner": "token by token, without the first token, where many models keep huge activations",
    "centred": "token by token, less the mean over all tokens at that layer",
}


@dataclass(frozen=True)
class Massive:
    """The largest activation at a layer."""

    layer: int
    value: float
    median: float  # of the absolute values at that layer, on the same texts, to 0.1 %
    token: str
    position: int
    coordinate: int
    text: int  # its place among the texts that were given


@dataclass(frozen=True, eq=False)
class LayerStats:
    """Statistics of the stream at L+1 layers and of the updates of L blocks; errors are over sentences."""

    model: str
    corpus: str
    cosines: Estimate  # (4, L+1, L+1) in the order of COSINES
    angular: Estimate  # (L+1, L+1) arccos(cosine)/π, 0…1: at the last token for a causal model, at all for a masked one
    norm: Estimate  # (L+1,) length of the stream's vectors
    update_ratio: Estimate  # (L,) ‖update‖ / ‖stream before‖
    update_cosine: Estimate  # (L,) cosine of update and stream before
    influence: Estimate  # (L,) Block Influence, 1 − cosine of the stream before and after
    skip_change: Estimate  # (L,) nats, measured: loss without the block less the full model's
    skip_agreement: Estimate  # (L,) share of top-1 kept without the block
    skip_effect: Estimate  # (L, L) [s, b] relative change of block b's update when s is skipped; NaN for b ≤ s
    massive: tuple[Massive, ...]  # (L+1,)
    sentences: int
    tokens: int

    def __repr__(self) -> str:
        seen = f"{self.tokens:,} tokens of {self.sentences:,} sentences"
        return f"LayerStats({self.model!r} on {seen}; .frame() is a table of the blocks)"

    @property
    def n_blocks(self) -> int:
        """L."""
        return len(self.massive) - 1

    def cosine(self, version: str) -> Estimate:
        """(L+1, L+1) of one of COSINES."""
        return self.cosines[list(COSINES).index(version)]

    @property
    def rank_correlation(self) -> float:
        """Spearman's ρ between Block Influence and the measured loss of skipping; 1 if they rank the blocks alike."""
        import pandas as pd

        both = pd.DataFrame({"influence": self.influence.value, "loss": self.skip_change.value})
        return float(both.rank().corr().to_numpy()[0, 1])

    def best_drop(self, n: int) -> int:
        """The first of the n neighbouring blocks over which the stream turns least (angular distance)."""
        if not 1 <= n <= self.n_blocks:
            raise ValueError(f"n is {n}: 1 to {self.n_blocks}")
        return int(np.argmin([self.angular.value[at, at + n] for at in range(self.n_blocks - n + 1)]))

    def frame(self) -> pd.DataFrame:
        """One row per block."""
        import pandas as pd

        columns: dict[str, Any] = {"block": np.arange(self.n_blocks)}
        for name in ("influence", "skip_change", "skip_agreement", "update_ratio", "update_cosine"):
            estimate: Estimate = getattr(self, name)
            columns |= {name: estimate.value, f"{name}_error": estimate.error}
        columns |= {"norm_before": self.norm.value[:-1], "norm_after": self.norm.value[1:]}
        return pd.DataFrame(columns)

    def upper(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The half of a symmetric matrix that is worth drawing."""
        return np.where(np.triu(np.ones_like(values, bool)), values, np.nan)
