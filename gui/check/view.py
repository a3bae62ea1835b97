"""The image check: pictures in, verdicts out, with the reasons beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMimeData, QModelIndex, QSize, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
)
from PySide6.QtWidgets import QFrame, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from engine.files.existing import is_folder
from engine.files.pictures import SUFFIXES, Picture
from engine.goodnets.checking import Verdict
from engine.literal import short_name
from engine.looking.occlusion import OcclusionMap
from gui.check.detail import VerdictDetail
from gui.check.empty_page import EmptyPage
from gui.check.model import (
    B_CONFIDENCE,
    B_LABEL,
    B_PRIME_CONFIDENCE,
    B_PRIME_LABEL,
    PICTURE,
    VERDICT,
    WHY,
    VerdictModel,
    write_csv,
)
from gui.check.seen import SeenPictures
from gui.check.tools import CheckTools
from gui.tables.view import Table
from gui.widgets.asking import ask_new_file
from gui.widgets.elided_label import PlainLabel
from gui.widgets.exports import NUMBERS, export
from gui.widgets.theme import Theme

# From this width on, in logical pixels, the detail panel stands beside the table, not below it.
_WIDE = 860
_DETAIL_WIDTH = 270
_ROW_HEIGHT = 46
# What a column must hold; the first takes the rest.
_WIDEST = {VERDICT: "backdoored (N) xxxxx", WHY: "disagreex", B_LABEL: "1283 Xxxx", B_CONFIDENCE: "100.0 %xxx",
           B_PRIME_LABEL: "1283 Xxxx", B_PRIME_CONFIDENCE: "100.0 %xxx"}
# Content of files that other programs put on the clipboard, the most faithful first.
_PACKED = ("image/png", "image/bmp", "image/tiff", "image/webp", "image/jpeg", "image/gif")


class CheckView(QWidget):
    """Takes pictures by drop, paste or button and shows what a GoodNet says of them.

    Signals:
        check_requested: list[Path], pictures and folders to check.
        image_pasted: QImage, a picture from the clipboard to check, which is there as pixels.
        file_pasted: bytes, one that is there as a file's content, which Qt is never given to unpack.
        samples_requested: check some images of the data sets that are open.
        open_goodnet_requested: a person wants to choose a saved GoodNet.
        names_requested: a person wants to choose a file of label names.
        occlusion_requested: Verdict, where does B look?
        original_requested: Verdict, what did the picture look like before it was fitted?
        cleared: the table was emptied.
        message: str, for the status line.
    """

    check_requested = Signal(object)
    image_pasted = Signal(object)
    file_pasted = Signal(object)
    samples_requested = Signal()
    open_goodnet_requested = Signal()
    names_requested = Signal()
    occlusion_requested = Signal(object)
    original_requested = Signal(object)
    cleared = Signal()
    message = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._goodnet: str | None = None
        self._labels, self._how = 0, ""
        self._busy = False
        self._names: Sequence[str] = ()
        self.setAcceptDrops(True)
        self.pictures = SeenPictures(self)
        self.model = VerdictModel(theme, self.pictures, self)
        self.detail = VerdictDetail(theme, self.pictures)
        self.detail.set_wide(True)
        self.detail.occlusion_requested.connect(self.occlusion_requested)
        self.detail.original_requested.connect(self.original_requested)
        self.detail.message.connect(self.message)
        self.tools, self.empty = CheckTools(), EmptyPage()
        self.filter = self.tools.filter
        self._summary = PlainLabel()
        self.table = self._make_table()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.addWidget(self.table)
        self._splitter.addWidget(self.detail)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setStretchFactor(0, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._splitter)
        self._frame = QFrame()
        self._frame.setObjectName("drop")
        inside = QVBoxLayout(self._frame)
        inside.setContentsMargins(2, 2, 2, 2)
        inside.addWidget(self._stack)
        layout = QVBoxLayout(self)
        layout.addWidget(self.tools)
        layout.addWidget(self._frame, 1)
        layout.addWidget(self._summary)
        self._connect()
        self.set_theme(theme)
        self.show_goodnet(None, 0)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        for part in (self.tools, self.empty, self.model, self.detail):
            part.set_theme(theme)
        self._mark_drop(False)

    def show_goodnet(self, name: str | None, labels: int, how: str = "") -> None:
        """Say which GoodNet checks from now on. Verdicts of the one before are cleared; to check again is offered.

        Args:
            name: its file's; None while there is no GoodNet.
            labels: N, its number of labels; how: see GoodNetInUse.
        """
        # Whether they are still there is found out when they are checked: to ask for thousands takes a while. What was
        # pasted or stood in a data set has no whole path.
        files = [path for v in self.model.verdicts if (path := Path(v.file)).is_absolute()]
        if files:
            self.offer(f"Chec&k the same {len(files)} pictures again" if len(files) > 1 else
                       "Chec&k the same picture again", files)
        self._goodnet, self._labels, self._how = name, labels, how
        self.detail.set_labels(labels)
        self.clear()

    def offer(self, text: str, paths: Sequence[Path]) -> None:
        """Offer to check certain pictures or folders, by a button that says `text`, while the table is empty."""
        self.empty.offer(text, paths)
        self._render()

    def show_samples(self, count: int) -> None:
        """Offer to check so many images of the open data sets, while the table is empty; 0 offers nothing."""
        self.empty.offer_samples(count)
        self._render()

    def show_verdicts(self, verdicts: Sequence[Verdict], pictures: Sequence[Picture] = (),
                      among_others: bool = False) -> None:
        """Add verdicts to the table; one that comes alone, or is the first, is shown in full.

        Args:
            pictures: those that aren't kept with the verdicts.
            among_others: they may be the last of many, which came before, so that even one of them isn't alone.
        """
        if not verdicts:
            return
        self.pictures.take(verdicts if pictures else (), pictures)
        self.model.append(verdicts)
        if (len(verdicts) == 1 and not among_others) or self.detail.verdict is None:
            first = next((verdict for verdict in verdicts if verdict in self.model.shown), None)
            if first:
                self._select(first)
            else:  # the filter leaves them out of the table, so none of its rows is the one on show
                self.table.selectionModel().clear()
                self.detail.show_verdict(verdicts[0])
        self._render()

    def show_occlusion(self, verdict: Verdict, found: OcclusionMap) -> None:
        """Show where B looks."""
        self.detail.show_occlusion(verdict, found)

    def show_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]; empty for none."""
        if names == self._names:
            return
        self._names = names
        self.model.set_names(names)
        self.detail.set_names(names)

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing new can be asked for."""
        self._busy = busy
        self.detail.set_busy(busy)
        self._render()

    def clear(self) -> None:
        """Forget all verdicts."""
        self.filter.setCurrentIndex(0)
        self.model.clear()
        self.pictures.clear()
        self.detail.forget_maps()
        self.detail.show_verdict(None)
        self._render()
        self.cleared.emit()

    def _clear(self) -> None:
        self.empty.offer("", [])
        self.clear()
        self.message.emit("")  # what was said of the pictures that were there

    def paste(self) -> None:
        """Check what the clipboard holds: files, or a picture."""
        mime = QGuiApplication.clipboard().mimeData()
        paths = _pictures_of(mime)
        packed = next((kind for kind in _PACKED if mime.hasFormat(kind)), None)
        if not self._ready:
            self.message.emit("Open a GoodNet first, or wait until the running task is done.")
        elif paths:
            self.check_requested.emit(paths)
        elif packed:
            self.file_pasted.emit(bytes(mime.data(packed).data()))
        elif mime.hasImage():
            self.image_pasted.emit(QImage(mime.imageData()))
        else:
            self.message.emit("The clipboard holds no picture. Copy a picture or picture files first.")

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures and folders when a GoodNet is there; leave the rest to the window."""
        if self._ready and _pictures_of(event.mimeData()):
            event.acceptProposedAction()
            self._mark_drop(True)
        else:
            event.ignore()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Unmark the place to drop."""
        self._mark_drop(False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Check what is dropped."""
        self._mark_drop(False)
        event.acceptProposedAction()
        self.check_requested.emit(_pictures_of(event.mimeData()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Paste by the platform's key."""
        if event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the detail panel where there is room."""
        wide = self.width() >= _WIDE
        orientation = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        if orientation != self._splitter.orientation():
            self._splitter.setOrientation(orientation)
            self._splitter.setSizes([self.width() - _DETAIL_WIDTH, _DETAIL_WIDTH] if wide else [1, 1])
            self.detail.set_wide(not wide)
        super().resizeEvent(event)

    @property
    def _ready(self) -> bool:
        return self._goodnet is not None and not self._busy

    def _connect(self) -> None:
        tools = self.tools
        tools.open_goodnet_requested.connect(self.open_goodnet_requested)
        tools.names_requested.connect(self.names_requested)
        tools.paste_requested.connect(self.paste)
        tools.save_requested.connect(self._save)
        tools.clear_requested.connect(self._clear)
        tools.filtered.connect(self._filter)
        for source in (tools.pictures_chosen, self.empty.offer_taken):
            source.connect(self.check_requested)
        self.empty.samples_requested.connect(self.samples_requested)

    def _make_table(self) -> Table:
        table = Table("Verdicts", self.model, PICTURE)
        table.setIconSize(QSize(20, 20))
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        header = table.horizontalHeader()
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        for column, text in _WIDEST.items():
            header.resizeSection(column, table.fontMetrics().horizontalAdvance(text))
        table.setSortingEnabled(True)
        table.selectionModel().currentRowChanged.connect(self._on_row)
        return table

    def _render(self) -> None:
        verdicts = self.model.verdicts
        self._stack.setCurrentIndex(1 if verdicts else 0)
        has_goodnet = self._goodnet is not None
        if self._goodnet is None:
            self.tools.source.show_text("No GoodNet yet")
        else:
            self.tools.source.show_text(self._checked_by(short_name(self._goodnet)), self._checked_by(self._goodnet))
        self.empty.show_state(has_goodnet=has_goodnet, busy=self._busy)
        self.tools.enable(ready=self._ready, busy=self._busy, verdicts=bool(verdicts))
        self._summary.setText(f"{self.model.flagged} of {len(verdicts)} flagged as backdoored" if verdicts else "")

    def _checked_by(self, name: str) -> str:
        how = f", {self._how}" if self._how else ""
        return f"Checked by {name}{how}; N = {self._labels}"

    def _mark_drop(self, over: bool) -> None:
        colour = self._theme.accent if over else self._theme.border
        self._frame.setStyleSheet(f"#drop {{ border: {2 if over else 1}px dashed {colour}; border-radius: 6px }}")

    def _select(self, verdict: Verdict) -> None:
        if verdict in self.model.shown:
            self.table.selectRow(self.model.shown.index(verdict))

    def _on_row(self, current: QModelIndex) -> None:
        self.detail.show_verdict(self.model.shown[current.row()] if current.isValid() else None)

    def _filter(self, only_flagged: bool) -> None:
        selected = self.detail.verdict
        self.model.show_only_flagged(only_flagged)
        if selected is not None and selected in self.model.shown:
            self._select(selected)
        elif self.model.shown:
            self._select(self.model.shown[0])
        else:
            self.detail.show_verdict(None)

    def _save(self) -> None:
        shown, names = tuple(self.model.shown), self._names  # while a person is asked, the table may be cleared
        path = ask_new_file(self, "Save verdicts", "verdicts.csv", NUMBERS)
        if path:
            self.message.emit(export(path, partial(_write, shown, names)))


def _write(verdicts: Sequence[Verdict], names: Sequence[str], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, verdicts, names)


def _pictures_of(mime: QMimeData) -> list[Path]:
    """The files and folders of a drop or the clipboard if all of them can hold pictures, else none."""
    paths = [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
    fits = all(path.suffix.lower() in SUFFIXES or is_folder(path) for path in paths)
    return paths if fits else []
