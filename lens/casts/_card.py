"""The provenance of a set of fitted maps."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from lens.errors import MapsError
from lens.numerics import R2, VARIANTS, Estimate

__all__ = ["CARD", "Card", "card_text"]

CARD = "card.json"
MAX_TEXT = 2**20  # characters of a name, a key, or what is said of the text
MAX_ROWS = 100_000  # of a table; 300 layers have 45,150 pairs
MAX_BLOCKS = 9_999
MAX_CELLS = 4_000_000  # of all casts' tables: 20 casts of 446 blocks, and 200 MB as `r2` lays them out
CAST_NAME = re.compile("~?[a-z][a-z0-9_]{0,40}")
PAIR = re.compile("([0-9]{1,4})>([0-9]{1,4})")
SPAN = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
BOUNDARY = "boundary l is the residual stream before block l; the last is the last block's output before the final norm"


@dataclass(frozen=True)
class Card:
    """Where a set of maps comes from: everything needed to trust, refuse or repeat it."""

    model: str
    revision: str | None
    fingerprint: str  # of the weights the maps were fitted on
    n_blocks: int
    width: int
    corpus: str
    corpus_sha256: str
    positions: str  # "one" random token a sentence, or "all"
    sentences: int
    tokens: int
    heldout_corpus: str
    heldout_sentences: int
    heldout_tokens: int
    seed: int
    version: str  # of lens
    options: dict[str, float | int] = field(default_factory=dict)
    rank: dict[str, int] = field(default_factory=dict)  # source layer → directions in which its vectors vary
    condition: dict[str, float] = field(default_factory=dict)  # source layer → condition of its scaled second moments
    # cast → "source>target" → variant → [r², standard error]
    scores: dict[str, dict[str, dict[str, list[float | None]]]] = field(default_factory=dict)
    boundary: str = BOUNDARY

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Parse a card; MapsError if it is not one, naming the field that is wrong."""
        try:
            raw = json.loads(text)
            card = cls(**{item.name: raw[item.name] for item in fields(cls)})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MapsError(
                f"{CARD} is not a card of fitted maps ({error!r}). Fit or download the maps again."
            ) from None
        for name, valid in _VALID.items():
            if not valid(getattr(card, name)):
                raise MapsError(f"{CARD} lacks a valid {name}. Fit or download the maps again.")
        places = [(cast, key) for cast, pairs in card.scores.items() for key in pairs]
        cells = len(card.scores) * (card.n_blocks + 1) ** 2
        if cells > MAX_CELLS or not all(_place(card, cast, key) for cast, key in places):
            raise MapsError(f"{CARD} lacks valid scores of a model of {card.n_blocks} blocks. Fit the maps again.")
        return card

    def to_json(self) -> str:
        """The card as text that `from_json` reads."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def r2(self) -> R2:
        """The held-out r² of every pair and cast, as it was measured when the maps were fitted."""
        found = tuple(cast for cast in self.scores if not cast.startswith("~"))
        size = self.n_blocks + 1
        value, error = (np.full((len(VARIANTS), len(found), size, size), np.nan) for _ in range(2))
        value[..., range(size), range(size)], error[..., range(size), range(size)] = 1.0, 0.0
        for c, cast in enumerate(found):
            for pair, scores in self.scores[cast].items():
                source, target = map(int, pair.split(">"))
                for v, variant in enumerate(VARIANTS):
                    at = v, c, source, target
                    value[at], error[at] = (_float(number) for number in scores.get(variant, (None, None)))
        sizes = {"sentences": self.heldout_sentences, "tokens": self.heldout_tokens}
        estimate = Estimate(value, error)
        return R2(self.model, self.heldout_corpus, found, self.n_blocks, tuple(VARIANTS), estimate, **sizes)


def _float(number: float | None) -> float:
    return float("nan") if number is None else number


def card_text(value: Any) -> bool:
    """Text that can be written and shown: a lone half of a character can't."""
    return isinstance(value, str) and len(value) <= MAX_TEXT and not re.search("[\ud800-\udfff]", value)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _number(value: Any) -> bool:
    """A finite number, and no whole one that is too large for a float."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _condition(value: Any) -> bool:
    return _number(value) or value == math.inf  # of vectors with a coordinate that never changes


def _table(value: Any, valid: Callable[[Any], bool]) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MAX_ROWS
        and all(map(card_text, value))
        and all(map(valid, value.values()))
    )


def _score(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(n is None or _number(n) for n in value)


def _scores(value: Any) -> bool:
    return _table(value, lambda pairs: _table(pairs, lambda variants: _table(variants, _score))) and all(
        CAST_NAME.fullmatch(cast) for cast in value
    )


def _place(card: Card, cast: str, key: str) -> bool:
    """Whether `key` is a pair "source>target" of this model's layers, or of a part a "block.span"."""
    found = (SPAN if cast.startswith("~") else PAIR).fullmatch(key)
    if not found:
        return False
    first, second = map(int, found.groups())
    return first < card.n_blocks if cast.startswith("~") else first < second <= card.n_blocks


_VALID: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("model", "fingerprint", "corpus", "corpus_sha256", "heldout_corpus", "version", "boundary"), card_text
    ),
    **dict.fromkeys(("sentences", "tokens", "heldout_sentences", "heldout_tokens", "seed"), _count),
    "revision": lambda value: value is None or card_text(value),
    "n_blocks": lambda value: _count(value) and 1 <= value <= MAX_BLOCKS,
    "width": lambda value: _count(value) and value >= 1,
    "positions": lambda value: value in ("one", "all"),
    "options": lambda value: _table(value, _number),
    "rank": lambda value: _table(value, _count),
    "condition": lambda value: _table(value, _condition),
    "scores": _scores,
}
