"""Lessons as pages: each notebook of `notebooks/lessons`, with the outputs that its test left in `build/lessons`.

Panels that show one sentence stand in the page as `Explore.save` writes them, and answer without a kernel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lens.engine import InlineEngine
from lens.panels import Explore, panels
from lens.panels._lesson import _state
from lens.panels._session import Session
from lens.panels._shelf import Shelf

__all__ = ["notebooks", "page", "saved", "title"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks" / "lessons"
EXECUTED = ROOT / "build" / "lessons"
SAVED = ("jump", "lens_table")  # panels that stand on every saved page
LIVE = re.compile(r"^lens\.(panels\.(?P<panel>\w+)|explore)\(", flags=re.MULTILINE)
FIGURE = "application/vnd.plotly.v1+json"


def notebooks() -> list[Path]:
    """The lessons in their order, if there are any."""
    return sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(re.match(r"\d*", path.stem)[0] or 0))  # type: ignore[index]


def title(path: Path) -> str:
    """What a lesson is called."""
    first = "".join(_cells(path)[0]["source"])
    return first.partition("\n")[0].removeprefix("# ").strip()


@cache
def saved(path: Path) -> dict[int, str]:
    """The saved page of each cell of a lesson whose panel shows one sentence, by the cell's place."""
    states = {
        place: _state("".join(cell["source"]), path.name)
        for place, cell in enumerate(_cells(path))
        if cell["cell_type"] == "code"
    }
    return {place: _saved(state) for place, state in states.items() if state and state.get("panel") in SAVED}


@cache
def _shelf() -> Shelf:
    return Shelf()


def _saved(state: dict[str, Any]) -> str:
    view = Explore(Session(**state), InlineEngine(), _shelf())
    with TemporaryDirectory() as folder:
        html = view.save(Path(folder)).read_text(encoding="utf-8")
    view.close()
    return html


def page(path: Path) -> str:
    """A lesson as markdown: prose with its questions, code with what it printed, and a word for each live panel."""
    number = re.match(r"\d*", path.stem)[0]  # type: ignore[index]
    outputs = _outputs(path)
    live = saved(path)
    parts = [
        _prose("".join(cell["source"]))
        if cell["cell_type"] != "code"
        else _code("".join(cell["source"]), outputs[place], f"live/{path.stem}-{place}.html" if place in live else "")
        for place, cell in enumerate(_cells(path))
    ]
    head, *rest = parts
    begin = f"*Lesson {number}.* To do it with live panels: `make lab`, then open `notebooks/lessons/{path.name}`."
    return "\n\n".join([head.replace("\n", f"\n\n{begin}\n", 1), *rest]) + "\n"


def _cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def _outputs(path: Path) -> list[list[dict[str, Any]]]:
    """What each cell gave when the notebook was run as it is now; nothing where it was not."""
    own, run = _cells(path), EXECUTED / path.name
    cells = _cells(run)[-len(own) :] if run.is_file() else []  # a test may run a cell of its own first
    if ["".join(cell["source"]) for cell in cells] != ["".join(cell["source"]) for cell in own]:
        return [[] for _ in own]
    return [cell.get("outputs", []) for cell in cells]


def _prose(source: str) -> str:
    return source.replace("<details>", '<details class="question" markdown="1">')


def _code(source: str, outputs: list[dict[str, Any]], live_page: str = "") -> str:
    shown = f"```python\n{source}\n```"
    if live := LIVE.search(source):
        name = panels()[live["panel"]].title if live["panel"] else "the workbench"
        place = "#lens-table" if live["panel"] == "lens_table" else ""
        frame = f'<iframe src="{live_page}{place}" title="{name}" loading="lazy"></iframe>\n\n' if live_page else ""
        inside = "\n".join(f"    {line}".rstrip() for line in (frame + shown).splitlines())
        return f'!!! live "{name}, {"without the notebook" if live_page else "live in the notebook"}"\n\n{inside}'
    return "\n\n".join([shown, *_shown(outputs)])


def _table(html: str) -> str:
    """A frame without pandas' own look."""
    bare = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<(table|tr) [^>]*>", r"<\1>", bare).split())


def _shown(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for output in outputs:
        data = output.get("data", {})
        if FIGURE in data:
            figure = json.dumps({name: data[FIGURE].get(name) for name in ("data", "layout")}).replace("</", "<\\/")
            yield f'<div class="lens-figure"><script type="application/json">{figure}</script></div>'
        elif "text/html" in data:
            yield f'<div class="lens-output">{_table("".join(data["text/html"]))}</div>'
        elif text := "".join(data.get("text/plain", output.get("text", ""))):
            yield f"```text\n{text.rstrip()}\n```"
