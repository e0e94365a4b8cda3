"""From a question to its answer, with what can be kept between questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from lens._cache import ByteCache
from lens._limits import allowed_models, limit
from lens.analyses import compare_recording, read_recording
from lens.casts import Maps, casts
from lens.errors import MapsError, ModelError
from lens.execution import maps_for
from lens.models import Model, Recording, Tokens
from lens.numerics import Compared, Reading
from lens.panels._together import together
from lens.plans import Plan

__all__ = ["LISTED", "Answer", "Question", "Shelf", "readable"]

LISTED = 20  # predictions computed per cell, so that listing more or fewer costs nothing
KEPT = 3  # models in memory at once


@dataclass(frozen=True)
class Question:
    """What one answer depends on."""

    model: str
    text: str
    target: int | None = None
    position: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What lens found out; `reading` is None where a masked model was given no mask."""

    question: Question
    model: Model
    tokens: Tokens
    reading: Reading | None
    absent: dict[str, str]  # cast → why it cannot be shown

    @property
    def name(self) -> str:
        """The model's name as a person says it."""
        return name_of(self.model)

    @property
    def target(self) -> int:
        """The target boundary in use."""
        wanted = self.question.target
        return self.model.n_blocks if wanted is None else min(wanted, self.model.n_blocks)

    @cached_property
    def position(self) -> int:
        """The token looked at: the one asked for; for a masked model the mask nearest to it."""
        last = len(self.tokens.ids) - 1
        wanted = last if self.question.position is None else min(self.question.position, last)
        if self.model.kind == "causal" or not self.tokens.masks:
            return wanted
        near = 0 if self.question.position is None else wanted
        return min(self.tokens.masks, key=lambda mask: abs(mask - near))


@dataclass
class Shelf:
    """Models, recordings and readings that are at hand."""

    models: dict[str, Model] = field(default_factory=dict)
    maps: dict[str, Maps | None] = field(default_factory=dict)
    given: dict[str, Maps] = field(default_factory=dict)  # what a model is read with, once it is loaded
    cache: ByteCache = field(default_factory=lambda: ByteCache(limit("kept") * 2**20))
    _latest: tuple[tuple[str, str], Recording] | None = None  # what is looked at, even where the cache is too small

    def add(self, model: Model, maps: Maps | None = None) -> None:
        """Have `model` at hand under its name, with `maps` if they are given. MapsError if those are another's."""
        self.models[model.name] = model
        if maps is not None:
            self.keep_maps(model, maps_for(model, maps))

    def load(self, name: str) -> None:
        """Bring the model called `name` into memory; the one loaded longest ago makes room for it."""
        _require_allowed(name)
        while len(self.models) >= KEPT and name not in self.models:
            forgotten = self.models.pop(next(iter(self.models)))
            self.maps.pop(forgotten.name, None)
            self.forget()  # recordings hold on to their model's blocks
        model = self.models.pop(name, None) or together(name)
        model.fetch()
        self.models[name] = model

    def ready(self, name: str) -> bool:
        """Whether a question to `name` can be answered without loading anything."""
        return name in self.models and self.models[name].loaded

    def answer(self, question: Question) -> Answer:
        """Answer `question`; raises LensError in words."""
        model = self.models[question.model]
        tokens = model.encode(question.text, limit=limit("tokens"))
        bare = Answer(question, model, tokens, None, {})
        if model.kind == "masked" and not tokens.masks:
            return bare
        recording = self._recording(question, model, tokens)
        maps, absent = self._maps(model, bare.target)
        shown = readable(maps, bare.target)

        def make() -> tuple[Reading, int]:
            reading = read_recording(
                recording, tokens, casts=shown, target=bare.target, k=min(LISTED, model.vocab_size), maps=maps
            )
            return reading, reading.nbytes

        try:
            reading = self.cache.get((question.model, question.text, bare.target, shown), make)
        except MapsError:
            if model.remote is not None:  # an engine that was started anew no longer has them: go on without
                self.maps.pop(model.name, None)
                self.forget()
            raise
        return Answer(question, model, tokens, reading, absent)

    def ahead(self, answer: Answer, report: Callable[[int], None]) -> None:
        """Keep the readings for the targets on either side of an answer's; told of each, `report` may end it."""
        for target in (answer.target - 1, answer.target + 1):
            if 0 <= target <= answer.model.n_blocks:
                report(target)
                self.answer(replace(answer.question, target=target))

    def compared(self, question: Question, plan: Plan) -> Compared:
        """The text of `question` under `plan`, beside the full model; raises LensError in words."""
        model = self.models[question.model]
        tokens = model.encode(question.text, limit=limit("tokens"))
        recording = self._recording(question, model, tokens)
        maps, _ = self._maps(model, model.n_blocks)

        def make() -> tuple[Compared, int]:
            found = compare_recording(recording, tokens, plan, maps=maps, k=min(LISTED, model.vocab_size))
            return found, found.token_ids.nbytes * 4

        found: Compared = self.cache.get((question.model, question.text, plan), make)
        return found

    def _recording(self, question: Question, model: Model, tokens: Tokens) -> Recording:
        key, latest = (question.model, question.text), self._latest

        def make() -> tuple[Recording, int]:
            return _sized(latest[1] if latest and latest[0] == key else model.recording(tokens))

        found: Recording = self.cache.get(key, make)
        self._latest = key, found
        return found

    def keep_maps(self, model: Model, maps: Maps | None) -> None:
        """Use `maps` for `model` from now on; what was read with others is forgotten."""
        self.maps[model.name] = maps
        self.forget()

    def forget(self) -> None:
        """Let go of what answers have left, but not of the models."""
        self.cache.clear()
        self._latest = None

    def _maps(self, model: Model, target: int) -> tuple[Maps | None, dict[str, str]]:
        try:
            if model.name not in self.maps:
                self.maps[model.name] = maps_for(model, self.given.get(model.name))
        except MapsError as error:
            return None, {"mat": str(error)}
        maps = self.maps[model.name]
        if maps is None:
            return None, {"mat": f"No linear maps are fitted for {name_of(model)} yet."}
        if not maps.covers("mat", tuple(range(target + 1)), target):
            return maps, {"mat": f"The maps fitted for {name_of(model)} do not go to layer {target}."}
        return maps, {}


def readable(maps: Maps | None, target: int) -> tuple[str, ...]:
    """`id`, `mat`, then every other cast that goes from each layer up to the target."""
    sources = tuple(range(target + 1))
    fitted = [name for name, cast in casts().items() if cast.fitted and maps and maps.covers(name, sources, target)]
    return "id", *sorted(fitted, key=lambda name: name != "mat")


def _require_allowed(name: str) -> None:
    """ModelError for a model that who runs lens does not offer; nothing is looked up on this machine or the hub."""
    offered = allowed_models()
    if offered is not None and name not in offered:
        raise ModelError(
            f"{name[:200]!r} is not among the models offered here: {', '.join(offered)}. "
            "Who runs lens chooses them by LENS_MODELS."
        )


def name_of(model: Model) -> str:
    """The model's name as a person says it: of a folder, its own name."""
    return model.folder.name if model.folder else model.name


def _sized(recording: Recording) -> tuple[Recording, int]:
    return recording, recording.nbytes
