"""How much of one boundary's stream a cast from another explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["R2", "VARIANTS"]

VARIANTS: Final = {
    "stream": "r² of the stream",
    "inner": "r² without position 0",
    "update": "r² of the update",
}


@dataclass(frozen=True, eq=False)
class R2:
    """Held-out r² of every pair of boundaries: per coordinate, unclipped, uniform mean over those that vary.

    Variants: "stream" is the paper's ("Jump to Conclusions", section 3.2); "inner" leaves position 0 out, where some
    models keep huge activations; "update" asks for h^t − h^s, as the stream itself is mostly carried over.
    """

    model: str
    corpus: str
    casts: tuple[str, ...]  # (C,)
    n_blocks: int  # L
    variants: tuple[str, ...]  # (V,) of VARIANTS
    values: Estimate  # (V, C, L+1, L+1) by [source, target]; NaN where nothing was fitted, 1 from a layer to itself
    sentences: int
    tokens: int

    def __repr__(self) -> str:
        seen = f"{self.tokens:,} tokens of {self.sentences:,} sentences"
        return f"R2({self.model!r}, casts {', '.join(self.casts)}, on {seen}; .frame() is a table)"

    def of(self, cast: str, variant: str = "stream") -> Estimate:
        """The (L+1, L+1) values of one cast, [source, target]; ValueError if it is not among them."""
        return self.values[self.variants.index(variant), self.casts.index(cast)]

    def frame(self) -> pd.DataFrame:
        """One row per scored pair: cast, source, target, variant, r2, error."""
        import pandas as pd

        value, error = self.values.value, self.values.error
        kept = np.argwhere(~np.isnan(value) & np.triu(np.ones(value.shape[-2:], bool), 1))
        columns: dict[str, Any] = {
            "cast": [self.casts[c] for c in kept[:, 1]],
            "source": kept[:, 2],
            "target": kept[:, 3],
            "variant": [self.variants[v] for v in kept[:, 0]],
            "r2": value[tuple(kept.T)],
            "error": error[tuple(kept.T)],
        }
        return pd.DataFrame(columns)
