"""Fit the maps of an embedded model and put the curve of `mat` against `id` into its card.

python training/shortcuts.py demo --train train_sentences.txt --heldout heldout_sentences.txt
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch

import lens
from lens.analyses import Progress

MARKER = "<!-- shortcuts -->"
COLOURS = {"mat": "#0072b2", "id": "#d55e00"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--train", type=Path, required=True, help="sentences, one a line")
    parser.add_argument("--heldout", type=Path, required=True, help="sentences of the held-out novels, one a line")
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--scored", type=int, default=1_000)
    options = parser.parse_args()
    model = lens.load(options.model)
    heldout = sentences(options.heldout, 3 * options.scored, seed=1)
    maps = lens.fit(
        model,
        sentences(options.train, options.sentences, seed=0),
        positions="all" if model.kind == "causal" else "one",
        holdout=heldout[options.scored :],
        corpus="sentences of 94 English novels, 1839–1927; scored on two that were held out",
        progress=show,
    )
    maps.save(model.folder / "maps", torch.float16)
    write_card(model, lens.Maps.load(model.folder / "maps"), heldout[: options.scored])


def sentences(path: Path, count: int, seed: int) -> list[str]:
    """`count` sentences of 5 to 40 words, drawn at random."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if 5 <= len(line.split()) <= 40]
    return random.Random(seed).sample(lines, min(count, len(lines)))


def show(progress: Progress) -> None:
    if progress.sentences % 2048 < 256:
        print(f"{progress.stage}: {progress.sentences} of {progress.total}, {progress.tokens} tokens", flush=True)


def write_card(model: lens.Model, maps: lens.Maps, texts: list[str]) -> None:
    """Fill the card's section on shortcuts, from scores on `texts`."""
    scores = {cast: [] for cast in ("id", "mat")}
    for reading, places in readings(model, maps, texts):
        for c, cast in enumerate(reading.casts):
            agrees = reading.token_ids[c, :, :, 0] == reading.model_token_ids[None, :, 0]
            scores[cast].append(agrees[:, places].mean(1))  # one figure a sentence and layer
    curves = {cast: np.stack(rows) for cast, rows in scores.items()}
    (model.folder / "shortcuts.svg").write_text(svg(curves), encoding="utf-8")
    card = model.folder / "README.md"
    head, rest = card.read_text(encoding="utf-8").split(MARKER, 1)
    after = rest[rest.index("\n## ") :] if "\n## " in rest else ""
    card.write_text(f"{head}{MARKER}\n\n{section(maps, curves)}{after}", encoding="utf-8")


def readings(model: lens.Model, maps: lens.Maps, texts: list[str]):
    """Each text read, and the positions that count: all of them, or one random mask of an encoder."""
    chance = random.Random(2)
    for text in texts:
        if model.kind == "masked":
            words = text.split(" ")
            words[chance.randrange(len(words))] = model.mask_token
            text = " ".join(words)
            places = list(model.encode(text).masks)
        else:
            places = slice(None)
        yield lens.read(model, text, maps=maps, k=1), places


def section(maps: lens.Maps, curves: dict[str, np.ndarray]) -> str:
    card, count = maps.card, len(curves["mat"])
    last = curves["mat"].shape[1] - 1
    lines = [
        f"Linear maps between every two of the {last + 1} layers, least squares without intercept, fitted on "
        f"{card.tokens:,} tokens of {card.sentences:,} training sentences.",
        "",
        f"Precision@1: how often the prediction read at a layer is the model's own, over {count:,} held-out sentences "
        "(mean over sentences ± standard error). r² is that of the map to the last layer, on "
        f"{card.heldout_tokens:,} tokens of {card.heldout_sentences:,} other held-out sentences.",
        "",
        "![Precision@1 by layer: mat above id](shortcuts.svg)",
        "",
        "| layer | mat P@1 | id P@1 | mat r² | id r² |",
        "|---|---|---|---|---|",
    ]
    for layer in range(last + 1):
        cells = [f"{curves[c][:, layer].mean():.3f} ± {error(curves[c][:, layer]):.3f}" for c in ("mat", "id")]
        r2 = [f"{card.r2[c][f'{layer}>{last}']:.3f}" if layer < last else "1" for c in ("mat", "id")]
        lines.append(f"| {layer} | {' | '.join([*cells, *r2])} |")
    return "\n".join(lines) + "\n"


def error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)


def svg(curves: dict[str, np.ndarray]) -> str:
    """The curves with bands of two standard errors; no library is worth a picture this small."""
    width, height, left, top = 480, 240, 44, 16
    last = curves["mat"].shape[1] - 1

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
    for cast, values in curves.items():
        mean, band = values.mean(0), [2 * error(values[:, layer]) for layer in range(last + 1)]
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
