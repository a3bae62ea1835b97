"""All defences as one picture: clean accuracy against attack success, the same in a file and in a window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from engine.assessment import BEARABLE_LOSS_POINTS, HARMLESS_ATTACK
from engine.defences.comparison import Comparison, ComparisonRow
from engine.guards.calibration import SPARING_GUARD
from engine.literal import literal
from engine.reports.curve_figure import PRINT, Palette, save_drawing, spread

SIZE_INCHES = (8.0, 4.4)

# Shapes tell plain from guarded, so that nobody needs to tell colours apart.
_MARKERS = {"none": "o", "transplant": "^", "margin": "s", SPARING_GUARD: "D"}
_MARGINS = (0.62, 0.52, 0.1, 0.1)  # inches: left, bottom, right, top
_MARK_POINTS = 8.0
_FONT_POINTS = 8.5
# Space between the legend's lines and their size, the first that has room for all defences.
_LEGENDS = ((0.5, _FONT_POINTS), (0.1, _FONT_POINTS), (0.1, 7.0), (0.0, 6.0))
_LINE_POINTS = 1.2 * _FONT_POINTS
_NUMBER_GAP = 6.0  # points between the middle of a mark and its number
_COLUMN = 26.0  # points; numbers of marks nearer than that sidewards must not overlap
# Room left of 0 per cent for numbers beside marks, and above 100 for the corner's name.
_X_LIMITS, _TOP = (-15.0, 104.0), 108.0
_RIGHT_EDGE = 85.0
_ONE_LINE = 440.0  # points of the axes' width in which the good corner is explained on one line


@dataclass(frozen=True)
class Cluster:
    """Marks that nearly cover each other: their ends and middle in points, and their defences' numbers."""

    left: float
    right: float
    middle: float
    numbers: tuple[int, ...]

    @property
    def text(self) -> str:
        """Three numbers a line, such as "1 2 5"."""
        lines = [self.numbers[i:i + 3] for i in range(0, len(self.numbers), 3)]
        return "\n".join(" ".join(map(str, line)) for line in lines)

    @property
    def height(self) -> float:
        """Of the text, in points."""
        return _LINE_POINTS * (self.text.count("\n") + 1)


def draw_comparison(
    axes: Axes, comparison: Comparison, palette: Palette = PRINT, guard: str = "transplant",
) -> None:
    """Draw a mark for every defence without a guard and one behind a guard, numbered, with a legend beside the axes.

    Without a poisoned set nothing can be drawn but a sentence that says so.

    Args:
        axes: empty, the only ones of their figure, which keeps its present size and has an Agg canvas.
        guard: whose marks are drawn beside those without and the sparing guard's; others are left to the table.
    """
    axes.figure.set_facecolor(palette.ground)
    axes.set_facecolor(palette.ground)
    drawn = [row for row in comparison.rows if row.attack and row.guard in ("none", SPARING_GUARD, guard)]
    if not drawn:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "Without poisoned images there is no attack success to draw.", ha="center", va="center",
                  transform=axes.transAxes, color=palette.text, fontsize=10)
        return
    names = list(dict.fromkeys(row.defence for row in comparison.rows))
    _frame(axes, drawn, palette)
    _legend(axes, names, drawn, palette)
    _good_corner(axes, drawn, palette)
    for row in drawn:
        axes.plot(*_place(row), linestyle="none", marker=_MARKERS[row.guard], markersize=_MARK_POINTS,
                  color=_colour(row.guard, palette), markeredgecolor=palette.ground, markeredgewidth=0.8, zorder=3)
    _number(axes, names, drawn, palette)


def printed_comparison(comparison: Comparison, guard: str = "transplant") -> Figure:
    """The comparison drawn in the colours of print, ready to be saved; `guard` as draw_comparison's."""
    figure = Figure(figsize=SIZE_INCHES)
    FigureCanvasAgg(figure)
    draw_comparison(figure.add_axes((0.1, 0.1, 0.8, 0.8)), comparison, guard=guard)
    return figure


def save_comparison_figure(
    comparison: Comparison, path: Path, format: str | None = None, guard: str = "transplant",
) -> None:
    """Write the comparison as PNG, SVG or PDF, in the colours of print.

    Args:
        format: "png", "svg" or "pdf"; None takes it from the path's ending.
        guard: as draw_comparison's.
    """
    save_drawing(printed_comparison(comparison, guard), path, format or path.suffix.lower().lstrip("."))


def _place(row: ComparisonRow) -> tuple[float, float]:
    assert row.attack
    return 100 * row.attack.value, 100 * row.clean.value


def _colour(guard: str, palette: Palette) -> str:
    return palette.attack[0] if guard == "none" else palette.clean


def _frame(axes: Axes, rows: Sequence[ComparisonRow], palette: Palette) -> None:
    axes.set_xlabel("Attack success, %", color=palette.text, fontsize=9.5)
    axes.set_ylabel("Clean accuracy, %", color=palette.text, fontsize=9.5)
    lowest = min(100 * row.clean.value for row in rows)
    bottom = max(-4.0, 10 * math.floor((lowest - 4) / 10))
    axes.set(xlim=_X_LIMITS, ylim=(bottom, _TOP), xticks=range(0, 101, 20))
    axes.set_yticks([tick for tick in range(0, 101, 10) if tick >= bottom])
    axes.tick_params(colors=palette.muted, labelcolor=palette.text, labelsize=9)
    axes.grid(color=palette.grid, alpha=0.6, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.muted)


def _legend(axes: Axes, names: Sequence[str], rows: Sequence[ComparisonRow], palette: Palette) -> None:
    """Shapes and numbers explained at the right; the axes get the room that is left."""
    guards = dict.fromkeys(row.guard for row in rows)
    handles = [Line2D([], [], linestyle="none", marker=_MARKERS[guard], markersize=_MARK_POINTS,
                      label="without a guard" if guard == "none" else f"behind the {guard} guard",
                      color=_colour(guard, palette), markeredgecolor=palette.ground) for guard in guards]
    handles += [Line2D([], [], linestyle="none", label=f"{number}  {literal(name)}")
                for number, name in enumerate(names, 1)]
    clean, attack = rows[0].clean, rows[0].attack
    figure = axes.figure
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches()
    for spacing, points in _LEGENDS:
        legend = axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=points,
                             labelspacing=spacing, labelcolor=palette.text, frameon=False, handlelength=1.0,
                             borderpad=0.0, borderaxespad=0.2, title_fontsize=points, alignment="left",
                             title=f"{clean.total:,} clean images,\n{attack.total if attack else 0:,} poisoned images")
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name with $ signs is no formula
        if legend.get_window_extent().height <= (height - _MARGINS[3]) * figure.dpi:
            break
    legend.get_title().set_color(palette.text)
    left, bottom, right, top = _MARGINS
    beside = legend.get_window_extent().width / figure.dpi
    axes.set_position((left / width, bottom / height, max(0.1, 1 - (left + right + beside) / width),
                       max(0.1, 1 - (bottom + top) / height)))


def _good_corner(axes: Axes, rows: Iterable[ComparisonRow], palette: Palette) -> None:
    """Where engine.assessment calls a defence a repair: the attack harmless, the loss against B bearable."""
    before = next(100 * row.clean.value for row in rows if row.guard == "none")
    left, floor = axes.get_xlim()[0], before - BEARABLE_LOSS_POINTS
    axes.add_patch(Rectangle((left, floor), 100 * HARMLESS_ATTACK - left, _TOP - floor, color=palette.clean,
                             alpha=0.14, linewidth=0, zorder=0))
    # On one line where there is room, because a low figure has marks where the second line would be.
    box = axes.get_window_extent()
    between = " " if box.width * 72 / axes.figure.dpi > _ONE_LINE else "\n"
    axes.annotate(f"the good corner: attack at most {100 * HARMLESS_ATTACK:g} %,{between}clean accuracy within "
                  f"{BEARABLE_LOSS_POINTS:g} points of B's", (100 * HARMLESS_ATTACK, _TOP), xytext=(5, 0),
                  textcoords="offset points", va="top", fontsize=_FONT_POINTS, color=palette.text)


def _number(axes: Axes, names: Sequence[str], rows: Sequence[ComparisonRow], palette: Palette) -> None:
    """Set the defences' numbers beside the marks; marks on top of each other share a list of numbers."""
    per_point = axes.figure.dpi / 72
    places = axes.transData.transform([_place(row) for row in rows]) / per_point
    clusters = clustered(places.tolist(), [names.index(row.defence) + 1 for row in rows], _MARK_POINTS)
    inside = axes.get_window_extent()
    # Marks at the left edge have their numbers outside, where no other marks are; those at the right one inside, where
    # the legend isn't.
    low, high = (axes.transData.transform((x, 0))[0] / per_point for x in (100 * HARMLESS_ATTACK, _RIGHT_EDGE))
    for side, sign in (("right", -1), ("left", 1)):
        for column in _columns(c for c in clusters if (low <= c.left < high) == (side == "left")):
            heights = spread([c.middle for c in column], [c.height for c in column], inside.y0 / per_point,
                             inside.y1 / per_point)
            for cluster, height in zip(column, heights, strict=True):
                beside = (cluster.left if side == "right" else cluster.right) + sign * _NUMBER_GAP
                axes.annotate(cluster.text, (beside, height), xycoords="figure points", va="center", ha=side,
                              fontsize=_FONT_POINTS, color=palette.text, zorder=4, annotation_clip=False)


def clustered(places: Sequence[Sequence[float]], numbers: Sequence[int], reach: float) -> list[Cluster]:
    """Join marks that lie within `reach` of each other, also through others in between.

    Args:
        places: (x, y) of each mark; numbers: what it is called.
    """
    groups: list[list[int]] = []
    for i, (x, y) in enumerate(places):
        near = [g for g in groups if any(math.hypot(places[j][0] - x, places[j][1] - y) <= reach for j in g)]
        groups = [g for g in groups if g not in near] + [[j for g in near for j in g] + [i]]
    return [Cluster(min(places[j][0] for j in group), max(places[j][0] for j in group),
                    sum(places[j][1] for j in group) / len(group), tuple(sorted({numbers[j] for j in group})))
            for group in groups]


def _columns(clusters: Iterable[Cluster]) -> list[list[Cluster]]:
    """Clusters whose numbers would stand above each other, rising."""
    columns: list[list[Cluster]] = []
    for cluster in sorted(clusters, key=lambda c: c.right):
        if columns and cluster.right - columns[-1][-1].right < _COLUMN:
            columns[-1].append(cluster)
        else:
            columns.append([cluster])
    return [sorted(column, key=lambda c: c.middle) for column in columns]
