"""What comes from outside is bounded and looked at, on both sides, and refused in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.responses import Response

import lens
from lens.analyses import heldout_sentences
from lens.cluster._host import Host
from lens.errors import EngineError, LensError
from lens.models import Model
from lens.wire import MEDIA, calls, encode, frames
from tests._questions import TEXT
from tests.unit.cluster._near import TOKEN, at, near


def test_more_than_an_engine_takes_on_is_refused_in_words(here: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lens.cluster._host.ALL", 0)
    with near(Host({"demo": here})) as address, pytest.raises(EngineError, match="as much to do as it takes on"):
        lens.read(lens.load("demo", engine=address), TEXT)


def test_work_that_takes_too_long_is_stopped_in_words(there: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MAX_SECONDS", "1")
    with pytest.raises(LensError, match="longer than 1 seconds"):
        lens.sweep(there, heldout_sentences()[:300], [f"0-{n} {n + 2}-11" for n in range(10)])


def test_without_the_token_nobody_comes_in(address: str) -> None:
    for wrong in (address.partition("?")[0], address + "x"):
        with pytest.raises(LensError, match="for those who know its token"):
            _ = lens.load("demo", engine=wrong).kind


def question(**changed: Any) -> bytes:
    asked = {"call": "read", "model": "demo", "arguments": {"text": TEXT}, "heard": ()}
    return encode(asked | changed)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "can't be read"),
        (b"GET / HTTP/1.1", 400, "can't be read"),
        (encode(["read"]), 400, "not of the form"),
        (question(call="system"), 404, "no function 'system' here"),
        (question(call="save_checkpoint"), 404, "no function"),
        (question(model="gpt2"), 404, "'gpt2' is not on this engine, which holds demo, demo-bert"),
        (question(model="../../secret"), 404, "is not on this engine"),
        (question(arguments={"folder": "x"}), 400, "read takes no 'folder' here"),
        (question(arguments={"text": 5}), 400, "text of read is of another type"),
        (question(call="fit", arguments={"checkpoint": "x"}), 400, "fit takes no 'checkpoint'"),
        (question(heard=("progress",)), 400, "tells nothing on the way"),
        (question(more=1), 400, "not of the form"),
        (b"x" * 10_000_000, 413, "No question has more than"),
    ],
)
def test_what_is_no_question_gets_words_and_a_status(body: bytes, status: int, words: str, address: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    response = httpx.post(address.partition("?")[0] + "ask", content=body, headers=headers, trust_env=False)
    assert response.status_code == status
    ((kind, said),) = frames([response.content])
    assert kind == "error"
    assert words in said["words"]


def test_another_address_is_no_door_and_health_needs_no_token(address: str) -> None:
    at = address.partition("?")[0]
    assert httpx.get(at + "ask", trust_env=False).status_code == 404
    assert httpx.get(at + "health", trust_env=False).json() == {"lens": lens.__version__, "questions": 0}


def test_only_what_is_meant_to_be_asked_can_be_asked() -> None:
    """What a stranger may call, with what: a new function or argument is thought about here before it is served."""
    assert {name: sorted(call.types) for name, call in calls().items()} == ASKABLE


MEASURED = ["corpus", "maps", "positions", "seed", "texts"]
SWEPT = ["by", "corpus", "maps", "positions", "seed", "texts", "timed"]
ASKABLE = {
    "alternation": sorted([*MEASURED, "cast", "ks"]),
    "compare_plan": ["k", "maps", "plan", "text"],
    "compare_recording": ["k", "maps", "plan", "tokens"],
    "composition": sorted([*MEASURED, "cast", "target"]),
    "curves": sorted([*MEASURED, "by", "casts", "ks", "target"]),
    "early_exit": sorted([*MEASURED, "casts", "lambdas"]),
    "encoded": ["limit", "text"],
    "exit_times": ["cast", "maps", "seed", "sentences", "texts", "threshold"],
    "facts": [],
    "fit": sorted([*"texts kind pairs parts positions ridge rank holdout seed corpus heldout_corpus".split()]),  # noqa: SIM905
    "fit_budget": ["kinds", "pairs", "parts"],
    "generate": ["maps", "max_new_tokens", "plan", "seed", "temperature", "text"],
    "generation": ["maps", "max_new_tokens", "plan", "seed", "temperature", "text"],
    "labelled": ["token"],
    "latency": ["maps", "plan", "rounds", "text"],
    "layers": ["corpus", "seed", "texts"],
    "loops": sorted([*SWEPT, "join", "most"]),
    "maps_for": ["maps"],
    "orders": sorted([*SWEPT, "n", "samples"]),
    "painters": sorted([*SWEPT, "recipes", "seeds"]),
    "r2": sorted([*MEASURED, "casts"]),
    "read": ["casts", "k", "maps", "position", "target", "text"],
    "read_recording": ["casts", "k", "maps", "position", "target", "tokens"],
    "submodules": sorted([*MEASURED, "casts", "ks", "parts"]),
    "sweep": sorted([*SWEPT, "plans"]),
    "transfer": ["corpora", "holdout", "kind", "positions", "rank", "ridge", "seed"],
    "windows": sorted([*SWEPT, "parameters", "recipe"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("demo", "'demo' is no engine: give its address"),
        ("ftp://host", "is no engine"),
        ("http://host/?token=ü", "characters that no token has"),
        ("http://127.0.0.1:9", "There is no engine at http://127.0.0.1:9. Start one there with lens serve"),
    ],
)
def test_an_address_that_is_none_is_said(address: str, words: str) -> None:
    with pytest.raises(EngineError, match=words.replace("?", r"\?")):
        _ = lens.load("demo", engine=address).kind


def test_a_stranger_at_the_address_is_not_believed() -> None:
    answers = [
        (Response("hello", 200), "status 200"),
        (Response(encode(1), 200, media_type=MEDIA), "is no engine"),
        (Response(b"\xff\xff\xff\xff", 200, media_type=MEDIA), "more than any answer"),
    ]
    for response, words in answers:

        async def door(_: Any, response: Response = response) -> Response:
            return response

        with at(door) as found, pytest.raises(EngineError, match=words):
            _ = lens.load("demo", engine=found).kind


def test_work_that_is_lost_is_asked_for_once_more_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lens.wire._client.PAUSE", 0.0)
    asked: list[int] = []

    async def door(request: Any) -> Response:
        if request.url.path.endswith("health"):
            return Response("it is back")
        asked.append(1)
        return Response("bad gateway", 502)

    with at(door) as found, pytest.raises(EngineError, match="lost this work twice"):
        _ = lens.load("demo", engine=found).kind
    assert len(asked) == 2
