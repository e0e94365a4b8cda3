"""Benchmarks by lm-evaluation-harness: the harness's own numbers on our plans, and errors in words."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lens
from lens.analyses import heldout_sentences
from lens.app._scores import Score, bench, normalised, table
from lens.app.cli import main
from lens.errors import LensError

pytestmark = pytest.mark.filterwarnings("ignore")  # the harness and what it imports have warnings of their own


@pytest.fixture(scope="module")
def demo() -> Any:
    return lens.load("demo")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tasks")
    sentences = [s.split() for s in heldout_sentences() if len(s.split()) > 8][:20]
    ends = [" ".join(s[4:]) for s in sentences]
    rows = {
        "words": [{"context": " ".join(s[:-1]), "continuation": s[-1]} for s in sentences],
        "ends": [
            {"query": " ".join(s[:4]), "choices": [e, ends[0][::-1]], "gold": 0}
            for s, e in zip(sentences, ends, strict=True)
        ],
        "sides": [{"context_options": ["She said", "qq zz"], "continuation": e, "gold": 0} for e in ends],
    }
    for name, each in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in each), encoding="utf-8")
    return {name: folder / f"{name}.jsonl" for name in rows}


def test_the_harness_takes_a_plan_as_a_model(
    demo: Any, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bench(demo, ["0-3 [4-7] 8-11", "id(0>12)"], [str(path) for path in files.values()])
    plain = []
    for line in files["words"].read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        ids = demo.tokenizer(row["context"] + " " + row["continuation"])["input_ids"]
        start = len(demo.tokenizer(row["context"])["input_ids"])
        with torch.no_grad():
            best = demo.hf(torch.tensor([ids])).logits[0].argmax(-1)
        plain.append(all(int(best[at - 1]) == ids[at] for at in range(start, len(ids))))
    words, ends, sides = found["full"]
    np.testing.assert_array_equal(words.right, np.array(plain, float))
    assert (words.chance, ends.chance, sides.chance) == (0.0, 0.5, 0.5)
    assert ends.mean > 0.9  # real endings against letters backwards
    assert set(found) == {"full", "0-3 [4-7] 8-11", "id(0>12)"}
    text = table("demo", found)
    assert text.count("\n| ") >= 3
    assert "chance 50%" in text


def test_the_normalised_median_is_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    def score(task: str, right: int, chance: float) -> Score:
        return Score(task, np.array([1.0] * right + [0.0] * (100 - right)), chance)

    full = [score("a", 80, 0.25), score("b", 90, 0.5), score("c", 60, 0.0), score("noise", 27, 0.25)]
    mine = [score("a", 47, 0.25), score("b", 70, 0.5), score("c", 6, 0.0), score("noise", 99, 0.25)]
    middle, low, high = normalised(mine, full)
    assert middle == pytest.approx(np.median([(0.47 - 0.25) / 0.55, 0.2 / 0.4, 0.1]))
    assert low < middle < high
    assert normalised(full, full) == (1.0, 1.0, 1.0)
    assert np.isnan(normalised(full[3:], full[3:])).all()


def test_what_cannot_be_scored_is_said(demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LensError, match="fills in masks"):
        bench(lens.load("demo-bert"), ["0-9"], ["x.jsonl"])
    with pytest.raises(LensError, match="There is no file"):
        bench(demo, ["0-11"], [str(tmp_path / "none.jsonl")])
    (tmp_path / "odd.jsonl").write_text('{"question": 1}\n', encoding="utf-8")
    with pytest.raises(LensError, match="holds question"):
        bench(demo, ["0-11"], [str(tmp_path / "odd.jsonl")])
    assert main(["bench", "demo", "--plans", "0-40", "--tasks", str(tmp_path / "none.jsonl")]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_export_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "merge.yaml"
    assert main(["export", "demo", "--plan", "0-3 8-11", "--out", str(out)]) == 0
    assert "layer_range: [8, 12]" in out.read_text(encoding="utf-8")
    assert main(["export", "demo", "--plan", "0-3 [4-7] 8-11", "--out", str(tmp_path / "x")]) == 2
    assert "cannot be exported" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
