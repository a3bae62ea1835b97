"""The tables of runs: what each of them found, and in what those chosen differ."""

from __future__ import annotations

from engine.assessment import LEVEL_WORDS
from engine.records.side_by_side import SideBySide
from engine.reports.run_differences import Difference, b_beside, worst_attack
from gui.jobs.comparing import ListedRun
from gui.tables.model import Block, Column, FigureModel, rate_column

BEST = 3


def _run(listed: ListedRun) -> tuple[Block, ...]:
    drops = ", ".join(f"{x:g}" for x in listed.run.request.drops)
    return (Block(listed.name, listed.note, tip=f"{listed.name} · {listed.note} · X = {drops}"),)


def _best(listed: ListedRun) -> tuple[Block, ...]:
    best = listed.best
    return (Block(best.short, LEVEL_WORDS[best.level], best.level, tip=best.sentence) if best else Block("–"),)


COLUMNS: tuple[Column[ListedRun], ...] = (
    Column("Run", "The model's file and what tells its runs apart. Below it: when it was run, and its guard.", _run,
           left=True),
    rate_column("B: clean\naccuracy", "The share of clean images that the network itself labels right, of those that "
                "the best defence was measured on.", lambda listed: [b_beside(listed.best, listed.run)]),
    rate_column("B: attack\nsuccess", "The share of poisoned images that the network itself gives the label the "
                "attacker wants; of several sets, the highest.",
                lambda listed: [worst_attack(listed.run.curve.poisoned, 0)]),
    Column("Best defence", "The best of the run's defences on the images it was measured with, and what that means.",
           _best, left=True),
    rate_column("Clean\naccuracy", "The share of clean images that the best defence labels right.",
                lambda listed: [listed.best.clean if listed.best else None]),
    rate_column("Attack\nsuccess", "The share of poisoned images that get the label the attacker wants in spite of the "
                "best defence.", lambda listed: [listed.best.attack if listed.best else None]),
)


def differences_model(found: SideBySide) -> FigureModel[Difference]:
    """A row for each thing in which runs differ, a column a run."""
    def of_run(number: int, name: str) -> Column[Difference]:
        return Column(name, f"What {name} has.", lambda row: (_value(row.texts[number]),), left=True)

    model = FigureModel[Difference]([
        Column("What differs", "Files are compared by their contents (SHA-256). What isn't listed is the same.", _what,
               left=True),
        *(of_run(number, name) for number, name in enumerate(found.names))])
    model.show_rows(found.differences)
    return model


def _what(row: Difference) -> tuple[Block, ...]:
    figure, _, detail = row.what.partition(", ")
    return (Block(figure, detail),)


def _value(text: str) -> Block:
    """What stands in brackets, a hash or an interval, as small print."""
    figure, _, detail = text.partition(" (")
    return Block(figure, detail.removesuffix(")")) if text.count(" (") == 1 else Block(text)
