"""`lens app` serves the page, `lens lab` opens its notebook; `lens fit`, `report` and `convert-maps` work on maps."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import lens
from lens.app._bench import add_bench
from lens.app._export import add_export
from lens.app._fit import add_convert, add_fit
from lens.app._places import explore_notebook
from lens.app._report import add_report
from lens.errors import LensError

__all__ = ["MODEL_VARIABLE", "main"]

MODEL_VARIABLE = "LENS_MODEL"  # carries the chosen model to the notebook's kernel, where `lens.explore` reads it


class _Parser(argparse.ArgumentParser):
    """Says what was wrong in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; returns the exit code: 0 when all went well, 2 when what was asked cannot be done."""
    chosen = _parser().parse_args(arguments)
    try:
        if getattr(chosen, "model", None) is not None:
            os.environ[MODEL_VARIABLE] = _checked_model(chosen.model)
        chosen.command(chosen)
    except LensError as error:
        print(f"lens: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the server took over: nothing to tidy
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("lens", description=lens.__doc__.partition("\n")[0] if lens.__doc__ else None)
    parser.add_argument("--version", action="version", version=f"lens {lens.__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="app | lab | fit | report | convert-maps | bench | export"
    )
    app = commands.add_parser("app", help="serve the page and print its address")
    app.set_defaults(command=_serve_app)
    _add_shared(app, port=8866)
    app.add_argument(
        "--preheat",
        type=_count,
        default=1,
        metavar="N",
        help="sessions kept ready for the next visitors; each takes memory (default: 1)",
    )
    app.add_argument("--debug", action="store_true", help="log what the server does, and show tracebacks on the page")
    lab = commands.add_parser("lab", help="open the notebook in JupyterLab")
    lab.set_defaults(command=_open_lab)
    _add_shared(lab, port=8888)
    add_fit(commands)
    add_report(commands)
    add_convert(commands)
    add_bench(commands)
    add_export(commands)
    return parser


def _add_shared(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument("--model", help="model to start with: an embedded name, a folder, or a Hugging Face name")
    parser.add_argument("--port", type=_port, default=port, help=f"port, or the next free one (default: {port})")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--notebook", type=_notebook, help="another notebook than lens's own")
    parser.add_argument("--no-browser", dest="browser", action="store_false", help="do not open a browser")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a whole number from 1 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of sessions; give 0 or more")
    return int(text)


def _notebook(text: str) -> Path:
    path = Path(text).expanduser()
    if path.suffix != ".ipynb" or not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no notebook {text!r}; give the path of an .ipynb file")
    return path.resolve()


def _checked_model(name: str) -> str:
    """The name as the kernel is to get it, which runs elsewhere: folders in full. Raises ModelError."""
    from lens.models import resolve  # only here: it takes torch along, which a plain `lens app` need not wait for

    source = resolve(name)
    return source.name if source.shipped or source.folder is None else str(source.folder)


def _serve_app(chosen: argparse.Namespace) -> None:
    from lens.app._serve import serve  # imported late, so that `lens --version` answers at once

    serve(
        chosen.notebook or explore_notebook(),
        host=chosen.host,
        port=chosen.port,
        browser=chosen.browser,
        preheat=chosen.preheat,
        debug=chosen.debug,
    )


def _open_lab(chosen: argparse.Namespace) -> None:
    from lens.app._lab import open_lab

    open_lab(chosen.notebook or explore_notebook(), host=chosen.host, port=chosen.port, browser=chosen.browser)


if __name__ == "__main__":
    sys.exit(main())
