"""The paper's measures on real text, for the tables of docs/shortcuts.md.

    python benchmarks/shortcuts.py MODEL --novels heldout.txt --wikitext wiki.txt [--fit train.txt] [--maps FOLDER]

Each file holds sentences, one a line. Without `--maps` the model's own maps are used, or maps fitted on `--fit`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lens
from lens.analyses import (
    alternation,
    composition,
    curves,
    early_exit,
    exit_times,
    r2,
    submodules,
    transfer,
)
from lens.execution import maps_for
from lens.numerics import Estimate

AGREEMENT = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--novels", type=Path, required=True)
    parser.add_argument("--wikitext", type=Path, required=True)
    parser.add_argument("--fit", type=Path)
    parser.add_argument("--maps", type=Path)
    parser.add_argument("--sentences", type=int, default=1000)
    options = parser.parse_args()
    model = lens.load(options.model)
    maps = lens.Maps.load(options.maps) if options.maps else maps_for(model)
    if maps is None:
        maps = fitted(model, lines(options.fit), lines(options.novels))
    print(f"## {model.folder.name if model.folder else model.name}\n\n{maps!r}\n")
    for name in ("novels", "wikitext"):
        texts = lines(getattr(options, name))[: options.sentences]
        corpus(model, maps, name, texts)
    texts = {name: lines(getattr(options, name))[:3000] for name in ("novels", "wikitext")}
    moved = transfer(model, texts, positions="all" if model.kind == "causal" else "one")
    change, error = moved.change.value, moved.change.error
    print("Transfer (P@1, mean over layers, less that of maps fitted on the scored corpus, points):")
    print(f"novels → wikitext {100 * change[0, 1]:.1f} ± {100 * error[0, 1]:.1f}; ", end="")
    print(f"wikitext → novels {100 * change[1, 0]:.1f} ± {100 * error[1, 0]:.1f}\n")


def fitted(model: lens.Model, train: list[str], held: list[str]) -> lens.Maps:
    return lens.fit(model, train[:20000], positions="all", parts=("attn", "ffn", "ln"), holdout=held[-1000:])


def corpus(model: lens.Model, maps: lens.Maps, name: str, texts: list[str]) -> None:
    last = model.n_blocks
    print(f"### {name}, n = {len(texts):,} sentences, one random token each\n", flush=True)
    found, scores = curves(model, texts, maps=maps), r2(model, texts, maps=maps)
    print("| layer | mat P@1 | P@5 | P@10 | id P@1 | mat surprisal | id surprisal | mat r² | id r² | mat r² update |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for layer in range(last):
        c = {cast: place for place, cast in enumerate(found.methods)}
        cells = [share(found.precision, (c["mat"], layer, 0, k)) for k in range(3)]
        cells.append(share(found.precision, (c["id"], layer, 0, 0)))
        cells += [number(found.surprisal, (c[cast], layer, 0)) for cast in ("mat", "id")]
        cells += [number(scores.of(cast), (layer, last), 3) for cast in ("mat", "id")]
        cells.append(number(scores.of("mat", "update"), (layer, last), 3))
        print(f"| {layer} | {' | '.join(cells)} |")
    print()
    leaving(model, maps, texts)
    parts = submodules(model, texts[:300], maps=maps)
    turns = alternation(model, texts[:300], maps=maps)
    for result in (parts, turns):
        print(f"P@1, n = {result.sentences}, layers that run in full:\n")
        print(f"| {' | '.join(['layers', *result.methods])} |\n|{'---|' * (len(result.methods) + 1)}")
        for layer in range(0, last + 1, max(1, last // 6)):
            cells = [share(result.precision, (m, layer, 0, 0)) for m in range(len(result.methods))]
            print(f"| {layer} | {' | '.join(cells)} |")
        print()
    composed = composition(model, texts, maps=maps).frame()
    worst = composed.loc[composed.loss.idxmax()]
    print(
        f"Composition to layer {last}: r² lost by going over a layer between, mean {composed.loss.mean():.4f}, "
        f"most {worst.loss:.4f} ± {worst.loss_error:.4f} ({worst.source:.0f} over {worst.via:.0f}).\n",
        flush=True,
    )


def leaving(model: lens.Model, maps: lens.Maps, texts: list[str]) -> None:
    table = early_exit(model, texts, maps=maps)
    print(
        f"Early exit at {AGREEMENT:.0%} agreement:\n\n| cast | leaving | layers saved | agreement |\n|---|---|---|---|"
    )
    for s in table.saving(AGREEMENT):
        kept = f"{s.agreement:.3f} ± {s.agreement_error:.3f}"
        print(f"| {s.cast} | {s.how} | {s.saved:.2f} of {table.n_blocks} ({s.saved_share:.1%}) | {kept} |")
    best = next(s for s in table.saving(AGREEMENT) if (s.cast, s.how) == ("mat", "dynamic"))
    times = exit_times(model, texts, best.threshold, maps=maps)
    print(
        f"\nMeasured, mat at λ = {best.threshold:g}, n = {times.sentences}: {times.ratio} times as long as the full "
        f"model; one look at the vocabulary costs {times.break_even:.2f} blocks.\n"
    )


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def share(estimate: Estimate, at: tuple[int, ...]) -> str:
    return f"{100 * estimate.value[at]:.1f} ± {100 * estimate.error[at]:.1f}"


def number(estimate: Estimate, at: tuple[int, ...], digits: int = 2) -> str:
    return f"{estimate.value[at]:.{digits}f} ± {estimate.error[at]:.{digits}f}"


if __name__ == "__main__":
    main()
