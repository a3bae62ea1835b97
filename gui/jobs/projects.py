"""Projects: what is chosen, how it is run and what came of it, saved in one file and opened again."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.errors import EngineError
from engine.records.autosave import run_of
from engine.records.project import (
    LastResult,
    Looked,
    Project,
    ProjectFile,
    is_as_it_was,
    last_result,
    look_for,
    made_of,
    make_project,
    model_hash,
    read_project,
    save_project,
)
from engine.runs.prune import PruningRequest, PruningRun
from gui.jobs.inputs.choosing import Choosing
from gui.jobs.inputs.opening import Opening
from gui.jobs.keeping import Keeping
from gui.jobs.pruning import Pruning
from gui.messages import Action, Message
from gui.session.belonging import identity, other_classes
from gui.session.queue import Job, nothing
from gui.session.session import Session
from gui.session.worker import TaskContext
from gui.settings import Options, Settings

# Settings of a project that belong to what is chosen, not to the options.
_OF_INPUTS = ("layer", "classes", "output")


@dataclass(frozen=True)
class RecentProject:
    """A project as a list shows it: when it was saved (local time) and what its last run came to."""

    path: Path
    saved_at: datetime.datetime
    result: LastResult | None


@dataclass(frozen=True)
class _Contents:
    """What a project would hold if it were saved now, but for hashes; two are compared to find unsaved changes.

    `counted_on` are the hashes of the model and the data sets that the result is of, in a project's order.
    """

    request: PruningRequest
    result: LastResult | None
    own_names: bool = False
    counted_on: tuple[str, ...] = dataclasses.field(default=(), compare=False)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A project, how its files were found, and of its last run, if that is still there, the folder and the run."""

    project: Project
    looked: tuple[Looked, ...]
    run: tuple[Path, PruningRun] | None


class Projects(QObject):
    """The project that is open, if one is, and those opened last."""

    changed = Signal()  # which project is open, or whether it has changes that aren't saved
    lost_found = Signal(object)  # tuple[Looked, ...]: files of the project that moved or changed and aren't dealt with
    opened = Signal(object, object)  # Path of a project that was opened, and the Project
    named = Signal(object)  # Path of a project that was dropped or named with other files
    recent_changed = Signal(object)  # tuple[RecentProject, ...], newest first

    def __init__(self, session: Session, opening: Opening, choosing: Choosing, pruning: Pruning,
                 keeping: Keeping, settings: Settings) -> None:
        super().__init__(session)
        self._session, self._choosing, self._pruning, self._settings = session, choosing, pruning, settings
        self._keeping = keeping
        self.path: Path | None = None
        self._saved: _Contents | None = None
        self._lost: tuple[Looked, ...] = ()
        self._openings = 0  # so many were opened, or their opening undone
        self._after: list[Callable[[], object]] = []  # for each save that waits or runs, what is done once it is done
        opening.takes("project", lambda found: self.named.emit(found[-1].path))
        for signal in (session.inputs_changed, session.options_changed, session.names_changed,
                       pruning.headline_changed):
            signal.connect(self.changed)

    @property
    def can_save(self) -> bool:
        """Whether enough is chosen for a project: a model and clean validation images."""
        inputs = self._session.inputs  # without the result, which takes a while to put into words
        return inputs.model is not None and inputs.validation is not None

    @property
    def modified(self) -> bool:
        """Whether the open project has changes that aren't saved."""
        return self.path is not None and self._contents() != self._saved

    @property
    def saving(self) -> bool:
        """Whether a save waits or runs."""
        return bool(self._after)

    def after_saving(self, then: Callable[[], object]) -> None:
        """Do this, and nothing else that was wished, once the save that waits or runs is done; not if it fails."""
        self._after[-1] = then

    def list_recent(self) -> None:
        """Read the projects that were opened last."""
        self._session.in_background(partial(_recent, self._settings.projects), self.recent_changed.emit)

    def save(self, path: Path, then: Callable[[], object] = nothing) -> None:
        """Save what is chosen, how it is run and the last result; `then` is called once that is done."""
        contents, session, openings = self._contents(), self._session, self._openings

        def saved(dropped: bool) -> None:
            after = self._after.pop(0)
            if self._openings == openings:  # else another one was opened meanwhile, or its own opening undone
                self._now_open(path, contents)
            without = " without its last result: that is of files as they were before. Run again" if dropped else ""
            session.message.emit(Message(f"Saved the project {path.name}{without}."))
            after()

        def failed(error: Exception) -> None:
            self._after.pop(0)
            session.tell(error)

        if contents:
            self._after.append(then)
            when = " once the work under way has ended" if session.state.busy else ""
            session.message.emit(Message(f"Saving the project {path.name}{when}…"))
            session.add(Job(partial(_save, contents, path), saved, failed=failed))

    def open(self, path: Path) -> None:
        """Open a project in place of all that is chosen; files that moved or changed are told of in `lost_found`."""
        self._session.tell_waiting(f"Opening the project {path.name}")
        path = path.absolute()
        self._session.in_background(partial(_open, path, self._keeping.folder), partial(self._take_opened, path),
                                    tell=True)

    def point_to(self, file: ProjectFile, path: Path) -> None:
        """Use a file in place of one that is lost. Others that are lost are looked for in the same folder."""
        missing = [looked.file for looked in self._lost if looked.state == "missing" and looked.file != file]
        self._session.in_background(partial(_look_beside, file, path, missing), self._take_places, tell=True)

    def accept(self, file: ProjectFile) -> None:
        """Use a file that was changed as it is."""
        self._lose({looked for looked in self._lost if looked.file == file})

    def _contents(self) -> _Contents | None:
        inputs, run, before = self._session.inputs, self._session.run, self._saved
        if inputs.model is None or inputs.validation is None:
            return None
        # A model that is still being read has its layer from the project.
        request = dataclasses.replace(inputs.request(self._session.options), cluster=None,
                                      layer=inputs.model.layer or inputs.chosen_layer,
                                      classes=tuple(self._session.names))
        # Such as the sample's: read back as a person's, they would call the labels of whatever network comes next.
        own_names = bool(self._session.names) and self._session.names_of is not None
        if run and made_of(dataclasses.replace(run.request, layer=run.model.layer)) == made_of(request) \
                and not other_classes(run, inputs, self._session.names):
            return _Contents(request, last_result(run, self._pruning.rows), own_names,
                             (run.model.sha256, *(found.sha256 for found in run.datasets)))
        if before and made_of(before.request) == made_of(request):
            return dataclasses.replace(before, request=request, own_names=own_names)
        return _Contents(request, None, own_names)

    def _take_opened(self, path: Path, opened: _Opened) -> None:
        self._openings += 1
        project, looked = opened.project, opened.looked
        request, session = project.request, self._session
        unread = {found.file.path for found in looked if found.state == "remote"}
        # What has no card is named with its place.
        outside = [str(file.path) if file.role == "order" or file.path in unread else file.path.name
                   for file in project.files if path.parent not in file.path.parents]
        said = f"Opened the project {path.name}"
        settings = {name: value for name, value in project.settings.items() if name not in _OF_INPUTS}
        self._choosing.open_all(
            [(file.role, file.path) for file in project.files if file.role != "order" and file.path not in unread],
            said, request.layer,
            Options(**settings, order=request.order, cluster=session.options.cluster), request.output,
            undone=partial(self._go_back, self.path, self._saved, self._lost))
        session.name_labels(request.classes, request.model if project.own_names else None)
        self._lost = tuple(found for found in looked if found.state != "found")
        self._now_open(path, _Contents(request, project.result, project.own_names,
                                       tuple(file.sha256 for file in project.files)))
        sentences = [self._show_run_of(opened)]
        if outside:
            lie, tell = ("lies", "Its card tells") if len(outside) == 1 else ("lie", "Their cards tell")
            sentences.insert(0, f"{len(outside)} of its files {lie} outside its folder: {', '.join(outside)}. "
                                f"{tell} where.")
        if any(sentences):
            session.message.emit(Message(" ".join((f"{said}.", *filter(None, sentences))), lasting=bool(outside),
                                         action=Action("Undo", session.history.undo)))
        if self._lost:
            self.lost_found.emit(self._lost)
        self.opened.emit(path, project)

    def _show_run_of(self, opened: _Opened) -> str:
        """Show the run that a project's last result is of where nothing is on show that would be lost; what is said of
        it, nothing where there is none."""
        session, shown = self._session, self._session.run
        if opened.project.result is None or self._lost:
            return ""
        if opened.run is None:
            return ("The run that its last result is of wasn't found as it was; the tab Runs lists what is kept, and "
                    "Run computes it again.")
        folder, run = opened.run
        if folder.parent != self._keeping.folder:  # who made the project may have written any figures into it
            return f"A run with its last result lies in {folder}; drop that folder on the window to look at it."
        if session.state.busy or (shown and identity(shown) != identity(run)):
            return "Its last run is kept; the tab Runs brings it back."
        if not shown:
            session.unasked = frozenset()
            self._keeping.show(folder, run)
        return "Its last run is on show; nothing was computed again."

    def _go_back(self, path: Path | None, saved: _Contents | None, lost: tuple[Looked, ...]) -> None:
        """What is chosen is again what it was before a project was opened: to save it is to save that one."""
        self._openings += 1
        if lost or self._lost:
            self.lost_found.emit(lost)
        self.path, self._saved, self._lost = path, saved, lost
        self.changed.emit()

    def _take_places(self, places: dict[ProjectFile, Path]) -> None:
        for file, path in places.items():
            if file.role == "model" and file.path == self._session.names_of:
                self._session.name_labels(self._session.names, path)
            if file.role == "order":
                self._choosing.choose_order(path)
            else:
                self._choosing.move(file.role, file.path, path)
        self._lose({looked for looked in self._lost if looked.file in places})

    def _lose(self, settled: set[Looked]) -> None:
        self._lost = tuple(looked for looked in self._lost if looked not in settled)
        self.lost_found.emit(self._lost)

    def _now_open(self, path: Path, contents: _Contents | None) -> None:
        self.path, self._saved = path, contents
        self._settings.add_project(path)
        self.changed.emit()
        self.list_recent()


# On the worker's thread


def _save(contents: _Contents, path: Path, context: TaskContext) -> bool:
    """Save a project; whether its result was left out, because its files aren't those that it is of."""
    project = make_project(contents.request, contents.result, own_names=contents.own_names, cancel=context.cancel)
    changed = project.result is not None and any(
        file.sha256 != then and (model_hash(contents.request) != then if file.role == "model" else
                                 not is_as_it_was(file.path, then, context.cancel))
        for file, then in zip(project.files, contents.counted_on, strict=False))  # a run has no hash of an order's file
    save_project(dataclasses.replace(project, result=None) if changed else project, path)
    return changed


def _open(path: Path, kept: Path, context: TaskContext) -> _Opened:
    project = read_project(path)
    looked = look_for(project.files, path.parent, context.cancel)
    # Of other files than those that are there it would be no result of this project's.
    return _Opened(project, looked, run_of(project, path.parent, kept)
                   if all(found.state == "found" for found in looked) else None)


def _look_beside(file: ProjectFile, path: Path, missing: Sequence[ProjectFile],
                 context: TaskContext) -> dict[ProjectFile, Path]:
    """Where lost files are: one where a person pointed, others in that folder where they are exactly what they were."""
    places = {file: path}
    for other in missing:
        with contextlib.suppress(OSError):
            if is_as_it_was(path.parent / other.path.name, other.sha256, context.cancel):
                places[other] = path.parent / other.path.name
    return places


def _recent(paths: Sequence[Path], _: TaskContext) -> tuple[RecentProject, ...]:
    """Those of the projects that are still there and can be read."""
    found = []
    for path in paths:
        with contextlib.suppress(EngineError, OSError):
            saved_at = datetime.datetime.fromtimestamp(path.stat().st_mtime)
            found.append(RecentProject(path, saved_at, read_project(path).result))
    return tuple(found)
