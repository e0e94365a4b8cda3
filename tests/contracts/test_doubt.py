"""Numbers in doubt are shown as what they are: a model that overflows predicts nothing, and agrees with nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import lens
from lens.errors import LensError
from lens.numerics import NO_TOKEN, Moments, Reference, compare, judge, least_squares, score, top_1, top_k
from lens.panels._shelf import Question, Shelf
from lens.panels.tabs import assembly_line, early_exit, jump, lens_table
from lens.views import lens_table as drawn

TEXT = "The old man sat by the fire"
BAD = 7  # the block that spoils the stream


@pytest.fixture(params=[float("nan"), float("inf"), 3e38], ids=["nan", "inf", "overflow"])
def spoilt(request: pytest.FixtureRequest) -> Iterator[lens.models.Model]:
    """The demo model, one weight of which makes every number behind block 7 no number."""
    model = lens.load("demo", device="cpu")
    bias = model.hf.transformer.h[BAD].mlp.c_proj.bias
    kept = bias.data.clone()
    bias.data[:2] = request.param  # two, so that the layer norm's mean overflows too
    yield model
    bias.data.copy_(kept)


@pytest.fixture
def answer(spoilt: lens.models.Model) -> Any:
    shelf = Shelf()
    shelf.add(spoilt)
    shelf.maps["demo"] = None
    return shelf.answer(Question("demo", TEXT))


def test_a_reading_names_no_token_where_there_is_no_number(spoilt: lens.models.Model) -> None:
    reading = lens.read(spoilt, TEXT, casts=["id"], k=3)
    good, bad = slice(0, BAD + 1), slice(BAD + 1, None)
    assert (reading.token_ids[:, bad] == NO_TOKEN).all()
    assert (reading.token_ids[:, good] >= 0).all()
    assert np.isnan(reading.probabilities[:, bad]).all()
    assert np.isfinite(reading.probabilities[:, good]).all()
    assert (reading.rank == -1).all()  # the model's own top token is none either
    for name in ("entropy", "kl", "surprisal"):
        assert np.isnan(getattr(reading, name)[:, bad]).all()
    assert set(reading.frame().query("source > @BAD").token) == {"not a number"}


def test_a_layer_that_goes_on_into_no_number_is_read_as_none(spoilt: lens.models.Model) -> None:
    reading = lens.read(spoilt, TEXT, casts=["id"], target=BAD - 2, k=3)
    assert (reading.token_ids == NO_TOKEN).all()
    assert np.isnan(reading.kl).all()


def test_a_plan_that_ends_in_no_number_agrees_with_nothing(spoilt: lens.models.Model) -> None:
    found = lens.compare_plan(spoilt, TEXT, "0-11")
    assert not found.agrees.any()
    assert "0% of top-1 kept" in repr(found)
    assert set(found.frame().prediction) == {"not a number"}
    sweep = lens.sweep(spoilt, [TEXT], {"same": ["0-11"], "fewer": ["0-10"]}).frame()
    assert sweep[["loss", "kl", "agreement"]].isna().all(axis=None)


def test_nothing_is_written_on_from_no_number(spoilt: lens.models.Model) -> None:
    for temperature in (0.0, 1.0):
        with pytest.raises(LensError, match=r"predicts nothing here under 0-11: its numbers are no longer finite"):
            lens.generate(spoilt, TEXT, max_new_tokens=2, temperature=temperature)


def strict(value: Any) -> str:
    """As JSON that a browser reads, which has neither NaN nor Infinity."""
    return json.dumps(value, allow_nan=False, default=str)


def test_the_jump_panel_says_so(answer: Any) -> None:
    columns = jump.columns(answer, BAD + 1, 8, None)
    assert columns[0]["message"] == "Nothing is predicted: the numbers here are no longer finite."
    assert not columns[0]["rows"]
    assert {fact["value"] for fact in columns[0]["facts"]} == {"—"}
    assert "nan" not in strict(columns)
    assert jump.columns(answer, 0, 8, None)[0]["rows"]
    for metric in jump.MEASURES:
        line = jump.path(answer, answer.reading, metric, 0)["lines"][0]["values"]
        assert line[BAD + 1 :] == [None] * (12 - BAD)
        strict(line)


def test_the_lens_table_leaves_the_cells_empty(answer: Any) -> None:
    spec = lens_table.picture(answer, answer.reading)
    assert np.isnan(spec["probabilities"][:, BAD + 1 :]).all()
    assert np.isnan(spec["scores"][:, :, BAD + 1 :]).all()
    strict(spec["spec"])


def test_a_figure_leaves_the_cells_empty(answer: Any) -> None:
    for metric in ("probability", "rank", "entropy"):
        figure = drawn(answer.reading, cast="id", metric=metric)
        assert np.isnan(np.array(figure.data[0].z, float)[BAD + 1 :]).all()
        assert {cell for row in figure.data[0].customdata[BAD + 1 :] for cell in row} == {"not a number"}


def test_the_assembly_line_says_so(spoilt: lens.models.Model) -> None:
    found = lens.compare_plan(spoilt, TEXT, "0-11")
    columns = assembly_line.columns(found, 2, 8)
    assert [column["message"] for column in columns] == [assembly_line.NOT_FINITE] * 2
    assert columns[0]["facts"][0]["value"] == "—"
    strict([columns, assembly_line.shifts(found)])
    assert not any(token["agrees"] for token in assembly_line.shifts(found)["tokens"])


def test_a_token_without_numbers_leaves_late_and_agrees_with_nothing(answer: Any) -> None:
    picture = early_exit.picture(answer.reading, "id", 0.99, "causal")
    strict(picture)
    late = [token for token in picture["tokens"] if token["layer"] > BAD]
    assert late
    assert not any(token["agrees"] for token in late)
    assert {token["confidence"] for token in late} == {None}


def test_equal_logits_are_told_apart_by_their_ids() -> None:
    """Lower id first, wherever a top-1 or a top-k is taken, at the edge of the k too."""
    logits = torch.tensor([[1.0, 3.0, 3.0, 3.0, 2.0, 2.0], [0.0] * 6])
    for k in range(1, 7):
        assert top_k(logits, k)[0].tolist() == [1, 2, 3, 4, 5, 0][:k]
        assert top_k(logits, k)[1].tolist() == list(range(k))
    assert top_1(logits).tolist() == [1, 0]
    assert score(logits, logits, 1).rank.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_bad_logit_spoils_its_row_and_no_other(bad: float) -> None:
    logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    spoilt = logits.clone()
    spoilt[1, 4] = bad
    for prediction, reference in ((spoilt, logits), (logits, spoilt)):
        judged = judge(prediction, Reference.of(reference), torch.tensor([1, 2, 3]))
        assert judged.isnan().any(-1).tolist() == [False, True, False]
        assert judged[1].isnan().all()
        scores, compared = score(prediction, reference, 2), compare(prediction, reference)
        assert scores.rank.lt(0).tolist() == [False, True, False]
        assert scores.kl.isnan().tolist() == compared.kl.isnan().tolist() == [False, True, False]
        assert compared.place[1] == 9
    assert top_k(spoilt, 2)[1].tolist() == [NO_TOKEN] * 2


def test_minus_infinity_is_a_number_here() -> None:
    """Models forbid tokens so: the others are predicted as ever."""
    logits = torch.tensor([[0.0, float("-inf"), 1.0]])
    assert top_k(logits, 3).tolist() == [[2, 0, 1]]
    assert score(logits, logits, 1).entropy.isfinite().all()
    assert top_1(torch.full((1, 3), float("-inf"))).tolist() == [NO_TOKEN]


def test_a_coordinate_that_never_changes_does_not_spoil_a_fit() -> None:
    """Its r² is of nothing, and left out of the mean; the map stays finite."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(200, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    x[:, 2], y[:, 3] = 0.0, 7.0
    moments = Moments([(0, 1)], 5)
    moments.update({0: x, 1: y})
    solution = least_squares(moments, 0, [1])
    assert solution.maps[1]["matrix"].isfinite().all()
    assert solution.rank == 4


def test_nothing_is_fitted_on_what_is_no_number(spoilt: lens.models.Model) -> None:
    with pytest.raises(LensError, match="holds values that are not finite numbers on text 1"):
        lens.fit(spoilt, [TEXT, "Another sentence, as long."], pairs=[(9, 12)])
