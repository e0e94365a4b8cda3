"""Real sentences that come with lens, so that maps can be fitted and measured anywhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["heldout_sentences", "sample_sentences"]


@cache
def _lines(name: str) -> tuple[str, ...]:
    return tuple((files("lens.analyses") / name).read_text(encoding="utf-8").splitlines())


def sample_sentences() -> list[str]:
    """2,500 English sentences of 94 novels of 1839–1927, in random order: to fit on."""
    return list(_lines("sample.txt"))


def heldout_sentences() -> list[str]:
    """500 English sentences of two other novels, which the embedded models have never seen: to measure on."""
    return list(_lines("heldout.txt"))
