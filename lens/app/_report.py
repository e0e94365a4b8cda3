"""`lens report`: one page with every figure and table of the paper for a model, beside the published numbers."""

from __future__ import annotations

import argparse
import base64
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from lens._version import __version__
from lens._whole import write_whole
from lens.app._published import PUBLISHED
from lens.app._texts import read_texts
from lens.errors import LensError

__all__ = ["add_report", "verdict", "write_report"]

AGREEMENT = 0.95
Told = Callable[[str], None]


@dataclass
class Section:
    """One heading of the report."""

    key: str
    title: str
    text: str
    figures: list[str] = field(default_factory=list)
    tables: list[tuple[str, Any]] = field(default_factory=list)  # caption, frame
    claims: list[tuple[str, str]] = field(default_factory=list)  # the claim, what is seen here


def add_report(commands: Any) -> None:
    """Add the command `report`."""
    parser = commands.add_parser("report", help="one page with every figure and table of the paper for a model")
    parser.set_defaults(command=_report)
    parser.add_argument("reported", metavar="MODEL", help="an embedded name, a folder, or a Hugging Face name")
    parser.add_argument("--text", type=Path, nargs="+", metavar="FILE", help="held-out sentences (default: lens's own)")
    parser.add_argument("--second", type=Path, nargs="+", metavar="FILE", help="a second corpus, for transfer")
    parser.add_argument("--maps", type=str, help="folder or hub name of the maps (default: the model's own)")
    parser.add_argument("--sentences", type=int, default=300, metavar="N", help="measure on the first N (300)")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the page (report.html)")


def _report(chosen: argparse.Namespace) -> None:
    import lens
    from lens.analyses import heldout_sentences

    texts = read_texts(chosen.text) if chosen.text else heldout_sentences()
    second = read_texts(chosen.second) if chosen.second else None
    maps = lens.Maps.load(chosen.maps) if chosen.maps else None
    model = lens.load(chosen.reported)
    corpus = ", ".join(path.name for path in chosen.text) if chosen.text else "held-out sentences of lens"
    written = write_report(
        model,
        texts,
        chosen.out,
        maps=maps,
        second=second,
        sentences=chosen.sentences,
        corpus=corpus,
        told=lambda stage: print(f"{stage} …", flush=True),
    )
    print(written)


def write_report(
    model: Any,
    texts: Sequence[str],
    out: Path,
    *,
    maps: Any = None,
    second: Sequence[str] | None = None,
    sentences: int = 300,
    corpus: str = "unnamed",
    told: Told = lambda _: None,
) -> Path:
    """Measure all that the paper measures on the first `sentences` of held-out `texts`, and write one page of it.

    The page opens without Jupyter and without a network. What cannot be computed says in its place why. `second` is
    another corpus, for transfer. `told` hears each stage and may raise to stop. Returns `out`; LensError in words.
    """
    from lens.execution import maps_for
    from lens.views import plotly_script

    found, texts = maps_for(model, maps), list(texts)
    used = texts[:sentences]
    parts: list[str] = []
    for key, title, make in _SECTIONS:
        told(title)
        section = Section(key, title, "")
        try:
            make(section, model, found, used, texts, second, corpus)
        except LensError as error:
            section.text = f"Not computed: {error}"
        parts.append(_section(section))
    facts = _facts(model, found, used, corpus)
    page = _page(f"Linear shortcuts in {_name(model)}", facts, parts, plotly_script())
    try:
        write_whole(out, page)
    except OSError as error:
        raise LensError(f"{str(out)!r} could not be written ({error.strerror}). Give another file.") from None
    return out


def verdict(difference: float, error: float) -> str:
    """What a difference says of the claim that it is above 0: the rule is two standard errors."""
    if math.isnan(difference) or math.isnan(error):
        return "can't be told"
    if difference > 2 * error:
        return "holds"
    return "does not hold" if difference < -2 * error else "can't be told"


def _r2(section: Section, model: Any, maps: Any, used: list[str], *_: Any) -> None:
    import numpy as np

    from lens.analyses import r2
    from lens.views import figure_html, r2_maps

    result = r2(model, used, maps=maps, casts=_casts(model, maps))
    section.text = (
        "How much of the target layer's stream a cast from the source layer explains on held-out text. Most of the "
        "stream is carried over, so the r² of the update, h^t − h^s, asks for what is new."
    )
    section.figures = [figure_html(r2_maps(result, variant=variant)) for variant in result.variants]
    frame = result.frame().query("target == @model.n_blocks")
    section.tables = [(f"r² to layer {model.n_blocks}", frame)]
    if "mat" in result.casts:
        one, other = result.of("mat"), result.of("id")
        upper = np.triu_indices(model.n_blocks + 1, 1)
        gaps = [
            (one.value[at] - other.value[at], math.hypot(one.error[at], other.error[at]))
            for at in zip(*upper, strict=True)
        ]
        section.claims = [("mat r² is above id r² for every pair", _count([verdict(*gap) for gap in gaps], "pairs"))]


def _curves(section: Section, model: Any, maps: Any, used: list[str], _texts: Any, _second: Any, corpus: str) -> None:
    from lens.analyses import curves
    from lens.views import curves as draw
    from lens.views import figure_html

    result = curves(model, used, maps=maps, casts=_casts(model, maps), corpus=corpus)
    section.text = (
        "Precision@k: the share of tokens whose top prediction, read at a layer, is among the full model's own k. "
        "Surprisal: −ln of the model's probability of that prediction."
    )
    section.figures = [figure_html(draw(result, k=k)) for k in result.ks]
    section.figures += [figure_html(draw(result, metric=metric)) for metric in ("surprisal", "kl", "entropy")]
    section.tables = [("by layer", result.frame())]
    if "mat" in result.methods:
        mat, plain = (result.methods.index(name) for name in ("mat", "id"))
        p = result.precision
        gaps = [
            (
                p.value[mat, s, 0, 0] - p.value[plain, s, 0, 0],
                math.hypot(p.error[mat, s, 0, 0], p.error[plain, s, 0, 0]),
            )
            for s in range(model.n_blocks)
        ]
        section.claims = [
            ("P@1 of mat is above that of id at every layer", _count([verdict(*g) for g in gaps], "layers"))
        ]


def _leaving(section: Section, model: Any, maps: Any, used: list[str], *_: Any) -> None:
    import pandas as pd

    from lens.analyses import early_exit, exit_times
    from lens.views import early_exit as draw
    from lens.views import exit_layers, figure_html

    casts = [cast for cast in _casts(model, maps) if cast in ("id", "mat")]
    result = early_exit(model, used, maps=maps, casts=casts)
    savings = result.saving(AGREEMENT)
    best = next(s for s in savings if s.cast == casts[-1] and s.how == "dynamic")
    times = exit_times(model, used, best.threshold, cast=best.cast, maps=maps, sentences=100)
    section.figures = [figure_html(draw(result, agreement=AGREEMENT))]
    section.figures.append(figure_html(exit_layers(result, cast=best.cast, lam=best.threshold)))
    section.tables = [(f"layers saved at {AGREEMENT:.0%} agreement", pd.DataFrame([vars(s) for s in savings]))]
    section.text = f"A token leaves at the first layer that is sure enough. {_in_time(times)}"
    if len(casts) == 2:
        saved = {s.cast: s for s in savings if s.how == "dynamic"}
        gap = saved["mat"].saved - saved["id"].saved
        places = [result.lambdas[0].index(saved[cast].threshold) for cast in casts]
        errors = [float(result.layers.error[c, place]) for c, place in enumerate(places)]
        said = f"{verdict(gap, math.hypot(*errors))}: {gap / model.n_blocks:+.1%} of the layers more than id"
        section.claims = [(f"at {AGREEMENT:.0%} agreement mat saves more layers than id", said)]


def _in_time(times: Any) -> str:
    ratio, error = float(times.ratio.value), float(times.ratio.error)
    return (
        f"Layers saved are not time saved: on {times.sentences} sentences on {times.device}, leaving early with "
        f"{times.cast} at λ = {times.threshold:g} took {ratio:.2f} ± {error:.2f} times as long as the full model. One "
        f"look at the vocabulary costs {times.break_even:.1f} blocks, and breaks even where it saves that many."
    )


def _submodules(section: Section, model: Any, maps: Any, used: list[str], *_: Any) -> None:
    from lens.analyses import submodules
    from lens.views import curves as draw
    from lens.views import figure_html

    casts = [cast for cast in _casts(model, maps) if cast in ("id", "mat")]
    result = submodules(model, used, maps=maps, casts=casts)
    section.text = "ℓ true blocks; in all later ones one part is its linear map, fitted without intercept."
    section.figures = [figure_html(draw(result))]
    section.tables = [("by number of true blocks", result.frame())]
    middle = model.n_blocks // 2
    p = {name: result.precision[m, middle, 0, 0] for m, name in enumerate(result.methods)}
    if "mat" in p:
        for part in ("~attn", "~ffn", "~ln"):
            gap = float(p[part].value - p["mat"].value)
            said = (
                f"{verdict(gap, math.hypot(p[part].error, p['mat'].error))} at layer {middle} ({100 * gap:+.1f} points)"
            )
            section.claims.append((f"P@1 with {part} is above that of mat", said))
    for other in ("~ffn", "~ln"):
        gap = float(p["~attn"].value - p[other].value)
        said = (
            f"{verdict(gap, math.hypot(p['~attn'].error, p[other].error))} at layer {middle} ({100 * gap:+.1f} points)"
        )
        section.claims.append((f"linear attention loses less than {other}", said))


def _alternation(section: Section, model: Any, maps: Any, used: list[str], *_: Any) -> None:
    from lens.analyses import alternation
    from lens.views import curves as draw
    from lens.views import figure_html

    result = alternation(model, used, maps=maps)
    section.text = (
        "True blocks and jumps interleaved: evenly, or where the jumps' held-out r² has the greatest product."
    )
    section.figures = [figure_html(draw(result))]
    section.tables = [("by number of true blocks", result.frame())]


def _composition(section: Section, model: Any, maps: Any, used: list[str], *_: Any) -> None:
    from lens.analyses import composition
    from lens.views import composition as draw
    from lens.views import figure_html

    result = composition(model, used, maps=maps)
    frame = result.frame()
    section.text = "What is lost by two maps in a row instead of the one that was fitted for the whole way."
    section.figures = [figure_html(draw(result))]
    section.tables = [("r² by the layer between", frame)]
    said = f"mean {frame.loss.mean():.4f}, at most {frame.loss.max():.4f} of r² lost"
    section.claims = [("A_kj · A_ji does what A_ki does", said)]


def _transfer(
    section: Section, model: Any, _maps: Any, _used: Any, texts: list[str], second: Sequence[str] | None, corpus: str
) -> None:
    from lens.analyses import transfer
    from lens.views import figure_html
    from lens.views import transfer as draw

    if second is None:
        section.text = "Not computed: give a second corpus (--second FILE) to fit on one and score on the other."
        return
    result = transfer(model, {corpus: texts, "second corpus": list(second)})
    section.text = "Maps to the last layer, fitted on each corpus and scored on the held-out part of each."
    section.figures = [figure_html(draw(result))]
    section.tables = [("Precision@1 by layer", result.frame())]
    for a, b in ((0, 1), (1, 0)):
        change, error = result.change.value[a, b], result.change.error[a, b]
        said = f"{100 * change:+.1f} ± {100 * error:.1f} points P@1; {verdict(-change, error)}"
        section.claims.append((f"{result.corpora[a]} → {result.corpora[b]} loses", said))


def _breakdown(section: Section, model: Any, maps: Any, used: list[str], *_: Any) -> None:
    from lens.analyses import curves
    from lens.views import breakdown, figure_html

    cast = _casts(model, maps)[-1]
    section.text = (
        f"Precision@1 of {cast} by the token's position, and by how often its prediction is made in this text."
    )
    for by in ("position", "frequency"):
        result = curves(
            model, used, maps=maps, casts=[cast], by=by, positions="all" if model.kind == "causal" else "one"
        )
        section.figures.append(figure_html(breakdown(result, method=cast)))
        section.tables.append((f"by {by}", result.frame()))


_SECTIONS: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("r2", "How good is a linear map", _r2),
    ("curves", "What each layer knows", _curves),
    ("early exit", "Leaving early", _leaving),
    ("sub-modules", "Linear sub-modules", _submodules),
    ("alternation", "True blocks and jumps in turn", _alternation),
    ("composition", "Two maps in a row", _composition),
    ("transfer", "From one corpus to another", _transfer),
    ("breakdown", "Positions and frequencies", _breakdown),
)


def _casts(model: Any, maps: Any) -> list[str]:
    from lens.casts import casts

    layers = tuple(range(model.n_blocks))
    fitted = [
        name for name, cast in casts().items() if cast.fitted and maps and maps.covers(name, layers, model.n_blocks)
    ]
    return ["id", *fitted]


def _count(verdicts: list[str], what: str) -> str:
    counts = {word: verdicts.count(word) for word in ("holds", "does not hold", "can't be told")}
    return ", ".join(f"{word} for {count} of {len(verdicts)} {what}" for word, count in counts.items() if count)


def _name(model: Any) -> str:
    return str(model.folder.name if model.folder else model.name)


def _facts(model: Any, maps: Any, used: list[str], corpus: str) -> list[tuple[str, str]]:
    import torch

    card = maps.card if maps else None
    text = sha256("\n".join(used).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return [
        ("model", f"{_name(model)}, {model.n_blocks} blocks of width {model.width}, {model.kind}"),
        ("fingerprint of the weights", model.fingerprint[:16]),
        ("maps", f"{card.tokens:,} tokens of {card.sentences:,} sentences: {card.corpus}" if card else "none"),
        ("measured on", f"{len(used):,} sentences, one random token each: {corpus} (sha256 {text}…)"),
        ("made with", f"lens {__version__}, torch {torch.__version__}, Python {platform.python_version()}"),
        ("made on", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]


def _section(section: Section) -> str:
    parts = [
        f'<section id="{section.key.replace(" ", "-")}"><h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>'
    ]
    published = PUBLISHED.get(section.key, ())
    if section.claims or published:
        rows = "".join(f"<tr><td>{escape(claim)}</td><td>{escape(seen)}</td></tr>" for claim, seen in section.claims)
        if rows:
            parts.append(f"<table><tr><th>claim</th><th>here</th></tr>{rows}</table>")
        parts += [f'<p class="paper">In the paper. {escape(line)}</p>' for line in published]
    parts += [f"<figure>{figure}</figure>" for figure in section.figures]
    parts += [_table(caption, frame) for caption, frame in section.tables]
    return "".join([*parts, "</section>"])


def _table(caption: str, frame: Any) -> str:
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in frame.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(_said(value))}</td>' for value in row)}</tr>"
        for row in frame.itertuples(index=False)
    )
    safe = frame.map(_no_formula).to_csv(index=False)
    link = f"data:text/csv;base64,{base64.b64encode(safe.encode()).decode()}"
    return (
        f"<details><summary>Table: {escape(caption)} ({len(frame):,} rows)</summary>"
        f'<p><a download="{escape(caption)}.csv" href="{link}">Save as CSV</a></p>'
        f"<div><table><tr>{head}</tr>{rows}</table></div></details>"
    )


def _said(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


def _no_formula(value: Any) -> Any:
    """A spreadsheet would run a text that begins like a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --ground: #fff }
body { margin: 0 auto; max-width: 960px; padding: 32px 20px 80px; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 30px; line-height: 1.2 } h2 { margin-top: 56px; font-size: 22px; border-top: 1px solid var(--line);
  padding-top: 24px } p { max-width: 70ch } nav a { margin-right: 16px; white-space: nowrap } a { color: #1d63ad }
table { border-collapse: collapse; font-size: 14px } th, td { padding: 4px 18px 4px 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--line) } th { color: var(--soft); font-weight: 500 }
figure { margin: 20px 0 } details { margin: 12px 0 } details div { overflow-x: auto; max-height: 480px }
summary { cursor: pointer } .paper, footer { color: var(--soft); font-size: 14px }
@media print { nav, details { display: none } section { break-inside: avoid } }
"""


def _page(title: str, facts: list[tuple[str, str]], sections: list[str], script: str) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    links = "".join(f'<a href="#{key.replace(" ", "-")}">{escape(name)}</a> ' for key, name, _ in _SECTIONS)
    policy = (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style><script>{script}</script></head><body><h1>{escape(title)}</h1>"
        f"<table>{rows}</table><nav><p>{links}</p></nav>{''.join(sections)}"
        "<footer><p>± is the standard error over sentences; bands are two of them. A claim holds, or not, where "
        "the difference is beyond two standard errors. The paper has other models and other text.</p></footer>"
        "</body></html>"
    )
