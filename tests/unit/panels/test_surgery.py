"""The assembly line and the sweeps without a browser: every edit is a plan, and nothing that was made is lost."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import pytest

import lens
from lens.analyses import heldout_sentences
from lens.engine import InlineEngine
from lens.errors import PlanError
from lens.panels import Explore, panels
from lens.panels._session import Session
from lens.panels.live import items_of, plan_of
from lens.panels.tabs.sweeps import costs
from lens.plans import Plan


@pytest.fixture
def bench() -> Iterator[Explore]:
    bench = Explore(Session(), InlineEngine(), example=True)
    yield bench
    bench.close()


def look(bench: Explore, tab: str, sentences: int | None = None) -> Any:
    place = list(bench.tabs.titles).index(tab)
    panel = bench.panel(list(panels())[place])
    if sentences is not None:
        panel.count.value = sentences
    bench.tabs.selected_index = place
    return panel


def send(panel: Any, **message: Any) -> None:
    panel.strip._handle_custom_msg(message, [])


@pytest.mark.parametrize(
    "text",
    [
        "0-11",
        "0-3 8-11",
        "0-3 7-4 8-11",
        "0-3 [4-7]+x3 8-11",
        "0 6x4 9~attn mat(10>12)",
        "(0-3)x2 [4|(5-6)|id(4>8)]*1.5 [4|4] 2",
        "0-3 4-7~ln 8-11",
    ],
)
def test_tiles_and_plans_are_one(text: str) -> None:
    plan = Plan.parse(text)
    assert str(plan_of(items_of(plan))) == text


@pytest.mark.parametrize("items", [None, [{}], [{"kind": "block"}], [{"kind": "block", "block": "1"}], [3], [], [{"kind": "parallel", "items": []}]])  # fmt: skip  # noqa: E501
def test_tiles_that_are_no_plan_are_refused(items: Any) -> None:
    with pytest.raises(PlanError):
        plan_of(items)


def test_an_edit_is_a_plan_and_can_be_undone(bench: Explore) -> None:
    panel = look(bench, "Assembly line")
    assert (panel.strip.text, len(panel.strip.items), panel.strip.can_undo) == ("0-11", 12, False)
    send(panel, kind="items", items=[item for item in panel.strip.items if item["block"] != 4])
    assert (bench.session.plan, panel.strip.text) == ("0-3 5-11", "0-3 5-11")
    assert panel.strip.facts == "11 blocks run, 11 one after the other."
    send(panel, kind="text", text="0-3 [4-7]x2 8-11")
    assert bench.session.plan == "0-3 [4-7]x2 8-11"
    assert panel.strip.items[4]["kind"] == "parallel"
    send(panel, kind="undo")
    assert (bench.session.plan, panel.strip.can_redo) == ("0-3 5-11", True)
    send(panel, kind="undo")
    assert (bench.session.plan, panel.strip.text) == ("", "0-11")
    send(panel, kind="undo")  # there is nothing more
    send(panel, kind="redo")
    send(panel, kind="redo")
    assert bench.session.plan == "0-3 [4-7]x2 8-11"


def test_what_is_shown_is_what_the_analysis_says(bench: Explore) -> None:
    panel = look(bench, "Assembly line")
    bench.session.plan = "0-3 7-4 8-11"
    found = lens.compare_plan(lens.load("demo"), bench.session.text, "0-3 7-4 8-11")
    plan, model = panel.topk.columns
    assert [row["token_id"] for row in plan["rows"]] == found.token_ids[-1, :8].tolist()
    assert [row["token_id"] for row in model["rows"]] == found.full_token_ids[-1, :8].tolist()
    changes = [token["change"] for token in panel.shifts.spec["tokens"]]
    assert changes[-1] is None
    np.testing.assert_allclose(changes[:-1], found.change[:-1], atol=1e-6)
    lines = panel.streams.spec["lines"]
    np.testing.assert_allclose(lines[0]["values"], found.cosine, atol=1e-9)
    bench.session.text = "Another sentence"
    assert len(panel.shifts.spec["tokens"]) == len(bench.desk.answer.tokens)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0-3 [4-7", "never closed"),
        ("0-12", "block 12 does not exist"),
        ("6x10000", "at most 4,096"),
        ("6x0", "x0 would run nothing"),
        ("mat(8>4)", "a jump goes up"),
        ("0-3 9~nose", "not a part"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_lost(bench: Explore, text: str, words: str) -> None:
    panel = look(bench, "Assembly line")
    bench.session.plan = "0-3 8-11"
    before = panel.topk.columns
    send(panel, kind="text", text=text)
    assert words in panel.strip.error["message"]
    assert (bench.session.plan, panel.topk.columns) == ("0-3 8-11", before)
    send(panel, kind="items", items=[])
    assert "at least one stage" in panel.strip.error["message"]
    assert len(panel.strip.items) == 8
    send(panel, kind="text", text="0-3 8-11")
    assert panel.strip.error == {}


def test_a_plan_of_another_depth_keeps_its_text(bench: Explore) -> None:
    bench.session.plan = "0-20"
    panel = look(bench, "Assembly line")
    assert "block 20 does not exist" in panel.strip.error["message"]
    assert (panel.strip.text, len(panel.strip.items)) == ("0-20", 12)
    send(panel, kind="text", text="0-5 11")
    assert (panel.strip.error, bench.session.plan) == ({}, "0-5 11")


def test_presets_make_plans_from_their_parameters(bench: Explore) -> None:
    panel = look(bench, "Assembly line")
    form = panel.presets
    form.name.value = "looped parallel"
    form.window.value = 4, 7
    form._fields["k"].value = 2
    assert bench.session.plan == "0-3 [4-7]x2 8-11"
    form._fields["scale"].value = -1
    assert "scaled by a number above 0" in panel.strip.error["message"]
    assert bench.session.plan == "0-3 [4-7]x2 8-11"
    form.name.value = "switch"
    form._fields["block"].value = 6
    assert bench.session.plan == "0-5 7-6 8-11"
    form._fields["block"].value = 11
    assert "no block after it" in panel.strip.error["message"]
    bench.session.model = "demo-bert"
    assert form.window.max == 9


def test_both_write_on(bench: Explore) -> None:
    panel = look(bench, "Assembly line")
    bench.session.plan = "0-3 7-4 8-11"
    panel.writing.count.value = 5
    panel.writing.write.click()
    for plan in ("0-3 7-4 8-11", None):
        text = lens.generate(lens.load("demo"), bench.session.text, plan, max_new_tokens=5).text
        assert escape(text) in panel.writing.written.value
    bench.session.text = "<b>x</b>"
    panel.writing.write.click()
    assert "<b>x" not in panel.writing.written.value


def test_sweeps_show_their_numbers_and_a_click_takes_the_plan(bench: Explore) -> None:
    panel = look(bench, "Sweeps", 0)
    found = lens.painters(lens.load("demo"), [bench.session.text])
    lines = panel.chart.spec["lines"]
    assert [line["title"] for line in lines] == list(found.rows)
    np.testing.assert_allclose(lines[2]["values"], found.of("change").value[2], atol=1e-6)
    table = {row[0]: row[1:] for row in panel.table.spec["rows"]}
    at = len(found.columns) - 2
    assert {name: row[:2] for name, row in table.items()} == {
        name: [found.cost("applications")[r, at], found.cost("depth")[r, at]] for r, name in enumerate(found.rows)
    }
    panel.figure.value = "repeat"
    panel.heat._handle_custom_msg({"kind": "pick", "source": 4, "target": 8}, [])
    assert bench.session.plan == "0-3 (4-7)x2 8-11"
    panel.heat._handle_custom_msg({"kind": "pick", "source": 8, "target": 4}, [])
    assert bench.session.plan == "0-3 (4-7)x2 8-11"


def test_random_orders_are_drawn_by_their_inversions(bench: Explore) -> None:
    panel = look(bench, "Sweeps", 0)
    panel.figure.value = "orders"
    found = lens.orders(lens.load("demo"), [bench.session.text], samples=40)
    (points,) = panel.chart.spec["lines"]
    assert points["x"] == [Plan.parse(plans[0]).inversions for plans in found.plans]
    np.testing.assert_allclose(points["values"], found.change.value[:, 0], atol=1e-6)
    assert points["style"] == "points"


def test_what_layers_do_is_what_the_analysis_says(bench: Explore) -> None:
    panel = look(bench, "Layers", 20)
    found = lens.layers(lens.load("demo"), heldout_sentences()[:20])
    values = np.frombuffer(panel.cosines.values, "<f4").reshape(4, 13, 13)
    np.testing.assert_allclose(values, found.cosines.value, atol=1e-6)
    first, *rest = panel.loss.spec["lines"][0]["values"]
    assert first is None  # beyond the axis, and said in words
    assert f"{found.skip_change.value[0]:.2f}" in panel.loss.spec["note"]
    # the panel's batches are smaller, and round otherwise
    np.testing.assert_allclose(rest, found.skip_change.value[1:], rtol=1e-5)
    assert f"{found.rank_correlation:.2f}" in panel.influence.spec["note"]


@pytest.mark.parametrize(("sentences", "columns"), [(1, 3), (2, 4)])
def test_one_sentence_is_no_race(sentences: int, columns: int) -> None:
    """On one, a strategy was said to take 0.01 or 18 times the full model's time, as the machine was busy."""
    texts = ["She opened the door and saw the", "The old man sat by the fire"][:sentences]
    found = costs(lens.painters(lens.load("demo"), texts, timed=2))
    assert len(found["columns"]) == columns
    assert {len(row) for row in found["rows"]} == {columns}
