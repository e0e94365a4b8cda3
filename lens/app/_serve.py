"""Voilà, set up for one notebook: its settings, its port, its start and its end."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_core.utils import run_sync
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import HTTPError
from traitlets import default
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lens._version import __version__
from lens.app._channel import Channel, Kernel, Kernels
from lens.app._fork import KERNEL, WarmProcess
from lens.app._kernel import ARGUMENTS
from lens.app._options import LOOPBACK, Options
from lens.app._places import TEMPLATE, expose_template
from lens.app._renderer import tell_failures
from lens.app._visitors import Health, Page, Seats
from lens.errors import LensError

__all__ = ["bind", "configuration", "port_of", "serve"]

PORTS_TRIED = 50
FORKED = {"kernel_provisioner": {"provisioner_name": "lens-fork"}}  # what a kernelspec says; see pyproject.toml
WARMING = 120.0  # seconds
SLOWEST = 120  # seconds that a busy machine may take to start a kernel, or to pass on what a cell shows
LONGEST_SOCKET_PATH = 103  # macOS; Linux has 107
SOCKET_NAME = "voila_12345678/kernel-12345678-1234-1234-1234-123456789012-ipc-5"

# The page can ask only the server that it came from: the browser itself refuses anything else.
# Widgets bring their own styles and modules, and Lumino compiles a function, hence the inline, blob and eval.
CONTENT_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
    "form-action 'self'",
    "base-uri 'self'",
)


def serve(notebook: Path, options: Options) -> None:
    """Serve a notebook as a page until Ctrl-C or SIGTERM; raises LensError if no port can be had."""
    listening = bind(options.host, options.port)
    if port_of(listening) != options.port:
        print(f"Port {options.port} is taken, so {port_of(listening)} serves.", flush=True)
    if options.reached and not options.token:
        print("Anyone who can reach it can use it.", flush=True)
    warm = _warmed() if options.fork else None
    options = replace(options, fork=warm is not None)
    expose_template()
    tell_failures()
    # Jupyter gives tornado milliseconds for seconds, and tornado says so to every terminal.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    server = _Server.instance(config=configuration(notebook, options))
    server.initialize([])
    if warm:
        warm.ready(WARMING)
    try:
        server.begin(listening, options)
    finally:
        if warm:
            warm.close()


def _warmed() -> WarmProcess | None:
    """The process that kernels are forked from, if Jupyter knows how to."""
    known = KernelProvisionerFactory.instance().is_provisioner_available(KernelSpec(metadata=FORKED))
    return WarmProcess.get() if known else None


def bind(host: str, port: int) -> socket.socket:
    """Listen on the port, or on the first free one above it; raises LensError."""
    last = min(port + PORTS_TRIED, 65536) - 1
    for candidate in range(port, last + 1):
        try:
            family = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0][0]
            listening = socket.create_server((host, candidate), family=family, backlog=128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise LensError(f"Cannot listen on {host!r}, port {candidate}: {error.strerror}.") from error
        listening.setblocking(False)
        return listening
    raise LensError(f"No port from {port} to {last} is free; give another with --port.")


def port_of(listening: socket.socket) -> int:
    """The port that a socket listens on."""
    port: int = listening.getsockname()[1]
    return port


def configuration(notebook: Path, options: Options) -> Config:
    """Every setting of Voilà's that matters here, with its reason."""
    return Config(
        {
            "Voila": {
                "notebook_path": str(notebook),  # this one notebook, and no listing of a folder
                "config_file_paths": [],  # what a person has set for other notebooks stays out
                "open_browser": False,  # Voilà's own way goes through a page with a foreign style sheet
                "log_level": "DEBUG" if options.debug else "ERROR",
                "base_url": options.place.path,
                "token": options.token or None,
                "tornado_settings": _tornado_settings(options),
            },
            "VoilaConfiguration": {
                "template": TEMPLATE,
                "allow_template_override": "NO",
                "allow_theme_override": "NO",
                "strip_sources": True,
                "show_tracebacks": options.debug,
                "resources": {"lens_debug": options.debug},
                "file_allowlist": [],  # the notebook needs no file beside it
                "extension_denylist": ["jupyterlab-plotly"],  # 4.8 MB for bare figures; ours come as widgets
                "http_keep_alive_timeout": 10,  # proxies give up on a cell that is silent for long
                "preheat_kernel": options.preheat > 0,
                "default_pool_size": options.preheat,
                "kernel_spec_manager_class": _Forking if options.fork else _ThisPython,
                "multi_kernel_manager_class": Kernels,
            },
            "VoilaExecutor": {
                "cell_error_instruction": "`lens app --debug` shows why.",
                "startup_timeout": SLOWEST,
                # a cell that has ended waits four seconds for what it shows, and then is shown empty: with thirty
                # visitors at once that was all of them
                "iopub_timeout": SLOWEST,
                "raise_on_iopub_timeout": True,
            },
            # who signed the notebook matters to no one here, and a container's user may have no home to keep it in
            "NotebookNotary": {"secret": os.urandom(32), "db_file": ":memory:"},
            "MappingKernelManager": {
                "kernel_manager_class": f"{Kernel.__module__}.{Kernel.__name__}",
                "cull_idle_timeout": options.idle,  # a page that vanished without a word (a crash, a lost network)
                "cull_interval": min(60, max(1, options.idle // 4)),
            },
            "KernelRestarter": {"restart_limit": 0},  # an empty kernel under an old page helps no one: let it say so
            "ConnectionFileMixin": {"transport": _transport()},
        }
    )


def _tornado_settings(options: Options) -> dict[str, Any]:
    frames = " ".join(["frame-ancestors 'self'", *options.frames])
    return {
        "headers": {"Content-Security-Policy": "; ".join([*CONTENT_POLICY, frames])},
        # A closing page tells its kernel to stop, but has no token to send (voila #1458), so with the check on
        # no kernel is ever freed. What the check guards here is stopping a kernel: that takes its random 128-bit
        # name, which only its own page knows, and a request from a foreign origin is refused before that.
        "disable_check_xsrf": True,
        # A page of another site that has its own name resolve to this machine is turned away.
        "allow_remote_access": options.host not in LOOPBACK,
        "local_hostnames": ["localhost", *filter(None, [options.place.name])],
        # A proxy may ask under another name than the one that the visitor's browser knows.
        "allow_origin": options.place.origin,
    }


def _transport() -> str:
    """Sockets in files: many kernels that start at once on TCP can take each other's ports and hang.

    Not on Windows, which has none, nor where the temporary folder's path leaves no room for their names.
    """
    room = len(tempfile.gettempdir()) + 1 + len(SOCKET_NAME) <= LONGEST_SOCKET_PATH
    return "ipc" if os.name == "posix" and room else "tcp"


def _address(options: Options, port: int) -> str:
    name = socket.gethostname() if options.host in ("", "0.0.0.0", "::") else options.host  # noqa: S104 - compared
    origin = options.place.origin or f"http://{f'[{name}]' if ':' in name else name}:{port}"
    return origin + options.place.path + (f"?token={options.token}" if options.token else "")


class _ThisPython(KernelSpecManager):
    """Runs the notebook in the Python that runs the server, whatever else is registered as `python3`."""

    forks = False

    @default("kernel_dirs")
    def _no_folders(self) -> list[str]:
        return []

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel of lens, which is forked from a warm process where that works."""
        spec = super().get_kernel_spec(kernel_name)
        spec.argv = [sys.executable, *KERNEL, "-f", "{connection_file}", *ARGUMENTS]
        if self.forks:
            spec.metadata.update(FORKED)
        return spec


class _Forking(_ThisPython):
    """The same, by forks."""

    forks = True


class _Server(Voila):
    """Voilà that says when it answers and leaves no kernel behind."""

    def begin(self, listening: socket.socket, options: Options) -> None:
        """Serve on a socket that already listens, until told to stop."""
        self.listening, self.options = listening, options
        self.port = port_of(listening)
        self.address = _address(options, self.port)
        self.start()

    def init_settings(self) -> dict[str, Any]:
        """Voilà's settings, with our page for those who must first give a token."""
        settings: dict[str, Any] = super().init_settings()
        settings["jinja2_env"].loader.searchpath[:0] = self.template_paths
        return settings

    def init_handlers(self) -> list[Any]:
        """Voilà's addresses, with seats at its page and one that says how things stand."""
        seats = Seats(self.options.visitors, self.kernel_manager)
        health = (f"{self.base_url}health", Health, {"seats": seats, "version": __version__})
        return [health, *(self._handler(seats, *each) for each in super().init_handlers())]

    def _handler(self, seats: Seats, path: str, handler: Any, *rest: Any) -> tuple[Any, ...]:
        if not path.startswith(self.base_url):  # Voilà forgets it for the page that asks for the token
            path = self.base_url + path.lstrip("/")
        if handler is TornadoVoilaHandler:
            return (path, Page, {**rest[0], "seats": seats})
        if handler is VoilaKernelWebsocketHandler:
            return (path, Channel, {"seats": seats})
        return (path, handler, *rest)

    def listen(self) -> None:
        """Called by `start` once everything is set up."""
        HTTPServer(self.app).add_socket(self.listening)
        self.ioloop = IOLoop.current()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._handle_signal_stop)
        self.ioloop.add_callback(self._announce)
        # What is here now stays. Else Python looks for what visitors left only once that is a quarter of all there is.
        gc.collect()
        gc.freeze()
        gc.collect()  # now it counts anew
        try:
            self.ioloop.start()
        finally:
            self.stop()

    def _announce(self) -> None:
        print(f"lens is at {self.address} …  Ctrl-C stops it", flush=True)
        if self.options.browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()

    def stop(self) -> None:
        """End the kernels, and only then remove the sockets through which they are told."""
        with contextlib.suppress(HTTPError):  # one that is just starting is not listed yet: it ends when we are gone
            run_sync(self.kernel_manager.shutdown_all)(now=True)
        shutil.rmtree(self.connection_dir, ignore_errors=True)


def _has_screen() -> bool:
    """Whether a browser would get a window; without one, some open inside the terminal and take it over."""
    return not sys.platform.startswith("linux") or bool({"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys())
