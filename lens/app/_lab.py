"""JupyterLab on lens's notebook, without news from elsewhere."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from urllib.parse import quote

from jupyterlab.labapp import LabApp

from lens.app._places import add_to_path, expose_template

__all__ = ["lab_arguments", "open_lab", "own_copy"]


def open_lab(notebook: Path, *, host: str, port: int, browser: bool) -> None:
    """Open a notebook in JupyterLab until Ctrl-C."""
    expose_template()  # for Voilà's preview
    add_to_path("JUPYTER_CONFIG_PATH", Path(__file__).with_name("jupyter"))  # or Lab asks about news, over the page
    warnings.filterwarnings("ignore", "ServerApp.token", DeprecationWarning)  # Jupyter's own, of no use to a person
    LabApp.launch_instance(lab_arguments(own_copy(notebook), host=host, port=port, browser=browser))


def lab_arguments(notebook: Path, *, host: str, port: int, browser: bool) -> list[str]:
    """JupyterLab's command line for one notebook."""
    arguments = [
        f"--ServerApp.root_dir={notebook.parent}",
        f"--LabApp.default_url=/lab/tree/{quote(notebook.name)}",  # so that the printed address opens it as well
        f"--ServerApp.ip={host}",
        f"--ServerApp.port={port}",
        f"--ServerApp.open_browser={browser}",
        "--Application.log_level=WARN",
        "--LabApp.news_url=None",  # from here on: the server asks no one either
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    return [*arguments, "--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else arguments


def own_copy(notebook: Path) -> Path:
    """The notebook itself, or, of the one inside an installation, a copy in the working folder."""
    if notebook.parent != Path(__file__).parent:
        return notebook
    copy = Path.cwd() / notebook.name
    if not copy.exists():
        shutil.copyfile(notebook, copy)
        print(f"A copy of the notebook is in {copy}", flush=True)
    return copy
