"""`lens serve` and `lens app --engine` on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lens
import lens.cluster
from lens.app import _serve, cli
from lens.cluster import Serving
from lens.cluster._host import Host
from tests.unit.cluster._near import near


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LENS_ENGINE", "LENS_MAX_KEPT", cli.MODEL_VARIABLE):
        monkeypatch.setenv(name, "")  # set, so that what main sets is undone afterwards


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Serving]:
    """What would be started; it then ends as by Ctrl-C."""
    asked: list[Serving] = []

    def start(serving: Serving) -> str:
        asked.append(serving)
        raise KeyboardInterrupt

    monkeypatch.setattr(lens.cluster, "start", start)
    return asked


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with near(Host({"demo-bert": lens.load("demo-bert")}), "known") as found:
        yield found


def test_what_is_said_reaches_the_engine(started: list[Serving], tmp_path: Path) -> None:
    line = f"serve demo demo-bert --maps {tmp_path}/ --replicas 2 --gpus 0.5 --cpus 3 --at-once 2 --address auto"
    assert cli.main([*line.split(), "--device", "cpu", "--dtype", "float32", "--port", "8123"]) == 130
    assert started == [
        Serving(
            models=("demo", "demo-bert"), maps={"demo": str(tmp_path)}, device="cpu", dtype="float32", port=8123,
            replicas=2, gpus=0.5, cpus=3.0, at_once=2, address="auto",
        )
    ]  # fmt: skip


def test_whoever_can_reach_it_must_know_a_token_unless_it_is_public(started: list[Serving]) -> None:
    for line in ("serve", "serve --host 0.0.0.0", "serve --host 0.0.0.0 --public", "serve --token mine"):
        cli.main(line.split())
    assert [bool(each.token) for each in started] == [False, True, False, True]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("serve --public --token x", "--public lets everyone in and --token does not"),
        ("serve demo --maps a b", "There are 2 folders of maps for 1 models: one each."),
        ("serve no/such/folder", "There is no folder 'no/such/folder'"),
        ("serve --address 127.0.0.1:9", "No cluster answers at 127.0.0.1:9"),
        ("app --engine nowhere", "'nowhere' is no engine: give its address"),
        ("app --engine http://127.0.0.1:9", "There is no engine at http://127.0.0.1:9"),
        ("app --engine http://127.0.0.1:9 --maps x", "The engine has its own maps"),
    ],
)
def test_what_cannot_be_done_is_said(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line.split()) == 2
    assert words in capsys.readouterr().err


def test_when_anothers_cluster_dies_that_is_said_and_one_of_its_own_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    lives = iter([True, False])
    monkeypatch.setattr(lens.cluster, "start", lambda _: done.append("start") or "http://here")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # of this process
    monkeypatch.setattr(lens.cluster, "stop", lambda: done.append("stop"))
    monkeypatch.setattr(lens.cluster, "died", lambda serving, _: serving.address is not None or next(lives))
    assert cli.main(["serve", "--address", "10.0.0.1:6379"]) == 2
    assert "The Ray cluster at 10.0.0.1:6379 has died, and the engine with it." in capsys.readouterr().err
    assert done == ["start", "stop"]
    assert cli.main(["serve"]) == 0
    assert "The engine is back at http://here" in capsys.readouterr().out
    assert done[2:] == ["start", "stop", "start", "stop"]


def test_an_amount_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--gpus", "many"])
    assert "'many' is no number of processors; give 0 or more" in capsys.readouterr().err


def test_the_page_asks_the_engine_about_its_model(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(_serve, "serve", lambda *_: seen.append(dict(cli.os.environ)))
    assert cli.main(["app", "--engine", address]) == 0
    assert (seen[0]["LENS_ENGINE"], seen[0]["LENS_MODEL"]) == (address, "demo-bert")
    assert cli.main(["app", "--engine", address, "--model", "gpt2"]) == 2
    assert "The engine has no model 'gpt2'; it holds demo-bert." in capsys.readouterr().err
