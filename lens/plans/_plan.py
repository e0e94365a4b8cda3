"""A plan: what runs, in which order; a value that is hashed, printed, parsed back and sent as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lens.errors import PlanError
from lens.plans import _grammar, _json
from lens.plans._stages import Blocks, Stage, compacted, flattened, require_members, require_steps, walk

__all__ = ["Plan"]

_EMPTY = (
    "a plan needs at least one stage, such as 0-3; "
    "to read the embeddings directly write id(0>L), where L is the number of blocks"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages run one after the other on the embeddings of a model, `0-3 mat(4>8) 8-11`.

    `str(plan)` is the canonical text, and `Plan.parse(str(plan)) == plan`. Raises PlanError if there is no stage, or
    more than `MAX_APPLICATIONS` block applications and jumps, or more than `MAX_TEXT` characters.
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        require_members("stages", self.stages, Stage, _EMPTY)
        require_steps(self.steps)
        if len(str(self)) > _grammar.MAX_TEXT:
            raise PlanError(f"this plan prints as more than {_grammar.MAX_TEXT:,} characters: use ranges and repeats")

    def __str__(self) -> str:
        return " ".join(map(str, self.stages))

    @classmethod
    def parse(cls, text: str, n_blocks: int | None = None) -> Plan:
        """Read a plan; with `n_blocks`, also check that its blocks and layers exist in such a model.

        Raises PlanError, whose `start` and `end` delimit the mistake in `text`.
        """
        return _grammar.parse(text, n_blocks, cls)

    @classmethod
    def full(cls, n_blocks: int) -> Plan:
        """The model as it is: every block once, in order. Raises PlanError for a model without blocks."""
        if not hasattr(n_blocks, "__index__") or n_blocks < 1:
            raise PlanError(f"a model has at least one block, not {n_blocks}")
        return cls((Blocks(0, int(n_blocks) - 1),))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote. Raises PlanError on anything else, unknown keys included."""
        return cls(_json.load(text))

    def to_json(self) -> str:
        """The plan as `{"stages":[{"kind":"blocks","first":0,"last":3}]}`, defaults left out."""
        return _json.dump(self.stages)

    def check(self, n_blocks: int) -> Plan:
        """This plan, if blocks 0…n_blocks−1 and layers 0…n_blocks are all that it names.

        Raises PlanError, which points into the canonical text.
        """
        _parsed(self, n_blocks)
        return self

    def travels(self) -> str:
        """What stands for it in a question to a shared engine."""
        return str(self)

    def walk(self) -> Iterator[Stage]:
        """Each stage, then the stages and branches inside it, as they are written; a repeat is met once."""
        return walk(self.stages)

    @property
    def flat(self) -> tuple[Stage, ...]:
        """What runs one after the other, ranges, repeats and groups taken apart: single blocks, jumps, parallel stages.

        Plans with equal `flat` do the same, and plans whose `flat` begin alike share that beginning.
        """
        return tuple(flattened(self.stages))

    @property
    def compact(self) -> Plan:
        """The same plan with neighbouring blocks as ranges and equal ones as repeats."""
        return Plan(compacted(self.stages))

    @property
    def inversions(self) -> int:
        """How many pairs of blocks run in another order than their own; Kendall's τ is 1 − 4 · inversions / (M (M − 1))
        for an order of M blocks. What runs in parallel has no order.
        """
        order = [stage.first for stage in self.flat if isinstance(stage, Blocks)]
        return sum(later < block for place, block in enumerate(order) for later in order[place + 1 :])

    @property
    def steps(self) -> int:
        """How many blocks and jumps run, repeats counted."""
        return sum(stage.steps for stage in self.stages)

    @property
    def applications(self) -> int:
        """How many blocks run, repeats counted; a jump counts 0."""
        return sum(stage.applications for stage in self.stages)

    @property
    def depth(self) -> int:
        """How many blocks run one after the other: a parallel stage counts its deepest branch, times its repeats."""
        return sum(stage.depth for stage in self.stages)


@lru_cache(maxsize=4096)
def _parsed(plan: Plan, n_blocks: int) -> Plan:
    """Read back from its own text, against a model; once for each, as every token that is written runs a plan anew."""
    return Plan.parse(str(plan), n_blocks)
