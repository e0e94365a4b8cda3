"""Maps fitted on one kind of text, used on another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lens.numerics.results._curves import Curves
from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Transfer"]


@dataclass(frozen=True, eq=False)
class Transfer:
    """Precision@1 of maps to the last layer, fitted on each corpus and scored on each."""

    model: str
    cast: str
    corpora: tuple[str, ...]  # (N,)
    curves: tuple[tuple[Curves, ...], ...]  # (N, N) by [fitted on, scored on]
    change: Estimate  # (N, N) mean over layers 0…L−1 of P@1, less that of the maps fitted on the scored corpus itself

    def __repr__(self) -> str:
        return f"Transfer({self.model!r}, {self.cast}, {', '.join(self.corpora)}; .frame() is a table)"

    def frame(self) -> pd.DataFrame:
        """One row per (fitted_on, scored_on, layer): P@1 with its error, and the number of sentences."""
        import pandas as pd

        rows = []
        for a, fitted in enumerate(self.corpora):
            for b, scored in enumerate(self.corpora):
                curves = self.curves[a][b]
                for s, layer in enumerate(curves.layers):
                    value, error = (array[0, s, 0, 0] for array in (curves.precision.value, curves.precision.error))
                    rows.append((fitted, scored, layer, float(value), float(error), curves.sentences))
        names = ["fitted_on", "scored_on", "layer", "precision_at_1", "precision_at_1_error", "sentences"]
        frame = pd.DataFrame(rows, columns=names)
        return frame.astype({"layer": np.int64})
