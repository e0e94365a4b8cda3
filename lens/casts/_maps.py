"""Fitted maps and their folder: `maps.safetensors`, opened lazily, beside `card.json`, their provenance."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lens.casts._cast import cast_named, casts
from lens.errors import MapsError

__all__ = ["CARD", "Card", "Maps", "store_folder"]

TENSORS = "maps.safetensors"
CARD = "card.json"
MAX_CARD = 16 * 2**20  # bytes; 1,176 pairs take 0.2 MB
BOUNDARY = "boundary l is the residual stream before block l; the last is the last block's output before the final norm"


@dataclass(frozen=True)
class Card:
    """Where a set of maps comes from: everything needed to trust, refuse or repeat it."""

    model: str
    revision: str | None
    fingerprint: str  # of the weights the maps were fitted on
    n_blocks: int
    width: int
    corpus: str
    corpus_sha256: str
    positions: str  # "one" random token a sentence, or "all"
    sentences: int
    tokens: int
    heldout_sentences: int
    heldout_tokens: int
    seed: int
    version: str  # of lens
    r2: dict[str, dict[str, float | None]] = field(default_factory=dict)  # cast → "source>target" → held-out r²
    boundary: str = BOUNDARY

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Parse a card; MapsError if it is not one."""
        try:
            raw = json.loads(text)
            card = cls(**{item.name: raw[item.name] for item in fields(cls)})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MapsError(
                f"{CARD} is not a card of fitted maps ({error!r}). Fit or download the maps again."
            ) from None
        if not (isinstance(card.width, int) and isinstance(card.n_blocks, int) and isinstance(card.fingerprint, str)):
            raise MapsError(f"{CARD} lacks a valid width, depth or fingerprint. Fit or download the maps again.")
        return card


def store_folder(fingerprint: str) -> Path:
    """Where maps that this user fits for the model of `fingerprint` are kept: $LENS_MAPS, or the user's data folder."""
    from platformdirs import user_data_path

    root = os.environ.get("LENS_MAPS")
    return (Path(root) if root else user_data_path("lens") / "maps") / fingerprint[:16]


class Maps:
    """A set of fitted casts for one model. Nothing is read before a pair is used."""

    def __init__(self, card: Card, tensors: Mapping[str, Tensor] | None = None, file: Path | None = None) -> None:
        self.card = card
        self._tensors = dict(tensors or {})
        # one memory map is kept and nothing copied; safetensors' own types are incomplete
        self._file: Any = safe_open(file, framework="pt") if file else None
        self.pairs = _pairs(self._names(), card)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Maps:
        """Open the maps in `folder`; MapsError says which file is missing or damaged."""
        folder = Path(folder)
        try:
            with (folder / CARD).open("rb") as file:
                text = file.read(MAX_CARD + 1)
            if len(text) > MAX_CARD:
                raise MapsError(f"{CARD} in {folder.name!r} is larger than {MAX_CARD >> 20} MB: it is no card of maps.")
            maps = cls(Card.from_json(text.decode()), file=folder / TENSORS)
        except FileNotFoundError as error:
            missing = Path(str(error.filename or TENSORS)).name
            raise MapsError(f"The folder {folder.name!r} holds no maps: {missing} is missing.") from None
        except (OSError, SafetensorError, UnicodeDecodeError) as error:
            raise MapsError(
                f"The maps in {folder.name!r} can't be read ({error}). Fit or download them again."
            ) from None
        maps._check_parts()
        return maps

    def _check_parts(self) -> None:
        metadata = self._file.metadata() or {}
        if metadata.get("fingerprint") != self.card.fingerprint:
            raise MapsError(f"{TENSORS} and {CARD} do not belong together. Fit or download the maps again.")

    def save(self, folder: str | os.PathLike[str], dtype: torch.dtype | None = None) -> Path:
        """Write both files, each whole or not at all; `dtype` stores the tensors smaller. Returns the folder."""
        folder = Path(folder)
        tensors = {name: self._tensor(name).to(dtype=dtype).contiguous() for name in self._names()}
        metadata = {"format": "pt", "fingerprint": self.card.fingerprint}
        _replace(folder / TENSORS, lambda path: save_file(tensors, path, metadata))
        card = json.dumps(asdict(self.card), indent=1, ensure_ascii=False)
        _replace(folder / CARD, lambda path: path.write_text(card + "\n", encoding="utf-8"))
        return folder

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

    def covers(self, cast: str, sources: tuple[int, ...], target: int) -> bool:
        """Whether `cast` can go from each of `sources` to `target` (a boundary to itself always can)."""
        held = self.pairs.get(cast, frozenset())
        return all(source == target or (source, target) in held for source in sources)

    def tensors(self, cast: str, source: int, target: int) -> dict[str, Tensor]:
        """The float32 tensors of one pair, by name; MapsError if it was not fitted."""
        if (source, target) not in self.pairs.get(cast, frozenset()):
            raise MapsError(
                f"These maps of {self.card.model} hold no {cast} from layer {source} to layer {target}. "
                f"{self._held(cast)}"
            )
        return {name: self._tensor(f"{cast}.{source}.{target}.{name}").float() for name in cast_named(cast).tensors}

    def _held(self, cast: str) -> str:
        targets = sorted({target for _, target in self.pairs.get(cast, frozenset())})
        return f"They go to layer {', '.join(map(str, targets))}." if targets else f"They hold no {cast} at all."

    def _names(self) -> list[str]:
        return list(self._file.keys() if self._file else self._tensors)

    def _tensor(self, name: str) -> Tensor:
        tensor: Tensor = self._file.get_tensor(name) if self._file else self._tensors[name]
        if not tensor.is_floating_point() or tensor.shape[-1:] != (self.card.width,) or tensor.ndim > 2:
            kind = f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
            raise MapsError(f"Map {name} has {kind}, and its card says width {self.card.width}.")
        return tensor


def _pairs(names: Iterable[str], card: Card) -> dict[str, frozenset[tuple[int, int]]]:
    """cast → its (source, target) pairs, from tensor names such as `mat.3.12.matrix`; each pair must be whole."""
    parts: dict[tuple[str, int, int], set[str]] = {}
    for name in names:
        cast, source, target, part = [*name.split("."), "", "", "", ""][:4]
        fits = source.isdecimal() and target.isdecimal() and int(source) < int(target) <= card.n_blocks
        if not fits or (cast in casts() and part not in casts()[cast].tensors):
            raise MapsError(f"{TENSORS} holds {name[:80]!r}, which is no map of a model of {card.n_blocks} blocks.")
        parts.setdefault((cast, int(source), int(target)), set()).add(part)
    pairs: dict[str, set[tuple[int, int]]] = {}
    for (cast, start, end), held in parts.items():
        if cast in casts() and len(held) == len(casts()[cast].tensors):
            pairs.setdefault(cast, set()).add((start, end))
    return {cast: frozenset(held) for cast, held in pairs.items()}


def _replace(path: Path, write: Any) -> None:
    """Write beside `path`, then rename: a reader never meets half a file, and a failure leaves the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode  # what this person's umask allows; safetensors would let nobody else read
        write(temporary)
        temporary.chmod(mode)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MapsError(f"{path.name} could not be saved ({reason}). What was there is untouched.") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
