"""Two maps in a row against the one map that goes the whole way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Composition"]


@dataclass(frozen=True, eq=False)
class Composition:
    """r² of A_kj · A_ji from source i over j to target k, beside that of A_ki, on the same held-out vectors."""

    model: str
    corpus: str
    cast: str
    n_blocks: int  # L
    target: int  # k
    direct: Estimate  # (L+1,) r² of A_ki by i; NaN from i = k on
    composed: Estimate  # (L+1, L+1) r² of A_kj · A_ji by [i, j]; NaN unless i < j < k
    loss: Estimate  # (L+1, L+1) direct − composed by [i, j], its error that of the difference
    distance: np.ndarray  # (L+1, L+1) ‖A_kj A_ji − A_ki‖ / ‖A_ki‖ (Frobenius) by [i, j]
    sentences: int
    tokens: int

    def __repr__(self) -> str:
        seen = f"{self.tokens:,} tokens of {self.sentences:,} sentences"
        return f"Composition({self.model!r}, {self.cast} to layer {self.target}, on {seen}; .frame() is a table)"

    def frame(self) -> pd.DataFrame:
        """One row per (source, via): direct, composed, loss, each with its error, and distance."""
        import pandas as pd

        at = np.argwhere(~np.isnan(self.composed.value))
        i, j = at[:, 0], at[:, 1]
        columns = {"source": i, "via": j, "target": np.full(len(at), self.target)}
        columns |= {"direct": self.direct.value[i], "direct_error": self.direct.error[i]}
        for name in ("composed", "loss"):
            estimate: Estimate = getattr(self, name)
            columns |= {name: estimate.value[i, j], f"{name}_error": estimate.error[i, j]}
        return pd.DataFrame(columns | {"distance": self.distance[i, j]})
