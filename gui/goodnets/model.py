"""The table of GoodNets: a row for each pair that can be saved, a column for each figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt

from engine.assessment import LEVEL_WORDS, shows_attack
from engine.rates import Rate
from gui.tables.model import Block, Column, FigureModel, Index, rate_column, set_columns
from gui.widgets.texts import as_tip

if TYPE_CHECKING:
    from engine.assessment import Figures, Level
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


def _of_both(pair: Pair) -> tuple[Figures, ...]:
    return (pair.row, pair.row.guarded) if pair.row.guarded else (pair.row,)


def _rate_column(heading: str, meaning: str, rate: Callable[[Figures], Rate | None]) -> Column[Pair]:
    return rate_column(heading, meaning, lambda pair: [rate(figures) for figures in _of_both(pair)])


def _name(pair: Pair) -> tuple[Block, ...]:
    return (Block("B" if pair.alone else f"X = {pair.row.x:g}"),)


def _loss(pair: Pair) -> tuple[Block, ...]:
    """What was lost, in the unit in which it was asked for."""
    row = pair.row
    if pair.alone:
        return (Block("–"),)
    return (Block(f"{row.lost:.2f} {'pts' if row.mode == 'points' else '%'}", f"{row.x:g} asked"),)


def _guard(pair: Pair) -> tuple[Block, ...]:
    """Off and on, and of how many clean images the figures are where that isn't the same."""
    both = _of_both(pair)
    if len(both) < 2:
        return (Block("–"),)
    counts = [f"of {figures.clean.total:,} clean" if _differ(pair) else "" for figures in both]
    return Block("off", counts[0]), Block("on", counts[1])


def _differ(pair: Pair) -> bool:
    """Whether clean figures without the guard and behind it are of different images, as they are without a test set."""
    return len({figures.clean.total for figures in _of_both(pair)}) > 1


def _verdicts(pair: Pair) -> tuple[Block, ...]:
    """The verdict in full; of two, both in short, because the figures stand beside them and rows would get too high."""
    plain, guarded = pair.row.assessment, pair.row.guarded_assessment
    if guarded is None or pair.row.guarded is None:
        return (Block(LEVEL_WORDS[plain.level], plain.sentence, plain.level),)
    short = _in_short(guarded.level, pair.row.guarded)
    return Block(LEVEL_WORDS[plain.level], level=plain.level), Block(LEVEL_WORDS[guarded.level], short, guarded.level)


def _in_short(level: Level, guarded: Figures) -> str:
    if level in ("repaired", "protected"):
        images = sum(attack.success.total for attack in guarded.attacks if shows_attack([attack]))
        return f"as far as {images:,} images tell"
    return {"costly": "more accuracy lost than it is worth", "weakened": "the attack still works at times",
            "failed": "the attack still works",
            "unknown": "see above" if guarded.attacks else "no poisoned images"}.get(level, "")


COLUMNS: tuple[Column[Pair], ...] = (
    Column("Pair", "X: B and the copy that answers the threshold X, how much clean accuracy on validation images the "
           "pruning was allowed to cost. B: the network itself, nothing pruned.", _name),
    Column("Channels\npruned", "How many channels of the layer are switched off in B', the pruned copy.",
           lambda pair: (Block(str(pair.row.channels_pruned)),)),
    Column("Drop\n(asked)", "How much clean accuracy the pruned copy really lost on validation images. Below it: what "
           "was asked for. The first step past X can lose far more, where one channel costs many points.", _loss),
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
LOSS, GUARD, CLEAN, ATTACK, FALSE_ALARMS, DETECTION, VERDICT = range(2, 9)


class GoodNetsModel(FigureModel[Pair]):
    """Rows of Pair; behind COLUMNS stands one for each poisoned set, where there are several."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, parent)
        self._sets: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there are columns of single poisoned sets."""
        return len(self.columns) > len(COLUMNS)

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        """Take new pairs; thresholds that stay keep their selection."""
        attacks = pairs[0].row.attacks if pairs else ()
        sets = tuple(attack.title for attack in attacks)
        same = sets == self._sets and [(p.alone, p.row.x) for p in pairs] == [(p.alone, p.row.x) for p in self.rows]
        if same:
            self.change_rows(pairs)
            return
        self._sets = sets
        self.show_rows(pairs, (*COLUMNS, *set_columns(attacks, _of_both)))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """As every table's, but the verdict is said in full, and which figures are the guard's."""
        pair, column = self.rows[index.row()], index.column()
        spoken, tip = role == Qt.ItemDataRole.AccessibleTextRole, role == Qt.ItemDataRole.ToolTipRole
        if column == VERDICT and (spoken or tip):
            return as_tip(_sentences(pair)) if tip else _sentences(pair)
        if column == LOSS and tip and not pair.alone:
            return _both_losses(pair.row)
        if tip and column in (GUARD, CLEAN, FALSE_ALARMS) and _differ(pair):
            without, behind = (figures.clean.total for figures in _of_both(pair))
            return as_tip(f"{self.columns[column].meaning}\n\nClean figures were counted without the guard on "
                          f"{without:,} images, behind it on {behind:,} of these.")
        if spoken:
            return _spoken(self.columns[column].blocks(pair))
        return super().data(index, role)


def _both_losses(row: GoodNetRow) -> str:
    return f"Lost {row.drop_points:.2f} percentage points, which is {row.drop_relative_percent:.1f} % of B's accuracy."


def _spoken(blocks: tuple[Block, ...]) -> str:
    if len(blocks) == 1:
        return blocks[0].words
    return f"without the guard {blocks[0].words}; behind the guard {blocks[1].words}"


def _sentences(pair: Pair) -> str:
    found = filter(None, (pair.row.assessment, pair.row.guarded_assessment))
    return "\n\n".join(f"{LEVEL_WORDS[one.level]}. {one.sentence}" for one in found)
