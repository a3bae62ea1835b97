"""A checked picture is looked at closely, beside its original, and taken along; pasted ones can be told apart."""

from __future__ import annotations

import gc
import io
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from engine.goodnets.checking import Verdict
from engine.looking.occlusion import OcclusionMap
from gui.check.closer import Closer
from gui.main_window import MainWindow
from gui.widgets.picture_view import PictureView
from gui.widgets.theme import LIGHT
from tests.support.networks import SmallLab
from tests.support.window_driver import press_run, settle


def verdict(file: str, side: int = 8, value: int = 90) -> Verdict:
    return Verdict(file, np.full((side, side, 3), value, np.uint8), 3, False, "agree", 3, 0.9, 3, 0.8)


@pytest.fixture
def picture(qtbot: QtBot) -> PictureView:
    """A picture of 4 x 4 pixels, each of another colour, in a square of 200."""
    made = PictureView(LIGHT)
    qtbot.addWidget(made)
    made.resize(200, 200)
    made.show_picture(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5)
    made.show()
    return made


def wheel(widget: PictureView, at: QPointF, turns: int) -> None:
    QApplication.sendEvent(widget, QWheelEvent(
        at, widget.mapToGlobal(at), QPoint(), QPoint(0, 120 * turns), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False))


def test_where_the_picture_is_still_being_read_the_mouse_moves_nothing(qtbot: QtBot) -> None:
    empty = PictureView(LIGHT)
    qtbot.addWidget(empty)
    empty.resize(200, 200)
    for kind, at in ((QEvent.Type.MouseButtonPress, QPointF(50, 50)), (QEvent.Type.MouseMove, QPointF(90, 70))):
        QApplication.sendEvent(empty, QMouseEvent(
            kind, at, empty.mapToGlobal(at), Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier))
    empty.show_picture(np.zeros((4, 4, 3), np.uint8))
    assert empty.place().topLeft() == QPointF(0, 0)


def test_the_wheel_zooms_around_the_pointer(picture: PictureView) -> None:
    at = QPointF(150, 50)
    before = picture.grab().toImage().pixelColor(150, 50)
    whole = picture.place()
    wheel(picture, at, 4)
    place = picture.place()
    assert place.width() == pytest.approx(200 * 1.25 ** 4)
    assert ((at - place.topLeft()) / place.width()).x() == pytest.approx(0.75)
    assert ((at - place.topLeft()) / place.width()).y() == pytest.approx(0.25)
    assert picture.grab().toImage().pixelColor(150, 50) == before
    wheel(picture, at, -9)
    assert picture.place() == whole


def test_keys_dragging_and_a_double_click(picture: PictureView, qtbot: QtBot) -> None:
    whole = picture.place()
    for _ in range(3):
        qtbot.keyClick(picture, Qt.Key.Key_Plus)
    zoomed = picture.place()
    assert zoomed.width() > 1.9 * whole.width()
    qtbot.mousePress(picture, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    qtbot.mouseMove(picture, QPoint(130, 90))
    assert picture.place().topLeft() - zoomed.topLeft() == QPointF(30, -10)
    qtbot.mouseMove(picture, QPoint(2000, 2000))
    assert picture.place().topLeft() == QPointF(0, 0), "a zoomed picture leaves no place empty"
    qtbot.mouseRelease(picture, Qt.MouseButton.LeftButton)
    qtbot.keyClick(picture, Qt.Key.Key_Minus)
    assert picture.place().width() < zoomed.width()
    qtbot.mouseDClick(picture, Qt.MouseButton.LeftButton)
    assert picture.place() == whole
    picture.zoom_by(4)
    picture.show_picture(np.zeros((4, 4, 3), np.uint8))
    assert picture.place() == whole, "another picture is shown whole"


@pytest.fixture
def checking(window: MainWindow, qtbot: QtBot, small_lab: SmallLab) -> MainWindow:
    """The window with a GoodNet that checks pictures."""
    choosing = window.desk.choosing
    choosing.open_all([("model", small_lab.badnet), ("validation", small_lab.clean), ("poisoned", small_lab.poisoned)],
                      "The lab.")
    settle(qtbot, window)
    press_run(qtbot, window)
    window.desk.checking.use_row(window.desk.pruning.rows[0])
    settle(qtbot, window)
    return window


def test_pasted_pictures_are_told_apart_and_have_originals(checking: MainWindow, qtbot: QtBot) -> None:
    originals = []
    for colour in ("red", "blue"):
        image = QImage(30, 20, QImage.Format.Format_RGB32)
        image.fill(colour)
        originals.append(image)
        QGuiApplication.clipboard().setImage(image)
        checking.desk.menus.find("Check pasted picture").trigger()
        settle(qtbot, checking)
    view = checking.check
    assert [v.file for v in view.model.verdicts] == ["pasted picture 1", "pasted picture 2"]
    view.table.selectRow(0)
    qtbot.mouseClick(view.detail.look_closer, Qt.MouseButton.LeftButton)
    closer = checking.findChild(Closer)
    assert closer is not None and closer.isVisible() and closer.windowTitle() == "pasted picture 1"
    assert closer.captions[1].text() == "The original: 30 × 20 pixels"
    shown = closer.original.rendered()
    assert shown is not None and shown.pixelColor(5, 5).name() == "#ff0000"


def test_pasted_pictures_are_kept_as_long_as_their_verdicts(checking: MainWindow, qtbot: QtBot) -> None:
    checks, kept = checking.desk.checking, []
    for clear in (checking.check._clear, lambda: checking.check.show_goodnet("another", 7)):
        checks.check_pasted(np.full((200, 300, 3), 200, np.uint8))
        (picture,) = checks._pasted.values()
        kept.append(weakref.ref(picture))
        del picture
        settle(qtbot, checking)
        clear()
    gc.collect()
    assert [reference() for reference in kept] == [None, None]
    checks.check_pasted(np.full((200, 300, 3), 200, np.uint8))
    settle(qtbot, checking)
    assert [v.file for v in checking.check.model.verdicts] == ["pasted picture 3"], "and none is taken for another"


def test_a_pasted_picture_is_judged_on_white_as_its_file_is(
    checking: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    pixels = np.zeros((40, 30, 4), np.uint8)
    pixels[:20] = (255, 0, 0, 128)  # the lower half can't be seen at all
    Image.fromarray(pixels).save(tmp_path / "through.png")
    view = checking.check
    view.image_pasted.emit(QImage(str(tmp_path / "through.png")))
    checking.desk.checking.check([tmp_path / "through.png"])
    settle(qtbot, checking)
    pasted, file = (verdict.seen_again() for verdict in view.model.verdicts)
    assert (pasted[-1] == 255).all()
    np.testing.assert_allclose(pasted.astype(int), file, atol=2)


def test_of_a_large_pasted_picture_as_much_is_kept_as_of_a_file(checking: MainWindow, qtbot: QtBot) -> None:
    checking.desk.checking.check_pasted(np.full((30, 3000, 3), 200, np.uint8))
    settle(qtbot, checking)
    qtbot.mouseClick(checking.check.detail.look_closer, Qt.MouseButton.LeftButton)
    closer = checking.findChild(Closer)
    assert closer is not None and closer.captions[1].text() == "The original: 2048 × 20 pixels"


def test_an_image_of_a_set_is_called_all_that_it_is_called(window: MainWindow, tmp_path: Path) -> None:
    name = "label 1 (Speed limit (30km/h)), image 12 of clean.h5"
    view = window.check
    view.show_goodnet("a pair", 10)
    view.show_verdicts([verdict(name), verdict(str(tmp_path / "stop.png")).without_picture()])
    model = view.table.model()
    assert [model.index(row, 0).data() for row in range(2)] == [name, "stop.png"]
    view.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert model.index(0, 0).data() == "stop.png"
    view.table.selectRow(1)
    detail = view.detail
    assert detail._file.text() == name and detail.picture.accessibleName().endswith(name)
    assert detail.export.stem == "label 1 (Speed limit (30km_h)), image 12 of clean"
    detail.look_closer.click()
    assert detail.closer is not None and detail.closer.windowTitle() == name
    detail.closer.close()


def test_a_file_is_called_by_its_name_whatever_it_ends_in(
    checking: MainWindow, qtbot: QtBot, tmp_path: Path,
) -> None:
    Image.new("RGB", (30, 20), (255, 0, 0)).save(tmp_path / "stop", "PNG")
    checking.desk.checking.check([tmp_path / "stop"])
    settle(qtbot, checking)
    view = checking.check
    assert view.table.model().index(0, 0).data() == view.detail._file.text() == view.detail.export.stem == "stop"


def test_a_pasted_file_is_unpacked_by_the_reader(checking: MainWindow, qtbot: QtBot) -> None:
    content = io.BytesIO()
    Image.new("RGB", (30, 20), (255, 0, 0)).save(content, "PNG")
    said: list[str] = []
    checking.session.message.connect(lambda message: said.append(message.text))
    for pasted in (content.getvalue(), content.getvalue()[:60]):
        mime = QMimeData()
        mime.setData("image/png", pasted)
        QGuiApplication.clipboard().setMimeData(mime)
        checking.desk.menus.find("Check pasted picture").trigger()
        settle(qtbot, checking)
    (verdict,) = checking.check.model.verdicts
    assert verdict.file == "pasted picture 1" and (verdict.seen == (255, 0, 0)).all()
    assert said[-1].startswith("pasted picture: ") and said[-1].endswith("from its source.")


def test_the_original_of_a_file_is_read_again(checking: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (90, 40), (0, 200, 0)).save(path)
    checking.desk.checking.check([path])
    settle(qtbot, checking)
    view = checking.check
    qtbot.mouseClick(view.detail.look_closer, Qt.MouseButton.LeftButton)
    settle(qtbot, checking)
    closer = checking.findChild(Closer)
    assert closer is not None and closer.captions[1].text() == "The original: 90 × 40 pixels"
    seen = view.model.verdicts[0].seen
    assert closer.captions[0].text() == f"What the network sees: {seen.shape[1]} × {seen.shape[0]} pixels"
    path.unlink()
    path.write_bytes(b"no picture any more")
    qtbot.mouseClick(view.detail.look_closer, Qt.MouseButton.LeftButton)
    settle(qtbot, checking)
    assert "wide.png" in checking.message_bar.text.text()
    assert closer.captions[1].text() == "The original can't be read any more"
    assert closer.original.rendered() is None


@pytest.mark.parametrize("comes", [99, None])
def test_the_picture_is_saved_that_was_on_show_when_it_was_asked_for(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes: int | None,
) -> None:
    def ask(parent: object, title: str, start: str, *_: object) -> tuple[str, str]:
        if comes is None:
            view.show_goodnet("another pair", 10)
        else:
            view.show_verdicts([verdict("99.png", value=comes)])
        return str(tmp_path / Path(start).name), ""

    view = window.check
    view.show_goodnet("a pair", 10)
    view.show_verdicts([verdict("10.png", value=10)])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    view.detail.export.button.menu().actions()[1].trigger()
    (saved,) = tmp_path.glob("*.png")
    with Image.open(saved) as image:
        assert saved.name == "10.png" and (np.asarray(image.convert("RGB")) == 10).all()


def test_the_last_of_a_folder_is_one_of_many(
    checking: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.goodnets.checking._MOST_IN_CHUNK", 4)
    for number in range(5):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(tmp_path / f"{number:02}.png")
    checking.desk.checking.check([tmp_path])
    settle(qtbot, checking)
    shown = checking.check.detail.verdict
    assert shown and Path(shown.file).name == "00.png" and len(checking.check.model.verdicts) == 5
    checking.desk.checking.check([tmp_path / "03.png"])
    settle(qtbot, checking)
    assert checking.check.detail.verdict is checking.check.model.verdicts[-1], "it is all that was asked for"


def test_a_picture_is_taken_along_with_its_occlusion_map(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    view = window.check
    one = verdict("face.png")
    view.show_goodnet("a pair", 10)
    view.show_verdicts([one])
    exports = view.detail.export
    assert exports.isVisibleTo(view)
    exports.save_figure_to(tmp_path / "plain.png")
    places = np.arange(4)
    view.show_occlusion(one, OcclusionMap(3, 5.0, np.eye(4, dtype=np.float32), np.full((4, 4), 3),
                                          places * 2, places * 2, 2, 2, (8, 8)))
    exports.save_figure_to(tmp_path / "heated.png")
    found = []
    for name in ("plain", "heated"):
        with Image.open(tmp_path / f"{name}.png") as saved:
            found.append(np.asarray(saved.convert("RGB")))
    plain, heated = found
    assert plain.shape == heated.shape and min(plain.shape[:2]) >= 440
    assert (plain == 90).all()
    assert (heated != plain).any()
    assert exports.stem == "face"
    exports.copy()
    assert QGuiApplication.clipboard().image().size() == exports.image().size()
