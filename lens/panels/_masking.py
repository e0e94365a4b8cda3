"""Putting a mask in the place of a word, and the word back in the place of the mask."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from lens.models import Tokens

__all__ = ["MASK", "Covered", "mask_word", "uncover", "word_span"]

MASK = "[MASK]"  # what is written into the text, whatever the model calls it: so it holds for the next model too


@dataclass(frozen=True)
class Covered:
    """A word under a mask: the text with the mask, where the mask begins, and the word."""

    text: str
    start: int
    word: str

    @property
    def end(self) -> int:
        """Where the mask ends."""
        return self.start + len(MASK)

    def edited(self, text: str) -> Covered | None:
        """The same mask in a text that a person has edited before or after it; None if the edit touched it."""
        before, after = _shared(self.text, text), _shared(self.text[::-1], text[::-1])
        if before >= self.end:
            return Covered(text, self.start, self.word)
        if after >= len(self.text) - self.start:
            return Covered(text, self.start + len(text) - len(self.text), self.word)
        return None


def _shared(one: str, other: str) -> int:
    """How many characters two texts have in common from the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def word_span(tokens: Tokens, position: int) -> tuple[int, int]:
    """Characters (start, end) of the word that the token at `position` is part of, without the space around it."""
    word = tokens.words[position]
    parts = [span for span, other in zip(tokens.spans, tokens.words, strict=True) if other == word and word is not None]
    start, end = (min(a for a, _ in parts), max(b for _, b in parts)) if parts else tokens.spans[position]
    piece = tokens.text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def mask_word(tokens: Tokens, position: int, mask: str) -> Covered | None:
    """The text with MASK in the place of the word at `position`; None where there is no word (a special token).

    `mask` is what the model calls its masks; those that the text holds become MASK too.
    """
    start, end = word_span(tokens, position)
    if tokens.special[position] or start >= end:
        return None
    before, after = (part.replace(mask, MASK) for part in (tokens.text[:start], tokens.text[end:]))
    return Covered(before + MASK + after, len(before), tokens.text[start:end])


def uncover(covered: Covered) -> str:
    """The text as it was before the word was covered."""
    return covered.text[: covered.start] + covered.word + covered.text[covered.end :]
