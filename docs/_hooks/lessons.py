"""Lessons as pages: each notebook of `notebooks/lessons`, with the outputs that its test left in `build/lessons`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lens.panels import panels

__all__ = ["notebooks", "page", "title"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks" / "lessons"
EXECUTED = ROOT / "build" / "lessons"
LIVE = re.compile(r"^lens\.(panels\.(?P<panel>\w+)|explore)\(", flags=re.MULTILINE)
FIGURE = "application/vnd.plotly.v1+json"


def notebooks() -> list[Path]:
    """The lessons in their order, if there are any."""
    return sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(re.match(r"\d*", path.stem)[0] or 0))  # type: ignore[index]


def title(path: Path) -> str:
    """What a lesson is called."""
    first = "".join(_cells(path)[0]["source"])
    return first.partition("\n")[0].removeprefix("# ").strip()


def page(path: Path) -> str:
    """A lesson as markdown: prose with its questions, code with what it printed, and a word for each live panel."""
    number = re.match(r"\d*", path.stem)[0]  # type: ignore[index]
    outputs = _outputs(path)
    parts = [
        _code("".join(cell["source"]), outputs[place])
        if cell["cell_type"] == "code"
        else _prose("".join(cell["source"]))
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


def _code(source: str, outputs: list[dict[str, Any]]) -> str:
    shown = f"```python\n{source}\n```"
    if live := LIVE.search(source):
        name = panels()[live["panel"]].title if live["panel"] else "the workbench"
        inside = "\n".join(f"    {line}".rstrip() for line in shown.splitlines())
        return f'!!! live "Live in the notebook: {name}"\n\n{inside}'
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
