"""The curve with its switches, its buttons and the figures at the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from engine.pruning.sweep import PruningCurve
from engine.records.tables import write_curve_csv
from engine.reports.figures.curve import printed_figure
from engine.reports.figures.style import save_drawing
from engine.runs.rows import GoodNetRow
from gui.curve.canvas import CurveCanvas
from gui.curve.readout import Readout
from gui.widgets.elided_label import PlainLabel
from gui.widgets.exports import Exports, Figure, Numbers
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
        self.export = Exports("the curve", "curve", theme, self._figure, self._numbers)
        self.export.message.connect(self.message)
        self._curve: PruningCurve | None = None
        self._rows: Sequence[GoodNetRow] = ()
        self._plausible: bool | None = True
        self.step = 0
        self.readout.set_theme(theme)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._bar())
        self._layout.addWidget(self.canvas, stretch=1)
        self._layout.addWidget(self.readout)
        for box in (self.which_box, self.by_box):
            box.currentIndexChanged.connect(self._refresh)
        self.canvas.step_dragged.connect(self.set_step)
        self.readout.step_entered.connect(self.set_step)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.canvas.set_theme(theme)
        self.export.set_theme(theme)
        self.readout.set_theme(theme)

    def settle(self, size: QSize) -> None:
        """Take a size, and lay everything out in it, before anybody sees it."""
        self.resize(size)
        self._layout.activate()

    def show_curve(self, curve: PruningCurve, rows: Sequence[GoodNetRow], plausible: bool | None = True) -> None:
        """Show counts and thresholds; the cursor stays, or starts at the first threshold.

        Args:
            plausible: False where the input is such that no success is one, None where that isn't known yet.
        """
        other = self._curve is None or len(self._curve.order) != len(curve.order)
        self._curve, self._rows, self._plausible = curve, rows, plausible
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

    def _refresh(self) -> None:
        if self._curve:
            self.canvas.show_curve(self._curve, self._rows, self.which_box.currentData(), self.by_box.currentData())
            self._read_out()

    def _read_out(self) -> None:
        assert self._curve is not None
        step = min(self.step, len(self._curve.order))
        self.readout.show_step(self._curve, step, self.which_box.currentData(), self._plausible)
        self.canvas.setAccessibleDescription(self.readout.sentence.text())

    def _figure(self) -> Figure:
        assert self._curve is not None
        shown = (self._curve, self._rows, self.which_box.currentData(), self.by_box.currentData(), self.canvas.limits)
        return lambda target, kind: save_drawing(printed_figure(*shown), target, kind)

    def _numbers(self) -> Numbers:
        assert self._curve is not None
        return partial(write_curve_csv, self._curve)

    def _bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        for text, box in (("C&urves of", self.which_box), ("&by", self.by_box)):
            label = PlainLabel(text)
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
        bar.addWidget(self.export)
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
