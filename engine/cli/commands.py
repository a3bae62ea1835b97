"""What each command does: ask the engine, print the answer. Results on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from engine import backend
from engine.assessment import percent
from engine.data.datasets import SCALES, open_dataset
from engine.errors import EngineError
from engine.files.saving import check_writable
from engine.goodnets.checking import Verdict, check_pictures, list_pictures
from engine.goodnets.evaluation import Evaluation, evaluate
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet
from engine.guards.calibration import Guard
from engine.guards.guarded_curve import GuardedCurve, figures_at
from engine.looking.inspection import DatasetDescription, description_json, inspect
from engine.models.architecture import ModelDescription
from engine.progress import Progress
from engine.pruning.sweep import SweepSet, empty_counts
from engine.rates import Rate
from engine.records.run_files import finite, rate_json
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, rows_of

_CHECK_FIELDS = ("file", "b_label", "b_prime_label", "label", "flagged", "why", "b_confidence", "b_prime_confidence")


def inspect_command(options: argparse.Namespace) -> None:
    """Print what a file is."""
    found = inspect(Path(options.file))
    if options.json:
        print_json(description_json(found))
    else:
        print(_model_text(found) if isinstance(found, ModelDescription) else _dataset_text(found))


def evaluate_command(options: argparse.Namespace) -> None:
    """Measure a GoodNet on data sets."""
    goodnet = open_goodnet([Path(p) for p in options.goodnet])
    show = ProgressLine()
    test = _evaluate_on(goodnet, Path(options.test), "test", show)
    poisoned = [_evaluate_on(goodnet, Path(p), "poisoned", show) for p in options.poisoned]
    show.end()
    if options.json:
        print_json(_evaluation_json(goodnet.guard, test, poisoned))
        return
    print(f"{test.name}: clean accuracy {rate_text(test.correct)}, false alarms {rate_text(test.flagged)}")
    for found in poisoned:
        print(f"{found.name}: attack success {rate_text(found.correct)} (target {found.target}), "
              f"detection {rate_text(found.flagged)}")
    for found in [test, *poisoned] if goodnet.guard else []:
        assert found.guarded_correct and found.guarded_flagged
        words = ("clean accuracy", "false alarms") if found.target is None else ("attack success", "detection")
        print(f"behind the {goodnet.guard.kind if goodnet.guard else ''} guard, {found.name}: {words[0]} "
              f"{rate_text(found.guarded_correct)}, {words[1]} {rate_text(found.guarded_flagged)}")


def check_command(options: argparse.Namespace) -> None:
    """Check pictures with a GoodNet."""
    goodnet, pictures = _split_check_paths([Path(p) for p in options.paths])
    show = ProgressLine()
    found = list(check_pictures(goodnet, list_pictures(pictures), progress=show))
    show.end()
    if options.json:
        print_json([_verdict_json(v) for v in found])
    elif options.csv:
        writer = csv.DictWriter(sys.stdout, _CHECK_FIELDS)
        writer.writeheader()
        writer.writerows(_verdict_json(v) for v in found)
    else:
        for verdict in found:
            print(_verdict_text(verdict))
        print(f"{sum(v.flagged for v in found)} of {len(found)} flagged as backdoored")


class ProgressLine:
    """Progress on one line of standard error; nothing when that isn't a terminal."""

    def __init__(self) -> None:
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show a report."""
        if sys.stderr.isatty():
            text = f"{progress.what}: {progress.done} of {progress.total}"
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)

    def end(self) -> None:
        """Clear the line."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")


def check_run_folder(folder: Path, mark: str = "run.json") -> None:
    """Refuse to replace a folder that isn't an earlier result, known by the file `mark`.

    Raises:
        EngineError: it holds something else, or can't be written.
    """
    check_writable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
        raise EngineError(f"{folder}: holds other files and no {mark}, so it isn't replaced. "
                          "Choose a new folder or an earlier result's.")


def run_text(run: PruningRun) -> str:
    """A finished run as a table for people."""
    model, curve = run.model, run.curve
    dead = int((run.ranking.mean_activation == 0).sum())
    scale = "fed as stored" if model.scale == "none" else "divided by 255"
    lines = [
        f"{model.path.name}: {model.labels} labels, {model.channels} channels of {model.layer} pruned in order"
        + (f" ({dead} never active)" if dead else ""),
        f"values {scale}; on {curve.clean.name} ({curve.clean.images} images), B alone: clean accuracy "
        f"{rate_text(curve.clean.b_prime_rate(0))}"
        + "".join(f"; attack success on {p.name} {rate_text(p.b_prime_rate(0))}" for p in curve.poisoned[:1]),
        "",
        f"{'X':>5} {'pruned':>6} {'drop':>7} {'clean accuracy':>24} {'attack success':>24} {'false alarms':>12} "
        f"{'detection':>9}",
    ]
    rows = rows_of(run)
    for row in rows:
        lines.append(
            f"{row.x:>5g} {row.channels_pruned:>6} {row.drop_points:>6.2f}p {rate_text(row.clean):>24} "
            f"{rate_text(row.attack) if row.attack else '-':>24} {percent(row.false_alarms.value):>12} "
            f"{percent(row.detection.value) if row.detection else '-':>9}")
    if run.guarded:
        lines += _guarded_lines(run.guarded, rows)
    lines.append("")
    lines += [row.assessment.sentence for row in rows]
    missed = [x for x in run.request.drops if x not in {row.x for row in rows}]
    lines += [f"X = {x:g} is never reached: no pruning step loses that much accuracy." for x in missed]
    lines.append(f"{run.seconds:.1f} s on {run.device} with TensorFlow {backend.load()[0].__version__}")
    return "\n".join(lines)


def _guarded_lines(curve: GuardedCurve, rows: list[GoodNetRow]) -> list[str]:
    calibration = curve.guard.calibration
    lines = ["", f"behind the {curve.guard.kind} guard ({calibration.images} calibration images, "
                 f"{percent(calibration.false_alarms)} false alarms asked for)"]
    for name, step in [("B", 0), *((f"{row.x:g}", row.channels_pruned) for row in rows)]:
        found = figures_at(curve, step)
        lines.append(
            f"{name:>5} {step:>6} {'':>7} {rate_text(found.clean):>24} "
            f"{rate_text(found.attack) if found.attack else '-':>24} {percent(found.false_alarms.value):>12} "
            f"{percent(found.detection.value) if found.detection else '-':>9}")
    return [*lines, curve.guard.note] if curve.guard.note else lines


def _evaluate_on(goodnet: GoodNet, path: Path, role: str, show: ProgressLine) -> Evaluation:
    dataset = open_dataset(path, goodnet.b.input_shape, goodnet.b.labels).scaled(SCALES[goodnet.scale])
    target = empty_counts(SweepSet(dataset, "poisoned"), 0).target if role == "poisoned" else None
    return evaluate(goodnet, dataset, target, progress=show)


def _evaluation_json(guard: Guard | None, test: Evaluation, poisoned: list[Evaluation]) -> dict[str, Any]:
    return {
        "test": {"name": test.name, "images": test.images, **rate_json("goodnet_accuracy", test.correct),
                 **rate_json("false_alarm_rate", test.flagged)},
        "poisoned": [{"name": p.name, "images": p.images, "target": p.target, **rate_json("goodnet_asr", p.correct),
                      **rate_json("detection_rate", p.flagged)} for p in poisoned],
        "guarded": _guarded_evaluation_json(guard, test, poisoned) if guard else None,
    }


def _guarded_evaluation_json(guard: Guard, test: Evaluation, poisoned: list[Evaluation]) -> dict[str, Any]:
    first = poisoned[0] if poisoned else None
    return {"guard": guard.kind, "threshold": finite(guard.threshold),
            **rate_json("clean_accuracy", test.guarded_correct),
            **rate_json("attack_success_rate", first.guarded_correct if first else None),
            **rate_json("false_alarm_rate", test.guarded_flagged),
            **rate_json("detection_rate", first.guarded_flagged if first else None)}


def _split_check_paths(paths: list[Path]) -> tuple[GoodNet, list[Path]]:
    """GOODNET is one path, or two model files; what follows are pictures."""
    if len(paths) < 2:
        raise EngineError(f"{paths[0]}: no pictures were named after it. Name pictures or folders of them.")
    models = (".h5", ".hdf5", ".keras")
    two = len(paths) > 2 and all(p.is_file() and p.suffix.lower() in models for p in paths[:2])
    count = 2 if two else 1
    return open_goodnet(paths[:count]), paths[count:]


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in _CHECK_FIELDS}


def _verdict_text(verdict: Verdict) -> str:
    answer = f"backdoored (label {verdict.label})" if verdict.flagged else f"label {verdict.label}"
    return (f"{verdict.file}: {answer}; B says {verdict.b_label} ({percent(verdict.b_confidence)}), "
            f"B' says {verdict.b_prime_label} ({percent(verdict.b_prime_confidence)})")


def _model_text(found: ModelDescription) -> str:
    shape = " x ".join(str(n or "any") for n in found.input_shape or ()) or "unknown"
    lines = [f"{found.path}: {found.format}, input {shape}, {found.labels or 'unknown number of'} labels, "
             f"{found.parameters:,} weights", f"SHA-256 {found.sha256}", ""]
    for layer in found.layers:
        size = " x ".join(str(n or "any") for n in layer.shape or ()) or "?"
        note = "  <- pruned by default" if layer.name == found.default_layer else ""
        lines.append(f"  {layer.name:<28} {layer.kind:<22} {size:<18}{note}")
    return "\n".join(lines)


def _dataset_text(found: DatasetDescription) -> str:
    return (f"{found.path}: data set ({found.format}), {found.images:,} images "
            f"{' x '.join(map(str, found.image_shape))} stored as {found.dtype}, values {found.value_range[0]:g} to "
            f"{found.value_range[1]:g}, {found.labels} labels from {found.lowest_label} to {found.highest_label}"
            + "".join(f"\n{finding.level}: {finding.sentence}" for finding in found.findings))


def rate_text(rate: Rate) -> str:
    """A rate as per cent with its 95 % interval."""
    low, high = rate.interval
    return f"{100 * rate.value:.2f} % [{100 * low:.1f}-{100 * high:.1f}]"


def print_json(value: Any) -> None:
    """Print a value as JSON for scripts."""
    print(json.dumps(value, indent=1))
