"""Prove an anatomy before anyone relies on it: replayed it gives the model's logits, disturbed it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lens.errors import ModelError
from lens.models._anatomy import CORRECT, Anatomy
from lens.models._calls import Call
from lens.models._parts import Span, intercepted
from lens.models._recording import Run, passages, run

__all__ = ["prove", "prove_part"]

# Replaying does the same operations on the same numbers, so the difference is 0.0 wherever sums are made in a fixed
# order. GPU kernels, and libraries that choose their number of threads by the load, may sum in another order the second
# time, which shows in the last bits; a wrong anatomy is off by far more. Relative to the largest logit.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
HALF_PRECISION = 2e-2


def prove(hf: Any, anatomy: Anatomy, inputs: Mapping[str, Tensor]) -> float:
    """How far replayed logits are from the model's own, 0.0 where sums have a fixed order.

    Raises ModelError, naming what differs, unless the anatomy accounts for the model's logits within TOLERANCE.
    """
    recorded = run(hf, anatomy, inputs)
    _check_calls(hf.config.get_text_config(), recorded)
    difference = _replay_difference(hf.dtype, anatomy, recorded)
    _check_disturbance(anatomy, recorded)
    return difference


def prove_part(hf: Any, anatomy: Anatomy, spans: Sequence[Sequence[Span]], inputs: Mapping[str, Tensor]) -> None:
    """Each span's own output in its place gives the block's own; another output does not, and widths are the stream's.

    Raises ModelError, naming the block, where that does not hold.
    """
    with passages({"": spans}) as heard:
        recorded = run(hf, anatomy, inputs)
    for block, (own, call) in enumerate(zip(spans, recorded.calls, strict=True)):
        stream, after = recorded.streams[block : block + 2]
        sides = [heard["", block, number] for number in range(len(own))]
        if any(side.shape[-1] != stream.shape[-1] for pair in sides for side in pair):
            raise ModelError(f"A part of block {block} is not as wide as the stream, so no linear map can replace it.")
        same = _answered(call, stream, own, [left for _, left in sides])
        others = [
            _answered(call, stream, [span], [left.roll(1, -1)]) for span, (_, left) in zip(own, sides, strict=True)
        ]
        if not torch.allclose(same, after, rtol=1e-4, atol=1e-4) or any(torch.equal(other, after) for other in others):
            raise ModelError(f"A part of block {block} is not where it was looked for. {CORRECT}")


def _answered(call: Call, stream: Tensor, spans: Sequence[Span], outputs: Sequence[Tensor]) -> Tensor:
    """The block's output when its spans give these outputs; each is copied, as Falcon adds to what it gets in place."""

    def answer(number: int, _entered: Tensor, _left: Tensor) -> Tensor:
        return outputs[number].clone()

    with torch.no_grad(), intercepted(spans, answer):
        return call(stream)


def _check_calls(config: Any, recorded: Run) -> None:
    from transformers import Cache

    if len(recorded.calls) != config.num_hidden_layers:
        raise ModelError(
            f"its config speaks of {config.num_hidden_layers} blocks, and {len(recorded.calls)} calls were seen"
        )
    for boundary, stream in enumerate(recorded.streams):
        if stream.ndim != 3 or stream.shape[-1] != config.hidden_size:
            raise ModelError(
                f"the stream at boundary {boundary} has shape {tuple(stream.shape)}, "
                f"where (batch, tokens, {config.hidden_size}) was expected"
            )
    for block, call in enumerate(recorded.calls):
        if any(isinstance(value, Cache) for value in (*call.args, *call.kwargs.values())):
            raise ModelError(f"block {block} was called with a cache, so that it cannot be carried out again")


def _replay_difference(dtype: torch.dtype, anatomy: Anatomy, recorded: Run) -> float:
    replayed = _onward(anatomy, recorded, 0, recorded.streams[0])
    if replayed.shape != recorded.logits.shape:
        raise ModelError(
            f"replaying gave logits of shape {tuple(replayed.shape)}, and its own are {tuple(recorded.logits.shape)}"
        )
    difference = (replayed - recorded.logits).abs().max().item()
    allowed = TOLERANCE.get(dtype, HALF_PRECISION) * recorded.logits.abs().max().item()
    if not difference <= allowed:  # also where it is not a number
        raise ModelError(f"its blocks and head, replayed, differ from its own logits by {difference:.3g}")
    return difference


def _check_disturbance(anatomy: Anatomy, recorded: Run) -> None:
    count = len(recorded.calls)
    for boundary in sorted({0, count // 2, count}):
        # turned by one coordinate, a stream is as large as before and points elsewhere
        disturbed = recorded.streams[boundary].roll(1, dims=-1)
        if torch.equal(_onward(anatomy, recorded, boundary, disturbed), recorded.logits):
            raise ModelError(f"disturbing the stream at boundary {boundary} does not change its logits")


def _onward(anatomy: Anatomy, recorded: Run, boundary: int, stream: Tensor) -> Tensor:
    with torch.no_grad():
        for call in recorded.calls[boundary:]:
            stream = call(stream)
        return anatomy.unembed(stream)
