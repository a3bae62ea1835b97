"""The smallest stamps of all labels that an examination tried, as bars; the same in a file and in a window."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from engine.reports.figures.palette import PRINT, Palette
from engine.reports.figures.style import blank, framed
from engine.runs.examine import Examination

SIZE_INCHES = (9.0, 3.4)

# Inches: left, bottom, right, top.
_LEFT, _BOTTOM, _RIGHT, _TOP = 0.7, 0.75, 0.15, 0.4
_MOST_NAMED = 30
# A label of four digits needs so much room to stand level.
_TICK_INCHES = 0.3
# The lowest that a line of names at right angles is still read at.
_SMALLEST = 0.095


def draw_masks(figure: Figure, examination: Examination, palette: Palette = PRINT) -> None:
    """Draw a bar a label, the smallest stamp first, on a logarithmic scale; suspects and guilty labels are marked.

    Args:
        figure: empty, with an Agg canvas; it keeps its present size.
    """
    width, height = figure.get_size_inches()
    axes = figure.add_axes((_LEFT / width, _BOTTOM / height, max(0.1, 1 - (_LEFT + _RIGHT) / width),
                            max(0.1, 1 - (_BOTTOM + _TOP) / height)))
    tried = sorted(examination.tried, key=lambda one: one.evidence.mask_pixels)
    guilty = {one.evidence.label for one in examination.guilty}
    kinds = {"named": palette.attack[0], "suspect": palette.clean, "reference": palette.muted}
    colours = [kinds["named" if one.evidence.label in guilty else "suspect" if one.suspect else "reference"]
               for one in tried]
    axes.bar(np.arange(len(tried)), [one.evidence.mask_pixels for one in tried], color=colours, width=0.72)
    axes.set_yscale("log")
    axes.set_ylim(bottom=min(1.0, *(one.evidence.mask_pixels for one in tried)))  # what is alike looks alike
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # sizes mostly lie within one power of ten
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    room = (width - _LEFT - _RIGHT) / len(tried)
    every = math.ceil(_SMALLEST / room)
    named = [str(one.evidence.label) if len(tried) <= _MOST_NAMED and place % every == 0 else ""
             for place, one in enumerate(tried)]
    axes.set_xticks(np.arange(len(tried)), named, rotation=90 if room < _TICK_INCHES else 0)
    framed(axes, palette, "Label", "Smallest stamp, pixels", grid="y", ticks=8.5)
    axes.tick_params(axis="x", labelsize=min(8.5, 72 * every * room / 1.25))
    axes.margins(x=0.01)
    present = [kind for kind, colour in kinds.items() if colour in colours]
    figure.legend([Patch(color=kinds[kind]) for kind in present], present, loc="upper left", ncols=3, fontsize=9,
                  labelcolor=palette.text, frameon=False, bbox_to_anchor=(0.0, 1.0), handlelength=1.2,
                  columnspacing=1.2)


def printed_masks(examination: Examination) -> Figure:
    """The bars in the colours of print, ready to be saved."""
    figure = blank(SIZE_INCHES)
    draw_masks(figure, examination)
    return figure
