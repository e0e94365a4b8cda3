"""`lens serve`: one engine for many kernels; and how `lens app` is told of one."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lens._source import resolve
from lens.app._options import LOOPBACK, new_token
from lens.errors import LensError

__all__ = ["ENGINE_VARIABLE", "add_serve", "use_engine"]

ENGINE_VARIABLE = "LENS_ENGINE"  # carries the engine's address to the notebook's kernel
MODEL_VARIABLE = "LENS_MODEL"


def add_serve(commands: Any, port: Callable[[str], int], number_of: Callable[[str, int], Callable[[str], int]]) -> None:
    """`lens serve`, with the parsers of a port and of a number."""
    parser = commands.add_parser("serve", help="hold models once for many kernels, on a Ray cluster, and print where")
    parser.set_defaults(command=_serve)
    add = parser.add_argument
    add("models", nargs="*", default=["demo"], metavar="MODEL", help="embedded names, folders, or Hugging Face names")
    add("--maps", nargs="+", default=[], metavar="FOLDER", help="fitted maps to read them with, one a model, in turn")
    add("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    add("--dtype", default="auto", help="auto, float32, bfloat16, float16, int8, int4 (default: auto)")
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=port, default=8000, help="port (default: 8000)")
    add("--token", default="", help="what kernels must know (default: made up where others can reach it)")
    add("--public", action="store_true", help="let everyone in who can reach it, without a token")
    add("--address", metavar="CLUSTER", help="a Ray cluster that runs (auto, or host:port); else one starts here")
    add("--replicas", type=number_of("replicas", 1), default=1, metavar="N", help="each holds every model (default: 1)")
    add("--gpus", type=_amount, metavar="N", help="for each replica (default: one, if there is any)")
    add("--cpus", type=_amount, metavar="N", help="for each replica (default: an equal share)")
    together = number_of("questions", 1)
    add("--at-once", type=together, default=1, metavar="N", help="questions that a replica answers at one time")


def use_engine(address: str) -> None:
    """Let the page's kernels ask an engine, about its first model if none is chosen. LensError where there is none."""
    from lens.wire import Engine

    models, wanted = Engine(address).models(), os.environ.get(MODEL_VARIABLE)
    if wanted and wanted not in models:
        raise LensError(f"The engine has no model {wanted!r}; it holds {', '.join(models)}.")
    os.environ |= {ENGINE_VARIABLE: address, MODEL_VARIABLE: wanted or models[0]}


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processors; give 0 or more")
    return amount


def _serve(chosen: argparse.Namespace) -> None:
    from lens.cluster import Serving, died, start, stop

    if chosen.public and chosen.token:
        raise LensError("--public lets everyone in and --token does not; give one of them.")
    if len(chosen.maps) > len(chosen.models):
        raise LensError(f"There are {len(chosen.maps)} folders of maps for {len(chosen.models)} models: one each.")
    models = tuple(_whole(name) for name in chosen.models)
    for name in models:
        resolve(name)
    serving = Serving(
        models=models,
        maps=dict(zip(models, map(_whole, chosen.maps), strict=False)),
        device=chosen.device,
        dtype=chosen.dtype,
        host=chosen.host,
        port=chosen.port,
        token=chosen.token,
        replicas=chosen.replicas,
        gpus=chosen.gpus,
        cpus=chosen.cpus,
        at_once=chosen.at_once,
        address=chosen.address,
    )
    if chosen.host not in LOOPBACK and not chosen.public and not chosen.token:
        serving = replace(serving, token=new_token())
    ended = threading.Event()
    address = start(serving)
    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: ended.set())
        print(f"An engine with {', '.join(chosen.models)} is at {address} …  Ctrl-C stops it", flush=True)
        while died(serving, ended):
            if serving.address is not None:
                raise LensError(
                    f"The Ray cluster at {serving.address} has died, and the engine with it. "
                    "Start that cluster again, and then the engine."
                )
            print("The engine's cluster has died, and is started anew …", flush=True)
            stop()
            start(serving)
            print(f"The engine is back at {address}", flush=True)
    finally:
        stop()


def _whole(name: str) -> str:
    """A folder in full, as a worker elsewhere finds it; any other name as it is."""
    path = Path(name).expanduser()
    return str(path.resolve()) if os.sep in name and path.is_dir() else name
