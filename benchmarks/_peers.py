"""Peers in environments of their own, under `.peers_cache`: made once, asked a round at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks._measure import ROOT

PEERS = {"transformer-lens": "4.3.0", "nnsight": "0.8.1", "tuned-lens": "0.2.0"}
FOLDER = ROOT / ".peers_cache"


class AbsentError(Exception):
    """A peer that cannot be had here, and why."""


def environment(name: str) -> Path:
    """The Python of the peer's environment, with lens's torch and transformers; AbsentError if that fails.

    Where nothing can be installed, LENS_PEERS is a Python that has all of them.
    """
    if given := os.environ.get("LENS_PEERS"):
        return Path(given)
    folder = FOLDER / name
    python, done = folder / "bin" / "python", folder / ".ready"
    if not done.exists():
        venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = [f"{name}=={PEERS[name]}", "torch", "transformers", "setuptools", "wheel"]
        made = subprocess.run(  # noqa: S603
            [*pip, "--constraint", ROOT / "constraints.txt", *wanted], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise AbsentError(last_line(made.stderr))
        done.touch()
    return python


class Peer:
    """One peer's process, which holds the model and reads it when asked."""

    def __init__(self, name: str, folder: Path, clock: str, device: str) -> None:
        self.name, self.folder = name, folder
        command = [
            environment(name),
            Path(__file__).with_name("_peer.py"),
            name,
            folder,
            str(torch.get_num_threads()),
            clock,
            device,
        ]
        self.log = (folder / f"{name}.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=folder
        )
        while self._line() != "ready":
            pass
        self()  # one that cannot read is not begun with

    def __call__(self) -> float:
        """Seconds of one reading, as the peer's own clock says."""
        return float(self._ask("read"))

    def answer(self) -> dict[str, torch.Tensor]:
        """What it reads."""
        self._ask("answer")
        self._line()
        found: dict[str, torch.Tensor] = torch.load(self.folder / f"{self.name}.pt")
        return found

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()
        self.log.close()

    def _ask(self, word: str) -> str:
        assert self.process.stdin
        print(word, file=self.process.stdin, flush=True)
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line.strip()
        self.log.seek(0)
        raise AbsentError(last_line(self.log.read()))


@contextmanager
def running(names: Sequence[str], folder: Path, clock: str, device: str) -> Iterator[dict[str, Peer]]:
    """Those peers that can be had; of the others it is said why not."""
    peers: dict[str, Peer] = {}
    try:
        for name in names:
            try:
                peers[name] = Peer(name, folder, clock, device)
            except AbsentError as reason:
                print(f"{name} {PEERS[name]} is left out: {reason}", file=sys.stderr)
        yield peers
    finally:
        for peer in peers.values():
            peer.close()


def last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
