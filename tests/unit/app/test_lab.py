"""JupyterLab's command line, and which notebook it opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jupyterlab.labapp import LabApp

from lens.app import _lab
from lens.app._lab import lab_arguments, own_copy
from lens.app._options import Options
from lens.app._places import CHECKOUT
from lens.app._serve import configuration


def test_lab_asks_no_one_elsewhere() -> None:
    arguments = lab_arguments(Path("book.ipynb"), host="127.0.0.1", port=8888, browser=False)
    app = LabApp()
    app.parse_command_line([argument for argument in arguments if argument.startswith("--LabApp.")])
    assert app.news_url is None
    assert app.check_for_updates_class.__name__ == "NeverCheckForUpdate"
    assert app.extension_manager == "readonly"


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_only_root_needs_leave(user: int, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    arguments = lab_arguments(Path("book.ipynb"), host="127.0.0.1", port=8888, browser=True)
    assert ("--allow-root" in arguments) is allowed


def test_a_notebook_of_ones_own_is_opened_itself(tmp_path: Path) -> None:
    notebook = tmp_path / "mine.ipynb"
    assert own_copy(notebook) == notebook


def test_the_notebook_of_an_installation_is_opened_as_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package, folder = tmp_path / "package", tmp_path / "folder"
    package.mkdir()
    folder.mkdir()
    (package / "explore.ipynb").write_text("shipped", encoding="utf-8")
    monkeypatch.setattr(_lab, "__file__", str(package / "_lab.py"))
    monkeypatch.chdir(folder)

    copy = own_copy(package / "explore.ipynb")
    assert copy == folder / "explore.ipynb"
    assert copy.read_text(encoding="utf-8") == "shipped"
    assert str(copy) in capsys.readouterr().out

    copy.write_text("edited", encoding="utf-8")
    assert own_copy(package / "explore.ipynb").read_text(encoding="utf-8") == "edited"


def test_binder_gives_voila_the_patience_that_lab_has() -> None:
    start = CHECKOUT / "binder" / "start"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    said = subprocess.run(
        ["bash", start, "printenv", "JUPYTER_CONFIG_PATH"],
        env=os.environ | {"PATH": path, "JUPYTER_CONFIG_PATH": "/of/the/image"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours, own = said.stdout.strip().split(os.pathsep)
    assert own == "/of/the/image"
    settings = json.loads((Path(ours) / "jupyter_server_config.json").read_text(encoding="utf-8"))
    assert {"VoilaExecutor": settings["VoilaExecutor"]} == settings
    for name, value in settings["VoilaExecutor"].items():
        assert configuration(Path("book.ipynb"), Options()).VoilaExecutor[name] == value
