"""One text under a plan, beside the full model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Compared"]


@dataclass(frozen=True, eq=False)
class Compared:
    """What a plan changes on one text of P tokens; S stages of the plan, ranges and repeats taken apart."""

    model: str
    text: str
    plan: str
    tokens: tuple[str, ...]  # (P,) as shown
    total: int  # tokens of the text before it was cut
    loss: NDArray[np.float64]  # (P,) nats under the plan, of the token that comes next; NaN at the last, and if masked
    full_loss: NDArray[np.float64]  # (P,) nats of the full model
    kl: NDArray[np.float64]  # (P,) nats, KL(model ‖ plan)
    token_ids: NDArray[np.int64]  # (P, k) likeliest under the plan
    probabilities: NDArray[np.float64]  # (P, k)
    full_token_ids: NDArray[np.int64]  # (P, k)
    full_probabilities: NDArray[np.float64]  # (P, k)
    labels: dict[int, str]
    stages: tuple[str, ...]  # (S,) what ran
    boundaries: tuple[int, ...]  # (S,) the layer of the full model that the stream is compared with after each stage
    cosine: NDArray[np.float64]  # (S,) of the two streams, mean over tokens
    norm_ratio: NDArray[np.float64]  # (S,) length of the plan's stream as a share of the model's, mean over tokens

    def __repr__(self) -> str:
        kept = float(self.agrees.mean())
        return f"Compared({self.model!r}, plan {self.plan!r}, {len(self.tokens)} tokens, {kept:.0%} of top-1 kept)"

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """(P,) whether the top-1 is the full model's; where either is no number, it is not."""
        same: NDArray[np.bool_] = (self.token_ids[:, 0] == self.full_token_ids[:, 0]) & (self.token_ids[:, 0] >= 0)
        return same

    @property
    def change(self) -> NDArray[np.float64]:
        """(P,) nats, loss minus that of the full model."""
        return self.loss - self.full_loss

    def frame(self) -> pd.DataFrame:
        """One row per token."""
        import pandas as pd

        return pd.DataFrame(
            {
                "token": self.tokens,
                "loss": self.loss,
                "full_loss": self.full_loss,
                "change": self.change,
                "kl": self.kl,
                "prediction": [self.labels[int(row[0])] for row in self.token_ids],
                "full_prediction": [self.labels[int(row[0])] for row in self.full_token_ids],
            }
        )
