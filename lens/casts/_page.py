"""A page that says, to a person, what a set of fitted maps is."""

from __future__ import annotations

import re
from html import escape

import numpy as np
from numpy.typing import NDArray

from lens.casts._card import Card
from lens.numerics import R2

__all__ = ["PAGE", "PICTURE", "page", "picture"]

PAGE = "README.md"
PICTURE = "r2.svg"
# Cividis, which reads the same for colour-blind eyes (Nuñez, Anderton & Renslow 2018)
CIVIDIS = ((0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (253, 231, 55))
SIZE, GAP, TOP, LEFT, BAR = 220, 40, 42, 46, 72  # pixels of one map, and of what is around it


def page(card: Card) -> str:
    """The page in Markdown, with the front matter that the Hugging Face hub reads."""
    last = card.n_blocks
    sources = [f"{source}>{last}" for source in range(last)]
    casts = [name for name in card.scores if not name.startswith("~")]
    lines = [
        "---",
        "library_name: lens",
        "tags: [interpretability, linear-shortcuts]",
        "---",
        "",
        f"# Linear maps between the layers of {_plain(card.model)}",
        "",
        "A layer is the residual stream before a block; the last one is the last block's output before the final norm.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _facts(card).items()),
        "",
        "```python",
        'maps = lens.Maps.load("…")  # this folder, or its name on the hub',
        "lens.read(model, text, maps=maps)",
        "```",
        "",
        "Maps of other weights are refused.",
        "",
        f"![Held-out r² of every pair of layers]({PICTURE})",
        "",
        f"Held-out r² to layer {last}, ± standard error over sentences:",
        "",
        *_table([f"layer {source}" for source in range(last)], casts, card, sources),
        *_parts(card),
    ]
    return "\n".join(lines) + "\n"


def _facts(card: Card) -> dict[str, str]:
    revision = f", revision {_plain(card.revision)}" if card.revision else ""
    heldout = f"{card.heldout_tokens:,} tokens of {card.heldout_sentences:,} sentences"
    return {
        "model": f"{_plain(card.model)}{revision}",
        "blocks, width": f"{card.n_blocks}, {card.width}",
        "fingerprint of the weights": f"`{_plain(card.fingerprint[:16])}…`",
        "fitted on": f"{card.tokens:,} tokens of {card.sentences:,} sentences: {_plain(card.corpus)}",
        "scored on": f"{heldout}: {_plain(card.heldout_corpus)}",
        "tokens of a sentence": {"one": "one, drawn at random", "all": "all"}[card.positions],
        "options": ", ".join(f"{_plain(name)} {value:g}" for name, value in card.options.items()) or "none",
        "made with": f"lens {_plain(card.version)}, seed {card.seed}",
    }


def _parts(card: Card) -> list[str]:
    parts = [name for name in card.scores if name.startswith("~")]
    if not parts:
        return []
    spans = sorted({key for part in parts for key in card.scores[part]}, key=lambda key: [*map(int, key.split("."))])
    head = ["", "Parts of blocks, each from what enters it to what leaves it (block.span):", ""]
    return [*head, *_table(spans, parts, card, spans)]


def _table(rows: list[str], columns: list[str], card: Card, keys: list[str]) -> list[str]:
    lines = [f"| | {' | '.join(map(_plain, columns))} |", "|---|" + "---:|" * len(columns)]
    for row, key in zip(rows, keys, strict=True):
        cells = [_cell(card.scores[column].get(key, {}).get("stream", [None, None])) for column in columns]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def _cell(score: list[float | None]) -> str:
    value, error = score
    if value is None:
        return ""
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def _plain(text: str) -> str:
    """A name as it is, whatever Markdown or HTML would make of it."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", escape(" ".join(text.split())))


def picture(r2: R2) -> str:
    """Heat maps of every cast beside each other on one scale from 0 to 1, as SVG."""
    width, height = LEFT + len(r2.casts) * (SIZE + GAP) + BAR, TOP + SIZE + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#444" role="img" '
        'aria-label="Held-out r squared of every pair of layers">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for place, cast in enumerate(r2.casts):
        parts += _map(cast, r2.of(cast).value, LEFT + place * (SIZE + GAP), first=place == 0)
    return "\n".join([*parts, *_bar(width - BAR), "</svg>\n"])


def _map(cast: str, values: NDArray[np.float64], left: float, *, first: bool) -> list[str]:
    count = len(values)
    side, step = SIZE / count, max(1, -(-count // 13))
    cells = [
        f'<rect x="{left + t * side:.2f}" y="{TOP + s * side:.2f}" width="{side:.2f}" height="{side:.2f}" '
        f'fill="{_colour(values[s, t])}"><title>{s} → {t}: {values[s, t]:.3f}</title></rect>'
        for s in range(count)
        for t in range(s, count)
        if not np.isnan(values[s, t])
    ]
    below = [
        f'<text x="{left + (t + 0.5) * side:.1f}" y="{TOP + SIZE + 16}" text-anchor="middle">{t}</text>'
        for t in range(0, count, step)
    ]
    beside = [
        f'<text x="{left - 6}" y="{TOP + (s + 0.5) * side + 4:.1f}" text-anchor="end">{s}</text>'
        for s in range(0, count, step)
    ]
    beside.append(
        f'<text transform="translate(14 {TOP + SIZE / 2}) rotate(-90)" text-anchor="middle">source layer</text>'
    )
    name = f'<text x="{left}" y="{TOP - 14}" font-size="15" font-weight="600" fill="#111">{escape(cast)}</text>'
    below.append(f'<text x="{left + SIZE / 2}" y="{TOP + SIZE + 38}" text-anchor="middle">target layer</text>')
    return [name, *cells, *below, *(beside if first else [])]


def _bar(left: float) -> list[str]:
    stops = [
        f'<stop offset="{place / (len(CIVIDIS) - 1):.2f}" stop-color="rgb{colour}"/>'
        for place, colour in enumerate(CIVIDIS)
    ]
    ticks = {0.0: "≤0.0"} | {value: f"{value:.1f}" for value in (0.2, 0.4, 0.6, 0.8, 1.0)}
    labels = [
        f'<text x="{left + 20}" y="{TOP + (1 - value) * SIZE + 4:.1f}">{tick}</text>' for value, tick in ticks.items()
    ]
    head = '<defs><linearGradient id="scale" x1="0" y1="1" x2="0" y2="0">'
    strip = f'<rect x="{left}" y="{TOP}" width="13" height="{SIZE}" fill="url(#scale)"/>'
    return [head, *stops, "</linearGradient></defs>", strip, f'<text x="{left}" y="{TOP - 14}">r²</text>', *labels]


def _colour(value: float) -> str:
    """Values outside of 0…1 take the colour of the nearer end."""
    place = min(max(float(value), 0.0), 1.0) * (len(CIVIDIS) - 1)
    below = min(int(place), len(CIVIDIS) - 2)
    mixed = (round(a + (b - a) * (place - below)) for a, b in zip(CIVIDIS[below], CIVIDIS[below + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
