"""Bytes changed a little: the mutations of the usual fuzzers, drawn from one seeded source of chance."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["mutated"]

MOST = 20_000  # bytes of an input
EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutated(chance: random.Random, seeds: Sequence[bytes], corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the seeds, which are whole, or of the corpus, after one to eight changes."""
    data = bytearray(chance.choice(seeds if chance.random() < 0.5 else corpus))
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        _change(chance, data, corpus, words)
    return bytes(data[:MOST])


def _change(chance: random.Random, data: bytearray, corpus: Sequence[bytes], words: Sequence[bytes]) -> None:
    at, size = chance.randrange(len(data) + 1), chance.randrange(1, 17)
    kind = chance.randrange(8)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = chance.choice(EDGES)
    elif kind == 2:
        del data[at : at + size]
    elif kind == 3:
        data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))
    elif kind == 4:
        data[at:at] = chance.randbytes(size)
    elif kind == 5:
        other = chance.choice(corpus)
        cut = chance.randrange(len(other) + 1)
        data[at:] = other[cut:]
    elif words:
        word = chance.choice(words)
        data[at : at + (len(word) if kind == 6 else 0)] = word
