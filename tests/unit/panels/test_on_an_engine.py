"""Panels whose model lies on a shared engine show what they show where it lies here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.responses import Response

import lens
from lens.analyses import heldout_sentences
from lens.cluster._door import Door
from lens.cluster._host import Host
from lens.engine import InlineEngine
from lens.panels import Explore, panels
from lens.panels._session import Session
from lens.panels.live import Picture
from tests.unit.cluster._near import at, near

STATE: dict[str, Any] = {"text": "She opened the door and saw the", "source": 3, "k": 4, "plan": "0-3 7-4 8-11"}
FEW = 6  # sentences
DRAWN = ("spec", "columns", "values", "errors", "top", "probabilities", "scores")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with near(Host({"demo": lens.load("demo")}), "known") as found:
        yield found


def drawn(engine: str, patch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, str]]:
    """What every picture of every panel holds, and the panels' code."""
    patch.setenv("LENS_ENGINE", engine)
    patch.setattr("lens.panels._measured.heldout_sentences", lambda: heldout_sentences()[:FEW])
    patch.setattr("lens.panels.tabs.sweeps.TIMED", 0)  # seconds are never the same
    bench = Explore(Session(**STATE, figure="skip"), InlineEngine())
    pictures, code = {}, {}
    for key in panels():
        bench.session.panel = key
        for place, widget in enumerate(widgets(bench.panel(key))):
            if isinstance(widget, Picture):
                held = {name: getattr(widget, name) for name in DRAWN if name in widget.traits()}
                timed = key == "early_exit" and "took" in held.get("spec", {}).get("note", "")
                pictures[f"{key} {place}"] = held | ({"spec": held["spec"] | {"note": ""}} if timed else {})
        code[key] = bench.panel(key).python()
    written = bench.panel("assembly_line").writing
    written.count.value = 4
    written.write.click()
    pictures["written"] = {"value": written.written.value}
    bench.close()
    return pictures, code


def widgets(of: Any) -> Iterator[Any]:
    yield of
    for child in getattr(of, "children", ()):
        yield from widgets(child)


def test_every_panel_shows_the_same(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, own = drawn("", monkeypatch)
    there, code = drawn(address, monkeypatch)
    assert len(there) > 15
    assert there == here
    place = address.partition("/?")[0]
    assert code["jump"] == own["jump"].replace("lens.load('demo')", f"lens.load('demo', engine='{place}')")
    assert not [each for each in code.values() if "known" in each]  # the token is not for all who see the code


def test_a_fit_is_the_visitors_own_and_can_be_undone(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_ENGINE", address)
    bench = Explore(Session(**STATE, panel="fit"), InlineEngine())
    panel = bench.panel("fit")
    panel.text.value = "my own text"
    panel.own.value = "\n".join(heldout_sentences()[:40])
    panel.pairs.value, panel.parts.value = "final", False
    panel.start.click()
    assert "In use now: mat on" in panel.state.value
    panel.save.click()
    assert "They stay on the shared engine, for this session" in panel.state.value
    panel.back.click()
    assert "The maps from before are in use again" in panel.state.value
    bench.close()


def test_an_engine_without_the_model_says_what_it_holds(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_ENGINE", address)
    bench = Explore(Session(model="gpt2"), InlineEngine())
    assert "'gpt2' is not on this engine, which holds demo" in bench.desk.problem.text
    bench.close()


def test_an_engine_that_went_away_is_said_and_one_click_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said while it is waited for; said with a button once it is given up; the sentence is kept."""
    door, gone = Door(Host({"demo": lens.load("demo")})), [False]

    async def answer(request: Any) -> Response:
        return Response("nobody", 502) if gone[0] else await door(request)

    with at(answer) as found:
        monkeypatch.setenv("LENS_ENGINE", found)
        bench = Explore(Session(text="The captain looked out"), InlineEngine())
        desk, notice = bench.desk, bench.header.notice
        said: list[str] = []
        notice.observe(lambda change: said.append(change.new), "text")
        gone[0] = True
        monkeypatch.setattr("lens.wire._client.PAUSE", 0.0)
        monkeypatch.setattr("lens.wire._client.SILENCE", 0.2)
        bench.session.text = "The captain looked out over the grey"
        assert "It is asked again by itself as soon as it is back" in said[0]
        assert "was not back within" in notice.text
        assert (desk.work.away, desk.busy, notice.action) == (False, False, {"id": "again", "label": "Ask again"})
        gone[0] = False
        notice._handle_custom_msg({"kind": "action", "id": "again"}, [])
        assert (desk.problem, notice.kind, notice.action) == (None, "none", None)
        assert desk.answer.question.text == "The captain looked out over the grey"
        bench.close()


def test_maps_that_the_engine_lost_are_said_once_and_then_gone_without(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lens.load("demo")
    hosts = [Host({"demo": model})]

    async def answer(request: Any) -> Response:
        return await Door(hosts[0])(request)

    with at(answer) as found:
        monkeypatch.setenv("LENS_ENGINE", found)
        bench = Explore(Session(text="The captain looked out"), InlineEngine())
        desk, own = bench.desk, bench.desk.answer.reading
        there = desk.answer.model
        desk.use_maps(there, lens.fit(there, heldout_sentences()[:60], kind="affine", pairs="final", holdout=0.2))
        assert desk.answer.reading.casts == ("id", "affine")
        hosts[0] = Host({"demo": model})
        bench.session.text = "The captain"
        assert "no longer holds those maps: it was started anew, or made room. Fit again." in bench.header.notice.text
        bench.session.text = "The captain looked out"
        assert (desk.problem, desk.answer.reading.casts) == (None, own.casts)
        assert np.array_equal(desk.answer.reading.kl, own.kl)
        bench.close()
