"""Which label each sub-folder of pictures stands for: what a run would take, and what a person says instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.data.classes import are_numbers
from engine.data.datasets import open_dataset
from engine.data.preprocessing import AUTO, preprocessing
from engine.errors import DatasetError
from engine.looking.inspection import DatasetDescription
from engine.models.networks import open_network
from engine.progress import Progress
from engine.runs.opening.inputs import InputFiles
from engine.runs.opening.labelling import Trial, as_classes, labelling_by_name, try_orders
from gui.jobs.inputs.choosing import Choosing
from gui.messages import words
from gui.session.queue import Job
from gui.session.session import Session
from gui.session.worker import TaskContext

_UNKNOWN = "They are numbers in an order that a run finds out on the clean images."


@dataclass(frozen=True)
class Matching:
    """How names of labels, such as sub-folders, belong to a network's labels as things stand.

    Attributes:
        names: all of them; names_are: what they are called.
        count: how many labels the network has.
        labels: the label of each name that has one.
        classes: names of all labels, where these are known.
        sentence: what the labels go by; problem: why a run can't start so, else empty.
        can_try: whether clean images can tell how right the network is.
    """

    names: tuple[str, ...]
    names_are: str
    count: int
    labels: Mapping[str, int]
    classes: tuple[str, ...]
    sentence: str
    problem: str
    can_try: bool


class Naming(QObject):
    """Keeps up with what is chosen; it all ends in signals."""

    changed = Signal(object)  # Matching, or None where labels are numbers as they stand
    tried = Signal(object)  # Trial
    ended = Signal()  # a trial came to its end, whichever

    def __init__(self, session: Session, choosing: Choosing) -> None:
        super().__init__(session)
        self._session, self._choosing = session, choosing
        self.matching: Matching | None = None
        self._looks = 0
        session.inputs_changed.connect(self._look)
        session.names_changed.connect(self._look)

    def propose(self) -> None:
        """Ask the network about the clean images, and find the ways to number the names that it agrees with most."""
        inputs, session = self._session.inputs, self._session
        if inputs.model and inputs.validation:
            files = InputFiles(inputs.model.path, inputs.validation.path, scale=session.options.scale,
                               output=inputs.model.output)

            def failed(error: Exception) -> None:
                session.tell(error)
                self.ended.emit()

            def done(trial: Trial) -> None:
                self.tried.emit(trial)
                self.ended.emit()

            session.submit(partial(propose, files), done, failed=failed, cancelled=self.ended.emit)

    def take(self, labels: Mapping[str, int]) -> None:
        """Have each name stand for the label that a person says."""
        if self.matching:
            self._choosing.name_labels(as_classes(labels, self.matching.count, self.matching.classes),
                                       f"Labels of {self.matching.names_are}")

    def _look(self) -> None:
        inputs = self._session.inputs
        self._looks += 1
        sets = [item.data.description for item in inputs.data if item.data]
        clean = inputs.validation.data.description if inputs.validation and inputs.validation.data else None
        if clean and inputs.model and inputs.labels and any(found.label_names for found in sets):
            others = [found for found in sets if found is not clean]
            given = inputs.classes(self._session.names)
            look = partial(match, inputs.model.path, inputs.labels, inputs.model_names, given, clean, others)
            self._session.add(Job(look, self._if_newest(self._take), key="match labels",
                                  failed=self._if_newest(self._session.tell)))
        else:
            self._take(None)

    def _if_newest(self, ending: Callable[..., None]) -> Callable[..., None]:
        """Files may be chosen or removed while a look waits behind a run."""
        number = self._looks
        return lambda found: ending(found) if number == self._looks else None

    def _take(self, matching: Matching | None) -> None:
        known, inputs = matching.classes if matching else (), self._session.inputs
        self._session.find_names(known or inputs.model_names or inputs.data_names)
        if matching != self.matching:
            self.matching = matching
            self.changed.emit(matching)


# On the worker's thread


def match(model: Path, count: int, in_model: tuple[str, ...], given: Sequence[str], clean: DatasetDescription,
          others: Sequence[DatasetDescription], _: TaskContext) -> Matching | None:
    """How names belong to labels in a run on these files; None where they are numbers that raise no question."""
    sets = (clean, *others)
    named = [found for found in sets if found.label_names]
    names = tuple(sorted({name for found in named for name in found.label_names}))
    classes: tuple[str, ...] = ()
    sentence = problem = ""
    try:
        labelling = labelling_by_name(model, count, given, clean, others, in_model)
        classes = labelling.classes if labelling else ()
        sentence = "As you said." if given else _beginning(labelling.notice) if labelling else _UNKNOWN
    except DatasetError as error:
        problem = words(error).replace(str(clean.path), clean.path.name)  # whose folder its own card tells
    else:
        strange = sorted({name for found in named for name in found.label_names if name not in classes
                          and not are_numbers(found.label_names)})
        if labelling and strange:
            more = f", nor {len(strange) - 1:,} more of the {len(names):,}" if strange[1:] else ""
            problem = f"It isn't known which label {strange[0]} stands for{more}. {sentence} Press Change… to say it."
        elif labelling and not classes:
            return None
    labels = {name: classes.index(name) for name in names if name in classes} if classes else \
        {name: int(name) for name in names if are_numbers([name]) and int(name) < count}
    return Matching(names, named[0].names_are, count, labels, classes, sentence, problem, bool(clean.label_names))


def _beginning(notice: str) -> str:
    """A sentence without the examples behind its colon: the card has more of them."""
    return f"{notice.partition(':')[0].removesuffix('.')}."


def propose(files: InputFiles, context: TaskContext) -> Trial:
    """Try the clean images' names against what the network answers."""
    context.progress(Progress("Opening files", 0, 1))
    network = open_network(files.model, files.output)
    clean = open_dataset(files.validation, network.input_shape)
    wanted = None if files.scale == AUTO else preprocessing(files.scale)
    return try_orders(network, clean, wanted, progress=context.progress, cancel=context.cancel)
