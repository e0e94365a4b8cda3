"""The panels of linear shortcuts without a browser: they show what the analyses say, and work can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lens
from lens.analyses import curves, early_exit, exit_layers, exit_threshold, heldout_sentences, submodules
from lens.casts import store_folder
from lens.engine import InlineEngine
from lens.errors import LensError
from lens.execution import maps_for
from lens.panels import Explore, panels
from lens.panels._session import Session


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Explore]:
    monkeypatch.setenv("LENS_MAPS", str(tmp_path))
    bench = Explore(Session(), InlineEngine(), example=True)
    yield bench
    bench.close()


def look(bench: Explore, tab: str) -> Any:
    place = list(bench.tabs.titles).index(tab)
    panel = bench.panel(list(panels())[place])
    if hasattr(panel, "count"):
        panel.count.value = 100
    bench.tabs.selected_index = place
    return panel


def test_r2_is_that_of_the_card_and_a_click_sets_the_session(bench: Explore) -> None:
    panel = look(bench, "r²")
    r2 = maps_for(lens.load("demo")).card.r2()
    shape = len(panel.spec["variants"]), 2, 13, 13
    values = np.frombuffer(panel.values, "<f4").reshape(shape)
    np.testing.assert_allclose(values[0, 1], r2.of("mat").value, rtol=1e-6)
    np.testing.assert_allclose(values[-1, 0], r2.of("id", "update").value, rtol=1e-6)
    assert (panel.source, panel.target) == (4, 12)
    panel._handle_custom_msg({"kind": "pick", "source": 2, "target": 7}, [])
    assert (bench.session.source, bench.session.target) == (2, 7)
    assert (bench.header.source.value, bench.header.target.value, panel.target) == (2, 7, 7)
    panel._handle_custom_msg({"kind": "pick", "source": 9, "target": 3}, [])
    assert (bench.session.source, bench.session.target) == (2, 7)
    panel._handle_custom_msg({"kind": "pick", "source": 3, "target": 12}, [])
    assert bench.session.target is None


class Unhurried(InlineEngine):
    """Reads at once, and keeps what measures waiting."""

    def __init__(self) -> None:
        self.waiting: list[str] = []

    def submit(self, channel: str, work: Any, then: Any, failed: Any, progress: Any = None) -> None:
        if channel in ("read", "load"):
            super().submit(channel, work, then, failed, progress)
        else:
            self.waiting.append(channel)

    def cancel(self, channel: str) -> None:
        self.waiting = [each for each in self.waiting if each != channel]


def test_only_the_panel_that_is_looked_at_computes() -> None:
    engine = Unhurried()
    bench = Explore(Session(), engine)
    for title, waiting in (("Curves", ["curves"]), ("Layers", ["layers"]), ("Jump", []), ("Curves", ["curves"])):
        bench.tabs.selected_index = list(bench.tabs.titles).index(title)
        assert engine.waiting == waiting
    bench.close()


def test_nothing_is_measured_before_anybody_looks(bench: Explore) -> None:
    assert bench.panel("curves").result is None
    panel = look(bench, "Curves")
    texts = heldout_sentences()[:100]
    expected = curves(lens.load("demo"), texts, progress=lambda _: None)  # in batches as small as a panel's
    lines = {line["key"]: line for line in panel.left.spec["lines"]}
    assert lines["mat"]["values"] == pytest.approx(expected.precision.value[1, :, 0, 0])
    assert lines["id"]["errors"] == pytest.approx(expected.precision.error[0, :, 0, 0])
    assert panel.left.spec["marker"] == {"x": 4}
    panel.k.value = 5
    assert panel.left.spec["lines"][1]["values"] == pytest.approx(expected.precision.value[1, :, 0, 1])
    panel.metric.value = "kl"
    assert panel.right.spec["lines"][1]["values"] == pytest.approx(expected.kl.value[1, :, 0])
    panel.left._handle_custom_msg({"kind": "pick", "x": 7}, [])
    assert bench.session.source == 7
    assert panel.left.spec["marker"] == {"x": 7}


def test_a_result_is_kept_for_when_one_comes_back(bench: Explore) -> None:
    panel = look(bench, "Curves")
    first = panel.result
    bench.session.model = "demo-bert"
    assert panel.result is not first
    assert len(panel.result.layers) == 11
    bench.session.model = "demo"
    assert panel.result is first


def test_tokens_leave_by_the_rule(bench: Explore) -> None:
    panel = look(bench, "Early exit")
    panel.lam.value = 0.2
    reading = bench.desk.answer.reading
    sure = (reading.probabilities[1, :, :, 0] - reading.probabilities[1, :, :, 1]).T
    count = len(reading.positions)
    expected = exit_layers(sure, exit_threshold(0.2, np.arange(count), (count + 1) / 2))
    tokens = panel.exits.spec["tokens"]
    assert [token["layer"] for token in tokens] == expected.tolist()
    left = reading.token_ids[1, expected, np.arange(count), 0]
    assert [token["agrees"] for token in tokens] == (left == reading.model_token_ids[:, 0]).tolist()
    table = early_exit(lens.load("demo"), heldout_sentences()[:100], progress=lambda _: None)
    drawn = next(line for line in panel.chart.spec["lines"] if line["key"] == "mat")
    assert sorted(drawn["x"]) == pytest.approx(sorted(table.layers.value[1]))
    told = [[s.cast, s.saved, s.saved_share, [s.agreement, s.agreement_error]] for s in table.saving()]
    assert [[row[0], *row[2:]] for row in panel.savings.spec["rows"]] == told
    assert "times as long as the full model" in panel.savings.spec["note"]
    bench.session.target = 8
    assert "Set the target to the last layer" in panel.exits.spec["note"]


def test_linear_parts_are_those_of_the_analysis(bench: Explore) -> None:
    panel = look(bench, "Sub-modules")
    expected = submodules(lens.load("demo"), heldout_sentences()[:100], progress=lambda _: None)
    lines = {line["key"]: line["values"] for line in panel.left.spec["lines"]}
    assert lines["~attn"] == pytest.approx(expected.precision.value[expected.methods.index("~attn"), :, 0, 0])


def test_a_model_without_maps_says_what_to_do(bench: Explore, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    source = lens.load("demo").folder
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    bench.session.model = str(folder)
    assert "fit them under Fit" in look(bench, "r²").spec["note"]
    assert "parts=['attn']" in look(bench, "Sub-modules").state.value.replace("&#x27;", "'")
    panel = look(bench, "Curves")
    assert [line["key"] for line in panel.left.spec["lines"]] == ["id"]


def test_maps_are_fitted_here_used_saved_and_put_back(bench: Explore) -> None:
    panel = look(bench, "Fit")
    assert "one pass over the text" in panel.state.value
    before = bench.desk.maps
    panel.text.value = "my own text"
    panel.own.value = "\n".join(heldout_sentences()[:40])
    panel.kind.value, panel.pairs.value, panel.parts.value = "affine", "final", False
    panel.start.click()
    assert "In use now: affine" in panel.state.value
    fitted = bench.desk.maps
    assert set(fitted.pairs) == {"affine"}
    assert fitted.card.sentences + fitted.card.heldout_sentences == 40
    assert panel.save.layout.display == ""
    panel.save.click()
    folder = store_folder(lens.load("demo").fingerprint)
    assert lens.Maps.load(folder).card == fitted.card
    panel.back.click()
    assert bench.desk.maps is before


def test_bad_choices_are_said_and_nothing_is_lost(bench: Explore) -> None:
    panel = look(bench, "Fit")
    before = bench.desk.maps
    panel.text.value = "my own text"
    panel.start.click()
    assert "too little text" in panel.state.value
    panel.own.value = "\n".join(heldout_sentences()[:10])
    panel.kind.value, panel.rank.value = "lowrank", 100_000
    panel.start.click()
    assert "a whole number from 1 to 192" in panel.state.value
    assert bench.desk.maps is before
    assert panel.start.layout.display == ""


def test_what_is_under_way_can_be_stopped(bench: Explore) -> None:
    panel = bench.panel("curves")
    seen: list[str] = []

    def work(report: Any) -> Any:
        panel.stop.click()
        seen.append(panel.state.value)

    panel._work = lambda *arguments: work(arguments[-1])
    look(bench, "Curves")
    assert "Stopped." in seen[0]


def test_who_leaves_a_panel_ends_its_measuring_and_who_comes_back_begins_it_again(bench: Explore) -> None:
    panel = bench.panel("curves")
    begun: list[bool] = []

    def work(*_: Any) -> Any:
        begun.append(panel._running)
        if len(begun) == 1:
            panel.look(False)
        raise LensError("not this time")

    panel._work = work
    look(bench, "Curves")
    assert not panel._running
    panel.look(True)
    assert begun == [True, True]
