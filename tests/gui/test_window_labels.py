"""Which label each sub-folder stands for is shown before the run, can be changed, tried and taken back."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSpinBox
from pytestqt.qtbot import QtBot

from gui.inputs.labels_editor import LabelsEditor
from gui.inputs.labels_model import LABEL
from gui.main_window import MainWindow
from gui.session.session import State
from tests.engine.runs.opening.test_labelling import ANIMALS, colours_network, folder_of
from tests.support.foreign_sets import write_parquet
from tests.support.noted_models import archive_with
from tests.support.window_driver import press_run, settle

NUMBERS = tuple(str(i) for i in range(12))


def opened(qtbot: QtBot, window: MainWindow, folder: Path, names: tuple[str, ...], labels: int,
           poisoned: str = "") -> None:
    """A network of so many colours, with pictures of each colour in a folder of its name, in that order."""
    values = {name: int((place + 0.5) * 256 / labels) for place, name in enumerate(names)}
    choosing = window.desk.choosing
    window.session.set_options(dataclasses.replace(window.session.options, scale="none", guard="none"))
    choosing.open_as("model", colours_network(folder / "model.keras", labels))
    choosing.open_as("validation", folder_of(folder / "clean", {name: values[name] for name in names if name}))
    if poisoned:
        choosing.open_as("poisoned", folder_of(folder / "poisoned", {poisoned: values[poisoned]}))
    settle(qtbot, window)


def edit(window: MainWindow) -> LabelsEditor:
    """Press the card's button; the question that comes up."""
    window.inputs.labels.edit.click()
    (editor,) = [dialog for dialog in window.findChildren(LabelsEditor) if dialog.isVisible()]
    return editor


def tried(qtbot: QtBot, window: MainWindow, editor: LabelsEditor) -> list[str]:
    """Press Try; what is then offered."""
    qtbot.mouseClick(editor.try_button, Qt.MouseButton.LeftButton)
    assert "Stop" in editor.try_button.text()
    settle(qtbot, window)
    assert "Try" in editor.try_button.text()
    return [button.text() for button, _ in editor.orders]


def type_label(qtbot: QtBot, editor: LabelsEditor, name: str, label: int) -> None:
    """Double-click a name's label and type another one, as a person does."""
    place = editor.model.index(editor.model.names.index(name), LABEL)
    editor.table.edit(place)
    field = editor.table.indexWidget(place)
    assert isinstance(field, QSpinBox)
    field.selectAll()
    qtbot.keyClicks(field, str(label))
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: editor.model.labels.get(name) == label)


def accuracy(window: MainWindow) -> float:
    assert window.session.run is not None
    return window.session.run.curve.validation.b_prime_rate(0).value


def test_nothing_is_tried_with_other_numbers_than_those_typed(
    window: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    opened(qtbot, window, tmp_path, ("fox", "dog", "cat", "bird"), 4)
    bar = window.run_bar
    bar._toggle.click()
    window.session.set_options(dataclasses.replace(window.session.options, scale="mean=0.5 std=0.5"))
    bar._own.setText("mean=0.5 std=x")
    qtbot.keyClick(bar._own, Qt.Key.Key_Return)
    editor = edit(window)
    editor.try_button.click()
    assert not window.session.state.busy and "Try" in editor.try_button.text()
    assert editor.state.text().startswith("'mean=0.5 std=x' isn't a preprocessing")
    assert editor.state.text().endswith("press Try again to try with that.")
    assert len(tried(qtbot, window, editor)) > 0


def test_the_labels_of_named_folders_are_shown_changed_and_changed_back(
    qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    """The network was trained in another order than the alphabet's."""
    trained = ("fox", "dog", "cat", "bird")
    opened(qtbot, window, tmp_path, trained, 4, poisoned="dog")
    card = window.inputs.labels
    assert "target label dog" in window.inputs.poisoned[0]._facts.text(), "and not label 0"
    assert card.isVisibleTo(window) and "0 is bird" in card._text.text() and "3 is fox" in card._text.text()
    editor = edit(window)
    assert dict(editor.model.labels) == {name: place for place, name in enumerate(ANIMALS)}
    type_label(qtbot, editor, "fox", 0)
    assert editor.model.labels == {"fox": 0, "cat": 1, "dog": 2, "bird": 3}, "bird took the label that fox had"
    type_label(qtbot, editor, "dog", 1)
    offered = tried(qtbot, window, editor)
    assert len(offered) == 2 and "what the network answers" in offered[0] and "100 %" in offered[0]
    assert "their order as text" in offered[1] and "right on 0 %" in offered[1]
    assert [button.isChecked() for button, _ in editor.orders] == [True, False]
    assert "right on 100 % of 20 clean images" in editor.state.text()
    editor.use.click()
    settle(qtbot, window)
    assert tuple(window.session.names) == trained and "0 is fox" in card._text.text()
    press_run(qtbot, window)
    run = window.session.run
    assert run and run.request.classes == trained and accuracy(window) == 1
    assert run.curve.poisoned[0].target == 1
    window.desk.menus.find("Undo").trigger()
    settle(qtbot, window)
    assert tuple(window.session.names) == () and "0 is bird" in card._text.text()
    assert window.session.state is State.READY, "the run on show was made with other label names"


def test_names_in_the_model_s_file_are_shown_and_used(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    """They go before the folders' own order; what a person says goes before them, and is taken back."""
    trained = ("fox", "dog", "cat", "<b>bird")
    opened(qtbot, window, tmp_path, trained, 4, poisoned="dog")
    assert "0 is <b>bird" in window.inputs.labels._text.text() and "order of their names" in \
        window.inputs.labels._text.text()
    window.desk.choosing.open_as("model", archive_with(tmp_path, tmp_path / "model.keras", "metadata.json",
                                                       names=str(dict(enumerate(trained)))))
    settle(qtbot, window)
    card = window.inputs.labels
    assert card._text.text() == ("Sub-folders are labels by the names in the model file noted.keras. "
                                 "0 is fox, 1 is dog, …, 3 is <b>bird.")
    assert tuple(window.session.names) == (), "nobody said them"
    assert window.check.model._names == trained
    editor = edit(window)
    offered = tried(qtbot, window, editor)
    assert "the names in the model file" in offered[0] and "100 %" in offered[0]
    editor.reject()
    window.desk.choosing.name_labels(ANIMALS, "Label names")
    settle(qtbot, window)
    assert window.check.model._names == ANIMALS
    window.session.history.undo()
    settle(qtbot, window)
    assert window.check.model._names == trained
    press_run(qtbot, window)
    assert window.session.run and window.session.run.model.classes == trained and accuracy(window) == 1
    assert window.session.run.curve.poisoned[0].target == 1 and window.session.state is State.DONE


@pytest.mark.parametrize("trained", [NUMBERS, tuple(sorted(NUMBERS))])
def test_folders_0_to_11_are_tried_in_both_orders(
    trained: tuple[str, ...], qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    opened(qtbot, window, tmp_path, trained, 12)
    assert "finds out" in window.inputs.labels._text.text()
    editor = edit(window)
    offered = tried(qtbot, window, editor)
    best, worse = ("numbers", "text") if trained is NUMBERS else ("text", "numbers")
    assert f"order as {best}" in offered[0] and "100 %" in offered[0]
    # 0 and 1 stand at the same place in both orders.
    assert f"order as {worse}" in offered[1] and "16.67 %" in offered[1] and len(offered) == 2
    editor.orders[0][0].click()
    editor.use.click()
    settle(qtbot, window)
    assert tuple(window.session.names) == trained
    press_run(qtbot, window)
    assert accuracy(window) == 1


def test_a_missing_folder_is_a_question_that_the_editor_answers(
    qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    opened(qtbot, window, tmp_path, ("", "cat", "dog", "fox"), 4)
    card = window.inputs.labels
    assert "has 3 sub-folders" in card._text.text()
    editor = edit(window)
    assert not editor.use.isEnabled() and "Say which label cat stands for. 3 are open." in editor.state.text()
    assert "what the network answers" in tried(qtbot, window, editor)[0]
    editor.orders[0][0].click()
    assert editor.model.labels == {"cat": 1, "dog": 2, "fox": 3}
    editor.use.click()
    settle(qtbot, window)
    assert tuple(window.session.names) == ("label 0", "cat", "dog", "fox") and "1 is cat" in card._text.text()
    press_run(qtbot, window)
    assert accuracy(window) == 1


def test_a_name_that_is_no_class_is_asked_for(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    opened(qtbot, window, tmp_path, ANIMALS, 4)
    window.desk.choosing.open_as("poisoned", folder_of(tmp_path / "poisoned", {"dgo": 160}))
    settle(qtbot, window)
    assert "It isn't known which label dgo stands for. " in window.inputs.labels._text.text()
    assert "Press Change… to say it." in window.inputs.labels._text.text()
    window.desk.choosing.open_as("poisoned", folder_of(tmp_path / "others", {"aardvark": 10}))
    settle(qtbot, window)
    names = len({*ANIMALS, "dgo", "aardvark"})
    assert f"which label aardvark stands for, nor 1 more of the {names}. " in window.inputs.labels._text.text()
    assert window.run_bar.status.text() == "Say which label is which before you run."
    editor = edit(window)
    assert not editor.use.isEnabled() and "more sub-folders than labels" in editor.state.text()
    editor.reject()
    assert tuple(window.session.names) == ()


def test_the_editor_never_stops_other_work(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    opened(qtbot, window, tmp_path, ANIMALS, 4)
    go_on = threading.Event()
    ended: list[bool] = []
    window.session.submit(lambda _: go_on.wait(60), ended.append, needs_engine=False)
    editor = edit(window)
    qtbot.mouseClick(editor.try_button, Qt.MouseButton.LeftButton)
    editor.reject()
    assert window.session.state is State.RUNNING, "the comparison, or whatever it is, goes on"
    editor = edit(window)
    go_on.set()
    settle(qtbot, window)
    assert ended == [True]
    assert "100 %" in tried(qtbot, window, editor)[0]
    qtbot.mouseClick(editor.try_button, Qt.MouseButton.LeftButton)
    assert editor.try_button.isEnabled() and window.session.state.busy
    editor.reject()
    assert window.session.state in (State.CANCELLING, State.READY)
    settle(qtbot, window)


def test_tab_leads_out_of_the_table_of_labels(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    opened(qtbot, window, tmp_path, ANIMALS, 4)
    editor = edit(window)
    editor.table.setFocus()
    qtbot.waitUntil(editor.table.hasFocus)
    qtbot.keyClick(editor.table, Qt.Key.Key_Tab)
    assert not editor.table.hasFocus() and editor.focusWidget() is not editor.table
    editor.reject()


def test_where_labels_are_numbers_nothing_is_asked(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    opened(qtbot, window, tmp_path, ("0", "1", "2", "3"), 4)
    assert not window.inputs.labels.isVisibleTo(window)


def test_a_name_is_text_whatever_it_says(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    opened(qtbot, window, tmp_path, ("<b>bold", "a&b", "\u202ereversed", "dog"), 4)
    editor = edit(window)
    tried(qtbot, window, editor)
    assert window.inputs.labels._text.textFormat() == Qt.TextFormat.PlainText
    shown = [editor.model.index(row, 0).data() for row in range(4)]
    assert "<b>bold" in shown and not any("\u202e" in text for text in (*shown, window.inputs.labels._text.text()))
    editor.reject()


def test_a_person_s_list_counts_where_a_file_names_its_numbers_in_another_order(
    qtbot: QtBot, window: MainWindow, tmp_path: Path,
) -> None:
    trained = ("fox", "cat", "dog", "bird")
    colours = {name: int((place + 0.5) * 256 / 4) for place, name in enumerate(trained)}
    numbers = [place % 4 for place in range(40)]
    images = np.array([np.full((8, 8, 3), colours[ANIMALS[number]], np.uint8) for number in numbers])
    window.session.set_options(dataclasses.replace(window.session.options, scale="none", guard="none"))
    window.desk.choosing.open_as("model", colours_network(tmp_path / "model.keras", 4))
    window.desk.choosing.open_as("validation", write_parquet(tmp_path / "set.parquet", images, numbers, ANIMALS))
    settle(qtbot, window)
    press_run(qtbot, window)
    assert accuracy(window) < 1
    window.desk.choosing.name_labels(trained, "Label names")
    settle(qtbot, window)
    assert window.session.state is State.READY, "the run on show was made with other label names"
    press_run(qtbot, window)
    assert window.session.run and window.session.run.request.classes == trained and accuracy(window) == 1
