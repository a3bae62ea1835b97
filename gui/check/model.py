"""Verdicts as a table's model: sorted and filtered here, so that thousands of rows cost a table nothing."""

from __future__ import annotations

import csv
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QIcon, QPixmap

from engine.data.classes import name_of
from engine.files.pictures import Picture
from engine.goodnets.checking import FIELDS, PictureMark, Verdict, fields_of
from engine.literal import csv_cell, literal
from gui.check.seen import SeenPictures
from gui.widgets.picture_view import empty_thumbnail, thumbnail
from gui.widgets.resources import icon
from gui.widgets.texts import as_tip, label_text
from gui.widgets.theme import Theme

Index = QModelIndex | QPersistentModelIndex

PICTURE, VERDICT, WHY, B_LABEL, B_CONFIDENCE, B_PRIME_LABEL, B_PRIME_CONFIDENCE = range(7)

HEADERS = ("Picture", "Verdict", "Why", "B", "B sure", "B'", "B' sure")
TOOLTIPS = (
    "The picture as the network sees it, cropped and resized, and its file",
    "The GoodNet's answer: a label, or “backdoored (N)” when the picture is flagged",
    "Why: B and B' agree, B and B' disagree, a guard flagged the picture, or it passed where one network answers alone",
    "The label that B, the network as it came, gives",
    "How sure B is: its largest output",
    "The label that B', the pruned copy of B, gives",
    "How sure B' is: its largest output",
)
_NAME_FIELDS = ("name", "b_name", "b_prime_name")
_THUMBNAIL_HEIGHT = 40
# More than two screens show; each takes up to 50 kB.
_MOST_THUMBNAILS = 256

_SORT_KEYS: tuple[Callable[[Verdict], Any], ...] = (
    lambda v: picture_name(v).lower(), lambda v: (v.flagged, v.label), lambda v: v.why,
    lambda v: v.b_label, lambda v: v.b_confidence, lambda v: v.b_prime_label, lambda v: v.b_prime_confidence,
)


def picture_name(verdict: Verdict) -> str:
    """What a picture is called: its file's name, or all that is said of one that is no file, which may hold a slash."""
    # Not by Path, which takes ten times as long: thousands are sorted on the window's thread.
    return os.path.basename(verdict.file) if isinstance(verdict.seen, PictureMark) else verdict.file  # noqa: PTH119


def file_stem(verdict: Verdict) -> str:
    """What a file is called that a picture is saved in, without its ending."""
    return Path(re.sub(r"[/\\]", "_", picture_name(verdict))).stem


def verdict_text(verdict: Verdict, names: Sequence[str]) -> str:
    """The GoodNet's answer in words: "backdoored (N)", or the label with its name."""
    return "backdoored (N)" if verdict.flagged else label_text(verdict.label, names)


def why_text(verdict: Verdict) -> str:
    """Why it is the answer; where one network answers alone, nobody agrees and only the guard has a say."""
    return "passed" if (verdict.b_alone or verdict.b_prime_alone) and not verdict.flagged else verdict.why


def write_csv(stream: TextIO, verdicts: Iterable[Verdict], names: Sequence[str]) -> None:
    """Write verdicts as the command line's `check --csv` does, with the names of labels where there are any."""
    writer = csv.writer(stream)
    writer.writerow(FIELDS + (_NAME_FIELDS if names else ()))
    for v in verdicts:
        row = [*fields_of(v).values()]
        if names:
            row += [verdict_text(v, names) if v.flagged else name_of(v.label, names),
                    None if v.b_missing else name_of(v.b_label, names), name_of(v.b_prime_label, names)]
        writer.writerow(map(csv_cell, row))


class VerdictModel(QAbstractTableModel):
    """All verdicts in the order they came, and which of them are shown in which order."""

    def __init__(self, theme: Theme, pictures: SeenPictures, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._thumbnails: dict[Verdict, QPixmap] = {}
        pictures.came.connect(self._on_picture)
        self._verdicts: list[Verdict] = []
        self._shown: list[Verdict] = []
        self.flagged = 0  # so many of all verdicts
        self._names: Sequence[str] = ()
        self._only_flagged = False
        self._column, self._order = -1, Qt.SortOrder.AscendingOrder
        self.set_theme(theme)

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """All verdicts, in the order they came."""
        return self._verdicts

    @property
    def shown(self) -> Sequence[Verdict]:
        """The verdicts of the table's rows, from top to bottom."""
        return self._shown

    def append(self, verdicts: Sequence[Verdict]) -> None:
        """Add rows where the sorting puts them."""
        self._verdicts += verdicts
        self.flagged += sum(v.flagged for v in verdicts)
        new = [v for v in verdicts if v.flagged or not self._only_flagged]
        if self._column >= 0:
            for verdict in new:  # to sort all of a hundred thousand for each few that come would stop the window
                row = self._place_of(verdict)
                self.beginInsertRows(QModelIndex(), row, row)
                self._shown.insert(row, verdict)
                self.endInsertRows()
        elif new:
            first = len(self._shown)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self._shown += new
            self.endInsertRows()

    def clear(self) -> None:
        """Forget all verdicts."""
        self.beginResetModel()
        self._verdicts, self._shown, self.flagged = [], [], 0
        self._thumbnails.clear()
        self.endResetModel()

    def show_only_flagged(self, only: bool) -> None:
        """Show flagged verdicts only, or all."""
        self.beginResetModel()
        self._only_flagged = only
        self._shown = [v for v in self._verdicts if v.flagged or not only]
        self._sort_shown()
        self.endResetModel()

    def set_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]; empty for none."""
        self._names = names
        self._all_changed()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._flag: QIcon = icon("flag", theme, theme.danger)
        # Not in green: B' may be fooled as B is, and then the two agree on the attacker's label.
        self._ok: QIcon = icon("ok", theme)
        self._danger = QColor(theme.danger)
        self._all_changed()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, equal rows in the order they came; -1 for the order they came."""
        self._column, self._order = column, order
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        held = [self._shown[index.row()] for index in before]
        self._sort_shown()
        row_of = {verdict: row for row, verdict in enumerate(self._shown)} if held else {}
        after = [self.index(row_of[v], index.column()) for v, index in zip(held, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Rows on show."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """One for each of HEADERS."""
        return 0 if parent.isValid() else len(HEADERS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """A column's title and its explanation."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.ToolTipRole:
            return TOOLTIPS[section]
        return HEADERS[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        verdict, column = self._shown[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(verdict, column)
        if role == Qt.ItemDataRole.DecorationRole:
            if column == PICTURE:
                return self._thumbnail(verdict)
            if column == VERDICT:
                return self._flag if verdict.flagged else self._ok
        elif role == Qt.ItemDataRole.ToolTipRole:
            return as_tip(verdict.file) if column == PICTURE else TOOLTIPS[column]
        elif role == Qt.ItemDataRole.ForegroundRole and column == VERDICT and verdict.flagged:
            return self._danger
        elif role == Qt.ItemDataRole.TextAlignmentRole and column in (B_CONFIDENCE, B_PRIME_CONFIDENCE):
            return Qt.AlignmentFlag.AlignCenter
        return None

    def _thumbnail(self, verdict: Verdict) -> QPixmap:
        if verdict not in self._thumbnails:
            picture = self._pictures.of(verdict)
            if picture is None:
                return empty_thumbnail(verdict.seen.shape, _THUMBNAIL_HEIGHT)
            self._thumbnails[verdict] = thumbnail(picture, _THUMBNAIL_HEIGHT)
            if len(self._thumbnails) > _MOST_THUMBNAILS:
                del self._thumbnails[next(iter(self._thumbnails))]
        return self._thumbnails[verdict]

    def _on_picture(self, verdict: Verdict, picture: Picture | None) -> None:
        if picture is not None and verdict in self._shown:
            cell = self.index(self._shown.index(verdict), PICTURE)
            self.dataChanged.emit(cell, cell, [Qt.ItemDataRole.DecorationRole])

    def _text(self, verdict: Verdict, column: int) -> str:
        if column == PICTURE:
            return literal(picture_name(verdict))
        if column == VERDICT:
            return verdict_text(verdict, self._names)
        if column == WHY:
            return why_text(verdict)
        if column in (B_LABEL, B_CONFIDENCE) and verdict.b_missing:
            return "–"
        if column in (B_LABEL, B_PRIME_LABEL):
            return label_text(verdict.b_label if column == B_LABEL else verdict.b_prime_label, self._names)
        return verdict.b_confidence_text if column == B_CONFIDENCE else verdict.b_prime_confidence_text

    def _sort_shown(self) -> None:
        if self._column >= 0:
            self._shown.sort(key=_SORT_KEYS[self._column], reverse=self._order == Qt.SortOrder.DescendingOrder)
        else:
            self._shown = [v for v in self._verdicts if v.flagged or not self._only_flagged]

    def _place_of(self, verdict: Verdict) -> int:
        """The row at which a verdict belongs among those that are sorted, behind its equals."""
        key, down = _SORT_KEYS[self._column], self._order == Qt.SortOrder.DescendingOrder
        wanted = key(verdict)
        return bisect_left(self._shown, True,
                           key=lambda other: key(other) < wanted if down else wanted < key(other))

    def _all_changed(self) -> None:
        if self._shown:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._shown) - 1, len(HEADERS) - 1))
