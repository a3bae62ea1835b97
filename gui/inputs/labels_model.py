"""Names and their labels as a table in which the labels can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QSpinBox, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from engine.literal import literal
from engine.runs.opening.labelling import Trial
from gui.jobs.inputs.naming import Matching

Index = QModelIndex | QPersistentModelIndex
NAME, LABEL, ANSWER = range(3)
_OPEN = "?"
_TIPS = ("A sub-folder or text label of the images.", "The network's label that it stands for. Double-click to change "
         "it; another name with that label takes this one's.", "What the network most often calls its clean images.")


class LabelsModel(QAbstractTableModel):
    """A row for each name. Giving a name another one's label exchanges the two, so no label stands twice."""

    def __init__(self, matching: Matching, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.names, self._count = matching.names, matching.count
        self._headings = (matching.names_are.removesuffix("s").capitalize(), "Label", "The network's answer")
        self.labels: dict[str, int] = dict(matching.labels)
        self._trial: Trial | None = None

    @property
    def open_names(self) -> list[str]:
        """Names that have no label yet."""
        return [name for name in self.names if name not in self.labels]

    def take(self, labels: Mapping[str, int]) -> None:
        """Take labels for the names that are there, in place of all; another name keeps its own if it is free."""
        kept = {name: label for name, label in self.labels.items() if name not in labels}
        self.labels = dict(labels) | {name: label for name, label in kept.items() if label not in labels.values()}
        self._say_changed()

    def show_trial(self, trial: Trial) -> None:
        """Show what the network answers beside each name."""
        self._trial = trial
        self._say_changed()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Names."""
        return 0 if parent.isValid() else len(self.names)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Name, label, answer."""
        return 0 if parent.isValid() else len(self._headings)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Labels can be edited."""
        return super().flags(index) | (Qt.ItemFlag.ItemIsEditable if index.column() == LABEL else
                                       Qt.ItemFlag.NoItemFlags)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Words for people, and the label as a number for its editor."""
        name, column = self.names[index.row()], index.column()
        if role == Qt.ItemDataRole.EditRole and column == LABEL:
            return self.labels.get(name, 0)
        if role == Qt.ItemDataRole.DisplayRole:
            return (literal(name), str(self.labels.get(name, _OPEN)), self._answer(name))[column]
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Give a name a label."""
        if role != Qt.ItemDataRole.EditRole or index.column() != LABEL or not 0 <= int(value) < self._count:
            return False
        name, label = self.names[index.row()], int(value)
        before = self.labels.pop(name, None)
        other = next((known for known, taken in self.labels.items() if taken == label), None)
        if other is not None:
            del self.labels[other]
            if before is not None:
                self.labels[other] = before
        self.labels[name] = label
        self._say_changed()
        return True

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self._headings[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return _TIPS[section]
        return None

    def _answer(self, name: str) -> str:
        if self._trial is None or name not in self._trial.names:
            return ""
        label, rate = self._trial.answer(name)
        return f"{label}, for {rate.count} of {rate.total}" if rate.total else ""

    def _say_changed(self) -> None:
        self.dataChanged.emit(self.index(0, 0), self.index(len(self.names) - 1, len(self._headings) - 1))


class LabelDelegate(QStyledItemDelegate):
    """Edits a label as a number among the network's."""

    def __init__(self, count: int, parent: QObject) -> None:
        super().__init__(parent)
        self._count = count

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """A field for a number from 0 up."""
        field = QSpinBox(parent)
        field.setRange(0, self._count - 1)
        field.setAccessibleName("Label")
        return field

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        """Take the number."""
        assert isinstance(editor, QSpinBox)
        editor.interpretText()
        model.setData(index, editor.value())
