"""A visitor's kernel, started alone; or a warm process, from which kernels are forked.

The warm process has imported everything and holds the host's model, but has never seen a visitor. It runs one thread,
no event loop and no socket of a kernel, so that a fork of it is whole. Weights are shared until someone writes to them,
and nobody does.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from typing import Any, ClassVar
from unittest import mock

from lens._memory import give_back

__all__ = ["ARGUMENTS", "READY", "WARM", "launch"]

WARM = "--warm"  # followed by the number of the socket to its server
ARGUMENTS = (
    "--HistoryManager.enabled=False",  # visitors run nothing that is worth a file
    "--IPKernelApp.extra_extensions=ipywidgets",  # which else hears of a page's widgets only if a kernel imports it
    "--IPKernelApp.capture_fd_output=False",  # what is meant for the host's terminal stays out of the visitor's page
)
READY = b"+"
IMPORTED = (  # by a kernel as it starts
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "IPython.core.completerlib",
    "IPython.extensions.storemagic",
)


def launch(arguments: list[str]) -> None:
    """Run a kernel until it is told to stop; what goes wrong in lens is for the host to read, not for the visitor."""
    from ipykernel import ipkernel
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell

    told = logging.StreamHandler(sys.__stderr__)
    told.setLevel(logging.ERROR)
    told.setFormatter(logging.Formatter(f"%(asctime)s kernel {os.getpid()}: %(message)s"))
    logging.getLogger().addHandler(told)
    logging.getLogger(IPKernelApp.__name__).addFilter(_worth_reading)

    class Shell(ZMQInteractiveShell):
        """Where cells and the callbacks of widgets end when they fail."""

        def _showtraceback(self, kind: Any, error: Any, lines: Any) -> None:
            if not isinstance(error, KeyboardInterrupt):  # Jupyter does so to each kernel whose visitor leaves
                logging.getLogger("lens").error("A cell or a callback failed", exc_info=error)
            super()._showtraceback(kind, error, lines)  # type: ignore[no-untyped-call]

    class Kernel(IPythonKernel):
        """The same, with that shell, and made without a look at every module."""

        shell_class = Shell

        def __init__(self, **options: Any) -> None:
            with mock.patch.object(ipkernel, "sys", _WithoutModules()):
                super().__init__(**options)  # type: ignore[no-untyped-call]

    IPKernelApp.launch_instance(arguments, kernel_class=Kernel)


class _WithoutModules:
    """`sys` for ipykernel while it makes a kernel: it asks thousands of modules for their files.

    That is for a debugger, which no visitor has; and what a fork only counts a reference to, it copies: a fifth of all
    that a visitor cost.
    """

    modules: ClassVar[dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def _worth_reading(record: logging.LogRecord) -> bool:
    """Not that a kernel was interrupted in the middle of a message: Jupyter does so to each whose visitor leaves."""
    return not record.getMessage().startswith("KeyboardInterrupt caught")


def _warm(server: socket.socket) -> None:
    """Fork a kernel for each socket that the server sends, until it closes ours."""
    if not _prepare():
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that have ended leave nothing behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    gc.collect()
    give_back()  # what loading took and let go would be filled by each fork anew
    gc.freeze()  # the collector would write to every page that is shared
    server.sendall(READY)
    while True:
        _, sockets, *_ = socket.recv_fds(server, 1, 1)
        if not sockets:
            return
        with socket.socket(fileno=sockets[0]) as visitor:
            child = os.fork()
            if child == 0:
                server.close()
                _become_kernel(visitor)
            with contextlib.suppress(OSError):  # the server has not waited for it: then that fork ends, and no other
                visitor.sendall(str(child).encode())


def _prepare() -> bool:
    """Bring into memory what each visitor needs; False where that must not be forked, as on a GPU."""
    import torch
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # a slow load would leave its thread behind
    for name in IMPORTED:
        import_module(name)
    torch.set_num_threads(1)  # no pool of threads: a fork would not have them
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return False

    from ipywidgets import Widget

    from lens.panels._warm import warm_up

    try:
        warm_up()
    except Exception as error:  # noqa: BLE001 - visitors are told in words, and may choose another model
        print(f"lens: {error}", file=sys.stderr, flush=True)
    # the progress bars of what was loaded: a page that asks each widget for its state would wait for theirs for ever
    Widget.close_all()
    return _alone()


def _alone() -> bool:
    """Whether there is no thread but this one, at the latest when those that loaded weights have ended."""
    import psutil

    for _ in range(50):
        if psutil.Process().num_threads() == 1:
            return True
        time.sleep(0.1)
    print(
        "lens: Each session starts afresh: the model has left threads, which a fork lacks.", file=sys.stderr, flush=True
    )
    return False


def _become_kernel(visitor: socket.socket) -> None:
    """In the fork: be what a new process would be, and a kernel; never returns."""
    code = 1
    try:
        os.setsid()
        for name in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL if name == signal.SIGCHLD else signal.default_int_handler)
        request = json.loads(_line(visitor))
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        _reseed()
        _own_threads()
        threading.Thread(target=_end_with, args=(visitor,), daemon=True).start()
        launch([*request["arguments"], "--IPKernelApp.parent_handle=1"])  # 1: looked after otherwise, so no advice
        code = 0
    finally:
        os._exit(code)


def _line(visitor: socket.socket) -> bytes:
    """The server's request: a line, and nothing follows it."""
    found = b""
    while not found.endswith(b"\n"):
        if not (piece := visitor.recv(65536)):
            raise EOFError
        found += piece
    return found


def _end_with(visitor: socket.socket) -> None:
    """Wait for the server to go away, and go with it."""
    while visitor.recv(1):
        continue
    os._exit(1)


def _reseed() -> None:
    """Chance is each visitor's own."""
    import numpy as np
    import torch

    random.seed()
    np.random.seed()  # noqa: NPY002 - whoever uses the old generator gets his own, too
    torch.seed()


def _own_threads() -> None:
    """As many as the host has said, else half of the cores: visitors come in numbers."""
    import torch

    said: Any = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(said) if said.isdecimal() and int(said) else max(1, (os.cpu_count() or 1) // 2))


if __name__ == "__main__":
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # no advice on debugging in the host's terminal
    if sys.argv[1] == WARM:
        _warm(socket.socket(fileno=int(sys.argv[2])))
    else:
        launch(sys.argv[1:])
