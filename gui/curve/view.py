"""The pruning curve, live: what is lost and what is stopped at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedLayout, QWidget

from gui.widgets.elided_label import EmptyText
from gui.widgets.theme import Theme
from gui.widgets.turns import in_turns

if TYPE_CHECKING:
    from engine.pruning.sweep import PruningCurve
    from engine.runs.rows import GoodNetRow
    from gui.curve.panel import CurvePanel

EMPTY = ("There is no curve yet.\n\nChoose a model and clean validation images, add poisoned images if you have some, "
         "and press Run. The curve appears as soon as the first images are counted.")
SOON = "The curve appears as soon as the first images are counted."
READY = f"All that is needed is chosen: press Run (F5).\n\n{SOON}"


class CurveView(QWidget):
    """Shows a run's curve and reads any step off it.

    Signals:
        step_changed(int): the cursor is at another number of channels pruned.
        message(str): a sentence for the status line.
    """

    step_changed = Signal(int)
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.panel: CurvePanel | None = None
        self._has_curve = False
        self.empty = EmptyText(EMPTY)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)

    @property
    def step(self) -> int:
        """The number of channels pruned at the cursor; 0 without a curve."""
        return self.panel.step if self.panel else 0

    def prepare(self) -> CurvePanel:
        """Make the widgets for a curve.

        The first call imports matplotlib, which takes a second or so unless `gui.curve.panel` was imported before,
        as a task may do on its own thread.
        """
        if self.panel is None:
            from gui.curve.panel import CurvePanel
            self.panel = CurvePanel(self._theme)
            self.panel.step_changed.connect(self.step_changed)
            self.panel.message.connect(self.message)
            self._stack.addWidget(self.panel)
            # Its size at once, so that the first curve isn't drawn twice.
            self.panel.settle(self.size())
            in_turns(self.panel.canvas, self.panel.canvas.warm_up)
        return self.panel

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        if self.panel:
            self.panel.set_theme(theme)

    def show_next(self, ready: bool, running: bool) -> None:
        """Say what to do next: choose files, or run, or wait."""
        self.empty.setText(SOON if running else READY if ready else EMPTY)

    def show_curve(self, curve: PruningCurve | None, rows: Sequence[GoodNetRow], plausible: bool | None = True) -> None:
        """Show the curve so far and the thresholds on it; None shows what to do to get one.

        Args:
            plausible: False where the input is such that no success is one, None where that isn't known yet.
        """
        self._has_curve = curve is not None
        if curve is None:
            self._stack.setCurrentWidget(self.empty)
            return
        self.prepare().show_curve(curve, rows, plausible)
        if self._stack.currentWidget() is self.empty:
            in_turns(self, self._reveal)

    def set_step(self, step: int) -> None:
        """Move the cursor to a number of channels pruned."""
        if self.panel:
            self.panel.set_step(step)

    def _reveal(self) -> None:
        if self._has_curve and self.panel:
            self._stack.setCurrentWidget(self.panel)
