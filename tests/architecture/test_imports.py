"""`import lens` is light, and the package uses nothing that it does not ask for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "transformers",
    "plotly",
    "ipywidgets",
    "anywidget",
    "IPython",
    "numpy",
    "pandas",
    "voila",
    "jupyterlab",
)


def heavy_after(statement: str) -> set[str]:
    """Which heavy packages a fresh Python has loaded after a statement."""
    probe = f"import sys\n{statement}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import lens", "import lens; lens.LensError", "import lens.app.cli", "import lens.plans", "import lens.cluster"],
)
def test_nothing_heavy_is_loaded(statement: str) -> None:
    assert heavy_after(statement) == set()


def test_something_heavy_would_be_noticed() -> None:
    assert "torch" in heavy_after("import lens; lens.read")
    assert "ipywidgets" in heavy_after("import lens; lens.explore")


def test_every_package_that_is_used_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    asked = {_plain(re.match(r"[\w.-]+", line)[0]) for line in lines}  # type: ignore[index]
    homes = packages_distributions()
    missing = {
        name: homes.get(name)
        for path in (ROOT / "lens").rglob("*.py")
        for name in _imported(path) - sys.stdlib_module_names - {"lens", "__future__"}
        if not {_plain(home) for home in homes.get(name, [name])} & asked
    }
    assert not missing


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | named}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
