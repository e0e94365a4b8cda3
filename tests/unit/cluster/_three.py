"""A cluster of three machines in one, and fits on it while parts of it die: `python -m … FOLDER`.

A process of its own, as Ray reads its settings when it is imported. FOLDER/said.json tells what happened.
"""

from __future__ import annotations

import inspect
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_AUTH_MODE": "token",  # nobody else on this machine may use it, and nothing is written to the home folder
    "RAY_AUTH_TOKEN": secrets.token_hex(),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on 127.0.0.1 only
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TMPDIR": sys.argv[1],
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
}

import psutil
import ray
from ray._private import services
from ray._private import utils as ray_utils
from ray.cluster_utils import Cluster

import lens
from lens.analyses import Progress, Shard, sample_sentences
from lens.cluster import Workers, _fit
from lens.errors import LensError
from lens.models import Model

TEXTS, HELD = sample_sentences()[:96], sample_sentences()[96:120]
OPTIONS: dict[str, Any] = {"pairs": [(0, 12), (3, 7)], "kind": ["mat", "ridge"], "ridge": 1.0, "positions": "all"}
AGENTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
BEGIN = time.monotonic()


def main(folder: Path) -> None:
    """Everything, on one cluster."""
    unhurried()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small()})
    machines = [cluster.add_node(num_cpus=1, **small()) for _ in range(2)]
    said: dict[str, Any] = {"machines": len(cluster.list_all_nodes())}
    model = lens.load("demo")
    note("cluster")
    with Workers(cluster.address, shard=16) as workers:
        said |= refusals(workers, folder)
        note("refusals")
        heard: list[Progress] = []
        fitted(model, workers, heard.append).save(folder / "whole")
        said["heard"] = [(step.stage, step.sentences, step.total, step.memory) for step in heard]
        note("whole")
        fitted(model, workers, halfway(lambda: said.update(worker=kill_a_worker()))).save(folder / "without-worker")
        note("without a worker")
        killed = halfway(lambda: cluster.remove_node(machines.pop(), allow_graceful=False))
        fitted(model, workers, killed).save(folder / "without-machine")
        said["left"] = len(alive_at_last(2))
        note("without a machine")
    said["left behind"] = ray.is_initialized()
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
    cluster.shutdown()


def small() -> dict[str, Any]:
    """A machine of the cluster that takes little of this one."""
    ports = {name: free_port() for name in AGENTS}
    bare = {"no_monitor": True, "include_log_monitor": False}
    return {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20, **bare, **ports}


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def unhurried() -> None:
    """Ray gives the agents behind its dashboard 15 s to start, and a busy machine does not: nobody waits for them."""
    start = services.start_raylet

    def started(*arguments: Any, **options: Any) -> Any:
        given = inspect.signature(start).bind(*arguments, **options).arguments
        for name in AGENTS:  # where it looks for them
            Path(given["session_dir"], f"{name}_{given['node_id']}").write_text(str(given[name]))
        return start(*arguments, **options)

    services.start_raylet = started
    ray_utils.get_dashboard_dependency_error = lambda: ImportError("left out")


def fitted(model: Model, workers: Workers, progress: Callable[[Progress], None]) -> lens.Maps:
    return lens.fit(model, TEXTS, holdout=HELD, workers=workers, progress=progress, **OPTIONS)


def alive_at_last(count: int) -> list[Any]:
    """The machines that Ray takes for alive: that one was killed it notices after seconds, as busy as it is."""
    until = time.monotonic() + 60
    while True:
        alive = [node for node in ray.nodes() if node["Alive"]]
        if len(alive) == count or time.monotonic() > until:
            return alive
        time.sleep(0.2)


def halfway(act: Callable[[], object]) -> Callable[[Progress], None]:
    """Does it once, when half of the text is in the sums."""
    done: list[bool] = []

    def hear(step: Progress) -> None:
        if step.stage == "fit" and 2 * step.sentences >= step.total and not done:
            done.append(True)
            act()

    return hear


def kill_a_worker() -> str:
    """kill -9 on one that is reading; says what it was called."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for process in psutil.Process().children(recursive=True):
            if (name := process.cmdline()[0].strip()).startswith("ray::_read"):
                process.kill()  # -9
                return name
        time.sleep(0.05)
    return "none was reading"


def refusals(workers: Workers, folder: Path) -> dict[str, str]:
    """What is said where a shard can't be read, whatever is tried."""
    demo, losses = lens.load("demo"), _fit.LOSSES
    demo.hf.save_pretrained(folder / "model")
    demo.tokenizer.save_pretrained(folder / "model")
    other = lens.load(folder / "model")
    _ = other.fingerprint
    state = demo.hf.state_dict()
    demo.hf.save_pretrained(folder / "model", state_dict={name: tensor * 1.5 for name, tensor in state.items()})
    narrow = Workers(cpus=64, patience=0.5)
    _fit.LOSSES = 1  # each takes seconds
    said = {
        "dies": refusal(workers, lens.load("demo"), dies),
        "raises": refusal(workers, lens.load("demo"), raises),
        "differs": refusal(workers, other, raises),
        "no room": refusal(narrow, lens.load("demo"), raises),
    }
    _fit.LOSSES = losses
    return said


def refusal(workers: Workers, model: Model, work: Callable[[Model, Shard], Any]) -> str:
    shards = [Shard(1, 0, ("One.",)), Shard(2, 1, ("Two.", "And three."))]
    try:
        list(workers.each(model, work, shards, 0))
    except LensError as error:
        return str(error)
    return "nothing"


def dies(model: Model, shard: Shard) -> int:
    """One worker after the other is lost on the second shard."""
    return os._exit(1) if shard.number == 2 else 0


def raises(model: Model, shard: Shard) -> int:
    """The second shard cannot be read."""
    return [0][shard.number - 1]


def note(what: str) -> None:
    print(f"{time.monotonic() - BEGIN:6.1f} s {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
