"""Maps that visitors have fitted: for all replicas of an engine, and longer than any of them lives."""

from __future__ import annotations

import logging
import pickle
import secrets
from typing import TYPE_CHECKING, Any, Final

from lens._cache import ByteCache
from lens.cluster._ray import ray

if TYPE_CHECKING:
    from lens.casts import Maps

__all__ = ["MOST", "Kept", "Shelf"]

MOST: Final = 1024 * 2**20  # bytes; those used longest ago make room
PATIENCE: Final = 30.0  # seconds for the shelf to answer


class Kept:
    """Maps by keys that nobody guesses: at hand here, and on the shelf, if there is one, that other replicas share."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._here = ByteCache(MOST)
        self._shelf = shelf

    def keep(self, maps: Maps) -> str:
        """Keep them; gives their key."""
        key = secrets.token_urlsafe(24)
        self._here.keep(key, maps, maps.nbytes)
        if self._shelf is not None:
            self._shelf.keep(key, pickle.dumps(maps))
        return key

    def find(self, key: str) -> Maps | None:
        """The maps of a key, wherever in the engine they were fitted; None where it no longer has them."""
        found: Maps | None = self._here.peek(key)
        if found is None and self._shelf is not None and (packed := self._shelf.find(key)) is not None:
            found = pickle.loads(packed)  # noqa: S301 - as Ray's own: another replica of this engine has packed it
            self._here.keep(key, found, len(packed))
        return found


class Shelf:
    """A byte-bounded cache in a process of its own, an actor of Ray.

    Where it does not answer, nothing is kept on it, and nothing found.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def keep(self, key: str, packed: bytes) -> None:
        """Keep it, for as long as there is room."""
        self._asked(self._actor.keep.remote(key, packed, len(packed)))

    def find(self, key: str) -> bytes | None:
        """What was kept, or None."""
        found: bytes | None = self._asked(self._actor.peek.remote(key))
        return found

    def _asked(self, answer: Any) -> Any:
        try:
            return ray().get(answer, timeout=PATIENCE)
        except Exception as error:  # whatever Ray says of it, the visitor is told to fit again
            logging.getLogger("lens").error("The shelf of fitted maps does not answer", exc_info=error)
            return None
