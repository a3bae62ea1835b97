"""A channel ranking as a Qt model, sorted by number rather than by text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

if TYPE_CHECKING:
    from engine.pruning.ranking import ChannelRanking

Index = QModelIndex | QPersistentModelIndex

SORT_ROLE = Qt.ItemDataRole.UserRole
RANK, CHANNEL, MEAN, STATE = range(4)
COLUMNS = (
    ("Rank", "The place in the pruning order: the channel with rank 1 is switched off first."),
    ("Channel", "The channel's number in the layer, from 0."),
    ("Mean\nactivation", "How strongly the channel answers to clean images, averaged over all images and positions."),
    ("State", "Dead: the channel is silent on every clean image, so pruning it costs nothing, and a backdoor may hide "
              "in it. Alive: clean images use it."),
)


class RankingModel(QAbstractTableModel):
    """A row for each channel in pruning order; SORT_ROLE gives numbers to sort by."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._order: list[int] = []
        self._means: list[float] = []

    def show_ranking(self, ranking: ChannelRanking | None) -> None:
        """Take a ranking, or none."""
        self.beginResetModel()
        self._order = [] if ranking is None else ranking.order.tolist()
        self._means = [] if ranking is None else ranking.mean_activation.tolist()
        self.endResetModel()

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest mean activation, 0 included: the ends of a bar's scale."""
        known = [mean for mean in self._means if math.isfinite(mean)]
        return min([0.0, *known]), max([0.0, *known])

    def channel_at(self, row: int) -> int:
        """The channel in a row, by rank."""
        return self._order[row]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Channels."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Rank, channel, mean activation, state."""
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, numbers to sort by, or explanations."""
        channel = self._order[index.row()]
        mean = self._means[channel]
        if role == Qt.ItemDataRole.DisplayRole:
            return (str(index.row() + 1), str(channel), mean_text(mean), state_of(mean))[index.column()]
        if role == SORT_ROLE:
            known = mean if math.isfinite(mean) else -math.inf
            return (index.row(), channel, known, known)[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[index.column()][1]
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() != STATE:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean as tooltips."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section][0]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[section][1]
        return None


def mean_text(mean: float) -> str:
    """A mean activation for people; a dash when it wasn't measured."""
    return f"{mean:.4g}" if math.isfinite(mean) else "–"


def state_of(mean: float) -> str:
    """Whether clean images use a channel."""
    if not math.isfinite(mean):
        return "not measured"
    return "dead" if mean == 0 else "alive"
