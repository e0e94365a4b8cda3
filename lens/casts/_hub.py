"""Maps on the Hugging Face hub."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lens.errors import LensError, MapsError

__all__ = ["local_folder", "push"]

NAME = re.compile(r"([\w.-]{1,96}/[\w.-]{1,96})(?:@([\w./-]{1,96}))?")
FILES = ["card.json", "maps.safetensors", "README.md", "r2.svg"]


def local_folder(name: str | os.PathLike[str]) -> Path:
    """The folder of that name, or else the one into which the hub's repository of that name was downloaded."""
    folder = Path(name)
    found = NAME.fullmatch(name) if isinstance(name, str) else None
    if folder.is_dir() or not found:
        return folder
    from huggingface_hub import snapshot_download

    with _in_words(found[1]):
        return Path(snapshot_download(found[1], revision=found[2], allow_patterns=FILES))


def push(name: str, save: Callable[[Path], Any], *, private: bool, token: str | None) -> str:
    """Save into a folder of its own and upload it as the repository `name`; returns its address."""
    if not NAME.fullmatch(name) or "@" in name:
        raise MapsError(f"{name[:80]!r} is no name of a repository: it reads user/name.")
    from huggingface_hub import HfApi

    hub = HfApi(token=token)
    with TemporaryDirectory() as folder, _in_words(name):
        save(Path(folder))
        address = hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message="Fitted maps")
        return str(address)


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Whatever the hub, or the way to it, has against it, as a MapsError."""
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except LensError:
        raise
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise MapsError(
            f"There is neither a folder nor a repository on the Hugging Face hub called {name!r} (with that revision), "
            "or it is private: check the spelling, or log in with `hf auth login`."
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        advice = "log in with `hf auth login`" if status in (401, 403) else "try again later"
        raise MapsError(f"The Hugging Face hub refused {name!r} (status {status}): {advice}.") from None
    except Exception as error:  # the HTTP library under the hub's client, and its errors, change with its version
        raise MapsError(
            f"The Hugging Face hub could not be reached for {name!r} ({type(error).__name__}). Without a network, give "
            "a local folder of maps, or fit them with lens.fit."
        ) from error
