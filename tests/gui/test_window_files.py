"""Files given to the window: each takes the place it belongs to, or says in words why it can't be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from engine.data.datasets import open_dataset
from engine.goodnets.saved import open_goodnet, save_pair
from engine.guards.calibration import calibrate
from engine.progress import Progress
from gui.inputs.run_bar import time_left
from gui.jobs.saving import folder_name
from gui.main_window import MainWindow
from gui.session.chosen import Role
from gui.session.recognition import Found, role_for
from gui.session.session import State
from gui.settings import Options, Settings
from gui.widgets import asking, theme
from tests.support.networks import TARGET, SmallLab
from tests.support.window_driver import drop, open_lab, press_run, settle

pytestmark = [
    # Newer versions of PySide take a QPointF here and older ones don't; QPoint is understood by all.
    pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning"),
]


def data_set(path: Path, labels: list[int], shape: tuple[int, ...] = (3, 55, 47)) -> Path:
    """A data set of the lab's layout with grey images."""
    with h5py.File(path, "w") as file:
        file["data"] = np.full((len(labels), *shape), 100, np.uint8)
        file["label"] = np.array(labels)
    return path


def missing(folder: Path, lab3: Path) -> Path:
    return folder / "nowhere.h5"


def empty(folder: Path, lab3: Path) -> Path:
    (folder / "empty.h5").touch()
    return folder / "empty.h5"


def text(folder: Path, lab3: Path) -> Path:
    (folder / "text.h5").write_text("hello", encoding="utf-8")
    return folder / "text.h5"


def cut_off(folder: Path, lab3: Path) -> Path:
    (folder / "cut.h5").write_bytes((lab3 / "clean_faces.h5").read_bytes()[:50_000])
    return folder / "cut.h5"


def small_images(folder: Path, lab3: Path) -> Path:
    return data_set(folder / "small.h5", [0, 1], (3, 20, 20))


def strange_labels(folder: Path, lab3: Path) -> Path:
    return data_set(folder / "labels.h5", [0, 5000])


def empty_folder(folder: Path, lab3: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def model_as_data(folder: Path, lab3: Path) -> Path:
    return lab3 / "bd_weights.h5"


@pytest.mark.parametrize("make", [missing, empty, text, cut_off, small_images, strange_labels, empty_folder,
                                  model_as_data], ids=lambda f: f.__name__)
def test_bad_data_is_explained_on_its_card(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path, make: Callable[[Path, Path], Path],
) -> None:
    open_lab(qtbot, window, lab3)
    bad = make(tmp_path, lab3)
    window.desk.choosing.open_as("test", bad)
    settle(qtbot, window)
    item = window.session.inputs.test
    assert item is not None and str(bad) in item.error and "Traceback" not in item.error
    assert window.inputs.test._error.isVisibleTo(window) and window.inputs.test._error_icon.isVisibleTo(window)
    assert window.session.state is State.EMPTY and not window.run_bar.run.isEnabled()
    assert "can't be used" in window.run_bar.status.text()
    window.inputs.test.remove_requested.emit()
    settle(qtbot, window)
    assert window.session.state is State.READY and window.run_bar.run.isEnabled()


@pytest.mark.parametrize("make", [missing, empty, text, cut_off], ids=lambda f: f.__name__)
def test_a_bad_model_is_explained_on_its_card(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path, make: Callable[[Path, Path], Path],
) -> None:
    bad = make(tmp_path, lab3)
    window.desk.choosing.open_as("model", bad)
    settle(qtbot, window)
    assert window.session.inputs.model is not None and str(bad) in window.session.inputs.model.error
    window.desk.choosing.open_as("model", lab3 / "bd_weights.h5")
    settle(qtbot, window)
    assert window.session.inputs.model.usable


def test_a_set_with_many_labels_is_no_poisoned_set(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    window.desk.choosing.open_as("poisoned", lab3 / "clean_faces.h5")
    settle(qtbot, window)
    assert "20 different labels" in window.session.inputs.poisoned[0].error


def test_what_keeps_a_run_from_starting_is_named_and_brought_into_view(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    window.desk.pages.setCurrentWidget(window.tabs)
    window.resize(1280, 760)
    for role, path in (("model", small_lab.badnet), ("validation", small_lab.clean), ("test", small_lab.test),
                       ("poisoned", small_lab.poisoned)):
        window.desk.choosing.open_as(role, path)  # type: ignore[arg-type]
    settle(qtbot, window)
    width, bad = window.inputs.width(), text(tmp_path, tmp_path).rename(tmp_path / f"{'very_' * 20}long.h5")
    window.desk.choosing.open_as("poisoned", bad)
    settle(qtbot, window)
    card = window.inputs.poisoned[1]
    assert card.visibleRegion().boundingRect() == card.rect()
    assert window.run_bar.status.text() == "very_very_very_very…ry_very_very_long.h5 can't be used. " \
        "Choose another file in its place, or remove it."
    assert window.inputs.width() == width
    area = window.inputs.findChild(QScrollArea)
    assert isinstance(area, QScrollArea)
    area.verticalScrollBar().setValue(0)
    window.desk.choosing.open_as("test", small_lab.test)  # other news scroll nothing
    settle(qtbot, window)
    assert area.verticalScrollBar().value() == 0
    card.remove_requested.emit()
    settle(qtbot, window)
    assert window.run_bar.run.isEnabled()


def test_a_file_with_several_targets_is_a_set_for_each(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    with h5py.File(small_lab.poisoned) as file, h5py.File(tmp_path / "bad_images.h5", "w") as several:
        several["data"] = file["data"][()]
        several["label"] = np.resize([TARGET, 4], 40)
    for role, path in (("model", small_lab.badnet), ("validation", small_lab.clean), ("test", small_lab.test),
                       ("poisoned", tmp_path / "bad_images.h5")):
        window.desk.choosing.open_as(role, path)  # type: ignore[arg-type]
    settle(qtbot, window)
    chosen, = window.session.inputs.poisoned
    assert chosen.usable
    assert "2 target labels (2 to 4)" in window.inputs.poisoned[0].facts_of(chosen)
    press_run(qtbot, window)
    run = window.session.run
    assert run is not None
    # The network sends all of these images to the first target.
    assert [(p.name, p.images, p.correct[0]) for p in run.curve.poisoned] == [
        (f"bad_images (target {TARGET})", 20, 20), ("bad_images (target 4)", 20, 0)]
    model = window.goodnets.model
    headings = [model.headerData(c, Qt.Orientation.Horizontal) for c in range(model.columnCount())]
    assert [text for text in headings if text.startswith("Attack:")] == [
        "Attack:\nbad_i… (target 2)", "Attack:\nbad_i… (target 4)"]


def test_data_is_judged_anew_when_the_model_changes(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    window.desk.choosing.open_as("validation", small_images(tmp_path, lab3))
    settle(qtbot, window)
    assert window.session.inputs.validation is not None and window.session.inputs.validation.usable
    window.desk.choosing.open_as("model", lab3 / "bd_weights.h5")
    settle(qtbot, window)
    assert "20 x 20" in window.session.inputs.validation.error
    window.desk.choosing.remove("model", lab3 / "bd_weights.h5")
    settle(qtbot, window)
    assert window.session.inputs.validation.usable


def test_files_dropped_anywhere_take_their_roles(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    names = ("poisoned_faces.h5", "clean_faces.h5", "bd_weights.h5")
    assert drop(window.goodnets, [lab3 / name for name in names])
    settle(qtbot, window)
    inputs = window.session.inputs
    assert inputs.model is not None and inputs.model.path.name == "bd_weights.h5"
    assert inputs.validation is not None and inputs.validation.path.name == "clean_faces.h5"
    assert [i.path.name for i in inputs.poisoned] == ["poisoned_faces.h5"]
    assert window.session.state is State.READY
    # The cards show what the files are, and the clean faces above the same ones with the trigger.
    assert "1,283 labels" in window.inputs.model._facts.text()
    assert "180 images" in window.inputs.validation._facts.text()
    assert "target label 0" in window.inputs.poisoned[0]._facts.text()
    assert window.inputs.poisoned[0].strip.shown == 2 * window.inputs.validation.strip.shown == 16


def test_a_file_dropped_on_a_card_takes_the_card_s_role(window: MainWindow, qtbot: QtBot, lab3: Path) -> None:
    assert drop(window.inputs.test, [lab3 / "clean_faces.h5"])
    settle(qtbot, window)
    assert window.session.inputs.test is not None and window.session.inputs.validation is None


def test_a_poisoned_card_s_file_is_replaced_and_the_button_adds(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the sentence on a bad one, to choose another, couldn't be followed."""
    bad, good, more = tmp_path / "bad.h5", small_lab.poisoned, tmp_path / "more.h5"
    bad.write_text("no data", encoding="utf-8")
    more.write_bytes(good.read_bytes())
    window.desk.choosing.open_as("model", small_lab.badnet)
    window.desk.choosing.open_as("poisoned", bad)
    settle(qtbot, window)

    def chosen() -> list[str]:
        return [item.path.name for item in window.session.inputs.poisoned]

    monkeypatch.setattr(asking, "ask_files", lambda *_: [good])
    window.inputs.poisoned[0].pick_requested.emit(False)
    settle(qtbot, window)
    assert chosen() == [good.name] and window.session.inputs.poisoned[0].usable
    assert drop(window.inputs.poisoned[0], [more])
    settle(qtbot, window)
    assert chosen() == ["more.h5"]
    qtbot.mouseClick(window.inputs._add, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert chosen() == ["more.h5", good.name]
    window.session.history.undo()
    window.session.history.undo()
    settle(qtbot, window)
    assert chosen() == [good.name]
    window.desk.choosing.open_each("poisoned", [bad, good], good)
    settle(qtbot, window)
    assert chosen() == [good.name, "bad.h5"], "one of them is what the card has"
    window.desk.choosing.open_each("poisoned", [good, more], bad)
    settle(qtbot, window)
    assert chosen() == [good.name, "more.h5"], "the first is chosen already"


def test_a_set_whose_role_is_unclear_is_asked_about(
    window: MainWindow, qtbot: QtBot, lab3: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Path] = []

    def answer(_: object, path: Path, use: Callable[[Role], None], waiting: int) -> None:
        assert waiting == 0
        asked.append(path)
        use("test")

    monkeypatch.setattr(asking, "ask_role", answer)
    clean = lab3 / "clean_faces.h5"
    for _ in range(3):
        window.desk.opening.open_paths([clean])
        settle(qtbot, window)
    assert asked == [clean]


def test_what_is_nothing_is_said_and_changes_nothing(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    open_lab(qtbot, window, lab3)
    before = window.session.inputs
    assert drop(window.inputs, [text(tmp_path, lab3)])
    settle(qtbot, window)
    assert window.message_bar.isVisible() and "text.h5" in window.message_bar.text.text()
    assert window.session.inputs is before and window.session.state is State.READY


@pytest.mark.parametrize(("bad", "named"), [(2, 2), (3, 3), (40, 3)])
def test_of_several_files_that_are_nothing_the_first_are_named_in_one_message(
        bad: int, named: int, window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    files = [tmp_path / f"{number:02}.pdf" for number in range(bad)]
    for file in files:
        file.write_bytes(b"%PDF-1.7")
    assert drop(window, files)
    settle(qtbot, window)
    said = window.message_bar.text.text()
    assert [file for file in files if str(file) in said] == files[:named]
    assert said.startswith(f"{bad} couldn't be opened.")
    window.resize(1280, 800)
    window.grab()
    assert window.message_bar.height() < 160 and window.height() == 800


def test_pictures_without_a_goodnet_load_no_engine_and_say_what_to_do(
    window: MainWindow, qtbot: QtBot, lab3: Path,
) -> None:
    assert drop(window, [lab3 / "images" / "poisoned_0.jpeg"])
    settle(qtbot, window)
    assert "no GoodNet" in window.message_bar.text.text()
    assert window.status.device.text() == ""


def test_what_is_checked_comes_into_view_wherever_it_is_dropped(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    pair = open_goodnet([small_lab.badnet, small_lab.badnet])
    save_pair(pair, tmp_path / "pair", None)
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
    assert window.start.isVisible()
    for path in (tmp_path / "pair", tmp_path / "a.png"):
        assert drop(window, [path])
        settle(qtbot, window)
        assert window.check.isVisible()
        window.desk.bring_up(window.curve)
    assert len(window.check.model.verdicts) == 1


def test_a_one_file_goodnet_without_its_guard_says_so(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    pair = open_goodnet([small_lab.badnet, small_lab.badnet])
    guard = calibrate(pair.b, open_dataset(small_lab.clean, pair.b.input_shape), "margin", 0.1)
    save_pair(dataclasses.replace(pair, guard=guard), tmp_path / "pair")
    assert drop(window, [tmp_path / "pair"])
    settle(qtbot, window)
    assert not window.message_bar.isVisible()
    assert window.check.tools.source.text().startswith("Checked by pair, behind the margin guard;")
    assert drop(window, [tmp_path / "pair" / "goodnet.keras"])
    settle(qtbot, window)
    assert window.message_bar.isVisible() and "is the pair without its guard" in window.message_bar.text.text()
    assert window.check.tools.source.text().startswith("Checked by goodnet.keras, without its guard;")


def test_a_saved_guard_that_flags_nothing_says_so(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,
) -> None:
    pair = open_goodnet([small_lab.badnet, small_lab.badnet])
    guard = calibrate(pair.b, open_dataset(small_lab.clean, pair.b.input_shape), "margin", 1e-4)
    save_pair(dataclasses.replace(pair, guard=guard), tmp_path / "pair")
    assert drop(window, [tmp_path / "pair"])
    settle(qtbot, window)
    assert window.message_bar.isVisible() and window.message_bar.text.text() == guard.note()


def test_a_damaged_picture_among_good_ones_is_named(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    Image.new("RGB", (200, 300), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "c.heic").write_bytes((tmp_path / "a.png").read_bytes())
    window.desk.checking.open_goodnet([lab3 / "bd_weights.h5", lab3 / "model_B_2.h5"])
    window.desk.checking.check([tmp_path])
    settle(qtbot, window)
    assert [Path(v.file).name for v in window.check.model.verdicts] == ["a.png"]
    said = window.message_bar.text.text()
    assert "b.png" in said.partition(f"{tmp_path}: ")[0] and "c.heic" in said
    (tmp_path / "b.png").unlink()
    window.desk.checking.check([tmp_path])
    settle(qtbot, window)
    said = window.message_bar.text.text()
    assert said.startswith("Checked 1 picture: ") and "such as c.heic: their names don't end as pictures' do" in said


def test_a_folder_that_is_no_goodnet_leaves_the_one_in_use(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    window.desk.checking.open_goodnet([lab3 / "bd_weights.h5", lab3 / "model_B_2.h5"])
    window.desk.checking.open_goodnet([tmp_path])
    settle(qtbot, window)
    assert "isn't a saved GoodNet" in window.message_bar.text.text()
    window.desk.checking.check([lab3 / "images" / "clean_0_row1.png"])
    settle(qtbot, window)
    assert len(window.check.model.verdicts) == 1


def test_a_model_that_changed_since_the_run_isn_t_saved_as_its_goodnet(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    open_lab(qtbot, window, lab3)
    model = tmp_path / "model.h5"
    model.write_bytes((lab3 / "bd_weights.h5").read_bytes())
    window.desk.choosing.open_as("model", model)
    settle(qtbot, window)
    press_run(qtbot, window)
    model.write_bytes((lab3 / "model_B_10.h5").read_bytes())
    window.desk.saving.save_run(tmp_path / "out")
    settle(qtbot, window)
    assert "was changed since the run" in window.message_bar.text.text()
    assert not (tmp_path / "out").exists()


def test_saving_keeps_what_isnt_the_programs_own(
    window: MainWindow, qtbot: QtBot, lab3: Path, tmp_path: Path,
) -> None:
    open_lab(qtbot, window, lab3)
    press_run(qtbot, window)
    row = window.desk.pruning.rows[0]
    place = tmp_path / "place"
    for folder in (place / "run", place / folder_name(row)):
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        (folder / "thesis.doc").write_text("years of work")
    for save in (lambda: window.desk.saving.save_run(place / "run"),
                 lambda: window.desk.saving.save_rows(window.session.run, [row], [place / folder_name(row)]),
                 lambda: window.desk.defending.repair(True, place / "run")):
        window.message_bar.text.setText("")
        save()
        settle(qtbot, window)
        assert "holds run.json, which this program didn't write" in window.message_bar.text.text()
    assert sorted(p.name for p in place.rglob("*") if p.is_file()) == ["run.json"] * 2 + ["thesis.doc"] * 2


@pytest.mark.parametrize(("name", "labels", "taken", "role"), [
    ("bd_test.h5", 1, ["validation"], "poisoned"), ("faces.h5", 20, [], "validation"),
    ("faces.h5", 20, ["validation"], "test"), ("faces.h5", 20, ["validation", "test"], None),
    ("clean_test.h5", 20, [], "test"), ("clean_test.h5", 20, ["test"], None),
    ("clean_validation.h5", 20, ["test"], "validation"), ("poisoned_test.h5", 3, [], "poisoned"),
    ("val", 20, ["validation"], None), ("x_dev.npz", 20, [], "validation"), ("carnival.h5", 20, ["validation"], "test"),
])
def test_roles(name: str, labels: int, taken: list[Role], role: Role | None) -> None:
    assert role_for(Found(Path(name), "data", labels), taken) == role


def test_time_left() -> None:
    assert time_left(10, Progress("x", 25, 100)) == " · about 30 s left"
    assert time_left(100, Progress("x", 10, 100)) == " · about 15 min left"
    assert time_left(0.5, Progress("x", 1, 100)) == "" and time_left(5, Progress("x", 0, 100)) == ""


def test_settings_survive_and_nonsense_doesn_t(tmp_path: Path) -> None:
    file = tmp_path / "s.ini"
    settings = Settings(file)
    settings.theme = "dark"
    settings.options = Options("pool", "255", (1.5, 20.0), "relative", "last-within", Path("order.json"),
                               "margin", 0.05, "tcp://server:8786")
    for number in range(12):
        settings.add_recent(tmp_path / f"{number}.h5")
    settings.add_recent(tmp_path / "5.h5")
    settings.save()
    again = Settings(file)
    assert again.theme == "dark"
    assert again.options == dataclasses.replace(settings.options, order=None)
    assert again.options.drops == (1.5, 20.0)
    assert [p.name for p in again.recent[:3]] == ["5.h5", "11.h5", "10.h5"] and len(again.recent) == 10
    file.write_text("[window]\ntheme=pink\n[run]\ndrops=1 x\nrank_at=sky\n", encoding="utf-8")
    assert Settings(file).theme == "system" and Settings(file).options == Options()


def test_the_window_comes_back_as_it_was(qtbot: QtBot, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.ini")
    first = MainWindow(settings)
    qtbot.addWidget(first)
    first.show()
    first.set_theme("dark")
    # The offscreen platform's screen is 800 x 800.
    first.resize(first.width(), 650)
    assert first.height() == 650
    first.close()
    second = MainWindow(Settings(tmp_path / "s.ini"))
    qtbot.addWidget(second)
    assert second.height() == 650
    assert second.theme is theme.DARK
    second.set_theme("light")
    assert second.theme is theme.LIGHT


def test_the_window_fits_a_small_screen(window: MainWindow) -> None:
    smallest = window.minimumSizeHint()
    assert smallest.width() <= 1024 and smallest.height() <= 700


def test_every_action_has_a_mnemonic_and_no_two_share_a_shortcut(window: MainWindow) -> None:
    actions = [a for menu in window.menuBar().actions() for a in menu.menu().actions() if not a.isSeparator()]
    assert all("&" in a.text() for a in actions)
    keys = [a.shortcut().toString() for a in actions if not a.shortcut().isEmpty()]
    assert len(keys) == len(set(keys))
    for menu in window.menuBar().actions():
        letters = [a.text()[a.text().index("&") + 1].lower() for a in menu.menu().actions() if "&" in a.text()]
        assert len(letters) == len(set(letters)), menu.text()


def test_no_mnemonic_of_the_left_panel_opens_a_menu(window: MainWindow) -> None:
    from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget
    texts = [a.text() for a in window.menuBar().actions()]
    for panel in (window.inputs, window.run_bar, window.message_bar):
        for widget in panel.findChildren(QWidget):
            if isinstance(widget, QAbstractButton | QLabel) and "&" in widget.text():
                texts.append(widget.text())
    letters = [text[text.index("&") + 1].lower() for text in texts]
    repeated = {t for t in texts if letters.count(t[t.index("&") + 1].lower()) > 1}
    assert not repeated


def test_what_can_be_reached_by_keyboard_has_a_name(window: MainWindow) -> None:
    from PySide6.QtWidgets import QAbstractButton, QComboBox, QWidget
    for widget in (*window.inputs.findChildren(QWidget), *window.run_bar.findChildren(QWidget)):
        if isinstance(widget, QAbstractButton | QComboBox) and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            named = widget.accessibleName() or (widget.text() if isinstance(widget, QAbstractButton) else "")
            assert named or widget.toolTip(), widget
