"""Putting a mask in the place of a word, and the word back in the place of the mask."""

from __future__ import annotations

from dataclasses import dataclass

from lens.models import Tokens

__all__ = ["Covered", "mask_word", "uncover", "word_span"]


@dataclass(frozen=True)
class Covered:
    """A word under a mask: the text with the mask, where the mask begins, and the word."""

    text: str
    start: int
    word: str


def word_span(tokens: Tokens, position: int) -> tuple[int, int]:
    """Characters (start, end) of the word that the token at `position` is part of, without the space around it."""
    word = tokens.words[position]
    parts = [span for span, other in zip(tokens.spans, tokens.words, strict=True) if other == word and word is not None]
    start, end = (min(a for a, _ in parts), max(b for _, b in parts)) if parts else tokens.spans[position]
    piece = tokens.text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def mask_word(tokens: Tokens, position: int, mask: str) -> Covered | None:
    """The text with `mask` in the place of the word at `position`; None where there is no word (a special token)."""
    start, end = word_span(tokens, position)
    if tokens.special[position] or start >= end:
        return None
    text = tokens.text
    return Covered(text[:start] + mask + text[end:], start, text[start:end])


def uncover(covered: Covered, mask: str) -> str:
    """The text as it was before the word was covered."""
    return covered.text[: covered.start] + covered.word + covered.text[covered.start + len(mask) :]
