"""Each notebook runs from top to bottom, and is kept without what running leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Any:
    """Each notebook in turn."""
    return nbformat.read(request.param, as_version=4)


def test_it_runs(notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    client = NotebookClient(notebook, timeout=300, store_widget_state=False, resources={"metadata": {"path": tmp_path}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any(WIDGET in output.get("data", ()) for output in outputs)


def test_it_is_kept_clean(notebook: Any) -> None:
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    assert "widgets" not in notebook.metadata


def test_voila_shows_it_in_our_page_wherever_it_runs(notebook: Any) -> None:
    assert notebook.metadata["voila"] == {"template": "lens"}  # `lens app` says so itself; Binder and JupyterHub do not


def test_there_are_notebooks() -> None:
    assert FOLDER / "explore.ipynb" in NOTEBOOKS
