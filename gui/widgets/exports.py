"""What a person takes along of a figure: dragged, copied, saved as a picture, or its numbers; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QMimeData, QPoint, Qt, QTemporaryDir, QUrl, Signal
from PySide6.QtGui import QDrag, QGuiApplication, QImage, QImageWriter, QMouseEvent, QPixmap
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMenu, QPushButton, QWidget

from engine.errors import OutputError
from engine.files.saving import whole_file
from gui.widgets.asking import ask_new_file
from gui.widgets.elided_label import PlainLabel
from gui.widgets.resources import icon
from gui.widgets.theme import Theme

PICTURES = {"PNG picture (*.png)": ".png"}
FIGURES = {**PICTURES, "SVG drawing (*.svg)": ".svg", "PDF document (*.pdf)": ".pdf"}
NUMBERS = {"CSV table (*.csv)": ".csv"}

Figure = Callable[[Path | BytesIO, str], None]  # writes itself into a file or a stream as "png", "svg" or "pdf"
Numbers = Callable[[Path], None]  # writes itself as a CSV table


class Exports(QWidget):
    """A handle by which the figure is dragged to another program, and a menu: copy it, save it, save its numbers.

    Signal: `message(str)` for the status line.

    Args:
        what: what is exported, for people who can't see it; stem: how files are called unless a person says otherwise.
        figure, numbers: take what is on show, as it is when they are called: while a person is asked for a name,
            something else may come. `numbers` is None where there are none.
        drawn: whether it is a drawing that can be written as SVG and PDF too, or a picture of pixels.
        text: the button's, where a view has several.
    """

    message = Signal(str)

    def __init__(self, what: str, stem: str, theme: Theme, figure: Callable[[], Figure],
                 numbers: Callable[[], Numbers] | None = None, *, drawn: bool = True, text: str = "E&xport") -> None:
        super().__init__()
        self.stem, self._figure, self._numbers = stem, figure, numbers
        self._filters = FIGURES if drawn else PICTURES
        self.handle, self.button = DragHandle(self), QPushButton(text)
        self.button.setAccessibleName(f"Export {what}")
        self.button.setToolTip("Copy or save it" if numbers is None else "Copy or save the figure, or save its "
                               "numbers")
        menu = QMenu(self.button)
        menu.addAction("&Copy figure", self.copy)
        menu.addAction(f"Save &figure ({', '.join(e[1:].upper() for e in self._filters.values())})…", self._ask_figure)
        if numbers:
            menu.addAction("Save &numbers (CSV)…", self._ask_numbers)
        self.button.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.handle)
        row.addWidget(self.button)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Draw the handle as the theme has it."""
        self.handle.setPixmap(icon("images", theme).pixmap(18, 18))

    def image(self) -> QImage:
        """The figure, in the colours of print."""
        stream = BytesIO()
        self._figure()(stream, "png")
        return QImage.fromData(stream.getvalue())

    def copy(self) -> None:
        """Put the figure on the clipboard."""
        QGuiApplication.clipboard().setImage(self.image())
        self.message.emit("The figure is on the clipboard.")

    def save_figure_to(self, path: Path) -> None:
        """Save the figure as the path's ending says; says how it went."""
        self._save_figure(self._figure(), path)

    def save_numbers_to(self, path: Path) -> None:
        """Save the numbers as CSV; says how it went."""
        assert self._numbers is not None
        self.message.emit(export(path, self._numbers()))

    def _save_figure(self, write: Figure, path: Path) -> None:
        kind = path.suffix.lower().lstrip(".")
        self.message.emit(export(path, lambda temporary: write(temporary, kind)))

    def _ask_figure(self) -> None:
        write = self._figure()
        path = ask_new_file(self, "Save the figure", f"{self.stem}.png", self._filters)
        if path:
            self._save_figure(write, path)

    def _ask_numbers(self) -> None:
        assert self._numbers is not None
        write = self._numbers()
        path = ask_new_file(self, "Save the numbers", f"{self.stem}.csv", NUMBERS)
        if path:
            self.message.emit(export(path, write))


class DragHandle(PlainLabel):
    """Drags a figure out of the window: as a picture, and for file managers as a file."""

    def __init__(self, exports: Exports) -> None:
        super().__init__()
        self._exports = exports
        self._pressed = QPoint()
        self._folder: QTemporaryDir | None = None
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setToolTip("Drag this to another program or a folder to put the figure there")

    def carried(self) -> QMimeData:
        """What is dragged: the picture, and a temporary file of it that goes with the program."""
        image, mime = self._exports.image(), QMimeData()
        mime.setImageData(image)
        self._folder = self._folder or QTemporaryDir()
        file = self._folder.filePath(f"{self._exports.stem}.png")
        if image.save(file):
            mime.setUrls([QUrl.fromLocalFile(file)])
        return mime

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Note where a drag would begin."""
        self._pressed = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Begin it once the mouse has moved far enough."""
        far = (event.position().toPoint() - self._pressed).manhattanLength() >= QApplication.startDragDistance()
        if far and event.buttons() & Qt.MouseButton.LeftButton:
            drag, mime = QDrag(self), self.carried()
            drag.setMimeData(mime)
            drag.setPixmap(QPixmap.fromImage(QImage(mime.imageData()).scaledToWidth(160)))
            drag.exec(Qt.DropAction.CopyAction)


def as_png(image: QImage) -> Figure:
    """A picture of pixels as Exports wants it."""
    def write(target: Path | BytesIO, _: str) -> None:
        pixels = QBuffer()
        pixels.open(QBuffer.OpenModeFlag.WriteOnly)
        QImageWriter(pixels, QByteArray(b"png")).write(image)
        if isinstance(target, BytesIO):
            target.write(pixels.data().data())
        else:
            target.write_bytes(pixels.data().data())

    return write


def export(path: Path, write: Callable[[Path], None]) -> str:
    """Write a file by way of a temporary sibling; how it went, in a sentence."""
    try:
        with whole_file(path, lasting=False) as temporary:
            write(temporary)
    except OutputError as error:
        return str(error)
    return f"Saved {path}."
