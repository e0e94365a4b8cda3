"""Each visitor gets a fair turn and hears of nobody else; work that nobody waits for ends."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

import lens
from lens.analyses import heldout_sentences, read_recording
from lens.cluster._host import Host
from lens.cluster._recordings import Text
from lens.cluster._turns import Turns
from lens.engine import Superseded
from lens.models import Model, Recording
from lens.wire import Engine
from tests._questions import TEXT
from tests.unit.cluster._near import near


def test_a_visitor_is_told_of_no_other(host: Host, address: str) -> None:
    """Five visitors ask at once, each for texts of their own, again and again: every answer is about its own text."""
    wrong: list[str] = []

    def visit(number: int) -> None:
        model = lens.load("demo", engine=address)
        for turn in range(3):
            text = f"Visitor {number} said {'so ' * (number + turn)}"
            reading = lens.read(model, text)
            written = lens.generate(model, text, max_new_tokens=2)
            if reading.text != text or written.prompt != text or model.encode(text).text != text:
                wrong.append(text)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_is_remembered_is_remembered_for_one_visitor(here: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    host = Host({"demo": here})
    get = host._recordings.get

    def counted(text: Text) -> Recording:
        before = host._recordings._kept.held
        found = get(text)
        made.append((text.visitor, host._recordings._kept.held > before))
        return found

    monkeypatch.setattr(host._recordings, "get", counted)
    with near(host) as address:
        for model in (lens.load("demo", engine=address), lens.load("demo", engine=address)):
            for k in (3, 4):
                tokens = model.encode(TEXT)
                read_recording(model.recording(tokens), tokens, casts=("id",), k=k)
    names = [visitor for visitor, _ in made]
    assert [new for _, new in made] == [True, False, True, False]
    assert names[0] == names[1] != names[2] == names[3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kernels are forked where there is fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_is_another_visitor_with_connections_of_its_own(address: str) -> None:
    engine = Engine(address)
    engine.models()
    before = engine._linked()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        link = engine._linked()
        os.write(write, b"own" if link.visitor != before.visitor and link.client is not before.client else b"shared")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"own"


def test_nobody_waits_behind_anothers_long_work(there: Model, address: str) -> None:
    """Short questions are answered while a long one is under way, which then still ends as it should."""
    short, long = [], []
    begun = threading.Event()

    def sweep() -> None:
        model = lens.load("demo", engine=address)

        def progress(step: Any) -> None:
            begun.set()

        found = lens.layers(model, heldout_sentences()[:24], progress=progress)
        long.append((time.monotonic(), found))

    thread = threading.Thread(target=sweep)
    thread.start()
    assert begun.wait(60)
    for _ in range(3):
        lens.read(there, TEXT)
        short.append(time.monotonic())
    thread.join()
    assert short[-1] < long[0][0]
    assert long[0][1].sentences == 24


def test_turns_go_round_visitors_not_requests() -> None:
    turns, order, go = Turns(), [], threading.Event()

    def work(visitor: str) -> None:
        with turns.turn(visitor, lambda: None):
            order.append(visitor)

    with turns.turn("first", lambda: None):
        threads = []
        for visitor in ["a", "a", "a", "b", "c", "b"]:
            threads.append(threading.Thread(target=work, args=(visitor,)))
            threads[-1].start()
            while sum(map(len, turns._waiting.values())) < len(threads):
                go.wait(0.001)
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c", "a", "b", "a"]


def test_who_leaves_the_queue_takes_no_turn() -> None:
    turns = Turns()

    def gone() -> None:
        raise Superseded

    with turns.turn("first", lambda: None), pytest.raises(Superseded), turns.turn("gone", gone):
        raise AssertionError("nobody waits for this")
    assert not turns.waited_for
    with turns.turn("next", lambda: None):
        pass


def test_work_ends_when_its_listener_leaves(there: Model, host: Host) -> None:
    class Leave(Exception):  # noqa: N818
        pass

    def leave(_: Any) -> None:
        raise Leave

    with pytest.raises(Leave):
        lens.layers(there, heldout_sentences()[:400], progress=leave)
    for _ in range(600):
        if not host.questions:
            break
        time.sleep(0.05)
    assert not host.questions
