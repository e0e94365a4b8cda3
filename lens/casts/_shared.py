"""Maps that lie on a shared engine: what they are is here, their tensors there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from lens.casts._card import Card
from lens.casts._maps import Maps
from lens.errors import MapsError
from lens.wire import values

__all__ = ["HeldMaps", "SharedMaps", "SharedMapsCard", "card_of"]


@dataclass(frozen=True)
class HeldMaps:
    """The maps that an engine holds under a key, which nobody guesses."""

    key: str


@dataclass(frozen=True)
class SharedMapsCard:
    """The same, with all that is said of them."""

    key: str
    card: str  # as JSON
    names: tuple[str, ...]  # of the tensors

    def __post_init__(self) -> None:
        try:
            self.arrives()
        except MapsError as error:
            raise ValueError(str(error)) from None

    def arrives(self) -> SharedMaps:
        """The maps as an analysis takes them."""
        return SharedMaps(self.key, Card.from_json(self.card), self.names)


values(HeldMaps, SharedMapsCard)


class SharedMaps(Maps):
    """Maps on a shared engine: they are used there, for the model that they were fitted on, and can't be saved here."""

    def __init__(self, key: str, card: Card, names: tuple[str, ...]) -> None:
        self._key = key
        super().__init__(card, source=(frozenset(names), _stay))

    def travels(self) -> HeldMaps:
        """What stands for them when the engine is asked."""
        return HeldMaps(self._key)


def card_of(key: str, maps: Maps) -> SharedMapsCard:
    """What an engine tells of maps that it holds."""
    return SharedMapsCard(key, maps.card.to_json(), maps.names)


def _stay(name: str) -> NoReturn:
    raise MapsError(
        f"Map {name} lies on the shared engine and stays there. Fit or load the maps here, with the model loaded here."
    )
