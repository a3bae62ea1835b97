"""Choosing what to work on: each file is read and checked in its role, off the GUI thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.data.classes import read_classes
from engine.data.datasets import Dataset, open_dataset
from engine.data.sources.shards import joined
from engine.data.stored_values import for_display
from engine.data.targets import by_target
from engine.errors import DatasetError, ModelError, SeveralOutputs
from engine.files.existing import is_folder
from engine.looking.inspection import describe_dataset, open_any_dataset
from engine.models.architecture import ModelDescription, describe_model
from engine.models.shapes import Shape
from engine.pruning.ranking import read_order
from engine.runs.opening.labelling import check_count
from engine.runs.prune import PruningRun
from gui.jobs.inputs.opening import Opening
from gui.messages import Message, words
from gui.session import sample
from gui.session.belonging import changed_data, options_of, without_order
from gui.session.chosen import ROLE_NAMES, DatasetLook, Input, Inputs, Role
from gui.session.history import Step
from gui.session.queue import Job, nothing, plain
from gui.session.recognition import Found, is_one_file_goodnet, part_for, part_taken, role_for
from gui.session.session import Session
from gui.session.worker import TaskContext
from gui.settings import Options

THUMBNAILS = 8


class Choosing(QObject):
    """Fills a session's inputs."""

    role_needed = Signal(object)  # list[Path] of data sets whose role a person must say
    output_needed = Signal(object, object)  # Path of a model with several outputs, SeveralOutputs.outputs

    def __init__(self, session: Session, opening: Opening) -> None:
        super().__init__(session)
        self._session = session
        opening.takes("model", self._take_files)
        opening.takes("data", self._take_files)
        opening.takes("order", lambda found: self.choose_order(found[-1].path))
        opening.takes("names", lambda found: self.open_names(found[-1].path))

    def open_as(self, role: Role, path: Path, before: Path | None = None) -> None:
        """Choose a file or folder for a role; of a folder with train, val and test inside the one for the role.

        Args:
            before: the file in whose place it comes.
        """
        def open_part(part: Path) -> None:
            if part != path:
                self._session.message.emit(Message(part_taken(path, [(role, part)])))
            if before:
                self.move(role, before, part)
            else:
                self._open([(role, part)], self._session.inputs, f"{ROLE_NAMES[role]}: {part.name}")

        if is_folder(path):
            # It may hold very many files; a run that is on doesn't keep a person from seeing what was chosen.
            self._session.look(plain(part_for, role, path), open_part, failed=self._session.tell)
        else:
            open_part(path)

    def open_each(self, role: Role, paths: Sequence[Path], before: Path | None = None) -> None:
        """Choose files for a role: several that are pieces of one set as that set, several poisoned sets each.

        Args:
            before: the poisoned set in whose place the first one comes.
        """
        sets = joined(paths)
        if len(sets) > 1 and role != "poisoned":
            self._session.message.emit(Message(
                f"{sets[0].name} and {sets[1].name} aren't pieces of one set, going by their names. Choose one, or "
                "files that are numbered as the pieces of a set are: data-00000-of-00004.tar.", "error"))
            return
        for path in sets:
            placed = before not in sets and not self._session.inputs.at(role, path)
            self.open_as(role, path, before if placed else None)
            before = None if placed else before

    def open_output(self, path: Path, output: str) -> None:
        """Choose a model with several outputs, and the one that tells the labels."""
        inputs = self._session.inputs
        further = inputs.further if inputs.model and inputs.model.path == path else ()
        self._open([("model", path)], inputs, f"{path.name}: labels from its output {output}", further=further,
                   output=output)

    def move(self, role: Role, before: Path, path: Path) -> None:
        """Choose a file in place of another one, which gives it its place among poisoned sets and a model its layer.

        Where it is chosen already, the other one is only taken out.
        """
        if path != before and self._session.inputs.at(role, path):
            self.remove(role, before)
            return
        old = self._session.inputs.at(role, before)
        if old is None:
            self.open_as(role, path)
            return
        new = Input(role, path, layer=old.layer, output=old.output, before=old if old.usable else old.before,
                    order=old.order)
        step = self._change(self._session.inputs.with_instead(old, new), f"{ROLE_NAMES[role]}: {path.name}")
        self._read(role, path, step)

    def remove(self, role: Role, path: Path) -> None:
        """Take a file out of its role; of several models, the next one takes the place."""
        inputs, what = self._session.inputs, f"Removed {ROLE_NAMES[role].lower()}: {path.name}"
        if role == "model" and inputs.further:
            following, *further = inputs.further
            self._open([("model", following)], inputs.without(role, path), what, further=further)
            return
        options = self._session.options
        if role == "model":
            options, what = without_order(options, inputs.model, what)
        self._change(inputs.without(role, path), what, options)
        if role == "model":
            self._read_data_again()

    def open_sample(self) -> None:
        """Choose the sample's files, in place of whatever is chosen."""
        missing = [path for _, path in sample.INPUTS if not path.exists()]
        if missing:
            self._session.message.emit(
                Message(f"{missing[0]}: the sample isn't there. Install GoodNet again.", "error"))
            return
        self.open_all(sample.INPUTS, "Opened the sample")
        model = sample.INPUTS[0][1]

        def named(names: Sequence[str]) -> None:
            if self._session.inputs.at("model", model):  # else another one was chosen meanwhile
                self._session.name_labels(names, of=model)

        self._session.look(plain(read_classes, sample.NAMES), named, failed=self._session.tell)

    def open_all(self, files: Sequence[tuple[Role, Path]], what: str, layer: str | None = None,
                 options: Options | None = None, output: str | None = None,
                 undone: Callable[[], object] = nothing) -> None:
        """Choose files for their roles, in place of whatever is chosen.

        Args:
            what: says so in words.
            layer: the layer to prune; None for the model's default.
            options: how it is run; None to leave that as it is.
            output: of a model with several outputs the name of the one that tells the labels.
            undone: called when it is undone.
        """
        self._open(files, Inputs(), what, layer, options, output=output, undone=undone)

    def open_files_of(self, run: PruningRun) -> None:
        """Choose what a run was made of, its options included, in place of whatever is chosen."""
        files: list[tuple[Role, Path]] = [("model", run.model.path), *((f.role, f.path) for f in run.datasets)]
        self.open_all([(role, path) for role, path in files if path not in self._session.unasked],
                      f"Chose the files of the run on {run.model.path.name}", run.request.layer,
                      options_of(run, self._session.options.cluster), run.request.output)
        self._session.name_labels(run.request.classes, run.model.path)

    def read_changed(self, run: PruningRun) -> None:
        """A run that has just ended read what was written anew after it was chosen; cards say what it read, too."""
        for item, _ in changed_data(run, self._session.inputs):
            self._read_again(item)

    def choose_layer(self, name: str) -> None:
        """Choose the layer to prune."""
        inputs = self._session.inputs
        if inputs.model and name != inputs.chosen_layer:
            self._change(inputs.with_instead(inputs.model, dataclasses.replace(inputs.model, layer=name)),
                         f"Layer to prune: {name}")

    def _take_files(self, found: Sequence[Found]) -> None:
        taken = [i.role for i in self._session.inputs.all]
        files: list[tuple[Role, Path]] = []
        unsaid: list[Path] = []
        parts: dict[Path, list[tuple[Role, Path]]] = {}
        further = [item.path for item in found if item.kind == "model"][1:]
        for item in found:
            if item.path in further:
                continue
            role: Role | None = "model" if item.kind == "model" else role_for(item, taken)
            if role:
                taken.append(role)
                files.append((role, item.path))
                if item.part_of:
                    parts.setdefault(item.part_of, []).append((role, item.path))
            else:
                unsaid.append(item.path)
        if files:
            names = ", ".join(path.name for path in (*(path for _, path in files), *further))
            self._open(files, self._session.inputs, f"Opened {names}", further=further)
        for folder, inside in parts.items():
            self._session.message.emit(Message(part_taken(folder, inside)))
        if unsaid:
            self.role_needed.emit(unsaid)

    def choose_order(self, path: Path | None) -> None:
        """Prune in a file's order, if it fits the layer; None ranks instead."""
        def take(_: object) -> None:
            step = self._step(f"Pruning order: {path.name if path else 'ranked on the clean images'}")
            self._session.set_options(dataclasses.replace(self._session.options, order=path))
            self._session.did(step)

        inputs = self._session.inputs
        if path is None:
            take(None)
        else:
            self._session.tell_waiting(f"Reading the pruning order {path.name}")
            look = plain(read_order, path, inputs.chosen_layer or "the layer", inputs.chosen_channels)
            self._session.in_background(look, take, tell=True)

    def open_names(self, path: Path, pair: tuple[Path, int] | None = None) -> None:
        """Read label names; those of another number than the network's of labels are refused.

        Args:
            pair: the file and number of labels of a GoodNet that they are for, while no network is chosen.
        """
        session = self._session

        def named(names: Sequence[str]) -> None:
            model = session.inputs.model
            counted = (model.path, session.inputs.labels) if model and session.inputs.labels else pair
            try:
                if counted:
                    check_count(*counted, names, path)
                self.name_labels(names, f"Label names: {path.name}")
            except DatasetError as error:
                session.tell(error)

        session.tell_waiting(f"Reading the label names {path.name}")
        session.in_background(plain(read_classes, path), named, tell=True)

    def name_labels(self, names: Sequence[str], what: str) -> None:
        """Call labels by names, which sub-folders belong to from now on, in a way that can be undone.

        Args:
            what: says so in words.
        """
        step = self._step(what)
        self._session.name_labels(names)
        self._session.did(step)

    def _open(self, files: Sequence[tuple[Role, Path]], inputs: Inputs, what: str, layer: str | None = None,
              options: Options | None = None, further: Sequence[Path] = (), output: str | None = None,
              undone: Callable[[], object] = nothing) -> None:
        before = {} if options is None else dataclasses.asdict(self._session.options)
        waiting, order = self._session.inputs.further, None
        if options is None and any(role == "model" and not self._session.inputs.at(role, path) for role, path in files):
            order = self._session.options.order
            options, what = without_order(self._session.options, self._session.inputs.model, what)
        step = self._step(what, before, undone)
        for role, path in files:
            inputs = inputs.with_input(
                Input(role, path, layer=layer, output=output, order=order) if role == "model" else Input(role, path))
        if further:
            inputs = dataclasses.replace(inputs, further=tuple(further))
        self._session.set_options(options or self._session.options)
        self._session.choose(inputs)
        self._session.did(step)
        for role, path in files:
            self._read(role, path, step if len(files) == 1 else None, waiting)

    def _change(self, inputs: Inputs, what: str, options: Options | None = None) -> Step:
        """Take what a person chose, in a way that can be undone."""
        step = self._step(what)
        self._session.set_options(options or self._session.options)
        self._session.choose(inputs)
        self._session.did(step)
        return step

    def _step(self, what: str, options: dict[str, Any] | None = None,
              undone: Callable[[], object] = nothing) -> Step:
        """A change that is about to be made; undone, everything is chosen again that is chosen now.

        Args:
            options: those that change too, as they are now; the order, a file that is chosen, always is among them.
        """
        session = self._session
        return Step(what, partial(self._go_back, session.inputs, {"order": session.options.order, **(options or {})},
                                  session.names, session.names_of, undone))

    def _go_back(self, inputs: Inputs, options: dict[str, Any], names: Sequence[str], names_of: Path | None,
                 undone: Callable[[], object]) -> None:
        session = self._session
        session.set_options(dataclasses.replace(session.options, **options))
        session.choose(inputs)
        session.name_labels(names, names_of)  # which those of another network would drop
        for item in inputs.all:
            if item.reading:
                self._read(item.role, item.path)
        undone()

    def _read(self, role: Role, path: Path, step: Step | None = None, waiting: tuple[Path, ...] | None = None) -> None:
        """Read a chosen file, as the network that is open now needs it.

        Args:
            step: the change by which it was chosen; it is forgotten if it comes to nothing.
            waiting: models that wait behind the one before again if this one can't be used; None leaves what waits.
        """
        session = self._session
        item = session.inputs.at(role, path)
        assert item is not None

        def known(found: Input) -> None:
            if not session.inputs.has(item):
                return  # taken out again, or another one chosen in its place
            session.learn(session.inputs.with_instead(item, found))
            if found.usable and found.path == path:
                session.opened.emit(path)
            if role == "model":
                self._read_data_again()

        def good(found: ModelDescription | DatasetLook) -> None:
            read, now = item.described(found), session.inputs.has(item)
            known(read)
            if now and read.layer != item.layer:
                session.message.emit(Message(f"{path.name} has no layer {item.layer} to prune; "
                                             f"{session.inputs.chosen_layer or 'none'} is chosen in its place."))

        def bad(error: Exception) -> None:
            if isinstance(error, SeveralOutputs) and session.inputs.has(item):
                self.output_needed.emit(path, error.outputs)
            failed = dataclasses.replace(item, error=words(error), before=None)
            if item.before is None:
                known(failed)
                return
            if step:
                session.history.drop(step)
            if not session.inputs.has(item):
                return
            session.message.emit(Message(
                f"{path.name} can't be used as {ROLE_NAMES[role].lower()}; {item.before.path.name} stays in use."))
            if role == "model":
                further = session.inputs.further if waiting is None else waiting
                session.learn(dataclasses.replace(session.inputs, further=further))
                session.set_options(dataclasses.replace(session.options, order=session.options.order or item.order))
            known(dataclasses.replace(item.before, refused=failed))

        clean = [i.path for i in session.inputs.data if i.usable and i.role != "poisoned" and i.path != path]
        look = partial(look_at_model, path, item.output) if role == "model" else \
            partial(look_at_dataset, role, path, session.inputs.shape, session.inputs.labels, clean)
        session.add(Job(look, good, key=f"read {role} {path}", failed=bad))

    def _read_data_again(self) -> None:
        """Whether data fits depends on the network, so a change of network asks the question again."""
        for item in self._session.inputs.data:
            self._read_again(item)

    def _read_again(self, item: Input) -> None:
        self._session.learn(self._session.inputs.with_instead(item, item.unread()))
        self._read(item.role, item.path)


# On a worker's thread


def look_at_model(path: Path, output: str | None, _: TaskContext) -> ModelDescription:
    """Describe a model to prune.

    Raises:
        ModelError: it isn't one, or has no layer that can be pruned.
    """
    found = describe_model(path, output)
    if is_one_file_goodnet(found):
        raise ModelError(f"{path}: is a GoodNet, a pair that is pruned already. Open it with File, Open GoodNet.")
    if found.default_layer is None:
        raise ModelError(f"{path}: has no convolution that can be pruned; the pruning defence needs one.")
    return found


def look_at_dataset(
    role: Role, path: Path, shape: Shape | None, labels: int | None, clean: Sequence[Path], _: TaskContext,
) -> DatasetLook:
    """Describe a data set and take a few images of it to look at.

    Args:
        shape, labels: the network's, when a model is open; the data must fit them.
        clean: the clean sets that are chosen; they may show what the labels of a poisoned one are.
    Raises:
        DatasetError: it isn't one, or doesn't fit its role or the network.
    """
    def opened(path: Path) -> Dataset:
        if shape is not None and len(shape) == 3 and shape[2] is not None:
            return open_dataset(path, (shape[0], shape[1], shape[2]), labels)
        return open_any_dataset(path)

    dataset = opened(path)
    if role == "poisoned":
        by_target(dataset, labels, map(opened, clean))
    description = describe_dataset(dataset)
    shown = dataset.take(dataset.spread(THUMBNAILS))
    return DatasetLook(description, for_display(shown, description.value_range))
