"""The real thing on a free port: `lens app` and `lens lab`, each as a person would start it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat

__all__ = ["free_port", "serving", "write_notebook"]

MAIN = "import lens.app.cli; raise SystemExit(lens.app.cli.main())"
PATIENCE = 120  # seconds; a busy machine with two cores is slow to import torch


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _interruptible() -> None:
    """A gate that runs in the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def serving(
    command: str, notebook: Path, folder: Path, *options: str, python: str | Path = sys.executable, first: str = ""
) -> Iterator[str]:
    """Run `lens app` or `lens lab` on a notebook; gives the address that it prints, and ends it as Ctrl-C does.

    `folder` takes the log and stands in for the home folder, so that no one's own settings come in; `first` is Python
    to run before, in the server's process.
    """
    log = folder / f"{command}.log"
    words = [command, "--no-browser", "--port", str(free_port()), "--notebook", str(notebook), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, *(["-c", f"{first}\n{MAIN}"] if first else ["-m", "lens.app.cli"]), *words],
            env=_environment(folder),
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_interruptible,
        )
    try:
        yield _address(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def write_notebook(path: Path, *sources: str, **metadata: object) -> Path:
    """A notebook with these code cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, **metadata}), path)
    return path


def _environment(folder: Path) -> dict[str, str]:
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    own |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    return {**os.environ, "HF_HUB_OFFLINE": "1", **{name: str(folder / path) for name, path in own.items()}}


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    begin = time.monotonic()
    while time.monotonic() - begin < PATIENCE:
        said = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"(?<=lens is at )\S+|http://127\.0\.0\.1:\d+/lab/\S+", said):
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"no address came; the server said:\n{log.read_text(encoding='utf-8', errors='replace')}")
