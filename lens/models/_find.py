"""Find a model's anatomy, by its family or else by its structure, and prove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lens.errors import ModelError
from lens.models._anatomy import CORRECT, Anatomy, dissect
from lens.models._family import Family, families
from lens.models._proof import prove
from lens.models._structure import advice, guesses

__all__ = ["proven"]


def proven(hf: Any, inputs: Mapping[str, Tensor]) -> Anatomy:
    """The anatomy of a model, proved on `inputs`; raises ModelError where there is none that holds."""
    family = families()[0].get(hf.config.model_type)
    return _guessed(hf, inputs) if family is None else _known(hf, family, inputs)


def _known(hf: Any, family: Family, inputs: Mapping[str, Tensor]) -> Anatomy:
    anatomy = dissect(hf, family)
    try:
        prove(hf, anatomy, inputs)
    except ModelError as error:
        raise ModelError(
            f"{type(hf).__name__} is not built as the family file for {hf.config.model_type!r} says: {error}. {CORRECT}"
        ) from error
    except Exception as error:  # whatever the model itself raises, a person is to read it
        raise ModelError(f"{type(hf).__name__} cannot read a short text: {_first_line(error)}") from error
    return anatomy


def _guessed(hf: Any, inputs: Mapping[str, Tensor]) -> Anatomy:
    """The first guess that is exact, or else the nearest of those that hold."""
    held: list[tuple[float, Anatomy]] = []
    failures: dict[str, None] = {}
    for family in guesses(hf):
        anatomy = dissect(hf, family)
        try:
            held.append((prove(hf, anatomy, inputs), anatomy))
        except Exception as error:  # noqa: BLE001 - a wrong guess may fail in any way
            failures[f"{' → '.join((family.blocks, *family.unembed))}: {_first_line(error)}"] = None
        if held and held[-1][0] == 0:
            break
    if not held:
        raise ModelError(
            f"There is no family file for {hf.config.model_type!r} models, and none of the ways in which "
            f"{type(hf).__name__} may be built gives its own logits:\n  " + "\n  ".join(failures) + f"\n{advice()}"
        )
    return min(held, key=lambda pair: pair[0])[1]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
