"""The table of GoodNets: a row for each pair that can be saved, a column for each figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt

from engine.rates import Rate
from gui.tables.model import Block, Column, FigureModel, Index, rate_column
from gui.widgets.verdict_icon import WORDS

if TYPE_CHECKING:
    from engine.assessment import Level
    from engine.guards.guarded_curve import GuardedFigures
    from engine.runs.rows import GoodNetRow


@dataclass(frozen=True)
class Pair:
    """A row of the table: a GoodNet's figures, or B's own, without the guard and, if there is one, behind it.

    Attributes:
        alone: B behind the guard alone, with no pruned copy beside it.
    """

    row: GoodNetRow
    alone: bool = False

    @property
    def goodnet(self) -> GoodNetRow | None:
        """The GoodNet; None for B behind the guard alone."""
        return None if self.alone else self.row


def _rate_column(
    heading: str, meaning: str, rate: Callable[[GoodNetRow | GuardedFigures], Rate | None],
) -> Column[Pair]:
    return rate_column(heading, meaning, lambda pair: [
        rate(some) for some in ((pair.row, pair.row.guarded) if pair.row.guarded else (pair.row,))])


def _drop(pair: Pair) -> tuple[Block, ...]:
    if pair.alone:
        return (Block("–"),)
    return (Block(f"{pair.row.drop_points:.2f} pts", f"{pair.row.drop_relative_percent:.1f} %"),)


def _guard(pair: Pair) -> tuple[Block, ...]:
    return (Block("off"), Block("on")) if pair.row.guarded else (Block("–"),)


def _verdicts(pair: Pair) -> tuple[Block, ...]:
    """The verdict in full; of two, both in short, because the figures stand beside them and rows would get too high."""
    plain, guarded = pair.row.assessment, pair.row.guarded_assessment
    if guarded is None or pair.row.guarded is None:
        return (Block(WORDS[plain.level], plain.sentence, plain.level),)
    short = _in_short(guarded.level, pair.row.guarded)
    return Block(WORDS[plain.level], level=plain.level), Block(WORDS[guarded.level], short, guarded.level)


def _in_short(level: Level, guarded: GuardedFigures) -> str:
    if level == "repaired" and guarded.attack:
        return f"as far as {guarded.attack.total:,} images tell"
    return {"costly": "more accuracy lost than it is worth", "weakened": "the attack still works at times",
            "failed": "the attack still works", "unknown": "no poisoned images"}.get(level, "")


COLUMNS: tuple[Column[Pair], ...] = (
    Column("X", "The threshold: how much clean accuracy on validation images the pruning was allowed to cost. "
           "B: the network itself, nothing pruned.",
           lambda pair: (Block("B" if pair.alone else f"{pair.row.x:g}"),)),
    Column("Channels\npruned", "How many channels of the layer are switched off in B', the pruned copy.",
           lambda pair: (Block(str(pair.row.channels_pruned)),)),
    Column("Drop\n(relative)", "What the pruned copy really lost on validation images, in percentage points. "
           "Below it: as a share of B's accuracy.", _drop),
    Column("Guard", "Figures without the guard (off) and behind it (on). The guard flags images as backdoored before "
           "the networks answer; it is saved with the pair.", _guard),
    _rate_column("Clean\naccuracy", "The share of clean images that the GoodNet labels right.", lambda of: of.clean),
    _rate_column("Attack\nsuccess", "Attack success rate: the share of poisoned images on which the GoodNet answers "
                 "the label the attacker wants.", lambda of: of.attack),
    _rate_column("False\nalarms", "The share of clean images that the GoodNet wrongly labels N, backdoored.",
                 lambda of: of.false_alarms),
    _rate_column("Detection", "The share of poisoned images that the GoodNet labels N, backdoored.",
                 lambda of: of.detection),
    Column("Verdict", "What the figures mean for someone who wants to use this GoodNet.", _verdicts, left=True),
)
GUARD = next(i for i, column in enumerate(COLUMNS) if column.heading == "Guard")
VERDICT = len(COLUMNS) - 1


class GoodNetsModel(FigureModel[Pair]):
    """Rows of Pair."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, parent)

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        """Take new pairs; thresholds that stay keep their selection."""
        if [(pair.alone, pair.row.x) for pair in pairs] == [(pair.alone, pair.row.x) for pair in self.rows]:
            self.change_rows(pairs)
        else:
            self.show_rows(pairs)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """As every table's, but the verdict is said in full, and which figures are the guard's."""
        spoken, verdict = role == Qt.ItemDataRole.AccessibleTextRole, index.column() == VERDICT
        if verdict and (spoken or role == Qt.ItemDataRole.ToolTipRole):
            return _sentences(self.rows[index.row()])
        if spoken:
            return _spoken(COLUMNS[index.column()].blocks(self.rows[index.row()]))
        return super().data(index, role)


def _spoken(blocks: tuple[Block, ...]) -> str:
    if len(blocks) == 1:
        return blocks[0].words
    return f"without the guard {blocks[0].words}; behind the guard {blocks[1].words}"


def _sentences(pair: Pair) -> str:
    found = filter(None, (pair.row.assessment, pair.row.guarded_assessment))
    return "\n\n".join(f"{WORDS[one.level]}. {one.sentence}" for one in found)
