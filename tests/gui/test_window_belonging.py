"""Results say what they are of: which network, and whether that is what is chosen now."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import h5py
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.goodnets.saved import open_goodnet, save_pair
from engine.records.autosave import kept_runs
from engine.reports.headline import headline
from engine.runs.pairs import build_goodnet
from gui.check.model import B_LABEL
from gui.defences.repair_dialog import RepairDialog
from gui.jobs.saving import folder_name
from gui.main_window import MainWindow
from gui.result.wing import mark_of
from gui.session.session import State
from gui.widgets import asking
from tests.engine.runs.opening.test_labelling import colours_network
from tests.gui.test_window_defences import open_small
from tests.support.engine_fixtures import small_lab  # noqa: F401
from tests.support.networks import LABELS, SmallLab, build
from tests.support.noted_models import h5_with
from tests.support.window_driver import PATIENCE_MS, press_run, repeated, settle


def marked(window: MainWindow) -> str:
    """What stands beside results that aren't of what is chosen."""
    bar = window.result
    assert bar.isVisibleTo(window)
    assert bar.files.isVisibleTo(window) == bar.mark.isVisibleTo(window)
    return bar.mark.text() if bar.mark.isVisibleTo(window) else ""


def backwards_folder(lab: SmallLab, place: Path) -> Path:
    """The clean images as pictures in sub-folders whose alphabet runs against the labels: "kind g" is label 0."""
    folder = place / "pictures"
    with h5py.File(lab.clean) as file:
        for number, (pixels, label) in enumerate(zip(file["data"][()], file["label"][()], strict=True)):
            inside = folder / f"kind {'gfedcba'[int(label)]}"
            inside.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.transpose(1, 2, 0)).save(inside / f"{number}.png")
    return folder


@pytest.fixture
def other(small_lab: SmallLab, tmp_path: Path) -> Path:  # noqa: F811
    """The same network under another name."""
    path = tmp_path / "other.keras"
    path.write_bytes(small_lab.badnet.read_bytes())
    return path


def test_until_a_run_has_counted_the_curve_is_said_to_be_that_before_it(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    request = dataclasses.replace(window.session.run.request, model=other)
    assert mark_of(window.session, request, counting=False) == (
        "A run on other.keras is under way. All still shows the run on badnet.keras before it.")
    assert mark_of(window.session, request, counting=True).startswith(
        "A run on other.keras is under way. The curve is that run's as far as it has counted")
    window.desk.choosing.open_as("model", other)
    settle(qtbot, window)
    said: list[str] = []
    pruning, mark = window.desk.pruning, window.result.mark
    pruning.curve_changed.connect(lambda *_: said.append(mark.text()) if pruning.counting else None)
    press_run(qtbot, window)
    assert said and all("The curve is that run's" in sentence for sentence in said)


def test_the_title_and_the_line_above_the_tabs_name_the_network(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,  # noqa: F811
) -> None:
    assert window.windowTitle() == "GoodNet" and not window.result.isVisibleTo(window)
    open_small(qtbot, window, small_lab)
    assert window.windowTitle() == "badnet.keras – GoodNet" and not window.result.isVisibleTo(window)
    press_run(qtbot, window)
    best = headline(window.session.run, window.desk.pruning.rows)
    for tab in range(window.tabs.count()):
        window.tabs.setCurrentIndex(tab)
        text = window.result.answer.text().replace("\u00a0", " ")
        assert text.startswith(f"badnet.keras: {best.figures}") and best.name.removeprefix("The ") in text
    assert marked(window) == "" and window.windowTitle() == "badnet.keras – GoodNet"


def test_each_defence_says_which_network_it_is_for(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path, tmp_path: Path,  # noqa: F811
) -> None:
    """Repair and comparison are of the run on show, Defend is of what is chosen by now."""
    view, few = window.defences, tmp_path / "few.h5"
    with h5py.File(small_lab.clean) as file, h5py.File(few, "w") as written:
        kept = file["label"][()] < 3
        written["data"], written["label"] = file["data"][()][kept], file["label"][()][kept]
    window.desk.choosing.open_as("model", other)
    window.desk.choosing.open_as("validation", few)
    settle(qtbot, window)
    assert view.warning.text().startswith("Warning: 4 of 7 labels of other.keras have no clean validation image")
    assert "other.keras" in view.defend_button.toolTip()
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    assert not view.warning.isVisibleTo(view)
    window.desk.choosing.open_as("model", other)
    window.desk.choosing.open_as("validation", few)
    settle(qtbot, window)
    assert not view.warning.isVisibleTo(view)
    for button, name in ((view.compare_button, "badnet.keras"), (view.repair_button, "badnet.keras"),
                         (view.defend_button, "other.keras")):
        assert button.isEnabled() and name in button.toolTip()
    qtbot.mouseClick(view.repair_button, Qt.MouseButton.LeftButton)
    dialog, = (found for found in window.findChildren(RepairDialog) if found.isVisible())
    assert dialog.windowTitle() == "Repair badnet.keras"
    dialog.reject()
    press_run(qtbot, window)
    assert view.warning.text().startswith("Warning: 4 of 7 labels of other.keras have no clean validation image")


@pytest.mark.parametrize(("role", "word"), [
    ("model", "model"), ("validation", "clean validation images"), ("test", "clean test images"),
    ("poisoned", "poisoned images")])
def test_results_of_other_files_are_marked_until_their_own_are_chosen_again(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path, tmp_path: Path,  # noqa: F811
    role: str, word: str,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    files = {"model": other, "validation": small_lab.test, "test": small_lab.clean,
             "poisoned": repeated(small_lab.poisoned, 2, tmp_path / "more.h5")}
    window.desk.choosing.open_as(role, files[role])
    settle(qtbot, window)
    assert marked(window).startswith("These results aren't of what is chosen now.")
    assert f"What is different: {word}." in marked(window)
    assert window.windowTitle() == "badnet.keras, not what is chosen now – GoodNet"
    assert window.result.answer.text().startswith("badnet.keras: ")
    qtbot.mouseClick(window.result.files, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert marked(window) == "" and window.session.state is State.DONE
    assert window.session.inputs.request(window.session.options) == window.session.run_to_save.request
    window.session.history.undo()
    settle(qtbot, window)
    assert f"What is different: {word}." in marked(window)


def test_results_by_other_label_names_are_marked_where_folders_become_labels_by_them(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    folder = backwards_folder(small_lab, tmp_path)
    right, wrong = tmp_path / "right.txt", tmp_path / "wrong.json"
    right.write_text("\n".join(f"kind {letter}" for letter in "gfedcba"), encoding="utf-8")
    wrong.write_text(json.dumps([f"kind {letter}" for letter in "abcdefg"]), encoding="utf-8")
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_names(wrong)
    settle(qtbot, window)
    press_run(qtbot, window)
    assert marked(window) == "" and window.session.state is State.DONE
    window.desk.choosing.open_names(right)
    settle(qtbot, window)
    assert marked(window) == "", "files hold numbers, which no name changes"

    window.desk.choosing.open_as("validation", folder)
    settle(qtbot, window)
    press_run(qtbot, window)
    accuracy = window.session.run.curve.validation.b_prime_rate(0).value
    assert accuracy == 0.9 and marked(window) == ""
    window.desk.choosing.open_names(wrong)
    settle(qtbot, window)
    assert "What is different: label names." in marked(window)
    assert window.session.state is State.READY and "not what is chosen now" in window.windowTitle()
    qtbot.mouseClick(window.result.files, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert marked(window) == "" and list(window.session.names) == [f"kind {letter}" for letter in "gfedcba"]
    window.session.history.undo()
    settle(qtbot, window)
    assert "What is different: label names." in marked(window)


@pytest.mark.parametrize("role", ["model", "validation"])
def test_results_of_a_file_that_was_replaced_are_marked(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path, role: str,  # noqa: F811
) -> None:
    path = other if role == "model" else other.with_name("clean.h5")
    path.write_bytes((small_lab.badnet if role == "model" else small_lab.clean).read_bytes())
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_as(role, path)
    settle(qtbot, window)
    press_run(qtbot, window)
    window.desk.choosing.open_as(role, path)
    settle(qtbot, window)
    assert marked(window) == "" and window.session.state is State.DONE
    if role == "model":
        build("plain", seed=3)[0].save(path)
    else:
        path.write_bytes(small_lab.test.read_bytes())
    window.desk.choosing.open_as(role, path)
    settle(qtbot, window)
    assert f"What is different: what {path.name} holds." in marked(window) and window.session.state is State.READY


def test_data_that_was_replaced_by_as_many_images_and_labels_is_marked_until_it_is_run(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    path = tmp_path / "clean.h5"
    path.write_bytes(small_lab.clean.read_bytes())
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_as("validation", path)
    settle(qtbot, window)
    press_run(qtbot, window)
    assert marked(window) == ""
    replaced_alike(path)
    window.desk.choosing.open_as("validation", path)
    settle(qtbot, window)
    assert "What is different: clean.h5, which was written anew." in marked(window)
    assert window.session.state is State.READY
    replaced_alike(path)  # and now the card doesn't know of it before it is run
    press_run(qtbot, window)
    assert marked(window) == "" and window.session.state is State.DONE


def replaced_alike(path: Path) -> None:
    """The same images in another order under the same path; as many bytes, written a second later."""
    before = path.stat().st_mtime_ns
    with h5py.File(path, "a") as file:
        for name in ("data", "label"):
            file[name][...] = file[name][()][::-1]
    os.utime(path, ns=(before, before + 1_000_000_000))


def test_names_of_the_sample_are_those_of_its_own_network_alone(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    choosing, session, shown = window.desk.choosing, window.session, window.check.model
    choosing.open_sample()
    settle(qtbot, window)
    assert len(shown._names) == 48
    choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    assert tuple(session.names) == tuple(shown._names) == ()
    session.history.undo()
    settle(qtbot, window)
    assert len(shown._names) == 48
    own = tuple(f"animal {n}" for n in range(LABELS))
    choosing.open_as("model", h5_with(tmp_path, small_lab.badnet, class_names=list(own)))
    settle(qtbot, window)
    assert tuple(shown._names) == own


def test_names_that_a_person_gave_stay_for_networks_with_as_many_labels(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path, tmp_path: Path,  # noqa: F811
) -> None:
    names = tuple(f"kind {n}" for n in range(LABELS))
    open_small(qtbot, window, small_lab)
    window.desk.choosing.name_labels(names, "Label names")
    window.desk.choosing.open_as("model", other)
    settle(qtbot, window)
    assert window.session.names == names
    window.desk.choosing.open_as("model", colours_network(tmp_path / "four.keras", 4))
    settle(qtbot, window)
    assert window.session.names == ()
    window.session.history.undo()
    settle(qtbot, window)
    assert window.session.names == names and window.session.inputs.labels == LABELS


def test_a_list_of_names_for_another_number_of_labels_is_refused(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["label", *(f"kind {n}" for n in range(LABELS))]), encoding="utf-8")
    window.desk.choosing.open_names(names)
    settle(qtbot, window)
    assert tuple(window.session.names) == ()
    assert f"{names}: holds {LABELS + 1} names, but {small_lab.badnet} has {LABELS} labels. " in \
        window.message_bar.text.text()
    window.desk.choosing.open_all([], "Nothing")
    window.desk.choosing.open_names(names)
    settle(qtbot, window)
    assert len(window.session.names) == LABELS + 1, "they may be those of the network that comes next"
    said: list[str] = []
    window.session.message.connect(lambda message: said.append(message.text))
    window.desk.choosing.open_as("model", small_lab.badnet)
    settle(qtbot, window)
    assert tuple(window.session.names) == ()
    assert f"{small_lab.badnet.name} has {LABELS} labels, so the list of {LABELS + 1} label names isn't used any " \
        "more." in said


def test_a_list_of_names_for_a_saved_pair_alone_is_counted_against_it(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
) -> None:
    names = tmp_path / "names.txt"
    monkeypatch.setattr(asking, "ask_file", lambda *_: names)
    window.desk.checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    settle(qtbot, window)
    for count, kept in ((LABELS + 1, 0), (LABELS, LABELS)):
        names.write_text("\n".join(f"kind {n}" for n in range(count)), encoding="utf-8")
        window.check.names_requested.emit()
        settle(qtbot, window)
        told = f"{names}: holds {count} names, but {small_lab.badnet} has {LABELS} labels. "
        assert (told in window.message_bar.text.text()) == (not kept)
        assert len(window.session.names) == len(window.check.model._names) == kept


def test_names_of_labels_that_are_numbers_are_the_run_s_too(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,  # noqa: F811
) -> None:
    """So that its records say them, and so does the run once it is brought back."""
    names = tuple(f"kind {n}" for n in range(LABELS))
    open_small(qtbot, window, small_lab)
    window.desk.choosing.name_labels(names, "Label names")
    press_run(qtbot, window)
    run = window.session.run
    assert run and run.request.classes == run.model.classes == names
    window.desk.choosing.name_labels((), "None")
    assert marked(window) == "", "its figures are the same by any names"
    window.desk.keeping.reopen(kept_runs(window.settings.runs_folder)[0].folder)
    settle(qtbot, window)
    assert tuple(window.session.names) == names and window.session.state is State.DONE


def test_verdicts_keep_the_names_of_the_network_that_gave_them(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    models = []
    for kind in ("sign", "animal"):
        (tmp_path / kind).mkdir()
        models.append(h5_with(tmp_path / kind, small_lab.badnet, class_names=[f"{kind} {n}" for n in range(LABELS)]))
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_as("model", models[0])
    settle(qtbot, window)
    press_run(qtbot, window)
    window.desk.checking.check_pixels(window.session.inputs.pictures[:1])
    settle(qtbot, window)
    answer = window.check.model.index(0, B_LABEL)
    assert " sign " in answer.data()
    window.desk.choosing.open_as("model", models[1])
    settle(qtbot, window)
    assert " sign " in answer.data()
    window.desk.choosing.name_labels([f"mine {n}" for n in range(LABELS)], "Label names")
    assert " mine " in answer.data(), "what a person says goes before"


@pytest.mark.parametrize("named", [True, False])
def test_a_saved_pair_is_never_called_by_another_network_s_names(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, named: bool,  # noqa: F811
) -> None:
    animals, signs = (tuple(f"{kind} {n}" for n in range(LABELS)) for kind in ("animal", "sign"))
    other = h5_with(tmp_path, small_lab.badnet, class_names=list(animals))
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    pair = build_goodnet(window.session.run, window.desk.pruning.rows[0])
    if named:
        pair = dataclasses.replace(pair, notes=pair.notes | {"classes": list(signs)})
    save_pair(pair, tmp_path / "pair")
    window.desk.choosing.open_as("model", other)
    window.desk.checking.open_goodnet([tmp_path / "pair"])
    settle(qtbot, window)
    assert tuple(window.session.found) == animals
    assert tuple(window.check.model._names) == (signs if named else ())
    window.desk.choosing.name_labels([f"mine {n}" for n in range(LABELS)], "Label names")
    assert window.check.model._names[0] == "mine 0", "what a person says goes before"


def test_a_pair_s_verdicts_keep_the_sample_s_names_and_lose_them_with_its_next_pair(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    pair = build_goodnet(window.session.run, window.desk.pruning.rows[0])
    save_pair(pair, tmp_path / "pair")
    window.desk.checking.open_goodnet([tmp_path / "pair"])
    settle(qtbot, window)
    names = tuple(f"kind {n}" for n in range(LABELS))
    window.session.name_labels(names, small_lab.badnet)  # as the sample's come, with its network
    assert tuple(window.check.model._names) == names
    (tmp_path / "other").mkdir()
    window.desk.choosing.open_as("model", h5_with(tmp_path / "other", small_lab.badnet))
    settle(qtbot, window)
    assert tuple(window.session.names) == () and tuple(window.check.model._names) == names
    window.desk.checking.open_goodnet([tmp_path / "pair"])
    settle(qtbot, window)
    assert tuple(window.check.model._names) == ()


def test_a_run_that_is_brought_back_brings_its_own_names_or_none(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    window.desk.choosing.open_as("model", other)
    window.desk.choosing.name_labels([f"kind {n}" for n in range(LABELS)], "Label names")
    settle(qtbot, window)
    qtbot.mouseClick(window.result.files, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert tuple(window.session.names) == ()


def test_results_of_other_options_are_marked_and_those_of_other_thresholds_aren_t(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    session = window.session
    session.set_options(dataclasses.replace(session.options, drops=(5.0,)))
    assert marked(window) == ""
    session.set_options(dataclasses.replace(session.options, guard="none"))
    assert "other run options" in marked(window)
    press_run(qtbot, window)
    assert marked(window) == ""
    session.set_options(dataclasses.replace(session.options, false_alarms=0.1))
    assert marked(window) == "", "without a guard there is nothing that the rate is of"


def test_what_is_saved_is_what_is_shown_and_the_question_names_it(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path, tmp_path: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    window.desk.choosing.open_as("model", other)
    settle(qtbot, window)
    asked: list[str] = []
    monkeypatch.setattr(asking, "ask_new_folder", lambda _, title, name: asked.append(title) or tmp_path / name)
    qtbot.mouseClick(window.run_bar.save, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    qtbot.mouseClick(window.result.save, Qt.MouseButton.LeftButton)
    settle(qtbot, window)
    assert len(asked) == 2 and all("badnet.keras" in title for title in asked)
    document = json.loads((tmp_path / "badnet-goodnets" / "run.json").read_text(encoding="utf-8"))
    assert document["model"]["path"] == str(small_lab.badnet)
    best = window.desk.pruning.best_pair
    pair = open_goodnet([tmp_path / f"badnet-{folder_name(best.row)}"])
    assert pair.notes["channels_pruned"] == (best.row.channels_pruned if best.row else 0)


def test_the_best_is_used_with_one_click(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    window.desk.checking.open_goodnet([small_lab.badnet, small_lab.badnet])
    settle(qtbot, window)
    with qtbot.waitSignal(window.desk.checking.goodnet_changed, timeout=PATIENCE_MS) as used:
        qtbot.mouseClick(window.result.use, Qt.MouseButton.LeftButton)
    assert window.tabs.currentWidget() is window.check
    best = window.desk.pruning.best_pair
    assert ("nothing pruned" if best.row is None else f"X = {best.row.x:g}") in used.args[0].name


def test_where_there_is_no_verdict_the_line_says_why_on_every_tab(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    shifted = tmp_path / "shifted.h5"
    with h5py.File(small_lab.clean) as before, h5py.File(shifted, "w") as after:
        after["data"], after["label"] = before["data"][()], (before["label"][()] + 1) % LABELS
    open_small(qtbot, window, small_lab)
    window.desk.choosing.open_as("validation", shifted)
    settle(qtbot, window)
    press_run(qtbot, window)
    best = window.desk.pruning.best
    assert best.warnings and best.figures in window.result.answer.text().replace("\u00a0", " ")
    for tab in range(window.tabs.count()):
        window.tabs.setCurrentIndex(tab)
        assert window.result.warnings.isVisibleTo(window)
        assert window.result.warnings.text().replace("\u00a0", " ") == \
            "\n".join(f"Warning: {sentence}" for sentence in best.warnings)
    assert marked(window) == "" and not window.result.more.isVisibleTo(window)  # each stands there once
    assert not window.result.use.isVisibleTo(window) and not window.result.save.isVisibleTo(window)


def test_while_another_run_counts_the_line_says_whose_figures_these_are(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, other: Path, tmp_path: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    shown = window.result.answer.text()
    window.desk.choosing.open_as("model", other)
    window.desk.choosing.open_as("validation", repeated(small_lab.clean, 400, tmp_path / "many.h5"))
    settle(qtbot, window)
    with qtbot.waitSignal(window.session.progressed, timeout=PATIENCE_MS, check_params_cb=lambda p: p.done > 0):
        qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    assert "A run on other.keras is under way" in window.result.mark.text()
    assert "badnet.keras" in window.result.mark.text() and window.result.answer.text() == shown
    assert not window.result.save.isEnabled() and not window.run_bar.save.isEnabled()
    assert not window.goodnets.save_all_button.isEnabled() and not window.goodnets.use_button.isEnabled()
    window.session.cancel()
    settle(qtbot, window)
    assert "What is different: model, clean validation images." in marked(window)
    assert window.result.save.isEnabled() and window.goodnets.save_all_button.isEnabled()


def test_rows_are_saved_with_their_own_run_s_network_whatever_is_on_show_when_the_folder_is_named(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
) -> None:
    build("plain", seed=3)[0].save(tmp_path / "random.keras")
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    first, rows = window.session.run, window.goodnets.all_rows()

    def ask(*_: object) -> Path:
        """The dialog, behind which the next run ends."""
        qtbot.waitUntil(lambda: window.session.run is not first, timeout=PATIENCE_MS)
        return tmp_path / "pair"

    monkeypatch.setattr(asking, "ask_new_folder", ask)
    window.desk.choosing.open_as("model", tmp_path / "random.keras")
    settle(qtbot, window)
    qtbot.mouseClick(window.run_bar.run, Qt.MouseButton.LeftButton)
    window.goodnets.save_requested.emit(rows[-1:])
    settle(qtbot, window)
    assert window.session.run.model.path.name == "random.keras"
    notes = open_goodnet([tmp_path / "pair"]).notes
    assert notes["b"]["sha256"] == first.model.sha256 and notes["channels_pruned"] == rows[-1].channels_pruned


def test_what_is_said_of_a_saved_run_counts_the_goodnets_that_were_saved(
    window: MainWindow, qtbot: QtBot, small_lab: SmallLab, tmp_path: Path,  # noqa: F811
) -> None:
    open_small(qtbot, window, small_lab)
    press_run(qtbot, window)
    count = len(window.desk.pruning.rows)
    window.desk.saving.save_run(tmp_path / "saved")
    window.goodnets.drops_edited.emit((5.0,), "points", "first-past")
    settle(qtbot, window)
    assert f"with {count} GoodNets" in window.message_bar.text.text() and count > len(window.desk.pruning.rows)
