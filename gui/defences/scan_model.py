"""The table of a scan's suspects: each label with a bar that compares its count with the first's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from gui.tables.model import Bar, Block, Column, FigureModel
from gui.widgets.texts import label_text

if TYPE_CHECKING:
    from engine.defences.scan import Scan

RANK, LABEL, COUNT = range(3)


@dataclass(frozen=True)
class Ranked:
    """A suspect: its place from 1, its label in words, its count, and that as a fraction of the first's."""

    rank: int
    label: str
    count: int
    share: float


COLUMNS: tuple[Column[Ranked], ...] = (
    Column("Rank", "1 is the most suspect label.", lambda suspect: (Block(str(suspect.rank)),)),
    Column("Label", "A label that images changed to when a stamp was put on them.",
           lambda suspect: (Block(suspect.label),), left=True),
    Column("Images drawn to it", "How many of the images that changed their label changed to this one. "
           "The bar compares it with the first.",
           lambda suspect: (Block(f"{suspect.count:,}", bar=Bar(0, suspect.share, "attack")),)),
)


class ScanModel(FigureModel[Ranked]):
    """Suspects, most suspect first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, parent)
        self.found: Scan | None = None
        self._names: Sequence[str] = ()

    def show_scan(self, found: Scan | None) -> None:
        """Take a scan's suspects; None for none."""
        self.found = found
        self.show_rows(self._ranked())

    def set_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]."""
        self._names = names
        self.change_rows(self._ranked())

    def _ranked(self) -> list[Ranked]:
        suspects = self.found.suspects if self.found else ()
        return [Ranked(rank, label_text(suspect.label, self._names), suspect.count,
                       suspect.count / max(1, suspects[0].count)) for rank, suspect in enumerate(suspects, start=1)]
