"""How long a plan takes, its parallel stages in turn and batched."""

from __future__ import annotations

from dataclasses import dataclass

from lens.numerics.results._estimate import Estimate

__all__ = ["Latency"]


@dataclass(frozen=True, eq=False)
class Latency:
    """Measured times of one forward; ratios are to the full model's, with standard errors over rounds."""

    model: str
    plan: str
    device: str
    threads: int
    tokens: int
    rounds: int
    applications: int  # blocks that the plan runs
    depth: int  # one after the other
    full: float  # seconds, median, of the full model's blocks
    turn: Estimate  # (), the plan with its parallel blocks one after the other
    batched: Estimate | None  # (), as one call on stacked weights; None where no stage can be
    difference: float | None  # largest of (batched − in turn) in the last stream, as a share of its largest value
