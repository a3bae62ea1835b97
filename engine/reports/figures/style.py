"""What all figures share: their frame, names that fit and are taken literally, and the way into a file."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from engine.literal import literal
from engine.reports.figures.palette import Palette

_LONGEST_NAME = 28


def blank(size: tuple[float, float]) -> Figure:
    """An empty figure, so many inches wide and high, to draw into and save."""
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure


def framed(axes: Axes, palette: Palette, x: str, y: str, grid: Literal["both", "y"] = "both",
           ticks: float = 9) -> None:
    """Give axes and their figure the colours and lines of every figure.

    Args:
        x, y: what is said of the axes; grid: whose lines stand behind what is drawn.
        ticks: the size of what is said of the ticks, in points.
    """
    axes.figure.set_facecolor(palette.ground)
    axes.set_facecolor(palette.ground)
    axes.set_xlabel(x, color=palette.text, fontsize=9.5)
    axes.set_ylabel(y, color=palette.text, fontsize=9.5)
    axes.tick_params(colors=palette.muted, labelcolor=palette.text, labelsize=ticks)
    axes.grid(axis=grid, color=palette.grid, alpha=0.6, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.muted)


def plain_text(texts: Iterable[Text]) -> None:
    """Have texts show what they hold: a name with $ signs is no formula."""
    for text in texts:
        text.set_parse_math(False)


def shortened(name: str) -> str:
    """A name that fits into a legend; of a long one its beginning and end. Bytes that are no text become "?", what a
    screen would obey is spelled out."""
    name = literal(name.encode("utf-8", "replace").decode("utf-8"))
    if len(name) <= _LONGEST_NAME:
        return name
    kept = (_LONGEST_NAME - 1) // 2
    return f"{name[:kept]}…{name[-kept:]}"


def save_drawing(figure: Figure, target: Path | BytesIO, kind: str) -> None:
    """Write a figure as "png", "svg" or "pdf"; equal figures give equal files."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(target, dpi=150, format=kind, metadata=undated.get(kind))
