"""Frozen results whose fields say shape, unit and range, and which give tidy frames."""

from __future__ import annotations

from lens.numerics.results._compared import Compared
from lens.numerics.results._composition import Composition
from lens.numerics.results._curves import METRICS, Curves
from lens.numerics.results._early_exit import EarlyExit, ExitTimes, Saving
from lens.numerics.results._estimate import Estimate, jackknife, ratio
from lens.numerics.results._generation import Ended, Generation
from lens.numerics.results._grid import Grid
from lens.numerics.results._latency import Latency
from lens.numerics.results._layer_stats import COSINES, LayerStats, Massive
from lens.numerics.results._r2 import R2, VARIANTS
from lens.numerics.results._reading import Reading
from lens.numerics.results._run import Run
from lens.numerics.results._sweep import SWEEP_METRICS, Sweep
from lens.numerics.results._transfer import Transfer
from lens.wire import values

__all__ = [
    "COSINES",
    "METRICS",
    "R2",
    "SWEEP_METRICS",
    "VARIANTS",
    "Compared",
    "Composition",
    "Curves",
    "EarlyExit",
    "Ended",
    "Estimate",
    "ExitTimes",
    "Generation",
    "Grid",
    "Latency",
    "LayerStats",
    "Massive",
    "Reading",
    "Run",
    "Saving",
    "Sweep",
    "Transfer",
    "jackknife",
    "ratio",
]

values(Compared, Composition, Curves, EarlyExit, Estimate, ExitTimes, Generation, Grid, Latency)
values(LayerStats, Massive, R2, Reading, Saving, Sweep, Transfer)
