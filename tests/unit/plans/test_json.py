"""Plans as JSON: what an editor reads and writes, and what is refused."""

from __future__ import annotations

import json

import pytest

from lens.errors import PlanError
from lens.plans import Plan
from lens.plans._json import MAX_JSON

BLOCK = '{"kind":"blocks","first":1,"last":1}'
KINDS = "must be an object whose kind is one of blocks, jump, group, parallel"


def test_defaults_are_left_out() -> None:
    plan = Plan.parse("0-3 6~attnx4 mat(4>8) (7-4)x2 (5) [4-5|(6 7)]+x3 [4]")
    assert json.loads(plan.to_json()) == {
        "stages": [
            {"kind": "blocks", "first": 0, "last": 3},
            {"kind": "blocks", "first": 6, "last": 6, "part": "attn", "times": 4},
            {"kind": "jump", "cast": "mat", "source": 4, "target": 8},
            {"kind": "group", "stages": [{"kind": "blocks", "first": 7, "last": 4}], "times": 2},
            {"kind": "group", "stages": [{"kind": "blocks", "first": 5, "last": 5}]},
            {
                "kind": "parallel",
                "items": [
                    {"kind": "blocks", "first": 4, "last": 5},
                    {
                        "kind": "group",
                        "stages": [
                            {"kind": "blocks", "first": 6, "last": 6},
                            {"kind": "blocks", "first": 7, "last": 7},
                        ],
                    },
                ],
                "combine": "sum",
                "times": 3,
            },
            {"kind": "parallel", "items": [{"kind": "blocks", "first": 4, "last": 4}]},
        ]
    }


def test_defaults_and_indents_may_be_written() -> None:
    text = '{\n  "stages": [{"kind": "blocks", "first": 0, "last": 3, "part": null, "times": 1}]\n}'
    assert Plan.from_json(text) == Plan.parse("0-3")


def test_it_is_written_without_spaces_and_read_up_to_its_longest() -> None:
    written = Plan.parse("0-3").to_json()
    assert written == '{"stages":[{"kind":"blocks","first":0,"last":3}]}'
    assert Plan.from_json(written.ljust(MAX_JSON)) == Plan.parse("0-3")
    with pytest.raises(PlanError, match=r"has 1,000,001 characters, and at most 1,000,000 are read"):
        Plan.from_json(written.ljust(MAX_JSON + 1))


def stages(*each: str) -> str:
    return f'{{"stages":[{",".join(each)}]}}'


def nested(levels: int) -> str:
    return stages('{"kind":"group","stages":[' * levels + BLOCK + "]}" * levels)


MALFORMED = [
    ("", "this is not JSON: Expecting value"),
    ("0-3", "this is not JSON: Extra data"),
    ("[]", "the plan must be an object, not []"),
    ("{}", "the plan lacks stages"),
    (stages(BLOCK)[:-1] + ',"version":2}', "the plan has unknown keys: ['version']; allowed are stages"),
    ('{"stages":[],"stages":[]}', "one object of this JSON names a key twice: remove one of the two"),
    ('{"stages":"0-3"}', "stages must be a list of stages, not '0-3'"),
    (stages('"0-3"'), f"stages[0] {KINDS}"),
    (stages(BLOCK, '{"first":1,"last":1}'), f"stages[1] {KINDS}"),
    (stages('{"kind":"loop"}'), f"stages[0] {KINDS}"),
    (stages('{"kind":["blocks"]}'), f"stages[0] {KINDS}"),
    (stages('{"kind":"blocks"}'), "stages[0] lacks first, last"),
    (
        stages(BLOCK[:-1] + ',"time":2}'),
        "stages[0] has unknown keys: ['time']; allowed are first, kind, last, part, times",
    ),
    (stages('{"kind":"blocks","first":"1","last":1}'), "stages[0]: first must be a whole number, not '1'"),
    (stages('{"kind":"blocks","first":1,"last":1e0}'), "stages[0]: last must be a whole number, not 1.0"),
    (stages('{"kind":"blocks","first":1,"last":NaN}'), "stages[0]: last must be a whole number, not nan"),
    (stages('{"kind":"blocks","first":true,"last":1}'), "stages[0]: first must be a whole number, not True"),
    (stages(BLOCK[:-1] + ',"part":[]}'), "stages[0]: [] is not a part of a block: the parts are attn, ffn, ln"),
    (stages('{"kind":"jump","cast":7,"source":0,"target":1}'), None),
    (stages('{"kind":"group","stages":{}}'), "stages[0].stages must be a list of stages, not {}"),
    (
        stages('{"kind":"group","stages":[' + BLOCK + ',{"kind":"parallel","items":[]}]}'),
        "stages[0].stages[1]: a parallel stage needs at least one branch, as in [4|6]",
    ),
    (stages(BLOCK[:-1] + ',"times":4097}'), None),
    (nested(17), "stages[0]: more than 16 brackets inside one another: write the plan with fewer"),
    (nested(5000), "this JSON nests too deeply to be a plan"),
    ("[" * 100_000, None),
    ("1" * 5000, "this JSON holds a number that is too large for a plan"),
    (" " * 1_000_001, "this JSON has 1,000,001 characters, and at most 1,000,000 are read"),
    (stages(*[BLOCK] * 5001), None),
]


@pytest.mark.parametrize(("text", "message"), MALFORMED)
def test_anything_else_is_a_plan_error(text: str, message: str | None) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_json(text)
    assert message is None or str(caught.value) == message
    assert 0 <= caught.value.start <= len(caught.value.text)


def test_broken_json_is_placed() -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_json('{"stages":[}')
    assert (caught.value.text, caught.value.start, caught.value.end) == ('{"stages":[}', 11, 12)
