"""`lens export`: a plan of true blocks as a checkpoint, or as a file for mergekit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lens._whole import write_whole
from lens.errors import LensError

__all__ = ["add_export"]


def add_export(commands: Any) -> None:
    """Add the command `export`."""
    parser = commands.add_parser("export", help="save a plan of true blocks as a checkpoint or a mergekit file")
    parser.set_defaults(command=_export)
    parser.add_argument("exported", metavar="MODEL", help="an embedded name, a folder, or a Hugging Face name")
    parser.add_argument("--plan", required=True, help='such as "0-3 7-4 8-11"; no parallel stages, jumps or parts')
    parser.add_argument("--out", type=Path, required=True, help="a new folder, or a .yaml file for mergekit")


def _export(chosen: argparse.Namespace) -> None:
    import lens
    from lens.execution import save_checkpoint, to_mergekit

    model = lens.load(chosen.exported)
    if chosen.out.suffix in (".yaml", ".yml"):
        try:
            write_whole(chosen.out, to_mergekit(model, chosen.plan))
        except OSError as error:
            raise LensError(
                f"{str(chosen.out)!r} could not be written ({error.strerror}). Give another file."
            ) from None
    else:
        save_checkpoint(model, chosen.plan, chosen.out)
    print(f"{chosen.plan} of {model.name} is in {chosen.out}")
