"""Each notebook runs from top to bottom, and is kept without what running leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
EXECUTED = Path(__file__).parents[2] / "build" / "lessons"  # the docs show what was printed
NOTEBOOKS = sorted(FOLDER.rglob("[!.]*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
LIMIT = 120  # seconds that a notebook may take
FORGET = "import ipywidgets\nipywidgets.Widget.close_all()\n%reset -f"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Any:
    """Each notebook in turn."""
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    """One kernel for all, as it takes seconds to import torch; in an empty folder, without a network."""
    folder = tmp_path_factory.mktemp("kernel")
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=LIMIT, store_widget_state=False, resources=where)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        yield client
    client.nb = nbformat.v4.new_notebook()
    client.execute()  # the last one ends the kernel


def test_it_runs(notebook: Any, client: NotebookClient, request: pytest.FixtureRequest) -> None:
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FORGET))  # nothing of the one before is there
    client.nb = notebook
    client.execute(cleanup_kc=False)
    EXECUTED.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, EXECUTED / f"{request.node.callspec.id}.ipynb")
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
    assert len(list((FOLDER / "lessons").glob("*.ipynb"))) >= 7
