"""The table of all defences: a row for each defence, plain and behind each guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from gui.tables.model import Block, Column, FigureModel, rate_column, set_columns

if TYPE_CHECKING:
    from engine.defences.comparison import Comparison, ComparisonRow

DEFENCE = 0

COLUMNS: tuple[Column[ComparisonRow], ...] = (
    Column("Defence\n(guard)", "What answers. B: the network itself. Pruned, fine-pruned, repaired: the pair of B and "
           "that copy, which answers only where both agree, unless it says alone. Below it: what stands before it and "
           "flags images as backdoored.",
           lambda row: (Block(row.defence, "no guard" if row.guard == "none" else f"{row.guard} guard"),), left=True),
    rate_column("Clean\naccuracy", "The share of clean images that are labelled right.",
                 lambda row: [row.clean]),
    rate_column("Attack\nsuccess", "Attack success rate: the share of poisoned images that get the label the attacker "
                 "wants; of several sets that on which the attack works most.", lambda row: [row.attack]),
    rate_column("Robust\naccuracy", "The share of poisoned images that get their true label in spite of the trigger. "
                 "Known only where the poisoned images are the clean ones wearing it.",
                 lambda row: [row.robust]),
    rate_column("False\nalarms", "The share of clean images wrongly labelled N, backdoored.",
                 lambda row: [row.false_alarms]),
    rate_column("Detection", "The share of poisoned images labelled N, backdoored.", lambda row: [row.detection]),
    Column("Seconds", "What the defence and its guard took to make on this machine.",
           lambda row: (Block(f"{row.seconds:.1f}"),)),
)


class DefencesModel(FigureModel["ComparisonRow"]):
    """Rows of ComparisonRow."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, parent)

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Take a comparison's rows; None for none."""
        rows = comparison.rows if comparison else ()
        self.show_rows(rows, (*COLUMNS, *set_columns(rows[0].attacks if rows else (), lambda row: [row])))
