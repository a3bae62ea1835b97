"""The image check: pictures in, verdicts out, with the reasons beside them."""

from __future__ import annotations

from collections.abc import Sequence
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
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.errors import OutputError
from engine.files.pictures import SUFFIXES
from engine.files.saving import whole_file
from engine.goodnets.checking import Verdict
from engine.looking.occlusion import OcclusionMap
from gui.check.detail import VerdictDetail
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
from gui.widgets.resources import icon
from gui.widgets.theme import Theme

# From this width on, in logical pixels, the detail panel stands beside the table, not below it.
_WIDE = 860
_DETAIL_WIDTH = 270
_ROW_HEIGHT = 46
# What a column must hold; the first takes the rest.
_WIDEST = {VERDICT: "backdoored (N) xxxxx", WHY: "disagreex", B_LABEL: "1283 Xxxx", B_CONFIDENCE: "100.0 %x",
           B_PRIME_LABEL: "1283 Xxxx", B_PRIME_CONFIDENCE: "100.0 %x"}


class CheckView(QWidget):
    """Takes pictures by drop, paste or button and shows what a GoodNet says of them.

    Signals:
        check_requested: list[Path], pictures and folders to check.
        image_pasted: QImage, a picture from the clipboard to check.
        samples_requested: check some images of the data sets that are open.
        open_goodnet_requested: a person wants to choose a saved GoodNet.
        names_requested: a person wants to choose a file of label names.
        occlusion_requested: Verdict, where does B look?
        message: str, for the status line.
    """

    check_requested = Signal(object)
    image_pasted = Signal(object)
    samples_requested = Signal()
    open_goodnet_requested = Signal()
    names_requested = Signal()
    occlusion_requested = Signal(object)
    message = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._goodnet: str | None = None
        self._labels = 0
        self._busy = False
        self._names: Sequence[str] = ()
        self._offered: list[Path] = []
        self._sample_count = 0
        self.setAcceptDrops(True)
        self.model = VerdictModel(theme, self)
        self.detail = VerdictDetail(theme)
        self.detail.set_wide(True)
        self.detail.occlusion_requested.connect(self.occlusion_requested)
        self._buttons: dict[str, QToolButton | QPushButton] = {}
        self._source = QLabel(wordWrap=True)
        self._source.setTextFormat(Qt.TextFormat.PlainText)
        self._summary = QLabel()
        self.filter = QComboBox(toolTip="Show all pictures, or only those that the GoodNet calls backdoored (N)")
        self.filter.setAccessibleName("Which verdicts to show")
        self.filter.addItems(["All pictures", "Only flagged"])
        self.filter.currentIndexChanged.connect(self._on_filter)
        self.table = self._make_table()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.addWidget(self.table)
        self._splitter.addWidget(self.detail)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setStretchFactor(0, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._make_empty())
        self._stack.addWidget(self._splitter)
        self._frame = QFrame(objectName="drop")
        inside = QVBoxLayout(self._frame)
        inside.setContentsMargins(2, 2, 2, 2)
        inside.addWidget(self._stack)
        layout = QVBoxLayout(self)
        layout.addLayout(self._make_goodnet_row())
        layout.addLayout(self._make_bar())
        layout.addWidget(self._frame, 1)
        layout.addWidget(self._summary)
        self.set_theme(theme)
        self.show_goodnet(None, 0)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        for name, button in self._buttons.items():
            button.setIcon(icon(name, theme))
        self._empty_icon.setPixmap(icon("check", theme, theme.muted).pixmap(64, 64))
        self.model.set_theme(theme)
        self.detail.set_theme(theme)
        self._mark_drop(False)

    def show_goodnet(self, name: str | None, labels: int) -> None:
        """Say which GoodNet checks from now on. Verdicts of the one before are cleared; to check again is offered.

        Args:
            name: None while there is no GoodNet.
            labels: N, its number of labels.
        """
        files = [Path(v.file) for v in self.model.verdicts if Path(v.file).is_file()]
        if files:
            self.offer(f"Check the same {len(files)} pictures &again" if len(files) > 1 else
                       "Check the same picture &again", files)
        self._goodnet, self._labels = name, labels
        self.detail.set_labels(labels)
        self.clear()

    def offer(self, text: str, paths: Sequence[Path]) -> None:
        """Offer to check certain pictures or folders, by a button that says `text`, while the table is empty."""
        self._offered = list(paths)
        self._offer.setText(text)
        self._render()

    def show_samples(self, count: int) -> None:
        """Offer to check so many images of the open data sets, while the table is empty; 0 offers nothing."""
        self._samples.setText(f"Check {count} of the open i&mages")
        self._sample_count = count
        self._render()

    def show_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Add verdicts to the table; one that comes alone, or is the first, is shown in full."""
        if not verdicts:
            return
        self.model.append(verdicts)
        if len(verdicts) == 1 or self.detail.verdict is None:
            self._select(verdicts[0])
        self._render()

    def show_occlusion(self, verdict: Verdict, found: OcclusionMap) -> None:
        """Show where B looks."""
        self.detail.show_occlusion(verdict, found)

    def show_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]; empty for none."""
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
        self.model.clear()
        self.detail.forget_maps()
        self.detail.show_verdict(None)
        self._render()

    def paste(self) -> None:
        """Check what the clipboard holds: files, or a picture."""
        mime = QGuiApplication.clipboard().mimeData()
        paths = _pictures_of(mime)
        if not self._ready:
            self.message.emit("Open a GoodNet first, or wait until the running task is done.")
        elif paths:
            self.check_requested.emit(paths)
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

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setAccessibleName("Verdicts")
        table.setModel(self.model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setIconSize(QSize(20, 20))
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.setTabKeyNavigation(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        header = table.horizontalHeader()
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSectionResizeMode(PICTURE, QHeaderView.ResizeMode.Stretch)
        for column, text in _WIDEST.items():
            header.resizeSection(column, table.fontMetrics().horizontalAdvance(text))
        table.setSortingEnabled(True)
        table.selectionModel().currentRowChanged.connect(self._on_row)
        return table

    def _make_goodnet_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self._source, 1)
        row.addWidget(self._button("open", "Open Good&Net…", "Use a GoodNet that was saved before, without running "
                                   "anything", self.open_goodnet_requested.emit))
        row.addWidget(self._button("tag", "Label na&mes…", "A text file with one name a line: the first is label 0's",
                                   self.names_requested.emit))
        return row

    def _make_bar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self._button("images", "P&ictures…", "Choose picture files to check", self._choose_pictures))
        row.addWidget(self._button("folder", "Fol&der…", "Choose a folder; all pictures in it and its sub-folders "
                                   "are checked", self._choose_folder))
        row.addWidget(self._button("paste", "Pas&te", "Check the picture or the files on the clipboard", self.paste))
        row.addStretch(1)
        row.addWidget(self.filter)
        row.addWidget(self._button("save", "Sav&e as CSV…", "Save the rows that the table shows", self._save))
        row.addWidget(self._button("clear", "C&lear", "Empty the table; no file is touched", self.clear))
        return row

    def _make_empty(self) -> QWidget:
        page = QWidget()
        self._empty_icon = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._empty_text = QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._offer, self._samples = QPushButton(), QPushButton()
        self._samples.setToolTip("The clean and poisoned images that the left panel shows: see how verdicts look")
        self._samples.clicked.connect(self.samples_requested)
        self._offer.clicked.connect(lambda: self.check_requested.emit(list(self._offered)))
        layout = QVBoxLayout(page)
        layout.addStretch(1)
        layout.addWidget(self._empty_icon)
        layout.addWidget(self._empty_text)
        for button in (self._offer, self._samples):
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignCenter)
        layout.addStretch(2)
        return page

    def _button(self, name: str, text: str, tip: str, clicked: object) -> QToolButton:
        button = QToolButton(text=text, toolTip=tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(clicked)
        self._buttons[name] = button
        return button

    def _render(self) -> None:
        verdicts = self.model.verdicts
        self._stack.setCurrentIndex(1 if verdicts else 0)
        if self._goodnet is None:
            self._source.setText("No GoodNet yet")
            self._empty_text.setText("To check pictures you need a GoodNet: run the pruning and press “Use in image "
                                     "check” in the GoodNets tab, or open one that was saved before.")
        else:
            self._source.setText(f"Checked by {self._goodnet}; N = {self._labels}")
            self._empty_text.setText("Drop pictures or folders here, paste them, or choose them with the buttons "
                                     "above.\nAny size and format: they are cropped and resized for the network.")
        self._offer.setVisible(bool(self._offered) and self._goodnet is not None)
        self._samples.setVisible(self._sample_count > 0 and self._goodnet is not None)
        for name in ("images", "folder", "paste"):
            self._buttons[name].setEnabled(self._ready)
        for name in ("open", "tag"):
            self._buttons[name].setEnabled(not self._busy)
        for widget in (self._buttons["save"], self._buttons["clear"], self.filter):
            widget.setEnabled(bool(verdicts))
        for offer in (self._offer, self._samples):
            offer.setEnabled(self._ready)
        flagged = sum(v.flagged for v in verdicts)
        self._summary.setText(f"{flagged} of {len(verdicts)} flagged as backdoored" if verdicts else "")

    def _mark_drop(self, over: bool) -> None:
        colour = self._theme.accent if over else self._theme.border
        self._frame.setStyleSheet(f"#drop {{ border: {2 if over else 1}px dashed {colour}; border-radius: 6px }}")

    def _select(self, verdict: Verdict) -> None:
        if verdict in self.model.shown:
            self.table.selectRow(self.model.shown.index(verdict))

    def _on_row(self, current: QModelIndex) -> None:
        self.detail.show_verdict(self.model.shown[current.row()] if current.isValid() else None)

    def _on_filter(self, index: int) -> None:
        selected = self.detail.verdict
        self.model.show_only_flagged(index == 1)
        if selected is not None:
            self._select(selected)

    def _choose_pictures(self) -> None:
        pattern = " ".join(f"*{suffix}" for suffix in sorted(SUFFIXES))
        files, _ = QFileDialog.getOpenFileNames(self, "Pictures to check", "", f"Pictures ({pattern});;All files (*)")
        if files:
            self.check_requested.emit([Path(f) for f in files])

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of pictures to check")
        if folder:
            self.check_requested.emit([Path(folder)])

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save verdicts", "verdicts.csv", "CSV (*.csv)")
        if not name:
            return
        try:
            with whole_file(Path(name)) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
                write_csv(stream, self.model.shown, self._names)
        except OutputError as error:
            self.message.emit(str(error))
        else:
            self.message.emit(f"Saved {len(self.model.shown)} verdicts in {name}")


def _pictures_of(mime: QMimeData) -> list[Path]:
    """The files and folders of a drop or the clipboard if all of them can hold pictures, else none."""
    paths = [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
    fits = all(path.suffix.lower() in SUFFIXES or path.is_dir() for path in paths)
    return paths if fits else []
