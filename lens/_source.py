"""Where a model comes from: shipped with the package, a local folder, the hub, or memory."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lens.errors import ModelError

__all__ = ["Source", "embedded", "resolve", "suggestion"]

FOLDER = Path(__file__).parent / "models" / "embedded"
MAX_NAME = 500  # characters that are still looked up, and repeated in a message
MAX_BESIDE = 1_000  # folders among which a mistaken name is looked for


@dataclass(frozen=True)
class Source:
    """What was asked for, and what `from_pretrained` is to be given for it."""

    name: str
    revision: str | None = None
    folder: Path | None = None  # None for a hub name
    shipped: bool = False

    @property
    def location(self) -> str:
        """The folder or the hub name, as `from_pretrained` takes it."""
        return self.name if self.folder is None else str(self.folder)


def embedded() -> tuple[str, ...]:
    """The names of the models that are shipped with the package."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/config.json")))


def resolve(name: str | os.PathLike[str], revision: str | None = None) -> Source:
    """Say where a model is to be had, without opening anything; raises ModelError for what can be no model."""
    text = os.fspath(name)
    if not isinstance(text, str) or not text.strip():
        raise ModelError(f"A model has a name. {_available()}")
    if len(text) > MAX_NAME:
        raise ModelError(f"No model's name or folder has {len(text):,} characters; at most {MAX_NAME}. {_available()}")
    local = _local(text, shipped=isinstance(name, str) and text in embedded())
    if local is not None:
        if revision is not None:
            raise ModelError(f"{text!r} is a folder on this machine, which has no revisions; leave `revision` out.")
        return local
    if not isinstance(name, str) or not _is_hub_name(text):
        raise ModelError(
            f"There is no folder {text!r}, and it is no name on the Hugging Face hub either "
            f"(those look like 'name' or 'owner/name').{suggestion(text)} {_available()}"
        )
    return Source(text, revision)


def suggestion(text: str) -> str:
    """A sentence that names shipped models and folders whose names are close to a mistaken one; empty without any."""
    path = _path(text)
    beside = _folders(path.parent) if path is not None else []
    close = difflib.get_close_matches(text, [*embedded(), *beside])
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def _folders(parent: Path) -> list[str]:
    """Some of the folders in a folder: there may be millions, or it may be closed to us."""
    try:
        return [str(folder) for folder in islice(parent.glob("*/"), MAX_BESIDE)]
    except OSError:
        return []


def _local(text: str, *, shipped: bool) -> Source | None:
    if shipped:
        return Source(text, None, FOLDER / text, shipped=True)
    path = _path(text)
    return None if path is None or not path.exists() else Source(text, None, _model_folder(path))


def _path(text: str) -> Path | None:
    """The text as a path, where the file system can take it for one."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError):  # too long, an unknown user's home, a NUL in it
        return None
    return path


def _is_hub_name(text: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def _model_folder(path: Path) -> Path:
    try:
        return _with_config(path)
    except OSError as error:
        raise ModelError(f"The folder {str(path)!r} can't be read ({error.strerror}). {_available()}") from None


def _with_config(path: Path) -> Path:
    if not path.is_dir():
        raise ModelError(f"{str(path)!r} is a file; give the folder that holds the model (with its config.json).")
    if not (path / "config.json").is_file():
        raise ModelError(
            f"The folder {str(path)!r} holds no model: there is no config.json in it. "
            f"Give a folder written by save_pretrained. {_available()}"
        )
    return path.resolve()


def _available() -> str:
    return f"Models that are always here: {', '.join(embedded()) or 'none in this installation'}."
