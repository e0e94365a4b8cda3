"""Fits that outgrow a machine: shards of the text are read by Ray tasks, wherever in a cluster there is room."""

from __future__ import annotations

import logging
import os
import pickle
import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from lens._memory import memory_in_words
from lens._version import __version__
from lens.cluster._ray import knock, ray
from lens.errors import LensError

if TYPE_CHECKING:  # whoever only starts an engine needs no torch
    from lens.analyses import Shard
    from lens.models import Model

__all__ = ["Workers"]

T = TypeVar("T")

AHEAD = 2  # shards for each worker that are under way: the next one is there when it is done with one
LOSSES = 3  # workers that one shard may lose before it is the shard's fault
LOOK = 5.0  # seconds between looks at whether the cluster still has room


class Workers:
    """Workers of a Ray cluster that read the text of a fit, in shards: `lens.fit(model, texts, workers=Workers())`.

    - `address`: "host:6379", or "ray://host:10001"; by default that in RAY_ADDRESS, or the cluster that runs on this
      machine, or, where there is none, workers on this machine alone. Where a program is already connected, that holds.
    - `shard`: texts that one task reads. What a lost worker costs is one; its sums, (pairs + sources) · width² · 8
      bytes, travel once for each. In multiples of 1,024 the batches are those of a fit in one process.
    - `cpus`, `gpus`: what a worker takes; by default one GPU where the cluster has any. A model that is larger than one
      GPU is spread over as many as a worker has.
    - `patience`: seconds to wait for a machine with room for a worker.

    Each worker loads the model by its name or folder, which it must find under the same name, and checks that its
    weights are the same. Shards are added up in their order, so that each fit gives the same digits. A worker or a
    machine that is lost costs the shards that it was at: they are read anew elsewhere. Raises LensError for amounts
    that are none, and, once it is used, where there is no cluster or no room in it.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        shard: int = 1024,
        cpus: float = 1,
        gpus: float | None = None,
        patience: float = 60.0,
    ) -> None:
        if type(shard) is not int or shard < 1:
            raise LensError(f"shard is {shard}: give the texts that one task reads, 1 or more.")
        if not all(isinstance(each, (int, float)) and each >= 0 for each in (cpus, 0 if gpus is None else gpus)):
            raise LensError(f"cpus is {cpus} and gpus is {gpus}: a worker takes none, a share of one, or some.")
        self.address = address
        self.shard = shard
        self.cpus = cpus
        self.gpus = gpus
        self.patience = patience
        self._joined: list[bool] = []  # whether each `with` connected, and so has to disconnect

    def __enter__(self) -> Workers:
        """Join the cluster, where this program has not; LensError where that cannot be done."""
        joins = not ray().is_initialized()
        if joins:
            _join(self.address or os.environ.get("RAY_ADDRESS"))
        self._joined.append(joins)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster; what still runs there is stopped."""
        if self._joined.pop():
            ray().shutdown()

    def each(
        self, model: Model, work: Callable[[Model, Shard], T], shards: Sequence[Shard], memory: int
    ) -> Generator[T]:
        """What `work` finds for each shard, in their order; see `lens.analyses.Workers`."""
        with self:
            needs = self._needs(memory)
            task = ray().remote(_read).options(**_options(needs), max_retries=LOSSES)
            shared = ray().put((pickle.dumps(model), model.fingerprint, __version__, work))
            under_way: deque[tuple[Shard, Any]] = deque()
            coming = iter(shards)
            try:
                while True:
                    ahead = AHEAD * self._room(needs) - len(under_way)
                    under_way.extend((shard, task.remote(shared, shard)) for shard in islice(coming, max(0, ahead)))
                    if not under_way:
                        return
                    yield self._next(under_way, needs)
            finally:
                _stop([promise for _, promise in under_way])

    def _needs(self, memory: int) -> dict[str, float]:
        """What a machine must have for a worker, in Ray's own words."""
        gpus = float("GPU" in ray().cluster_resources()) if self.gpus is None else self.gpus
        return {"CPU": self.cpus, "GPU": gpus, "memory": memory}

    def _room(self, needs: dict[str, float]) -> int:
        """How many workers the cluster's machines hold at once; LensError if it is none for too long."""
        until = time.monotonic() + self.patience
        while not (room := sum(_holds(machine, needs) for machine in _machines())):
            if time.monotonic() >= until:
                raise LensError(
                    f"No machine of the cluster has room for a worker, which takes {_amounts(needs)}, for "
                    f"{self.patience:g} s now. There are: {'; '.join(map(_amounts, _machines())) or 'none'}. Ask for "
                    "less (cpus=, gpus=, or a smaller memory=), or add machines."
                )
            time.sleep(min(1.0, self.patience))
        return room

    def _next(self, under_way: deque[tuple[Shard, Any]], needs: dict[str, float]) -> Any:
        """What was found for the first shard, once it is there; LensError, naming it, where it cannot be had."""
        errors, (shard, promise) = ray().exceptions, under_way[0]
        try:
            while not ray().wait([promise], timeout=LOOK)[0]:
                self._room(needs)
            found = ray().get(promise)
            under_way.popleft()
            return found
        except errors.RayTaskError as error:
            reason = str(error.cause)
        except errors.RayError as error:
            reason = f"its workers are lost ({type(error).__name__}: {_first_line(error)})"
        raise LensError(
            f"Shard {shard.number:,} of the text (sentences {shard.first + 1:,} to {shard.first + len(shard.texts):,}) "
            f"can't be read: {reason} The fit stops; given a checkpoint, it goes on from there once that is mended."
        )


def _stop(promises: list[Any]) -> None:
    """Take back what is not done. Without force: Ray 2.60 itself may fall over one that ends at that moment."""
    for promise in ray().wait(promises, num_returns=len(promises), timeout=0)[1] if promises else ():
        ray().cancel(promise)


def _read(shared: tuple[bytes, str, str, Callable[[Model, Shard], T]], shard: Shard) -> T:
    """The work of one task, in a worker."""
    pickled, fingerprint, version, work = shared
    try:
        return memory_in_words(work)(_same(_loaded(pickled), fingerprint, version), shard)
    except Exception as error:  # noqa: BLE001 - whatever it is, a person is to read it
        said = str(error) if isinstance(error, LensError) else f"{type(error).__name__}: {error}."
        raise _Failed(f"{said} (On {platform.node()}.)") from None


class _Failed(Exception):  # noqa: N818 - carries words only, as whatever else was raised may not exist elsewhere
    pass


@lru_cache(maxsize=1)
def _loaded(pickled: bytes) -> Model:
    """The model, loaded once in each worker."""
    model: Model = pickle.loads(pickled)  # noqa: S301 - as Ray's own tasks
    return model


def _same(model: Model, fingerprint: str, version: str) -> Model:
    if version != __version__:
        raise LensError(f"This machine has lens {__version__}, and the fit was started by lens {version}.")
    if model.fingerprint != fingerprint:
        raise LensError(f"{model.name} has other weights on this machine than where the fit was started.")
    return model


def _join(address: str | None) -> None:
    """Connect; LensError in seconds where there is no cluster, for which Ray itself would take minutes."""
    if address is not None and address not in ("auto", "local"):
        knock(address)
    try:
        ray().init(address, logging_level=logging.ERROR, log_to_driver=False, configure_logging=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - by whatever name, and Ray would end the program
        raise LensError(f"The cluster at {address or 'this machine'} can't be joined: {_first_line(error)}") from None


def _machines() -> list[dict[str, float]]:
    """What each living machine of the cluster has."""
    return [node["Resources"] for node in ray().nodes() if node["Alive"]]


def _holds(machine: dict[str, float], needs: dict[str, float]) -> int:
    return int(min(machine.get(name, 0.0) // amount for name, amount in needs.items() if amount))


def _options(needs: dict[str, float]) -> dict[str, float]:
    return {"num_cpus": needs["CPU"], "num_gpus": needs["GPU"], "memory": int(needs["memory"])}


def _amounts(of: dict[str, float]) -> str:
    return f"{of.get('CPU', 0):g} CPU, {of.get('GPU', 0):g} GPU, {of.get('memory', 0) / 1e9:.2f} GB"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
