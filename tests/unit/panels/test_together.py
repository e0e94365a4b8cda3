"""Sessions of one process hold a model together."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import lens
from lens.engine import InlineEngine
from lens.panels import Explore
from lens.panels._session import Session
from lens.panels._together import together

DEMO = Path(lens.__file__).parent / "models" / "embedded" / "demo"


def test_two_workbenches_have_one_model_and_their_own_answers() -> None:
    one, other = (Explore(Session(text=text), InlineEngine()) for text in ("She opened the door", "Once upon a time"))
    assert one.desk.answer.model is other.desk.answer.model
    assert one.desk.answer.question.text == "She opened the door"
    assert other.desk.answer.question.text == "Once upon a time"
    assert one.desk.shelf.cache is not other.desk.shelf.cache
    one.close()
    other.close()


def test_another_model_in_the_same_folder_is_another_model(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("maps"))
    first = together(str(folder))
    assert together(str(folder)) is first
    shutil.copy(DEMO.parent / "demo-bert" / "config.json", folder)
    assert together(str(folder)) is not first


def test_a_model_that_nobody_holds_is_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("maps"))
    held = weakref.ref(together(str(folder)))
    gc.collect()
    assert held() is None
