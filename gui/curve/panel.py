"""The curve with its switches, its buttons and the figures at the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from engine.pruning.sweep import PruningCurve
from engine.records.run_files import write_curve_csv
from engine.reports.curve_figure import save_figure
from engine.runs.rows import GoodNetRow
from gui.curve.canvas import CurveCanvas
from gui.curve.readout import Readout
from gui.widgets.exports import ask_figure, ask_numbers, export
from gui.widgets.theme import Theme

_CURVE_HELP = ("Drag the line, or use the arrow keys, to read the figures at another step. Zoom with the wheel, "
               "move with Shift and drag, show everything with a double click.")


class CurvePanel(QWidget):
    """Shows a curve; see CurveView, which makes it when there is one.

    Signals:
        step_changed(int): the cursor moved. message(str): a sentence for the status line.
    """

    step_changed = Signal(int)
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.canvas, self.readout = CurveCanvas(theme), Readout()
        self.canvas.setToolTip(_CURVE_HELP)
        self.which_box = _choice("Curves of", {"GoodNet": "goodnet", "B'": "b_prime"},
                                 "GoodNet: the pair, which labels an image only where B and B' agree. "
                                 "B': the pruned copy alone.")
        self.by_box = _choice("Measured by", {"Channels pruned": "channels", "Fraction pruned": "fraction"},
                              "Count the channels that are pruned, or say which part of all channels that is.")
        self._curve: PruningCurve | None = None
        self._rows: Sequence[GoodNetRow] = ()
        self.step = 0
        self.readout.set_theme(theme)
        layout = QVBoxLayout(self)
        layout.addLayout(self._bar())
        layout.addWidget(self.canvas, stretch=1)
        layout.addWidget(self.readout)
        for box in (self.which_box, self.by_box):
            box.currentIndexChanged.connect(self._refresh)
        self.canvas.step_dragged.connect(self.set_step)
        self.readout.step_entered.connect(self.set_step)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.canvas.set_theme(theme)
        self.readout.set_theme(theme)

    def show_curve(self, curve: PruningCurve, rows: Sequence[GoodNetRow]) -> None:
        """Show counts and thresholds; the cursor stays, or starts at the first threshold."""
        other = self._curve is None or len(self._curve.order) != len(curve.order)
        self._curve, self._rows = curve, rows
        self._refresh()
        if other:
            self.set_step(rows[0].channels_pruned if rows else 0)

    def set_step(self, step: int) -> None:
        """Move the cursor to a step, or the last there is."""
        if self._curve is None:
            return
        step = min(max(step, 0), len(self._curve.order))
        if step == self.step:
            return
        self.step = step
        self.canvas.set_step(step)
        self._read_out()
        self.step_changed.emit(step)

    def save_figure_to(self, path: Path) -> None:
        """Save what is in view as PNG, SVG or PDF, by the path's ending; says in the status line how it went."""
        kind = path.suffix.lower().lstrip(".")
        self.message.emit(export(path, lambda temporary: self._write_figure(temporary, kind)))

    def save_numbers_to(self, path: Path) -> None:
        """Save every step's rates as CSV; says in the status line how it went."""
        curve = self._curve
        if curve:
            self.message.emit(export(path, lambda temporary: write_curve_csv(curve, temporary)))

    def copy(self) -> None:
        """Put the figure on the clipboard, in the colours of print."""
        stream = BytesIO()
        self._write_figure(stream, "png")
        QGuiApplication.clipboard().setImage(QImage.fromData(stream.getvalue()))
        self.message.emit("The figure is on the clipboard.")

    def _refresh(self) -> None:
        if self._curve:
            self.canvas.show_curve(self._curve, self._rows, self.which_box.currentData(), self.by_box.currentData())
            self._read_out()

    def _read_out(self) -> None:
        assert self._curve is not None
        step = min(self.step, len(self._curve.order))
        self.readout.show_step(self._curve, step, self.which_box.currentData())
        self.canvas.setAccessibleDescription(self.readout.sentence.text())

    def _write_figure(self, target: Any, kind: str) -> None:
        if self._curve:
            save_figure(self._curve, self._rows, target, which=self.which_box.currentData(),
                        by=self.by_box.currentData(), limits=self.canvas.limits, format=kind)

    def _ask_figure(self) -> None:
        path = ask_figure(self, "curve.png")
        if path:
            self.save_figure_to(path)

    def _ask_numbers(self) -> None:
        path = ask_numbers(self, "curve.csv")
        if path:
            self.save_numbers_to(path)

    def _bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        for text, box in (("C&urves of", self.which_box), ("&by", self.by_box)):
            label = QLabel(text)
            label.setBuddy(box)
            bar.addWidget(label)
            bar.addWidget(box)
        bar.addStretch()
        for text, name, tip, slot in (
            ("−", "Zoom out", "Show more of the curve (key −)", self.canvas.zoom_out),
            ("+", "Zoom in", "Magnify the curve around the cursor (key +, or the wheel)", self.canvas.zoom_in),
            ("Rese&t", "Reset the view", "Show the whole curve (key 0, or a double click)", self.canvas.reset_view),
        ):
            button = _button(text, name, tip)
            button.clicked.connect(slot)
            bar.addWidget(button)
        export = _button("&Export", "Export the curve", "Copy or save the figure, or save its numbers")
        menu = QMenu(export)
        menu.addAction("&Copy figure", self.copy)
        menu.addAction("Save &figure (PNG, SVG, PDF)…", self._ask_figure)
        menu.addAction("Save &numbers (CSV)…", self._ask_numbers)
        export.setMenu(menu)
        bar.addWidget(export)
        return bar


def _choice(name: str, items: dict[str, str], tooltip: str) -> QComboBox:
    box = QComboBox()
    for text, value in items.items():
        box.addItem(text, value)
    box.setAccessibleName(name)
    box.setToolTip(tooltip)
    return box


def _button(text: str, name: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setAccessibleName(name)
    button.setToolTip(tooltip)
    if len(text) == 1:
        button.setFixedWidth(button.fontMetrics().height() * 2)
    return button
