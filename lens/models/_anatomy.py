"""The parts of one model: its blocks, and the way from the last stream to the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from lens.errors import ModelError
from lens.models._family import Family

__all__ = ["CORRECT", "Anatomy", "dissect"]

CORRECT = "Correct that file in lens/models/families, or use the version of transformers that it was written for."

# tokens of a vocabulary whose weights and logits stay in the processor's cache while they are multiplied
TOGETHER = 2048
MANY = 2  # vectors; for one, reading the weights is all the time there is


@dataclass(frozen=True)
class Anatomy:
    """The blocks and the head of a model, found by `family`."""

    family: Family
    blocks: tuple[nn.Module, ...]  # each module once, also where it is called many times (ALBERT)
    head: tuple[nn.Module, ...]
    config: Any

    def unembed(self, stream: Tensor) -> Tensor:
        """Logits (…, vocabulary) of a stream (…, width) at the last boundary, as the model computes them."""
        logits = stream
        for module in self.head:
            logits = _through(module, logits)
        return (logits if self.family.finish is None else self.family.finish(logits, self.config)).to(stream.device)


def dissect(hf: Any, family: Family) -> Anatomy:
    """Find a family's parts in a model; raises ModelError naming the first that is not there."""
    blocks = _part(hf, family.blocks, family)
    if not isinstance(blocks, nn.ModuleList):
        raise ModelError(
            f"{family.blocks!r} in {type(hf).__name__} is no list of blocks but a {type(blocks).__name__}. {CORRECT}"
        )
    head = (_part(hf, path, family) for path in family.unembed)
    return Anatomy(family, tuple(blocks), tuple(part for part in head if part is not None), hf.config.get_text_config())


def _through(module: nn.Module, stream: Tensor) -> Tensor:
    """What `module` makes of the stream (…, d): a plain float32 product over a vocabulary piece by piece, by oneDNN.

    Each logit is the same sum, to rounding. The pieces take a fifth less time than a matrix of 50,257 rows in one, and
    oneDNN on AMD's processors half as much as MKL, which keeps AVX-512 to Intel's.
    """
    if not _divisible(module, stream):
        answer: Tensor = module(stream)
        return answer
    logits = stream.new_empty(*stream.shape[:-1], module.out_features)
    for place in range(0, module.out_features, TOGETHER):
        piece = slice(place, place + TOGETHER)
        bias = None if module.bias is None else module.bias[piece]
        logits[..., piece] = _product(stream, module.weight[piece], bias)
    return logits


def _product(stream: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(…, tokens): by the operation that torch's own compiler puts in the place of `linear`, where torch has it."""
    mkldnn: Any = torch.backends.mkldnn
    by_onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if by_onednn is None or not (mkldnn.is_available() and mkldnn.enabled):
        return nn.functional.linear(stream, weight, bias)
    found: Tensor = by_onednn(stream, weight, bias, "none", [], "")
    return found


def _divisible(module: nn.Module, stream: Tensor) -> TypeGuard[nn.Linear]:
    """Whether calling `module` is its product and nothing else: no subclass, no hook, no forward of accelerate's."""
    if type(module) is not nn.Linear or module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        return False
    many = stream.numel() >= MANY * module.in_features and module.out_features > 2 * TOGETHER
    return many and stream.device.type == "cpu" and stream.dtype == module.weight.dtype == torch.float32


def _part(hf: Any, path: str, family: Family) -> Any:
    optional = path.endswith("?")
    part: Any = hf
    for name in path.removesuffix("?").split("."):
        part = getattr(part, name, None)
    if part is None and not optional:
        raise ModelError(
            f"{type(hf).__name__} has no {path!r}, which the family file for {', '.join(family.types)} names. {CORRECT}"
        )
    return part
