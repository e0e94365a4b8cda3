"""Fit the maps of an embedded model and put the curve of `mat` against `id` into its card.

python training/shortcuts.py demo --train train_sentences.txt --heldout heldout_sentences.txt

Without `--train` the maps stay, and only the card is written anew.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

import lens
from lens.analyses import Progress, curves
from lens.execution import maps_for
from lens.numerics import Curves

MARKER = "<!-- shortcuts -->"
COLOURS = {"mat": "#0072b2", "id": "#d55e00"}
NOVELS = "sentences of 94 English novels, 1839–1927"
HELD_OUT = "sentences of two held-out novels (Howards End, Far from the Madding Crowd)"
PARTS = ("attn", "ffn", "ln")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--train", type=Path, help="sentences, one a line")
    parser.add_argument("--heldout", type=Path, required=True, help="sentences of the held-out novels, one a line")
    parser.add_argument("--sentences", type=int, default=60_000)
    parser.add_argument("--scored", type=int, default=3_000)
    options = parser.parse_args()
    model = lens.load(options.model)
    heldout = sentences(options.heldout, 2 * options.scored, seed=1)
    # a causal model learns from every token, a masked one from the masked token alone
    positions = "all" if model.kind == "causal" else "one"
    if options.train:
        fit(model, sentences(options.train, options.sentences, seed=0), heldout[: options.scored], positions)
    maps = maps_for(model)
    found = curves(model, heldout[options.scored :], maps=maps, casts=("mat", "id"), ks=(1,), positions=positions)
    write_card(model, maps, found)


def fit(model: lens.Model, train: list[str], heldout: list[str], positions: str) -> None:
    maps = lens.fit(
        model,
        train,
        positions=positions,
        parts=PARTS,
        holdout=heldout,
        corpus=NOVELS,
        heldout_corpus=HELD_OUT,
        progress=show,
    )
    # half the digits are enough for the decoder's maps; two of the encoder's in a row would lose a third of their r²
    maps.save(model.folder / "maps", torch.float16 if model.kind == "causal" else None)


def sentences(path: Path, count: int, seed: int) -> list[str]:
    """`count` sentences of 5 to 40 words, drawn at random."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if 5 <= len(line.split()) <= 40]
    return random.Random(seed).sample(lines, min(count, len(lines)))


def show(progress: Progress) -> None:
    if progress.sentences % 2048 < 128:
        print(f"{progress.stage}: {progress.sentences} of {progress.total}, {progress.tokens} tokens", flush=True)


def write_card(model: lens.Model, maps: lens.Maps, found: Curves) -> None:
    """Fill the card's section on shortcuts."""
    (model.folder / "shortcuts.svg").write_text(svg(found), encoding="utf-8")
    card = model.folder / "README.md"
    head, rest = card.read_text(encoding="utf-8").split(MARKER, 1)
    after = rest[rest.index("\n## ") :] if "\n## " in rest else ""
    card.write_text(f"{head}{MARKER}\n\n{section(maps, found)}{after}", encoding="utf-8")


def section(maps: lens.Maps, found: Curves) -> str:
    card, r2 = maps.card, maps.card.r2()
    last = found.layers[-1]
    lines = [
        f"Linear maps between every two of the {last + 1} layers, and across the parts of every block, least squares "
        f"without intercept, fitted on {card.tokens:,} tokens of {card.sentences:,} training sentences.",
        "",
        "Precision@1: how often the prediction read at a layer is the model's own, over "
        f"{found.sentences:,} held-out sentences (mean over {int(found.tokens[0]):,} tokens ± standard error over "
        f"sentences). r² is that of the map to the last layer, on {card.heldout_tokens:,} tokens of "
        f"{card.heldout_sentences:,} other held-out sentences.",
        "",
        "![Precision@1 by layer: mat above id](shortcuts.svg)",
        "",
        "| layer | mat P@1 | id P@1 | mat r² | id r² |",
        "|---|---|---|---|---|",
    ]
    for layer in found.layers:
        p = [found.precision[m, layer, 0, 0] for m in range(2)]
        cells = [f"{float(each.value):.3f} ± {float(each.error):.3f}" for each in p]
        cells += [f"{r2.of(cast).value[layer, last]:.3f}" for cast in ("mat", "id")]
        lines.append(f"| {layer} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def svg(found: Curves) -> str:
    """The curves with bands of two standard errors; no library is worth a picture this small."""
    width, height, left, top = 480, 240, 44, 16
    last = found.layers[-1]

    def at(layer: float, value: float) -> str:
        return f"{left + layer / last * (width - left - 60):.1f},{top + (1 - value) * (height - top - 40):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" '
        f'font-size="12" role="img"><rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(0, tick).split(",")
        parts.append(f'<path d="M{x} {y}H{width - 60}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{float(y) + 4}" text-anchor="end" fill="#555">{tick:g}</text>')
    for layer in range(0, last + 1, 2):
        x = at(layer, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{height - 22}" text-anchor="middle" fill="#555">{layer}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle" fill="#555">layer</text>')
    for m, cast in enumerate(found.methods):
        mean, band = found.precision.value[m, :, 0, 0], 2 * found.precision.error[m, :, 0, 0]
        upper = [at(layer, mean[layer] + band[layer]) for layer in range(last + 1)]
        lower = [at(layer, mean[layer] - band[layer]) for layer in reversed(range(last + 1))]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{COLOURS[cast]}" opacity="0.2"/>')
        line = " ".join(at(layer, mean[layer]) for layer in range(last + 1))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[cast]}" stroke-width="2"/>')
        x, y = at(last // 3, mean[last // 3]).split(",")
        parts.append(f'<text x="{x}" y="{float(y) - 8}" fill="{COLOURS[cast]}" font-weight="600">{cast}</text>')
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    main()
