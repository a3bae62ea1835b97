"""Words from files are shown as they are, everywhere in the real window: none is markup, none steers the screen."""

from __future__ import annotations

import dataclasses
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QModelIndex
from PySide6.QtGui import QAction, Qt, QTextDocument
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QLabel,
    QMessageBox,
    QWidget,
)
from pytestqt.qtbot import QtBot

from engine.records.run_files import save_run
from engine.runs.rows import GoodNetRow
from gui.main_window import MainWindow
from gui.messages import Message
from gui.widgets import asking
from gui.widgets.texts import as_tip
from tests.support.examinations import hurry
from tests.support.networks import SmallLab
from tests.support.window_driver import press_run, settle

WORDS = ["<img src='dev-zero'>", "<h1>Verified</h1>", "\x1b[31m", "\u202e", "\n", "\u200b"]
EVIL = "".join(WORDS)


@pytest.fixture
def evil(small_lab: SmallLab, tmp_path: Path) -> SmallLab:
    """The small laboratory in files with evil names."""
    places = {}
    for field in dataclasses.fields(small_lab):
        path: Path = getattr(small_lab, field.name)
        places[field.name] = tmp_path / f"{EVIL.replace('/', '')}{path.name}"
        shutil.copy(path, places[field.name])
    return SmallLab(**places)


def _texts_of(thing: QWidget | QAction) -> Iterator[tuple[str, str, bool]]:
    """Each text of a widget: what it is, itself, and whether it is drawn as markup."""
    if isinstance(thing, QWidget):  # menus don't show their entries' tooltips
        yield "tooltip", thing.toolTip(), Qt.mightBeRichText(thing.toolTip())
    if isinstance(thing, QLabel):
        automatic = thing.textFormat() == Qt.TextFormat.AutoText and Qt.mightBeRichText(thing.text())
        yield "label", thing.text(), automatic or thing.textFormat() == Qt.TextFormat.RichText
    elif isinstance(thing, QAbstractButton | QAction):
        yield "button", thing.text(), False
    elif isinstance(thing, QAbstractItemView) and thing.model() is not None:
        yield from _cells_of(thing.model())
    if isinstance(thing, QWidget) and thing.isWindow():
        yield "title", thing.windowTitle(), False


def _cells_of(model: QAbstractItemModel) -> Iterator[tuple[str, str, bool]]:
    for row in range(model.rowCount()):
        for column in range(1 if isinstance(model, QAbstractListModel) else model.columnCount()):
            index = model.index(row, column, QModelIndex())
            yield "cell", str(model.data(index, Qt.ItemDataRole.DisplayRole) or ""), False
            tip = str(model.data(index, Qt.ItemDataRole.ToolTipRole) or "")
            yield "cell's tooltip", tip, Qt.mightBeRichText(tip)


def shown(text: str, markup: bool) -> str:
    """What a person reads."""
    if not markup:
        return text
    document = QTextDocument()
    document.setHtml(text)
    assert "\ufffc" not in document.toPlainText(), f"a picture is drawn: {text!r}"
    return document.toPlainText()


def assert_all_plain(window: MainWindow) -> int:
    """Look at every widget, action and cell; how many showed an evil word."""
    seen = 0
    things: list[QWidget | QAction] = [*QApplication.allWidgets(), *window.findChildren(QAction)]
    for thing in things:
        for what, text, markup in _texts_of(thing):
            if "dev-zero" not in text and "Verified" not in text:
                continue
            where = f"{what} of {type(thing).__name__}: {text!r}"
            read = shown(text, markup)
            assert "<img src='dev-zero'>" in read or "…" in read, where
            assert not {unicodedata.category(c) for c in read.replace("\n", "")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}, where
            assert "\n" not in read or what not in ("button", "title"), where
            seen += 1
    return seen


def test_no_widget_of_the_window_renders_words_of_files(window: MainWindow, qtbot: QtBot, evil: SmallLab,
                                                        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = window.desk
    for role, path in (("model", evil.badnet), ("validation", evil.clean), ("poisoned", evil.poisoned)):
        desk.choosing.open_as(role, path)
    settle(qtbot, window)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"{number} {EVIL}".replace("\n", " ") for number in range(7)), encoding="utf-8")
    desk.choosing.open_names(names)
    press_run(qtbot, window)
    assert window.session.run is not None
    hurry(monkeypatch)
    desk.examining.examine()
    settle(qtbot, window)
    assert window.examine.verdict.isVisibleTo(window.examine)
    seen = assert_all_plain(window)
    assert seen > 15
    for message in (Message(f"Saved {evil.badnet}."), Message(str(evil.badnet), kind="error")):
        window.session.message.emit(message)
        assert assert_all_plain(window) > seen
    desk.choosing.open_as("test", evil.badnet.with_name(f"missing{evil.badnet.name}"))
    row: GoodNetRow = desk.pruning.rows[0]
    desk.checking.use_row(row)
    desk.checking.check([evil.badnet])
    settle(qtbot, window)
    assert_all_plain(window)


def test_questions_are_plain(window: MainWindow, evil: SmallLab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(QMessageBox, "question", lambda _, __, text, *___: asked.append(text))
    asking.ask_overwrite(window, [evil.badnet])
    asking.ask_unsaved(window, EVIL, can_save=True)
    box = asking.ask_role(window, evil.clean, lambda _: None)
    for text in (*asked, box.text()):
        assert "<img src='dev-zero'>" in shown(text, Qt.mightBeRichText(text)) and "\x1b" not in text
    box.reject()


@pytest.mark.parametrize("text", [EVIL, "a < b & c", "plain", "&lt;b&gt;", "<b>"])
def test_a_tip_reads_as_its_text(text: str) -> None:
    tip = as_tip(text)
    read = shown(tip, Qt.mightBeRichText(tip))
    assert read.replace("\\x1b", "\x1b").replace("\\u202e", "\u202e").replace("\\u200b", "\u200b") == text


def test_the_report_shows_escapes_and_no_script(window: MainWindow, qtbot: QtBot, evil: SmallLab,
                                                tmp_path: Path) -> None:
    desk = window.desk
    script = evil.badnet.with_name(f"<script>alert(1)<{EVIL.replace('/', '')}.keras")
    shutil.copy(evil.badnet, script)
    for role, path in (("model", script), ("validation", evil.clean), ("poisoned", evil.poisoned)):
        desk.choosing.open_as(role, path)
    settle(qtbot, window)
    press_run(qtbot, window)
    assert window.session.run is not None
    save_run(window.session.run, tmp_path / "out")
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in report and "<img src='dev" not in report and "<h1>Verified" not in report
    assert "\\x1b" in report and "\\u202e" in report and "\x1b" not in report and "\u202e" not in report
