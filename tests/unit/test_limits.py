"""What one person may ask for: refused in words that say the limit, and how whoever runs lens allows more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from traitlets import TraitError

import lens
from lens import _limits
from lens.engine import LocalEngine
from lens.errors import LensError, ModelError, PlanError
from lens.panels import _shelf
from lens.panels._link import from_link
from lens.panels._session import Session
from lens.panels._shelf import Question, Shelf
from lens.plans import Plan

Tiny = Callable[..., lens.models.Model]


def test_every_limit_is_set_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, default in _limits.DEFAULTS.items():
        assert _limits.limit(name) == default
        monkeypatch.setenv(_limits.variable(name), "7")
        assert _limits.limit(name) == 7
        assert _limits.variable(name) in _limits.higher(name)


@pytest.mark.parametrize("written", ["0", "-1", "many", "1e9", "٣", " 7", "9" * 13])
def test_a_limit_that_is_no_number_is_said(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MAX_TEXT", written)
    with pytest.raises(LensError, match=r"LENS_MAX_TEXT is .*: give a whole number from 1"):
        _limits.limit("text")


@pytest.mark.parametrize("plan", ["0-3 4x6", "(0-3)x3", "[0-9]x1", "0 1 2 3 4 5 6 7 8 9", "id(0>1) 0-8", "(0x3)x3"])
def test_a_plan_is_measured_by_what_it_runs(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MAX_STEPS", "8")
    with pytest.raises(PlanError, match=r"a plan runs at most 8: .*can allow more by LENS_MAX_STEPS"):
        Plan.parse(plan)


def test_a_sentence_and_a_link_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MAX_TEXT", "10")
    with pytest.raises(TraitError, match=r"11 characters, and at most 10 are taken \(set by LENS_MAX_TEXT\)"):
        Session(text="x" * 11)
    assert from_link("?text=" + "x" * 11)[1] == [
        f"text '{'x' * 11}': it has 11 characters, and at most 10 are taken (set by LENS_MAX_TEXT)"
    ]


def test_a_panel_reads_so_many_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MAX_TOKENS", "3")
    shelf = Shelf()
    shelf.load("demo")
    answer = shelf.answer(Question("demo", "The old man sat by the fire and looked"))
    assert (len(answer.tokens), answer.tokens.cut) == (3, True)


def test_a_session_keeps_so_many_megabytes_and_always_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slider that is dragged asks of the same text: that it is read anew each time would be felt."""
    monkeypatch.setenv("LENS_MAX_KEPT", "1")
    shelf = Shelf()
    assert shelf.cache.budget == 2**20
    shelf.load("demo")
    read: list[Any] = []
    recording = lens.models.Model.recording
    monkeypatch.setattr(lens.models.Model, "recording", lambda *asked: read.append(asked) or recording(*asked))
    long = "The old man sat by the fire and looked at the door. " * 9
    for target in (12, 11, 10):
        assert shelf.answer(Question("demo", long, target)).reading is not None
    assert len(read) == 1
    assert shelf.cache.held <= 2**20
    assert sum(tensor.nbytes for tensor in recording(*read[0]).streams) > 2**20  # or it could lie in the cache
    shelf.forget()
    shelf.answer(Question("demo", long))
    assert len(read) == 2


def test_only_offered_models_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor's name is neither tried on the disk nor on the hub."""
    monkeypatch.setenv("LENS_MODELS", "demo, demo-bert")
    asked: list[str] = []
    monkeypatch.setattr(_shelf, "together", asked.append)
    for name in ("/etc", "gpt2", "../demo", "demo/", " demo"):
        with pytest.raises(ModelError, match=r"not among the models offered here: demo, demo-bert.*LENS_MODELS"):
            Shelf().load(name)
    assert not asked


def test_a_sweep_and_a_text_written_on_are_measured(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MAX_PLANS", "2")
    monkeypatch.setenv("LENS_MAX_NEW_TOKENS", "2")
    with pytest.raises(LensError, match=r"at most 2 plans: give fewer\. Who runs lens can .* LENS_MAX_PLANS"):
        lens.sweep(tiny("gpt2"), ["a text"], ["0-3", "0-2", "0-1"])
    with pytest.raises(LensError, match=r"from 1 to 2\. Who runs lens can .* LENS_MAX_NEW_TOKENS"):
        lens.generate(tiny("gpt2"), "a text", max_new_tokens=3)


def test_work_that_takes_too_long_is_stopped_at_its_next_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the wall clock jumps meanwhile."""
    monkeypatch.setenv("LENS_MAX_SECONDS", "1")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    said: list[Exception] = []
    ended, engine = threading.Event(), LocalEngine()

    def work(report: Any) -> None:
        while True:
            time.sleep(0.05)
            report("still at it")

    def failed(error: Exception) -> None:
        said.append(error)
        ended.set()

    engine.submit("slow", work, said.append, failed)
    assert ended.wait(30)
    engine.close()
    assert isinstance(said[0], LensError)
    assert str(said[0]).startswith("This took longer than 1 seconds, and was stopped. Who runs lens can allow more")
