"""The pruning curve as a picture, the same in a file and in a window."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.rates import Rate
from engine.runs import GoodNetRow
from engine.sweep import PruningCurve, SetCounts

# Colour-blind safe (Okabe and Ito), told apart by line style as well.
CLEAN_COLOUR = "#0072B2"
ATTACK_COLOURS = ("#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
SIZE_INCHES = (8.0, 4.8)


def rates_of(counts: SetCounts, which: str) -> tuple[Any, Any, Any]:
    """Rates of all steps in per cent: value, low and high end of the 95 % interval, float64[C + 1] each.

    Args:
        which: "b_prime" or "goodnet".
    """
    numbers = counts.correct if which == "b_prime" else counts.goodnet_correct
    rates = [Rate(int(n), counts.images) for n in numbers]
    values = 100 * np.array([r.value for r in rates])
    low, high = 100 * np.array([r.interval for r in rates]).T
    return values, low, high


def draw_curve(axes: Axes, curve: PruningCurve, rows: Iterable[GoodNetRow], which: str = "goodnet") -> None:
    """Draw clean accuracy and attack success against channels pruned, with bands and thresholds."""
    steps = np.arange(len(curve.order) + 1)
    name = "GoodNet" if which == "goodnet" else "B'"
    named = [(curve.clean, "Clean accuracy", CLEAN_COLOUR, "-")]
    for i, counts in enumerate(curve.poisoned):
        suffix = f", {counts.name}" if len(curve.poisoned) > 1 else ""
        named.append((counts, f"Attack success rate{suffix}", ATTACK_COLOURS[i % len(ATTACK_COLOURS)], "--"))
    for counts, label, colour, style in named:
        values, low, high = rates_of(counts, which)
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, values, style, color=colour, label=f"{label} of the {name}", linewidth=1.8)
    for row in rows:
        axes.axvline(row.channels_pruned, color="#777777", linewidth=0.9, linestyle=":")
        axes.annotate(f"X = {row.x:g}", (row.channels_pruned, 101.5), rotation=90, fontsize=8, ha="center",
                      va="bottom", annotation_clip=False)
    axes.set(xlabel=f"Channels pruned from {curve.layer}", ylabel="Per cent of images",
             xlim=(0, len(curve.order)), ylim=(-1, 101))
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left", frameon=False)


def save_figure(curve: PruningCurve, rows: Iterable[GoodNetRow], path: Path) -> None:
    """Write the curve as PNG, SVG or PDF, by the path's ending."""
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    draw_curve(figure.add_subplot(), curve, rows)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
