"""No test that never runs: each is collected, by a step of the gate, and skipped only for a reason in skips.txt."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


def _is_script(path: Path) -> bool:
    """Run by hand, as `python -m tests.soak`, and without a test."""
    text = path.read_text(encoding="utf-8")
    return 'if __name__ == "__main__":' in text and not re.search(r"^\s*def test_", text, flags=re.MULTILINE)


BESIDES = ("conftest.py", "_")  # what helps tests
FILES = sorted(path for path in TESTS.rglob("*.py") if not path.name.startswith(BESIDES) and not _is_script(path))


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """The files in which pytest finds a test."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", str(TESTS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    return set(re.findall(r"^(tests/\S+?\.py)(?:::|:)", run.stdout, flags=re.MULTILINE))


def test_every_file_is_collected(collected: set[str]) -> None:
    assert {path.relative_to(ROOT).as_posix() for path in FILES} == collected


def test_every_folder_is_run_by_the_gate() -> None:
    steps = re.findall(r"\$\(PYTEST\)[^\n]*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    run = {folder for step in steps for folder in re.findall(r"tests/(\w+)", step)}
    assert {path.relative_to(TESTS).parts[0] for path in FILES} == run


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_no_test_hides_behind_a_name(path: Path) -> None:
    """A function that asserts, and that neither pytest nor a test can reach, is a test with a slip in its name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    idle = [node.name for node in _functions(tree) if node.name not in used and not node.decorator_list]
    assert not [name for name in idle if not name.startswith(("test_", "_", "pytest_"))]


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in tree.body if isinstance(node, ast.FunctionDef))
