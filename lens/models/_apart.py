"""A recording of several texts, taken apart into each text's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lens._memory import ran_out
from lens.errors import LensError, Superseded
from lens.models._batch import batch
from lens.models._calls import Call
from lens.models._recording import Recording, forward_without_head
from lens.models._text import Tokens
from lens.numerics import agree

if TYPE_CHECKING:
    from lens.models._model import Model

__all__ = ["apart", "likeness", "separable"]

WIDE = (torch.float32, torch.float64)
SHORT = 5  # texts of up to 2⁵ tokens are alike: what padding adds to them costs little

_tried: WeakKeyDictionary[Model, dict[int, bool]] = WeakKeyDictionary()


def apart(recording: Recording) -> list[Recording]:
    """For each text of a recording the one that it would have alone: streams and logits to rounding, all else exactly.

    Of the batch, a text takes its own vectors and nothing else, as copies. How its blocks are called, its own forward
    says, in which they stand aside: so no mask or position of the batch has to be understood, and none travels along.
    What was listened to of parts is left out.
    """
    return [_own(recording, row) for row in range(len(recording.ids))]


def likeness(length: int) -> int:
    """The same number for texts of so many tokens that they are read together: up to 32, or up to twice as many."""
    return max(SHORT, (length - 1).bit_length())


def separable(model: Model, alike: int) -> bool:
    """Whether texts of that `likeness` can be read in one forward and taken apart, which is tried once.

    Not with a model whose rows may depend on each other: one in int8 looks for outliers in the whole batch, and where
    experts are chosen, rounding may choose others. Nor in half precision, whose rounding shows: a text's numbers would
    hang on who else is read.
    """
    tried = _tried.setdefault(model, {})
    if alike not in tried:
        tried[alike] = _row_by_row(model) and _as_alone(model, _trial(model, alike))
    return tried[alike]


def _own(recording: Recording, row: int) -> Recording:
    real = recording.attention_mask[row].nonzero()[:, 0]

    def own(tensor: Tensor) -> Tensor:
        return tensor[row, real][None]  # a copy, as places are chosen by a tensor

    ids, head = own(recording.ids), recording.head
    return Recording(
        recording.model,
        _calls(recording.model, ids[0].tolist()),
        ids,
        torch.ones_like(ids),
        tuple(map(own, recording.streams)),
        None if head is None else own(head),
        {},
    )


def _calls(model: Model, row: Sequence[int]) -> tuple[Call, ...]:
    """How the blocks are called for one text; none of them runs."""
    noted: list[tuple[Call, ...]] = []

    def onward(calls: tuple[Call, ...], stream: Tensor) -> Tensor:
        noted.append(calls)
        return stream

    with model.diverted(onward):
        forward_without_head(model.hf, batch(model.hf, [row], "right"))
    return noted[0]


def _row_by_row(model: Model) -> bool:
    if model.dtype not in WIDE:
        return False
    named = (f"{name} {type(module).__name__}".lower() for name, module in model.hf.named_modules())
    return not getattr(model.hf, "is_quantized", False) and not any("expert" in each for each in named)


def _trial(model: Model, alike: int) -> list[Tokens]:
    """A short, a middling and a long text, as far apart as texts that are alike can be."""
    shortest, longest = 1 if alike == SHORT else 2 ** (alike - 1) + 1, min(2**alike, model.context or 2**alike)
    lengths = shortest, (shortest + longest) // 2, longest
    ids = model.sample * (1 + longest // len(model.sample))
    return [Tokens("", ids[:length], (), (), (), (), length) for length in lengths]


def _as_alone(model: Model, texts: Sequence[Tokens]) -> bool:
    """Whether these texts, read together, are what they are alone, and go on through the blocks as they do."""
    try:
        # the shorter first: a rotary table may grow with what was read, and stay
        alone = [model.record(tokens) for tokens in texts]
        return all(map(_same, apart(model.record(texts)), alone))
    except Exception as error:  # however a family says that it reads no batches
        if ran_out(error) or isinstance(error, (LensError, Superseded)):
            raise
        return False


def _same(one: Recording, other: Recording) -> bool:
    stream = one.streams[0]
    for block in range(one.model.n_blocks):
        stream = one.run_block(block, stream)
    found, expected = (*one.streams, one.logits, stream), (*other.streams, other.logits, other.streams[-1])
    return all(map(agree, found, expected))
