"""The pruning run: started, shown while it counts, and read at other thresholds afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.data.datasets import open_dataset
from engine.data.preprocessing import preprocessing
from engine.looking.activation_maps import ActivationMaps, activation_maps
from engine.pruning.sweep import PruningCurve, Role
from engine.records.project import left_alone
from engine.reports.headline import Headline, calibration_text, headline
from engine.runs.opening.inputs import DatasetSummary
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import GoodNetRow, badnet_row, goodnet_row, rows_of
from gui.jobs.checking import Checking
from gui.messages import Message
from gui.session.queue import Job
from gui.session.session import Session
from gui.session.workbench import Workbench
from gui.session.worker import SECONDS_BETWEEN_REPORTS, TaskContext


@dataclass(frozen=True)
class PairOfRun:
    """A pair that a run gave; `row` is None for B behind the guard alone."""

    row: GoodNetRow | None


class Pruning(QObject):
    """Runs the defence on what is chosen, and says what the run on show gives at the thresholds as they are now."""

    started = Signal()
    finished = Signal(object)  # PruningRun, computed just now
    # PruningCurve or None, list[GoodNetRow], whether the input is plausible; live during a run, then None: nobody knows
    curve_changed = Signal(object, object, object)
    # list[GoodNetRow], list[float] of thresholds the curve doesn't reach, GoodNetRow of B behind the guard or None
    rows_changed = Signal(object, object, object)
    headline_changed = Signal(object, str)  # Headline or None, how the guard was calibrated
    maps_found = Signal(object)  # ActivationMaps
    step_pointed_at = Signal(int)  # number of channels pruned at which a person wants to read the curve

    def __init__(self, session: Session, checking: Checking) -> None:
        super().__init__(session)
        self._session, self._checking = session, checking
        self.rows: list[GoodNetRow] = []
        self.best: Headline | None = None
        self.best_pair: PairOfRun | None = None
        self.running: PruningRequest | None = None
        self._counting: PruningCurve | None = None  # the curve so far, while a run counts
        self.step = self._step_before = 0
        session.run_changed.connect(self._take_up)
        session.options_changed.connect(self._read_again)

    def start(self) -> None:
        """Run the pruning defence on what is chosen."""
        session = self._session
        if session.can_run:
            session.begin()
            self._step_before = self.step
            self.running = session.inputs.request(session.options, session.names)
            session.submit(partial(prune, self.running), self._take_run,
                           partial=self._show_partial, failed=self._failed, cancelled=self._cancelled)
            self.started.emit()

    def find_maps(self, channel: int) -> None:
        """Compute what a channel of the run on show sees; only the newest wish counts."""
        session, run = self._session, self._session.run
        if run is None:
            return
        for path in (run.model.path, *(found.path for found in _first_of_each(run).values())):
            if not session.may_read(path):
                session.message.emit(Message(left_alone(path), "error"))
                return

        def if_on_show(ending: Callable[..., None]) -> Callable[..., None]:
            """Another run may have taken its place while this waited."""
            return lambda found: ending(found) if session.run and session.run.curve is run.curve else None

        session.add(Job(partial(find_maps, session.bench, run, channel), if_on_show(self.maps_found.emit),
                        needs_engine=True, key="maps", failed=if_on_show(session.tell)))

    def _read_again(self) -> None:
        """Thresholds may be others now, of the run on show and of the one under way."""
        if self._session.run or self._counting:
            self._show_run()

    @property
    def counting(self) -> bool:
        """Whether the curve on show is that of a run under way."""
        return self._counting is not None

    def _show_partial(self, curve: PruningCurve) -> None:
        self._counting = curve
        options = self._session.options
        rows = (goodnet_row(curve, x, options.drop_mode, options.stop) for x in options.drops)
        self.curve_changed.emit(curve, [row for row in rows if row], None)

    def _take_run(self, run: PruningRun) -> None:
        self.running = self._counting = None
        self._session.unasked = frozenset()  # it is of what was chosen
        self.finished.emit(run)
        self._session.finish(run)
        if self.best:
            self._session.message.emit(Message(f"{self.best.figures}."))

    def _take_up(self, run: PruningRun) -> None:
        """Show another run than before, at its best GoodNet, and check pictures with that."""
        self._show_run()
        first = self.rows[0] if self.rows else None
        row = self.best_pair.row if self.best_pair else None if run.guarded else first
        pointed_at = row or first
        self.step_pointed_at.emit(pointed_at.channels_pruned if pointed_at else 0)
        # Of a run without a verdict no pair is anybody's choice.
        if run.plausible and (row or run.guarded) and self._session.may_read(run.model.path):
            self._checking.use_row(row, if_there=True)  # of a run that is brought back, the file may be gone

    def read_at(self, step: int) -> None:
        """A person reads the curve at another step."""
        self.step = step

    def _failed(self, error: Exception) -> None:
        self._session.fail(error)
        self._come_back()

    def _cancelled(self) -> None:
        self._session.tell_cancelled()
        self._come_back()

    def _come_back(self) -> None:
        """Show the run before again, where a person read it."""
        self.running = self._counting = None
        self._show_run()
        self.step_pointed_at.emit(self._step_before)

    def _show_run(self) -> None:
        """Show the last finished run, with the thresholds as they are now; the curve stays that of one under way."""
        run, now = self._session.run, self._session.run_to_save
        self.rows = rows_of(now) if now else []
        reached = {row.x for row in self.rows}
        if self._counting:
            self._show_partial(self._counting)
        else:
            self.curve_changed.emit(run.curve if run else None, self.rows, run is None or run.plausible)
        self.rows_changed.emit(self.rows, [x for x in self._session.options.drops if x not in reached] if run else [],
                               badnet_row(run) if run else None)
        self.show_headline()

    def show_headline(self) -> None:
        """Say anew what is best, as when more defences were compared."""
        run = self._session.run
        guarded = run.guarded if run else None
        self.best = headline(run, self.rows) if run else None
        self.best_pair = pair_of(self.best) if self.best else None
        self.headline_changed.emit(self.best, calibration_text(guarded) if guarded else "")


def pair_of(best: Headline) -> PairOfRun | None:
    """The pair that a headline is about; None where it is about none of the run's."""
    b_behind_guard = best.guarded and best.compared is None
    return PairOfRun(best.row) if best.row or b_behind_guard else None


# On the worker's thread


def prune(request: PruningRequest, context: TaskContext) -> PruningRun:
    """Run the pruning defence, giving the curve so far as partial results."""
    return run_pruning(request, partial=seldom(context.partial), progress=context.progress, cancel=context.cancel)


def find_maps(bench: Workbench, run: PruningRun, channel: int, context: TaskContext) -> ActivationMaps:
    """What one channel sees on the first validation image and on the first poisoned one.

    Raises:
        EngineError: the network or a data set can't be read any more, or was changed since the run.
    """
    network = bench.network(run)

    def first_image(counted: DatasetSummary) -> Any:
        dataset = open_dataset(counted.path, network.input_shape, network.labels)
        bench.refuse_changed_set(dataset, counted, context.cancel)
        return dataset.prepared(preprocessing(run.model.scale)).take([0])[0]

    first = _first_of_each(run)
    validation = first_image(first["validation"])
    poisoned = first_image(first["poisoned"]) if "poisoned" in first else None
    return activation_maps(network, run.model.layer, channel, validation, poisoned)


def _first_of_each(run: PruningRun) -> dict[Role, DatasetSummary]:
    """The first of a run's sets of each role."""
    return {counted.role: counted for counted in reversed(run.datasets)}


def seldom(show: Callable[[object], None]) -> Callable[[PruningCurve], None]:
    """Pass on at most ten curves a second, each of which replaces the one before, and the last, which none replaces."""
    shown = -SECONDS_BETWEEN_REPORTS

    def show_or_drop(curve: PruningCurve) -> None:
        nonlocal shown
        now = time.monotonic()
        if curve.complete or now - shown >= SECONDS_BETWEEN_REPORTS:
            shown = now
            show(curve)

    return show_or_drop
