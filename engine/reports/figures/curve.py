"""The pruning curve as a picture, the same in a file and in a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from engine.assessment import worth_naming
from engine.pruning.sweep import PruningCurve, SetCounts
from engine.rates import Values, rates_with_intervals
from engine.reports.figures.palette import PRINT, Palette
from engine.reports.figures.style import blank, framed, plain_text, shortened
from engine.runs.rows import GoodNetRow

Which = Literal["goodnet", "b_prime"]
By = Literal["channels", "fraction"]
Range = tuple[float, float]
Limits = tuple[Range, Range]

NAMES: dict[Which, str] = {"goodnet": "the GoodNet", "b_prime": "B'"}
SIZE_INCHES = (8.0, 4.8)
_LINE_STYLES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_IN_LEGENDS_WAY = 30.0  # per cent
# Margins in inches keep text in place at every window size: left, bottom, right, top.
_MARGINS = (0.62, 0.52, 0.18, 0.36)


@dataclass(frozen=True)
class Shape:
    """What a drawing's artists depend on; figures of the same shape can be shown by the same artists."""

    layer: str
    channels: int
    poisoned: tuple[str, ...]
    which: Which
    by: By

    @classmethod
    def of(cls, curve: PruningCurve, which: Which, by: By) -> Shape:
        """The shape that shows a curve."""
        named = worth_naming([c.reconstructed for c in curve.poisoned])
        return cls(curve.layer, len(curve.order), tuple(c.title if named else "" for c in curve.poisoned), which, by)

    @property
    def end(self) -> float:
        """The x value of the last step."""
        return float(self.channels) if self.by == "channels" else 1.0

    @property
    def steps(self) -> Values:
        """The x values of all steps, float64[channels + 1]."""
        return np.linspace(0.0, self.end, self.channels + 1, dtype=np.float64)


class CurveDrawing:
    """Clean accuracy and attack success against channels pruned, with bands and thresholds.

    Artists are made once and fed by `show`, so a window can follow a run.

    Args:
        figure: an empty figure with an Agg canvas.
        animated: leave `moving` out of the figure's own drawing, for a window that draws them itself.
    """

    def __init__(self, figure: Figure, shape: Shape, palette: Palette, animated: bool = False) -> None:
        self.figure, self.shape, self.palette = figure, shape, palette
        self._animated = animated
        self.axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        self._steps = shape.steps
        self._frame()
        self.bands: list[Any] = []
        self.lines: list[Any] = []
        for label, colour, style in self._sets():
            nothing = np.zeros(len(self._steps))  # of NaN, matplotlib would look for one that isn't, in Python
            self.bands.append(self.axes.fill_between(self._steps, nothing, nothing, color=colour, alpha=0.18,
                                                     linewidth=0, animated=animated))
            self.lines += self.axes.plot(self._steps, nothing, linestyle=style, color=colour, label=label,
                                         linewidth=1.8, animated=animated)
        self._marks, = self.axes.plot([], [], color=palette.muted, linewidth=0.9, linestyle=(0, (2, 2)),
                                      transform=self.axes.transAxes, clip_on=False, animated=animated)
        self._mark_steps: list[tuple[int, str, str]] = []
        self._mark_labels: list[Text] = []
        self._legend = self.axes.legend(loc="lower left", fontsize=8.5, labelcolor=palette.text, framealpha=0.8,
                                        facecolor=palette.ground, edgecolor="none", handlelength=2.6)
        self._legend.set_animated(animated)
        plain_text((*self._legend.get_texts(), self.axes.xaxis.label))
        self.reset_view()

    @property
    def moving(self) -> Sequence[Artist]:
        """The artists that change with the counts, in drawing order."""
        shown = [label for label in self._mark_labels if label.get_visible()]
        return [*self.bands, self._marks, *self.lines, self._legend, *shown]

    @property
    def limits(self) -> Limits:
        """The part of the curve in view: (lowest x, highest x), (lowest y, highest y)."""
        return self.axes.get_xlim(), self.axes.get_ylim()

    @property
    def whole(self) -> Limits:
        """The limits that show everything."""
        return (0.0, self.shape.end), (-2.0, 102.0)

    def reset_view(self) -> None:
        """Show the whole curve."""
        self.axes.set(xlim=self.whole[0], ylim=self.whole[1])

    def show(self, curve: PruningCurve, rows: Iterable[GoodNetRow]) -> None:
        """Show counts of the drawing's shape, and the thresholds' steps."""
        sets = (curve.clean, *curve.poisoned)
        lowest = 100.0
        for band, line, counts in zip(self.bands, self.lines, sets, strict=True):
            values, low, high = rates_of(counts, self.shape.which)
            line.set_ydata(values)
            band.set_data(self._steps, low, high)
            lowest = min(lowest, *values[:len(values) // 2 + 1])
        # Curves begin high and end low, so the corner below their beginning is free, unless one is low from the start.
        self._legend.set_loc("center left" if lowest < _IN_LEGENDS_WAY else "lower left")
        self._mark_steps = threshold_marks(rows)

    def lay_out(self) -> None:
        """Fit the axes and the thresholds' labels into the figure's present size."""
        width, height = self.figure.get_size_inches()
        left, bottom, right, top = _MARGINS
        self.axes.set_position((left / width, bottom / height, max(0.1, 1 - (left + right) / width),
                                max(0.1, 1 - (bottom + top) / height)))
        self.place_marks()

    def make_ticks(self) -> None:
        """Do the dearer half of the first drawing ahead: matplotlib makes an axis's ticks when it is asked for them."""
        self.axes.get_xticklabels()
        self.axes.get_yticklabels()

    def place_marks(self) -> None:
        """Draw a line at each threshold's step and set its label above, apart from its neighbours."""
        (low, high), _ = self.limits
        inside = [(x, long, short) for step, long, short in self._mark_steps
                  if low <= (x := float(self._steps[step])) <= high]
        while len(self._mark_labels) < len(inside):
            self._mark_labels.append(self.axes.text(0, 0, "", transform=self.axes.transAxes, fontsize=8.5, ha="center",
                                                    va="bottom", color=self.palette.text, animated=self._animated))
        for label in self._mark_labels[len(inside):]:
            label.set_visible(False)
        labels = self._mark_labels[:len(inside)]
        box = self.axes.get_window_extent()
        widths = self._label_widths(labels, [long for _, long, _ in inside], box.width)
        if sum(widths) > 1:
            widths = self._label_widths(labels, [short for _, _, short in inside], box.width)
        tops = [(x - low) / (high - low) for x, _, _ in inside]
        end = 1 + 0.8 * _MARGINS[2] * self.figure.dpi / box.width
        lift = 8 / 72 * self.figure.dpi / box.height
        path: list[tuple[float, float]] = []
        for label, top, place in zip(labels, tops, spread(tops, widths, 0.0, end), strict=True):
            label.set_position((place, 1 + lift))
            label.set_visible(True)
            path += [(top, 0), (top, 1), (place, 1 + lift), (np.nan, np.nan)]
        self._marks.set_data(*zip(*path, strict=True) if path else ([], []))

    def _label_widths(self, labels: Sequence[Text], texts: Sequence[str], whole: float) -> list[float]:
        """Set the texts; their widths with a gap as fractions of the axes' width in pixels."""
        for label, text in zip(labels, texts, strict=True):
            label.set_text(text)
        gap = 7 / 72 * self.figure.dpi
        return [float(label.get_window_extent().width + gap) / whole for label in labels]

    def _sets(self) -> Iterable[tuple[str, str, Any]]:
        """Label, colour and line style of each set."""
        of = f"of {NAMES[self.shape.which]}"
        yield f"Clean accuracy {of}", self.palette.clean, "-"
        for i, name in enumerate(self.shape.poisoned):
            suffix = f", {shortened(name)}" if name else ""
            yield (f"Attack success rate {of}{suffix}", self.palette.attack[i % len(self.palette.attack)],
                   _LINE_STYLES[i % len(_LINE_STYLES)])

    def _frame(self) -> None:
        what = "Channels pruned" if self.shape.by == "channels" else "Fraction of channels pruned"
        framed(self.axes, self.palette, f"{what} from {shortened(self.shape.layer)}", "Per cent of images")
        if self.shape.by == "channels":  # half a channel can't be pruned, however far the view is zoomed in
            self.axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def rates_of(counts: SetCounts, which: Which) -> tuple[Values, Values, Values]:
    """Rates of all steps in per cent: value, low and high end of the 95 % interval, float64[C + 1] each."""
    numbers = counts.correct if which == "b_prime" else counts.goodnet_correct
    values, low, high = rates_with_intervals(numbers, counts.images)
    return 100 * values, 100 * low, 100 * high


def threshold_marks(rows: Iterable[GoodNetRow]) -> list[tuple[int, str, str]]:
    """The steps that answer thresholds, rising, each with a long label "X = 2, 4" and a short one "2, 4"."""
    by_step = sorted(rows, key=lambda row: (row.channels_pruned, row.x))
    marks = []
    for step, same in groupby(by_step, key=lambda row: row.channels_pruned):
        short = ", ".join(f"{row.x:g}" for row in same)
        marks.append((step, f"X = {short}", short))
    return marks


def spread(centres: Sequence[float], widths: Sequence[float], low: float, high: float) -> list[float]:
    """Move labels on a line apart until none overlap, in total as little as possible (least squares).

    Args:
        centres: where the labels want their middle, rising; widths: theirs.
        low, high: the ends of the line. When all labels together are longer than it, they overlap at its end.
    """
    if not centres:
        return []
    half = np.asarray(widths) / 2
    # With the labels pushed together, "no overlap" becomes "in order": a monotone regression by pooling.
    offsets = np.concatenate([[0.0], np.cumsum(half[:-1] + half[1:])])
    blocks: list[list[float]] = []
    for wish in np.asarray(centres) - offsets:
        blocks.append([float(wish)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    places = np.array([float(np.mean(block)) for block in blocks for _ in block])
    return list(np.clip(places, low + half[0], high - half[-1] - offsets[-1]) + offsets)


def printed_figure(
    curve: PruningCurve, rows: Iterable[GoodNetRow], which: Which = "goodnet", by: By = "channels",
    limits: Limits | None = None,
) -> Figure:
    """The curve drawn in the colours of print, ready to be saved.

    Args:
        limits: the part to show, as CurveDrawing.limits; None shows all.
    """
    figure = blank(SIZE_INCHES)
    drawing = CurveDrawing(figure, Shape.of(curve, which, by), PRINT)
    drawing.show(curve, rows)
    if limits:
        drawing.axes.set(xlim=limits[0], ylim=limits[1])
    drawing.lay_out()
    return figure
