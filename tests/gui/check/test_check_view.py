"""The image check: what comes in by drop, paste and button, what the table shows, and what is saved."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from engine.__main__ import main as command_line
from engine.goodnets.checking import FIELDS, Cut, Verdict, Why, confidence_text
from engine.looking.occlusion import OcclusionMap
from gui.check import model
from gui.check.model import (
    B_CONFIDENCE,
    B_LABEL,
    B_PRIME_CONFIDENCE,
    PICTURE,
    VERDICT,
    WHY,
    VerdictModel,
    write_csv,
)
from gui.check.seen import SeenPictures
from gui.check.view import CheckView
from gui.widgets import theme
from gui.widgets.picture_view import heat_image, thumbnail, to_image
from gui.widgets.texts import label_text

pytestmark = [
    # The offscreen platform says so of every window with a smallest size.
    pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints"),
    # Newer versions of PySide take a QPointF here and older ones don't; QPoint is understood by all.
    pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning"),
]

N = 48
NAMES = ["Nils", "Amara", "Viktor"]


def verdict(file: str, b: int = 1, b_prime: int = 1, why: Why | None = None, b_confidence: float = 0.9) -> Verdict:
    """A verdict as the engine gives it."""
    reason: Why = why or ("agree" if b == b_prime else "disagree")
    flagged = reason != "agree"
    seen = np.full((55, 47, 3), (200, 10, 30), np.uint8)
    return Verdict(file, seen, N if flagged else b, flagged, reason, b, b_confidence, b_prime, 0.5)


VERDICTS = [verdict("folder/b.png", 2, 2, b_confidence=0.7).without_picture(),
            verdict("a.png", 0, 17, b_confidence=1.0),
            verdict("C.png", 1, 1, "guard", b_confidence=0.8), verdict("d.png", 1, 1, b_confidence=0.95)]


@pytest.fixture
def view(qtbot: QtBot) -> Iterator[CheckView]:
    """A view with a GoodNet, on screen."""
    theme.apply(theme.LIGHT)
    view = CheckView(theme.LIGHT)
    qtbot.addWidget(view)
    view.resize(1000, 640)
    view.show_goodnet("goodnet-x10", N)
    view.show()
    yield view


def texts(view: CheckView, column: int) -> list[str]:
    """A column's cells from top to bottom, as a person reads them."""
    model = view.table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def button(view: QWidget, text: str) -> QAbstractButton:
    """The button that says so."""
    return next(b for b in view.findChildren(QAbstractButton) if b.text().replace("&", "") == text)


def mime_of(*paths: Path) -> QMimeData:
    """Files as a file manager gives them."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(p)) for p in paths])
    return mime


def drag(view: CheckView, mime: QMimeData) -> bool:
    """Drag over the view with a real event; whether it would take the drop."""
    event = QDragEnterEvent(view.rect().center(), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
                            Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(view, event)
    return event.isAccepted()


def drop(view: CheckView, mime: QMimeData) -> None:
    """Drop on the view with a real event."""
    QApplication.sendEvent(view, QDropEvent(
        QPointF(view.rect().center()), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier))


def test_images_of_open_sets_are_offered_until_there_are_verdicts(view: CheckView, qtbot: QtBot) -> None:
    assert not view.empty.samples.isVisible()
    view.show_samples(5)
    offer = button(view, "Check 5 of the open images")
    assert offer.isVisible()
    with qtbot.waitSignal(view.samples_requested):
        qtbot.mouseClick(offer, Qt.MouseButton.LeftButton)
    view.set_busy(True)
    assert not offer.isEnabled()
    view.set_busy(False)
    view.show_verdicts(VERDICTS)
    assert not offer.isVisible()
    view.clear()
    view.show_goodnet(None, 0)
    assert not offer.isVisible()


def test_dropped_pictures_and_folders_are_checked(view: CheckView, qtbot: QtBot, tmp_path: Path) -> None:
    paths = [tmp_path / "über face.PNG", tmp_path]
    mime = mime_of(*paths)
    assert drag(view, mime)
    with qtbot.waitSignal(view.check_requested) as asked:
        drop(view, mime)
    assert asked.args == [paths]


def test_what_is_no_picture_is_left_to_the_window(view: CheckView, tmp_path: Path) -> None:
    assert not drag(view, mime_of(tmp_path / "model.keras"))
    assert not drag(view, mime_of(tmp_path / "face.png", tmp_path / "faces.h5"))
    assert not drag(view, mime_of(tmp_path / ("a" * 300)))  # which the system can't even look for
    text = QMimeData()
    text.setText("hello")
    assert not drag(view, text)


def test_nothing_is_taken_without_a_goodnet_or_while_busy(view: CheckView, qtbot: QtBot, tmp_path: Path) -> None:
    mime = mime_of(tmp_path / "face.png")
    view.set_busy(True)
    assert not drag(view, mime)
    assert not button(view, "Pictures…").isEnabled()
    view.set_busy(False)
    assert drag(view, mime)
    view.show_goodnet(None, 0)
    assert not drag(view, mime)
    QGuiApplication.clipboard().setMimeData(mime)
    with qtbot.assertNotEmitted(view.check_requested), qtbot.waitSignal(view.message):
        view.paste()


def test_paste_by_the_key(view: CheckView, qtbot: QtBot, tmp_path: Path) -> None:
    QGuiApplication.clipboard().setMimeData(mime_of(tmp_path / "face.png"))
    with qtbot.waitSignal(view.check_requested) as files:
        qtbot.keySequence(view.table, QKeySequence(QKeySequence.StandardKey.Paste))
    assert files.args == [[tmp_path / "face.png"]]
    picture = QImage(6, 4, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.red)
    QGuiApplication.clipboard().setImage(picture)
    with qtbot.waitSignal(view.image_pasted) as pasted:
        view.paste()
    assert pasted.args[0].size() == picture.size()
    assert pasted.args[0].pixelColor(3, 2) == picture.pixelColor(3, 2)
    QGuiApplication.clipboard().setText("no picture")
    with qtbot.waitSignal(view.message) as said:
        view.paste()
    assert "no picture" in said.args[0]


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/bmp"])
def test_the_content_of_a_file_is_pasted_unopened(kind: str, view: CheckView, qtbot: QtBot) -> None:
    """Another program's picture may be made to harm: Qt must not unpack it in the window's process."""
    mime = QMimeData()
    mime.setData(kind, b"anything at all")
    QGuiApplication.clipboard().setMimeData(mime)
    with qtbot.assertNotEmitted(view.image_pasted), qtbot.waitSignal(view.file_pasted) as pasted:
        view.paste()
    assert pasted.args == [b"anything at all"]


def test_buttons_ask_for_files_folders_goodnets_and_names(
    view: CheckView, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(tmp_path / "a.png")], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    with qtbot.waitSignal(view.check_requested) as asked:
        button(view, "Pictures…").click()
    assert asked.args == [[tmp_path / "a.png"]]
    with qtbot.waitSignal(view.check_requested) as asked:
        button(view, "Folder…").click()
    assert asked.args == [[tmp_path]]
    with qtbot.waitSignal(view.open_goodnet_requested):
        button(view, "Open GoodNet…").click()
    with qtbot.waitSignal(view.names_requested):
        button(view, "Label names…").click()


def test_rows_say_what_the_verdict_is(view: CheckView) -> None:
    view.show_verdicts(VERDICTS[:2])
    view.show_verdicts(VERDICTS[2:])
    assert texts(view, PICTURE) == ["b.png", "a.png", "C.png", "d.png"]
    assert texts(view, VERDICT) == ["2", "backdoored (N)", "backdoored (N)", "1"]
    assert texts(view, WHY) == ["agree", "disagree", "guard", "agree"]
    view.show_names(NAMES)
    assert texts(view, VERDICT) == ["2 Viktor", "backdoored (N)", "backdoored (N)", "1 Amara"]
    assert label_text(17, NAMES) == "17"
    view.show_names(["0", "Amara", "2"])
    assert texts(view, VERDICT) == ["2", "backdoored (N)", "backdoored (N)", "1 Amara"], "no name is a number again"


def test_confidence_is_per_cent_only_where_it_is_a_probability() -> None:
    assert [confidence_text(c, True) for c in (0.0, 0.123, 1.0)] == ["0.0 %", "12.3 %", "100.0 %"]
    assert [confidence_text(c, False) for c in (17.25, 0.83, -3.0)] == ["17.2", "0.83", "-3"]


def test_of_a_network_without_softmax_the_output_itself_is_shown(view: CheckView) -> None:
    view.show_verdicts([dataclasses.replace(verdict("a.png", b_confidence=0.83), in_probabilities=(False, True))])
    assert (texts(view, B_CONFIDENCE), texts(view, B_PRIME_CONFIDENCE)) == (["0.83"], ["50.0 %"])
    view.table.selectRow(0)
    assert "B says 1 (0.83)\nB' says 1 (50.0 % sure)" in view.detail.words.text()


def test_sorting_keeps_the_selection_and_takes_later_rows_in(view: CheckView) -> None:
    view.show_verdicts(VERDICTS)
    view.table.selectRow(1)
    view.table.sortByColumn(B_CONFIDENCE, Qt.SortOrder.DescendingOrder)
    assert texts(view, PICTURE) == ["a.png", "d.png", "C.png", "b.png"]
    assert view.table.currentIndex().row() == 0
    assert view.detail.verdict is VERDICTS[1]
    view.show_verdicts([verdict("e.png", b_confidence=0.97), verdict("f.png", b_confidence=0.1)])
    assert texts(view, PICTURE) == ["a.png", "e.png", "d.png", "C.png", "b.png", "f.png"]
    assert view.detail.verdict is VERDICTS[1]
    view.table.sortByColumn(PICTURE, Qt.SortOrder.AscendingOrder)
    assert texts(view, PICTURE) == ["a.png", "b.png", "C.png", "d.png", "e.png", "f.png"]
    assert view.model.shown[view.table.currentIndex().row()] is VERDICTS[1]
    view.table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    assert texts(view, PICTURE) == ["b.png", "a.png", "C.png", "d.png", "e.png", "f.png"]


@pytest.mark.parametrize("order", list(Qt.SortOrder))
@pytest.mark.parametrize("column", [PICTURE, VERDICT, B_CONFIDENCE])
def test_rows_that_come_later_are_put_among_thousands_without_sorting_them_again(
    view: CheckView, column: int, order: Qt.SortOrder, monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = np.random.default_rng(0).integers(0, 40, (400, 3)).tolist()
    many = [verdict(f"{a}.png", b % 3, c % 3, b_confidence=a / 40) for a, b, c in drawn]
    view.show_verdicts(many[:384])
    view.table.sortByColumn(column, order)
    view.table.selectRow(200)
    selected, asked, keys = view.detail.verdict, [], model._SORT_KEYS
    monkeypatch.setattr(model, "_SORT_KEYS", tuple(lambda v, k=k: asked.append(v) or k(v) for k in keys))
    view.show_verdicts(many[384:])
    assert list(view.model.shown) == sorted(many, key=keys[column], reverse=order == Qt.SortOrder.DescendingOrder)
    assert len(asked) <= 16 * 10, "as many as it takes to halve the table until a place is found"
    assert view.model.shown[view.table.currentIndex().row()] is selected
    view.filter.setCurrentText("Only flagged")
    view.show_verdicts(many[:16])
    flagged = sum(v.flagged for v in (*many, *many[:16]))
    assert view._summary.text() == f"{flagged} of 416 flagged as backdoored"
    assert len(view.model.shown) == flagged
    view.clear()
    view.show_verdicts(many[:1])
    assert view._summary.text() == f"{many[0].flagged:d} of 1 flagged as backdoored"


def test_filter_shows_only_flagged_ones(view: CheckView) -> None:
    view.show_verdicts(VERDICTS)
    view.table.selectRow(2)
    view.filter.setCurrentText("Only flagged")
    assert texts(view, PICTURE) == ["a.png", "C.png"]
    assert view.detail.verdict is VERDICTS[2]
    view.show_verdicts([verdict("e.png"), verdict("f.png", 3, 4)])
    assert texts(view, PICTURE) == ["a.png", "C.png", "f.png"]
    view.filter.setCurrentText("All pictures")
    assert texts(view, PICTURE) == ["b.png", "a.png", "C.png", "d.png", "e.png", "f.png"]


def test_what_the_filter_hides_isnt_shown_beside_the_table_but_what_comes_alone_is(view: CheckView) -> None:
    view.show_verdicts(VERDICTS)
    view.table.selectRow(0)
    assert not VERDICTS[0].flagged
    view.filter.setCurrentText("Only flagged")
    assert view.detail.verdict is view.model.shown[0] and view.table.currentIndex().row() == 0
    pasted = verdict("pasted.png")
    view.show_verdicts([pasted])
    assert view.detail.verdict is pasted and pasted not in view.model.shown
    assert not view.table.selectionModel().hasSelection()
    view.table.selectRow(0)
    assert view.detail.verdict is view.model.shown[0], "and comes back"
    view.clear()
    view.show_verdicts([verdict("e.png")])
    view.filter.setCurrentText("Only flagged")
    assert view.detail.verdict is None
    found = verdict("g.png", 3, 4)
    view.show_verdicts([verdict("f.png"), found])
    assert view.detail.verdict is found, "one of the table, where there is one"


def test_detail_says_both_answers_and_why(view: CheckView) -> None:
    view.show_names(NAMES)
    view.show_verdicts(VERDICTS)

    def words(row: int) -> str:
        view.table.selectRow(row)
        return view.detail.answer.text() + "\n" + view.detail.words.text()

    assert "2 Viktor" in words(0) and "B says 2 Viktor (70.0 % sure)" in words(0)
    disagree = words(1)
    assert disagree.startswith("backdoored (N)")
    assert "B says 0 Nils (100.0 % sure)" in disagree and "B' says 17 (50.0 % sure)" in disagree
    assert "disagree" in disagree and f"N = {N}" in disagree
    assert "guard" in words(2) and "disagree" not in words(2)
    assert "further ahead of the next label" in words(2)


def test_b_alone_is_no_pair_that_agrees(view: CheckView) -> None:
    """Where nothing was pruned B' is B, so that both agree is no reason for anything."""
    alone = dataclasses.replace(verdict("h.png", 2, 2), b_alone=True, guarded=True)
    flagged = dataclasses.replace(verdict("j.png", 2, 2, "guard"), b_alone=True)
    view.show_verdicts([alone, verdict("i.png", 2, 2), flagged])
    assert texts(view, WHY) == ["passed", "agree", "guard"]
    view.table.selectRow(0)
    words = view.detail.words.text()
    assert "agree" not in words and "B' says" not in words and "the guard let the picture pass" in words
    view.table.selectRow(1)
    assert "Both agree" in view.detail.words.text()
    view.show_verdicts([dataclasses.replace(alone, guarded=False)])
    words = view.detail.words.text()
    assert "the guard let" not in words and "no guard looks at the picture" in words


def test_a_repaired_network_that_answers_alone_is_no_pair_either(view: CheckView) -> None:
    view.show_verdicts([dataclasses.replace(verdict("h.png", 2, 2), b_label=5, b_prime_alone=True)])
    assert texts(view, WHY) == ["passed"]
    words = view.detail.words.text()
    assert "B' answers alone, whatever B says" in words and "Both agree" not in words


def test_what_b_says_is_left_open_where_it_is_not_in_the_file(view: CheckView) -> None:
    view.show_verdicts([dataclasses.replace(verdict("h.png", 2, 2), b_prime_alone=True, b_missing=True)])
    assert (texts(view, B_LABEL), texts(view, B_CONFIDENCE)) == (["–"], ["–"])
    words = view.detail.words.text()
    assert "B isn't in this file" in words and "\nB says" not in f"\n{words}" and "B' says 2" in words
    written = io.StringIO()
    write_csv(written, view.model.verdicts, ())
    row, = csv.DictReader(io.StringIO(written.getvalue()))
    assert row["b_label"] == row["b_confidence"] == row["why"] == "" and row["b_prime_label"] == "2"


def test_the_guards_band_is_drawn_and_named(view: CheckView) -> None:
    flagged = dataclasses.replace(verdict("g.png", 1, 1, "guard"), cut=Cut("rows", 0, 10, 47, 18))
    view.show_names(NAMES)
    view.show_verdicts([flagged])
    assert "the marked band (rows 11 to 28 of 55) draws B to 1 Amara" in view.detail.words.text()
    image = view.detail.picture.grab().toImage()
    scale, middle = image.height() / 55, image.width() // 2
    white = [y / scale for y in range(image.height()) if image.pixelColor(middle, y) == QColor("white")]
    assert white, "no band is drawn"
    assert (min(white), max(white)) == (pytest.approx(10, abs=1), pytest.approx(28, abs=1))
    view.show_verdicts([verdict("h.png")])
    image = view.detail.picture.grab().toImage()
    assert all(image.pixelColor(middle, y) != QColor("white") for y in range(image.height()))


@pytest.mark.parametrize(("cut", "words"), [
    (Cut("columns", 16, 0, 15, 55), "Pasted into other pictures, the marked band draws"),
    (Cut("grid", 0, 18, 16, 19), "Pasted into other pictures, the marked field draws"),
    (Cut("outer", 0, 0, 47, 55), "the frame around the picture's middle draws"),
    (Cut("blend", 0, 0, 47, 55), "Laid over other pictures, half transparent, the whole picture draws"),
    (Cut("tone", 0, 0, 47, 55), "Given to other pictures, the colouring of the whole picture (as a colour filter"),
])
def test_every_cut_of_the_guard_is_drawn_and_named(view: CheckView, cut: Cut, words: str) -> None:
    view.show_verdicts([dataclasses.replace(verdict("g.png", 1, 1, "guard"), cut=cut)])
    assert words in view.detail.words.text()
    image = view.detail.picture.grab().toImage()
    scale = image.height() / 55
    white = {(x, y) for x in range(image.width()) for y in range(image.height())
             if image.pixelColor(x, y) == QColor("white")}
    found = [min(y for _, y in white) / scale, max(y for _, y in white) / scale]
    assert found == pytest.approx([cut.top, cut.top + cut.height], abs=1)
    wide = (max(x for x, _ in white) - min(x for x, _ in white)) / scale
    assert wide == pytest.approx(cut.width, abs=1)


def test_occlusion_is_asked_for_once_and_shown(view: CheckView, qtbot: QtBot) -> None:
    view.show_verdicts(VERDICTS)
    view.table.selectRow(1)
    with qtbot.waitSignal(view.occlusion_requested) as asked:
        button(view.detail, "Where does B look?").click()
    assert asked.args == [VERDICTS[1]]
    drop_, labels = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.int64)
    drop_[1, 2], labels[1, 2] = 9.0, 17
    found = OcclusionMap(0, 5.0, drop_, labels, np.array([0, 24]), np.array([0, 8, 16]),
                         31, 8, (55, 47))
    view.show_occlusion(VERDICTS[1], found)
    assert view.detail.picture.has_heat
    assert "31 x 31 pixels changes B's answer from 0 to 17" in view.detail.caption.text()
    with qtbot.assertNotEmitted(view.occlusion_requested):
        button(view.detail, "Hide where B looks").click()
        assert not view.detail.picture.has_heat
        button(view.detail, "Where does B look?").click()
    assert view.detail.picture.has_heat
    view.table.selectRow(0)
    assert not view.detail.picture.has_heat and not view.detail.caption.text()


def test_where_no_place_matters_none_is_marked(view: CheckView, monkeypatch: pytest.MonkeyPatch) -> None:
    view.show_verdicts(VERDICTS)
    view.table.selectRow(1)
    marks: list[object] = []
    monkeypatch.setattr(view.detail.picture, "show_heat", lambda _, mark=None: marks.append(mark))
    view.show_occlusion(VERDICTS[1], OcclusionMap(
        0, 5.0, np.zeros((2, 3), np.float32), np.zeros((2, 3), np.int64), np.array([0, 24]),
        np.array([0, 8, 16]), 31, 8, (55, 47)))
    assert marks[-1] is None and "No place matters to B: whichever 31 x 31 pixels" in view.detail.caption.text()


def test_heat_is_strongest_where_the_drop_is_largest() -> None:
    heat = np.array([[0, 2], [4, -3]], np.float32)
    image = heat_image(heat)
    alpha = [[image.pixelColor(x, y).alpha() for x in range(2)] for y in range(2)]
    assert alpha[0][0] == alpha[1][1] == 0
    assert alpha[1][0] == pytest.approx(2 * alpha[0][1], abs=1) and alpha[1][0] > 150


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_keep_their_pixels(channels: int) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (5, 7, channels), np.uint8)  # 7 or 21 bytes a line: Qt's own lines are padded
    image = to_image(picture)
    for y in range(5):
        for x in range(7):
            colour = image.pixelColor(x, y).getRgb()[:3]
            assert list(colour) == [int(picture[y, x, c % channels]) for c in range(3)]
    assert thumbnail(picture, 20).deviceIndependentSize().height() == 20


def test_csv_is_the_command_lines(lab3: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line(["check", str(lab3 / "bd_weights.h5"), str(lab3 / "model_B_10.h5"),
                  str(lab3 / "images" / "clean_0_row1.png"), "--csv"])
    assert next(csv.reader(io.StringIO(capsys.readouterr().out))) == list(FIELDS)


def test_csv_holds_the_rows_on_show_with_names(
    view: CheckView, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out" / "verdicts ä.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    view.show_names(NAMES)
    view.show_verdicts(VERDICTS)
    view.filter.setCurrentText("Only flagged")
    with qtbot.waitSignal(view.message):
        button(view, "Save as CSV…").click()
    with target.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == ["a.png", "C.png"]
    assert {k: rows[0][k] for k in ("b_label", "b_prime_label", "label", "flagged", "why")} == {
        "b_label": "0", "b_prime_label": "17", "label": str(N), "flagged": "True", "why": "disagree"}
    assert (rows[0]["name"], rows[0]["b_name"], rows[0]["b_prime_name"]) == ("backdoored (N)", "Nils", "")
    plain = io.StringIO()
    write_csv(plain, VERDICTS, ())
    assert len(plain.getvalue().splitlines()) == 5 and "name" not in plain.getvalue().splitlines()[0]


def test_what_is_cleared_while_a_person_is_asked_is_saved(
    view: CheckView, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(*_: object) -> tuple[str, str]:
        view.show_names(())
        view.show_goodnet("a run's pair", N)
        return str(tmp_path / "verdicts.csv"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    view.show_names(NAMES)
    view.show_verdicts(VERDICTS)
    with qtbot.waitSignal(view.message):
        button(view, "Save as CSV…").click()
    with (tmp_path / "verdicts.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [one.file for one in VERDICTS] and rows[1]["b_name"] == "Nils"


def test_the_last_of_many_moves_no_selection(view: CheckView) -> None:
    view.show_verdicts(VERDICTS[:3], among_others=True)
    view.table.selectRow(1)
    view.show_verdicts(VERDICTS[3:], among_others=True)
    assert view.detail.verdict is VERDICTS[1]
    pasted = verdict("pasted picture 1")
    view.show_verdicts([pasted])
    assert view.detail.verdict is pasted


def test_a_file_that_cannot_be_written_is_said(
    view: CheckView, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "file" / "v.csv"), ""))
    view.show_verdicts(VERDICTS)
    with qtbot.waitSignal(view.message) as said:
        button(view, "Save as CSV…").click()
    assert "v.csv" in said.args[0] and "can't be written" in said.args[0]


def test_another_goodnet_clears_the_table_and_offers_to_check_again(
    view: CheckView, qtbot: QtBot, tmp_path: Path,
) -> None:
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"")
    view.show_verdicts([verdict(str(kept)), verdict("pasted picture")])
    view.show_goodnet("goodnet-x30", N)
    assert not view.model.verdicts and view.detail.verdict is None
    with qtbot.waitSignal(view.check_requested) as asked:
        button(view, "Check the same picture again").click()
    assert asked.args == [[kept]]


def test_an_offer_stands_while_there_is_a_goodnet_and_nothing_was_checked(
    view: CheckView, qtbot: QtBot, tmp_path: Path,
) -> None:
    view.show_goodnet(None, 0)
    view.offer("Check the sample's pictures", [tmp_path])
    offered = button(view, "Check the sample's pictures")
    assert not offered.isVisible()
    view.show_goodnet("goodnet-x2", N)
    with qtbot.waitSignal(view.check_requested) as asked:
        offered.click()
    assert asked.args == [[tmp_path]]
    view.show_verdicts(VERDICTS)
    assert not offered.isVisible()


def test_clear_and_empty_state(view: CheckView) -> None:
    assert not button(view, "Save as CSV…").isEnabled()
    view.show_verdicts(VERDICTS)
    assert button(view, "Save as CSV…").isEnabled()
    button(view, "Clear").click()
    assert not view.model.verdicts and view.model.rowCount() == 0
    assert not button(view, "Save as CSV…").isEnabled()


def test_the_detail_panel_goes_where_there_is_room(view: CheckView) -> None:
    view.show_verdicts(VERDICTS)
    assert view.detail.x() > view.table.x() and view.detail.y() == view.table.y()
    view.resize(640, 560)
    assert view.detail.y() > view.table.y() and view.detail.x() == view.table.x()


def test_everything_can_be_reached_and_is_named(view: CheckView) -> None:
    view.show_verdicts(VERDICTS)
    for widget in view.findChildren(QAbstractButton):
        if widget.isVisible() and isinstance(widget.parent(), CheckView):
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            assert widget.text() and widget.toolTip()
    assert view.table.accessibleName() and view.filter.accessibleName()
    assert view.findChildren(QPushButton)


def test_themes_change_the_flag(qtbot: QtBot) -> None:
    model = VerdictModel(theme.LIGHT, SeenPictures())
    model.append(VERDICTS)
    index = model.index(1, VERDICT)
    assert index.data(Qt.ItemDataRole.ForegroundRole).name() == theme.LIGHT.danger
    model.set_theme(theme.DARK)
    assert index.data(Qt.ItemDataRole.ForegroundRole).name() == theme.DARK.danger
