"""Clicks on tokens: which one is looked at, or, for a masked model, which word lies under the mask."""

from __future__ import annotations

from lens.panels._masking import MASK, Covered, mask_word, uncover
from lens.panels._session import Session
from lens.panels._shelf import Answer
from lens.panels._undo import watch

__all__ = ["Picking"]


class Picking:
    """Sets a session's position by what was clicked, and remembers the word that a click has covered."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._covered: Covered | None = None
        self.close = watch(session, ["text"], self._edited)

    def pick(self, answer: Answer, position: int) -> None:
        """A token of the answer was clicked."""
        if answer.model.kind == "causal":
            self._session.position = None if position == len(answer.tokens) - 1 else position
        elif position in answer.tokens.masks:
            self._pick_mask(answer, position)
        else:
            self._cover(answer, position)

    def _edited(self) -> None:
        if self._covered and self._covered.text != self._session.text:
            self._covered = self._covered.edited(self._session.text)

    def _pick_mask(self, answer: Answer, position: int) -> None:
        covered = self._covered
        if covered and position == _mask_at(answer, covered):
            self._covered = None
            self._session.text = uncover(covered)
        else:
            self._session.position = position

    def _cover(self, answer: Answer, position: int) -> None:
        """Move the mask: the word that it covered comes back first."""
        tokens, before = answer.tokens, self._covered
        covered = mask_word(tokens, position, answer.model.mask_token or MASK)
        if covered is None:
            return
        first = tokens.words.index(tokens.words[position])
        self._covered = _moved(before, covered) if before else covered
        with self._session.hold_trait_notifications():
            self._session.text = self._covered.text
            self._session.position = first


def _mask_at(answer: Answer, covered: Covered) -> int:
    """The position of the mask that covers a word: it is as far along among the masks as in the text."""
    return answer.tokens.masks[min(covered.text[: covered.start].count(MASK), len(answer.tokens.masks) - 1)]


def _moved(before: Covered, after: Covered) -> Covered:
    """`after` covers a second word; uncover the first, and say where the mask now begins."""
    first = before.edited(after.text)
    if first is None:
        return after
    shift = len(before.word) - len(MASK) if first.start < after.start else 0
    return Covered(uncover(first), after.start + shift, after.word)
