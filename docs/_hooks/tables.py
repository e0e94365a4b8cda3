"""Tables that pages hold as `<!-- lens: name -->`, made from the code, so that they say what it does."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import lessons
import messages
from markdown.extensions.toc import slugify
from traitlets import Enum, Float, Int

from lens._limits import DEFAULTS
from lens.app.cli import _parser
from lens.casts import casts
from lens.models._family import families
from lens.panels import panels
from lens.panels._link import FIELDS
from lens.panels._session import MODEL, Session
from lens.plans import recipes

__all__ = ["TABLES"]

DOCS = Path(__file__).parents[1]


def session() -> str:
    """Every choice of a session: its name in links and in Python, what it is, what it may be."""
    traits = Session.class_traits()
    rows = [(f"`{name}`", traits[name].help, _allowed(name, traits[name]), _begins(traits[name])) for name in FIELDS]
    return _table(("choice", "what it is", "may be", "at first"), rows)


def every_panel() -> str:
    """Every panel: what it is called in a link, and what it shows."""
    rows = [
        (panel.title, f"`{key}`", f"`lens.panels.{key}(model)`", panel.help, ", ".join(panel.controls) or "–")
        for key, panel in panels().items()
    ]
    return _table(("panel", "in a link", "alone", "shows", "reads of the header"), rows)


def every_recipe() -> str:
    """Every recipe, with its plan for twelve blocks where the middle four are the window."""
    rows = [
        (f"`{name}`", recipe.help, _written(recipe), ", ".join(f"`{each.name}`" for each in recipe.parameters) or "–")
        for name, recipe in recipes().items()
    ]
    return _table(("recipe", "runs", "for 12 blocks", "parameters"), rows)


def every_cast() -> str:
    """Every cast, and whether it is fitted."""
    rows = [
        (f"`{name}`", cast.title, "yes" if cast.solve else "imported" if cast.fitted else "needs none")
        for name, cast in casts().items()
    ]
    return _table(("cast", "what it is", "fitted by `lens.fit`"), rows)


def every_family() -> str:
    """The model types that have a family file."""
    return ", ".join(f"`{name}`" for name in sorted(families()[0])) + "."


def commands() -> str:
    """What each command says of itself."""
    subparsers = next(each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction))
    said = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    return "\n\n".join(_command(name, said[name], parser) for name, parser in subparsers.choices.items())


def every_message() -> str:
    """Every message that a page explains, with its place there."""
    rows = [
        (_code(words), f"[{title}]({page.name}#{slugify(title, '-')})")
        for page in sorted((DOCS / "errors").glob("*.md"))
        for title, _, section in (part.partition("\n") for part in page.read_text(encoding="utf-8").split("\n## ")[1:])
        for words in messages.on_page(section)
    ]
    return _table(("message", "see"), sorted(rows, key=lambda row: row[0].strip("` …").lower()))


def holds(path: str) -> str:
    """The fields of a result, with what is written behind each, and what can be asked of it."""
    module, _, name = path.rpartition(".")
    kind = getattr(import_module(module), name)
    asked = {name: thing for name, thing in vars(kind).items() if not name.startswith("_") and thing.__doc__}
    rows = [(f"`{name}`", _typed(kind, name), said) for name, said in _comments(kind).items()]
    rows += [
        (f"`{name}{'()' if inspect.isroutine(thing) else ''}`", _typed(thing, "return"), _first(thing.__doc__))
        for name, thing in asked.items()
        if inspect.isroutine(thing) or isinstance(thing, (property, cached_property))
    ]
    return _table(("", "type", "what it is"), rows)


def changes() -> str:
    """The list of changes, as it is kept beside the code."""
    return (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")


def every_lesson() -> str:
    """A link to each lesson, if there are any."""
    return "\n".join(f"{n}. [{lessons.title(path)}]({path.stem}.md)" for n, path in enumerate(lessons.notebooks(), 1))


TABLES: dict[str, Callable[..., str]] = {
    "lessons": every_lesson,
    "changes": changes,
    "holds": holds,
    "session": session,
    "panels": every_panel,
    "recipes": every_recipe,
    "casts": every_cast,
    "families": every_family,
    "commands": commands,
    "messages": every_message,
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _comments(kind: type) -> dict[str, str]:
    """Each field of a dataclass, with the comment on its line."""
    lines = re.findall(r"^    (\w+): [^#\n]+?(?:  # (.+))?$", inspect.getsource(kind), flags=re.MULTILINE)
    fields = {field.name for field in dataclasses.fields(kind)}
    return {name: said for name, said in lines if name in fields}


def _typed(thing: Any, name: str) -> str:
    """The annotation called `name`, as it is written."""
    thing = getattr(thing, "fget", None) or getattr(thing, "func", None) or getattr(thing, "__func__", thing)
    return f"`{inspect.get_annotations(thing).get(name, '')}`"


def _first(text: str) -> str:
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


def _allowed(name: str, trait: Any) -> str:
    if isinstance(trait, Enum):
        named = [f"`{value}`" for value in trait.values or () if value is not None]
        return ", ".join(named) + (", or nothing" if None in (trait.values or ()) else "")
    if isinstance(trait, (Int, Float)):
        return f"{trait.min:,} to {trait.max:,}" + (", or nothing" if trait.allow_none else "")
    if name == "panel":
        return ", ".join(f"`{key}`" for key in panels())
    if name == "cast":
        return ", ".join(f"`{key}`" for key in [*casts(), "difference"])
    most = {"text": DEFAULTS["text"], "plan": DEFAULTS["plan"], "model": MODEL}[name.removeprefix("other_")]
    return f"text of at most {most:,} characters"


def _begins(trait: Any) -> str:
    value = trait.default_value
    return "–" if value in (None, "") else f"`{value}`"


def _written(recipe: Any) -> str:
    window = {"start": 4, "stop": 8} if recipe.window else {}
    return f"`{recipe(12, **window)}`"


def _command(name: str, said: str, parser: argparse.ArgumentParser) -> str:
    rows = [
        (f"`{' '.join(action.option_strings) or action.metavar or action.dest}`", action.help or "")
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
    ]
    return f"## lens {name}\n\n{said[:1].upper()}{said[1:]}.\n\n" + _table(("option", "what it is"), rows)


def _code(words: str) -> str:
    return f"`` {words} ``" if "`" in words else f"`{words}`"
