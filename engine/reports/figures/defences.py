"""All defences as one picture: clean accuracy against attack success, the same in a file and in a window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation

from engine.assessment import BEARABLE_LOSS_POINTS, HARMLESS_ATTACK
from engine.defences.comparison import Comparison, ComparisonRow
from engine.guards.calibration import SPARING_GUARD
from engine.literal import literal
from engine.reports.figures.palette import PRINT, Palette
from engine.reports.figures.style import blank, framed, plain_text

SIZE_INCHES = (8.0, 4.4)

# Shapes tell plain from guarded, so that nobody needs to tell colours apart.
_MARKERS = {"none": "o", "transplant": "^", "margin": "s", SPARING_GUARD: "D"}
_MARGINS = (0.62, 0.52, 0.1, 0.1)  # inches: left, bottom, right, top
_MARK_POINTS = 8.0
_FONT_POINTS = 8.5
# Space between the legend's lines and their size, the first that has room for all defences.
_LEGENDS = ((0.5, _FONT_POINTS), (0.1, _FONT_POINTS), (0.1, 7.0), (0.0, 6.0))
_LINE_POINTS = 1.2 * _FONT_POINTS
_DIGIT_POINTS = 0.64 * _FONT_POINTS  # and half of it is a space
# How many points from the middle of a mark its number stands, and in which ways, to the side that is wanted and up:
# first beside it, then farther off, at the end of a line that can be seen. Tried in this order.
_BESIDE, _FARTHER = 6, range(12, 96, 6)
_WAYS_BESIDE = ((1, 0), (1, 0.25), (1, -0.25), (-1, 0))
_WAYS_FARTHER = ((1, 0.5), (1, -0.5), (1, 1), (1, -1), (-1, 0.5), (-1, -0.5), (-1, 1), (-1, -1))
# Room left of 0 per cent for numbers beside marks, and above 100 for the corner's name.
_X_LIMITS, _TOP = (-15.0, 104.0), 108.0
_LEFT_EDGE, _RIGHT_EDGE = 2.0, 85.0
_ONE_LINE = 440.0  # points of the axes' width in which the good corner is explained on one line


Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle, in points."""

    left: float
    bottom: float
    right: float
    top: float

    @staticmethod
    def around(middle: Sequence[float], width: float, height: float) -> Box:
        """The box of a size with that middle."""
        x, y = middle
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def overlaps(self, other: Box) -> bool:
        """Whether they have more than an edge in common."""
        return self.left < other.right and other.left < self.right and \
            self.bottom < other.top and other.bottom < self.top

    def inside(self, other: Box) -> bool:
        """Whether nothing of it stands out of the other."""
        return self.left >= other.left and self.right <= other.right and \
            self.bottom >= other.bottom and self.top <= other.top


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
    def width(self) -> float:
        """Of the text at most, in points."""
        return _DIGIT_POINTS * max(len(line) - line.count(" ") / 2 for line in self.text.split("\n"))

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
    framed(axes, palette, "Attack success, %", "Clean accuracy, %")
    drawn = [row for row in comparison.rows if row.attack and row.guard in ("none", SPARING_GUARD, guard)]
    if not drawn:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "Without poisoned images there is no attack success to draw.", ha="center", va="center",
                  transform=axes.transAxes, color=palette.text, fontsize=10)
        return
    names = list(dict.fromkeys(row.defence for row in comparison.rows))
    _limit(axes, drawn)
    _legend(axes, names, drawn, palette)
    words = _good_corner(axes, drawn, palette)
    for row in drawn:
        axes.plot(*_place(row), linestyle="none", marker=_MARKERS[row.guard], markersize=_MARK_POINTS,
                  color=_colour(row.guard, palette), markeredgecolor=palette.ground, markeredgewidth=0.8, zorder=3)
    _number(axes, names, drawn, palette, words)


def printed_comparison(comparison: Comparison, guard: str = "transplant") -> Figure:
    """The comparison drawn in the colours of print, ready to be saved; `guard` as draw_comparison's."""
    figure = blank(SIZE_INCHES)
    draw_comparison(figure.add_axes((0.1, 0.1, 0.8, 0.8)), comparison, guard=guard)
    return figure


def _place(row: ComparisonRow) -> tuple[float, float]:
    assert row.attack
    return 100 * row.attack.value, 100 * row.clean.value


def _colour(guard: str, palette: Palette) -> str:
    return palette.attack[0] if guard == "none" else palette.clean


def _limit(axes: Axes, rows: Sequence[ComparisonRow]) -> None:
    lowest = min(100 * row.clean.value for row in rows)
    bottom = max(-4.0, 10 * math.floor((lowest - 4) / 10))
    axes.set(xlim=_X_LIMITS, ylim=(bottom, _TOP), xticks=range(0, 101, 20))
    axes.set_yticks([tick for tick in range(0, 101, 10) if tick >= bottom])


def _legend(axes: Axes, names: Sequence[str], rows: Sequence[ComparisonRow], palette: Palette) -> None:
    """Shapes and numbers explained at the right; the axes get the room that is left."""
    guards = dict.fromkeys(row.guard for row in rows)
    handles = [Line2D([], [], linestyle="none", marker=_MARKERS[guard], markersize=_MARK_POINTS,
                      label="without a guard" if guard == "none" else f"behind the {guard} guard",
                      color=_colour(guard, palette), markeredgecolor=palette.ground) for guard in guards]
    handles += [Line2D([], [], linestyle="none", label=f"{number}  {literal(name)}")
                for number, name in enumerate(names, 1)]
    poisoned = sum(attack.success.total for attack in rows[0].attacks)
    sets = f" in {len(rows[0].attacks)} sets,\neach mark is of its worst" if len(rows[0].attacks) > 1 else ""
    figure = axes.figure
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches()
    for spacing, points in _LEGENDS:
        legend = axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=points,
                             labelspacing=spacing, labelcolor=palette.text, frameon=False, handlelength=1.0,
                             borderpad=0.0, borderaxespad=0.2, title_fontsize=points, alignment="left",
                             title=f"{rows[0].clean.total:,} clean images,\n{poisoned:,} poisoned images{sets}")
        plain_text(legend.get_texts())
        if legend.get_window_extent().height <= (height - _MARGINS[3]) * figure.dpi:
            break
    legend.get_title().set_color(palette.text)
    left, bottom, right, top = _MARGINS
    beside = legend.get_window_extent().width / figure.dpi
    axes.set_position((left / width, bottom / height, max(0.1, 1 - (left + right + beside) / width),
                       max(0.1, 1 - (bottom + top) / height)))


def _good_corner(axes: Axes, rows: Iterable[ComparisonRow], palette: Palette) -> Annotation:
    """Where engine.assessment calls a defence a repair: the attack harmless, the loss against B bearable; its words."""
    before = next(100 * row.clean.value for row in rows if row.guard == "none")
    left, floor = axes.get_xlim()[0], before - BEARABLE_LOSS_POINTS
    axes.add_patch(Rectangle((left, floor), 100 * HARMLESS_ATTACK - left, _TOP - floor, color=palette.clean,
                             alpha=0.14, linewidth=0, zorder=0))
    # On one line where there is room, because a low figure has marks where the second line would be.
    box = axes.get_window_extent()
    between = " " if box.width * 72 / axes.figure.dpi > _ONE_LINE else "\n"
    return axes.annotate(f"the good corner: attack at most {100 * HARMLESS_ATTACK:g} %,{between}clean accuracy within "
                         f"{BEARABLE_LOSS_POINTS:g} points of B's", (100 * HARMLESS_ATTACK, _TOP), xytext=(5, 0),
                         textcoords="offset points", va="top", fontsize=_FONT_POINTS, color=palette.text)


def _number(
    axes: Axes, names: Sequence[str], rows: Sequence[ComparisonRow], palette: Palette, words: Annotation,
) -> None:
    """Set the defences' numbers beside the marks, off the words; marks on top of each other share a list of numbers."""
    per_point = axes.figure.dpi / 72
    places = (axes.transData.transform([_place(row) for row in rows]) / per_point).tolist()
    clusters = clustered(places, [names.index(row.defence) + 1 for row in rows], _MARK_POINTS)
    room, corner = (Box(*(side / per_point for side in artist.get_window_extent().extents)) for artist in (axes, words))
    # Marks at the left edge have their numbers outside, where no other marks are; those at the right one inside, where
    # the legend isn't.
    low, high = (axes.transData.transform((x, 0))[0] / per_point for x in (_LEFT_EDGE, _RIGHT_EDGE))
    taken = [corner, *(Box.around(place, _MARK_POINTS, _MARK_POINTS) for place in places)]
    for cluster in sorted(clusters, key=lambda c: (len(c.numbers), -c.middle)):
        side = 1 if low <= cluster.left < high else -1
        start, middle, near = numbered(cluster, side, taken, room)
        taken.append(Box.around(middle, cluster.width, cluster.height))
        axes.annotate(cluster.text, start, middle, "figure points", "figure points", ha="center", va="center",
                      fontsize=_FONT_POINTS, color=palette.text, zorder=4, annotation_clip=False,
                      arrowprops=None if near else {"arrowstyle": "-", "color": palette.muted, "linewidth": 0.8,
                                                    "shrinkA": 1, "shrinkB": _MARK_POINTS / 2})


def numbered(cluster: Cluster, side: int, taken: Sequence[Box], room: Box) -> tuple[Point, Point, bool]:
    """Where a cluster's numbers stand that they cover nothing.

    Args:
        side: 1 where they are wanted at the right, -1 at the left.
        taken: what is drawn already; room: where they must stay. All in points.
    Returns:
        The mark's point that they belong to, their middle, and whether that is close enough to need no line. Where
        nothing is free, the place where they are wanted.
    """
    def place(distance: float, toward: int, up: float) -> tuple[Point, Point]:
        start = cluster.right if toward > 0 else cluster.left
        return (start, cluster.middle), (start + toward * (distance + cluster.width / 2),
                                         cluster.middle + up * (distance + cluster.height / 2))

    tried = [(_BESIDE, *way) for way in _WAYS_BESIDE]
    tried += [(distance, *way) for distance in _FARTHER for way in _WAYS_FARTHER]
    for distance, toward, up in tried:
        start, middle = place(distance, toward * side, up)
        box = Box.around(middle, cluster.width, cluster.height)
        if box.inside(room) and not any(box.overlaps(other) for other in taken):
            return start, middle, distance == _BESIDE
    return *place(_BESIDE, side, 0), True


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

