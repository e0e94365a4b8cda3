"""All of it, and docs/performance.md written anew: `python -m benchmarks [--rounds N] [--clock cpu] [--threads N]`.

What stands in the page outside the markers `<!-- NAME -->` … `<!-- end -->` is kept: it is written by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks._measure import ROOT, options, say
from benchmarks._peers import PEERS

PAGE = ROOT / "docs" / "performance.md"
PARTS = {
    "read": ["--peers", *PEERS],
    "slider": [],
    "generate": [],
    "start": [],
    "memory": [],
    "growth": ["--picture", str(ROOT / "docs" / "growth.svg")],
    "picture": [],
    "visitors": [],
}
SHORT = {"fit": ["--sentences", "800"], "sweep": ["--texts", "2", "--rounds", "1"]}  # of long ones; they take no turns
ON_GPU = {"read": ["--peers", *PEERS], "generate": [], "device": [], "visitors": []}


def main() -> None:
    asked = options(__doc__, only={"nargs": "*", "choices": [*PARTS, *SHORT], "help": "which parts, instead of all"})
    shared = ["--rounds", str(asked.rounds), "--clock", asked.clock, "--threads", str(asked.threads)]
    shared += ["--device", asked.device, *["--tiny"] * asked.tiny]
    parts = PARTS | SHORT if asked.device == "cpu" else ON_GPU
    for name in asked.only or parts:
        own = parts[name] if name in SHORT else [*([] if asked.tiny else parts[name]), *shared]
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *own],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        say(f"## {name}\n\n{done.stdout}")
        if not asked.tiny:
            keep(name if asked.device == "cpu" else f"{name} on {asked.device.partition(':')[0]}", done.stdout)


def keep(name: str, said: str) -> None:
    """Put what a part says in its place on the page."""
    page = PAGE.read_text(encoding="utf-8")
    if f"<!-- {name} -->" not in page:
        page += f"\n## {name}\n\n<!-- {name} -->\n<!-- end -->\n"
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    PAGE.write_text(place.sub(lambda found: f"{found[1]}{said.strip()}\n{found[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
