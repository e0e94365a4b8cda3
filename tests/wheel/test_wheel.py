"""The wheel by itself: what is in it, and that it runs with nothing beside it but what it asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.ui._servers import serving

ROOT = Path(__file__).parents[2]
MEGABYTE = 10**6
SCRIPT = """
import pathlib, lens
print(pathlib.Path(lens.__file__).parent)
print(lens.embedded())
model = lens.load("demo")
print(tuple(lens.run(model, "The old man", f"0-{model.n_blocks - 1}").logits.shape))
print(len(lens.read(model, "The old man", k=3).frame()) > 0)
"""


@pytest.fixture(scope="session")
def wheel() -> Path:
    """What `python -m build --wheel` has made."""
    found = sorted((ROOT / "dist").glob("*.whl"))
    assert len(found) == 1, "There should be one wheel in dist: run `make wheel`."
    return found[0]


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def bare(wheel: Path) -> Iterator[Path]:
    """The Python of an environment that holds the wheel, what it asks for, and nothing else.

    What it asks for is linked from here rather than fetched and unpacked again: a matter of seconds.
    """
    folder = ROOT / "build" / "bare"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    for asked in closure("layer-lens").values():
        link(asked, folder)
    python = folder / "bin" / "python"
    pip(python, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    yield python
    shutil.rmtree(folder)


def closure(name: str) -> dict[str, Distribution]:
    """Everything that a distribution asks for, and that those ask for, by what was asked."""
    found: dict[str, Distribution] = {}
    waiting = needs(distribution(name))
    while waiting:
        asked = waiting.pop()
        key = f"{asked.name}{sorted(asked.extras)}"
        if key not in found:
            found[key] = distribution(asked.name)
            waiting += needs(found[key], asked.extras)
    return found


def needs(wanted: Distribution, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a distribution with these extras asks for on this machine."""
    lines = map(Requirement, wanted.requires or ())
    cases = [{"extra": extra} for extra in ("", *extras)]
    return [line for line in lines if line.marker is None or any(map(line.marker.evaluate, cases))]


def link(asked: Distribution, folder: Path) -> None:
    """Put the files of a distribution into another environment, but for its commands, which name this one."""
    for file in asked.files or ():
        source = Path(os.path.normpath(asked.locate_file(file)))
        if not source.is_relative_to(sys.prefix) or not source.is_file():
            continue
        place = source.relative_to(sys.prefix)
        if place.parts[0] in ("bin", "Scripts") or (folder / place).exists():
            continue
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, folder / place)
        except OSError:
            shutil.copyfile(source, folder / place)


def pip(python: Path, *words: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "pattern",
    [
        r"lens/models/embedded/demo/.*\.safetensors",
        r"lens/models/embedded/demo-bert/.*\.safetensors",
        r"lens/panels/live/.*\.js",
        r"lens/panels/live/.*\.css",
        r"lens/app/explore\.ipynb",
        r"lens/panels/lessons/7-[^/]*\.ipynb",
        r"lens/app/jupyter/labconfig/default_setting_overrides\.json",
        r"lens/py\.typed",
        r"layer_lens-[^/]*\.data/data/share/jupyter/voila/templates/lens/index\.html\.j2",
        r"layer_lens-[^/]*\.dist-info/licenses/LICENSE",
    ],
)
def test_it_holds(pattern: str, names: list[str]) -> None:
    assert any(re.fullmatch(pattern, name) for name in names)


def test_it_holds_nothing_else(names: list[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lens", "layer_lens"}
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|/tests?/|ipynb_checkpoints", name)]


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 45 * MEGABYTE


def test_it_runs_from_another_folder(bare: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [bare, "-W", "error", "-I", "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    place, embedded, shape, read = run.stdout.splitlines()
    assert Path(place).is_relative_to(bare.parents[1])
    assert embedded == "('demo', 'demo-bert')"
    assert re.fullmatch(r"\(\d+, \d+\)", shape)
    assert read == "True"


def test_what_it_asks_for_fits_together(bare: Path) -> None:
    assert pip(bare, "check").strip() == "No broken requirements found."
    assert "pytest" not in pip(bare, "list")


def test_its_command_serves_its_page(bare: Path, tmp_path: Path) -> None:
    notebook = next((bare.parents[1] / "lib").glob("python*/site-packages/lens/app/explore.ipynb"))
    server = serving("app", notebook, tmp_path, "--preheat", "0", python=bare)
    with server as address, urllib.request.urlopen(address, timeout=300) as answer:  # noqa: S310 - our own address
        page = answer.read().decode()
    assert 'id="page-skeleton"' in page
    assert "application/vnd.jupyter.widget-view+json" in page
    assert '<div class="page-failed"' not in page
