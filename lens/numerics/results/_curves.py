"""How well the end is foretold when only some of the layers run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lens.numerics.results._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "Curves"]

METRICS: Final = ("precision", "surprisal", "kl", "entropy")


@dataclass(frozen=True, eq=False)
class Curves:
    """Agreement with the full model, for several methods, against the number of layers that run in full.

    Axes: M methods (a cast, a part such as "~attn", an alternation), S numbers of layers, B bins of tokens, K values
    of k. Every mean is over tokens, every error over sentences. Definitions: "Jump to Conclusions", section 4.1.
    """

    model: str
    corpus: str
    methods: tuple[str, ...]  # (M,)
    layers: tuple[int, ...]  # (S,) blocks that run in full; for a cast, the layer that it starts from
    bins: tuple[str, ...]  # (B,) ("all",), or ranges of positions or of frequencies
    ks: tuple[int, ...]  # (K,)
    precision: Estimate  # (M, S, B, K) share of tokens whose top-1 is in the model's own top-k
    surprisal: Estimate  # (M, S, B) nats, −ln p_model(the substitute's top-1)
    kl: Estimate  # (M, S, B) nats, KL(model ‖ substitute)
    entropy: Estimate  # (M, S, B) nats, of the substitute
    sentences: int
    tokens: NDArray[np.int64]  # (B,)
    plans: tuple[tuple[str, ...], ...]  # (M, S) what was run, in the grammar of plans

    def __repr__(self) -> str:
        seen = f"{int(self.tokens.sum()):,} tokens of {self.sentences:,} sentences"
        return f"Curves({self.model!r}, {', '.join(self.methods)}, on {seen}; .frame() is a table)"

    def frame(self) -> pd.DataFrame:
        """One row per (method, layers, bin): its plan, tokens, and each metric with its error."""
        import pandas as pd

        axes = np.indices(self.surprisal.value.shape)
        columns: dict[str, Any] = {
            "method": np.array(self.methods)[axes[0]].ravel(),
            "layers": np.array(self.layers)[axes[1]].ravel(),
            "bin": np.array(self.bins)[axes[2]].ravel(),
            "plan": np.array(self.plans, object)[axes[0], axes[1]].ravel(),
            "tokens": self.tokens[axes[2]].ravel(),
        }
        for place, k in enumerate(self.ks):
            columns |= _pair(f"precision_at_{k}", self.precision[..., place])
        for metric in METRICS[1:]:
            columns |= _pair(metric, getattr(self, metric))
        return pd.DataFrame(columns)


def _pair(name: str, estimate: Estimate) -> dict[str, Any]:
    return {name: estimate.value.ravel(), f"{name}_error": estimate.error.ravel()}
