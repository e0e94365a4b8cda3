"""`lens serve` as a person would start it, on a free port, with a folder of its own for what Ray writes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

__all__ = ["free_port", "replica", "serving"]


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a served engine, and the process that serves it."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        command = [sys.executable, "-m", "lens.app.cli", "serve", *options, "--port", str(port)]
        with subprocess.Popen(
            command,
            env=environment | {"RAY_TMPDIR": folder, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as served:
            said: list[str] = []
            threading.Thread(target=lambda: said.extend(served.stderr or []), daemon=True).start()
            try:
                line = next((line for line in served.stdout if "is at http" in line), "")  # type: ignore[union-attr]
                assert line, f"it ended with {served.wait()}: {said}"
                yield line.split()[6], psutil.Process(served.pid)
            finally:
                served.send_signal(signal.SIGINT)
                try:
                    served.wait(60)
                finally:
                    served.kill()


def free_port() -> int:
    """A port below those that the system hands out: between now and then, Ray takes dozens of these."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")


def replica(of: psutil.Process) -> psutil.Process:
    """The process that holds the model."""
    return next(each for each in of.children(recursive=True) if "ServeReplica:lens:engine" in " ".join(each.cmdline()))
