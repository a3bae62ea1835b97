"""A saved run read back: curve, ranking, tables, guard and comparison without computing anything."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from engine.assessment import Attack
from engine.data.preprocessing import preprocessing
from engine.data.sources.depth import is_depth
from engine.data.stored_values import BYTES, RANGES
from engine.defences.comparison import Comparison, ComparisonRow
from engine.errors import EngineError
from engine.files.existing import is_there, on_another_machine
from engine.files.manifest import first_changed, is_recorded
from engine.files.own import read_own
from engine.files.saving import recover
from engine.goodnets.saved import GUARD_FILE
from engine.guards.calibration import DEFAULT_FALSE_ALARMS
from engine.guards.guard_files import open_guard
from engine.guards.guarded_curve import GuardedCurve
from engine.guards.suspects import Suspects
from engine.pruning.ranking import ChannelRanking
from engine.pruning.sweep import PruningCurve, Role, SetCounts
from engine.rates import Rate
from engine.records.checked import count as _count
from engine.records.checked import number as _number
from engine.records.checked import one_of as _one_of
from engine.records.checked import text as _text
from engine.records.json_of import Json
from engine.records.run_files import GUARDED_BADNET
from engine.records.settings import checked_settings
from engine.runs.doubts.plausibility import Doubt, doubts_of
from engine.runs.opening.inputs import DatasetSummary, ModelSummary
from engine.runs.prune import PruningRequest, PruningRun

_MOST_CHANNELS = 1 << 20
_MOST_SETS = 256


def reopen_run(folder: Path) -> PruningRun:
    """Read a run's folder, as the command line, the window or `autosave` wrote it.

    Its pairs are built again from the model's file, when they are wanted, by `engine.runs.pairs`.

    Raises:
        EngineError: the folder holds no run, or a damaged one.
    """
    path = folder / "run.json"
    recover(folder)
    if not is_there(folder):
        raise EngineError(f"{folder}: there is no such folder; a saved run's was expected. Check the name.")
    if not os.path.lexists(path):
        raise EngineError(f"{folder}: holds no run.json, so it isn't a saved run. Choose a run's folder.")
    run = read_own(path, lambda document: _run(document, folder), "isn't a saved run, or is damaged",
                   "Run the pruning again.")
    return dataclasses.replace(run, doubts=(*_edits(folder), *run.doubts))


def _edits(folder: Path) -> tuple[Doubt, ...]:
    """That a file which the run's figures stand in isn't as it was saved, or that no manifest is there to tell."""
    parts = {folder: ("run.json", GUARD_FILE), folder / GUARDED_BADNET: (GUARD_FILE,)}
    try:
        changed = [found for part, names in parts.items() if (found := first_changed(part, names))]
    except OSError as error:
        raise EngineError(f"{folder}: can't be read ({error.strerror or error}). Copy the run again from its "
                          "source.") from error
    told = [Doubt(f"{found.relative_to(folder).as_posix()} was changed after this run was saved, so these figures may "
                  "not be those that were counted. Run the pruning again.", True) for found in changed]
    if not is_recorded(folder, "run.json"):
        told.append(Doubt("No manifest.json of this program's lies beside run.json, so nothing tells whether these "
                          "figures are those that were counted.", False))
    return tuple(told)


def _run(document: Json, folder: Path) -> PruningRun:
    model, settings = document["model"], document["settings"]
    order = np.array(_channels(document["pruning_order"]), np.int64)
    request = _request(document, folder)
    summary = ModelSummary(
        _path(model["path"], document, folder), _text(model["sha256"]), _input_shape(model), _text(model["layer"]),
        len(order), _count(model["labels"]), preprocessing(_text(model["scale"])).name, _classes(model),
        _one_of(model.get("stored", BYTES), RANGES), _depth(model), _text(model.get("labelling", "")))
    means = np.array([math.nan if v is None else _number(v) for v in document["mean_activation"]], np.float64)
    if len(means) != len(order):
        raise ValueError("not one mean activation a channel")
    datasets = tuple(
        DatasetSummary(_path(d["path"], document, folder), _one_of(d["role"], get_args(Role)), _text(d["name"]),
                       _count(d["images"]), _count(d["labels"]), _text(d["sha256"])) for d in document["datasets"])
    if len(datasets) > _MOST_SETS or len(document["curve"]["poisoned"]) > _MOST_SETS:
        raise ValueError("it has more data sets than any run")
    source = request.order.name if request.order else _text(settings["rank_at"])
    curve = _curve(document["curve"], summary.layer, order)
    guarded = _guarded(document.get("guard"), folder, curve, datasets[0].images)
    return PruningRun(
        request, summary, datasets, ChannelRanking(summary.layer, order, means, source), curve, guarded,
        _text(document["device"]), _number(document["seconds"]), _comparison(document),
        _doubts(document, curve, guarded, summary.labels),
        {_text(name): _text(version) for name, version in document.get("versions", {}).items()})


def _depth(model: Json) -> int | None:
    found: int | None = model.get("depth")
    if not is_depth(found):
        raise ValueError("no picture has such a depth")
    return found


def _request(document: Json, folder: Path) -> PruningRequest:
    settings = document["settings"]
    by_role: dict[str, list[Path]] = {role: [] for role in get_args(Role)}
    for dataset in document["datasets"]:
        by_role[_one_of(dataset["role"], get_args(Role))].append(_path(dataset["path"], document, folder))
    # Runs of the first versions lack these three.
    known = {"guard": "none", "false_alarms": DEFAULT_FALSE_ALARMS, "layer": None, **settings}
    return PruningRequest(
        model=_path(document["model"]["path"], document, folder), validation=by_role["validation"][0],
        test=next(iter(by_role["test"]), None), poisoned=tuple(by_role["poisoned"]),
        order=_path(settings["order"], document, folder) if settings["order"] else None,
        classes=_classes(document["model"]), output=_output(document["model"]),
        **checked_settings(known))


def _path(text: Any, document: Json, folder: Path) -> Path:
    """A file of the run: a relative path as it was meant where the run was made, if the file is there still.

    One on another computer than the run's folder isn't looked for.
    """
    path = Path(_text(text))
    there = Path(_text(document.get("folder", ""))) / path
    return there if on_another_machine(there, folder.absolute()) or os.path.lexists(there) else path


def _output(model: Json) -> str | None:
    return None if model.get("output") is None else _text(model["output"])


def _classes(model: Json) -> tuple[str, ...]:
    return tuple(map(_text, model.get("classes", ())))


def _curve(curve: Json, layer: str, order: Any) -> PruningCurve:
    test = curve["test"]
    found = PruningCurve(
        layer, order, _clean(curve["validation"], "validation", len(order)),
        _clean(test, "test", len(order)) if test else None,
        tuple(_poisoned(part, len(order)) for part in curve["poisoned"]))
    for counts in found.sets:
        _check_pair(counts)
    return found


def _check_pair(counts: SetCounts) -> None:
    """Raises ValueError for what no pair without a guard does: to be right where B' is wrong or where they disagree, or
    to disagree where nothing is pruned."""
    if (counts.goodnet_correct > np.minimum(counts.correct, counts.agreeing)).any() \
            or counts.agreeing[0] != counts.images or counts.goodnet_correct[0] != counts.correct[0]:
        raise ValueError(f"a GoodNet on {counts.name} that can't be")


def _clean(part: Json, role: Role, channels: int) -> SetCounts:
    return _counts(part, role, None, ("b_prime_accuracy", "false_alarm_rate", "goodnet_accuracy"), channels)


def _poisoned(part: Json, channels: int) -> SetCounts:
    counts = _counts(part, "poisoned", _target(part), ("b_prime_asr", "detection_rate", "goodnet_asr"), channels)
    return dataclasses.replace(counts, reconstructed=bool(part.get("reconstructed", False)))


def _counts(part: Json, role: Role, target: int | None, keys: Sequence[str], channels: int) -> SetCounts:
    """Counts from rates: a rate is the count divided by the images, so the product is the count exactly."""
    images = _count(part["images"])
    correct, flagged, goodnet = (_steps(part[key], images, channels) for key in keys)
    return SetCounts(_text(part["name"]), role, images, images, target, correct, images - flagged, goodnet)


def _steps(rates: Any, images: int, channels: int) -> Any:
    found = [_rate(value, images).count for value in rates]
    if len(found) != channels + 1:
        raise ValueError(f"{len(found)} steps for {channels} channels")
    return np.array(found, np.int64)


def _guarded(part: Json | None, folder: Path, curve: PruningCurve, images: int) -> GuardedCurve | None:
    """The guard's file lies beside run.json in a run that was kept, in a folder of its own in one that was saved.

    Args:
        images: how many there are in the set that it was calibrated on.
    """
    if not part or "curve" not in part:
        return None
    here, channels = folder / GUARD_FILE, len(curve.order)
    guard = open_guard(here if here.is_file() else folder / GUARDED_BADNET / GUARD_FILE)
    guard = dataclasses.replace(guard, striking=_striking(part.get("striking"), images))
    counted = part["curve"]
    clean = _clean(counted["clean"], _one_of(counted["role"], get_args(Role)), channels)
    # Runs of the first versions hold the first poisoned set alone, and B's rates on whole sets.
    sets = counted.get("poisoned_sets", [counted["poisoned"]] if counted["poisoned"] else [])
    poisoned = tuple(_poisoned(one, channels) for one in sets)
    if "before" in counted:
        before = [_rate(value, of.images) for value, of in zip(counted["before"], (clean, *poisoned), strict=True)]
    else:
        before = [of.b_prime_rate(0) for of in (curve.clean, *curve.poisoned[:len(poisoned)])]
    return GuardedCurve(guard, clean, poisoned, tuple(before))


def _striking(part: Json | None, images: int) -> Suspects | None:
    if not part:
        return None
    numbers = tuple(map(_count, part["images"]))
    if any(number >= images for number in numbers):
        raise ValueError(f"an image that strikes the guard isn't one of {images:,}")
    return Suspects(_count(part["label"]), numbers)


def _doubts(document: Json, curve: PruningCurve, guarded: GuardedCurve | None, labels: int) -> tuple[Doubt, ...]:
    """What was written; of a run of the first versions what its counts tell."""
    if "warnings" in document:
        stopping = [_text(sentence) for sentence in document.get("implausible_input", [])]
        return tuple(Doubt(_text(sentence), sentence in stopping) for sentence in document["warnings"])
    found = tuple(doubt for doubt in doubts_of(curve, labels) if not doubt.slip)  # no cause was looked for
    if guarded and len(guarded.poisoned) < len(curve.poisoned):
        found = (Doubt("An earlier version made this run and counted only the first poisoned set behind the guard. "
                       "Run it again to know what the guard does with all of them.", True), *found)
    return found


def _comparison(document: Json) -> Comparison | None:
    rows = document.get("comparison")
    if not rows or any("images" not in row for row in rows):
        return None
    compared = tuple(_compared(row, rows[0], document) for row in rows)
    met = {tuple((attack.name, attack.target) for attack in row.attacks) for row in compared}
    if compared[0].guard != "none" or compared[0].changed or len(met) != 1:
        raise ValueError("its comparison doesn't begin with B alone, or not all defences met the same attacks")
    return Comparison(compared, _text(document.get("comparison_warning") or ""))


def _compared(row: Json, alone: Json, document: Json) -> ComparisonRow:
    """One defence; `alone` is B's own row, from which runs of the first versions tell what B does."""
    images, clean = _count(row["images"]), "clean_accuracy"
    attacks = [_attack(one) for one in row["poisoned"]] if "poisoned" in row else _only_attack(row, alone, document)
    return ComparisonRow(
        defence=_text(row["defence"]), guard=_text(row["guard"]), clean=_rate(row[clean], images),
        clean_before=_rate(row.get("badnet_clean_accuracy", alone[clean]), images),
        false_alarms=_rate(row["false_alarm_rate"], images), attacks=tuple(attacks), seconds=_number(row["seconds"]),
        paired=bool(row.get("paired", True)))


def _attack(one: Json) -> Attack:
    images = _count(one["images"])
    robust = one.get("robust_accuracy")
    return Attack(
        _text(one["name"]), _target(one), _rate(one["badnet_attack_success_rate"], images),
        _rate(one["attack_success_rate"], images), _rate(one["detection_rate"], images), bool(one["reconstructed"]),
        None if robust is None else _rate(robust, images))


def _target(one: Json) -> int | None:
    return None if one["target"] is None else _count(one["target"])


def _only_attack(row: Json, alone: Json, document: Json) -> list[Attack]:
    if row["attack_success_rate"] is None:
        return []
    first = document["curve"]["poisoned"][0]
    return [_attack({**row, "name": first["name"], "target": first["target"], "images": row["poisoned_images"],
                     "badnet_attack_success_rate": alone["attack_success_rate"], "reconstructed": False})]


def _rate(value: Any, images: int) -> Rate:
    count = round(_number(value) * images)
    if not 0 <= count <= images or abs(count / images - value) > 1e-9:
        raise ValueError(f"{value} isn't a share of {images} images")
    return Rate(count, images)


def _channels(order: Any) -> list[int]:
    if not isinstance(order, list) or len(order) > _MOST_CHANNELS or any(type(c) is not int for c in order) \
            or sorted(order) != list(range(len(order))) or not order:
        raise ValueError("the pruning order doesn't hold each channel once")
    return order


def _input_shape(model: Json) -> tuple[int | None, int | None, int]:
    height, width, channels = model["input_shape"]
    return (None if height is None else _count(height), None if width is None else _count(width), _count(channels))
