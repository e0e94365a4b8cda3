"""A model as it is used here: cheap to name, loaded at first use, handed back as it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from lens._memory import memory_in_words
from lens._source import Source, resolve
from lens.errors import LensError, ModelError
from lens.models._anatomy import Anatomy
from lens.models._batch import batch
from lens.models._context import context_of
from lens.models._divert import Onward, diverted
from lens.models._family import Kind
from lens.models._find import proven
from lens.models._fingerprint import fingerprint
from lens.models._kind import kind_of
from lens.models._labels import labeller
from lens.models._load import check_options, read_config, read_tokenizer, read_weights
from lens.models._once import Once
from lens.models._panics import tokenizer_in_words
from lens.models._parts import Span, spans_of
from lens.models._proof import prove_part
from lens.models._recording import Recording, passages, run, run_without_head
from lens.models._slots import slot_cache
from lens.models._text import Tokens, tokenize
from lens.plans import PARTS
from lens.wire import Engine

if TYPE_CHECKING:
    from lens.models._remote import Remote

__all__ = ["Model", "load"]

SAMPLE = "The cat sat on the mat, and it purred."


def load(
    name: str | os.PathLike[str] | torch.nn.Module,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    engine: str | None = None,
) -> Model:
    """Name a model: a shipped one, a local folder, a hub name, or a `PreTrainedModel` that is in memory.

    Nothing is read before it is needed. `revision` is for hub names; `device` is auto, cpu, mps, cuda or cuda:1;
    `dtype` is auto (float32 on the CPU, the checkpoint's elsewhere), float32, bfloat16, float16, int8 or int4. A model
    in memory stays where and what it is, but is switched to eval mode and frozen; give its tokenizer with it.
    `engine` is the address of a shared engine (`lens serve` prints it), which has the model and does its work: what
    `lens` says of it then comes from there, and its weights stay there.
    Raises ModelError where the name can be no model's, or for a device or dtype that cannot be had.
    """
    if engine is not None:
        return _on_engine(name, engine, (tokenizer, revision, device, dtype))
    if isinstance(name, torch.nn.Module):
        if (revision, device, dtype) != (None, "auto", "auto"):
            raise ModelError("A model in memory is used as it is: it takes no revision, device or dtype.")
        return _in_memory(name, tokenizer)
    if not isinstance(name, (str, os.PathLike)):
        raise ModelError(f"A name, a folder or a PreTrainedModel is needed, not {type(name).__name__}.")
    check_options(device, dtype)
    source = resolve(name, revision)
    given = Once(lambda: tokenizer if tokenizer is not None else read_tokenizer(source))
    again = partial(load, source.name if source.shipped else source.location, tokenizer=tokenizer, revision=revision)
    config = Once(lambda: _checked(read_config(source)))
    return Model(source, given, config, (device, dtype), again=partial(again, device=device, dtype=dtype))


def _on_engine(name: Any, address: str, options: tuple[Any, ...]) -> Model:
    from lens.models._remote import RemoteModel  # it is a model, too

    if not isinstance(name, str) or options != (None, None, "auto", "auto"):
        raise ModelError("A shared engine has loaded its models: give a model's name alone, and the engine's address.")
    return RemoteModel(name, Engine(address))


def _in_memory(hf: Any, tokenizer: Any) -> Model:
    config = getattr(hf, "config", None)
    if config is None:
        raise ModelError(f"A PreTrainedModel of transformers is needed, not {type(hf).__name__}.")
    kind_of(config, type(hf).__name__)
    source = Source(config.name_or_path or type(hf).__name__)
    return Model(source, Once(lambda: tokenizer), Once(lambda: config), hf=hf.eval().requires_grad_(False))


def _checked(config: Any) -> Any:
    kind_of(config)
    return config


class Model:
    """A causal or masked language model. Its parts are read when first asked for, once, from whatever thread."""

    def __init__(
        self,
        source: Source,
        tokenizer: Once[Any],
        config: Once[Any],
        options: tuple[str, str] = ("auto", "auto"),
        hf: Any = None,
        again: Callable[[], Model] | None = None,
    ) -> None:
        self.name = source.name
        self.revision = source.revision
        self.folder: Path | None = source.folder
        # held while blocks run: hooks of one recording must not see another's calls
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self._source = source
        self._options = options
        self._again = again
        self._in_memory = hf
        self._tokenizer = tokenizer
        self._config = config
        self._proven = Once(self._prove)
        self._fingerprint = Once(lambda: fingerprint(self.hf))
        self._extras = Once(lambda: run(self.hf, self.anatomy, self._sample(self.hf)).extras)
        self._spans: dict[str, Once[tuple[tuple[Span, ...], ...]]] = {}
        self._label = Once(lambda: labeller(self.tokenizer, self.name))
        self.remote: Remote | None = None  # where it is, if another process holds it

    def __repr__(self) -> str:
        return f"Model({self.name!r}{'' if self.loaded else ', not loaded'})"

    def __reduce__(self) -> tuple[Callable[[], Model], tuple[()]]:
        """It travels to other processes as its name, and is loaded anew there; ModelError for one in memory."""
        if self._again is None:
            raise ModelError(
                f"{self.name} is in memory and can't be sent to other processes. Save it where they find it "
                "(model.hf.save_pretrained(folder), model.tokenizer.save_pretrained(folder)), and load that folder."
            )
        return self._again, ()

    @property
    def config(self) -> Any:
        """The Hugging Face config."""
        return self._config()

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer."""
        if (tokenizer := self._tokenizer()) is None:
            raise ModelError(f"{self.name} was given without a tokenizer; give it too: load(model, tokenizer=…).")
        return tokenizer

    @property
    def n_blocks(self) -> int:
        """L, the number of blocks; where one block is run many times (ALBERT), of its runs."""
        return int(self.config.get_text_config().num_hidden_layers)

    @property
    def width(self) -> int:
        """The size d of the residual stream."""
        return int(self.config.get_text_config().hidden_size)

    @property
    def vocab_size(self) -> int:
        """The number V of logits at a position."""
        return int(self.config.get_text_config().vocab_size)

    @property
    def kind(self) -> Kind:
        """`causal` (predicts the next token) or `masked` (predicts a masked one)."""
        return kind_of(self.config, "" if self._in_memory is None else type(self._in_memory).__name__)

    @property
    def context(self) -> int | None:
        """The most tokens it can read at once; None where there is no bound."""
        return context_of(self.config, self._tokenizer())

    @property
    def mask_token(self) -> str | None:
        """What the mask is called in a masked model's text; None for a causal model."""
        if self.kind == "causal":
            return None
        if (mask := self.tokenizer.mask_token) is None:
            raise ModelError(f"{self.name} fills in masks, but its tokenizer has no mask token. Give it one that has.")
        return str(mask)

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._in_memory is not None or self._proven.done

    @property
    def hf(self) -> Any:
        """The `PreTrainedModel`; it is loaded and its anatomy proved at first use."""
        return self._proven()[0]

    @property
    def anatomy(self) -> Anatomy:
        """Its blocks and head, proved to be what they are taken for."""
        return self._proven()[1]

    @property
    def device(self) -> torch.device:
        """Where the loaded model is."""
        device: torch.device = self.hf.device
        return device

    @property
    def float64_device(self) -> torch.device:
        """Where float64 sums over its vectors are made: its own GPU, or the CPU, as Apple's GPUs have no float64."""
        return self.device if self.device.type == "cuda" else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the loaded model."""
        dtype: torch.dtype = self.hf.dtype
        return dtype

    @property
    def fingerprint(self) -> str:
        """Hex sha256 that tells these weights from others, in whatever precision they were loaded."""
        return self._fingerprint()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of its blocks that linear maps can stand in for, of `lens.plans.PARTS`."""
        return tuple(part for part in PARTS if self._has(part))

    @property
    def sample(self) -> tuple[int, ...]:
        """The tokens of a short text, on which is tried what is said of a model."""
        without_text = tuple(range(min(8, self.vocab_size)))
        return without_text if self._tokenizer() is None else self.encode(SAMPLE).ids

    def fetch(self) -> None:
        """Bring its weights and its tokenizer into memory, if they are not there."""
        _ = self.hf, self.tokenizer

    def label(self, token_id: int) -> str:
        """How a token is shown: spaces, line breaks, bytes and controls as something to be seen."""
        return self._label()(int(token_id))

    def encode(self, text: str, *, limit: int | None = None) -> Tokens:
        """The tokens of a text, cut to the context and to `limit`; raises TextError for a text without any."""
        bounds = [bound for bound in (self.context, limit) if bound is not None]
        with tokenizer_in_words(self.name):
            return tokenize(self.tokenizer, text, self.label, self.mask_token, min(bounds, default=None))

    @memory_in_words
    def record(
        self,
        tokens: Tokens | Sequence[Tokens],
        *,
        padding: Literal["left", "right"] = "right",
        head: bool = True,
        parts: Sequence[str] = (),
    ) -> Recording:
        """One plain forward over a text or a batch of texts, with all that is needed to carry out any block again.

        Without `head` the model's logits are not computed; `parts` ("attn", "ffn", "ln") are listened to as well.
        Raises TextError for tokens that the model cannot read, ModelError for a part that its blocks do not have.
        """
        rows = [tokens.ids] if isinstance(tokens, Tokens) else [row.ids for row in tokens]
        hf, anatomy = self._proven()
        inputs = batch(hf, rows, padding)
        with self.lock, passages({part: self.spans(part) for part in parts}) as heard:
            if head:
                done = run(hf, anatomy, inputs)
                calls, streams, logits = done.calls, done.streams, done.logits
            else:
                (calls, streams), logits = run_without_head(hf, anatomy, inputs), None
        return Recording(self, calls, inputs["input_ids"], inputs["attention_mask"], streams, logits, heard)

    def recording(self, tokens: Tokens) -> Recording:
        """What `read_recording` and `compare_recording` take: `record(tokens)`, or what stands for it elsewhere."""
        return self.record(tokens)

    def spans(self, part: str) -> tuple[tuple[Span, ...], ...]:
        """For each block the modules that make up `part`, proved at first use; ModelError where there is none."""
        if part not in self._spans:
            self._spans[part] = Once(lambda: self._prove_part(part))
        return self._spans[part]()

    def unembed(self, stream: Tensor) -> Tensor:
        """Logits (…, V) of a stream (…, d) at boundary L, as the model computes them, to rounding."""
        with torch.no_grad():
            return self.anatomy.unembed(stream)

    def wait(self) -> None:
        """Until what was asked of the device is done: a GPU works behind the caller's back."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def diverted(self, onward: Onward) -> Iterator[None]:
        """While this lasts, the model's own forward hands its blocks' calls and the first stream (B, T, d) to `onward`,
        and goes on with what it returns; no block runs but those that `onward` runs.
        """
        anatomy = self.anatomy
        with self.lock, diverted(anatomy.blocks, self.n_blocks, self._extras(), onward):
            yield

    def slots(self, applications: int, given: Any = None) -> Any:
        """A `Cache` of Hugging Face for plans that run blocks so many times, in the place of an empty `given`; None for
        a masked model.
        """
        return slot_cache(self.config, applications, given) if self.kind == "causal" else None

    def _prove(self) -> tuple[Any, Anatomy]:
        hf = self._in_memory
        if hf is None:
            hf = read_weights(self._source, self.config, self.kind, *self._options)
        return hf, proven(hf, self._sample(hf))

    def _has(self, part: str) -> bool:
        try:
            return bool(self.spans(part))
        except LensError:
            return False

    def _prove_part(self, part: str) -> tuple[tuple[Span, ...], ...]:
        hf, anatomy = self._proven()
        blocks = anatomy.blocks if len(anatomy.blocks) == self.n_blocks else ()  # ALBERT runs one block many times
        if not blocks:
            raise ModelError(f"{self.name} runs the same block again and again; its parts can't be told apart.")
        spans = tuple(spans_of(block, part, anatomy.family) for block in blocks)
        with self.lock:
            prove_part(hf, anatomy, spans, self._sample(hf))
        return spans

    def _sample(self, hf: Any) -> dict[str, Tensor]:
        return batch(hf, [self.sample], "right")
