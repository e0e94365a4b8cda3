"""A question in typed arguments, a frozen result out."""

from __future__ import annotations

from lens.analyses._budget import Budget
from lens.analyses._fit import fit, fit_budget
from lens.analyses._r2 import r2
from lens.analyses._read import read, read_recording
from lens.analyses._sample import sample_sentences
from lens.analyses._texts import Progress

__all__ = ["Budget", "Progress", "fit", "fit_budget", "r2", "read", "read_recording", "sample_sentences"]
