"""What is open and what state it is in, as one QObject. Jobs change it, widgets render it, and know nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from engine.files.existing import on_another_machine
from engine.runs.prune import PruningRun
from gui.messages import Action, Message, words, words_of_all
from gui.session.belonging import other_inputs
from gui.session.chosen import Inputs
from gui.session.history import History, Step
from gui.session.queue import Ending, Job, JobQueue, nothing
from gui.session.workbench import Workbench
from gui.session.worker import Task
from gui.settings import Options


class State(Enum):
    """What the window is doing, for everything that must look different then."""

    EMPTY = auto()  # not enough is chosen to run
    READY = auto()
    LOADING_ENGINE = auto()  # a person waits for TensorFlow
    RUNNING = auto()  # a person waits for a task
    CANCELLING = auto()
    DONE = auto()  # the run on show ended well and its inputs are those chosen
    FAILED = auto()  # the last run ended badly; what was there before is still shown

    @property
    def busy(self) -> bool:
        """Whether a person waits for something."""
        return self in (State.LOADING_ENGINE, State.RUNNING, State.CANCELLING)


class Session(QObject):
    """What all jobs share: what is chosen, the finished run, the state, and the queue before the worker.

    All methods return at once; what they start ends in signals. A cancelled or failed task leaves everything as it was
    before.
    """

    state_changed = Signal(object)  # State
    inputs_changed = Signal(object)  # Inputs
    options_changed = Signal(object)  # Options
    run_changed = Signal(object)  # PruningRun
    progressed = Signal(object)  # Progress of what a person waits for
    opened = Signal(object)  # Path, worth remembering
    names_changed = Signal(object)  # Sequence[str], what labels are called on show
    engine_loaded = Signal(str)  # the device TensorFlow computes on
    message = Signal(object)  # Message

    def __init__(self, options: Options | None = None) -> None:
        super().__init__()
        self.inputs = Inputs()
        self.options = options or Options()
        self.names: Sequence[str] = ()  # names[label] as a person says them; empty for none
        self.names_of: Path | None = None  # the model that they came with; None where they may be another one's, too
        self.found: Sequence[str] = ()  # names as files have them
        self.run: PruningRun | None = None
        self.unasked: frozenset[Path] = frozenset()  # files of the run on show on computers that nobody asked to reach
        self.state = State.EMPTY
        self.failure = ""
        self.bench = Workbench()
        self._needed: list[Callable[[], Iterable[Path]]] = []
        self._failed = False
        self.history = History(self)
        self.history.undone.connect(lambda what: self.message.emit(Message(f"Undone: {what}.")))
        self._jobs = JobQueue()
        self._jobs.changed.connect(self._settle)
        self._jobs.progressed.connect(self.progressed)
        self._jobs.engine_loaded.connect(self.engine_loaded)
        self._looks = JobQueue("looks")

    # Work

    def add(self, job: Job) -> None:
        """Queue a job."""
        self._jobs.add(job)

    def in_background(self, task: Task, done: Ending, tell: bool = False) -> None:
        """Run a task of the window's own off the GUI thread; a person is told of its failure if `tell`."""
        self.add(Job(task, done, failed=self.tell) if tell else Job(task, done))

    def look(self, task: Task, done: Ending, failed: Ending = nothing) -> None:
        """Run a task that takes a moment beside all others, for what is on show: it doesn't wait for the end of a run.

        It must leave TensorFlow and the workbench alone, which are the other tasks'.
        """
        self._looks.add(Job(task, done, failed=failed))

    def submit(self, task: Task, done: Ending, *, needs_engine: bool = True,
               partial: Ending = nothing, failed: Ending | None = None, cancelled: Ending | None = None) -> None:
        """Run a task that a person waits for; they are told of its failure and its end by Cancel.

        Args:
            partial, failed, cancelled: as Job's; the last two in place of endings that only tell.
        """
        self.add(Job(task, done, foreground=True, needs_engine=needs_engine, partial=partial,
                     failed=failed or self.tell, cancelled=cancelled or self.tell_cancelled))

    @property
    def idle(self) -> bool:
        """Whether no task runs or waits."""
        return self._jobs.idle and self._looks.idle

    @property
    def can_run(self) -> bool:
        """Whether what is chosen is enough to run, and a person waits for nothing."""
        return self.inputs.ready and not self.state.busy

    @property
    def has_idle_result(self) -> bool:
        """Whether a run is on show, and a person waits for nothing."""
        return self.run is not None and not self.state.busy

    @property
    def loading_engine(self) -> bool:
        """Whether TensorFlow is being loaded, be it that a person waits for it or not."""
        return self._jobs.loading_engine

    def cancel(self) -> None:
        """Stop what a person waits for."""
        self._jobs.cancel()

    def close(self) -> None:
        """Cancel what runs and wait for it to end."""
        self._jobs.close()
        self._looks.close()

    # What is chosen

    def choose(self, inputs: Inputs) -> None:
        """Take what a person chose, in place of what was chosen before."""
        self._failed = False
        if inputs.all:
            self._jobs.want_engine()
        self.learn(inputs)

    def learn(self, inputs: Inputs) -> None:
        """Take what became known of the files that are chosen."""
        self.inputs = inputs
        self._drop_names()
        self.inputs_changed.emit(inputs)
        self._settle()

    def name_labels(self, names: Sequence[str], of: Path | None = None) -> None:
        """Call labels by names from now on; empty to call them as files do.

        Args:
            of: the model that they came with and whose alone they are.
        """
        self.names, self.names_of = names, of
        self.names_changed.emit(names or self.found)
        self._settle()

    def find_names(self, names: Sequence[str]) -> None:
        """Call labels as files do, while nobody says otherwise."""
        if names != self.found:
            self.found = names
            if not self.names:
                self.names_changed.emit(names)

    def did(self, step: Step) -> None:
        """Remember a change that a person made, and tell them how it is undone."""
        self.history.add(step)
        self.message.emit(Message(f"{step.what}.", action=Action("Undo", self.history.undo)))

    def set_options(self, options: Options) -> None:
        """Change how runs are done; thresholds also apply to the curve that is there, without running anything."""
        if options != self.options:
            self.options = options
            self.options_changed.emit(options)

    # The run

    def may_read(self, path: Path) -> bool:
        """Whether a file of the run on show may be read unasked: not from another computer, before it is chosen."""
        return path not in self.unasked or any(item.path == path for item in self.inputs.all)

    @property
    def run_to_save(self) -> PruningRun | None:
        """The finished run with the thresholds as they are now."""
        if self.run is None:
            return None
        o = self.options
        request = dataclasses.replace(self.run.request, drops=o.drops, drop_mode=o.drop_mode, stop=o.stop)
        return dataclasses.replace(self.run, request=request)

    def begin(self) -> None:
        """A run of what is chosen is on its way; how the last one ended no longer counts."""
        self._failed = False

    def finish(self, run: PruningRun) -> None:
        """Take a finished run as the one on show."""
        self._failed, self.run = False, run
        self.run_changed.emit(run)

    def fail(self, error: Exception) -> None:
        """A run ended badly; the one before stays on show."""
        self._failed, self.failure = True, words(error)
        self.tell(error)

    # What is on the disk

    def needs(self, paths: Callable[[], Iterable[Path]]) -> None:
        """Have files spared that a job needs, as they are when something is saved."""
        self._needed.append(paths)

    def spared_in(self, folder: Path) -> tuple[Path, ...]:
        """What nothing that is saved in a folder may replace: the files that are chosen and those of all runs.

        What lies on another computer isn't in it, and isn't looked for there.
        """
        inputs, run, order = self.inputs, self.run, self.options.order
        paths = dict.fromkeys((
            *(item.path for item in inputs.all), *inputs.further, *([order] if order else []),
            *(run.request.paths if run else ()), *(path for needed in self._needed for path in needed())))
        return tuple(path for path in paths if not on_another_machine(path, folder.absolute()))

    # Words

    def tell(self, *errors: Exception) -> None:
        """Tell a person what went wrong, all at once: of several messages only the last one would be read."""
        self.message.emit(Message(words_of_all(errors), "error"))

    def tell_cancelled(self) -> None:
        """Tell a person that Cancel was heard."""
        self.message.emit(Message("Cancelled; nothing was changed."))

    def tell_waiting(self, what: str) -> None:
        """Tell a person what is done only once the work under way has ended; nothing where none is under way."""
        if self.state.busy:
            self.message.emit(Message(f"{what} once the work under way has ended…"))

    # State

    def _drop_names(self) -> None:
        """Names don't outlive their network: they would call another one's labels what these aren't."""
        model = self.inputs.model.model if self.inputs.model else None
        if model is None:
            return  # none is chosen, or it is still being read
        of_another = self.names_of not in (None, model.path)
        if self.names and (of_another or len(self.names) != (model.labels or len(self.names))):
            if not of_another:
                self.message.emit(Message(f"{model.path.name} has {model.labels} labels, so the list of "
                                          f"{len(self.names)} label names isn't used any more."))
            self.name_labels(())

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
        if self._jobs.busy and self._jobs.loading_engine:
            return State.LOADING_ENGINE
        if self._jobs.busy:
            return State.RUNNING
        if self._failed:
            return State.FAILED
        if self.run and not other_inputs(self.run, self.inputs, self.names):
            return State.DONE
        return State.READY if self.inputs.ready else State.EMPTY
