"""Several runs' curves over each other, the same in a file and in a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from engine.rates import Values
from engine.reports.figures.palette import PRINT, Palette
from engine.reports.figures.style import blank, framed, plain_text, shortened
from engine.reports.run_differences import worst_attack
from engine.runs.prune import PruningRun

SIZE_INCHES = (9.0, 4.4)

_LINE_STYLES = ("-", "--", "-.", ":")
# Inches: left, bottom, right, top, between the two panels, for each line of the legend above them.
_LEFT, _BOTTOM, _RIGHT, _TOP, _BETWEEN, _LINE = 0.62, 0.52, 0.18, 0.08, 0.5, 0.2
_LEGEND_COLUMNS = 3


def draw_runs(figure: Figure, names: Sequence[str], runs: Sequence[PruningRun], palette: Palette = PRINT) -> None:
    """Draw clean accuracy and attack success of all runs' GoodNets, side by side, against channels pruned.

    Runs are told apart by colour and line style. Attack success is the highest over a run's poisoned sets. Layers of
    different size are drawn against the fraction of channels pruned.

    Args:
        figure: empty, with an Agg canvas; it keeps its present size.
        names: what the legend calls the runs.
    """
    width, height = figure.get_size_inches()
    lines = -(-len(runs) // _LEGEND_COLUMNS)
    panel = max(0.1, (1 - (_LEFT * 2 + _RIGHT + _BETWEEN / 2) / width) / 2)
    tall = max(0.1, 1 - (_BOTTOM + _TOP + 0.1 + _LINE * (lines + 0.5)) / height)
    by_fraction = len({run.model.channels for run in runs}) > 1
    for number, what in enumerate(("Clean accuracy", "Attack success")):
        left = _LEFT / width + number * (panel + (_LEFT + _BETWEEN / 2) / width)
        axes = figure.add_axes((left, _BOTTOM / height, panel, tall))
        framed(axes, palette, "Fraction of channels pruned" if by_fraction else "Channels pruned", f"{what}, %")
        axes.set_ylim(-2, 102)
        axes.margins(x=0)
        for place, run in enumerate(runs):
            values = _clean(run) if number == 0 else _attack(run)
            axes.plot(np.linspace(0, 1 if by_fraction else run.model.channels, len(values)), values, linewidth=1.8,
                      color=_colour(palette, place), linestyle=_LINE_STYLES[place % len(_LINE_STYLES)])
    _legend(figure, names, palette, top=1 - _TOP / height)


def printed_runs(names: Sequence[str], runs: Sequence[PruningRun]) -> Figure:
    """The curves drawn in the colours of print, ready to be saved."""
    figure = blank(SIZE_INCHES)
    draw_runs(figure, names, runs)
    return figure


def _clean(run: PruningRun) -> Values:
    counts = run.curve.clean
    return 100 * np.array([counts.goodnet_rate(step).value for step in range(len(counts.correct))])


def _attack(run: PruningRun) -> Values:
    rates = [worst_attack(run.curve.poisoned, step) for step in range(len(run.curve.clean.correct))]
    return 100 * np.array([rate.value if rate else np.nan for rate in rates])


def _colour(palette: Palette, place: int) -> str:
    colours = (palette.clean, *palette.attack)
    return colours[place % len(colours)]


def _legend(figure: Figure, names: Sequence[str], palette: Palette, top: float) -> None:
    """The runs' names above both panels, in the colour and style of their lines."""
    lines = figure.axes[0].get_lines()
    legend = figure.legend(lines, [shortened(name) for name in names], loc="upper left", ncols=_LEGEND_COLUMNS,
                           bbox_to_anchor=(0.0, top), fontsize=9, labelcolor=palette.text, frameon=False,
                           handlelength=2.6)
    plain_text(legend.get_texts())
