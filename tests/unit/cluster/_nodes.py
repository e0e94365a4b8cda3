"""An engine of two replicas on a cluster of three machines in one, while parts of Ray die: `python -m … FOLDER`.

FOLDER/said.json tells what a visitor saw.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.cluster._three import Cluster, note, small, unhurried  # first: it sets what Ray reads

# isort: split
import numpy as np
import psutil

import lens
from lens.analyses import heldout_sentences
from lens.cluster import Serving, start, stop
from lens.cluster._serve import LOOKS
from lens.models import Model
from lens.wire import waiting
from tests.unit.cluster._served import free_port

TEXT, TEXTS = "The old man sat by the fire", heldout_sentences()[:60]
PLANS = [f"0-{n} {n + 2}-11" for n in range(8)]
ENGINE, PROXY, CONTROLLER = "ray::ServeReplica:lens:engine", "ray::ProxyActor", "ray::ServeController"


def main(folder: Path) -> None:
    """Everything, on one cluster."""
    unhurried()
    os.environ |= LOOKS  # as the machines of a cluster are started
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small()})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **small())
    serving = Serving(address=cluster.address, replicas=2, cpus=0.5, port=free_port())
    address = start(serving)
    note("the engine is there")
    there = lens.load("demo", engine=address)
    said: dict[str, Any] = {"replicas": len(running(ENGINE)), "maps": fitted(there)}
    note("maps")
    work = Work()
    for name in (PROXY, CONTROLLER):
        said[name] = work.survives(there, lambda name=name: [each.kill() for each in running(name)])
        note(f"without {name}: {said[name]['seconds']:.1f} s")
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
    stop()
    cluster.shutdown()


def running(name: str) -> list[psutil.Process]:
    """The processes that Ray calls so."""
    return [each for each in psutil.Process().children(recursive=True) if _called(each).startswith(name)]


def _called(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0].strip()
    except psutil.NoSuchProcess:
        return ""


def fitted(there: Model) -> dict[str, Any]:
    """Whether maps that a visitor has fitted are used, by any replica, and by those that Ray starts after a death."""
    here, options = lens.load("demo"), {"kind": "mat", "pairs": "final", "holdout": 0.2}
    maps, own = lens.fit(there, TEXTS, **options), lens.fit(here, TEXTS, **options)
    expected = lens.read(here, TEXT, maps=own)

    def same() -> bool:
        return bool(np.array_equal(lens.read(there, TEXT, maps=maps).kl, expected.kl))

    first = [same() for _ in range(8)]
    for replica in running(ENGINE):
        replica.kill()
    return {"at first": first, "afterwards": [same() for _ in range(4)]}


class Work:
    """A sweep, and what it finds in one process."""

    def __init__(self) -> None:
        self.expected = lens.sweep(lens.load("demo"), TEXTS, PLANS).loss.value

    def survives(self, there: Model, kill: Callable[[], Any]) -> dict[str, Any]:
        """Whether a visitor finds the same whose work is under way when something is killed, and had to wait."""
        killed: list[float] = []
        waited: list[bool] = []

        def hear(step: Any) -> None:
            if step.sentences and not killed:
                kill()
                killed.append(time.monotonic())

        with waiting(lambda: waited.append(True)):
            found = lens.sweep(there, TEXTS, PLANS, progress=hear)
        same = bool(np.array_equal(found.loss.value, self.expected))
        return {"same": same, "waited": bool(waited), "seconds": time.monotonic() - killed[0]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
