"""What the worker's thread does: each function is one task, and the workbench keeps what they share.

Everything given back is plain values and arrays. Nothing here touches a widget.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine import backend
from engine.assessment import percent
from engine.data.datasets import SCALES, Dataset, open_dataset
from engine.defences.comparison import Comparison
from engine.defences.distillation import distil
from engine.defences.scan import Scan, scan
from engine.errors import EngineError, ModelError
from engine.files.pictures import Picture, fit_picture, load_picture
from engine.files.saving import check_result_folder
from engine.goodnets.checking import CHUNK, Verdict, check_arrays, list_pictures
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.looking.activation_maps import ActivationMaps, activation_maps
from engine.looking.inspection import describe_dataset, open_any_dataset
from engine.looking.occlusion import OcclusionMap, occlusion_map
from engine.models.architecture import ModelDescription, Shape, describe_model
from engine.models.networks import Network, open_network
from engine.progress import Progress
from engine.pruning.sweep import SweepSet, empty_counts
from engine.records.repaired_pair import save_repaired
from engine.records.run_files import GUARDED_BADNET, pair_name, save_run
from engine.runs.all_defences import compare_defences
from engine.runs.inputs import open_inputs
from engine.runs.pairs import build_goodnet, build_guarded_badnet
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.repair import as_pair, with_target
from engine.runs.rows import GoodNetRow
from gui.session.chosen import DatasetLook, Role
from gui.session.recognition import Found, is_one_file_goodnet, look_at
from gui.session.worker import SECONDS_BETWEEN_REPORTS, TaskContext

THUMBNAILS = 8
_MOST_NAMES_BYTES = 1 << 20


@dataclass(frozen=True)
class GoodNetInUse:
    """The pair that pictures are checked with: how people call it, its number of labels, where it is saved."""

    name: str
    labels: int
    path: Path | None = None


@dataclass(frozen=True)
class Checked:
    """A finished check: the pictures that couldn't be read, each with its sentence."""

    pictures: int
    flagged: int
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Repaired:
    """A repaired pair that was saved: what it is worth, and its warning."""

    folder: Path
    evaluations: tuple[Evaluation, ...]
    warning: str

    @property
    def sentence(self) -> str:
        """Where it is and what it does, with its guard where it has one, in words."""
        clean, *poisoned = self.evaluations
        found = [f"clean accuracy {percent((clean.guarded_correct or clean.correct).value)}"]
        found += [f"attack success {percent((e.guarded_correct or e.correct).value)} on {e.name}" for e in poisoned]
        guarded = " behind its guard" if clean.guarded_correct else ""
        warning = f" Warning: {self.warning}" if self.warning else ""
        return f"Saved the repaired pair in {self.folder}: {', '.join(found)}{guarded}.{warning}"


def folder_name(row: GoodNetRow | None) -> str:
    """What a pair's folder is called; None stands for B behind the guard alone."""
    return pair_name(row.x) if row else GUARDED_BADNET


def load_engine(_: TaskContext) -> str:
    """Load TensorFlow; the device it computes on."""
    device = backend.device()
    # Its modules stay until the end. Were they looked through at each full collection of garbage, the window would
    # stand still for a fifth of a second each time.
    gc.collect()
    gc.freeze()
    return device


def look_at_all(paths: Sequence[Path], context: TaskContext) -> list[Found]:
    """Find out what each path is."""
    found = []
    for path in paths:
        context.cancel.raise_if_cancelled()
        found.append(look_at(path))
    return found


def look_at_model(path: Path, _: TaskContext) -> ModelDescription:
    """Describe a model to prune.

    Raises:
        ModelError: it isn't one, or has no layer that can be pruned.
    """
    found = describe_model(path)
    if is_one_file_goodnet(found):
        raise ModelError(f"{path}: is a GoodNet, a pair that is pruned already. Open it with File, Open GoodNet.")
    if found.default_layer is None:
        raise ModelError(f"{path}: has no Conv2D layer that can be pruned; the pruning defence needs one.")
    return found


def look_at_dataset(role: Role, path: Path, shape: Shape | None, labels: int | None, _: TaskContext) -> DatasetLook:
    """Describe a data set and take a few images of it to look at.

    Args:
        shape, labels: the network's, when a model is open; the data must fit them.
    Raises:
        DatasetError: it isn't one, or doesn't fit its role or the network.
    """
    if shape is not None and len(shape) == 3 and shape[2] is not None:
        dataset = open_dataset(path, (shape[0], shape[1], shape[2]), labels)
    else:
        dataset = open_any_dataset(path)
    if role == "poisoned":
        empty_counts(SweepSet(dataset, "poisoned"), 0)
    description = describe_dataset(dataset)
    return DatasetLook(description, _thumbnails(dataset, description.value_range))


def read_names(path: Path, _: TaskContext) -> list[str]:
    """Label names from a text file, one a line, the first for label 0.

    Raises:
        EngineError: it isn't such a file.
    """
    try:
        if path.stat().st_size > _MOST_NAMES_BYTES:
            raise EngineError(f"{path}: is too large for a list of names. One name a line was expected.")
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path}: can't be read as a list of names ({error}). "
                          "Plain text (UTF-8), one name a line, was expected.") from error


class Workbench:
    """What stays open between tasks: networks. Used on the worker's thread only."""

    def __init__(self) -> None:
        self._network: Network | None = None
        self._goodnet: GoodNet | None = None

    def prune(self, request: PruningRequest, context: TaskContext) -> PruningRun:
        """Run the pruning defence, giving the curve so far as partial results."""
        return run_pruning(request, partial=_seldom(context.partial), progress=context.progress, cancel=context.cancel)

    def use_row(self, run: PruningRun, row: GoodNetRow | None, _: TaskContext) -> GoodNetInUse:
        """Take a run's pair for checking pictures; None stands for B behind the guard alone."""
        self._goodnet = self._built(run, row)
        name = f"{run.model.path.name}, " + (f"X = {row.x:g} ({row.channels_pruned} channels pruned)" if row else
                                             "nothing pruned")
        if self._goodnet.guard:
            name += f", behind the {self._goodnet.guard.kind} guard"
        return GoodNetInUse(name, self._goodnet.flag_label)

    def open_goodnet(self, paths: Sequence[Path], _: TaskContext) -> GoodNetInUse:
        """Take a saved pair for checking pictures."""
        self._goodnet = open_goodnet(paths)
        return GoodNetInUse(" and ".join(p.name for p in paths), self._goodnet.flag_label, paths[0])

    def save_pairs(
        self, run: PruningRun, rows: Sequence[GoodNetRow | None], folder: Path, context: TaskContext,
    ) -> list[Path]:
        """Save the pairs of rows, each in a folder of its own inside `folder`; those folders."""
        saved = []
        for number, row in enumerate(rows):
            context.cancel.raise_if_cancelled()
            context.progress(Progress("Saving GoodNet pairs", number, len(rows)))
            save_pair(self._built(run, row), folder / folder_name(row))
            saved.append(folder / folder_name(row))
        return saved

    def save_run(self, run: PruningRun, folder: Path, context: TaskContext) -> Path:
        """Save a whole run's folder."""
        check_result_folder(folder)
        save_run(run, folder, progress=context.progress, cancel=context.cancel)
        return folder

    def scan(self, request: PruningRequest, context: TaskContext) -> Scan:
        """Look for labels that random stamps draw images to."""
        context.progress(Progress("Opening files", 0, 1))
        opened = open_inputs(dataclasses.replace(request, test=None, poisoned=()))
        return scan(opened.network, opened.sets[0].dataset, progress=context.progress, cancel=context.cancel)

    def compare(self, run: PruningRun, allow_missing_labels: bool, context: TaskContext) -> Comparison:
        """Make and measure every defence."""
        return compare_defences(run, allow_missing_labels=allow_missing_labels, progress=context.progress,
                                cancel=context.cancel)

    def repair(
        self, request: PruningRequest, allow_missing_labels: bool, folder: Path, context: TaskContext,
    ) -> Repaired:
        """Train a repaired copy and save it with B as a pair."""
        check_result_folder(folder, mark="goodnet.json")
        context.progress(Progress("Opening files", 0, 1))
        opened = open_inputs(request)
        clean, test = opened.of("validation")[0], next(iter(opened.of("test")), None)
        poisoned = [with_target(dataset) for dataset in opened.of("poisoned")]
        repair = distil(opened.network, clean, allow_missing_labels=allow_missing_labels, progress=context.progress,
                        cancel=context.cancel)
        pair = as_pair(opened.network, repair, opened.scale, clean, test, poisoned,
                       request.guard, request.false_alarms, progress=context.progress, cancel=context.cancel)
        context.cancel.raise_if_cancelled()
        save_repaired(pair, folder)
        return Repaired(folder, pair.evaluations, repair.warning)

    def check_files(self, paths: Sequence[Path], context: TaskContext) -> Checked:
        """Check picture files and folders of them; verdicts come as partial results, a list at a time."""
        goodnet = self._pair()
        files = list_pictures(paths)
        shape = goodnet.b.input_shape
        # Pictures of a network without a fixed input size can't be stacked.
        size = 1 if None in shape else CHUNK
        skipped: list[str] = []
        done = flagged = 0
        for start in range(0, len(files), size):
            pictures: list[Picture] = []
            names: list[str] = []
            for file in files[start:start + size]:
                context.cancel.raise_if_cancelled()
                try:
                    pictures.append(load_picture(file, shape))
                    names.append(str(file))
                except EngineError as error:
                    skipped.append(str(error))
            if pictures:
                found = check_arrays(goodnet, pictures, names)
                flagged += sum(v.flagged for v in found)
                done += len(found)
                context.partial(found)
            context.progress(Progress("Checking pictures", min(start + size, len(files)), len(files)))
        return Checked(done, flagged, tuple(skipped))

    def check_pixels(self, pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]], context: TaskContext) -> Checked:
        """Check pictures in memory, a name and uint8[h, w, 3 or 1] each; they are cropped and resized as files are."""
        goodnet = self._pair()
        flat = [pixels[..., 0] if pixels.shape[-1] == 1 else pixels for _, pixels in pictures]
        fitted = [fit_picture(Image.fromarray(pixels), goodnet.b.input_shape) for pixels in flat]
        found = check_arrays(goodnet, fitted, [name for name, _ in pictures])
        context.partial(found)
        return Checked(len(found), sum(verdict.flagged for verdict in found), ())

    def occlusion(self, verdict: Verdict, context: TaskContext) -> OcclusionMap:
        """Where covering a patch of the picture changes B's answer."""
        goodnet = self._pair()
        image = verdict.seen.astype(np.float32) * np.float32(SCALES[goodnet.scale])
        return occlusion_map(goodnet.b, image, progress=context.progress, cancel=context.cancel)

    def maps(self, run: PruningRun, channel: int, _: TaskContext) -> ActivationMaps:
        """What one channel sees on the first validation image and on the first poisoned one."""
        network = self._network_of(run)

        def first_image(path: Path) -> Any:
            dataset = open_dataset(path, network.input_shape, network.labels)
            return dataset.scaled(SCALES[run.model.scale]).take([0])[0]

        request = run.request
        poisoned = first_image(request.poisoned[0]) if request.poisoned else None
        return activation_maps(network, run.model.layer, channel, first_image(request.validation), poisoned)

    def _built(self, run: PruningRun, row: GoodNetRow | None) -> GoodNet:
        network = self._network_of(run)
        return build_goodnet(run, row, network) if row else build_guarded_badnet(run, network)

    def _network_of(self, run: PruningRun) -> Network:
        if self._network is None or self._network.sha256 != run.model.sha256:
            self._network = open_network(run.model.path)
        return self._network

    def _pair(self) -> GoodNet:
        if self._goodnet is None:
            raise EngineError("There is no GoodNet to check pictures with. Run the pruning, or open a saved GoodNet.")
        return self._goodnet


def _seldom(show: Callable[[object], None]) -> Callable[[object], None]:
    """Pass on at most ten results a second; each replaces the one before, so none is missed."""
    shown = -SECONDS_BETWEEN_REPORTS

    def show_or_drop(result: object) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN_REPORTS:
            shown = now
            show(result)

    return show_or_drop


def _thumbnails(dataset: Dataset, value_range: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Up to 8 images spread over a data set, uint8[n, H, W, C], whatever range its values have."""
    spread = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), THUMBNAILS)).astype(int))
    images = dataset.take(list(spread))
    low, high = value_range
    if low < 0:
        images = (images - low) * np.float32(255 / max(high - low, 1e-9))
    elif high <= 1:
        images = images * np.float32(255)
    shown: npt.NDArray[np.uint8] = images.clip(0, 255).astype(np.uint8)
    return shown


