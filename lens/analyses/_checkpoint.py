"""Where a long fit is kept, so that one that was stopped or killed goes on where it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lens._whole import whole_file
from lens.errors import LensError

__all__ = ["Checkpoint"]

EVERY = 20.0  # seconds: what a killed fit may lose, and seldom enough that writing costs little


class Checkpoint:
    """The state of one job in a folder, each file whole or not there; without a folder nothing is kept."""

    def __init__(self, folder: str | os.PathLike[str] | None, job: str) -> None:
        """`job` tells this fit from any other; LensError if the folder holds another's state."""
        self._folder = None if folder is None else Path(folder)
        self._job = job
        self._kept = time.monotonic()

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and facts kept under `name`, or None; LensError if they cannot be used."""
        path = self._folder and self._folder / f"{name}.safetensors"
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            facts = json.loads(metadata["facts"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise LensError(f"The checkpoint {str(path)!r} can't be read ({error}). Delete it to begin anew.") from None
        if metadata.get("job") != self._job:
            raise LensError(
                f"The checkpoint in {str(self._folder)!r} is of another fit: other text, model or options. "
                "Give another folder, or delete that one to begin anew."
            )
        return tensors, facts

    def due(self) -> bool:
        """Whether it is time to keep the state again."""
        return self._folder is not None and time.monotonic() - self._kept >= EVERY

    def keep(self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Put the state in the place of what was kept under `name`; LensError if it cannot be written."""
        if self._folder is None:
            return
        metadata = {"job": self._job, "facts": json.dumps(facts)}
        whole = {key: tensor.contiguous() for key, tensor in tensors.items()}
        _write(self._folder, f"{name}.safetensors", lambda path: save_file(whole, path, metadata))
        self._kept = time.monotonic()

    def forget(self, name: str) -> None:
        """What was kept under `name` is needed no more."""
        if self._folder is not None:
            (self._folder / f"{name}.safetensors").unlink(missing_ok=True)


def _write(folder: Path, name: str, write: Callable[[Path], None]) -> None:
    """Beside the old file first, then in its place: a killed process leaves the one or the other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as beside:
            write(beside)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LensError(
            f"The checkpoint could not be written ({reason}). What was kept before is untouched; "
            "make room, or give another folder, and start again to go on."
        ) from None
