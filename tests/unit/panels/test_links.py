"""A session goes into a link and comes out the same; a damaged link opens what it can, and says what it left out."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from traitlets import Enum, Float, Int

import lens
from lens._limits import DEFAULTS
from lens.casts import casts
from lens.engine import InlineEngine
from lens.panels import Explore, panels
from lens.panels._link import FIELDS, Followed, choices, from_link, to_address, to_link
from lens.panels._session import Session

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
PLAN = st.sampled_from(["", "0-3 8-11", "0-3 [4|6]+x2 mat(8>12)", "(0-70)x3"])
SPECIAL = {
    "panel": st.sampled_from(list(panels())),
    "cast": st.sampled_from([*casts(), "difference"]),
    "plan": PLAN,
    "other_plan": PLAN,
    "step": st.just(1),  # every lesson has it
}


def values(name: str) -> st.SearchStrategy[Any]:
    """Every value that a choice may have."""
    trait: Any = Session.class_traits()[name]
    if name in SPECIAL:
        return SPECIAL[name]
    if isinstance(trait, Enum):
        return st.sampled_from(list(trait.values))
    if isinstance(trait, Float):
        return st.floats(trait.min, trait.max)
    if isinstance(trait, Int):
        numbers = st.integers(trait.min, trait.max)
        return st.none() | numbers if trait.allow_none else numbers
    return TEXT


SESSIONS = st.fixed_dictionaries({}, optional={name: values(name) for name in FIELDS})


@settings(max_examples=200, deadline=None)
@given(SESSIONS)
@example({"text": "a+b & c=d%20 #x ?y\n\tمرحبا 🙂\u2028\0"})
def test_a_session_comes_out_of_its_link_as_it_went_in(chosen: dict[str, Any]) -> None:
    session = Session(**chosen)
    found, left_out = from_link(to_link(session))
    assert left_out == []
    assert choices(Session(**found)) == choices(session)
    assert from_link(choices(session)) == (choices(session), [])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300) | st.lists(st.tuples(st.sampled_from(FIELDS), st.text(max_size=30))).map(
    lambda pairs: "?" + "&".join(f"{name}={quote(value, errors='replace')}" for name, value in pairs)
))  # fmt: skip
def test_whatever_the_link_what_is_taken_is_valid(link: str) -> None:
    found, left_out = from_link(link)
    Session(**found)
    assert all(isinstance(words, str) and len(words) < 400 for words in left_out)


@pytest.mark.parametrize(
    ("link", "taken", "words"),
    [
        ("", {}, []),
        ("?token=secret&text=Hi", {"text": "Hi"}, []),
        ("?source=2&sauce=3", {"source": 2}, ["'sauce', which is no choice here"]),
        ("?source=-1", {}, ["source '-1': it must be a number from 0 to 9999"]),
        (
            "?source=1e3&k=٣",
            {},
            ["source '1e3': it must be a number from 0 to 9999", "k '٣': it must be a number from 1 to 20"],
        ),
        ("?k=21&k=4", {"k": 4}, ["k '21': it must be a number from 1 to 20"]),
        ("?text=a&text=b", {"text": "a"}, ["a second text"]),
        ("?metric=love", {}, ["metric 'love': it may be probability, entropy, rank, kl, surprisal"]),
        ("?exit=nan", {}, ["exit 'nan': it must be a number from -0.1 to 1.11, to a hundredth"]),
        ("?exit=0.455", {}, ["exit '0.455': it must be a number from -0.1 to 1.11, to a hundredth"]),
        ("?exit=0.4600000000000001", {"exit": 0.46}, []),
        ("?sentences=30", {}, ["sentences '30': it may be 0, 20, 50, 100, 200, 500"]),
        ("?sentences=", {"sentences": None}, []),
        ("?lesson=5&step=99", {"lesson": 5, "step": 5}, ["step '99': lesson 5 has 5 steps"]),
        ("?plan=)(", {}, ["plan ')(': ')' cannot be here: it closes nothing that is open here; check the brackets"]),
        ("?target=", {"target": None}, []),
        ("?precision=5", {"precision": 5}, []),
        ("?panel=nowhere", {}, [f"panel 'nowhere': it may be {', '.join(panels())}"]),
        (
            "?plan=" + "0" * 5000,
            {},
            [f"plan '{'0' * 40}…': it has 5,000 characters, and at most 4,000 are taken (set by LENS_MAX_PLAN)"],
        ),
        ("?text=" + "x" * 700_000, {}, ["the link, as it has more than 600,000 characters or 100 choices"]),
        ("?" + "&".join(["k=1"] * 200), {}, ["the link, as it has more than 600,000 characters or 100 choices"]),
        ("?text=%FF%FE", {"text": "\ufffd\ufffd"}, []),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_fit_is_left_out_and_said(link: str, taken: dict[str, Any], words: list[str]) -> None:
    assert from_link(link) == (taken, words)


def test_the_longest_session_fits_into_a_link() -> None:
    longest = Session(text="🙂" * DEFAULTS["text"], other_text="🙂" * DEFAULTS["text"], k=3)
    assert from_link(to_link(longest)) == (choices(longest), [])
    assert to_address(longest) == ("?model=demo&k=3", False)
    assert to_address(Session(k=3)) == (to_link(Session(k=3)), True)


def test_the_workbench_opens_a_link_and_says_what_it_left_out() -> None:
    bench = Explore(Session(), InlineEngine(), example=True)
    bench.follow("?text=She+opened+the&source=2&panel=r2&plan=0-3+8-11&size=9")
    assert bench.state == {
        "model": "demo",
        "text": "She opened the",
        "source": 2,
        "plan": "0-3 8-11",
        "panel": "r2",
    }
    assert bench.tabs.titles[bench.tabs.selected_index] == "r²"
    assert bench.header.told.detail == "Left out: 'size', which is no choice here."
    bench.header.told._handle_custom_msg({"kind": "action", "id": "put away"}, [])
    assert bench.header.told.kind == "none"
    bench.close()


@pytest.mark.parametrize(
    ("link", "kept", "words"),
    [
        ("source=99&target=7", {"source": 4, "target": 7}, ["source '99': demo has layers 0 to 12"]),
        ("source=9&target=7", {"source": 4, "target": 7}, ["source '9': it is beyond the target layer 7"]),
        ("source=2&target=99", {"source": 2, "target": None}, ["target '99': demo has layers 0 to 12"]),
        ("target=12", {"target": None}, []),
        ("position=3", {"position": None}, ["position '3': the sentence has 3 tokens, counted from 0"]),
        ("plan=0-3+40", {"plan": ""}, ["plan '0-3 40': block 40 does not exist: this model has blocks 0 to 11"]),
        ("other_plan=12", {"other_plan": ""}, ["other_plan '12': block 12 does not exist"]),
        ("cast=ridge", {"cast": "mat"}, ["cast 'ridge': demo is read here by id, mat"]),
        ("cast=difference&plan=", {"cast": "difference"}, []),
    ],
)
@pytest.mark.parametrize("way", ["follow", "state"])
def test_what_the_model_does_not_have_is_left_out_and_said(
    way: str, link: str, kept: dict[str, Any], words: list[str]
) -> None:
    link = f"?text=She+opened+the&sauce=1&{link}"
    if way == "follow":
        bench = Explore(Session(), InlineEngine(), example=True)
        bench.follow(link)
    else:
        followed = from_link(link)
        bench = Explore(Session(**followed.choices), InlineEngine(), followed=followed)
    assert {name: getattr(bench.session, name) for name in kept} == kept
    said = bench.header.told.detail
    assert said.startswith("Left out: 'sauce', which is no choice here")
    assert all(each in said for each in words)
    answer = bench.desk.answer
    assert (answer.question.target, answer.question.position) == (bench.session.target, None)
    assert not bench.desk.busy
    bench.header.told._handle_custom_msg({"kind": "action", "id": "put away"}, [])
    bench.follow("?source=3")
    assert bench.header.told.kind == "none"
    bench.close()


def test_what_a_person_changed_meanwhile_stays() -> None:
    bench = Explore(Session(), InlineEngine(), followed=Followed({"source": 99}, []))
    assert (bench.session.source, bench.header.told.kind) == (4, "none")
    bench.close()


def test_a_link_for_another_model_keeps_its_sentence() -> None:
    bench = Explore(Session(), InlineEngine(), example=True)
    bench.follow("?model=demo-bert&text=Nothing+is+masked")
    assert (bench.session.text, bench.desk.answer.model.name) == ("Nothing is masked", "demo-bert")
    bench.close()


def test_explore_takes_a_state_and_gives_it_back() -> None:
    link = "?model=demo&text=She+opened+the&source=3&target=9&k=5&panel=curves"
    bench = lens.explore(state=link)
    assert bench.link == link
    again = lens.explore(state=bench.state, source=1)
    assert again.state == bench.state | {"source": 1}
    for each in (bench, again):
        each.close()


def test_the_address_follows_and_a_page_s_own_query_is_heard() -> None:
    bench = Explore(Session(), InlineEngine(), example=True)
    share = bench.sharing.button
    assert (share.heard, share.python) == (False, "")
    share._handle_custom_msg({"kind": "search", "search": "?text=Once&k=3"}, [])
    assert (share.heard, share.link) == (True, "?model=demo&text=Once&k=3")
    bench.session.plan = "0-3 8-11"
    assert share.link.endswith("&plan=0-3+8-11&k=3")
    share.opened = True
    assert "lens.read(model, 'Once', k=3)" in share.python
    bench.session.panel = "assembly_line"
    assert "lens.compare_plan(model, 'Once', '0-3 8-11', k=3)" in share.python
    bench.close()


@pytest.mark.parametrize("name", ["you/paper", "https://github.com/you/paper.git"])
def test_a_binder_link_where_a_repository_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lens.panels._sharing import binder_link

    monkeypatch.delenv("LENS_REPOSITORY", raising=False)
    assert binder_link("?text=a+b") == ""
    monkeypatch.setenv("LENS_REPOSITORY", name)
    assert binder_link("?text=a+b&k=3") == (
        "https://mybinder.org/v2/gh/you/paper/HEAD?urlpath="
        "voila%2Frender%2Fnotebooks%2Fexplore.ipynb%3Ftext%3Da%2Bb%26k%3D3"
    )


def test_what_is_not_a_panel_is_said() -> None:
    allowed = ", ".join(panels())
    with pytest.raises(AttributeError, match=f"no attribute 'nowhere'; panels are {allowed}"):
        _ = lens.panels.nowhere
