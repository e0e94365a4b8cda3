"""A floor looks down only, and what is heavy stays where it belongs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]


def test_floors_hold() -> None:
    linted = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_a_look_upwards_would_be_noticed(tmp_path: Path) -> None:
    house = tmp_path / "house"
    for name, source in {"": "", "upper": "", "lower": "import house.upper\n"}.items():
        (house / name).mkdir()
        (house / name / "__init__.py").write_text(source, encoding="utf-8")
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_package = house\n"
        "[importlinter:contract:floors]\nname = floors\ntype = layers\nlayers =\n    house.upper\n    house.lower\n",
        encoding="utf-8",
    )
    linted = subprocess.run(LINT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert linted.returncode == 1
    assert "house.lower -> house.upper" in linted.stdout


def test_the_map_of_the_house_names_every_floor() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = next(
        contract for contract in settings["tool"]["importlinter"]["contracts"] if contract["type"] == "layers"
    )
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [room.strip() for floor in floors["layers"] for room in floor.split("|")]
    assert not [room for room in rooms if f"lens.{room}" not in page]
    assert {path.stem for path in (ROOT / "lens").iterdir() if (path / "__init__.py").is_file()} <= set(rooms)
