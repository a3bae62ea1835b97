"""A saved run read back: curve, ranking, tables, guard and comparison without computing anything."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from engine.data.preprocessing import preprocessing
from engine.defences.comparison import Comparison, ComparisonRow
from engine.errors import EngineError
from engine.files.own import read_own
from engine.files.saving import recover
from engine.goodnets.saved import GUARD_FILE
from engine.guards.calibration import DEFAULT_FALSE_ALARMS
from engine.guards.guard_files import open_guard
from engine.guards.guarded_curve import GuardedCurve
from engine.pruning.ranking import ChannelRanking
from engine.pruning.sweep import PruningCurve, Role, SetCounts
from engine.rates import Rate
from engine.records.checked import count as _count
from engine.records.checked import number as _number
from engine.records.checked import one_of as _one_of
from engine.records.checked import text as _text
from engine.records.run_files import GUARDED_BADNET
from engine.records.settings import checked_settings
from engine.runs.inputs import DatasetSummary, ModelSummary
from engine.runs.prune import PruningRequest, PruningRun

_MOST_CHANNELS = 1 << 20
_MOST_SETS = 256

Json = dict[str, Any]


def reopen_run(folder: Path) -> PruningRun:
    """Read a run's folder, as the command line, the window or `autosave` wrote it.

    Its pairs are built again from the model's file, when they are wanted, by `engine.runs.pairs`.

    Raises:
        EngineError: the folder holds no run, or a damaged one.
    """
    path = folder / "run.json"
    recover(folder)
    if not os.path.lexists(path):
        raise EngineError(f"{folder}: holds no run.json, so it isn't a saved run. Choose a run's folder.")
    return read_own(path, lambda document: _run(document, folder), "isn't a saved run, or is damaged",
                    "Run the pruning again.")


def _run(document: Json, folder: Path) -> PruningRun:
    model, settings = document["model"], document["settings"]
    order = np.array(_channels(document["pruning_order"]), np.int64)
    request = _request(document)
    summary = ModelSummary(
        Path(_text(model["path"])), _text(model["sha256"]), _input_shape(model), _text(model["layer"]), len(order),
        _count(model["labels"]), preprocessing(_text(model["scale"])).name, _classes(model))
    means = np.array([math.nan if v is None else _number(v) for v in document["mean_activation"]], np.float64)
    if len(means) != len(order):
        raise ValueError("not one mean activation a channel")
    datasets = tuple(
        DatasetSummary(Path(_text(d["path"])), _one_of(d["role"], get_args(Role)), _text(d["name"]),
                       _count(d["images"]), _count(d["labels"]), _text(d["sha256"])) for d in document["datasets"])
    if len(datasets) > _MOST_SETS or len(document["curve"]["poisoned"]) > _MOST_SETS:
        raise ValueError("it has more data sets than any run")
    source = request.order.name if request.order else _text(settings["rank_at"])
    return PruningRun(
        request, summary, datasets, ChannelRanking(summary.layer, order, means, source),
        _curve(document["curve"], summary.layer, order), _guarded(document.get("guard"), folder, len(order)),
        _text(document["device"]), _number(document["seconds"]), _comparison(document))


def _request(document: Json) -> PruningRequest:
    settings = document["settings"]
    by_role: dict[str, list[Path]] = {role: [] for role in get_args(Role)}
    for dataset in document["datasets"]:
        by_role[_one_of(dataset["role"], get_args(Role))].append(Path(_text(dataset["path"])))
    # Runs of the first versions lack these three.
    known = {"guard": "none", "false_alarms": DEFAULT_FALSE_ALARMS, "layer": None, **settings}
    return PruningRequest(
        model=Path(_text(document["model"]["path"])), validation=by_role["validation"][0],
        test=next(iter(by_role["test"]), None), poisoned=tuple(by_role["poisoned"]),
        order=Path(_text(settings["order"])) if settings["order"] else None, classes=_classes(document["model"]),
        **checked_settings(known))


def _classes(model: Json) -> tuple[str, ...]:
    return tuple(map(_text, model.get("classes", ())))


def _curve(curve: Json, layer: str, order: Any) -> PruningCurve:
    test = curve["test"]
    return PruningCurve(
        layer, order, _clean(curve["validation"], "validation", len(order)),
        _clean(test, "test", len(order)) if test else None,
        tuple(_poisoned(part, len(order)) for part in curve["poisoned"]))


def _clean(part: Json, role: Role, channels: int) -> SetCounts:
    return _counts(part, role, None, ("b_prime_accuracy", "false_alarm_rate", "goodnet_accuracy"), channels)


def _poisoned(part: Json, channels: int) -> SetCounts:
    return _counts(part, "poisoned", _count(part["target"]), ("b_prime_asr", "detection_rate", "goodnet_asr"), channels)


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


def _guarded(part: Json | None, folder: Path, channels: int) -> GuardedCurve | None:
    """The guard's file lies beside run.json in a run that was kept, in a folder of its own in one that was saved."""
    if not part or "curve" not in part:
        return None
    here = folder / GUARD_FILE
    guard = open_guard(here if here.is_file() else folder / GUARDED_BADNET / GUARD_FILE)
    curve = part["curve"]
    poisoned = _poisoned(curve["poisoned"], channels) if curve["poisoned"] else None
    role = _one_of(curve["role"], get_args(Role))
    return GuardedCurve(guard, _clean(curve["clean"], role, channels), poisoned)


def _comparison(document: Json) -> Comparison | None:
    rows = document.get("comparison")
    if not rows or any("images" not in row for row in rows):
        return None
    target = document.get("comparison_target")

    def one(row: Json) -> ComparisonRow:
        clean, poisoned = _count(row["images"]), row["poisoned_images"]

        def rate(key: str) -> Rate | None:
            return None if row[key] is None else _rate(row[key], _count(poisoned))

        return ComparisonRow(
            _text(row["defence"]), _text(row["guard"]), _rate(row["clean_accuracy"], clean),
            rate("attack_success_rate"), rate("robust_accuracy"), _rate(row["false_alarm_rate"], clean),
            rate("detection_rate"), _number(row["seconds"]))

    return Comparison(tuple(one(row) for row in rows), None if target is None else _count(target),
                      _text(document.get("comparison_warning") or ""))


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
