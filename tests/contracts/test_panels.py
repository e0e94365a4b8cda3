"""Every panel: at home in the workbench and alone, idle while unseen, and its code gives what it shows."""

from __future__ import annotations

import base64
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest

import lens
from lens.analyses import heldout_sentences
from lens.engine import InlineEngine
from lens.panels import Explore, panels
from lens.panels._explore import Alone
from lens.panels._session import Session

SENTENCES = 20  # enough for a number, few enough for a test
STATE = {"text": "She opened the door and saw the", "source": 3, "target": 9, "k": 4, "plan": "0-3 7-4 8-11"}


@pytest.fixture(scope="module")
def bench() -> Iterator[Explore]:
    """A workbench in which every panel has been looked at, on few sentences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lens.panels._measured.heldout_sentences", lambda: heldout_sentences()[:SENTENCES])
        bench = Explore(Session(**STATE), InlineEngine())
        for key in panels():
            bench.session.target = None if key == "early_exit" else STATE["target"]
            bench.session.panel = key
        yield bench
        bench.close()


@pytest.fixture(scope="module")
def frames(bench: Explore) -> dict[str, pd.DataFrame]:
    """What the code of each panel gives, run in a Python that knows nothing else."""
    few = f"heldout_sentences()[:{SENTENCES}]"
    programs = {
        key: re.sub(r"heldout_sentences\(\)\[:\d+\]", few, bench.panel(key).python())
        for key in panels()
        if key != "fit"
    }
    runner = (
        "import base64, pickle, sys, torch\n"
        "torch.set_num_threads(1)  # as here: products split otherwise round otherwise\n"
        "found = {}\n"
        "for key, program in pickle.loads(base64.b64decode(sys.stdin.read())).items():\n"
        "    names = {}\n"
        "    exec(program, names)\n"
        "    found[key] = names['frame']\n"
        "sys.stdout.buffer.write(b'FRAMES' + base64.b64encode(pickle.dumps(found)))\n"
    )
    given = base64.b64encode(pickle.dumps(programs)).decode()
    run = subprocess.run([sys.executable, "-c", runner], input=given, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, pd.DataFrame] = pickle.loads(base64.b64decode(run.stdout.partition("FRAMES")[2]))  # noqa: S301
    return found


def rows(column: dict[str, Any]) -> list[tuple[int, float]]:
    return [(row["token_id"], row["probability"]) for row in column["rows"]]


def jump(bench: Explore, frame: pd.DataFrame) -> None:
    for column in bench.panel("jump").topk.columns:
        own = column["key"] == "model"
        cast, source = ("id", STATE["target"]) if own else (column["key"], STATE["source"])
        found = frame[(frame.cast == cast) & (frame.source == source)]
        assert rows(column) == list(zip(found.token_id, found.probability, strict=True))


def lens_table(bench: Explore, frame: pd.DataFrame) -> None:
    panel = bench.panel("lens_table")
    shape = len(panel.spec["metrics"]), len(panel.spec["casts"]), len(panel.spec["layers"]) + 1, -1
    scores = np.frombuffer(panel.scores, "<f4").reshape(shape)
    for name, metric in enumerate(panel.spec["metrics"]):
        if metric["key"] in frame:
            expected = frame[metric["key"]].to_numpy().reshape(scores[0, :, :-1].shape)
            np.testing.assert_allclose(scores[name, :, :-1], expected + (metric["key"] == "rank"), rtol=1e-6)


def r2(bench: Explore, frame: pd.DataFrame) -> None:
    panel = bench.panel("r2")
    size = len(panel.spec["layers"])
    shape = len(panel.spec["variants"]), len(panel.spec["maps"]), size, size
    values = np.frombuffer(panel.values, "<f4").reshape(shape)
    for _, row in frame[frame.variant == "stream"].iterrows():
        cast = [each["key"] for each in panel.spec["maps"]].index(row.cast)
        assert values[0, cast, row.source, row.target] == pytest.approx(row.r2, rel=1e-5)


def curves(bench: Explore, frame: pd.DataFrame, key: str = "curves") -> None:
    for line in bench.panel(key).left.spec["lines"]:
        assert line["values"] == pytest.approx(frame[frame.method == line["key"]]["precision_at_1"].tolist())


def submodules(bench: Explore, frame: pd.DataFrame) -> None:
    curves(bench, frame, "submodules")


def early_exit(bench: Explore, frame: pd.DataFrame) -> None:
    (line,) = [each for each in bench.panel("early_exit").chart.spec["lines"] if each["key"] == "mat"]
    found = frame.query("cast == 'mat' and how == 'dynamic'").sort_values("layers", kind="stable")
    assert line["values"] == pytest.approx(found.precision.tolist())
    assert line["x"] == pytest.approx(found.layers.tolist())


def assembly_line(bench: Explore, frame: pd.DataFrame) -> None:
    changes = [token["change"] for token in bench.panel("assembly_line").shifts.spec["tokens"]]
    assert changes[:-1] == pytest.approx(frame.change.tolist()[:-1])


def sweeps(bench: Explore, frame: pd.DataFrame) -> None:
    for line in bench.panel("sweeps").chart.spec["lines"]:  # in smaller batches, which round otherwise
        expected = frame[frame.recipe == line["title"]].change.tolist()
        assert line["values"] == pytest.approx(expected, rel=1e-5, nan_ok=True)


def layers(bench: Explore, frame: pd.DataFrame) -> None:
    (line,) = bench.panel("layers").loss.spec["lines"]
    expected = frame["skip_change"].tolist()
    assert [e for v, e in zip(line["values"], expected, strict=False) if v is not None] == pytest.approx(
        [v for v in line["values"] if v is not None]
    )


def compare(bench: Explore, frame: pd.DataFrame) -> None:
    places = dict(zip("AB", (answer.position for answer in bench.panel("compare").pair), strict=True))
    for column in bench.panel("compare").topk.columns:
        of, own = column["title"][0], column["key"] == "model"
        cast, source = ("id", STATE["target"]) if own else (column["key"], STATE["source"])
        mine = frame[(frame.of == of) & (frame.position == places[of])]
        found = mine[(mine.cast == cast) & (mine.source == source)]
        assert rows(column) == list(zip(found.token_id, found.probability, strict=True))


SAME: dict[str, Callable[[Explore, pd.DataFrame], None]] = {
    each.__name__: each
    for each in (jump, lens_table, r2, curves, submodules, early_exit, assembly_line, sweeps, layers, compare)
}


@pytest.mark.parametrize("key", [key for key in panels() if key != "fit"])
def test_its_code_gives_what_is_on_screen(key: str, bench: Explore, frames: dict[str, pd.DataFrame]) -> None:
    bench.session.target = None if key == "early_exit" else STATE["target"]
    bench.session.panel = key
    assert len(frames[key])
    SAME[key](bench, frames[key])


def test_the_code_of_a_fit_is_a_fit(bench: Explore) -> None:
    program = bench.panel("fit").python()
    compile(program, "fit", "exec")
    assert "maps = lens.fit(model, sentences, holdout=heldout, kind='mat', pairs='all', positions='all'" in program


@pytest.mark.parametrize("key", list(panels()))
def test_it_says_what_it_is_and_stands_alone(key: str) -> None:
    panel = panels()[key]
    assert key == panel.key
    assert panel is getattr(lens.panels, key)
    assert panel.title
    assert panel.help.endswith(".")
    assert set(panel.controls) <= {"sentence", "source", "target", "k"}
    made = panel(text="She opened the")
    assert isinstance(made, Alone)
    assert made.session.panel == key
    assert not [child for child in made.header.children if isinstance(child, widgets.Combobox)]
    made.close()


def test_only_what_is_seen_is_made(bench: Explore) -> None:
    fresh = Explore(Session(), InlineEngine(), example=True)
    assert set(fresh.tabs._made) == {"jump"}
    fresh.session.panel = "r2"
    assert set(fresh.tabs._made) == {"jump", "r2"}
    assert not fresh.panel("jump").visible
    before = fresh.panel("jump").topk.columns
    fresh.session.source = 7
    assert fresh.panel("jump").topk.columns is before
    fresh.session.panel = "jump"
    assert fresh.panel("jump").topk.columns != before
    fresh.close()
