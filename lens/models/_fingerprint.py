"""A short name for a model's weights, the same in whatever precision they were loaded."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

__all__ = ["fingerprint"]

SAMPLES = 1024
PART = 2**18  # numbers that are summed at a time


def fingerprint(hf: Any) -> str:
    """Hex sha256 over every parameter's name, shape, and values rounded to bfloat16.

    Rounding makes a checkpoint loaded in float32 and in bfloat16 the same model, so that maps fit both; one that was
    quantised to int8 or int4 is another model. The sum of the bit patterns changes with any weight, the samples with
    their order.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(hf.named_parameters()):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(_summary(parameter.detach()).cpu().numpy().tobytes())
    return digest.hexdigest()


def _summary(values: Tensor) -> Tensor:
    """1 + up to 1024 numbers (int64): the sum of the bit patterns and evenly strided ones."""
    flat = values.reshape(-1)
    strided = _bits(flat[:: max(1, -(-flat.numel() // SAMPLES))])
    return torch.cat([_sum(flat)[None], strided.to(torch.int64)])


def _sum(flat: Tensor) -> Tensor:
    """Of all bit patterns (int64). torch makes int64 of what it sums; here it does so in the same room each time, as
    rooms asked for one after another, with a small result kept between each two, may add up to the whole.
    """
    room = flat.new_empty(min(PART, flat.numel()), dtype=torch.int64)
    total = room.new_zeros(())
    for part in torch.split(flat, PART):
        total += room[: len(part)].copy_(_bits(part)).sum()
    return total


def _bits(values: Tensor) -> Tensor:
    return values.to(torch.bfloat16).view(torch.int16) if values.is_floating_point() else values
