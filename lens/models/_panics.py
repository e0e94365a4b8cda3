"""Panics of the tokenizers' Rust code, which are exceptions that no `except Exception` sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lens._memory import ran_out
from lens.errors import LensError, ModelError

__all__ = ["tokenizer_in_words"]


@contextmanager
def tokenizer_in_words(name: str) -> Iterator[None]:
    """Whatever a tokenizer has against its files or a text, panics included, as a ModelError."""
    try:
        yield
    except LensError:
        raise
    except BaseException as error:
        panicked = type(error).__module__ == "pyo3_runtime"
        if ran_out(error) or not (panicked or isinstance(error, Exception)):
            raise
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"The tokenizer of {name} fails ({said[:200]}): its files are damaged, or of another version. "
            "Take them from where the model came from, or choose another model."
        ) from error
