"""Which maps a plan takes, which blocks really run, and what a run says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import lens
from lens.casts import Maps, store_folder
from lens.errors import MapsError, PlanError
from lens.execution import as_model, execute, finals, keep_maps, maps_for, outcome, trie
from lens.models import Model, Recording, Replay
from lens.plans import Plan

TEXT = "It was a dark night, and nobody in the house could sleep."


@pytest.fixture(scope="module")
def demo() -> Model:
    return lens.load("demo")


@pytest.fixture(scope="module")
def recording(demo: Model) -> Recording:
    return demo.record(demo.encode(TEXT))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where this user's own maps are kept meanwhile."""
    monkeypatch.setenv("LENS_MAPS", str(tmp_path))
    return tmp_path


@contextmanager
def counted(model: Model) -> Iterator[list[int]]:
    """The numbers of the blocks that run while this lasts."""
    ran: list[int] = []
    hooks = [
        block.register_forward_pre_hook(lambda _, __, number=number: ran.append(number))
        for number, block in enumerate(model.anatomy.blocks)
    ]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


# the plan, and the blocks that run beside those whose streams the recording holds
OUTCOMES = {
    "0-11": [],
    "0-4": [],
    "0": [],
    "0-3 8-11": [8, 9, 10, 11],
    "0-3 mat(4>11) 11": [11],
    "mat(0>11) 11": [11],
    "0x3 11": [0, 0, 0, 11],
    "0-3~attn 11": [0, 1, 2, 3, 11],
    "1-2 11": [1, 2, 11],
    "[0|1] 11": [0, 1, 11],
    "id(0>12)": [],
}


@pytest.mark.parametrize("plan", OUTCOMES)
def test_true_blocks_that_a_plan_begins_with_come_from_the_recording(
    demo: Model, recording: Recording, plan: str
) -> None:
    parsed, maps = Plan.parse(plan), maps_for(demo)
    expected = execute(recording, parsed, maps=maps)[-1]
    with counted(demo) as ran:
        found = outcome(recording, parsed, maps=maps)
    assert torch.equal(found, expected)
    assert ran == OUTCOMES[plan]


def test_plans_that_share_a_beginning_end_where_each_ends_alone(demo: Model, recording: Recording) -> None:
    plans, maps = [Plan.parse(text) for text in (*OUTCOMES, "1-11", "1-2 7", "0-3 [8|9] 11")], maps_for(demo)
    root, alone = trie(plans), [execute(recording, plan, maps=maps)[-1] for plan in plans]
    with counted(demo) as ran:  # behind the proof of what a block's parts are, which runs blocks once for each model
        ended = {number: end for numbers, end in finals(recording, root, maps=maps) for number in numbers}
    assert len(ran) == root.applications
    assert sorted(ended) == list(range(len(plans)))
    for number, plan in enumerate(plans):
        assert torch.equal(ended[number], alone[number]), plan


@pytest.mark.parametrize("plan", ["0-4 [5] 6-11", "0-4 [5]+ 6-11", "0-4 [(5 6)] 7-11", "0-4 [5]x1 [6]+ 7-11"])
def test_one_branch_is_that_branch_to_the_last_digit(demo: Model, plan: str) -> None:
    assert torch.equal(lens.run(demo, TEXT, plan).logits, lens.run(demo, TEXT, "0-11").logits)


def test_blocks_side_by_side_share_a_call_where_that_is_asked_for(demo: Model) -> None:
    plan = "0-3 [4-7] 8-11"
    for batched in (False, True):
        lens.run(demo, TEXT, plan, batched=batched)  # the proof that they may runs them
    ran = {}
    for batched in (None, False, True):
        options = {} if batched is None else {"batched": batched}
        with counted(demo) as blocks:
            lens.run(demo, TEXT, plan, **options)  # type: ignore[arg-type]
        ran[batched] = blocks[12:].count(5)  # behind the recording
    assert ran == {None: 1, False: 1, True: 0}


def test_a_replay_does_not_know_where_to_begin(demo: Model, recording: Recording) -> None:
    replay = Replay(demo, recording.calls)
    with pytest.raises(TypeError, match="a Replay holds no stream to start from: give one"):
        execute(replay, Plan.parse("0"))
    assert torch.equal(execute(replay, Plan.parse("0-11"), stream=recording.streams[0])[-1], recording.streams[-1])


def test_a_run_says_what_it_was(demo: Model, recording: Recording) -> None:
    plan = Plan.parse("0-3  7-4 8-11")
    found = lens.run(demo, TEXT, plan)
    tokens = demo.encode(TEXT)
    assert (found.model, found.text, found.plan) == ("demo", TEXT, "0-3 7-4 8-11")
    assert (found.tokens, found.total) == (tokens.labels, len(tokens))
    streams = execute(recording, plan)
    assert len(found.streams) == 4
    for stream, other in zip(found.streams, streams, strict=True):
        assert torch.equal(stream, other[0])
    assert torch.equal(found.logits, demo.unembed(streams[-1])[0])


def test_maps_fitted_here_come_before_those_a_model_came_with(demo: Model, elsewhere: Path) -> None:
    own = maps_for(demo)
    assert own is not None
    assert own.card == Maps.load(demo.folder / "maps").card  # type: ignore[operator]
    mine = Maps(replace(own.card, corpus="mine"), {"mat.0.12.matrix": torch.eye(192)})
    folder = keep_maps(demo, mine)
    assert folder == store_folder(demo.fingerprint)
    assert folder.is_relative_to(elsewhere)
    kept = maps_for(demo)
    assert kept is not None
    assert kept.card.corpus == "mine"
    assert maps_for(demo, own) is own


def test_a_model_without_maps_has_none(tiny: Any, elsewhere: Path) -> None:
    assert not list(elsewhere.iterdir())
    assert maps_for(tiny("gpt2")) is None


@pytest.mark.parametrize("change", [{"fingerprint": "e" * 64}, {"n_blocks": 11}, {"width": 64}])
def test_maps_of_another_model_are_refused_by_name(demo: Model, change: dict[str, Any]) -> None:
    """Also where the plan needs none: whoever gives them means them."""
    own = maps_for(demo)
    assert own is not None
    other = Maps(replace(own.card, model="another", scores={}, **change))
    for plan in ("0-3 mat(4>12)", "0-3"):
        with pytest.raises(MapsError, match=r"another.* demo"):
            lens.run(demo, TEXT, plan, maps=other)


def test_maps_are_looked_for_where_a_plan_needs_them_and_nowhere_else(demo: Model, elsewhere: Path) -> None:
    """Those kept here are damaged: it is said to whoever uses them, and to nobody else."""
    folder = store_folder(demo.fingerprint)
    folder.mkdir()
    (folder / "card.json").write_text("damaged")
    assert lens.run(demo, TEXT, "0-3 (4-5) [6|7] id(7>8) 8-11").logits.isfinite().all()
    for plan in ("0-11~attn", "(mat(0>4)) 4-11"):
        with pytest.raises(MapsError, match="is not a card of fitted maps"):
            lens.run(demo, TEXT, plan)


def test_a_plan_that_does_not_fit_is_refused_before_anything_runs(demo: Model) -> None:
    with pytest.raises(PlanError, match="block 12 does not exist"):
        as_model(demo, Plan.parse("0-12"))


@pytest.mark.parametrize("plan", ["0 mat(1>3) 3", "0-2 3~attn", "0 [1|(mat(1>2) 2)] 3"])
def test_a_plan_that_needs_maps_says_so(tiny: Any, byte_level: Any, elsewhere: Path, plan: str) -> None:
    model = tiny("gpt2")
    with pytest.raises(MapsError, match="No maps are fitted"):
        execute(recorded(model), Plan.parse(plan))


def recorded(model: Model) -> Recording:
    from tests.contracts.test_families import tokens

    return model.record(tokens(9))
