"""Ray, which comes with an extra, and whether a cluster of it is where it is said to be."""

from __future__ import annotations

import importlib
import os
import socket
from importlib.util import find_spec
from typing import Any, Final

from lens.errors import LensError

__all__ = ["knock", "ray"]

ANSWER: Final = 10.0  # seconds in which whoever listens at an address says what it is
HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, 3.4: no settings


def ray() -> Any:
    """The module `ray`; LensError where it is not installed."""
    if find_spec("ray") is None or find_spec("ray.serve") is None:
        raise LensError("A cluster needs Ray, which is not installed: pip install 'layer-lens[cluster]'.")
    return importlib.import_module("ray")


def knock(address: str) -> None:
    """LensError in seconds where no cluster is at an address; Ray itself would ask for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise LensError(f"{address!r} is no address of a cluster; those look like 'host:6379' or 'ray://host:10001'.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER) as line:
            line.sendall(HELLO)
            is_one = os.environ.get("RAY_USE_TLS") == "1" or line.recv(9)[3:4] == b"\x04"
            said = "" if is_one else "something else does"
    except OSError as error:
        said = error.strerror or str(error)
    if said:
        raise LensError(
            f"No cluster answers at {address} ({said}). Start one there (ray start --head), or give the address that "
            "it prints; without an address this machine does the work."
        )
