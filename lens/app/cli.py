"""`lens app` serves the page, `lens lab` opens its notebook, `lens serve` holds models for many; others make maps."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeVar

import lens
from lens._limits import for_public, kept_by_each, variable
from lens._memory import main_memory_free
from lens._source import embedded, resolve
from lens.app._bench import add_bench
from lens.app._engine import add_serve, use_engine
from lens.app._export import add_export
from lens.app._fit import add_convert, add_fit
from lens.app._options import Options, Place, new_token, place, site
from lens.app._places import explore_notebook
from lens.app._report import add_report
from lens.errors import LensError

__all__ = ["MAPS_VARIABLE", "MODEL_VARIABLE", "main"]

MODEL_VARIABLE = "LENS_MODEL"  # carries the chosen model to the notebook's kernel, where `lens.explore` reads it
MAPS_VARIABLE = "LENS_MODEL_MAPS"  # likewise the folder of maps that go with it

# For what we start: glibc keeps what each thread has freed to that thread, which came to a third of a long session.
ARENAS = "MALLOC_ARENA_MAX"

T = TypeVar("T")


class _Parser(argparse.ArgumentParser):
    """Says what was wrong in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; returns the exit code: 0 when all went well, 2 when what was asked cannot be done."""
    chosen = _parser().parse_args(arguments)
    os.environ.setdefault(ARENAS, "2")
    try:
        if getattr(chosen, "engine", None) is not None:
            _ask_engine(chosen)
        elif getattr(chosen, "model", None) is not None:
            os.environ[MODEL_VARIABLE] = _checked_model(chosen.model)
        if getattr(chosen, "with_maps", None) is not None:
            os.environ[MAPS_VARIABLE] = _checked_maps(chosen.with_maps)
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
        title="commands", required=True, metavar="app | lab | serve | fit | report | convert-maps | bench | export"
    )
    _add_app(commands.add_parser("app", help="serve the page and print its address"))
    lab = commands.add_parser("lab", help="open the notebook in JupyterLab")
    lab.set_defaults(command=_open_lab)
    _add_shared(lab, port=8888)
    add_serve(commands, _port, _number_of)
    add_fit(commands)
    add_report(commands)
    add_convert(commands)
    add_bench(commands)
    add_export(commands)
    return parser


def _add_app(app: argparse.ArgumentParser) -> None:
    app.set_defaults(command=_serve_app)
    _add_shared(app, port=8866)
    app.add_argument("--engine", metavar="URL", help="a shared engine that holds the models, as lens serve prints it")
    app.add_argument("--maps", dest="with_maps", metavar="FOLDER", help="fitted maps to read the model with")
    app.add_argument(
        "--base-url",
        type=_said(place),
        default=Place(),
        metavar="URL",
        help="where visitors find the page behind a proxy: a path (/lens/) or the whole address (https://host/lens/)",
    )
    app.add_argument("--token", default="", help="what visitors must know (default: made up where others can reach it)")
    app.add_argument(
        "--public",
        action="store_true",
        help="let everyone in who can reach it, without a token; to lens's own models and --model, in modest measure",
    )
    app.add_argument(
        "--frame-ancestors",
        type=_said(site),
        nargs="+",
        default=[],
        metavar="SITE",
        help="sites that may show the page inside theirs (default: none)",
    )
    count = _number_of("visitors", 1)
    app.add_argument("--visitors", type=count, default=32, metavar="N", help="at most, at one time (default: 32)")
    app.add_argument(
        "--idle",
        type=_number_of("seconds", 10),
        default=900,
        metavar="SECONDS",
        help="how long the session of a page waits that no longer answers, as on a machine that sleeps (default: 900)",
    )
    app.add_argument(
        "--preheat",
        type=_number_of("sessions", 0),
        default=1,
        metavar="N",
        help="sessions kept ready for the next visitors; each takes memory (default: 1)",
    )
    app.add_argument(
        "--no-fork",
        dest="fork",
        action="store_false",
        help="start each session afresh, with its own memory",
    )
    app.add_argument("--debug", action="store_true", help="log what the server does, and show tracebacks on the page")


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


def _number_of(what: str, least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of {what}; give {least} or more")
        return int(text)

    return parse


def _said(parse: Callable[[str], T]) -> Callable[[str], T]:
    """The same, with argparse's own way to refuse."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except LensError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _notebook(text: str) -> Path:
    path = Path(text).expanduser()
    if path.suffix != ".ipynb" or not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no notebook {text!r}; give the path of an .ipynb file")
    return path.resolve()


def _checked_model(name: str) -> str:
    """The name as the kernel is to get it, which runs elsewhere: folders in full. Raises ModelError."""
    source = resolve(name)
    return source.name if source.shipped or source.folder is None else str(source.folder)


def _checked_maps(folder: str) -> str:
    """The folder in full, or a name on the hub, if its maps are the model's. Raises LensError."""
    from lens.casts import Maps
    from lens.execution import maps_for
    from lens.models import load

    path = Path(folder).expanduser()
    name = str(path.resolve()) if path.exists() else folder
    maps_for(load(os.environ.get(MODEL_VARIABLE) or "demo"), Maps.load(name))
    return name


def _ask_engine(chosen: argparse.Namespace) -> None:
    if chosen.with_maps is not None:
        raise LensError("The engine has its own maps: give them to lens serve, not to lens app --engine.")
    if chosen.model is not None:
        os.environ[MODEL_VARIABLE] = chosen.model
    use_engine(chosen.engine)


def _serve_app(chosen: argparse.Namespace) -> None:
    from lens.app._serve import serve  # imported late, so that `lens --version` answers at once

    if chosen.public:
        _bound_strangers()
    os.environ.setdefault(variable("kept"), str(kept_by_each(chosen.visitors, main_memory_free())))
    serve(chosen.notebook or explore_notebook(), _options(chosen))


def _bound_strangers() -> None:
    """Where anyone may come: the limits of a public page, where the host has set none. Raises LensError."""
    mine = os.environ.get(MODEL_VARIABLE)
    if mine and "," in mine:
        raise LensError(f"LENS_MODELS can't name {mine!r}, as it has a comma. Give the folder a name without.")
    limits = for_public((*embedded(), *([mine] if mine and mine not in embedded() else [])))
    os.environ.update(limits)
    if limits:
        print(f"Visitors are held to {' '.join(f'{name}={value}' for name, value in limits.items())}", flush=True)


def _options(chosen: argparse.Namespace) -> Options:
    """What was said, and a token where others can come in and nothing was said about it."""
    if chosen.public and chosen.token:
        raise LensError("--public lets everyone in and --token does not; give one of them.")
    options = Options(
        host=chosen.host,
        port=chosen.port,
        place=chosen.base_url,
        token=chosen.token,
        visitors=chosen.visitors,
        frames=tuple(chosen.frame_ancestors),
        idle=chosen.idle,
        preheat=chosen.preheat,
        fork=chosen.fork,
        browser=chosen.browser,
        debug=chosen.debug,
    )
    needed = options.reached and not chosen.public and not chosen.token
    return replace(options, token=new_token()) if needed else options


def _open_lab(chosen: argparse.Namespace) -> None:
    from lens.app._lab import open_lab

    open_lab(chosen.notebook or explore_notebook(), host=chosen.host, port=chosen.port, browser=chosen.browser)


if __name__ == "__main__":
    sys.exit(main())
