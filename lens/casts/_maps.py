"""Fitted maps and their folder: `maps.safetensors`, opened lazily, beside `card.json`, their provenance."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lens._cache import ByteCache
from lens.casts._card import CARD, Card
from lens.casts._cast import cast_named, casts
from lens.casts._hub import local_folder, push
from lens.casts._page import PAGE, PICTURE, page, picture
from lens.errors import MapsError
from lens.plans import PARTS

__all__ = ["Maps", "store_folder"]

T = TypeVar("T")
Source: TypeAlias = tuple[frozenset[str], Callable[[str], Tensor]]  # the names held, and how one is read

TENSORS = "maps.safetensors"
NAME = re.compile(r"(~?[a-z][a-z0-9_]*)\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.([a-z]+)")
MAX_CARD = 16 * 2**20  # bytes; 1,176 pairs take 0.2 MB
CPU = torch.device("cpu")
SHARE = 8  # of a GPU's memory, one part in so many holds maps


def store_folder(fingerprint: str) -> Path:
    """Where maps that this user fits for the model of `fingerprint` are kept: $LENS_MAPS, or the user's data folder."""
    from platformdirs import user_data_path

    root = os.environ.get("LENS_MAPS")
    return (Path(root) if root else user_data_path("lens") / "maps") / fingerprint[:16]


class Maps:
    """A set of fitted casts for one model. Nothing is read before a pair is used."""

    def __init__(
        self,
        card: Card,
        tensors: Mapping[str, Tensor] | None = None,
        file: Path | None = None,
        source: Source | None = None,
    ) -> None:
        self.card = card
        # in memory, in a file that is opened for each tensor, or elsewhere
        self._sources = [source or (_opened(file, card.fingerprint) if file else _in_memory(dict(tensors or {})))]
        self.pairs, self.parts = _held(self._names(), card)
        self._near: dict[torch.device, ByteCache] = {}  # what GPUs hold: the way there is long

    def __repr__(self) -> str:
        held = ", ".join(f"{cast} {len(pairs):,}" for cast, pairs in self.pairs.items()) or "no pairs"
        parts = "".join(f", ~{part} of {len(blocks)} blocks" for part, blocks in self.parts.items())
        return f"Maps(of {self.card.model!r}: {held}{parts}; .card says where from)"

    def __getstate__(self) -> dict[str, Any]:
        """What GPUs of this process hold stays here."""
        return vars(self) | {"_near": {}}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Maps:
        """Open the maps in `folder`, or else on the Hugging Face hub ("user/name" or "user/name@revision").

        MapsError says which file is missing or damaged, or why the hub has nothing to give.
        """
        folder = local_folder(folder)
        try:
            with (folder / CARD).open("rb") as file:
                text = file.read(MAX_CARD + 1)
            if len(text) > MAX_CARD:
                raise MapsError(f"{CARD} in {folder.name!r} is larger than {MAX_CARD >> 20} MB: it is no card of maps.")
            maps = cls(Card.from_json(text.decode()), file=folder / TENSORS)
            _require_one_save(folder / TENSORS, text)
            return maps
        except FileNotFoundError as error:
            missing = Path(str(error.filename or TENSORS)).name
            raise MapsError(f"The folder {folder.name!r} holds no maps: {missing} is missing.") from None
        except (OSError, SafetensorError, UnicodeDecodeError) as error:
            raise MapsError(
                f"The maps in {folder.name!r} can't be read ({error}). Fit or download them again."
            ) from None

    def save(self, folder: str | os.PathLike[str], dtype: torch.dtype | None = None) -> Path:
        """Write the maps, their card and a page about them, all of it or nothing; `dtype` stores the tensors smaller.

        Half precision serves a map that is used alone; two in a row may lose much of their r² by it (`lens.composition`
        measures it). Returns the folder. MapsError if it cannot be written; what was there is then untouched.
        """
        folder = Path(folder)
        tensors = {name: _smaller(name, self._tensor(name), dtype) for name in self._names()}
        text = self.card.to_json()
        stamp = hashlib.sha256(text.encode()).hexdigest()
        metadata = {"format": "pt", "fingerprint": self.card.fingerprint, "saved": stamp}
        stamped = json.dumps({**json.loads(text), "saved": stamp}, indent=1, ensure_ascii=False) + "\n"
        texts = {CARD: stamped, PAGE: page(self.card), PICTURE: picture(self.card.r2())}
        writers: dict[str, Callable[[Path], Any]] = {TENSORS: lambda path: save_file(tensors, path, metadata)}
        _replace(folder, writers | {name: partial(_write_text, text=text) for name, text in texts.items()})
        return folder

    def push_to_hub(self, name: str, *, private: bool = False, token: str | None = None) -> str:
        """Save the maps as the repository `name` ("user/name") of the Hugging Face hub; returns its address.

        MapsError, in words, where the hub cannot be reached or refuses.
        """
        return push(name, self.save, private=private, token=token)

    def merged(self, other: Maps) -> Maps:
        """Both sets as one, for one model, so that their casts are seen beside each other; still read lazily.

        The card is this one's, with the scores of both. MapsError if they are of different models, or hold a map twice.
        """
        mine, theirs = self.card, other.card
        if mine.fingerprint != theirs.fingerprint:
            raise MapsError(f"These maps are of {mine.model} and of {theirs.model}; only one model's are joined.")
        if twice := set(self._names()) & set(other._names()):
            raise MapsError(f"Both sets hold {min(twice)}. Keep one of them.")
        casts = {**theirs.scores, **mine.scores}
        # of a cast that both hold, such as `id`, each scores pairs that the other may not
        scores = {cast: {**theirs.scores.get(cast, {}), **mine.scores.get(cast, {})} for cast in casts}
        joined = Maps(replace(mine, scores=scores))
        joined._sources = [*self._sources, *other._sources]
        joined.pairs, joined.parts = _held(joined._names(), mine)
        return joined

    def check(self, *, name: str, fingerprint: str, n_blocks: int, width: int) -> None:
        """MapsError unless these maps were fitted on exactly this model."""
        card = self.card
        if (card.n_blocks, card.width) != (n_blocks, width):
            raise MapsError(
                f"These maps are for {card.model} ({card.n_blocks} blocks of width {card.width}), and {name} has "
                f"{n_blocks} blocks of width {width}. Choose that model, or fit maps for this one."
            )
        if card.fingerprint != fingerprint:
            raise MapsError(
                f"These maps were fitted on other weights (of {card.model}) than those of {name}. "
                "Choose that model, or fit maps for this one."
            )

    def travels(self) -> Any:
        """MapsError: maps that lie here serve a model that lies here."""
        raise MapsError(
            f"These maps of {self.card.model} lie here, and the model on a shared engine, where they are not. Load the "
            "model here, or have who runs the engine give them: lens serve --maps."
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What its tensors are called, as `mat.3.12.matrix`."""
        return tuple(self._names())

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors, each of which is read for it where they lie in a file."""
        return sum(tensor.numel() * tensor.element_size() for tensor in map(self._tensor, self._names()))

    def covers(self, cast: str, sources: tuple[int, ...], target: int) -> bool:
        """Whether `cast` can go from each of `sources` to `target` (a boundary to itself always can)."""
        held = self.pairs.get(cast, frozenset())
        return all(source == target or (source, target) in held for source in sources)

    def tensors(self, cast: str, source: int, target: int, device: torch.device = CPU) -> dict[str, Tensor]:
        """The float32 tensors of one pair, by name, on `device`; MapsError if it was not fitted.

        A GPU keeps those that were used last, in up to an eighth of its memory.
        """
        if (source, target) not in self.pairs.get(cast, frozenset()):
            raise MapsError(
                f"These maps of {self.card.model} hold no {cast} from layer {source} to layer {target}. "
                f"{self._targets(cast)}"
            )
        names = cast_named(cast).tensors
        found = {name: self._on(device, f"{cast}.{source}.{target}.{name}") for name in names}
        _require_shapes(found, self.card.width)
        return found

    def part(self, part: str, block: int, device: torch.device = CPU) -> list[Tensor]:
        """The float32 matrices (width, width) of a block's part, one a span, on `device`; MapsError if not fitted."""
        if block not in self.parts.get(part, frozenset()):
            held = (
                f"They hold {', '.join('~' + name for name in sorted(self.parts))}" if self.parts else "They hold none"
            )
            raise MapsError(
                f"These maps of {self.card.model} hold no ~{part} of block {block}. {held}. Fit it: "
                f"lens.fit(model, texts, parts=[{part!r}])."
            )
        spans = sorted(
            (name for name in self._names() if name.startswith(f"~{part}.{block}.")),
            key=lambda name: int(name.split(".")[2]),
        )
        found = [self._on(device, name) for name in spans]
        for matrix in found:
            _require_shapes({"matrix": matrix}, self.card.width)
        return found

    def _targets(self, cast: str) -> str:
        targets = sorted({target for _, target in self.pairs.get(cast, frozenset())})
        return f"They go to layer {', '.join(map(str, targets))}." if targets else f"They hold no {cast} at all."

    def _names(self) -> list[str]:
        return [name for names, _ in self._sources for name in names]

    def _on(self, device: torch.device, name: str) -> Tensor:
        """A tensor in float32 where it is needed; from a file it is read anew each time that a CPU needs it."""
        if device.type == "cpu":
            return self._tensor(name).float()

        def bring() -> tuple[Tensor, int]:
            tensor = self._tensor(name).to(device, torch.float32)
            return tensor, tensor.nbytes

        cache = self._near.setdefault(device, ByteCache(_total(device) // SHARE))
        found: Tensor = cache.get(name, bring)
        return found

    def _tensor(self, name: str) -> Tensor:
        try:
            tensor = next(get(name) for names, get in self._sources if name in names)
        except (OSError, SafetensorError) as error:
            raise MapsError(f"Map {name} can't be read ({error}). Fit or download the maps again.") from None
        if not tensor.is_floating_point() or tensor.shape[-1:] != (self.card.width,) or tensor.ndim > 2:
            kind = f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
            raise MapsError(f"Map {name} has {kind}, and its card says width {self.card.width}.")
        # a sum is ten times as quick, and finite only if all its terms are
        if not (tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all()):
            raise MapsError(f"Map {name} holds values that are not finite numbers. Fit or download the maps again.")
        return tensor


def _total(device: torch.device) -> int:
    """Bytes of a GPU's memory; of other devices, what one of eight gigabytes has."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 8 * 2**30


def _in_memory(tensors: dict[str, Tensor]) -> Source:
    return frozenset(tensors), tensors.__getitem__


def _opened(path: Path, fingerprint: str) -> Source:
    """The names in a file and how one tensor is got; MapsError unless the file belongs to the card."""
    file: Any = safe_open(path, framework="pt")  # its own types are incomplete
    if (file.metadata() or {}).get("fingerprint") != fingerprint:
        raise MapsError(f"{TENSORS} and {CARD} do not belong together. Fit or download the maps again.")
    names = frozenset(file.keys())
    return names, partial(_one_tensor, path, fingerprint)


def _one_tensor(path: Path, fingerprint: str, name: str) -> Tensor:
    """One tensor of a file that is opened for it: of a file kept open, all that was ever read stays in memory."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("fingerprint") == fingerprint:
                tensor: Tensor = file.get_tensor(name)
                return tensor
    except (OSError, SafetensorError):
        pass
    raise MapsError(f"{TENSORS} in {path.parent.name!r} was moved or changed while in use. Load the maps again.")


def _require_one_save(tensors: Path, card: bytes) -> None:
    """MapsError where a save was cut off between two files, so that one of them is the old one."""
    saved = json.loads(card).get("saved")
    with safe_open(tensors, framework="pt") as file:
        if (file.metadata() or {}).get("saved", saved) != saved:  # files that others wrote have none
            raise MapsError(f"{TENSORS} and {CARD} are not of one save. Fit or download the maps again.")


def _smaller(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """The tensor as it is stored; MapsError where that type holds no fractions, or no number so large."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise MapsError(f"Maps are not stored as {dtype!r}: give torch.float16, torch.bfloat16, or leave it out.")
    stored = tensor.to(dtype=dtype).contiguous()
    if not stored.isfinite().all():
        raise MapsError(f"Map {name} has values too large for {str(dtype).removeprefix('torch.')}. Use bfloat16.")
    return stored


def _held(names: Iterable[str], card: Card) -> tuple[dict[str, frozenset[tuple[int, int]]], dict[str, frozenset[int]]]:
    """cast → its whole (source, target) pairs, and part → its blocks, from the names of the tensors."""
    found: dict[tuple[str, int, int], set[str]] = {}
    parts: dict[str, set[int]] = {}
    for name in names:
        cast, first, second, tensor = _place(name, card)
        if cast.startswith("~"):
            parts.setdefault(cast[1:], set()).add(first)
        else:
            found.setdefault((cast, first, second), set()).add(tensor)
    pairs: dict[str, set[tuple[int, int]]] = {}
    for (cast, source, target), held in found.items():
        if cast in casts() and len(held) == len(casts()[cast].tensors):
            pairs.setdefault(cast, set()).add((source, target))
    return _frozen(pairs), _frozen(parts)


def _place(name: str, card: Card) -> tuple[str, int, int, str]:
    """`mat.3.12.matrix` is a cast from a lower to a higher layer, `~attn.5.0.matrix` a block's part, its first span.

    MapsError for a name that is neither, or written otherwise than it would be asked for.
    """
    found = NAME.fullmatch(name)
    if found:
        cast, first, second, tensor = found[1], int(found[2]), int(found[3]), found[4]
        if cast.startswith("~"):
            fits = cast[1:] in PARTS and first < card.n_blocks and tensor == "matrix"
        else:
            fits = first < second <= card.n_blocks and (cast not in casts() or tensor in casts()[cast].tensors)
        if fits:
            return cast, first, second, tensor
    raise MapsError(f"{TENSORS} holds {name[:80]!r}, which is no map of a model of {card.n_blocks} blocks.")


def _require_shapes(tensors: Mapping[str, Tensor], width: int) -> None:
    """A matrix is square, a bias one vector, and what else there is has as many rows as its fellow."""
    rows = {len(tensor) for name, tensor in tensors.items() if name not in ("matrix", "bias")}
    for name, tensor in tensors.items():
        fits = tensor.ndim == (1 if name == "bias" else 2) and (name != "matrix" or len(tensor) == width)
        if not fits or len(rows) > 1:
            raise MapsError(f"A map's {name} has shape {tuple(tensor.shape)}, which no map of width {width} has.")


def _frozen(found: Mapping[str, set[T]]) -> dict[str, frozenset[T]]:
    return {name: frozenset(held) for name, held in found.items()}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _replace(folder: Path, writers: Mapping[str, Callable[[Path], Any]]) -> None:
    """Write every file beside its place, then rename them all: a failure leaves the old set whole."""
    staged = {name: folder / f".{name}.{os.getpid()}.tmp" for name in writers}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            staged[name].touch()
            mode = (
                staged[name].stat().st_mode
            )  # what this person's umask allows; safetensors would let nobody else read
            write(staged[name])
            staged[name].chmod(mode)
        for name, path in staged.items():
            path.replace(folder / name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MapsError(f"The maps could not be saved ({reason}). What was there is untouched.") from None
    finally:
        for path in staged.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)
