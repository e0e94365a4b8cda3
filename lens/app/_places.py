"""Where the notebook and the page template lie: in an installation, or in a checkout."""

from __future__ import annotations

import os
from pathlib import Path

from lens.errors import LensError

__all__ = ["TEMPLATE", "add_to_path", "explore_notebook", "expose_template"]

TEMPLATE = "lens"
CHECKOUT = Path(__file__).parents[2]


def explore_notebook() -> Path:
    """The notebook behind the page; raises LensError if the installation has lost it."""
    for path in (Path(__file__).with_name("explore.ipynb"), CHECKOUT / "notebooks" / "explore.ipynb"):
        if path.is_file():
            return path
    raise LensError("This installation has no explore.ipynb; install lens again (pip install --force-reinstall).")


def expose_template() -> None:
    """Let Jupyter find the template of a checkout as it is now; an installation has it among Jupyter's data files."""
    share = CHECKOUT / "share" / "jupyter"
    if (share / "voila" / "templates" / TEMPLATE).is_dir():
        add_to_path("JUPYTER_PATH", share)


def add_to_path(variable: str, folder: Path) -> None:
    """Put a folder before the others in a list of folders, for this process and those that it starts."""
    os.environ[variable] = os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])
