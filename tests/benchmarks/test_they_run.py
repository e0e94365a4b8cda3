"""Each benchmark runs, with sizes that show nothing else, and says what it found in tables; no time is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import cluster, fit
from benchmarks._measure import interleaved, spread
from benchmarks._picture import loglog
from benchmarks.growth import slope


@pytest.mark.parametrize("name", ["read", "slider", "generate", "start", "growth", "visitors"])
def test_it_runs(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", [name, "--tiny", "--rounds", "1", "--threads", "1"])
    import_module(f"benchmarks.{name}").main()
    assert "| --- |" in capsys.readouterr().out


def test_the_one_of_fitting_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["fit", "--tiny"])
    fit.main()
    assert "projected: lens" in capsys.readouterr().out


class Here:
    """As much of workers as a fit asks of them, in this process: those of Ray have tests of their own."""

    def __init__(self, shard: int) -> None:
        self.shard = shard

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def each(self, model: Any, work: Any, shards: Any, _memory: int) -> Iterator[Any]:
        return (work(model, shard) for shard in shards)


def test_the_one_of_workers_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["cluster", "--tiny", "--rounds", "1", "--threads", "1", "--shard", "4"])
    monkeypatch.setattr(cluster, "Workers", Here)
    cluster.main()
    assert capsys.readouterr().out.count("workers: ") == 2  # the round that is not counted is told, too


def test_measures_take_turns_forwards_and_backwards() -> None:
    order: list[str] = []
    spent = interleaved({name: lambda n=name: order.append(n) for name in "abc"}, rounds=2)
    assert "".join(order) == "cbaabccba"
    assert [len(each.seconds) for each in spent.values()] == [2, 2, 2]


def test_a_measure_may_say_its_own_seconds() -> None:
    assert interleaved({"a": lambda: 2.5}, rounds=3)["a"].seconds == (2.5, 2.5, 2.5)


def test_the_spread_is_numpys() -> None:
    values = [3.0, 9.0, 1.0, 4.0, 7.0, 2.0]
    np.testing.assert_allclose(spread(values), np.percentile(values, [50, 25, 75]))


def test_the_exponent_of_a_power_is_that_power() -> None:
    assert slope((1, 2, 4, 8), [3 * size**1.5 for size in (1, 2, 4, 8)]) == pytest.approx(1.5)


def test_the_picture_holds_every_curve() -> None:
    drawn = loglog({"width": {"read": ([1, 2, 4], [0.1, 0.2, 0.4]), "fit": ([1, 2, 4], [1.0, 4.0, 16.0])}})
    picture = ElementTree.fromstring(drawn)  # noqa: S314 - made here
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}circle")) == 6
