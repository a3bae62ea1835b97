"""Whatever a person chooses can be taken back, and a file that can't be used throws no good one away."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.session.session import State
from tests.gui.test_window_defences import open_small
from tests.support.networks import LABELS, SmallLab
from tests.support.window_driver import drop, press_run, settle

pytestmark = [
    # Newer versions of PySide take a QPointF here and older ones don't; QPoint is understood by all.
    pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning"),
]


def chosen(window: MainWindow) -> list[tuple[str, str]]:
    """Every card's role and file."""
    return [(i.role, i.path.name) for i in window.session.inputs.all]


def undo(qtbot: QtBot, window: MainWindow) -> None:
    """Edit, Undo, as the keyboard does it."""
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    settle(qtbot, window)


def test_a_wrong_file_dropped_on_a_card_leaves_the_good_one(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    before = chosen(window)
    bad = tmp_path / "holiday.h5"
    bad.write_text("not a data set", encoding="utf-8")
    for card, good in ((window.inputs.validation, small_lab.clean), (window.inputs.model, small_lab.badnet)):
        assert drop(card, [bad])
        settle(qtbot, window)
        assert chosen(window) == before and window.session.state is State.READY
        assert card._error.isVisibleTo(window)
        assert "holiday.h5 can't be used" in card._error.text() and good.name in card._error.text()
        assert card._facts.isVisibleTo(window), "the card still says what is in use"
    press_run(qtbot, window)
    assert window.session.run is not None and window.session.run.request.validation == small_lab.clean
    # A refused file is no change: the last one that was made is undone, and that is the poisoned set's opening.
    undo(qtbot, window)
    assert chosen(window) == before[:-1]


def test_a_refused_model_leaves_the_layer_that_was_chosen(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    window.desk.choosing.open_as("model", lab3 / "bd_weights.h5")
    settle(qtbot, window)
    window.inputs.model.layer_chosen.emit("conv_2")
    bad = tmp_path / "model.h5"
    bad.touch()
    window.desk.choosing.open_as("model", bad)
    window.desk.choosing.open_as("model", tmp_path / "nowhere.keras")  # before the first one is read
    settle(qtbot, window)
    assert chosen(window) == [("model", "bd_weights.h5")]
    assert window.session.inputs.chosen_layer == "conv_2"
    undo(qtbot, window)
    assert window.session.inputs.chosen_layer == "conv_3"


def test_every_change_of_input_is_undone(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    order, names = tmp_path / "order.json", tmp_path / "names.txt"
    channels = window.session.inputs.chosen_channels
    assert channels == 9
    order.write_text(json.dumps(list(range(channels))), encoding="utf-8")
    names.write_text("\n".join(f"kind {n}" for n in range(LABELS)), encoding="utf-8")
    others = [tmp_path / "other.keras", tmp_path / "other.h5"]
    for other, original in zip(others, (small_lab.badnet, small_lab.poisoned), strict=True):
        other.write_bytes(original.read_bytes())
    choosing, session = window.desk.choosing, window.session

    def state() -> tuple[object, ...]:
        return chosen(window), session.inputs.chosen_layer, session.options.order, tuple(session.names)

    for change in (
        lambda: choosing.open_as("test", small_lab.clean),
        lambda: window.inputs.test.remove_requested.emit(),
        lambda: window.inputs.model.remove_requested.emit(),
        lambda: window.inputs.poisoned[0].remove_requested.emit(),
        lambda: choosing.open_as("poisoned", small_lab.test),
        lambda: drop(window, others),
        lambda: drop(window, [order]),
        lambda: drop(window, [names]),
    ):
        before = state()
        change()
        settle(qtbot, window)
        assert state() != before
        # One gesture is one step, whatever number of files it brought.
        undo(qtbot, window)
        assert state() == before
        assert all(item.usable for item in session.inputs.all)
    assert session.state is State.READY


def test_a_refused_model_leaves_those_that_wait_behind_the_one_in_use(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    models = [tmp_path / f"{n}.keras" for n in range(3)]
    for model in models:
        model.write_bytes(small_lab.badnet.read_bytes())
    assert drop(window, models)
    settle(qtbot, window)
    before = window.session.inputs
    assert before.further == tuple(models[1:])
    bad = tmp_path / "bad.keras"
    bad.write_text("no model", encoding="utf-8")
    assert drop(window.inputs.model, [bad])
    settle(qtbot, window)
    assert window.session.inputs.model.path == models[0] and window.session.inputs.further == before.further
    undo(qtbot, window)
    assert chosen(window) == [] and window.session.inputs.further == ()


@pytest.mark.parametrize("content", ["[0, 1, 2]", "{}", "[0, 0]", "not json", '{"pruning_order": [1, 2, 3]}'])
def test_an_order_that_doesn_t_fit_leaves_the_one_in_use(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, content: str,
) -> None:
    open_small(qtbot, window, small_lab)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(list(range(window.session.inputs.chosen_channels))), encoding="utf-8")
    bad.write_text(content, encoding="utf-8")
    for path in (good, bad):
        assert drop(window, [path])
        settle(qtbot, window)
    assert window.session.options.order == good
    assert window.message_bar.isVisible() and "bad.json" in window.message_bar.text.toolTip() \
        + window.message_bar.text.text()


def test_the_message_after_a_change_has_a_button_that_undoes_it(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    assert window.session.state is State.DONE
    assert drop(window.inputs.test, [small_lab.clean])
    settle(qtbot, window)
    assert window.session.inputs.test.path == small_lab.clean and window.session.state is State.READY
    button = window.status.action
    assert button.isVisibleTo(window) and button.text() == "Undo"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert window.session.inputs.test.path == small_lab.test
    assert window.session.state is State.DONE, "what is chosen is again what the results are of"
    assert not button.isVisibleTo(window) and "Undone" in window.status.text.text()


def test_what_was_still_being_read_is_read_again_after_an_undo(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,
) -> None:
    choosing = window.desk.choosing
    choosing.open_as("validation", small_lab.clean)
    choosing.remove("validation", small_lab.clean)
    window.session.history.undo()
    settle(qtbot, window)
    assert window.session.inputs.validation is not None and window.session.inputs.validation.usable


def test_a_verdict_on_data_for_another_network_doesn_t_outlive_an_undo(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, lab3: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_as("model", lab3 / "bd_weights.h5")
    settle(qtbot, window)
    assert any(item.error for item in window.session.inputs.data)
    window.session.history.undo()
    settle(qtbot, window)
    assert window.session.state is State.READY
    assert not any(item.error for item in window.session.inputs.all)


def test_nothing_can_be_undone_at_first(window: MainWindow, qtbot: QtBot) -> None:
    settle(qtbot, window)
    action = window.desk.menus.find("Undo")
    assert not action.isEnabled()
    window.session.set_options(dataclasses.replace(window.session.options, false_alarms=0.05))
    assert not action.isEnabled(), "options aren't files"


@pytest.mark.parametrize("way", ["opened", "the sample", "removed first"])
def test_a_pruning_order_goes_with_its_network_and_comes_back_with_it(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, way: str,
) -> None:
    open_small(qtbot, window, small_lab)
    choosing, order, other = window.desk.choosing, tmp_path / "order.json", tmp_path / "other.keras"
    order.write_text(json.dumps(list(range(window.session.inputs.chosen_channels or 0))), encoding="utf-8")
    other.write_bytes(small_lab.badnet.read_bytes())
    choosing.choose_order(order)
    settle(qtbot, window)
    said: list[str] = []
    window.session.message.connect(lambda message: said.append(message.text))
    choosing.open_as("model", small_lab.badnet)
    choosing.open_as("test", small_lab.test)
    settle(qtbot, window)
    assert window.session.options.order == order, "it is the same network"
    said.clear()
    if way == "opened":
        assert drop(window, [other])
    elif way == "the sample":
        choosing.open_sample()
    else:
        window.inputs.model.remove_requested.emit()
    settle(qtbot, window)
    assert window.session.options.order is None
    assert any(text.endswith(f", without the pruning order order.json, which was for {small_lab.badnet.name}.")
               for text in said)
    undo(qtbot, window)
    assert window.session.options.order == order and ("model", small_lab.badnet.name) in chosen(window)


@pytest.mark.parametrize("refused", [1, 2])
def test_a_refused_model_leaves_the_order_of_the_one_in_use(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, refused: int,
) -> None:
    open_small(qtbot, window, small_lab)
    order = tmp_path / "order.json"
    order.write_text(json.dumps(list(range(window.session.inputs.chosen_channels or 0))), encoding="utf-8")
    window.desk.choosing.choose_order(order)
    settle(qtbot, window)
    for number in range(refused):  # the second one while the first one is being read
        (tmp_path / f"{number}.keras").touch()
        window.desk.choosing.open_as("model", tmp_path / f"{number}.keras")
    settle(qtbot, window)
    assert ("model", small_lab.badnet.name) in chosen(window) and window.session.options.order == order
    window.desk.choosing.open_output(small_lab.badnet, "nonsense")
    window.desk.choosing.choose_order(None)
    settle(qtbot, window)
    assert window.session.options.order is None, "a person cleared it meanwhile"


def test_a_lost_poisoned_set_that_is_chosen_already_is_only_taken_out(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    open_small(qtbot, window, small_lab)
    lost = tmp_path / "lost.h5"
    lost.write_bytes(small_lab.poisoned.read_bytes())
    window.desk.choosing.open_as("poisoned", lost)
    settle(qtbot, window)
    before = chosen(window)
    window.desk.choosing.move("poisoned", lost, small_lab.poisoned)
    settle(qtbot, window)
    assert chosen(window) == before[:-1] and window.session.inputs.ready
    undo(qtbot, window)
    assert chosen(window) == before and window.session.inputs.ready
