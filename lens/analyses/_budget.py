"""What a fit needs of memory, and how it is split over passes where that is too much at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lens.analyses._chosen import number_of_bytes
from lens.errors import LensError
from lens.models import free_memory
from lens.numerics import GROUPS, Pair
from lens.wire import values

__all__ = ["Budget", "budget", "moments_bytes", "place_for"]

SHARE = 0.5  # of the free memory, where nobody says how much a fit may use
DOUBLE, SINGLE = 8, 4  # bytes


@dataclass(frozen=True)
class Budget:
    """Which pairs are fitted in which pass over the text, and the memory that it takes."""

    passes: tuple[tuple[Pair, ...], ...]
    memory: int  # bytes at the most, beside the model's own


values(Budget)


def budget(
    pairs: Sequence[Pair], width: int, kinds: int, memory: int | None, place: torch.device, sums: int = 1
) -> Budget:
    """As few passes as fit into `memory` bytes, by default half of what is free in `place`, with moments `sums` times.

    Raises LensError, saying what would help, where not even one pair at a time fits beside the maps themselves.
    """
    allowed = int(free_memory(place) * SHARE) if memory is None else number_of_bytes(memory)
    maps = len(pairs) * kinds * width**2 * SINGLE
    fixed = maps + _work(width)
    passes: list[list[Pair]] = [[]]
    for pair in sorted(pairs, key=lambda pair: str(pair[0]).zfill(9)):
        if passes[-1] and fixed + _pass(passes[-1] + [pair], width, kinds, sums) > allowed:
            passes.append([])
        passes[-1].append(pair)
    needed = fixed + max(_pass(chosen, width, kinds, sums) for chosen in passes)
    if needed > allowed:
        raise LensError(
            f"This fit of {len(pairs):,} pairs needs {needed / 1e9:.2f} GB, {maps / 1e9:.2f} GB of it for the maps, "
            f'and may use {allowed / 1e9:.2f} GB. Fit fewer pairs (pairs="final", or a list), or allow more: memory=….'
        )
    return Budget(tuple(map(tuple, passes)), needed)


def place_for(device: torch.device, memory: int) -> torch.device:
    """`device`, where `memory` bytes have room there, else the CPU."""
    return device if device.type == "cpu" or memory <= SHARE * free_memory(device) else torch.device("cpu")


def _pass(pairs: Sequence[Pair], width: int, kinds: int, sums: int) -> int:
    """Moments of each pair and source, and the sums for held-out scores of each cast, `id` among them."""
    scores = len(pairs) * (kinds + 3) * 2 * GROUPS * width * DOUBLE
    return sums * (moments_bytes(pairs, width) + scores)


def moments_bytes(pairs: Sequence[Pair], width: int) -> int:
    """Of the sums over a text that a fit of `pairs` is made from."""
    return (len(pairs) + len({source for source, _ in pairs})) * width**2 * DOUBLE


def _work(width: int) -> int:
    """A solve's factors and products."""
    return 8 * width**2 * DOUBLE
