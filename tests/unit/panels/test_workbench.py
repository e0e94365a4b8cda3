"""The workbench without a browser: what is shown is what `lens.read` says, and bad input loses nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lens
from lens.engine import InlineEngine
from lens.panels import Explore, _desk, _shelf
from lens.panels._session import EXAMPLES, Session


@pytest.fixture
def bench() -> Iterator[Explore]:
    bench = Explore(Session(), InlineEngine(), example=True)
    yield bench
    bench.close()


def column(bench: Explore, key: str) -> dict[str, Any]:
    bench.session.panel = "jump"
    return next(column for column in bench.panel("jump").topk.columns if column["key"] == key)


def table(bench: Explore) -> Any:
    bench.session.panel = "lens_table"
    return bench.panel("lens_table")


def shown(bench: Explore, key: str) -> dict[int, float]:
    return {row["token_id"]: row["probability"] for row in column(bench, key)["rows"]}


def read(bench: Explore, cast: str, source: int, position: int, target: int | None = None) -> dict[int, float]:
    session = bench.session
    frame = lens.read(lens.load(session.model), session.text, target=target, k=session.k).frame()
    rows = frame.query("cast == @cast and source == @source and position == @position")
    return dict(zip(rows.token_id, rows.probability, strict=True))


def test_the_first_picture_is_there_at_once(bench: Explore) -> None:
    assert not bench.desk.stale
    assert bench.header.notice.kind == "none"
    assert [column["key"] for column in bench.panel("jump").topk.columns] == ["id", "mat", "model"]
    assert table(bench).spec["layers"] == list(range(13))
    assert bench.header.target.value == 12


@pytest.mark.parametrize("cast", ["id", "mat"])
def test_bars_are_what_read_says(bench: Explore, cast: str) -> None:
    bench.session.text = "She opened the window and saw a"
    bench.header.source.value = 5
    bench.header.target.value = 9
    bench.header.k.value = 4
    bench.desk.pick(3)
    assert bench.desk.answer.position == 3
    assert shown(bench, cast) == pytest.approx(read(bench, cast, 5, 3, target=9))
    assert column(bench, cast)["subtitle"].endswith("layer 9, then the real blocks")


def test_the_model_column_is_the_models_own(bench: Explore) -> None:
    reading = lens.read(lens.load("demo"), bench.session.text, k=bench.session.k)
    assert list(shown(bench, "model")) == reading.model_token_ids[-1].tolist()
    assert column(bench, "model")["rows"][0]["agrees"]


def test_the_table_holds_the_reading(bench: Explore) -> None:
    reading, spec = bench.desk.answer.reading, table(bench).spec
    shape = (2, 14, len(reading.tokens), spec["k"])
    top = np.frombuffer(table(bench).top, "<i4").reshape(shape)
    words = [spec["vocabulary"][place] for place in top[1, 4, :, 0]]
    assert words == [reading.labels[token] for token in reading.token_ids[1, 4, :, 0].tolist()]
    scores = np.frombuffer(table(bench).scores, "<f4").reshape(5, 2, 14, -1)
    np.testing.assert_allclose(scores[3, 0, :13], reading.kl[0], rtol=1e-6)
    np.testing.assert_allclose(scores[0, 0, 13], reading.model_probabilities[:, 0])
    assert (scores[3, 0, 13] == 0).all()


def test_sliders_take_each_other_along(bench: Explore) -> None:
    bench.header.target.value = 6
    bench.header.source.value = 8
    assert (bench.session.source, bench.session.target) == (8, 8)
    bench.header.target.value = 3
    assert (bench.session.source, bench.header.source.value) == (3, 3)
    bench.header.target.value = 12
    assert bench.session.target is None


def test_a_click_on_a_cell_sets_source_and_position(bench: Explore) -> None:
    table(bench)._handle_custom_msg({"kind": "pick", "source": 7, "position": 2}, [])
    assert (bench.session.source, bench.desk.answer.position) == (7, 2)
    assert (bench.header.source.value, bench.header.chips.position) == (7, 2)


def test_typing_at_the_end_keeps_looking_at_the_end(bench: Explore) -> None:
    bench.session.text += " old door and"
    assert bench.desk.answer.position == len(bench.desk.answer.tokens) - 1


def test_a_word_is_masked_moved_and_put_back(bench: Explore) -> None:
    bench.session.model = "demo-bert"
    assert bench.session.text == EXAMPLES["masked"]
    bench.session.text = "The old man sat by the fire."
    assert bench.desk.stale
    assert "click a word to mask it" in bench.header.notice.text
    bench.desk.pick(2)
    assert bench.session.text == "The [MASK] man sat by the fire."
    assert not bench.desk.stale
    assert bench.desk.answer.tokens.masks == (bench.desk.answer.position,)
    assert shown(bench, "mat") == pytest.approx(read(bench, "mat", bench.session.source, bench.desk.answer.position))
    words = bench.desk.answer.tokens
    bench.desk.pick(next(p for p, label in enumerate(words.labels) if "sat" in label))
    assert bench.session.text == "The old man [MASK] by the fire."
    bench.desk.pick(next(p for p, label in enumerate(bench.desk.answer.tokens.labels) if "old" in label))
    assert bench.session.text == "The [MASK] man sat by the fire."
    bench.desk.pick(bench.desk.answer.position)
    assert bench.session.text == "The old man sat by the fire."


def test_a_covered_word_survives_typing_and_other_masks(bench: Explore) -> None:
    bench.session.model = "demo-bert"
    bench.session.text = "The [MASK] man sat by the fire."
    fire = next(p for p, label in enumerate(bench.desk.answer.tokens.labels) if "fire" in label)
    bench.desk.pick(fire)
    assert bench.session.text == "The [MASK] man sat by the [MASK]."
    bench.session.text += " Then he slept."
    own, covered = bench.desk.answer.tokens.masks
    assert bench.desk.answer.position == covered
    bench.desk.pick(own)
    assert (bench.desk.answer.position, bench.session.text.count("[MASK]")) == (own, 2)
    bench.desk.pick(covered)
    assert bench.session.text == "The [MASK] man sat by the fire. Then he slept."


def test_a_mask_beyond_what_is_read_is_said(bench: Explore) -> None:
    bench.session.model = "demo-bert"
    bench.session.text = "word " * 400 + "[MASK]"
    assert "The mask stands beyond the 256 of" in bench.header.notice.text
    with pytest.raises(lens.LensError, match="The mask stands beyond the 256 of"):
        lens.read(lens.load("demo-bert"), bench.session.text)


def test_what_a_person_typed_is_never_replaced() -> None:
    bench = Explore(Session(model="demo-bert", text=EXAMPLES["causal"]), InlineEngine())
    assert bench.session.text == EXAMPLES["causal"]
    bench.close()
    fresh = Explore(Session(model="demo-bert"), InlineEngine(), example=True)
    assert fresh.session.text == EXAMPLES["masked"]
    fresh.session.text = EXAMPLES["causal"]
    assert fresh.session.text == EXAMPLES["causal"]
    fresh.close()


def test_choices_beyond_the_model_come_back_within_it() -> None:
    bench = Explore(Session(source=9, target=3), InlineEngine())
    assert (bench.session.source, bench.header.source.value, table(bench).source) == (3, 3, 3)
    bench.session.target = 50
    assert bench.session.target is None
    bench.session.target = 11
    bench.session.model = "demo-bert"
    assert (bench.session.target, bench.header.target.value, bench.header.target.max) == (None, 10, 10)
    bench.close()


def test_explore_takes_a_model_and_its_maps(own_model: Path) -> None:
    model = lens.load(own_model)
    sentences = ["The old man sat by the fire.", "She opened the door and slept."] * 20
    bench = lens.explore(model, "The old man", maps=lens.fit(model, sentences, positions="all"), k=3)
    waited(bench)
    assert bench.desk.shelf.models[model.name] is model
    assert len(shown(bench, "mat")) == 3
    bench.close()


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"k": 50}, "can't be made"), ({"sorce": 3}, "no choice sorce"), ({"maps": 1}, "the model")],
)
def test_choices_that_cannot_be_are_said(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(lens.LensError, match=message):
        lens.explore(**choices)


def waited(bench: Explore) -> None:
    """Until the background threads of a real engine have answered, and the header, the last that hears of it, knows."""
    deadline = time.monotonic() + 60
    while not settled(bench) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert settled(bench)


def settled(bench: Explore) -> bool:
    return not (bench.desk.busy or bench.header.chips.busy) and bool(bench.header.chips.tokens)


def test_two_workbenches_and_a_script_load_at_once() -> None:
    first, second = lens.explore(), lens.explore("demo-bert")
    reading = lens.read(lens.load("demo"), first.session.text)
    waited(first)
    waited(second)
    assert first.desk.problem is None
    assert second.desk.problem is None
    assert shown(first, "model")[int(reading.model_token_ids[-1, 0])] == pytest.approx(
        reading.model_probabilities[-1, 0]
    )
    first.close()
    second.close()


def test_the_scale_of_kl_ends_where_the_layers_behind_the_first_do(bench: Explore) -> None:
    """Layer 0 is so far from the end that all others would have one colour."""
    bench.session.panel = "lens_table"
    metric = next(each for each in bench.panel("lens_table").spec["metrics"] if each["key"] == "kl")
    kl = bench.desk.answer.reading.kl
    assert metric["high"] == pytest.approx(float(kl[:, 1:].max()))
    assert metric["most"] == pytest.approx(float(kl.max()))
    assert metric["most"] > 2 * metric["high"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "There is no text yet"), ("   \n", "There is no text yet")],
)
def test_empty_text_keeps_the_picture(bench: Explore, text: str, message: str) -> None:
    before = bench.panel("jump").topk.columns
    bench.session.text = text
    assert message in bench.header.notice.text
    assert bench.panel("jump").topk.columns == before
    assert bench.panel("jump").topk.busy
    assert bench.session.text == text
    assert bench.header.sentence.note == ""


class Late(InlineEngine):
    """Answers nothing while it is asked to wait."""

    waiting = False

    def submit(self, *request: Any) -> None:
        if not self.waiting:
            super().submit(*request)


def test_that_there_is_no_text_is_said_only_while_there_is_none() -> None:
    engine = Late()
    bench = Explore(Session(), engine, example=True)
    bench.session.text = ""
    engine.waiting = True
    bench.session.text = "Once"  # its answer is still to come
    assert (bench.header.notice.kind, bench.panel("jump").topk.busy) == ("none", True)
    bench.close()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("demo2", "demo"),
        ("no such model!", "no such model!"),
        ("", "name"),
        ("x" * 5000, "5,000 characters"),
        ("<script>alert(1)</script>", "<script>"),
    ],
)
def test_an_unknown_model_is_said_and_the_text_kept(bench: Explore, model: str, message: str) -> None:
    bench.session.text = "Keep this."
    bench.session.model = model
    assert bench.header.notice.kind == "error"
    assert message in bench.header.notice.text
    assert len(bench.header.notice.text) < 1000
    assert bench.header.sentence.value == "Keep this."
    bench.session.model = "demo"
    assert bench.header.notice.kind == "none"


def test_a_folder_that_is_no_model(bench: Explore, tmp_path: Path) -> None:
    bench.session.model = str(tmp_path)
    assert "holds no model" in bench.header.notice.text


def test_a_long_text_says_what_is_read(bench: Explore) -> None:
    bench.session.text = "word " * 2000
    answer = bench.desk.answer
    assert answer.tokens.total > 256 == len(answer.tokens)
    assert bench.header.sentence.note == f"demo reads the first 256 of {answer.tokens.total:,} tokens"


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "سلام دنیا", "🧙‍♂️ 👩‍👩‍👧", "a\x00b\ud800c", "\u202ereversed"]
)
def test_any_text_is_read(bench: Explore, text: str) -> None:
    bench.session.text = text
    assert not bench.desk.stale
    assert all(chip["label"] for chip in bench.header.chips.tokens)


@pytest.fixture
def own_model(tmp_path: Path, byte_level: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of one's own in a folder, without maps, and an empty store for those that are fitted here."""
    from transformers import GPT2Config, GPT2LMHeadModel

    monkeypatch.setenv("LENS_MAPS", str(tmp_path / "store"))
    folder = tmp_path / "own-model"
    config = GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=64, vocab_size=len(byte_level))
    GPT2LMHeadModel(config).save_pretrained(folder)
    byte_level.save_pretrained(folder)
    return folder


def test_without_maps_id_works_and_a_fit_is_offered_run_and_kept(bench: Explore, own_model: Path) -> None:
    bench.session.model = str(own_model)
    assert shown(bench, "id")
    assert column(bench, "mat")["message"] == "No linear maps are fitted for own-model yet."
    assert table(bench).spec["casts"] == ["id"]
    bench.panel("jump").topk._handle_custom_msg({"kind": "action", "id": "fit"}, [])
    assert column(bench, "mat")["message"] is None
    assert shown(bench, "mat") == pytest.approx(read(bench, "mat", bench.session.source, bench.desk.answer.position))
    assert [path.name for path in (own_model.parent / "store").glob("*/*")]
    again = Explore(Session(model=str(own_model)), InlineEngine())
    assert shown(again, "mat")
    again.close()


def test_maps_of_another_model_are_refused_in_their_column(bench: Explore, own_model: Path) -> None:
    shutil.copytree(Path(lens.__file__).parent / "models/embedded/demo/maps", own_model / "maps")
    bench.session.model = str(own_model)
    assert "These maps are for demo" in column(bench, "mat")["message"]
    assert shown(bench, "id")
    assert bench.header.notice.kind == "none"


def test_closing_leaves_nothing_behind() -> None:
    session = Session()
    names = ("model", "text", "source", "target", "position", "k", "cast", "metric")

    def observers() -> int:
        return sum(len(found) for name in names for found in session._trait_notifiers.get(name, {}).values())

    before = observers()
    bench = Explore(session, InlineEngine())
    assert observers() > before
    bench.close()
    bench.close()
    assert observers() == before


def test_the_targets_beside_one_that_was_moved_are_read_ahead(bench: Explore, monkeypatch: pytest.MonkeyPatch) -> None:
    read_at: list[int] = []
    plain = _shelf.read_recording

    def noted(*arguments: Any, **options: Any) -> Any:
        read_at.append(options["target"])
        return plain(*arguments, **options)

    monkeypatch.setattr(_shelf, "read_recording", noted)
    monkeypatch.setattr(_desk, "SOON", 1e9)  # however busy the machine
    bench.session.text = "She opened the window and saw a"
    assert read_at == [12]  # nobody moves the target
    bench.session.target = 7
    assert read_at == [12, 7, 6, 8]
    bench.session.target = 8
    assert read_at == [12, 7, 6, 8, 9]
    assert shown(bench, "mat") == pytest.approx(read(bench, "mat", bench.session.source, bench.desk.answer.position, 8))


def test_nothing_is_read_ahead_where_an_answer_takes_long(bench: Explore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_desk, "SOON", 0.0)
    ahead: list[Any] = []
    monkeypatch.setattr(_shelf.Shelf, "ahead", lambda *_: ahead.append(1))
    bench.session.target = 7
    assert ahead == []
    monkeypatch.setattr(_desk, "SOON", 1e9)
    bench.session.target = 6
    assert ahead == [1]
