"""The Hugging Face hub as it may be: slow, cut off, busy, or not the hub at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["damaged", "impatient", "trouble", "unheard"]

ELSE = "what came is no model but something else, perhaps the page of a network that one has to log in to"


@contextmanager
def impatient() -> Iterator[None]:
    """The hub's client tries six times, and waits a minute in each; here no longer than for its other requests."""
    from huggingface_hub import constants, file_download

    client: Any = file_download
    before = getattr(client, "_ETAG_RETRY_TIMEOUT", None)
    if before is None:  # a version that does not wait so long
        yield
        return
    client._ETAG_RETRY_TIMEOUT = min(before, constants.HF_HUB_ETAG_TIMEOUT)
    try:
        yield
    finally:
        client._ETAG_RETRY_TIMEOUT = before


def damaged(error: BaseException) -> bool:
    """Whether a file that came from the hub is not what its name says: its client keeps what it was given."""
    return any("valid JSON" in str(each) or type(each).__name__ == "SafetensorError" for each in _causes(error))


def trouble(error: BaseException) -> str | None:
    """What went wrong with the hub, if an error comes from there: the end of "… could not be fetched: …"."""
    causes = _causes(error)
    status = max((getattr(getattr(each, "response", None), "status_code", 0) for each in causes), default=0)
    if status == 429:
        return "the hub is asked too often from here (status 429); wait some minutes"
    if status >= 500:
        return f"the hub itself has trouble (status {status})"
    if any("Redirect" in type(each).__name__ for each in causes):
        return "its address leads in a circle, as where one has to log in to the network first"
    if damaged(error) or any(type(each).__name__ == "FileMetadataError" for each in causes):
        return ELSE
    if any("Consistency check failed" in str(each) for each in causes):
        return "less came than was announced"
    broken = [type(each).__name__ for each in causes if type(each).__module__.startswith("httpx")]
    return f"the connection broke off ({broken[0]})" if broken else None


def unheard(name: str, revision: str | None) -> str | None:
    """What keeps weights from us that transformers takes for missing, as it does where the hub gives no answer."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    try:
        answer = get_hf_file_metadata(hf_hub_url(name, "model.safetensors", revision=revision))
    except EntryNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - the errors of the client's HTTP library change with its version
        return trouble(error) or f"the connection broke off ({type(error).__name__})"
    return ELSE if answer.etag is None else "the connection broke off, and is there again"


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error, and those that it came from."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
