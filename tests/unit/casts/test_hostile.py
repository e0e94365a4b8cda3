"""Folders of maps made by somebody who means harm: each is refused in words, at once, and within a bound of memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lens.casts import Card, Maps
from lens.errors import MapsError
from tests.unit.casts.test_maps import CARD

SCORE = {"stream": [0.5, 0.1]}
CARDS: dict[str, dict[str, Any]] = {
    "a pair beyond the model": {"scores": {"mat": {"7>9": SCORE}}},
    "a pair that goes down": {"scores": {"mat": {"2>1": SCORE}}},
    "a part beyond the model": {"scores": {"~attn": {"3.0": SCORE}}},
    "a table of a hundred million cells": {"n_blocks": 9_999, "scores": {"mat": {}}},
    "a name of a cast that is none": {"scores": {"<script>": {}}},
    "a number too large for a float": {"scores": {"mat": {"0>3": {"stream": [10**400, 0.1]}}}},
    "a score that is not a number": {"scores": {"mat": {"0>3": {"stream": [float("nan"), 0.1]}}}},
    "a score without end": {"scores": {"mat": {"0>3": {"stream": [float("-inf"), None]}}}},
    "an option that is not a number": {"options": {"ridge": float("nan")}},
    "half a character": {"model": "half of \ud83d"},
    "half a character as a key": {"rank": {"\ud83d": 1}},
    "digits of another script": {"scores": {"mat": {"٠>٣": SCORE}}},
}


@pytest.mark.parametrize("what", CARDS)
def test_a_card_is_refused_that_could_not_be_drawn_or_written(what: str) -> None:
    with pytest.raises(MapsError, match=r"lacks (a )?valid"):
        Card.from_json(json.dumps({**json.loads(CARD.to_json()), **CARDS[what]}))


def test_a_condition_without_end_is_a_true_one() -> None:
    """Of vectors with a coordinate that never changes."""
    card = replace(CARD, condition={"0": float("inf")})
    assert Card.from_json(card.to_json()) == card


NAMES = [
    "mat.00.3.matrix",  # would be held as 0 → 3, and not be found again
    "mat.0.3.matrix.more",
    "mat.٠.3.matrix",
    f"mat.{'1' * 5000}.3.matrix",  # Python reads no number of so many digits
    "~attn.0.x.matrix",
    "mat",
    "",
    "\0",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_whose_name_would_not_be_asked_for_is_refused(name: str, tmp_path: Path) -> None:
    Maps(CARD, {}).save(tmp_path)
    save_file({name: torch.eye(4)}, tmp_path / "maps.safetensors", {"fingerprint": CARD.fingerprint})
    with pytest.raises(MapsError, match="which is no map of a model of 3 blocks"):
        Maps.load(tmp_path)


def test_a_map_that_is_not_whole_or_of_no_known_kind_is_not_offered() -> None:
    """The second is what a newer lens may have fitted."""
    given = {"affine.0.3.matrix": torch.eye(4), "other.0.3.matrix": torch.eye(4), "mat.0.3.matrix": torch.eye(4)}
    assert Maps(CARD, given).pairs == {"mat": {(0, 3)}}


SHAPES = {
    "a vector for a matrix": {"mat.0.3.matrix": torch.ones(4)},
    "a matrix with a row too few": {"mat.0.3.matrix": torch.ones(3, 4)},
    "a matrix for a bias": {"affine.0.3.matrix": torch.eye(4), "affine.0.3.bias": torch.ones(1, 4)},
    "two ranks": {"lowrank.0.3.down": torch.ones(2, 4), "lowrank.0.3.up": torch.ones(3, 4)},
}


@pytest.mark.parametrize("what", SHAPES)
def test_a_map_of_another_shape_is_never_applied(what: str) -> None:
    """PyTorch would stretch some of them over the stream, and give numbers that mean nothing."""
    maps = Maps(CARD, SHAPES[what])
    (cast,) = maps.pairs
    with pytest.raises(MapsError, match="which no map of width 4 has"):
        maps.tensors(cast, 0, 3)


def test_a_part_of_another_shape_is_never_applied() -> None:
    with pytest.raises(MapsError, match="which no map of width 4 has"):
        Maps(CARD, {"~ln.0.0.matrix": torch.ones(1, 4)}).part("ln", 0)


def test_spans_of_a_part_come_in_the_order_of_their_numbers() -> None:
    tensors = {f"~ln.0.{span}.matrix": torch.full((4, 4), float(span)) for span in (10, 9)}
    assert [int(matrix[0, 0]) for matrix in Maps(CARD, tensors).part("ln", 0)] == [9, 10]
