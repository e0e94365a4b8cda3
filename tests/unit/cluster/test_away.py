"""An engine that goes away is waited for, as long as is said, and asked again; what visitors have fitted is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from starlette.responses import Response

import lens
from lens.analyses import heldout_sentences
from lens.cluster._door import Door
from lens.cluster._host import Host
from lens.cluster._kept import Kept
from lens.errors import EngineError, MapsError
from lens.models import Model
from lens.wire import waiting
from tests._questions import TEXT
from tests.unit.cluster._near import at, near


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks."""
    monkeypatch.setattr("lens.wire._client.PAUSE", 0.0)


@contextmanager
def behind(door: Door, instead: list[int]) -> Iterator[str]:
    """An engine before which something else answers, each status in `instead` once, the last of them first."""

    async def answer(request: Any) -> Response:
        return Response("not lens", instead.pop()) if instead else await door(request)

    with at(answer) as address:
        yield address


def test_an_engine_that_went_away_is_waited_for_and_asked_again(host: Host, here: Model) -> None:
    instead: list[int] = []
    told: list[int] = []
    with behind(Door(host), instead) as address:
        there = lens.load("demo", engine=address)
        assert there.n_blocks == here.n_blocks
        instead += [503, 404, 502, 500]  # the first to a question, the others to looks whether it is back
        with waiting(lambda: told.append(len(instead))):
            reading = lens.read(there, TEXT)
    assert np.array_equal(reading.kl, lens.read(here, TEXT).kl)
    assert told == [3, 2, 1, 0]


def test_one_that_stays_away_is_given_up_in_words(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with near(host) as address:
        there = lens.load("demo", engine=address)
        assert there.kind == "causal"
    monkeypatch.setattr("lens.wire._client.SILENCE", 0.2)
    with pytest.raises(EngineError, match="went away, and was not back within 0 seconds"):
        lens.read(there, TEXT)


def test_who_no_longer_wants_the_answer_waits_no_longer(host: Host) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def enough() -> None:
        raise Enough

    with near(host) as address:
        there = lens.load("demo", engine=address)
        assert there.kind == "causal"
    with waiting(enough), pytest.raises(Enough):
        lens.read(there, TEXT)


class Held(dict[str, bytes]):
    """A shelf in this process."""

    keep, find = dict.__setitem__, dict.get


def test_maps_are_there_whichever_replica_is_asked_and_after_the_one_that_fitted_them_has_died(here: Model) -> None:
    shelf: Any = Held()
    hosts = [Host({"demo": here}, kept=Kept(shelf)) for _ in range(2)]
    doors = [Door(each) for each in hosts]
    asked: list[int] = []

    async def either(request: Any) -> Response:
        asked.append(len(asked))
        return await doors[len(asked) % 2](request)

    with at(either) as address:
        there = lens.load("demo", engine=address)
        options: dict[str, Any] = {"kind": "mat", "pairs": "final", "holdout": 0.2}
        maps = lens.fit(there, heldout_sentences()[:60], **options)
        expected = lens.read(here, TEXT, maps=lens.fit(here, heldout_sentences()[:60], **options))
        for _ in doors:
            assert np.array_equal(lens.read(there, TEXT, maps=maps).kl, expected.kl)
        doors[:] = [Door(Host({"demo": here}, kept=Kept(shelf))) for _ in doors]
        assert np.array_equal(lens.read(there, TEXT, maps=maps).kl, expected.kl)
        shelf.clear()
        doors[:] = [Door(Host({"demo": here}, kept=Kept(shelf))) for _ in doors]
        with pytest.raises(MapsError, match="no longer holds those maps"):
            lens.read(there, TEXT, maps=maps)
