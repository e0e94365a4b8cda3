"""A question in typed arguments, a frozen result out."""

from __future__ import annotations

from lens.analyses._budget import Budget
from lens.analyses._compare import compare_plan, compare_recording
from lens.analyses._composition import composition
from lens.analyses._curves import curves
from lens.analyses._early_exit import early_exit, exit_layers, exit_threshold, exit_times
from lens.analyses._fit import fit, fit_budget
from lens.analyses._grids import PAINTERS, loops, orders, painters, windows
from lens.analyses._latency import latency
from lens.analyses._layers import layers
from lens.analyses._plans import alternation, submodules
from lens.analyses._r2 import r2
from lens.analyses._read import read, read_recording
from lens.analyses._sample import heldout_sentences, sample_sentences
from lens.analyses._shards import Shard, Workers
from lens.analyses._sweep import sweep
from lens.analyses._texts import Progress
from lens.analyses._transfer import transfer

__all__ = [
    "PAINTERS",
    "Budget",
    "Progress",
    "Shard",
    "Workers",
    "alternation",
    "compare_plan",
    "compare_recording",
    "composition",
    "curves",
    "early_exit",
    "exit_layers",
    "exit_threshold",
    "exit_times",
    "fit",
    "fit_budget",
    "heldout_sentences",
    "latency",
    "layers",
    "loops",
    "orders",
    "painters",
    "r2",
    "read",
    "read_recording",
    "sample_sentences",
    "submodules",
    "sweep",
    "transfer",
    "windows",
]
