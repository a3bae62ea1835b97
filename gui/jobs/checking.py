"""Checking pictures: which GoodNet answers, what it answers, and where B looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PySide6.QtCore import QObject, Signal

from engine.data.classes import called
from engine.data.datasets import Dataset
from engine.data.preprocessing import AS_STORED
from engine.data.stored_values import as_pictures
from engine.errors import DatasetError, EngineError
from engine.files.existing import is_there
from engine.files.pictures import Picture, fit_picture, load_picture
from engine.files.scratch import scratch_folder
from engine.goodnets.checking import PictureMark, Verdict, check_arrays, check_pictures, list_pictures
from engine.goodnets.pair import GoodNet
from engine.looking.misread import files_of, find_misread
from engine.looking.occlusion import OcclusionMap, occlusion_map
from engine.progress import Heartbeat
from engine.runs.opening.inputs import Opened, open_inputs
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow
from gui.jobs.inputs.opening import Opening
from gui.messages import Message
from gui.session.queue import Job, plain
from gui.session.recognition import Found
from gui.session.session import Session
from gui.session.workbench import Workbench
from gui.session.worker import Task, TaskContext

_MOST_SIDE = 2048
_MOST_WRONG = 200


@dataclass(frozen=True)
class GoodNetInUse:
    """The pair that pictures are checked with: what its file is called, its labels, where it is saved.

    Attributes:
        how: what it is of that file, and what stands before it; empty where that goes without saying.
        names: what it calls its labels itself; model: the SHA-256 of the file that its B is from, empty if unknown.
        warning: what a person must know before trusting it, empty when all is well.
    """

    file: str
    labels: int
    path: Path | None = None
    names: tuple[str, ...] = ()
    model: str = ""
    warning: str = ""
    how: str = ""

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.file}, {self.how}" if self.how else self.file


@dataclass(frozen=True)
class Checked:
    """A finished check: the pictures that couldn't be read, each with its sentence, and which folders hold files that
    weren't looked at."""

    pictures: int
    flagged: int
    skipped: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wrong:
    """What was found of images that B gets wrong or that the guard left out: a sentence on each set, whether not all of
    them are shown, and of those that couldn't be checked a sentence each."""

    sentences: tuple[str, ...]
    more: bool
    skipped: tuple[str, ...] = ()


class Checking(QObject):
    """Puts a pair into use and asks it about pictures."""

    asked_for = Signal()  # a person did something whose result is seen in the image check
    goodnet_changed = Signal(object)  # GoodNetInUse
    # list[Verdict], to append; list[Picture] of those that are files, which aren't kept with the verdicts; whether the
    # check is of more than these
    verdicts_found = Signal(object, object, bool)
    seen_again = Signal(object, object)  # Verdict, what the network saw of its file; None where that can't be had
    occlusion_found = Signal(object, object)  # Verdict, OcclusionMap
    # Verdict, uint8[h, w, C] before it was fitted to the network; None where its file can't be read any more
    original_found = Signal(object, object)

    def __init__(self, session: Session, opening: Opening) -> None:
        super().__init__(session)
        self._session = session
        self._pasted: dict[str, Picture] = {}
        self._pastes = 0
        opening.takes("goodnet", lambda found: self.open_goodnet([found[-1].path]))
        opening.takes("pictures", self._take_pictures)

    def use_row(self, row: GoodNetRow | None, if_there: bool = False) -> None:
        """Check pictures with a row's pair from now on, in the image check; None stands for B behind the guard alone.

        Args:
            if_there: nobody asked for it: nothing is said where the model's file is gone, and nothing brought up.
        """
        session = self._session
        if session.run:
            session.add(Job(partial(use_row, session.bench, session.run, row, if_there), self._take_goodnet,
                            needs_engine=True, key="goodnet", failed=session.tell))
        if not if_there:
            self.asked_for.emit()

    def open_goodnet(self, paths: Sequence[Path]) -> None:
        """Check pictures with a pair from disk from now on."""
        self._session.submit(partial(use_saved, self._session.bench, list(paths)), self._take_goodnet)
        self.asked_for.emit()

    def check(self, paths: Sequence[Path]) -> None:
        """Check picture files and folders of them."""
        self._check(partial(check_files, self._session.bench, list(paths)))

    def check_pixels(self, pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]]) -> None:
        """Check pictures from memory, a name and uint8[h, w, 3 or 1] each."""
        self._check(partial(check_pixels, self._session.bench, pictures))

    def check_misread(self) -> None:
        """Check the clean images of the run on show that its network gets wrong or that its guard left out, a few
        hundred of them at most."""
        if self._session.run:
            self._check(partial(check_misread, self._session.bench, self._session.run), self._take_wrong)
            self.asked_for.emit()

    def check_pasted(self, pixels: Picture) -> None:
        """Check a picture uint8[h, w, 3] from the clipboard; each has a number, so that they can be told apart."""
        self._pastes += 1
        name = f"pasted picture {self._pastes}"
        self._pasted[name] = _shrunk(pixels)
        self.check_pixels([(name, pixels)])

    def check_pasted_file(self, content: bytes) -> None:
        """Check a picture from the clipboard that is there as a file's content; the reader's process unpacks it."""
        self._session.in_background(partial(read_pasted, content), self.check_pasted, tell=True)

    def forget_pasted(self) -> None:
        """The pictures that were pasted aren't on show any more."""
        self._pasted.clear()

    def find_original(self, verdict: Verdict) -> None:
        """Find what a picture looked like before it was fitted to the network; an image of a data set fits as it is."""
        def failed(error: Exception) -> None:
            self._session.tell(error)
            self.original_found.emit(verdict, None)

        if isinstance(verdict.seen, PictureMark):
            self._session.look(partial(read_original, Path(verdict.file)), partial(self.original_found.emit, verdict),
                               failed=failed)
        else:
            self.original_found.emit(verdict, self._pasted.get(verdict.file, verdict.seen))

    def see_again(self, verdict: Verdict) -> None:
        """Read again what the network saw of a file, whatever else runs: somebody looks at it."""
        self._session.look(plain(verdict.seen_again), partial(self.seen_again.emit, verdict),
                           failed=lambda _: self.seen_again.emit(verdict, None))

    def find_occlusion(self, verdict: Verdict) -> None:
        """Find where covering a picture changes B's answer."""
        self._session.submit(partial(find_occlusion, self._session.bench, verdict),
                             lambda found: self.occlusion_found.emit(verdict, found))

    def _take_pictures(self, found: Sequence[Found]) -> None:
        """What was dropped or named anywhere is seen here."""
        self.check([item.path for item in found])
        self.asked_for.emit()

    def _check(self, task: Task, done: Callable[[Any], None] | None = None) -> None:
        # Without a GoodNet the task says so at once; loading TensorFlow for that would be a waste.
        self._session.submit(task, done or self._take_checked, needs_engine=False,
                             partial=lambda found: self.verdicts_found.emit(*found), cancelled=self._cancelled)

    def _cancelled(self) -> None:
        self._session.message.emit(Message("Cancelled; the pictures that were checked before stay in the table."))

    def _take_goodnet(self, goodnet: GoodNetInUse | None) -> None:
        if goodnet is None:
            return
        if goodnet.path:
            self._session.opened.emit(goodnet.path)
        self.goodnet_changed.emit(goodnet)
        if goodnet.warning:
            self._session.message.emit(Message(goodnet.warning, "error"))

    def _take_wrong(self, wrong: Wrong) -> None:
        more = f" The first {_MOST_WRONG} of a set are in the table." if wrong.more else ""
        left_out = f" {_said_of(wrong.skipped)}" if wrong.skipped else ""
        self._session.message.emit(Message(" ".join(wrong.sentences) + more + left_out,
                                           "error" if wrong.skipped else "info"))

    def _take_checked(self, checked: Checked) -> None:
        said = list(checked.passed_over)
        if checked.skipped:
            said.insert(0, _said_of(checked.skipped))
        elif checked.pictures:
            plural = "s" if checked.pictures > 1 else ""
            said.insert(0, f"Checked {checked.pictures} picture{plural}: {checked.flagged} flagged as backdoored.")
        if said:
            self._session.message.emit(
                Message(" ".join(said), "error" if checked.skipped or checked.passed_over else "info"))


def _said_of(skipped: Sequence[str]) -> str:
    """The first of the pictures that couldn't be checked, with its sentence, and how many more there are."""
    return skipped[0] + (f" (and {len(skipped) - 1} more couldn't be checked)" if len(skipped) > 1 else "")


# On the worker's thread


def use_row(
    bench: Workbench, run: PruningRun, row: GoodNetRow | None, if_there: bool, _: TaskContext,
) -> GoodNetInUse | None:
    """Take a run's pair for checking pictures; a row of None stands for B behind the guard alone."""
    if if_there and not is_there(run.model.path):
        return None
    goodnet = bench.take(run, row)
    how = f"X = {row.x:g} ({row.channels_pruned} channels pruned)" if row else "nothing pruned"
    how = ", ".join(filter(None, (how, _behind(goodnet))))
    return GoodNetInUse(run.model.path.name, goodnet.flag_label, None, goodnet.classes, goodnet.b_sha256, how=how)


def use_saved(bench: Workbench, paths: Sequence[Path], _: TaskContext) -> GoodNetInUse:
    """Take a saved pair for checking pictures."""
    goodnet = bench.take_saved(paths)
    name = " and ".join(path.name for path in paths)
    return GoodNetInUse(name, goodnet.flag_label, paths[0], goodnet.classes, goodnet.b_sha256,
                        " ".join(goodnet.warnings), "without its guard" if goodnet.warning else _behind(goodnet))


def _behind(goodnet: GoodNet) -> str:
    """Which guard stands before a pair; empty for none."""
    return f"behind the {goodnet.guard_name} guard" + ", which flags nothing" * goodnet.guard.sleeps \
        if goodnet.guard else ""


def check_files(
    bench: Workbench, paths: Sequence[Path], context: TaskContext, among_others: bool = False,
) -> Checked:
    """Check picture files and folders of them; verdicts come as partial results, a list at a time."""
    goodnet, files = bench.goodnet, list[Path]()
    skipped, passed_over = list[str](), list[str]()
    for path in paths:
        try:
            files += list_pictures([path], passed_over.append)
        except DatasetError as error:
            skipped.append(str(error))
    done = flagged = 0
    for found in check_pictures(goodnet, files, progress=context.progress, cancel=context.cancel,
                                unreadable=lambda _, error: skipped.append(str(error))):
        flagged += sum(verdict.flagged for verdict in found)
        done += len(found)
        context.partial(([verdict.without_picture() for verdict in found], [verdict.seen for verdict in found],
                         among_others or len(files) > 1))
    return Checked(done, flagged, tuple(skipped), tuple(passed_over))


def check_pixels(
    bench: Workbench, pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]], context: TaskContext,
    among_others: bool = False,
) -> Checked:
    """Check pictures in memory, a name and uint8[h, w, 3 or 1] each; they are cropped and resized as files are."""
    goodnet = bench.goodnet
    flat = [pixels[..., 0] if pixels.shape[-1] == 1 else pixels for _, pixels in pictures]
    fitted = [fit_picture(Image.fromarray(pixels), goodnet.input_shape) for pixels in flat]
    heard = Heartbeat("Checking pictures", len(pictures), context.progress)
    skipped: list[str] = []
    found = check_arrays(goodnet, fitted, [name for name, _ in pictures], context.cancel, heard.beat,
                         lambda _, error: skipped.append(str(error)))
    context.partial((found, [], among_others))
    return Checked(len(found), sum(verdict.flagged for verdict in found), tuple(skipped))


def check_misread(bench: Workbench, run: PruningRun, context: TaskContext) -> Wrong:
    """Check the clean images of a run that its network gets wrong, then those that its guard left out; they come as
    partial results.

    Raises:
        EngineError: there is no pair, it is another network's, or a file can't be used any more.
    """
    goodnet = bench.goodnet
    files = dataclasses.replace(run.request.clean_alone(run.request.test), scale=run.model.scale)
    opened = open_inputs(files, progress=context.progress, cancel=context.cancel)
    if not goodnet.may_be_of(opened.network):
        raise EngineError(f"Pictures are checked by a GoodNet of another network than {run.model.path.name}, which "
                          "these are about. Select a GoodNet of the run in the tab GoodNets, press Use in image check, "
                          "then ask again.")
    validation, said, skipped, more = opened.of("validation")[0], list[str](), list[str](), False
    for dataset in (validation, *opened.of("test")):
        found = find_misread(opened.network, dataset, progress=context.progress, cancel=context.cancel)
        said.append(found.sentence)
        more |= _check_some(bench, opened, dataset, found.numbers.tolist(), "", context, skipped)
    striking = run.guarded.guard.striking if run.guarded else None
    if striking and not validation.is_as_it_was(run.datasets[0].sha256, context.cancel):
        said.append(f"{validation.path} was changed since the run, so run again to see what the guard leaves out.")
    elif striking:
        label, count = striking.label, len(striking.numbers)
        said.append(f"Of {validation.name} the run's guard left out {count:,} of label {label}.")
        more |= _check_some(bench, opened, validation, striking.numbers, ", left out by the guard", context,
                            skipped)
    return Wrong(tuple(said), more, tuple(skipped))


def _check_some(
    bench: Workbench, opened: Opened, dataset: Dataset, numbers: Sequence[int], why: str, context: TaskContext,
    skipped: list[str],
) -> bool:
    """Check a set's images by their numbers, so many at most; whether there are more. Adds a sentence to `skipped` for
    each that couldn't be checked."""
    shown = list(numbers[:_MOST_WRONG])
    if files := files_of(dataset, shown):
        skipped += check_files(bench, files, context, among_others=True).skipped
    elif shown:
        stored = dataset.prepared(AS_STORED).take(shown)
        names = [f"label {called(label, opened.labelling.classes)}, image {number} of {dataset.path.name}{why}"
                 for number, label in zip(shown, dataset.labels[shown].tolist(), strict=True)]
        pictures = list(zip(names, as_pictures(stored, opened.stored), strict=True))
        skipped += check_pixels(bench, pictures, context, among_others=True).skipped
    return len(numbers) > _MOST_WRONG


def read_original(path: Path, _: TaskContext) -> Picture:
    """A picture as it is in its file, made smaller where no screen could show it.

    Raises:
        DatasetError: it isn't a readable picture any more.
    """
    return _shrunk(load_picture(path, (None, None, 3)))


def _shrunk(pixels: Picture) -> Picture:
    """A picture uint8[h, w, 3] made smaller where no screen could show it."""
    if max(pixels.shape) <= _MOST_SIDE:
        return pixels
    picture = Image.fromarray(pixels)
    picture.thumbnail((_MOST_SIDE, _MOST_SIDE))
    return np.asarray(picture, np.uint8)


def read_pasted(content: bytes, _: TaskContext) -> Picture:
    """The picture in a file's content, uint8[h, w, 3].

    Raises:
        EngineError: it isn't a readable picture, or there is no room for it.
    """
    try:
        with scratch_folder() as folder:
            path = folder / "pasted picture"
            path.write_bytes(content)
            try:
                return load_picture(path, (None, None, 3))
            except DatasetError as error:
                raise DatasetError(str(error).replace(str(path), path.name)) from error
    except OSError as error:
        raise DatasetError(f"The pasted picture can't be kept for reading ({error.strerror or error}). Check that the "
                           "disk for temporary files has room.") from error


def find_occlusion(bench: Workbench, verdict: Verdict, context: TaskContext) -> OcclusionMap:
    """Where covering a patch of the picture changes B's answer."""
    goodnet = bench.goodnet
    image = goodnet.prepared(verdict.seen_again()[np.newaxis])[0]
    return occlusion_map(goodnet.b, image, progress=context.progress, cancel=context.cancel)
