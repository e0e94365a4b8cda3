"""Many streams over one text, carried on through the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lens._memory import ran_out
from lens.errors import LensError, Superseded
from lens.execution._interpreter import execute
from lens.models import Model, Recording
from lens.numerics import agree
from lens.plans import Plan

__all__ = ["onward"]

VECTORS = 512  # in one product; with more, none is done quicker

_proofs: WeakKeyDictionary[Model, dict[tuple[Plan, torch.Size], bool]] = WeakKeyDictionary()


def onward(recording: Recording, plan: Plan, streams: Sequence[Tensor]) -> list[Tensor]:
    """The last stream (1, positions, width) of `plan` begun from each of `streams`, of a recording of one text.

    They go as batches where the blocks take such, with the side inputs of the one text for each: the same to rounding.
    Whether they do is tried once for each plan and shape of batch, against a stream that goes alone: blocks may differ,
    and one block may mix a batch up at one size or length and not at another.
    """
    size = max(1, VECTORS // streams[0].shape[1])
    ended: list[Tensor] = []
    for at in range(0, len(streams), size):
        batch = streams[at : at + size]
        ended += _as_batch(recording, plan, batch) or [execute(recording, plan, stream=each)[-1] for each in batch]
    return ended


def _as_batch(recording: Recording, plan: Plan, streams: Sequence[Tensor]) -> list[Tensor] | None:
    """What comes of the streams together; None where they have to go one by one."""
    if len(streams) == 1:
        return None
    together = torch.cat(list(streams))
    proofs, size = _proofs.setdefault(recording.model, {}), (plan, together.shape)
    if not proofs.get(size, True):
        return None
    try:
        ended = list(torch.split(execute(recording, plan, stream=together)[-1], 1))
    except Exception as error:  # however a family says that what was recorded is of one text
        if ran_out(error) or isinstance(error, (LensError, Superseded)):
            raise
        proofs[size] = False
        return None
    if size not in proofs:  # of the last, as what is taken for the whole batch may be the first one's
        proofs[size] = agree(ended[-1], execute(recording, plan, stream=streams[-1])[-1])
    return ended if proofs[size] else None
