"""What a session can find out about a backdoor with clean images alone, and what it makes of that."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.data.datasets import UNKNOWN_STAMP, Dataset
from engine.errors import EngineError, ModelError, OutputError
from engine.files.existing import is_file
from engine.files.saving import check_writable
from engine.literal import literal
from engine.models.networks import Network
from engine.progress import Progress
from engine.records.examination import (
    FILE,
    INSIDE,
    UNKNOWN,
    MadeWith,
    SavedExamination,
    made_with,
    read_examination,
    save_examination,
    write_examination,
)
from engine.records.project import is_as_it_was
from engine.runs.examine import Examination, Tried
from engine.runs.examine import examine as examine_network
from engine.runs.opening.inputs import InputFiles, Opened, open_inputs
from engine.runs.reconstructed import to_wear, write_reconstructed
from gui.jobs.inputs.choosing import Choosing
from gui.jobs.inputs.opening import Opening
from gui.messages import Message
from gui.session.queue import plain
from gui.session.session import Session
from gui.session.worker import TaskContext


@dataclass(frozen=True, eq=False)
class Examined:
    """An examination, the files it was asked for with, and the SHA-256 of the network it found there.

    Attributes:
        made_at: local time; brought_back: whether it was made then and only read again.
        stamp: when the clean images were written that it was made from, see Dataset.stamp.
        made_with: its clean images' hash and how they were fed to the network, as far as is known.
        doubt: why it may be of other clean images than those of the same name, a sentence; empty where it isn't.
        classes: what their labels went by, whoever said so, see Labelling.
    """

    files: InputFiles
    sha256: str
    found: Examination
    made_at: datetime.datetime
    brought_back: bool = False
    stamp: tuple[int, int] = UNKNOWN_STAMP
    classes: tuple[str, ...] = ()
    made_with: MadeWith = UNKNOWN
    doubt: str = ""


class Examining(QObject):
    """Examines a Session's network. All methods return at once; what they start ends in signals."""

    scanned = Signal(object)  # Scan, the first evidence of the examination under way
    examined_changed = Signal(object)  # Examined
    asked_for = Signal()  # a person opened an examination, which is seen in its tab

    def __init__(self, session: Session, opening: Opening, choosing: Choosing) -> None:
        super().__init__(session)
        self._session, self._choosing = session, choosing
        opening.takes("examination", lambda found: self.bring_back(found[-1].path))
        self.examined: Examined | None = None
        session.needs(lambda: self.examined.files.paths if self.examined else ())

    def examine(self) -> None:
        """Look for a backdoor in the chosen network, with the clean images that are chosen."""
        files = self._files()
        if files:
            self._session.submit(partial(examine, dataclasses.replace(files, test=None)), self._take,
                                 partial=self.scanned.emit)

    def bring_back(self, folder: Path) -> None:
        """Show an examination that was saved in a folder; nothing is computed."""
        def taken(saved: SavedExamination) -> None:
            now, model = self._files(), self._session.inputs.model
            same = model and model.model and model.model.sha256 == saved.sha256
            self._take_back(now if same else None, saved)
            self.asked_for.emit()

        self._session.in_background(plain(read_examination, folder), taken, tell=True)

    def look_in(self, folder: Path, files: InputFiles, sha256: str) -> None:
        """Show the examination of files that are opened, if one was saved in a folder or in a usual place inside it.

        Args:
            sha256: the network's; an examination of another one isn't of these files.
        """
        files = files.clean_alone()

        def taken(saved: SavedExamination | None) -> None:
            if saved:
                self._take_back(files, saved)

        self._session.in_background(partial(look_for, folder, files.model, sha256), taken, tell=True)

    def save(self, folder: Path, examined: Examined | None = None) -> None:
        """Save an examination, or the one on show: its numbers, its pictures, its report and the images it made."""
        session, examined = self._session, examined or self.examined

        def saved(_: None) -> None:
            session.message.emit(Message(f"Saved the examination in {folder}.", folder=folder))

        if examined:
            spared = session.spared_in(folder)
            session.submit(partial(save, examined, self._wearing(examined), folder, spared), saved)

    def use(self, examined: Examined, tried: Tried, path: Path) -> None:
        """Write clean images that wear a label's stamp, such with its filter's colours beside them if it has one, and
        choose them as poisoned sets."""
        def written(paths: list[Path]) -> None:
            for each in paths:
                self._choosing.open_as("poisoned", each)

        self._session.submit(partial(write, examined, self._wearing(examined), tried, path), written)

    def _take_back(self, files: InputFiles | None, saved: SavedExamination) -> None:
        """Show what was saved.

        Args:
            files: those of the same network that it may be of; None where there are none.
        """
        if files is None or files.validation.name != saved.clean:
            files = InputFiles(files.model if files else Path(saved.model), Path(saved.clean))
        if saved.made_with.preprocessing:
            files = dataclasses.replace(files, scale=saved.made_with.preprocessing)
        examined = Examined(files, saved.sha256, saved.found, saved.made_at, brought_back=True,
                            made_with=saved.made_with)
        clean, session = files.validation, self._session

        def looked(doubt: str) -> None:
            item = session.inputs.at("validation", clean)  # what is written from now on is written anew
            stamp = item.data.description.stamp if item and item.data else UNKNOWN_STAMP
            self._take(dataclasses.replace(examined, doubt=doubt, stamp=stamp))
            session.message.emit(Message(f"Brought back the examination of {saved.model}; nothing was computed again."))

        if not saved.made_with.clean_sha256:
            looked("An earlier version saved this examination, without what its clean images were and how they were "
                   "fed to the network. Examine again to be sure that it is of what is chosen.")
        elif session.inputs.at("validation", clean):
            session.in_background(partial(doubt_of, clean, saved.made_with.clean_sha256), looked)
        else:  # it isn't of what is chosen; what isn't chosen isn't read
            looked(f"Whether {clean.name} is what this examination was made from wasn't looked at. Bring it back "
                   "again.")

    def _take(self, examined: Examined) -> None:
        self.examined = examined
        self.examined_changed.emit(examined)

    def _files(self) -> InputFiles | None:
        """What is chosen, as far as an examination reads it: of what is only chosen beside, what is bad is left out."""
        session, inputs = self._session, self._session.inputs
        if not inputs.examinable:
            return None
        asked = inputs.request(session.options, session.names)
        return asked.clean_alone(asked.test if inputs.test and inputs.test.usable else None)

    def _wearing(self, examined: Examined) -> InputFiles:
        """An examination's files, with the clean test images if they are still chosen beside them."""
        now = self._files()
        beside = now is not None and (now.model, now.validation) == (examined.files.model, examined.files.validation)
        return dataclasses.replace(examined.files, test=now.test if now and beside else None)


# On the worker's thread


def examine(files: InputFiles, context: TaskContext) -> Examined:
    """Look for a backdoor."""
    opened = open_inputs(files, progress=context.progress, cancel=context.cancel)
    clean, made = opened.of("validation")[0], made_with(opened, context.cancel)
    found = examine_network(opened.network, clean, scanned=context.partial, notices=opened.notices,
                            progress=context.progress, cancel=context.cancel)
    return Examined(files, opened.network.sha256, found, datetime.datetime.now(), stamp=clean.stamp,
                    classes=opened.labelling.classes, made_with=made)


def save(examined: Examined, files: InputFiles, folder: Path, spared: Sequence[Path], context: TaskContext) -> None:
    """Save an examination."""
    read = (*files.paths, *spared)
    check_writable(folder, read)
    opened = _open_again(examined, files, context)
    context.progress(Progress("Saving the examination", 0, 1))
    save_examination(examined.found, opened.network, _to_wear(opened, examined.found.judgement.guilty), folder,
                     read, files.validation.name, examined.made_at, examined.made_with)


def put_inside(examined: Examined, files: InputFiles, folder: Path, context: TaskContext) -> None:
    """Save an examination in a folder inside one that is being written.

    Args:
        files: where its network is, and clean images that wear its stamps.
    """
    opened = _open_again(examined, files, context)
    (folder / INSIDE).mkdir()
    write_examination(examined.found, opened.network, _to_wear(opened, examined.found.judgement.guilty),
                      folder / INSIDE, examined.files.validation.name, examined.made_at, examined.made_with)


def doubt_of(clean: Path, sha256: str, context: TaskContext) -> str:
    """What is said of an examination whose clean images had a hash and lie there now; empty where they are the same."""
    with contextlib.suppress(EngineError, OSError):  # a set that can't be read is told of where it is chosen
        if is_as_it_was(clean, sha256, context.cancel):
            return ""
    return f"{clean.name} isn't what this examination was made from. Examine again."


def look_for(folder: Path, model: Path, sha256: str, _: TaskContext) -> SavedExamination | None:
    """The examination of a network that lies in a folder, or in one inside it as this program names them.

    Raises:
        EngineError: there is one, but it can't be read.
    """
    for place in (folder, folder / INSIDE, folder / f"{model.stem}-examined"):
        if is_file(place / FILE):
            saved = read_examination(place)
            if saved.sha256 == sha256:
                return saved
    return None


def write(examined: Examined, files: InputFiles, tried: Tried, path: Path, context: TaskContext) -> list[Path]:
    """Write clean images that wear a label's stamp and, beside them, such with its filter's colours if it has one.

    Returns:
        Where they are.
    """
    filtered = path.with_name(f"{path.stem}_filter{path.suffix}")
    if tried.filter and os.path.lexists(filtered):
        raise OutputError(f"{literal(str(filtered))}: is there already, where images with the filter's colours belong. "
                          "Choose another name.")
    if path.resolve() in [read.resolve() for read in files.paths]:
        raise OutputError(f"{literal(str(path))}: is what the images are made from, so it isn't replaced. Choose "
                          "another name.")
    opened = _open_again(examined, files, context)
    context.progress(Progress("Making images that stand in for poisoned ones", 0, 1))
    written = dict(zip([path, filtered], tried.triggers.values(), strict=False))
    for each, trigger in written.items():
        write_reconstructed(_to_wear(opened, [tried.evidence.label]), trigger, each)
    return list(written)


def _to_wear(opened: Opened, labels: Collection[int]) -> Dataset:
    return to_wear(labels, opened.clean, opened.of("validation")[0])


def _open_again(examined: Examined, files: InputFiles, context: TaskContext) -> Opened:
    """The files of an examination.

    Raises:
        ModelError: another network has taken the examined one's place.
    """
    opened = open_inputs(files, progress=context.progress, cancel=context.cancel)
    _check_same(opened.network, examined)
    return opened


def _check_same(network: Network, examined: Examined) -> None:
    if network.sha256 != examined.sha256:
        raise ModelError(f"{literal(str(network.path))}: has changed since it was examined. Examine it again.")

