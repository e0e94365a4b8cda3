"""Kernels forked from a warm process: a Jupyter kernel provisioner, with an ordinary kernel wherever that fails."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from lens.app._kernel import READY, WARM

__all__ = ["KERNEL", "ForkProvisioner", "WarmProcess"]

KERNEL = ("-P", "-m", "lens.app._kernel")  # -P: no file beside a notebook may pass for a module of ours
# seconds for a fork: it takes some hundredths of one, but thirty visitors may stand in line on a busy machine, and a
# kernel that starts alone instead loads everything anew there; that the warm process has died is seen at once
PATIENCE = 120.0
ENDING = 10.0  # seconds that the warm process has to end
ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


class WarmProcess:
    """The process that kernels are forked from; it ends with ours, or when it is closed."""

    current: ClassVar[WarmProcess | None] = None

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - this very Python
                [sys.executable, *KERNEL, WARM, str(theirs.fileno())],
                env={**os.environ, **ALONE},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._ready = False

    @classmethod
    def get(cls) -> WarmProcess | None:
        """The one that is running; None where there can be none, or when one that failed would fail again."""
        if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
            return None
        if cls.current and cls.current.ended and cls.current._ready:
            cls.current.close()
            cls.current = None
        cls.current = cls.current or cls()
        return cls.current

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def ready(self, patience: float = 0.0) -> bool:
        """Whether it can be forked from, within so many seconds."""
        if not self._ready and not self.ended:
            self._ours.settimeout(max(patience, 0.001))
            try:
                self._ready = self._ours.recv(1) == READY
            except (TimeoutError, BlockingIOError):
                return False
        return self._ready and not self.ended

    async def fork(self, arguments: list[str], environment: dict[str, str], folder: str) -> Forked | None:
        """A new process that runs a kernel with these arguments; None where it came to nothing."""
        ours, theirs = socket.socketpair()
        request = {"arguments": arguments, "environment": environment, "folder": folder}
        try:
            with theirs:
                socket.send_fds(self._ours, [b"."], [theirs.fileno()])
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_sendall(ours, json.dumps(request).encode() + b"\n"), PATIENCE)
            said = await asyncio.wait_for(loop.sock_recv(ours, 32), PATIENCE)
            return Forked(int(said), ours)
        except (OSError, ValueError, TimeoutError):
            ours.close()
            return None

    def close(self) -> None:
        """End the process; the kernels that were forked from it go on."""
        self._ours.close()
        try:
            self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Forked:
    """A forked kernel, with as much of `subprocess.Popen` as Jupyter uses. It is no child of this process: that it has
    ended shows in that its socket is closed."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection

    def poll(self) -> int | None:
        """None while it runs."""
        if self.returncode is None:
            try:
                alive = self._connection.recv(1, socket.MSG_DONTWAIT) != b""
            except BlockingIOError:
                alive = True
            except OSError:
                alive = False
            if not alive:
                self.returncode = 1
                self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its code, once it has ended."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """A signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class ForkProvisioner(LocalProvisioner):
    """Launches a kernel by a fork where there is a warm process, and as Jupyter does where there is none."""

    process: Any = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Called by Jupyter with the command line of the kernelspec, its environment and its folder."""
        warm = WarmProcess.get()
        if warm and warm.ready() and "-f" in cmd:
            folder = str(Path(kwargs.get("cwd") or Path.cwd()).resolve())
            self.process = await warm.fork(cmd[cmd.index("-f") :], kwargs.get("env") or dict(os.environ), folder)
        if self.process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = self.process.pid
        self.cwd = folder
        return self.connection_info
