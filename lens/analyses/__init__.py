"""A question in typed arguments, a frozen result out."""

from __future__ import annotations

from lens.analyses._fit import FitProgress, affordable_pairs, fit
from lens.analyses._read import read, read_recording
from lens.analyses._sample import sample_sentences

__all__ = ["FitProgress", "affordable_pairs", "fit", "read", "read_recording", "sample_sentences"]
