"""`lens bench`: plans on benchmarks, from the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lens._whole import write_whole
from lens.errors import LensError

__all__ = ["add_bench"]


def add_bench(commands: Any) -> None:
    """Add the command `bench`."""
    parser = commands.add_parser("bench", help="score plans on benchmarks, by lm-evaluation-harness")
    parser.set_defaults(command=_bench)
    parser.add_argument("scored", metavar="MODEL", help="an embedded name, a folder, or a Hugging Face name")
    parser.add_argument("--plans", nargs="+", required=True, metavar="PLAN", help='such as "0-3 7-4 8-11"')
    parser.add_argument(
        "--tasks", nargs="+", required=True, metavar="TASK", help="names that lm-eval knows, or .jsonl files"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N documents of each task")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="documents at a time (8)")
    parser.add_argument("--out", type=Path, help="write the scores as JSON, too")


def _bench(chosen: argparse.Namespace) -> None:
    import lens
    from lens.app._scores import bench, table  # imported late: numpy and the harness are heavy

    model = lens.load(chosen.scored)
    found = bench(model, chosen.plans, chosen.tasks, limit=chosen.limit, batch=chosen.batch)
    print(table(model.folder.name if model.folder else model.name, found))
    if chosen.out:
        written = {
            name: {each.task: {"accuracy": each.mean, "error": each.error, "n": len(each.right)} for each in scores}
            for name, scores in found.items()
        }
        try:
            write_whole(chosen.out, json.dumps(written, indent=1) + "\n")
        except OSError as error:
            raise LensError(
                f"{str(chosen.out)!r} could not be written ({error.strerror}). Give another file."
            ) from None
