"""The layer's channels by rank, and what the selected one looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from gui.channels.map_pictures import HeatScale, PictureBox, heat_of
from gui.channels.model import MEAN, RANK, RankingModel
from gui.tables.view import FigureTable
from gui.widgets.elided_label import EmptyText, PlainLabel
from gui.widgets.texts import waiting
from gui.widgets.theme import Theme

if TYPE_CHECKING:
    from engine.looking.activation_maps import ActivationMaps
    from engine.pruning.ranking import ChannelRanking

EMPTY = ("There is no ranking yet.\n\nRun the pruning: it measures how strongly each channel answers to clean images "
         "and prunes the quietest first.")
_HINT = "Select a channel to see where it is active on a clean and on a poisoned image."
_SETTLE_MS = 120


class ChannelsView(QWidget):
    """A sortable table of the ranking beside the activation maps of the selected channel.

    Signals:
        channel_selected(int): the person went to a channel and stayed for a moment.
    """

    channel_selected = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.model, self.maps = RankingModel(self), MapsPanel(theme)
        self.table = FigureTable("Channels by rank", self.model, theme, MEAN)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(RANK, Qt.SortOrder.AscendingOrder)
        # Holding an arrow key down passes many channels; only the one it ends on is worth computing.
        self._settled = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settled.timeout.connect(self._report)
        self.table.selectionModel().currentRowChanged.connect(self._row_changed)
        self.empty = EmptyText(EMPTY)
        self._content = QWidget()
        row = QHBoxLayout(self._content)
        row.addWidget(self.table, stretch=1)
        row.addWidget(self.maps, stretch=1)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._content)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.table.set_theme(theme)
        self.maps.set_theme(theme)

    def show_ranking(self, ranking: ChannelRanking | None) -> None:
        """Show a ranking; None shows what to do to get one."""
        self._settled.stop()
        self.model.show_ranking(ranking)
        self.maps.show_maps(None)
        self._stack.setCurrentWidget(self.empty if ranking is None else self._content)

    def set_busy(self, busy: bool) -> None:
        """While something runs, nobody is told to run something."""
        self.empty.setText(waiting(EMPTY, "The ranking of a run appears here.") if busy else EMPTY)

    def show_maps(self, maps: ActivationMaps | None) -> None:
        """Show a channel's activation maps; None shows that one can be selected."""
        self.maps.show_maps(maps)

    def selected_channel(self) -> int | None:
        """The channel of the table's current row."""
        current = self.table.currentIndex()
        return self.model.rows[current.row()].channel if current.isValid() else None

    def select_channel(self, channel: int) -> None:
        """Go to a channel, as a click on its row does."""
        for number, row in enumerate(self.model.rows):
            if row.channel == channel:
                self.table.selectRow(number)

    def _row_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid():
            self._settled.start()

    def _report(self) -> None:
        channel = self.selected_channel()
        if channel is not None:
            self.channel_selected.emit(channel)


class MapsPanel(QWidget):
    """A channel on a clean and on a poisoned image: each image alone, and with the activation over it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.caption, self.scale = PlainLabel(_HINT), HeatScale()
        self.caption.setWordWrap(True)
        self.caption.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.pictures = {kind: (PictureBox(f"{kind} image"), PictureBox(f"Activation on the {kind.lower()} image"))
                         for kind in ("Clean", "Poisoned")}
        self._labels = {kind: PlainLabel(kind) for kind in self.pictures}
        grid = QGridLayout()
        for place, (kind, boxes) in enumerate(self.pictures.items()):
            grid.addWidget(self._labels[kind], 2 * place, 0, 1, 2)
            for column, box in enumerate(boxes):
                grid.addWidget(box, 2 * place + 1, column)
                grid.setRowStretch(2 * place + 1, 1)
            boxes[1].setToolTip("Bright squares: the channel is active there. Each square is one position of the "
                                "layer, stretched over the patch of the image it looks at.")
        self.scale.setToolTip("Both images share this scale, so their brightness can be compared.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.caption)
        layout.addLayout(grid, stretch=1)
        layout.addWidget(self.scale)
        self.set_theme(theme)
        self.show_maps(None)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        for label in self._labels.values():
            label.setStyleSheet(f"color: {theme.muted}")

    def show_maps(self, maps: ActivationMaps | None) -> None:
        """Show maps on a common scale, or the hint when there are none."""
        shown = {"Clean": (maps.clean_image, maps.clean_map), "Poisoned": (maps.poisoned_image, maps.poisoned_map)} \
            if maps else {"Clean": (None, None), "Poisoned": (None, None)}
        known = [values for _, values in shown.values() if values is not None]
        span = (min(0.0, *(float(v.min()) for v in known)), max(float(v.max()) for v in known)) if known else None
        self.scale.show_span(span)
        for kind, (picture, values) in shown.items():
            plain, heated = self.pictures[kind]
            plain.show_picture(picture)
            heated.show_picture(picture, heat_of(values, span) if values is not None and span else None)
            self._labels[kind].setVisible(picture is not None)
        self.caption.setText(_HINT if maps is None else maps_text(maps))


def maps_text(maps: ActivationMaps) -> str:
    """What the maps show, in a sentence."""
    text = f"Channel {maps.channel} of {maps.layer}: activation up to {maps.clean_map.max():.4g} on the clean image"
    if maps.poisoned_map is None:
        return f"{text}."
    return f"{text}, up to {maps.poisoned_map.max():.4g} on the poisoned one."
