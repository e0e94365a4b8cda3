"""The words of every error that lens raises, read from its source: constant parts as they are, the rest as `…`."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Site", "on_page", "sites"]

ROOT = Path(__file__).parents[2]
ERRORS = ("LensError", "ModelError", "TextError", "MapsError", "PlanError", "EngineError", "Refused")
GAP = "…"
QUOTED = re.compile(r"^> (`+)(.+)\1$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Site:
    """A place that raises, and one message that it may raise with."""

    file: str
    line: int
    words: str


def on_page(text: str) -> list[str]:
    """The messages that a page explains: each a quoted line of code, as `> ``words`` `."""
    return [found[2].strip() for found in QUOTED.finditer(text)]


def sites(folder: Path = ROOT / "lens") -> list[Site]:
    """Every message of every error, in the order of the files."""
    files = [_File(path, folder.parent) for path in sorted(folder.rglob("*.py"))]
    found = {site: None for file in files for site in file.sites()}
    return list(found)


class _File:
    """One module: its errors, and the functions that pass words on to them."""

    def __init__(self, path: Path, root: Path) -> None:
        self.name = path.relative_to(root).as_posix()
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}
        self.owner = {
            inner: function for function in self.functions.values() for inner in ast.walk(function)
        }  # functions come outermost first, so that the innermost wins
        self.carriers: dict[str, set[str]] = {}  # function → the parameters that become words of an error

    def sites(self) -> Iterator[Site]:
        """Every message, once it is known who passes words on."""
        while True:
            before = {name: set(parameters) for name, parameters in self.carriers.items()}
            found = list(self._once())
            if before == self.carriers:
                return iter(found)

    def _once(self) -> Iterator[Site]:
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call):
                continue
            for message in self._messages(node):
                for words in self._words(message, self.owner.get(node)):
                    if re.search(r"\w", words):
                        yield Site(self.name, node.lineno, " ".join(words.split()))

    def _messages(self, call: ast.Call) -> Iterator[ast.expr]:
        """The arguments of a call that are words of an error."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in ERRORS:
            yield from call.args[:1]
        for parameter in self.carriers.get(name, ()):
            names = [each.arg for each in self.functions[name].args.args if each.arg != "self"]
            place = names.index(parameter)
            yield from call.args[place : place + 1]
            yield from (each.value for each in call.keywords if each.arg == parameter)

    def _words(self, node: ast.expr, owner: ast.FunctionDef | None) -> list[str]:
        """What an expression may read as."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        if isinstance(node, ast.JoinedStr):
            parts = [self._words(part, owner) for part in node.values]
            return [_joined(choice) for choice in itertools.product(*parts)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = self._words(node.left, owner), self._words(node.right, owner)
            return [_joined(pair) for pair in itertools.product(*sides)]
        if isinstance(node, (ast.IfExp, ast.BoolOp)):
            choices = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
            return [words for each in choices for words in self._words(each, owner)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.functions:
            return self._returned(self.functions[node.func.id])
        return self._named(node.id, owner) if isinstance(node, ast.Name) else [GAP]

    def _returned(self, function: ast.FunctionDef) -> list[str]:
        values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
        return [words for value in values for words in self._words(value, function)]

    def _named(self, name: str, owner: ast.FunctionDef | None) -> list[str]:
        """What a name may stand for: a local text, or what the callers give."""
        if owner is None:
            return [GAP]
        assigned = [
            node.value
            for node in ast.walk(owner)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        ]
        if assigned:
            return [words for value in assigned for words in self._words(value, owner)]
        if name in {each.arg for each in owner.args.args}:
            self.carriers.setdefault(owner.name, set()).add(name)
        return [GAP]


def _joined(parts: tuple[str, ...]) -> str:
    return re.sub(f"{GAP}{GAP}+", GAP, "".join(parts))
