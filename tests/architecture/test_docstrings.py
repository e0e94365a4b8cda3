"""Every public name says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest

import lens

PACKAGES = ["lens", *(f"lens.{info.name}" for info in pkgutil.iter_modules(lens.__path__) if info.ispkg)]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_docstring(package: str) -> None:
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    assert not [name for name, thing in public.items() if not _says_what_it_is(thing)]
    assert (module.__doc__ or "").strip(), f"{package} does not say what it is"


def test_what_lens_offers_is_there() -> None:
    assert {name: getattr(lens, name).__module__.split(".")[1] for name in lens.__all__} == {
        name: home.split(".")[1] for name, home in lens._HOMES.items()
    }
    assert set(lens.__all__) <= set(dir(lens))


def test_what_lens_does_not_offer_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'lens' has no attribute 'laod'; it has LensError, Maps"):
        lens.laod  # noqa: B018


def _says_what_it_is(thing: Any) -> bool:
    """Whether it has words of its own: not those of a parent, nor the signature that a dataclass makes up."""
    if not inspect.isroutine(thing) and not inspect.isclass(thing):
        return True
    words = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return bool(words and words.strip()) and not words.startswith(f"{thing.__name__}(")
