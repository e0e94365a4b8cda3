"""What every boundary predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reading"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What each boundary's stream, cast to `target` and carried on by the model, predicts at each position.

    Axes: C casts, S sources (boundaries 0…target), P positions read, k places. Natural logarithms throughout.
    """

    model: str
    text: str
    tokens: tuple[str, ...]  # every token that was read, as it is shown
    total: int  # tokens of the text before it was cut to the model's context
    casts: tuple[str, ...]  # (C,)
    sources: tuple[int, ...]  # (S,)
    target: int
    positions: tuple[int, ...]  # (P,) indices into tokens
    labels: Mapping[int, str]  # how each token id that occurs below is shown
    token_ids: NDArray[np.int64]  # (C, S, P, k), most probable first, equals by id; -1 where logits are not numbers
    probabilities: NDArray[np.float32]  # (C, S, P, k) in [0, 1]
    entropy: NDArray[np.float32]  # (C, S, P) nats
    kl: NDArray[np.float32]  # (C, S, P) nats, KL(model ‖ prediction)
    surprisal: NDArray[np.float32]  # (C, S, P) nats, −ln p_model(prediction's top-1)
    rank: NDArray[np.int64]  # (C, S, P) place of the model's own top-1 in the prediction, 0 is the top; -1 for none
    model_token_ids: NDArray[np.int64]  # (P, k) the full model's own
    model_probabilities: NDArray[np.float32]  # (P, k)
    model_entropy: NDArray[np.float32]  # (P,) nats
    model_surprisal: NDArray[np.float32]  # (P,) nats, −ln of the model's own top-1

    def __repr__(self) -> str:
        read = f"{len(self.positions)} of {len(self.tokens)} tokens, layers 0–{self.target} read at {self.target}"
        return f"Reading({self.model!r}, {read}, casts {', '.join(self.casts)}; .frame() and .scores() are tables)"

    @property
    def k(self) -> int:
        """How many tokens are listed per prediction."""
        return int(self.token_ids.shape[-1])

    @cached_property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def frame(self) -> pd.DataFrame:
        """One row per listed token: cast, source, target, position, rank (0 the top), token_id, token, probability."""
        import pandas as pd

        columns: dict[str, Any] = self._index(self.token_ids.shape)
        columns["rank"] = np.broadcast_to(np.arange(self.k), self.token_ids.shape).ravel()
        columns["token_id"] = self.token_ids.ravel()
        columns["token"] = [self.labels[token] for token in self.token_ids.ravel().tolist()]
        columns["probability"] = self.probabilities.ravel()
        return pd.DataFrame(columns)

    def scores(self) -> pd.DataFrame:
        """One row per (cast, source, position): entropy, kl, surprisal in nats, and rank of the model's own top-1."""
        import pandas as pd

        columns: dict[str, Any] = self._index(self.entropy.shape)
        columns |= {name: getattr(self, name).ravel() for name in ("entropy", "kl", "surprisal", "rank")}
        return pd.DataFrame(columns)

    def _index(self, shape: tuple[int, ...]) -> dict[str, Any]:
        axes = np.indices(shape)
        return {
            "cast": np.array(self.casts)[axes[0]].ravel(),
            "source": np.array(self.sources)[axes[1]].ravel(),
            "target": np.full(axes[0].size, self.target),
            "position": np.array(self.positions)[axes[2]].ravel(),
        }
