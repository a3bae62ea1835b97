"""The question which label each sub-folder stands for: a table to change, and the ways that suggest themselves."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QPushButton,
    QRadioButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from engine.assessment import percent
from engine.literal import literal
from engine.runs.opening.labelling import Trial
from gui.inputs.labels_model import LABEL, LabelDelegate, LabelsModel
from gui.jobs.inputs.naming import Matching
from gui.session.session import State
from gui.widgets.elided_label import PlainLabel
from gui.widgets.theme import Theme, outline

_TRY, _STOP = "&Try on the clean images", "&Stop trying"


class LabelsEditor(QDialog):
    """Signals: `try_requested()`, `stop_requested()`, `taken(object)` with the label of each name, a dict."""

    try_requested = Signal()
    stop_requested = Signal()
    taken = Signal(object)

    def __init__(self, parent: QWidget, matching: Matching, theme: Theme) -> None:
        super().__init__(parent)
        self.setWindowTitle("Which label is which?")
        self.resize(560, 520)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._matching, self._trying = matching, False
        self._trial: Trial | None = None
        self.model = LabelsModel(matching, self)
        self.model.dataChanged.connect(self._show_state)
        intro = PlainLabel(f"The network has {matching.count:,} labels, 0 to {matching.count - 1:,}; the images have "
                           f"{len(matching.names):,} {matching.names_are}. If a name stands for the wrong label, every "
                           "figure is wrong. Double-click a label to change it.")
        self.state = PlainLabel()
        self.orders: list[tuple[QRadioButton, dict[str, int]]] = []
        self._orders = QVBoxLayout()
        self.try_button = QPushButton(_TRY)
        self.try_button.setToolTip("Ask the network about up to 512 clean images, and compare the orders that labels "
                                   "are usually numbered in")
        self.try_button.clicked.connect(self._try_or_stop)
        self.try_button.setAutoDefault(False)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.use = self.buttons.addButton("&Use these labels", QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.taken.emit(dict(self.model.labels)))
        self.finished.connect(lambda: self.stop_requested.emit() if self._trying else None)
        column = QVBoxLayout(self)
        for label in (intro, self.state):
            label.setWordWrap(True)
        self._theme = theme
        column.addWidget(intro)
        column.addWidget(self._table(), 1)
        column.addLayout(self._orders)
        column.addWidget(self.state)
        column.addWidget(self.try_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.buttons)
        self._show_state()

    def show_trial(self, trial: Trial) -> None:
        """Show what the network answers, and offer each way to number the names with how often it is then right."""
        self._trial = trial
        for before, _ in self.orders:
            before.deleteLater()
        self.orders = []
        for what, labels in trial.orders:
            rate = trial.right(labels)
            button = QRadioButton(_shown(f"By {what}: the network is right on {percent(rate.value)} of {rate.total} "
                                         "clean images"))
            button.setAutoExclusive(False)
            outline(button, self._theme)
            button.clicked.connect(partial(self.model.take, labels))
            self._orders.addWidget(button)
            self.orders.append((button, labels))
        self.model.show_trial(trial)

    def show_state(self, state: State) -> None:
        """Offer no trial behind other work: to stop it would stop that, too."""
        self.try_button.setEnabled(self._trying or (self._matching.can_try and not state.busy))

    def show_ended(self, problem: str = "") -> None:
        """A trial came to its end, or didn't begin: then it is said why."""
        self._trying = False
        self.try_button.setText(_TRY)
        if problem:
            self.state.setText(problem)
            self.state.setStyleSheet(f"color: {self._theme.danger}")

    def _table(self) -> QTableView:
        table = self.table = QTableView()
        table.setModel(self.model)
        table.setItemDelegateForColumn(LABEL, LabelDelegate(self._matching.count, table))
        table.setAccessibleName("Names and their labels")
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 8)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setTabKeyNavigation(False)  # Tab leads on to the orders below
        table.setAlternatingRowColors(True)
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        return table

    def _try_or_stop(self) -> None:
        if self._trying:
            self.stop_requested.emit()
        else:
            self._trying = True
            self._show_state()
            self.try_button.setText(_STOP)
            self.try_requested.emit()

    def _show_state(self) -> None:
        """Say what is still open, or how right the network is by the labels in the table."""
        matching, left = self._matching, self.model.open_names
        self.use.setEnabled(not left)
        for button, labels in self.orders:
            button.setChecked(labels.items() <= self.model.labels.items())
        if len(matching.names) > matching.count:
            text = (f"There are more {matching.names_are} than labels, so some belong to another network or are called "
                    "otherwise. Rename them, or choose other images.")
        elif left:
            text = f"Say which label {left[0]} stands for." + (f" {len(left)} are open." if len(left) > 1 else "")
        elif self._trial:
            rate = self._trial.right(self.model.labels)
            text = f"By these labels the network is right on {percent(rate.value)} of {rate.total} clean images."
        else:
            text = "" if matching.can_try else "The clean images are labelled by numbers, so nothing can be tried."
        self.state.setText(text)
        self.state.setStyleSheet(f"color: {self._theme.danger if left else self._theme.text}")


def _shown(text: str) -> str:
    """A button's text as it is, without mnemonics."""
    return literal(text).replace("&", "&&")
