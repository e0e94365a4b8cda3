"""A shared engine as an application of Ray Serve: replicas of one host, behind one address."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any, Final

from lens._cache import ByteCache
from lens._source import resolve
from lens.cluster._kept import MOST, Kept, Shelf
from lens.cluster._ray import knock, ray
from lens.errors import LensError

__all__ = ["Serving", "died", "start", "stop"]

NAME: Final = "lens"  # of the application
SHELF: Final = "shelf"
ATTEMPTS: Final = 5  # to start a cluster
LOOK: Final = 5.0  # seconds between looks whether the cluster still lives
AWAY: Final = 3  # looks in a row at a cluster of another's that does not answer
STOPPING: Final = 5.0  # seconds in which a replica that is told to stop lets its work end
# What takes requests is replaced once it has failed three looks: soon where it has died, not where it is slow to start.
LOOKS: Final = {"RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2", "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30"}


@dataclass(frozen=True)
class Serving:
    """Everything that the host of a shared engine decides."""

    models: tuple[str, ...] = ("demo",)
    maps: Mapping[str, str] = field(default_factory=dict)  # the model's name → a folder, or a name on the hub
    device: str = "auto"
    dtype: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    replicas: int = 1  # each holds every model
    gpus: float | None = None  # for each replica; by default one where the cluster has any
    cpus: float | None = None  # for each replica; by default an equal share of the cluster's
    at_once: int = 1  # questions that a replica answers at one time
    address: str | None = None  # of a Ray cluster that runs; by default one is started here


class Replica:
    """Holds the models and answers; made by Ray Serve, wherever in the cluster there is room."""

    def __init__(self, serving: Serving, shelf: Any) -> None:
        from lens.casts import Maps
        from lens.cluster._door import Door
        from lens.cluster._host import Host
        from lens.models import load

        models = {_name(model): load(model, device=serving.device, dtype=serving.dtype) for model in serving.models}
        for name, model in models.items():
            model.name = name  # results say it, and a folder's place is nobody's business
            model.fetch()
        maps = {_name(model): Maps.load(folder) for model, folder in serving.maps.items()}
        self._door = Door(Host(models, maps, serving.at_once, Kept(Shelf(shelf))), serving.token)

    async def __call__(self, request: Any) -> Any:
        """What is answered to an HTTP request of Starlette."""
        return await self._door(request)


def start(serving: Serving) -> str:
    """Start the application, on a cluster of its own if none is named, and give its address when it answers.

    LensError where there is no such cluster, or the models can't be loaded there.
    """
    _require_free(serving)
    _join(serving)
    try:
        _run(serving)
    except Exception as error:  # noqa: BLE001 - whatever Ray says of it
        stop()
        raise LensError(f"The engine did not start: {_last_line(error)}") from None
    return f"http://{serving.host}:{serving.port}/" + (f"?token={serving.token}" if serving.token else "")


def _run(serving: Serving) -> None:
    from ray import serve as ray_serve
    from ray.serve.config import HTTPOptions

    http = HTTPOptions(host=serving.host, port=serving.port, request_timeout_s=None)
    quiet = {"log_level": "WARNING", "enable_access_log": False}
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    ray_serve.start(proxy_location="EveryNode", http_options=http, logging_config=quiet)
    engine = ray_serve.deployment(
        name="engine",
        num_replicas=serving.replicas,
        ray_actor_options=_needs(serving),
        max_ongoing_requests=1_000,  # the host itself says when it has enough to do
        graceful_shutdown_timeout_s=STOPPING,
        graceful_shutdown_wait_loop_s=1.0,
        health_check_period_s=5.0,
        health_check_timeout_s=60.0,
        logging_config=quiet,
    )
    ray_serve.run(engine(Replica).bind(serving, _shelf()), name=NAME, route_prefix="/")


def _shelf() -> Any:
    """The actor that keeps visitors' maps: no replica's and no program's own, so that it outlives them all."""
    shelf = (
        ray()
        .remote(ByteCache)
        .options(
            name=SHELF,
            namespace=NAME,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
        )
    )
    return shelf.remote(MOST)


def _require_free(serving: Serving) -> None:
    """LensError for a port that cannot be had, before half a cluster stands; of other machines it is not known."""
    try:
        socket.create_server((serving.host, serving.port)).close()
    except OSError as error:
        if serving.address is None:
            raise LensError(
                f"Cannot listen on {serving.host!r}, port {serving.port}: {error.strerror}. Give another with --port."
            ) from None


def stop() -> None:
    """End the application, and the cluster if it was started for it."""
    from ray import serve as ray_serve

    with suppress(Exception):
        if _lives():
            ray_serve.shutdown()  # type: ignore[no-untyped-call]
            ray().kill(ray().get_actor(SHELF, namespace=NAME))
    ray().shutdown()


def died(serving: Serving, ended: Event) -> bool:
    """Wait: False once `ended` is set, True once the engine's cluster has died.

    One that was there before may be on the other side of a network, which falters: it has died after `AWAY` looks.
    """
    patience = left = 1 if serving.address is None else AWAY
    while not ended.wait(LOOK):
        left = patience if _lives() else left - 1
        if not left:
            return True
    return False


def _lives() -> bool:
    """Whether this program's cluster has a head and a machine. A dead head must not be asked: Ray ends who does."""
    if not ray().is_initialized():
        return False
    host, _, port = ray().get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), LOOK).close()
    except OSError:
        return False
    return any(node["Alive"] for node in ray().nodes())


def _join(serving: Serving) -> None:
    """Be part of the cluster that is named, or of one of this machine's own, which nobody else can join."""
    if serving.address not in (None, "auto"):
        knock(serving.address)
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", **LOOKS} | dict(os.environ))
    if serving.address is None and "RAY_AUTH_MODE" not in os.environ:  # a token that lies in no file
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        _patiently(
            partial(
                ray().init,
                address=serving.address or "local",
                include_dashboard=False,
                log_to_driver=True,
                logging_level="ERROR",
                ignore_reinit_error=True,
            )
        )
    except Exception as error:  # noqa: BLE001 - Ray has a plain Exception for a node that is slow to start
        where = serving.address or "this machine"
        raise LensError(f"There is no Ray cluster at {where}, and none could be started: {_last_line(error)}") from None


def _patiently(begin: Callable[[], Any]) -> None:
    """Begin, and again where a busy machine was slower than Ray waits, which is half a minute and can't be set."""
    for _ in range(ATTEMPTS - 1):
        try:
            begin()
            return
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            ray().shutdown()
    begin()


def _needs(serving: Serving) -> dict[str, Any]:
    """What a replica takes of the cluster."""
    held = ray().cluster_resources()
    gpus = serving.gpus if serving.gpus is not None else min(1.0, held.get("GPU", 0.0))
    share = max(1, int((held.get("CPU", 1.0)) // serving.replicas))
    cpus = serving.cpus if serving.cpus is not None else share
    threads = {"env_vars": {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, int(cpus))))}}
    return {"num_cpus": cpus, "num_gpus": gpus, "runtime_env": threads}


def _name(model: str) -> str:
    """What visitors call it: of a folder only its own name."""
    source = resolve(model)
    return source.name if source.folder is None or source.shipped else source.folder.name


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
