"""The claims of "Layers as Painters" on one model, for the tables of docs/surgery.md.

    python benchmarks/surgery.py MODEL [--sentences 300]

On the held-out sentences that come with lens.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

import numpy as np

import lens
from lens.analyses import heldout_sentences
from lens.app._scores import bench, table
from lens.numerics import Grid, LayerStats
from lens.plans import recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--sentences", type=int, default=300)
    options = parser.parse_args()
    model = lens.load(options.model)
    texts = heldout_sentences()[: options.sentences]
    few = texts[: max(60, options.sentences // 3)]
    print(f"## {model.folder.name if model.folder else model.name}\n", flush=True)
    strategies(lens.painters(model, texts, timed=10))
    for join in ("mean", "sum", "scaled"):
        loops(lens.loops(model, few, join=join), join)
    repeats(lens.windows(model, few, recipe="repeat"))
    stats = lens.layers(model, texts)
    layers(stats)
    drops(stats, lens.windows(model, few, recipe="skip"))
    for words in (8, 60):
        text = " ".join(" ".join(texts).split()[:words])
        found = lens.latency(model, text, recipe("parallel", model.n_blocks))
        batched = f", batched {found.batched!r} × (difference {found.difference:.1e})" if found.batched else ""
        print(
            f"Latency of {found.plan} on {found.tokens} tokens, {found.threads} threads: in turn {found.turn!r} × the "
            f"full model{batched}; depth {found.depth} of {model.n_blocks}.\n"
        )
    if model.kind == "causal":
        tasks(model)


def strategies(found: Grid) -> None:
    seen = found.sweep
    print(f"Full model: loss {seen.full[0]!r} nats, {int(seen.tokens.sum()):,} tokens of {seen.sentences} sentences.\n")
    for metric in ("change", "agreement"):
        estimate = found.of(metric)
        title = {"change": "Loss less the full model's (nats)", "agreement": "Top-1 kept"}[metric]
        print(
            f"| {title}, M = | "
            + " | ".join(map(str, found.columns))
            + " |\n"
            + "|---" * (len(found.columns) + 1)
            + "|"
        )
        for r, name in enumerate(found.rows):
            cells = [f"{v:.3f} ± {e:.3f}" for v, e in zip(estimate.value[r], estimate.error[r], strict=True)]
            print(f"| {name} | " + " | ".join(cells) + " |")
        print()
    spread = found.cost("spread")[found.rows.index("random")]
    print("Standard deviation of the random orders (10 seeds): " + ", ".join(f"{s:.3f}" for s in spread) + ".\n")
    at = max(0, len(found.columns) - 2)
    time = found.of("time")
    print(
        f"| at M = {found.columns[at]} | blocks run | one after the other | time, × the full model |\n|---|---|---|---|"
    )
    for r, name in enumerate(found.rows):
        cost = [found.cost(which)[r, at] for which in ("applications", "depth")]
        print(f"| {name} | {cost[0]:.0f} | {cost[1]:.0f} | {time.value[r, at]:.2f} ± {time.error[r, at]:.2f} |")
    print(flush=True)


def loops(found: Grid, join: str) -> None:
    change, best = found.of("change"), found.best()
    print(f"Looped parallel, {join}, {found.sweep.sentences} sentences: best k (loss change there) by M: ", end="")
    said = []
    for r, k in enumerate(best):
        c = found.columns.index(k or 1)
        said.append(f"M = {found.rows[r]}: {k} ({change.value[r, c]:.3f} ± {change.error[r, c]:.3f})")
    print("; ".join(said) + ".\n", flush=True)


def repeats(found: Grid) -> None:
    change = found.of("change")
    cells = [
        (change.value[p], change.error[p], found.plan(*p)) for p in np.ndindex(*found.at.shape) if found.at[p] >= 0
    ]
    cells.sort(key=lambda cell: cell[0])
    better = sum(value + 2 * error < 0 for value, error, _ in cells)
    said = "; ".join(f"`{plan}` {value:+.3f} ± {error:.3f}" for value, error, plan in cells[:3])
    print(
        f"Repeating a window: of {len(cells)}, {better} lower the loss by more than 2 standard errors. Least: {said}.\n"
    )


def layers(found: LayerStats) -> None:
    last = found.n_blocks
    heads = ["block", "skip: loss", "Block Influence", "update ÷ stream"]
    heads += ["cosine with the next: flattened", "per token", "without first", "centred"]
    print("| " + " | ".join(heads) + " |")
    print("|---" * 8 + "|")
    for b in range(last):
        cosines = " | ".join(f"{found.cosines.value[v, b, b + 1]:.3f}" for v in range(4))
        print(
            f"| {b} | {found.skip_change.value[b]:.3f} ± {found.skip_change.error[b]:.3f} | "
            f"{found.influence.value[b]:.4f} | {found.update_ratio.value[b]:.2f} | {cosines} |"
        )
    middle = slice(2, last - 1)
    means = [float(np.mean(found.cosines.value[v][middle, middle])) for v in range(4)]
    print(f"\nMean cosine among layers 2…{last - 2}: " + ", ".join(f"{m:.3f}" for m in means), end="")
    print(
        f" (flattened, per token, without the first, centred). Rank correlation of Block Influence and measured loss: "
        f"{found.rank_correlation:.2f}.\n"
    )
    top = max(found.massive, key=lambda m: abs(m.value) / m.median)
    print(
        f"Largest activation beside its layer's median: layer {top.layer}, {top.value:.0f}, "
        f"{abs(top.value) / top.median:.0f} times, token {top.token!r} at position {top.position}, "
        f"coordinate {top.coordinate}.\n",
        flush=True,
    )


def drops(stats: LayerStats, skipped: Grid) -> None:
    change = skipped.of("change").value
    said = []
    for n in range(1, min(6, stats.n_blocks)):
        first = stats.best_drop(n)
        measured = {start: change[start, skipped.columns.index(start + n)] for start in range(stats.n_blocks - n + 1)}
        best = min(measured, key=lambda start: measured[start])
        said.append(f"n = {n}: from {first} ({measured[first]:.3f}), measured best from {best} ({measured[best]:.3f})")
    print("Blocks to drop by angular distance, and the best by measured loss: " + "; ".join(said) + ".\n", flush=True)


def tasks(model: lens.Model) -> None:
    """LAMBADA-style and HellaSwag-style questions from the held-out novels, at the model's own level."""
    chance = random.Random(0)
    sentences = [s.split() for s in heldout_sentences() if 10 <= len(s.split()) <= 30]
    words = [{"context": " ".join(s[:-1]), "continuation": s[-1]} for s in sentences]
    ends = [" ".join(s[len(s) // 2 :]) for s in sentences]
    choices = []
    for number, sentence in enumerate(sentences):
        others = chance.sample([end for at, end in enumerate(ends) if at != number], 3)
        place = chance.randrange(4)
        others.insert(place, ends[number])
        choices.append({"query": " ".join(sentence[: len(sentence) // 2]), "choices": others, "gold": place})
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, rows in (("last_word", words), ("ending", choices)):
            files.append(Path(folder) / f"{name}.jsonl")
            files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        last = model.n_blocks
        plans = [str(recipe(name, last, n=(last - 2) // 4 + 1)) for name in lens.analyses.PAINTERS]
        print(
            table(model.folder.name if model.folder else model.name, bench(model, plans, list(map(str, files)))) + "\n"
        )


if __name__ == "__main__":
    main()
