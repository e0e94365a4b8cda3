"""The oldest releases that lens lets in are said once more on the page that says why, and no pin is older."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def asked() -> dict[str, Version]:
    """Package → its lower bound in pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(each.name): Version(next(iter(each.specifier)).version) for each in found}


def named(page: str) -> dict[str, Version]:
    """Package → the bound that the first column of a page's table of packages gives it."""
    table = page.partition("| package | kept by |")[2].partition("\n\n")[0]
    cells = " ".join(line.split("|")[1] for line in table.splitlines()[1:])
    return {canonicalize_name(name): Version(bound) for name, bound in re.findall(r"([\w-]+) ≥ ([\d.]+)", cells)}


def test_the_page_on_what_others_can_try_names_every_package_with_its_bound() -> None:
    assert named((ROOT / "docs" / "security.md").read_text(encoding="utf-8")) == asked()


def test_no_pin_is_older_than_its_bound() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(name): Version(pin) for name, pin in (line.split("==") for line in lines if "==" in line)}
    unpinned = asked().keys() - pins.keys()
    assert unpinned == {"bitsandbytes"}, "only what needs a GPU to be installed for is not pinned"
    assert not {name: bound for name, bound in asked().items() if name not in unpinned and pins[name] < bound}
