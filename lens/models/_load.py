"""Configs, tokenizers and weights, read through transformers; what goes wrong there is said in words here."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, PreTrainedConfig
from transformers.utils.hub import cached_file

from lens._limits import allowed_models
from lens._memory import memory_in_words, ran_out
from lens._source import Source, embedded, suggestion
from lens.errors import LensError, ModelError
from lens.models._config import check_raw, checked_config
from lens.models._family import Kind
from lens.models._hub import damaged, impatient, trouble, unheard
from lens.models._panics import tokenizer_in_words
from lens.models._room import Free, free_memory, needed, placement
from lens.models._shards import check_shards, index_name
from lens.models._threads import hold_to_threads

__all__ = ["check_options", "read_config", "read_tokenizer", "read_weights"]

T = TypeVar("T")
READING = RLock()
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LARGEST_CONFIG = 16 * 2**20  # bytes
QUANTISED = {"int8": "load_in_8bit", "int4": "load_in_4bit"}


def read_config(source: Source) -> Any:
    """The Hugging Face config of a source; ModelError where it is none, or asks for more than any model has."""
    _check_size(source)
    raw, _ = _read(source, PreTrainedConfig.get_config_dict)
    check_raw(source.name, raw)
    config = _read(source, AutoConfig.from_pretrained)
    with _in_words(source, offline=False):
        return checked_config(source.name, config)


def read_tokenizer(source: Source) -> Any:
    """The Hugging Face tokenizer of a source."""
    with tokenizer_in_words(source.name):
        return _read(source, AutoTokenizer.from_pretrained)


@memory_in_words
def read_weights(source: Source, config: Any, kind: Kind, device: str, dtype: str, *, free: Free = free_memory) -> Any:
    """The model, on its device, in eval mode and frozen; raises ModelError if it cannot be had or cannot fit."""
    auto = AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM
    place = place_of(device)
    precision = _precision(dtype, place, config)
    skeleton = _skeleton(auto, source, config)
    where = placement(source.name, needed(skeleton, dtype if dtype in QUANTISED else precision["dtype"]), place, free)
    if dtype in QUANTISED:
        where = where or {"device_map": {"": place}}
    options = precision | where | _without_pickles(source, config)
    _check_index(source, config)
    hf, report = _read(source, auto.from_pretrained, config=config, output_loading_info=True, **options)
    if report["missing_keys"]:
        raise ModelError(
            f"{source.name} comes without {_some(report['missing_keys'])}, so that it predicts no tokens. "
            "Choose a checkpoint of a causal or masked language model."
        )
    return (hf if where else hf.to(place)).eval().requires_grad_(False)


def _check_size(source: Source) -> None:
    path = source.folder / "config.json" if source.folder else None
    if path is not None and path.is_file() and path.stat().st_size > LARGEST_CONFIG:
        raise ModelError(f"The config.json of {source.name} is larger than {LARGEST_CONFIG >> 20} MB: it is no config.")


def check_options(device: str, dtype: str) -> None:
    """Raise ModelError for a device or dtype that cannot be had here."""
    if dtype not in ("auto", *DTYPES, *QUANTISED):
        raise ModelError(f"There is no dtype {dtype!r}; choose one of {', '.join(('auto', *DTYPES, *QUANTISED))}.")
    place = place_of(device)
    if dtype in QUANTISED and not (place.type == "cuda" and find_spec("bitsandbytes") and find_spec("accelerate")):
        raise ModelError(
            f"dtype={dtype!r} needs an NVIDIA GPU and the packages bitsandbytes and accelerate "
            "(pip install 'layer-lens[quantised]'). Without them, choose bfloat16."
        )


def place_of(device: str) -> torch.device:
    """The device that is meant; `auto` is the first there is of cuda, mps and cpu."""
    there = [name for name in ("cuda", "mps") if getattr(torch, name).is_available()] + ["cpu"]
    if device == "auto":
        return torch.device(there[0])
    place = _device(device)
    beyond = place is not None and place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count()
    if place is None or place.type not in there or beyond:
        raise ModelError(f"There is no device {device!r} here; choose one of auto, {', '.join(there)}.")
    return place


def _device(name: str) -> torch.device | None:
    """What torch takes that name for; None where it is no device's."""
    try:
        return torch.device(name) if isinstance(name, str) else None
    except RuntimeError:
        return None


def _precision(dtype: str, place: torch.device, config: Any) -> dict[str, Any]:
    if dtype in QUANTISED:
        from transformers import BitsAndBytesConfig

        make: Any = BitsAndBytesConfig  # untyped, as much of transformers
        return {"quantization_config": make(**{QUANTISED[dtype]: True})}
    if dtype == "auto":
        # a CPU computes float32 fastest; elsewhere, what the checkpoint has
        return {"dtype": torch.float32 if place.type == "cpu" else config.get_text_config().dtype or torch.float32}
    return {"dtype": DTYPES[dtype]}


def _without_pickles(source: Source, config: Any) -> dict[str, Any]:
    """Where visitors come, weights are read that need no program to be unpacked."""
    if allowed_models() is None:
        return {}
    if str(getattr(config, "transformers_weights", "")).endswith(".bin"):
        raise ModelError(_pickled(source))
    return {"use_safetensors": True}


def _check_index(source: Source, config: Any) -> None:
    """Of a folder always; of the hub's models where visitors come, as it is one question more."""
    name = index_name(config)
    if name and source.folder:
        check_shards(source, source.folder / name)
    elif name and allowed_models() is not None:
        found = _read(source, _index_of_hub, name=name)
        if found:
            check_shards(source, Path(found))


def _index_of_hub(repository: str, *, name: str, **options: Any) -> str | None:
    """Where the index lies once it is fetched; None where the repository has none."""
    del options["trust_remote_code"]  # there is no code in it
    options |= {"_raise_exceptions_for_missing_entries": False}
    found: str | None = cached_file(
        repository, name, _raise_exceptions_for_connection_errors=not options["local_files_only"], **options
    )
    return found


def _pickled(source: Source) -> str:
    return (
        f"{source.name!r} has no weights as safetensors, and those of PyTorch's own format are not read where "
        "LENS_MODELS is set. Convert them once, where it is not: model = lens.load(name), "
        "model.hf.save_pretrained(folder), model.tokenizer.save_pretrained(folder); then offer the folder."
    )


def _skeleton(auto: Any, source: Source, config: Any) -> Any:
    """The model without its weights: it costs nothing, and tells what they will need."""
    with _reading(source, offline=False), torch.device("meta"):
        return auto.from_config(copy.deepcopy(config), trust_remote_code=False)


def _read(source: Source, read: Callable[..., T], **options: Any) -> T:
    """Call a `from_pretrained`; never with code from the repository, and on the network only for a hub name."""
    offline = source.folder is not None or not _reachable()
    if source.folder is None:
        options["revision"] = source.revision
    options |= {"trust_remote_code": False, "local_files_only": offline}
    with _reading(source, offline), _quiet(source.folder is not None), impatient():
        try:
            return read(source.location, **options)
        except Exception as error:
            if offline or not damaged(error):
                raise
        return read(source.location, force_download=True, **options)


@contextmanager
def _reading(source: Source, offline: bool) -> Iterator[None]:
    with READING, _in_words(source, offline):
        hold_to_threads()
        yield


@contextmanager
def _in_words(source: Source, offline: bool) -> Iterator[None]:
    try:
        yield
    except LensError:
        raise
    except Exception as error:  # whatever transformers raises, a person is to read it
        if ran_out(error):
            raise
        raise ModelError(_explained(source, offline, error)) from error


def _explained(source: Source, offline: bool, error: Exception) -> str:
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if "trust_remote_code" in str(error):
        return f"{source.name} brings program code of its own, which is never run here. Choose a model without."
    if source.folder is None and offline:
        there = ", ".join(embedded()) or "no shipped models"
        return (
            f"{source.name!r} is not on this machine, and the Hugging Face hub can't be reached. Without a connection "
            f"there are: {there}; models downloaded before; any local folder.{suggestion(source.name)}"
        )
    missing = re.search(r"no file named|not appear to have a file named", said) is not None
    what = None if source.folder else trouble(error) or (unheard(source.name, source.revision) if missing else None)
    if missing and what is None and allowed_models() is not None:
        return _pickled(source)
    if what:
        return f"{source.name!r} could not be fetched: {what}. Nothing half-fetched is used: try again later."
    return f"{source.name!r} could not be read: {said}{suggestion(source.name) if source.folder is None else ''}"


def _reachable() -> bool:
    """Whether the hub answers: asked once and briefly, as its own client tries for half a minute."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:  # noqa: BLE001 - no connection, by whatever name the client calls it
        return False
    return True


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Without progress bars where nothing is fetched; in a notebook they would stay below for good."""
    from transformers.utils import logging

    bars: Any = logging
    if not wanted or not bars.is_progress_bar_enabled():
        yield
        return
    bars.disable_progress_bar()
    try:
        yield
    finally:
        bars.enable_progress_bar()


def _some(names: Iterable[str]) -> str:
    first, *rest = sorted(names)
    return f"{first} and {len(rest)} more" if rest else first
