"""What a session can do about a backdoor besides pruning: comparison, repair."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.assessment import percent
from engine.defences.comparison import Comparison, ComparisonRow
from engine.files.saving import check_writable
from engine.goodnets.evaluation import Evaluation, figures_of
from engine.records.defended import save_defended
from engine.records.repaired_pair import save_repaired
from engine.reports.headline import threshold_text
from engine.runs.all_defences import compare_defences
from engine.runs.defend import defend as defend_network
from engine.runs.kept import Made, kept_pair
from engine.runs.opening.inputs import open_inputs
from engine.runs.prune import PruningRequest, PruningRun
from engine.runs.repair import DEFAULT_METHOD, RepairedPair, RepairGuard
from engine.runs.repair import repair as repair_network
from gui.messages import Message
from gui.session.session import Session
from gui.session.worker import TaskContext


@dataclass(frozen=True)
class Repaired:
    """A pair that was saved: what it is, what it is worth, its warning, and which files were left out and why.

    `guard` is which one stands before it, what it was set to and which files are without it; empty where there is none.
    """

    what: str
    folder: Path
    evaluations: tuple[Evaluation, ...]
    warning: str
    left_out: tuple[str, ...]
    guard: str

    @property
    def sentence(self) -> str:
        """Where it is and what it does, with its guard where it has one, in words."""
        figures = figures_of(self.evaluations)
        found = [f"clean accuracy {percent(figures.clean.value)}"]
        found += [f"attack success {percent(attack.success.value)} on {attack.title}" for attack in figures.attacks]
        guarded = f" behind its guard. {self.guard}" if self.guard else "."
        warning = f" Warning: {self.warning}" if self.warning else ""
        return " ".join((f"Saved {self.what} in {self.folder}: {', '.join(found)}{guarded}{warning}", *self.left_out))


@dataclass(frozen=True)
class Defended:
    """The best defence, saved: its name, what it does, what a person must know of it, and what was left out."""

    name: str
    folder: Path
    figures: str
    cautions: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was chosen, what it does and where it is, in words."""
        warning = f" Warning: {' '.join(self.cautions)}" if self.cautions else ""
        return " ".join((f"Chose {self.name} and saved it in {self.folder}: {self.figures}.{warning}", *self.left_out))


class Defending(QObject):
    """Goes on from a Session's run. All methods return at once; what they start ends in signals.

    A comparison is forgotten when another run ends.
    """

    comparison_changed = Signal(object)  # Comparison or None
    compared = Signal(object)  # the run on show, whose comparison was made just now
    saved = Signal(str)  # what a repair or a defence is worth and where it is, in words

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.made: Made | None = None  # by the comparison on show, if it was made in this window
        session.run_changed.connect(self._show_comparison)

    def compare(self, allow_missing_labels: bool) -> None:
        """Make and measure every defence for the finished run, with the thresholds as they are now."""
        session, run = self._session, self._session.run_to_save

        def compared(found: tuple[Comparison, Made]) -> None:
            comparison, self.made = found
            if session.run:
                session.run = dataclasses.replace(session.run, comparison=comparison)
                self.compared.emit(session.run)
            self.comparison_changed.emit(comparison)

        if run:
            session.submit(partial(compare, run, allow_missing_labels), compared)

    def repair(
        self, allow_missing_labels: bool, folder: Path, alone: bool = False, method: str = DEFAULT_METHOD,
        sparing: bool = False, run: PruningRun | None = None,
    ) -> None:
        """Train a repaired copy of the finished run's network and save it in `folder`.

        Args:
            alone: it answers without B having to agree; method: one of the engine's METHODS.
            sparing: the sparing guard stands before it, else the run's.
            run: one that may be on show no longer: a person took their time to say where; None for the one on show.
        """
        session, run = self._session, run or self._session.run
        if run:
            request = run.request
            guard = "sparing" if sparing else request.guard
            session.submit(partial(repair, request, method, allow_missing_labels, folder, alone, guard,
                                   session.spared_in(folder)), self._tell)

    def defend(self, request: PruningRequest, folder: Path) -> None:
        """Examine what a request is about, make every defence, and save the best in `folder`."""
        self._session.submit(partial(defend, request, folder, self._session.spared_in(folder)), self._tell)

    def keep(self, run: PruningRun, made: Made, row: ComparisonRow, folder: Path) -> None:
        """Save a defence that the comparison of a run made, as it was measured."""
        if made.can_build(row):
            spared = self._session.spared_in(folder)
            self._session.submit(partial(keep, run, made, row, folder, spared), self._tell)

    def _tell(self, found: Repaired | Defended) -> None:
        self._session.message.emit(Message(found.sentence, folder=found.folder))
        self.saved.emit(found.sentence)

    def _show_comparison(self, run: PruningRun) -> None:
        self.made = None
        self.comparison_changed.emit(run.comparison)


# On the worker's thread


def compare(run: PruningRun, allow_missing_labels: bool, context: TaskContext) -> tuple[Comparison, Made]:
    """Make and measure every defence."""
    made = Made()
    found = compare_defences(run, allow_missing_labels=allow_missing_labels, made=made, progress=context.progress,
                             cancel=context.cancel)
    return found, made


def repair(request: PruningRequest, method: str, allow_missing_labels: bool, folder: Path, alone: bool,
           guard: RepairGuard, spared: Sequence[Path], context: TaskContext) -> Repaired:
    """Train a repaired copy and save it, with B as a pair or alone."""
    check_writable(folder, (*request.paths, *spared))
    opened = open_inputs(request, progress=context.progress, cancel=context.cancel)
    _, pair = repair_network(opened, method, guard=guard, false_alarms=request.false_alarms, alone=alone,
                             allow_missing_labels=allow_missing_labels, progress=context.progress,
                             cancel=context.cancel)
    context.cancel.raise_if_cancelled()
    left_out = save_repaired(pair, folder, spared)
    what = "network repaired by {}, which answers alone," if alone else "pair repaired by {}"
    return _repaired(f"the {what.format(method)}", folder, pair, left_out)


def defend(request: PruningRequest, folder: Path, spared: Sequence[Path], context: TaskContext) -> Defended:
    """Examine a network, make every defence and save the best."""
    check_writable(folder, (*request.paths, *spared))
    opened = open_inputs(request, progress=context.progress, cancel=context.cancel)
    found = defend_network(opened, request, progress=context.progress, cancel=context.cancel)
    context.cancel.raise_if_cancelled()
    left_out = save_defended(found, opened, folder, spared)
    row = found.chosen
    figures = [f"clean accuracy {percent(row.clean_before.value)} → {percent(row.clean.value)}"]
    figures += [f"attack success {percent(attack.before.value)} → {percent(attack.success.value)} on {attack.title}"
                for attack in row.attacks]
    on = "wasn't" if found.apart else "was"
    said = f"{', '.join(figures)}, on images that it {on} chosen by"
    return Defended(row.name, folder, said, (*found.cautions, *filter(None, [found.without_guard])), left_out)


def keep(run: PruningRun, made: Made, row: ComparisonRow, folder: Path, spared: Sequence[Path],
         context: TaskContext) -> Repaired:
    """Save a defence that a comparison made."""
    check_writable(folder, (*run.request.paths, *spared))
    pair = kept_pair(run, made, row, progress=context.progress, cancel=context.cancel)
    context.cancel.raise_if_cancelled()
    left_out = save_repaired(pair, folder, spared)
    return _repaired(row.name, folder, pair, left_out)


def _repaired(what: str, folder: Path, pair: RepairedPair, left_out: tuple[str, ...]) -> Repaired:
    goodnet = pair.goodnet
    guard = f"{threshold_text(goodnet.guard, goodnet.guard_name)} {pair.without_guard}" if goodnet.guard else ""
    return Repaired(what, folder, pair.evaluations, pair.warning, left_out, guard)
