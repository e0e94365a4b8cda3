"""`lens serve` with two replicas on a cluster of three machines in one that dies part by part: `python -m … FOLDER`.

FOLDER/said.json tells what visitors saw, and what who serves them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tests.unit.cluster._three import Cluster, note, small, unhurried  # first: it sets what Ray reads

# isort: split
import numpy as np
import psutil
import ray

import lens
from lens.analyses import heldout_sentences
from lens.cluster import Serving, _kept, _serve, stop
from lens.cluster._kept import Shelf
from lens.cluster._serve import LOOKS
from lens.models import Model
from lens.wire import _client, waiting
from tests.unit.cluster._served import free_port

TEXT, TEXTS = "The old man sat by the fire", heldout_sentences()[:60]
PLANS = [f"0-{n} {n + 2}-11" for n in range(8)]
ENGINE, PROXY, CONTROLLER = "ray::ServeReplica:lens:engine", "ray::ProxyActor", "ray::ServeController"
SHELF, MACHINE = "ray::ByteCache", "a machine"
VISITORS = 2
LONG = 300  # seconds


def main(folder: Path) -> None:
    """Everything, on one cluster."""
    unhurried()
    _client.SILENCE = _kept.PATIENCE = LONG  # what Ray starts is slow to come on a busy machine
    os.environ |= LOOKS  # as the machines of a cluster are started
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small()})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **small())
    said: dict[str, Any] = {"shelf": shelved(Serving(address=cluster.address))}
    note("the shelf")
    with (folder / "log").open("w+") as log, host(cluster.address, log) as (address, process):
        note("the engine is there")
        said |= {"replicas": len(running(ENGINE)), "maps": fitted(lens.load("demo", engine=address))}
        note("maps")
        work = Work(address)
        for what, kill in (
            (PROXY, lambda: [each.kill() for each in running(PROXY)]),
            (CONTROLLER, lambda: [each.kill() for each in running(CONTROLLER)]),
            (MACHINE, lambda: cluster.remove_node(busiest(cluster), allow_graceful=False)),
        ):
            said[what] = work.survives(kill)
            note(f"without {what}: {said[what]['seconds']:.1f} s")
        cluster.head_node.kill_gcs_server()
        said["status"], said["words"] = process.wait(LONG), (folder / "log").read_text()
        note("without a head")
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
    cluster.shutdown()


def shelved(serving: Serving) -> dict[str, Any]:
    """Whether the shelf outlives the program that made it, is there again once killed, and goes with the engine."""
    _serve._join(serving)
    Shelf(_serve._shelf()).keep("key", b"maps")
    ray.shutdown()
    _serve._join(serving)
    shelf = Shelf(_serve._shelf())
    said: dict[str, Any] = {"outlives": shelf.find("key") == b"maps"}
    for process in running(SHELF):
        process.kill()
    until = time.monotonic() + LONG
    while shelf.find("other") is None and time.monotonic() < until:
        shelf.keep("other", b"maps")
    said["again"] = (shelf.find("key"), len(running(SHELF)))
    stop()
    while running(SHELF) and time.monotonic() < until:
        time.sleep(0.1)
    return said | {"left": len(running(SHELF))}


@contextmanager
def host(cluster: str, log: TextIO) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`lens serve` on that cluster: the address of the engine, and the process."""
    options = ["--address", cluster, "--replicas", "2", "--cpus", "0.5", "--port", str(free_port())]
    command = [sys.executable, "-m", "lens.app.cli", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            line = next((line for line in process.stdout if "is at http" in line), "")  # type: ignore[union-attr]
            assert line, Path(log.name).read_text()
            yield line.split()[6], process
        finally:
            process.kill()


def busiest(cluster: Cluster) -> Any:
    """The machine of the cluster whose replica is at work."""
    replica = max(running(ENGINE), key=lambda each: each.cpu_percent(0.2))
    above = {each.pid for each in replica.parents()}
    return next(each for each in cluster.worker_nodes if each.all_processes["raylet"][0].process.pid in above)


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
    """A sweep that visitors ask for at once, and what it finds in one process."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.expected = lens.sweep(lens.load("demo"), TEXTS, PLANS).loss.value

    def survives(self, kill: Callable[[], Any]) -> dict[str, Any]:
        """Whether each visitor finds the same whose work is under way when something is killed, and who had to wait."""
        killed: list[float] = []
        waited: list[bool] = []
        all_begun = threading.Barrier(VISITORS, lambda: (kill(), killed.append(time.monotonic())))

        def visit(_: int) -> bool:
            begun: list[bool] = []

            def hear(step: Any) -> None:
                if step.sentences and not begun:
                    begun.append(True)
                    all_begun.wait(LONG)

            with waiting(lambda: waited.append(True)):
                there = lens.load("demo", engine=self.address)
                found = lens.sweep(there, TEXTS, PLANS, progress=hear)
            return bool(np.array_equal(found.loss.value, self.expected))

        with ThreadPoolExecutor(VISITORS) as visitors:
            same = list(visitors.map(visit, range(VISITORS)))
        return {"same": same, "waited": bool(waited), "seconds": time.monotonic() - killed[0]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
