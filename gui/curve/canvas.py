"""The pruning curve on screen: follows a run, and lets a person drag a cursor, zoom and pan.

Importing this module loads matplotlib; gui.curve.view does so only when there is a curve to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QResizeEvent, QShowEvent, QWheelEvent

from engine.pruning.sweep import PruningCurve, SetCounts
from engine.reports.figures.curve import By, CurveDrawing, Limits, Range, Shape, Which
from engine.runs.rows import GoodNetRow
from gui.widgets.figure_canvas import FigureCanvas
from gui.widgets.theme import Theme
from gui.widgets.turns import in_turns

_ZOOM_STEP = 1.25
_CLOSEST_ZOOM = 40.0
_PAGE_STEPS = 5


class CurveCanvas(FigureCanvas):
    """Draws the frame only when it changes and the curve over it, which takes a few milliseconds.

    Signals:
        step_dragged(int): the person moved the cursor to a step.
    """

    step_dragged = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Pruning curve")
        self._background: Any = None
        self._curve: PruningCurve | None = None
        self._rows: Sequence[GoodNetRow] = ()
        self._drawing: CurveDrawing | None = None
        self._cursor: list[Any] = []
        self._step = 0
        self._frame_is_new = False
        self._due: set[Callable[[], None]] = set()  # what is to be drawn in a turn to come
        self._pan_from: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    @property
    def limits(self) -> Limits | None:
        """The part of the curve in view."""
        return self._drawing.limits if self._drawing else None

    def warm_up(self) -> None:
        """Draw a curve that nobody sees, so that matplotlib has fonts and texts ready when the first one comes."""
        if self._drawing is None:
            unseen = _unseen_curve()
            self._rebuild(unseen, Shape.of(unseen, "goodnet", "channels"))
            in_turns(self, self.draw, self._forget_unseen)

    def _forget_unseen(self) -> None:
        if self._curve is None:
            self._empty_figure()
            self._drawing, self._background, self._cursor = None, None, []

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        super().set_theme(theme)
        if self._drawing and self._curve:
            shape, (x_limits, y_limits) = self._drawing.shape, self._drawing.limits
            self._rebuild(self._curve, shape)
            self._drawing.axes.set(xlim=x_limits, ylim=y_limits)

    def show_curve(self, curve: PruningCurve, rows: Sequence[GoodNetRow], which: Which, by: By) -> None:
        """Show counts; artists are made anew only when what they show has another shape."""
        self._curve, self._rows = curve, rows
        shape = Shape.of(curve, which, by)
        if self._drawing is None or self._drawing.shape != shape:
            self._rebuild(curve, shape)
        else:
            self._drawing.show(curve, rows)
            self._place_cursor()
            self._draw_soon(self._draw_moving)

    def set_step(self, step: int) -> None:
        """Move the cursor."""
        self._step = step
        self._place_cursor()
        self._draw_soon(self._draw_moving)

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Magnify by `factor` around a point of the widget; around the data at the cursor when None."""
        if self._drawing is None:
            return
        x_range, y_range = self._drawing.limits
        x, y = self._data_at_cursor() if at is None else self._data_at(at)
        whole_x, whole_y = self._drawing.whole
        if at is None:  # it comes into view where it wasn't
            x_range, y_range = _reaching(x_range, x, whole_x), _reaching(y_range, y, whole_y)
        self._drawing.axes.set(xlim=_magnified(x_range, factor, x, whole_x),
                               ylim=_magnified(y_range, factor, y, whole_y))
        self.draw_idle()

    def zoom_in(self) -> None:
        """Magnify around the cursor."""
        self.zoom(_ZOOM_STEP)

    def zoom_out(self) -> None:
        """The opposite of zoom_in; ends at the whole curve."""
        self.zoom(1 / _ZOOM_STEP)

    def reset_view(self) -> None:
        """Show the whole curve."""
        if self._drawing:
            self._drawing.reset_view()
            self.draw_idle()

    def draw_idle(self) -> None:
        """Draw in a turn of the event loop of its own.

        matplotlib's own would draw inside the next paint event, in one go with what asked for it; apart, neither
        keeps the window from answering for long.
        """
        self._draw_soon(self._draw_if_seen)

    def _draw_soon(self, draw: Callable[[], None]) -> None:
        """Draw once, however often it is asked for until then."""
        def drawn() -> None:
            if draw in self._due:  # and wasn't drawn meanwhile
                self._due.discard(draw)
                draw()

        if draw not in self._due:
            self._due.add(draw)
            in_turns(self, drawn)

    def _draw_if_seen(self) -> None:
        if self.isVisible() and self.width() > 0 and self.height() > 0:
            self.draw()

    def draw(self) -> None:
        """Draw everything; called when the frame changed. The curve over it comes a turn later."""
        if self._drawing:
            self._drawing.lay_out()
            self._place_cursor()
        super().draw()
        self._background = self.copy_from_bbox(self.figure.bbox)
        # What was seen before stays until then, or the curve would flicker.
        self.setUpdatesEnabled(self._frame_is_new or self._drawing is None)
        self._frame_is_new = False
        self._draw_soon(self._draw_moving)

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what wasn't drawn as long as nobody saw it."""
        super().showEvent(event)
        if self._background is None:
            self.draw_idle()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """What is kept of the frame has the old size."""
        self._background = None
        super().resizeEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The arrow keys now move the cursor, which its line shows."""
        super().focusInEvent(event)
        self._show_focus()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The arrow keys belong to something else."""
        super().focusOutEvent(event)
        self._show_focus()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The left button moves the cursor; with Shift, or the middle button, the view."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.button() == Qt.MouseButton.MiddleButton or (event.button() == Qt.MouseButton.LeftButton and shift):
            self._pan_from = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() == Qt.MouseButton.LeftButton:
            self._drag_to(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag what was pressed."""
        if self._pan_from is not None:
            self._pan(self._pan_from, event.position())
            self._pan_from = event.position()
        elif event.buttons() & Qt.MouseButton.LeftButton:
            self._drag_to(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a drag."""
        self._pan_from = None
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show the whole curve."""
        self.reset_view()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom around the mouse."""
        turns = event.angleDelta().y() / 120
        if turns:
            self.zoom(_ZOOM_STEP ** turns, event.position())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows, Page Up and Down, Home and End move the cursor; + - and 0 zoom."""
        if self._drawing is None:
            return
        last, key = self._drawing.shape.channels, Qt.Key(event.key())
        steps = {Qt.Key.Key_Left: self._step - 1, Qt.Key.Key_Right: self._step + 1,
                 Qt.Key.Key_PageUp: self._step + _PAGE_STEPS, Qt.Key.Key_PageDown: self._step - _PAGE_STEPS,
                 Qt.Key.Key_Home: 0, Qt.Key.Key_End: last}
        views = {Qt.Key.Key_Plus: self.zoom_in, Qt.Key.Key_Equal: self.zoom_in, Qt.Key.Key_Minus: self.zoom_out,
                 Qt.Key.Key_0: self.reset_view}
        if key in steps:
            self.step_dragged.emit(min(max(steps[key], 0), last))
        elif key in views:
            views[key]()
        else:
            event.ignore()

    def _rebuild(self, curve: PruningCurve, shape: Shape) -> None:
        self._empty_figure()
        self._drawing = CurveDrawing(self.figure, shape, self.colours, animated=True)
        self._drawing.show(curve, self._rows)
        axes, colour = self._drawing.axes, self.colours.text
        line = axes.axvline(0, color=colour, linewidth=self._cursor_width(), animated=True)
        points, = axes.plot([], [], "o", color=colour, markersize=6, markerfacecolor=self.colours.ground,
                            animated=True, clip_on=False)
        self._cursor = [line, points]
        self._place_cursor()
        self._background, self._frame_is_new = None, True
        in_turns(self, self._make_ticks, self.draw_idle)

    def _make_ticks(self) -> None:
        if self._drawing:
            self._drawing.make_ticks()

    def _empty_figure(self) -> None:
        for axes in self.figure.axes:
            self.figure.delaxes(axes)  # Figure.clear takes the time to make them as good as new first

    def _cursor_width(self) -> float:
        return 2.6 if self.hasFocus() else 1.4

    def _show_focus(self) -> None:
        if self._cursor:
            self._cursor[0].set_linewidth(self._cursor_width())
            self._draw_moving()

    def _place_cursor(self) -> None:
        if self._drawing is None:
            return
        step = min(self._step, self._drawing.shape.channels)
        x = float(self._drawing.shape.steps[step])
        line, points = self._cursor
        line.set_xdata([x, x])
        (low, high), (bottom, top) = self._drawing.limits
        heights = [float(curve.get_ydata()[step]) for curve in self._drawing.lines]
        inside = [y for y in heights if bottom <= y <= top and low <= x <= high]
        points.set_data([x] * len(inside), inside)

    def _draw_moving(self) -> None:
        """Draw the curve over the kept frame."""
        self.setUpdatesEnabled(True)
        self._due.discard(self._draw_moving)
        if self._drawing is None:
            return
        if self._background is None:
            self.draw_idle()
            return
        self.restore_region(self._background)
        self._drawing.place_marks()
        for artist in (*self._drawing.moving, *self._cursor):
            self.figure.draw_artist(artist)
        self.update()

    def _data_at_cursor(self) -> tuple[float, float]:
        """The cursor's x, and there the height of the line that is nearest to the middle of the view."""
        assert self._drawing is not None
        step, (low, high) = min(self._step, self._drawing.shape.channels), self._drawing.limits[1]
        heights = [y for line in self._drawing.lines if np.isfinite(y := float(line.get_ydata()[step]))]
        middle = (low + high) / 2
        return float(self._drawing.shape.steps[step]), min(heights, key=lambda y: abs(y - middle), default=middle)

    def _data_at(self, point: QPointF) -> tuple[float, float]:
        assert self._drawing is not None
        x, y = self._drawing.axes.transData.inverted().transform(self.mouseEventCoords(point))
        return float(x), float(y)

    def _drag_to(self, point: QPointF) -> None:
        if self._drawing:
            x, _ = self._data_at(point)
            last = self._drawing.shape.channels
            self.step_dragged.emit(min(max(round(x / self._drawing.shape.end * last), 0), last))

    def _pan(self, start: QPointF, end: QPointF) -> None:
        if self._drawing is None:
            return
        (x0, y0), (x1, y1) = self._data_at(start), self._data_at(end)
        x_range, y_range = self._drawing.limits
        whole_x, whole_y = self._drawing.whole
        self._drawing.axes.set(xlim=_within(x_range[0] + x0 - x1, x_range, whole_x),
                               ylim=_within(y_range[0] + y0 - y1, y_range, whole_y))
        self.draw_idle()


def _unseen_curve() -> PruningCurve:
    counts = np.ones(61, np.int64)
    clean = SetCounts("", "validation", 1, 1, None, counts, counts, counts)
    poisoned = SetCounts("", "poisoned", 1, 1, 0, counts, counts, counts)
    return PruningCurve("", np.arange(60), clean, None, (poisoned,))


def _magnified(shown: Range, factor: float, around: float, whole: Range) -> Range:
    """A part of `whole` that is `factor` times narrower than `shown`, with the point `around` in its place."""
    width = shown[1] - shown[0]
    wanted = min(max(width / factor, (whole[1] - whole[0]) / _CLOSEST_ZOOM), whole[1] - whole[0])
    return _within(around - (around - shown[0]) * wanted / width, (0, wanted), whole)


def _reaching(shown: Range, value: float, whole: Range) -> Range:
    """What is shown, or as wide a part of `whole` with the value in its middle where that isn't in it."""
    if shown[0] <= value <= shown[1]:
        return shown
    return _within(value - (shown[1] - shown[0]) / 2, shown, whole)


def _within(start: float, shown: Range, whole: Range) -> Range:
    """As much of `whole` as `shown`, from `start` or the nearest possible."""
    width = shown[1] - shown[0]
    start = min(max(start, whole[0]), whole[1] - width)
    return start, start + width
