"""The fields in which a person says how much accuracy a GoodNet may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from engine.literal import unbroken
from engine.pruning.thresholds import DropMode, Stop, rule_text
from gui.widgets.elided_label import PlainLabel
from gui.widgets.theme import Theme

MOST_DROPS = 12
_MODES = {"percentage points": "points", "per cent of B's": "relative"}
_STOPS = {"first step past X": "first-past", "last step within X": "last-within"}


class DropsEditor(QWidget):
    """Thresholds as "2, 4, 10, 30", how a drop is measured, and which step answers.

    Signals:
        edited(tuple, str, str): thresholds, mode and stop rule as in engine.pruning.thresholds, when a valid change is
            complete (Return or leaving the field).
    """

    edited = Signal(tuple, str, str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._last: tuple[tuple[float, ...], str, str] = ((), "points", "first-past")
        self.field, self.problem, self.rule = QLineEdit(), PlainLabel(), PlainLabel()
        self.mode_box, self.stop_box = QComboBox(), QComboBox()
        for box, items, name, tip in (
            (self.mode_box, _MODES, "How a drop is measured",
             "Percentage points: from 98 % down to 96 % is 2 points. Per cent of B's: as a share of B's own accuracy."),
            (self.stop_box, _STOPS, "Which step answers a threshold",
             "The first pruning step that loses X or more (the lab's rule), or the last step before more than X "
             "is lost."),
        ):
            for text, value in items.items():
                box.addItem(text, value)
            box.setAccessibleName(name)
            box.setToolTip(tip)
        self.field.setAccessibleName("Thresholds X")
        self.field.setToolTip("How much clean accuracy may be lost. Several numbers, such as 2, 4, 10, 30, make "
                              "several GoodNets.")
        for label in (self.problem, self.rule):
            label.setWordWrap(True)
        self.problem.hide()
        caption = PlainLabel("Ma&y lose")
        caption.setBuddy(self.field)
        row = QHBoxLayout()
        row.addWidget(caption)
        row.addWidget(self.field, stretch=1)
        row.addWidget(self.mode_box)
        row.addWidget(PlainLabel("at"))
        row.addWidget(self.stop_box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.rule)
        layout.addWidget(self.problem)
        self.set_theme(theme)
        self.field.editingFinished.connect(self._check)
        self.field.textEdited.connect(self.problem.hide)
        for box in (self.mode_box, self.stop_box):
            box.currentIndexChanged.connect(self._check)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.problem.setStyleSheet(f"color: {theme.danger}")
        self.rule.setStyleSheet(f"color: {theme.muted}")

    def show_drops(self, drops: Sequence[float], mode: DropMode, stop: Stop) -> None:
        """Show thresholds without reporting an edit."""
        self._last = tuple(drops), mode, stop
        self.rule.setText(unbroken(rule_text(mode, stop)))
        self.problem.hide()
        self.field.setText(", ".join(f"{x:g}" for x in drops))
        for box, value in ((self.mode_box, mode), (self.stop_box, stop)):
            with QSignalBlocker(box):
                box.setCurrentIndex(box.findData(value))

    def _check(self) -> None:
        try:
            drops = parse_drops(self.field.text())
        except ValueError as error:
            self.problem.setText(str(error))
            self.problem.show()
            return
        self.problem.hide()
        now = drops, self.mode_box.currentData(), self.stop_box.currentData()
        if now != self._last:
            self._last = now
            self.rule.setText(unbroken(rule_text(*now[1:])))
            self.edited.emit(*now)


def parse_drops(text: str) -> tuple[float, ...]:
    """Thresholds from text such as "2, 4, 10, 30"; repeated ones count once.

    Raises:
        ValueError: with a sentence that says what is wrong.
    """
    drops: dict[str, float] = {}  # by the name that a saved pair's folder takes
    for part in re.split(r"[,;\s]+", text.strip(" ,;\t")):
        try:
            value = math.nan if "_" in part else float(part) + 0.0  # -0.0 is 0
        except ValueError:
            value = math.nan
        if not 0 <= value <= 100:
            raise ValueError(f"“{part}” isn't a number from 0 to 100. Write thresholds such as 2, 4, 10, 30.")
        drops.setdefault(f"{value:g}", value)
    if len(drops) > MOST_DROPS:
        raise ValueError(f"These are {len(drops)} thresholds: at most {MOST_DROPS} can be shown at once.")
    return tuple(drops.values())
