"""What lies in the project speaks of the project only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = {".git", ".venv", "dist", "build", "node_modules", "__pycache__"}
PLACES = r"(?<![\w.:/~-])/(?:{})/".format("|".join(("work", "opt", "root", "tmp", "home")))
HOSTS = r"(?:{})\.(?:org|com)".format("|".join(("pypi", "pythonhosted", r"download\.pytorch")))
FOREIGN = re.compile(f"{PLACES}|{HOSTS}")


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project, with its name."""
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_dir():
                keep = path.name not in MADE and not path.name.endswith("_cache") and path.name != ".hypothesis"
                folders.extend([path] if keep else [])
                continue
            try:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # weights and pictures


def test_no_file_names_a_place_on_one_machine_or_a_registry() -> None:
    assert not {name: found[0] for name, text in texts() if (found := FOREIGN.search(text))}


@pytest.mark.parametrize("place", ["work", "opt", "root", "tmp", "home"])
def test_a_place_on_one_machine_would_be_noticed(place: str) -> None:
    assert FOREIGN.search(f'open("/{place}/thing")')
    assert not FOREIGN.search(f"see notes/{place}/thing")


def test_constraints_pin_everything_exactly_and_for_any_machine() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)]
    assert "torch==2.13.0" in lines
