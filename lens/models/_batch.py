"""Rows of token ids as one padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor

from lens.errors import ModelError, TextError
from lens.models._context import context_of, first_position

__all__ = ["batch"]


def batch(hf: Any, rows: Sequence[Sequence[int]], padding: Literal["left", "right"]) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (B, T), and position ids where padding on the left would shift them.

    Raises TextError for rows that the model cannot read: none, empty ones, or longer than its context.
    """
    _check(hf.config, rows)
    length, pad = max(map(len, rows)), _filler(hf.config.get_text_config())
    ids = torch.tensor([_padded(row, pad, length - len(row), padding) for row in rows])
    mask = torch.tensor([_padded([1] * len(row), 0, length - len(row), padding) for row in rows])
    inputs = {"input_ids": ids, "attention_mask": mask}
    accepted = signature(hf.forward).parameters
    if padding == "left" and length > min(map(len, rows)) and "position_ids" in accepted:
        inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0) + first_position(hf.config)
    return {name: tensor.to(hf.device) for name, tensor in inputs.items()}


def _padded(row: Sequence[int], filler: int, missing: int, padding: str) -> list[int]:
    gap = [filler] * missing
    return [*gap, *row] if padding == "left" else [*row, *gap]


def _filler(config: Any) -> int:
    """A token to fill gaps with; it is masked out, but RoBERTa finds its positions by it."""
    pad = getattr(config, "pad_token_id", None)
    return pad if isinstance(pad, int) and 0 <= pad < config.vocab_size else 0


def _check(config: Any, rows: Sequence[Sequence[int]]) -> None:
    if not rows or not all(rows):
        raise TextError("There are no tokens to read.")
    bound, longest = context_of(config, None), max(map(len, rows))
    if bound is not None and longest > bound:
        raise TextError(f"The text has {longest} tokens, but this model reads at most {bound} at once.")
    vocabulary = config.get_text_config().vocab_size
    if (largest := max(map(max, rows))) >= vocabulary:
        raise ModelError(
            f"Token {largest} is not in the model's vocabulary of {vocabulary}: its tokenizer is another model's."
        )
