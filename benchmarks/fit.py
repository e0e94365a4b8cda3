"""What fitting costs beside scikit-learn and beside the bare forward, in one run: `python benchmarks/fit.py`.

A GPT-2 of the small size with random weights reads real sentences. Three questions: the algebra alone (moments and
solves of all pairs) against a scikit-learn regression a pair on stored vectors, with the same held-out r²; the whole
fit against the bare forwards of the same tokens; and the whole fit against the paper's way (batches of four, stored
vectors, a solve a pair), with a projection for 48 layers of width 1,600 from measured pairs of that width.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import lens
from lens.analyses import sample_sentences
from lens.analyses._texts import Batch, batches
from lens.models import Model
from lens.numerics import Moments, least_squares

ROWS = 1024  # as a fit multiplies them
TINY = {"n_layer": 2, "n_embd": 16, "n_head": 2, "vocab_size": 5000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, help="sentences, one a line (default: those that come with lens)")
    parser.add_argument("--sentences", type=int, default=9000)
    parser.add_argument("--tokenizer", type=Path, help="a folder with a tokenizer (default: that of demo)")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that the script runs")
    options = parser.parse_args()
    count = 48 if options.tiny else options.sentences
    lines = options.text.read_text(encoding="utf-8").splitlines() if options.text else sample_sentences()
    texts = [line for line in lines if line.strip()][: count + count // 3]
    train, held = texts[: len(texts) * 3 // 4], texts[len(texts) * 3 // 4 :]
    model = gpt2(options.tokenizer, **TINY if options.tiny else {})
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"{model.n_blocks} blocks of width {model.width}, {len(train):,} + {len(held):,} sentences\n")
    print("| what | seconds | ratio |\n|---|---|---|")
    x, y = stored(model, train, 0), stored(model, held, 1)
    theirs = algebra(x, y)
    whole, bare, tokens = end_to_end(model, train, held)
    some = train[:400]
    four = in_fours(model, some) * len(train) / len(some)
    row(f"bare forwards of the same {tokens:,} tokens", bare)
    row("lens.fit, all pairs, whole (with its held-out scores)", whole, whole / bare, "× the bare (at most 1.25)")
    row("the paper's way: forwards in fours + a solve a pair", four + theirs, (four + theirs) / whole, "× lens.fit")
    project(bare, four, len(train), 64 if options.tiny else 1600)


def gpt2(tokenizer: Path | None, **size: int) -> Model:
    """A GPT-2 of 12 blocks of width 768, if nothing is said, with random weights, and a real tokenizer."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    words = lens.load("demo").tokenizer if tokenizer is None else AutoTokenizer.from_pretrained(tokenizer)
    return lens.load(GPT2LMHeadModel(GPT2Config(**size)), tokenizer=words)


def stored(model: Model, texts: Sequence[str], seed: int) -> np.ndarray:
    """The vectors (L + 1, n, d) float32 of one random token a sentence."""
    parts = []
    for batch in batches(model, texts, "one", seed):
        recording = model.record(batch.tokens, head=False)
        parts.append(np.stack([batch.take(stream).numpy() for stream in recording.streams]))
    return np.concatenate(parts, axis=1)


def algebra(x: np.ndarray, y: np.ndarray) -> float:
    """Seconds of all maps by scikit-learn, in the precision of moments; prints both and how far apart they are."""
    pairs = list(combinations(range(len(x)), 2))
    begin = time.perf_counter()
    maps = by_moments(x, pairs)
    ours = time.perf_counter() - begin
    theirs, worst = 0.0, 0.0
    for source, target in pairs:
        begin = time.perf_counter()
        a, b = x[source].astype(np.float64), x[target].astype(np.float64)
        oracle = LinearRegression(fit_intercept=False).fit(a, b)
        theirs += time.perf_counter() - begin
        start, end = y[source].astype(np.float64), y[target].astype(np.float64)
        difference = r2_score(end, start @ maps[source, target].numpy().T) - r2_score(end, oracle.predict(start))
        worst = max(worst, abs(difference))
    row(f"scikit-learn, {len(pairs)} pairs on stored vectors", theirs)
    row("moments and solves of all pairs", ours, theirs / ours, f"× faster (at least 8); largest |Δr²| {worst:.1e}")
    return theirs


def by_moments(x: np.ndarray, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], torch.Tensor]:
    moments = Moments(pairs, x.shape[2])
    for start in range(0, x.shape[1], ROWS):
        moments.update({site: torch.from_numpy(x[site, start : start + ROWS]) for site in moments.sites})
    maps = {}
    for source in sorted({source for source, _ in pairs}):
        targets = [target for start, target in pairs if start == source]
        for target, fitted in least_squares(moments, source, targets).maps.items():
            maps[source, int(target)] = fitted["matrix"]
    return maps


def end_to_end(model: Model, train: Sequence[str], held: Sequence[str]) -> tuple[float, float, int]:
    """Seconds of `lens.fit` and of the bare forwards (before and after it, the mean) over the same batches."""
    read = [*batches(model, train, "one", 0), *batches(model, held, "one", 1)]
    before = timed(lambda: forwards(model, read))
    whole = timed(lambda: lens.fit(model, train, holdout=held))
    after = timed(lambda: forwards(model, read))
    return whole, (before + after) / 2, sum(len(tokens) for batch in read for tokens in batch.tokens)


def forwards(model: Model, read: Sequence[Batch]) -> None:
    for batch in read:
        longest = max(map(len, batch.tokens))
        ids = torch.tensor([[*tokens.ids, *[0] * (longest - len(tokens))] for tokens in batch.tokens])
        mask = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in batch.tokens])
        with torch.no_grad():
            model.hf(input_ids=ids, attention_mask=mask)


def in_fours(model: Model, texts: Sequence[str]) -> float:
    """Seconds of forwards in batches of four texts as they come."""
    rows = [tokens for batch in batches(model, texts, "one", 0) for tokens in batch.tokens]
    rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    one = next(batches(model, texts[:1], "one", 0))
    fours = [replace(one, tokens=tuple(rows[place : place + 4])) for place in range(0, len(rows), 4)]
    return timed(lambda: forwards(model, fours))


def project(bare: float, four: float, count: int, width: int) -> None:
    """48 layers of such a width: pairs of that width are measured, forwards scale with the blocks' parameters."""
    x = np.random.default_rng(0).normal(size=(2, count, width)).astype(np.float32)
    ours = timed(lambda: by_moments(x, [(0, 1)]))
    theirs = timed(lambda: LinearRegression(fit_intercept=False).fit(x[0].astype(float), x[1].astype(float)))
    pairs, grown = 49 * 48 // 2, (48 * width**2) / (12 * 768**2)
    # one call sums two products (source with itself, with the target) and solves once
    lens_way = bare * grown + pairs * ours * 0.6
    paper_way = four * grown + pairs * theirs
    print(
        f"\n48 layers of width {width:,} ({pairs:,} pairs, {count:,} sentences), projected: "
        f"lens {lens_way / 3600:.1f} h, the paper's way {paper_way / 3600:.1f} h, "
        f"{paper_way / lens_way:.1f} times as long "
        f"(one pair measured: {ours:.1f} s against {theirs:.1f} s; forwards × {grown:.1f})."
    )


def timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def row(what: str, seconds: float, ratio: float | None = None, unit: str = "") -> None:
    print(f"| {what} | {seconds:.1f} | {'' if ratio is None else f'{ratio:.2f} {unit}'} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
