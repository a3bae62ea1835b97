"""What is open and what state it is in, as one QObject; widgets render it and call it, and know nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import Enum, auto
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal, Slot

from engine.goodnets.checking import Verdict
from engine.guards.guarded_curve import GuardedCurve
from engine.models.architecture import ModelDescription
from engine.pruning.sweep import PruningCurve
from engine.reports.headline import calibration_text, headline
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, badnet_row, goodnet_row
from gui.messages import Message, words
from gui.session import sample, tasks
from gui.session.chosen import DatasetLook, Input, Inputs, Role
from gui.session.jobs import Ending, Job, JobQueue
from gui.session.recognition import Found, role_for
from gui.session.tasks import Checked, GoodNetInUse, Workbench
from gui.session.worker import Task
from gui.settings import Options


class State(Enum):
    """What the window is doing, for everything that must look different then."""

    EMPTY = auto()  # not enough is chosen to run
    READY = auto()
    LOADING_ENGINE = auto()  # a person waits for TensorFlow
    RUNNING = auto()  # a person waits for a task
    CANCELLING = auto()
    DONE = auto()  # the last run ended well and its inputs are still those chosen
    FAILED = auto()  # the last run ended badly; what was there before is still shown


class Session(QObject):
    """The window's model. All methods return at once; what they start ends in signals.

    A cancelled or failed task leaves everything as it was before.
    """

    state_changed = Signal(object)  # State
    inputs_changed = Signal(object)  # Inputs
    options_changed = Signal(object)  # Options
    progressed = Signal(object)  # Progress of what a person waits for
    curve_changed = Signal(object, object)  # PruningCurve or None, list[GoodNetRow]; live during a run
    run_changed = Signal(object)  # PruningRun or None
    run_finished = Signal(object)  # PruningRun, computed just now
    run_named = Signal(object)  # Path of a run's folder that a person wants back
    # list[GoodNetRow], list[float] of thresholds the curve doesn't reach, GoodNetRow of B behind the guard or None
    rows_changed = Signal(object, object, object)
    headline_changed = Signal(object, str)  # Headline or None, how the guard was calibrated
    maps_found = Signal(object)  # ActivationMaps
    goodnet_changed = Signal(object)  # GoodNetInUse
    verdicts_found = Signal(object)  # list[Verdict], to append
    occlusion_found = Signal(object, object)  # Verdict, OcclusionMap
    names_changed = Signal(object)  # list[str]
    role_needed = Signal(object)  # Path of a data set whose role a person must say
    opened = Signal(object)  # Path, worth remembering
    engine_loaded = Signal(str)  # the device TensorFlow computes on
    message = Signal(object)  # Message

    def __init__(self, options: Options | None = None) -> None:
        super().__init__()
        self.inputs = Inputs()
        self.options = options or Options()
        self.run: PruningRun | None = None
        self.rows: list[GoodNetRow] = []
        self.state = State.EMPTY
        self.failure = ""
        self._outcome: State | None = None
        self.bench = Workbench()
        self._jobs = JobQueue()
        self._jobs.changed.connect(self._settle)
        self._jobs.progressed.connect(self.progressed)
        self._jobs.engine_loaded.connect(self.engine_loaded)

    def in_background(self, task: Task, done: Ending, tell: bool = False) -> None:
        """Run a task of the window's own off the GUI thread; a person is told of its failure if `tell`."""
        self._jobs.add(Job(task, done, failed=self._tell) if tell else Job(task, done))

    def submit(self, task: Task, done: Ending) -> None:
        """Run a task that a person waits for and that needs TensorFlow."""
        self._jobs.add(self._job(task, done))

    @property
    def idle(self) -> bool:
        """Whether no task runs or waits."""
        return self._jobs.idle

    def close(self) -> None:
        """Cancel what runs and wait for it to end."""
        self._jobs.close()

    # What is open

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open files and folders of any kind, each as what it turns out to be."""
        if paths:
            self._jobs.add(Job(partial(tasks.look_at_all, list(paths)), self._take_found, failed=self._tell))

    def open_as(self, role: Role, path: Path) -> None:
        """Choose a file or folder for a role; it is read and checked off the GUI thread."""
        self._outcome = None
        self._set_inputs(self.inputs.with_input(Input(role, path)))
        self._read(role, path)

    def remove(self, role: Role, path: Path) -> None:
        """Take a file out of its role."""
        self._outcome = None
        self._set_inputs(self.inputs.without(role, path))
        if role == "model":
            self._read_data_again()

    def open_sample(self) -> None:
        """Choose the sample's files, in place of whatever is chosen."""
        missing = [path for _, path in sample.INPUTS if not path.exists()]
        if missing:
            self.message.emit(Message(f"{missing[0]}: the sample isn't there. Install GoodNet again.", "error"))
            return
        self.inputs = Inputs()
        for role, path in sample.INPUTS:
            self.open_as(role, path)
        self.open_names(sample.NAMES)

    def choose_layer(self, name: str) -> None:
        """Choose the layer to prune."""
        if name != self.inputs.chosen_layer:
            self._outcome = None
            self._set_inputs(dataclasses.replace(self.inputs, layer=name))

    def set_options(self, options: Options) -> None:
        """Change how runs are done; thresholds also apply to the curve that is there, without running anything."""
        if options != self.options:
            self.options = options
            self.options_changed.emit(options)
            if self.run:
                self._show_run(self.run)

    # Run

    def start(self) -> None:
        """Run the pruning defence on what is chosen."""
        if self.inputs.ready and not self._jobs.busy:
            self._outcome = None
            self._jobs.add(self._job(
                partial(self.bench.prune, self.inputs.request(self.options)), self._take_run,
                partial=self._show_partial, failed=self._run_failed, cancelled=self._run_cancelled))

    def cancel(self) -> None:
        """Stop what a person waits for."""
        self._jobs.cancel()

    def find_maps(self, channel: int) -> None:
        """Compute what a channel of the finished run sees; only the newest wish counts."""
        if self.run:
            self._jobs.add(Job(partial(self.bench.maps, self.run, channel), self.maps_found.emit, needs_engine=True,
                               key="maps", failed=self._tell))

    # Save

    @property
    def run_to_save(self) -> PruningRun | None:
        """The finished run with the thresholds as they are now."""
        if self.run is None:
            return None
        o = self.options
        request = dataclasses.replace(self.run.request, drops=o.drops, drop_mode=o.drop_mode, stop=o.stop)
        return dataclasses.replace(self.run, request=request)

    def save_rows(self, rows: Sequence[GoodNetRow | None], folder: Path) -> None:
        """Save rows' pairs, each in a folder of its own inside `folder`; None stands for B behind the guard alone."""
        def saved(folders: list[Path]) -> None:
            names = " and ".join(path.name for path in folders)
            self.message.emit(Message(f"Saved {names} in {folder}.", folder=folder))

        if self.run:
            self.submit(partial(self.bench.save_pairs, self.run, list(rows), folder), saved)

    def save_run(self, folder: Path) -> None:
        """Save the run's whole folder: numbers, figures and all pairs."""
        def saved(folder: Path) -> None:
            self.message.emit(Message(f"Saved the run with {len(self.rows)} GoodNets in {folder}.", folder=folder))

        if self.run_to_save:
            self.submit(partial(self.bench.save_run, self.run_to_save, folder), saved)

    # Check pictures

    def use_row(self, row: GoodNetRow | None) -> None:
        """Check pictures with a row's pair from now on; None stands for B behind the guard alone."""
        if self.run:
            self._jobs.add(Job(partial(self.bench.use_row, self.run, row), self._take_goodnet, needs_engine=True,
                               key="goodnet", failed=self._tell))

    def open_goodnet(self, paths: Sequence[Path]) -> None:
        """Check pictures with a pair from disk from now on."""
        self.submit(partial(self.bench.open_goodnet, list(paths)), self._take_goodnet)

    def check(self, paths: Sequence[Path]) -> None:
        """Check picture files and folders of them."""
        self._check(partial(self.bench.check_files, list(paths)))

    def check_pixels(self, pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]]) -> None:
        """Check pictures from memory, a name and uint8[h, w, 3 or 1] each."""
        self._check(partial(self.bench.check_pixels, pictures))

    def find_occlusion(self, verdict: Verdict) -> None:
        """Find where covering a picture changes B's answer."""
        self.submit(partial(self.bench.occlusion, verdict), lambda found: self.occlusion_found.emit(verdict, found))

    def open_names(self, path: Path) -> None:
        """Read label names."""
        self._jobs.add(Job(partial(tasks.read_names, path), self.names_changed.emit, failed=self._tell))

    # What tasks end in

    def _job(self, task: Task, done: Ending, **endings: Ending) -> Job:
        """A job that a person waits for and that needs TensorFlow."""
        told: dict[str, Ending] = {"failed": self._tell, "cancelled": self._tell_cancelled}
        return Job(task, done, foreground=True, needs_engine=True, **{**told, **endings})

    def _check(self, task: Task) -> None:
        # Without a GoodNet the task says so at once; loading TensorFlow for that would be a waste.
        self._jobs.add(Job(task, self._take_checked, foreground=True, partial=self.verdicts_found.emit,
                           failed=self._tell, cancelled=self._tell_cancelled))

    def _take_found(self, found: list[Found]) -> None:
        taken = [i.role for i in self.inputs.all]
        for item in found:
            if item.error is not None:
                self._tell(item.error)
                continue
            role: Role | None = "model" if item.kind == "model" else None
            if item.kind == "data":
                role = role_for(item, taken)
                if role is None:
                    self.role_needed.emit(item.path)
            if role:
                taken.append(role)
                self.open_as(role, item.path)
            elif item.kind == "goodnet":
                self.open_goodnet([item.path])
            elif item.kind == "run":
                self.run_named.emit(item.path)
            elif item.kind == "order":
                self.set_options(dataclasses.replace(self.options, order=item.path))
            elif item.kind == "names":
                self.open_names(item.path)
        pictures = [item.path for item in found if item.kind == "pictures"]
        if pictures:
            self.check(pictures)

    def _read(self, role: Role, path: Path) -> None:
        """Read a chosen file, as the network that is open now needs it."""
        def described(found: Input) -> None:
            if self.inputs.holds(role, path):
                self._set_inputs(self.inputs.with_input(found))

        def good_model(model: ModelDescription) -> None:
            described(Input(role, path, model=model))
            self.opened.emit(path)
            self._read_data_again()

        def good_data(data: DatasetLook) -> None:
            described(Input(role, path, data=data))
            self.opened.emit(path)

        def bad(error: Exception) -> None:
            described(Input(role, path, error=words(error)))

        key = f"read {role} {path}"
        if role == "model":
            self._jobs.add(Job(partial(tasks.look_at_model, path), good_model, key=key, failed=bad))
        else:
            look = partial(tasks.look_at_dataset, role, path, self.inputs.shape, self.inputs.labels)
            self._jobs.add(Job(look, good_data, key=key, failed=bad))

    def _read_data_again(self) -> None:
        """Whether data fits depends on the network, so a change of network asks the question again."""
        for item in self.inputs.data:
            self._set_inputs(self.inputs.with_input(Input(item.role, item.path)))
            self._read(item.role, item.path)

    def _show_partial(self, curve: PruningCurve) -> None:
        self.curve_changed.emit(curve, self._rows_of(curve))

    def take_reopened(self, run: PruningRun) -> None:
        """Show a run that was saved before, with its files where they still are."""
        self._set_inputs(Inputs())
        self.open_as("model", run.model.path)
        for dataset in run.datasets:
            self.open_as(dataset.role, dataset.path)
        self._outcome, self.run = State.DONE, run
        self.run_changed.emit(run)
        self._show_run(run)
        self.message.emit(Message(f"Brought back the run on {run.model.path.name}; nothing was computed again."))

    def _take_run(self, run: PruningRun) -> None:
        self._outcome = State.DONE
        self.run = run
        self.run_changed.emit(run)
        self.run_finished.emit(run)
        self._show_run(run)
        best = headline(run, self.rows)
        row = best.row if best else None
        if best:
            self.message.emit(Message(f"{best.figures}."))
        if row or run.guarded:
            self.use_row(row)
        elif self.rows:
            self.use_row(self.rows[0])

    def _run_failed(self, error: Exception) -> None:
        self._outcome, self.failure = State.FAILED, words(error)
        self._tell(error)
        self._show_run(self.run)

    def _run_cancelled(self) -> None:
        self._tell_cancelled()
        self._show_run(self.run)

    def _show_run(self, run: PruningRun | None) -> None:
        """Show the last finished run, with the thresholds as they are now."""
        guarded = run.guarded if run else None
        self.rows = self._rows_of(run.curve, guarded) if run else []
        reached = {row.x for row in self.rows}
        self.curve_changed.emit(run.curve if run else None, self.rows)
        self.rows_changed.emit(self.rows, [x for x in self.options.drops if x not in reached] if run else [],
                               badnet_row(run) if run else None)
        self.headline_changed.emit(headline(run, self.rows) if run else None,
                                   calibration_text(guarded.guard) if guarded else "")

    def _rows_of(self, curve: PruningCurve, guarded: GuardedCurve | None = None) -> list[GoodNetRow]:
        options = self.options
        rows = (goodnet_row(curve, x, options.drop_mode, options.stop, guarded) for x in options.drops)
        return [row for row in rows if row is not None]

    def _take_goodnet(self, goodnet: GoodNetInUse) -> None:
        if goodnet.path:
            self.opened.emit(goodnet.path)
        self.goodnet_changed.emit(goodnet)

    def _take_checked(self, checked: Checked) -> None:
        if checked.skipped:
            more = f" and {len(checked.skipped) - 1} more couldn't be read" if len(checked.skipped) > 1 else ""
            self.message.emit(Message(checked.skipped[0] + (f" ({more.strip()})" if more else ""), "error"))
        elif checked.pictures:
            plural = "s" if checked.pictures > 1 else ""
            self.message.emit(Message(f"Checked {checked.pictures} picture{plural}: {checked.flagged} flagged as "
                                      "backdoored."))

    def _tell(self, error: Exception) -> None:
        self.message.emit(Message(words(error), "error"))

    def _tell_cancelled(self) -> None:
        self.message.emit(Message("Cancelled; nothing was changed."))

    # State

    def _set_inputs(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.inputs_changed.emit(inputs)
        self._settle()

    @Slot()
    def _settle(self) -> None:
        """Work out the state, and say so when it is another one."""
        state = self._state_now()
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)

    def _state_now(self) -> State:
        if self._jobs.cancelling:
            return State.CANCELLING
        if self._jobs.loading_engine:
            return State.LOADING_ENGINE
        if self._jobs.busy:
            return State.RUNNING
        if self._outcome:
            return self._outcome
        return State.READY if self.inputs.ready else State.EMPTY
