"""Recordings of visitors' texts: kept for each visitor alone, made together for those who wait at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from lens._cache import ByteCache
from lens.models import Model, Recording, Tokens, apart, likeness, separable

__all__ = ["Recordings", "Text"]

TEXTS: Final = 8  # of one forward: with more, little is gained, and whoever comes first waits for all
TOKENS: Final = 256  # of one forward, padding included
LONGEST: Final = 64  # tokens of a text: two of 128 take as long together as one after the other


@dataclass(eq=False)
class Text:
    """What a visitor wants read; `wanted` says whether anybody still waits for it."""

    visitor: str
    model: Model
    tokens: Tokens
    wanted: Callable[[], bool]
    alone: bool = False  # it was in a forward that failed

    @property
    def key(self) -> Hashable:
        """By which it is kept: a visitor's own, so that none learns what others read."""
        return self.visitor, self.model.name, self.tokens.text, len(self.tokens)


class Recordings:
    """What was recorded lately, at most `budget` bytes of it, and the texts that wait to be read.

    A text that is read takes along what waits for the same model: of each other visitor one, of like length, as many
    as fit into one padded forward, `most` together. Each finds its own recording kept when its turn comes.
    """

    def __init__(self, budget: int, most: int = TEXTS) -> None:
        self._kept = ByteCache(budget)
        self._most = most
        self._waiting: dict[Text, None] = {}  # in the order in which they came
        self._lock = Lock()

    @contextmanager
    def waiting(self, text: Text | None) -> Iterator[None]:
        """While this lasts, until it has been read, others who are read may take the text along."""
        with self._lock:
            self._waiting |= {} if text is None else {text: None}
        try:
            yield
        finally:
            self._leave(text)

    def get(self, text: Text) -> Recording:
        """The recording of a text whose turn it is."""
        found: Recording | None = self._kept.peek(text.key)
        if found is None:
            with text.model.lock:  # others may go first here, who may take this text along
                found = self._kept.peek(text.key) or self._read(text)
        self._leave(text)
        return found

    def _leave(self, text: Text | None) -> None:
        with self._lock:
            if text is not None:
                self._waiting.pop(text, None)

    def _read(self, text: Text) -> Recording:
        texts = [text, *self._beside(text)]
        recordings = self._together(texts) if len(texts) > 1 else []
        recordings = recordings or [text.model.record(text.tokens)]
        for each, recording in zip(texts, recordings, strict=False):  # one, where it had to be read alone
            self._keep(each, recording)
        return recordings[0]

    def _keep(self, text: Text, recording: Recording) -> None:
        self._kept.get(text.key, lambda: (recording, recording.nbytes))

    def _beside(self, text: Text) -> list[Text]:
        """Who is taken along."""
        with self._lock:
            waiting = tuple(self._waiting)
        taken, longest = {text.visitor: text}, len(text.tokens)
        for each in waiting:
            longer = max(longest, len(each.tokens))
            fits = len(taken) < self._most and longer * (len(taken) + 1) <= TOKENS
            if fits and each.visitor not in taken and _alike(each, text) and self._kept.peek(each.key) is None:
                taken[each.visitor], longest = each, longer
        return list(taken.values())[1:]

    def _together(self, texts: list[Text]) -> list[Recording]:
        """A recording for each, of one forward; none where the model can't, or that fails: then each is read alone."""
        model = texts[0].model
        try:
            able = separable(model, _size(texts[0]))
            return apart(model.record([text.tokens for text in texts])) if able else []
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is read alone, and is told to them
            for text in texts:
                text.alone = True
            return []


def _alike(one: Text, other: Text) -> bool:
    """Whether one text, which waits, may be read together with another."""
    like = one.model is other.model and _size(one) == _size(other) <= likeness(LONGEST)
    return like and not (one.alone or other.alone) and one.wanted()


def _size(text: Text) -> int:
    return likeness(len(text.tokens))
