"""A fit on a cluster of three machines in one equals the fit in one process, whatever dies in the middle of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import lens
from lens.analyses import Progress, Shard, _vectors, sample_sentences
from lens.app.cli import main
from lens.cluster import Workers
from lens.errors import LensError, ModelError
from lens.numerics import Residuals

ROOT = Path(__file__).parents[3]
TEXTS, HELD = sample_sentences()[:96], sample_sentences()[96:120]
PAIRS = [(0, 12), (3, 7)]
OPTIONS: dict[str, Any] = {"pairs": PAIRS, "kind": ["mat", "ridge"], "ridge": 1.0, "positions": "all", "holdout": HELD}


def on_three_machines(folder: Path) -> dict[str, Any]:
    """What happened to the fits of `_three`, in a process of its own; their maps are in the folder."""
    command = [sys.executable, "-m", "tests.unit.cluster._three", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    said: dict[str, Any] = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    return said


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: Ray's sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.flaky(reruns=1)  # Ray gives the processes of a node half a minute to start, whatever else runs
def test_a_cluster_that_loses_workers_and_a_machine_gives_the_maps_of_one_process(short: Path) -> None:
    said, model = on_three_machines(short), lens.load("demo")
    whole, *hurt = (lens.Maps.load(short / name) for name in ("whole", "without-worker", "without-machine"))

    # something was lost in the middle of each
    assert (said["machines"], said["left"]) == (3, 2)
    assert said["worker"].startswith("ray::_read")
    assert not said["left behind"]

    # and nothing of it can be seen: not a digit
    for maps in hurt:
        assert maps.card == whole.card
        for kind in ("mat", "ridge"):
            assert all(torch.equal(maps.tensors(kind, *p)["matrix"], whole.tensors(kind, *p)["matrix"]) for p in PAIRS)

    # what one process gives differs by the rounding of forwards: batches of other texts have other padding
    plain = lens.fit(model, TEXTS, **OPTIONS)
    counts = ("sentences", "tokens", "heldout_sentences", "heldout_tokens", "corpus_sha256", "rank", "seed")
    assert [getattr(whole.card, name) for name in counts] == [getattr(plain.card, name) for name in counts]
    for kind in ("mat", "ridge"):
        for pair in PAIRS:
            one, other = (maps.tensors(kind, *pair)["matrix"] for maps in (whole, plain))
            assert (one - other).abs().max() <= 1e-5 * other.abs().max()
    for kind, scored in plain.card.scores.items():
        for pair_name, variants in scored.items():
            for variant, values in variants.items():
                assert whole.card.scores[kind][pair_name][variant] == pytest.approx(values, abs=1e-7)

    # as does what scikit-learn gives on the vectors themselves
    chosen: dict[str, Any] = {"positions": "all", "report": None, "start": Progress("fit", 0, 0, 0, 0.0)}
    train, held = (list(_vectors.gathered(model, texts, (3, 7), seed=0, **chosen)) for texts in (TEXTS, HELD))
    (x, y), (start, end) = (
        [torch.cat([chunk.at[site] for chunk in part]).numpy() for site in (3, 7)] for part in (train, held)
    )
    oracle = LinearRegression(fit_intercept=False).fit(x, y)
    matrix = whole.tensors("mat", 3, 7)["matrix"].numpy()
    np.testing.assert_allclose(matrix, oracle.coef_, rtol=0, atol=1e-4 * np.abs(oracle.coef_).max())
    ours = whole.card.scores["mat"]["3>7"]["stream"][0]
    assert ours == pytest.approx(r2_score(end, oracle.predict(start)), abs=1e-6)

    # shards are told as they are added, and what cannot be done is told in words
    heard = [(stage, done, total) for stage, done, total, _ in said["heard"]]
    fitted = [("fit", done, 96) for done in range(0, 97, 16)]
    assert heard == [*fitted, ("score", 0, 24), ("score", 16, 24), ("score", 24, 24)]
    assert said["heard"][0][3] > 0
    assert "Shard 2 of the text (sentences 2 to 3) can't be read: its workers are lost (WorkerCrashed" in said["dies"]
    assert "Shard 2 of the text (sentences 2 to 3) can't be read: IndexError: list index" in said["raises"]
    assert "has other weights on this machine" in said["differs"]
    assert "No machine of the cluster has room for a worker, which takes 64 CPU" in said["no room"]
    assert "0 CPU, 0 GPU" in said["no room"]


def test_merged_residuals_are_those_of_all() -> None:
    """Of the same numbers, in one piece and in three."""
    chance = torch.Generator().manual_seed(0)
    x, y = (torch.randn(300, 7, dtype=torch.float64, generator=chance) + 100 for _ in range(2))
    sentences, positions = torch.arange(300), torch.arange(300) % 5
    parts = [slice(0, 300)], [slice(0, 120), slice(120, 121), slice(121, 300)]
    whole, merged = Residuals(7), Residuals(7)
    for total, pieces in zip((whole, merged), parts, strict=True):
        for piece in pieces:
            one = Residuals(7)
            at = {0: x[piece], 1: y[piece]}
            one.update(at, sentences[piece], positions[piece], [("id", (0, 1), x[piece])])
            total.merge(one)
    assert (merged.count, merged.sentences) == (whole.count, whole.sentences) == (300, 300)
    assert whole.r2("id", (0, 1)).value == pytest.approx(r2_score(y.numpy(), x.numpy()), abs=1e-12)
    for variant in ("stream", "inner", "update"):
        np.testing.assert_allclose(
            merged.leave_outs("id", (0, 1), variant), whole.leave_outs("id", (0, 1), variant), rtol=1e-12
        )


class Here:
    """Workers without a cluster: shards are read here, in their order."""

    def __init__(self, shard: int) -> None:
        self.shard, self.read = shard, 0

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def each(self, model: Any, work: Any, shards: list[Shard], memory: int) -> Any:
        for shard in shards:
            self.read += 1
            yield work(model, shard)


def test_where_shards_end_with_a_buffer_the_fit_is_the_same_but_for_the_order_of_sums() -> None:
    """1,024 texts are sorted into batches together: shards of as many have the very batches of one process."""
    texts = [" ".join(text.split()[:3]) for text in sample_sentences()[:1100]]
    options: dict[str, Any] = {"pairs": [(3, 7)], "holdout": HELD[:5], "seed": 3}
    plain = lens.fit(lens.load("demo"), texts, **options)
    sharded = lens.fit(lens.load("demo"), texts, workers=Here(1024), **options)
    one, other = (maps.tensors("mat", 3, 7)["matrix"] for maps in (sharded, plain))
    assert (one - other).abs().max() <= 1e-6 * other.abs().max()
    assert sharded.card.tokens == plain.card.tokens == 1100


def test_a_stopped_fit_goes_on_from_the_shards_that_were_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lens.analyses._checkpoint.EVERY", 0.0)
    model, texts = lens.load("demo"), TEXTS[:40]
    options: dict[str, Any] = {"pairs": [(3, 7)], "holdout": HELD[:5]}
    whole = lens.fit(model, texts, workers=Here(10), **options)

    def interrupt(step: Progress) -> None:
        if step.sentences == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lens.fit(model, texts, workers=Here(10), checkpoint=tmp_path, progress=interrupt, **options)
    again = Here(10)
    resumed = lens.fit(model, texts, workers=again, checkpoint=tmp_path, **options)
    assert again.read == 2 + 1  # of four shards, and the held-out one
    assert torch.equal(resumed.tensors("mat", 3, 7)["matrix"], whole.tensors("mat", 3, 7)["matrix"])
    assert resumed.card == whole.card
    with pytest.raises(LensError, match="of another fit"):
        lens.fit(model, texts, workers=Here(20), checkpoint=tmp_path, **options)


def test_an_address_without_a_cluster_is_said_in_seconds(tmp_path: Path, capsys: Any) -> None:
    with socket.socket() as silent, socket.socket() as closed:
        for line in (silent, closed):
            line.bind(("127.0.0.1", 0))
        silent.listen()
        nobody, mute = (f"127.0.0.1:{line.getsockname()[1]}" for line in (closed, silent))
        for address, why in [(nobody, "Connection refused"), (mute, "timed out")]:
            with pytest.raises(LensError, match=rf"No cluster answers at {address} \({why}\)"), Workers(address):
                pass
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS[:5]), encoding="utf-8")
    assert main(["fit", "demo", "--text", str(text), "--out", str(tmp_path / "maps"), "--cluster", nobody]) == 2
    assert f"lens: No cluster answers at {nobody}" in capsys.readouterr().err
    with pytest.raises(LensError, match="'cluster' is no address of a cluster"), Workers("cluster"):
        pass


@pytest.mark.parametrize(
    ("options", "message"), [({"shard": 0}, "shard is 0"), ({"cpus": -1}, "cpus is -1"), ({"gpus": -1}, "gpus is -1")]
)
def test_what_workers_cannot_take_is_said(options: Any, message: str) -> None:
    with pytest.raises(LensError, match=message):
        Workers(**options)


def test_a_model_travels_as_its_name(byte_level: Any, tmp_path: Path) -> None:
    import pickle

    from transformers import GPT2Config, GPT2LMHeadModel

    sent = pickle.dumps(lens.load("demo", dtype="bfloat16"))
    there = pickle.loads(sent)  # noqa: S301 - our own
    assert len(sent) < 1000
    assert there.fingerprint == lens.load("demo").fingerprint
    assert there.dtype == torch.bfloat16
    hf = GPT2LMHeadModel(GPT2Config(vocab_size=400, n_positions=64, n_embd=32, n_layer=2, n_head=2))
    with pytest.raises(ModelError, match="is in memory and can't be sent to other processes"):
        pickle.dumps(lens.load(hf, tokenizer=byte_level))
