"""A model on a shared engine: its facts are here, its weights and its work there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from lens._source import Source
from lens.errors import ModelError
from lens.models._family import Kind
from lens.models._model import Model
from lens.models._once import Once
from lens.models._parts import Span
from lens.models._recording import Recording
from lens.models._text import Tokens
from lens.wire import Call, Engine, served, values

__all__ = ["Facts", "Remote", "RemoteModel", "RemoteRecording", "encoded", "facts", "labelled"]


@dataclass(frozen=True)
class Facts:
    """What is known of a model without its weights."""

    kind: Kind
    n_blocks: int
    width: int
    vocab_size: int
    context: int | None
    mask_token: str | None
    fingerprint: str
    parts: tuple[str, ...]


values(Facts, Tokens)


@served()
def facts(model: Model) -> Facts:
    """Load the model, and say what it is."""
    model.fetch()
    return Facts(
        model.kind,
        model.n_blocks,
        model.width,
        model.vocab_size,
        model.context,
        model.mask_token,
        model.fingerprint,
        model.parts,
    )


@served(quick=True)
def encoded(model: Model, text: str, limit: int | None = None) -> Tokens:
    """The tokens of a text."""
    return model.encode(text, limit=limit)


@served(quick=True)
def labelled(model: Model, token: int) -> str:
    """How a token is shown."""
    return model.label(token)


@dataclass(frozen=True)
class Remote:
    """A model's place: the engine, and its name there."""

    engine: Engine
    name: str

    def ask(self, call: Call, arguments: Mapping[str, Any]) -> Any:
        """What a function says of the model."""
        return self.engine.ask(self.name, call, arguments)


@dataclass(frozen=True)
class RemoteRecording:
    """A forward that the engine makes, or remembers, when it is asked about these tokens."""

    model: Model
    tokens: Tokens

    @property
    def remote(self) -> Remote | None:
        """Where it is."""
        return self.model.remote

    @property
    def nbytes(self) -> int:
        """Bytes held here."""
        return 0


class RemoteModel(Model):
    """The model called `name` of a shared engine. What needs its weights here is refused in words."""

    def __init__(self, name: str, engine: Engine) -> None:
        super().__init__(Source(name), Once(self._absent), Once(self._absent))
        self.remote = Remote(engine, name)
        self._proven = Once(self._absent)
        self._facts: Once[Facts] = Once(lambda: facts(self))

    @property
    def n_blocks(self) -> int:
        """L, the number of blocks."""
        return self._facts().n_blocks

    @property
    def width(self) -> int:
        """The size d of the residual stream."""
        return self._facts().width

    @property
    def vocab_size(self) -> int:
        """The number V of logits at a position."""
        return self._facts().vocab_size

    @property
    def kind(self) -> Kind:
        """`causal` or `masked`."""
        return self._facts().kind

    @property
    def context(self) -> int | None:
        """The most tokens it can read at once; None where there is no bound."""
        return self._facts().context

    @property
    def mask_token(self) -> str | None:
        """What the mask is called in a masked model's text; None for a causal model."""
        return self._facts().mask_token

    @property
    def fingerprint(self) -> str:
        """Hex sha256 that tells these weights from others."""
        return self._facts().fingerprint

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of its blocks that linear maps can stand in for."""
        return self._facts().parts

    @property
    def loaded(self) -> bool:
        """Whether its engine has said what it is."""
        return self._facts.done

    def fetch(self) -> None:
        """Have the engine load it."""
        self._facts()

    def label(self, token_id: int) -> str:
        """How a token is shown."""
        return labelled(self, int(token_id))

    def encode(self, text: str, *, limit: int | None = None) -> Tokens:
        """The tokens of a text, as the engine's tokenizer has them."""
        return encoded(self, text, limit)

    def recording(self, tokens: Tokens) -> Recording:
        """What stands here for a forward there."""
        stands_for: Any = RemoteRecording(self, tokens)
        recording: Recording = stands_for
        return recording

    def record(self, *_: Any, **__: Any) -> Recording:
        """The streams of a forward are not here: ModelError."""
        self._absent()

    def spans(self, part: str) -> tuple[tuple[Span, ...], ...]:
        """The modules of a part are not here: ModelError."""
        self._absent()

    def unembed(self, stream: torch.Tensor) -> torch.Tensor:
        """The head is not here: ModelError."""
        self._absent()

    def _absent(self) -> NoReturn:
        raise ModelError(
            f"{self.name} lies on a shared engine, and its weights stay there: this needs them here. "
            f"Load it here: lens.load({self.name!r})."
        )
