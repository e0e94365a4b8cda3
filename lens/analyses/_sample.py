"""The text that comes with lens, for a first fit where a person has no text of their own."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["sample_sentences"]


def sample_sentences() -> list[str]:
    """2,500 sentences drawn at random from English novels of 1839–1927, out of copyright in the United States."""
    return files("lens.analyses").joinpath("sample.txt").read_text(encoding="utf-8").splitlines()
