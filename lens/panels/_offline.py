"""A view as one page that needs neither a kernel nor a network, and still answers the pointer."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Iterator
from html import escape
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

import ipywidgets as widgets
import numpy as np

from lens._version import __version__
from lens.errors import LensError
from lens.numerics import Reading
from lens.panels._desk import Desk
from lens.panels._header import chips_of
from lens.panels._link import choices, to_link
from lens.panels._naming import file_name, panel_words, pictures
from lens.panels._panel import panels
from lens.panels._session import METRICS
from lens.panels._shelf import Answer
from lens.panels.live import Picture
from lens.panels.tabs.jump import path
from lens.panels.tabs.lens_table import SHOWN, picture

__all__ = ["offline_html", "page_name"]

SHARED: Final = ("common.js", "drawing.js", "take.js", "reading.js")
KINDS: Final = ("table", "chips", "topk", "chart", "heatmap", "shifts", "exits", "facts", "strip")
STYLES: Final = ("theme.css", "take.css", *(f"{kind}.css" for kind in KINDS), "offline.css")
LIVE: Final = "export default { initialize, render };"
COVERED: Final = ("jump", "lens_table")  # panels that stand on every page
CELLS: Final = 20_000  # most cells of the tables in words: a longer text's would outweigh its picture
BUILT_ON: Final = ("torch", "transformers")


def offline_html(desk: Desk, view: Any) -> str:
    """The page of what the desk has answered, with `view`, the panel that is looked at.

    It holds the reading of the sentence, so that every layer, token, cast and measure can be looked at. LensError where
    there is no reading to save.
    """
    answer: Answer | None = desk.answer
    if desk.problem is not None:
        raise LensError(desk.problem.text)
    if answer is None or answer.reading is None or desk.busy:
        raise LensError("The picture is still being made. Save the page once it is there.")
    more = [] if desk.session.panel in COVERED else [each for each in pictures(view) if each.layout.display != "none"]
    script, style = _script(), "\n".join(map(_asset, STYLES))
    body = "".join(_body(desk, answer, answer.reading, view, more))
    data = _json(_data(desk, answer, answer.reading, more))
    html = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, style)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="generator" content="lens">'
        f"<title>{_text(answer.tokens.text[:80])} · lens</title><style>{style}</style></head>"
        f'<body class="lens-live lens-page"><main>{body}</main>'
        f'<script type="application/json" id="lens-page">{data}</script><script type="module">{script}</script>'
        "</body></html>\n"
    )
    return html.encode("utf-8", "replace").decode("utf-8")


def page_name(desk: Desk) -> str:
    """How the page is called as a file."""
    return f"{file_name(*panel_words(desk.session.panel), desk.answer.name)}.html"


# ---------------------------------------------------------------- script and style


def _asset(name: str) -> str:
    return (files("lens.panels.live") / name).read_text(encoding="utf-8")


def _script() -> str:
    """Everything that draws, each widget in a scope of its own, and the page that joins them."""
    shared = "\n".join(map(_asset, SHARED))
    drawn = ",\n".join(
        f"{kind}: (() => {{\n{_asset(f'{kind}.js').replace(LIVE, 'return render;')}}})()" for kind in KINDS
    )
    begin = 'open(JSON.parse(document.getElementById("lens-page").textContent), widgets);'
    return f"{shared}\nconst widgets = {{\n{drawn}\n}};\n{_asset('offline.js')}\n{begin}\n"


def _policy(script: str, style: str) -> str:
    """Nothing but this very script and style: whatever a text may hold, it is not run, and nothing is asked for."""
    hashes = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (script, style))
    run, look = (f"'sha256-{each}'" for each in hashes)
    return f"default-src 'none'; script-src {run}; style-src {look}; img-src data:; base-uri 'none'; form-action 'none'"


# ---------------------------------------------------------------- numbers


def _data(desk: Desk, answer: Answer, reading: Reading, more: list[Picture]) -> dict[str, Any]:
    session = desk.session
    table = picture(answer, reading, max(SHOWN, session.k))
    table |= {"cast": session.cast, "metric": session.metric}
    table |= {"source": min(session.source, reading.target), "position": answer.position}
    arrays = {"top": "<i4", "probabilities": "<f4", "scores": "<f4"}
    table |= {name: _packed(np.ascontiguousarray(table[name], kind).tobytes()) for name, kind in arrays.items()}
    return {
        "name": answer.name,
        "onward": "" if reading.target == answer.model.n_blocks else ", then the real blocks",
        "k": session.k,
        "stems": {"table": file_name("table", answer.name), "jump": f"{file_name('jump', answer.name)}-"},
        "table": table,
        "chips": {"tokens": chips_of(answer), "position": answer.position, "hint": "Pick a token"},
        "paths": {metric: path(answer, reading, metric, 0) | {"lines": []} for metric in METRICS},
        "more": [{"kind": type(each).asset, "state": _state(each)} for each in more],
    }


def _packed(value: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(value).decode()}


def _state(widget: Picture) -> dict[str, Any]:
    """The traits that the picture is drawn from."""
    own = set(widget.trait_names(sync=True)) - set(widgets.DOMWidget.class_trait_names())
    state = {name: getattr(widget, name) for name in own if not name.startswith("_")}
    return {name: _packed(value) if isinstance(value, bytes) else value for name, value in state.items()}


# ---------------------------------------------------------------- words


def _json(value: object) -> str:
    """JSON in which no tag ends or begins."""
    return json.dumps(value).replace("<", "\\u003c")


def _text(text: object) -> str:
    """Text as data: no mark-up, and no sign that a page may not hold."""
    return escape("".join(sign if sign >= " " or sign in "\t\n" else "\ufffd" for sign in str(text)))


def _body(desk: Desk, answer: Answer, reading: Reading, view: Any, more: list[Picture]) -> Iterator[str]:
    yield f'<h1 dir="auto">{_text(answer.tokens.text)}</h1>'
    about = (
        f"{answer.name} · {answer.model.n_blocks} blocks · {len(answer.tokens)} tokens · read at layer {reading.target}"
    )
    yield f'<p class="lens-page-about">{_text(about)}</p>'
    yield '<noscript><p class="lens-page-about">Without scripts, see the tables in words below.</p></noscript>'
    yield '<section class="lens-page-tokens" aria-label="Tokens"><div id="lens-tokens"></div>'
    yield '<div class="lens-page-slider"><label for="lens-source">Source layer</label>'
    yield f'<input type="range" id="lens-source" min="0" max="{reading.target}" step="1">'
    yield '<output id="lens-source-said" for="lens-source"></output></div></section>'
    yield '<section aria-label="Predictions"><div id="lens-predictions"></div></section>'
    yield '<section aria-label="Layer by layer"><div id="lens-path"></div></section>'
    yield '<section aria-label="Lens table"><div id="lens-table"></div></section>'
    if more:
        panel = panels()[desk.session.panel]
        yield f"<section><h2>{_text(panel.title)}</h2><p class='lens-page-about'>{_text(panel.help)}</p>"
        yield "".join(f'<div id="lens-more-{place}"></div>' for place in range(len(more))) + "</section>"
    yield "".join(_in_words(reading))
    yield from _made(desk, answer, view)


def _in_words(reading: Reading) -> Iterator[str]:
    """The tables, as tables: for those who search, listen, or run no scripts."""
    if reading.entropy.size > CELLS:
        return
    tokens = "".join(f'<th scope="col"><bdi>{_text(reading.tokens[place])}</bdi></th>' for place in reading.positions)
    yield "<section><details><summary>The lens table in words</summary>"
    ways = [
        (cast, reading.token_ids[c, ..., 0], reading.probabilities[c, ..., 0]) for c, cast in enumerate(reading.casts)
    ]
    for cast, ids, shares in ways:
        rows = "".join(
            f'<tr><th scope="row">{source}</th>{_cells(reading, ids[s], shares[s])}</tr>'
            for s, source in reversed(list(enumerate(reading.sources)))
        )
        own = _cells(reading, reading.model_token_ids[:, 0], reading.model_probabilities[:, 0])
        yield (
            f'<div class="lens-page-wide" tabindex="0" role="region" aria-label="{_text(cast)} in words"><table>'
            f"<caption>{_text(cast)}: what each layer predicts first after each token, and how probably</caption>"
            f'<thead><tr><th scope="col">layer</th>{tokens}</tr></thead>'
            f'<tbody><tr><th scope="row">model</th>{own}</tr>{rows}</tbody></table></div>'
        )
    yield "</details></section>"


def _cells(reading: Reading, ids: Any, shares: Any) -> str:
    return "".join(
        f"<td><bdi>{_text(reading.labels[token])}</bdi> <small>{share:.1%}</small></td>"
        for token, share in zip(ids.tolist(), shares.tolist(), strict=True)
    )


def _made(desk: Desk, answer: Answer, view: Any) -> Iterator[str]:
    """How to get this view again: choices, link, code, versions."""
    session = desk.session
    facts = {name.replace("_", " "): value for name, value in choices(session).items() if name != "text"}
    facts |= {"layer": min(session.source, answer.target), "target": answer.target, "position": answer.position}
    facts |= {"predictions": session.k, "casts": ", ".join(answer.reading.casts if answer.reading else ())}
    facts |= {"tokens read": f"{len(answer.tokens)} of {answer.tokens.total}"}
    if desk.maps is not None:
        card = desk.maps.card
        facts["maps"] = f"fitted on {card.tokens:,} tokens of {card.sentences:,} sentences: {card.corpus}"
        facts["weights"] = card.fingerprint
    facts["link"] = to_link(session).removeprefix("?")
    built = ", ".join(f"{name} {version(name)}" for name in BUILT_ON)
    facts["made with"] = f"lens {__version__}, {built}, Python {platform.python_version()}"
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items() if value is not None
    )
    yield f"<footer><h2>How this was made</h2><dl>{rows}</dl>"
    yield f'<pre tabindex="0" aria-label="The code"><code>{_text(view.python())}</code></pre></footer>'
