"""The table of the labels that an examination tried, the most suspicious first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from engine.defences.evidence.suspicion import SUSPICIOUS
from gui.tables.model import Block, Column, FigureModel
from gui.widgets.texts import interval_text, label_text, rate_text

if TYPE_CHECKING:
    from engine.assessment import Level
    from engine.defences.evidence.suspicion import Judgement
    from engine.runs.examine import Examination, Tried

LABEL = 0


@dataclass(frozen=True, eq=False)
class TriedLabel:
    """A row: a label in words, what was found on it, and how badly it stands out; None: it doesn't, or no verdict."""

    label: str
    tried: Tried
    level: Level | None


def _label(row: TriedLabel) -> tuple[Block, ...]:
    return (Block(row.label, level=row.level),)


def _level(tried: Tried, judgement: Judgement) -> Level | None:
    if not judgement.decided:
        return None
    return "failed" if tried.evidence.label in judgement.guilty else "costly" if tried.suspicion >= SUSPICIOUS else None


def _success(row: TriedLabel) -> tuple[Block, ...]:
    rate = row.tried.evidence.success
    return (Block(f"{rate_text(rate)} ({interval_text(rate)})"),)


COLUMNS: tuple[Column[TriedLabel], ...] = (
    Column("Label", "A label that was tried. A mark before it: it stands out as an attacker's label does.", _label,
           left=True),
    Column("Tried as", "Suspect: random stamps moved most images there. Reference: drawn by chance, to compare the "
           "suspects with.", lambda row: (Block("Suspect" if row.tried.suspect else "Reference"),), left=True),
    Column("Suspicion", "How far the label stands out from the others tried, in all that was found together. The "
           "highest comes first.", lambda row: (Block(f"{row.tried.suspicion:.2f}"),)),
    Column("Smallest stamp\n(pixels)", "The size of the smallest stamp found that draws clean images of other labels "
           "there. A backdoor makes it small.", lambda row: (Block(f"{row.tried.evidence.mask_pixels:.1f}"),)),
    Column("Draws\n(95 % interval)", "The share of clean images of other labels that this stamp draws there, and in "
           "which range of per cent the true share lies with 95 % confidence.", _success),
    Column("Random stamps\nmoved there", "How many clean images changed to the label when a random stamp was put on "
           "them.", lambda row: (Block(f"{row.tried.evidence.scan_count:,}"),)),
    Column("Stamps that\nmove nearly all", "How many random stamps, each put on eight images, draw all of them "
           "there, or all but one. Large triggers show here.",
           lambda row: (Block(f"{row.tried.evidence.universal:,}"),)),
    Column("Filters that\nmove nearly all", "How many random colour filters, each put on eight images, draw all of "
           "them there, or all but one. Triggers that change colours show here.",
           lambda row: (Block(f"{row.tried.evidence.filters:,}"),)),
    Column("Widest\nmargin", "How far ahead of all other labels any input at all can bring it, in outputs before the "
           "softmax. A backdoor makes it wide.", lambda row: (Block(f"{row.tried.evidence.margin:.1f}"),)),
)


class TriedModel(FigureModel[TriedLabel]):
    """Rows of TriedLabel."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, parent)
        self._names: Sequence[str] = ()

    def show_examination(self, found: Examination) -> None:
        """Take the labels that an examination tried."""
        self.show_rows([TriedLabel(label_text(tried.evidence.label, self._names), tried,
                                   _level(tried, found.judgement)) for tried in found.tried])

    def set_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]."""
        self._names = names
        self.change_rows([TriedLabel(label_text(row.tried.evidence.label, names), row.tried, row.level)
                          for row in self.rows])
