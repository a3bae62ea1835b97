"""A finished run as files: JSON, CSV, figure and GoodNet pairs. run.json's keys are a contract; add, never rename."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from engine.files.saving import whole_folder
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import PIECES, write_pair
from engine.guards.guarded_curve import GuardedCurve
from engine.models.networks import open_network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.records.json_of import (
    Json,
    badnet_json,
    calibration_json,
    clean_json,
    comparison_json,
    curve_json,
    figures_json,
    finite,
    guarded_json,
    poisoned_json,
    write_json,
    write_text,
)
from engine.records.settings import settings_json
from engine.records.tables import write_curve_csv
from engine.runs.pairs import build_goodnet, build_guarded_badnet, pictures_of
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, rows_of

GUARDED_BADNET = "badnet-guarded"


def pair_name(x: float) -> str:
    """A pair's folder inside a run's."""
    return f"goodnet-x{x:g}"


def save_run(
    run: PruningRun, folder: Path, *, also: Callable[[Path], None] = lambda _: None, spared: Sequence[Path] = (),
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[str, ...]:
    """Write a run's folder: figures, numbers and one pair a threshold; it appears whole or not at all.

    B is written once; the pairs' folders share its file, see `link_or_copy`.

    Args:
        also: writes what else belongs into it, given the folder.
        spared: what is never replaced, besides what the run reads.
    Returns:
        What was left out, a sentence each.
    Raises:
        OutputError: it can't be written, or would replace what isn't this program's or what the run reads.
        EngineError: the model's file was changed since the run.
        Cancelled: the token was set; nothing is left behind.
    """
    # These bring matplotlib and Jinja, which `inspect` and `check` needn't wait for.
    from engine.reports.figures.curve import printed_figure
    from engine.reports.figures.style import save_drawing
    from engine.reports.pages.page import report_html

    rows, pictures = rows_of(run), pictures_of(run)
    goodnets = _goodnets(run, rows)
    pieces, total, left_out = itertools.count(), PIECES * len(goodnets), list[str]()

    def saving() -> None:
        cancel.raise_if_cancelled()
        progress(Progress("Saving GoodNet pairs", next(pieces), total))

    with whole_folder(folder, (*run.request.paths, *spared)) as temporary:
        first = None
        for name, built in goodnets.items():
            (temporary / name).mkdir()
            left_out += write_pair(built(), temporary / name, pictures, first, saving)
            first = first or temporary / name
        document = {**run_json(run, rows), "left_out": list(dict.fromkeys(left_out))}
        write_json(temporary / "run.json", document)
        write_text(temporary / "report.html", report_html(run, rows, document, datetime.date.today()))
        write_curve_csv(run.curve, temporary / "curve.csv")
        for kind in ("png", "svg"):
            save_drawing(printed_figure(run.curve, rows), temporary / f"curve.{kind}", kind)
        also(temporary)
        cancel.raise_if_cancelled()
    progress(Progress("Saving GoodNet pairs", total, total))
    return tuple(document["left_out"])


def _goodnets(run: PruningRun, rows: Sequence[GoodNetRow]) -> dict[str, Callable[[], GoodNet]]:
    """What builds each of a run's pairs, by its folder's name."""
    network = open_network(run.model.path, run.request.output)
    pairs: dict[str, Callable[[], GoodNet]] = {
        pair_name(row.x): partial(build_goodnet, run, row, network) for row in rows}
    if run.guarded:
        pairs[GUARDED_BADNET] = partial(build_guarded_badnet, run, network)
    return pairs


def run_json(run: PruningRun, rows: Sequence[GoodNetRow]) -> Json:
    """Everything a run found out, as run.json holds it. Rates are fractions; unknown numbers are null."""
    request, model = run.request, run.model
    return {
        "schema": 1,
        "folder": _meant_from([model.path, *(d.path for d in run.datasets), *filter(None, [request.order])]),
        "model": {"path": str(model.path), "sha256": model.sha256, "layer": model.layer, "channels": model.channels,
                  "labels": model.labels, "scale": model.scale, "input_shape": list(model.input_shape),
                  "classes": list(model.classes), "output": request.output, "stored": model.stored,
                  "depth": model.depth, "labelling": model.labelling},
        "datasets": [{"path": str(d.path), "role": d.role, "name": d.name, "images": d.images, "labels": d.labels,
                      "sha256": d.sha256} for d in run.datasets],
        "settings": {**settings_json(request), "order": str(request.order) if request.order else None},
        "versions": dict(run.versions),
        "warnings": [doubt.sentence for doubt in run.doubts],
        "implausible_input": [doubt.sentence for doubt in run.doubts if doubt.implausible],
        "device": run.device,
        "seconds": round(run.seconds, 3),
        "pruning_order": run.ranking.order.tolist(),
        "mean_activation": [finite(v) for v in run.ranking.mean_activation],
        "curve": curve_json(run.curve),
        "badnet": badnet_json(run.curve),
        "goodnets": [goodnet_json(row, run.guarded) for row in rows],
        "not_reached": [x for x in request.drops if x not in {row.x for row in rows}],
        "badnet_guarded": guarded_json(run.guarded, 0) if run.guarded else None,
        "guard": guard_json(run.guarded) if run.guarded else None,
        "comparison": comparison_json(run.comparison) if run.comparison else None,
        "comparison_target": next((attack.target for row in run.comparison.rows for attack in row.attacks), None)
        if run.comparison else None,
        "comparison_warning": run.comparison.warning if run.comparison else None,
    }


def goodnet_json(row: GoodNetRow, guarded: GuardedCurve | None = None) -> Json:
    """One threshold's figures."""
    return {
        "x": row.x, "channels_pruned": row.channels_pruned, "drop_points": row.drop_points,
        "drop_relative_percent": row.drop_relative_percent,
        **figures_json(row), "level": row.assessment.level, "assessment": row.assessment.sentence,
        "path": pair_name(row.x),
        "guarded": guarded_json(guarded, row.channels_pruned) if guarded else None,
    }


def guard_json(curve: GuardedCurve) -> Json:
    """How a run's guard was calibrated and on how many images it was measured."""
    sets = [poisoned_json(counts) for counts in curve.poisoned]
    striking = curve.guard.striking
    return {**calibration_json(curve.guard), "measured_on": curve.measured_on, "clean_images": curve.clean.images,
            "striking": {"label": striking.label, "images": list(striking.numbers)} if striking else None,
            "poisoned_images": sets[0]["images"] if sets else None,
            "curve": {"role": curve.clean.role, "clean": clean_json(curve.clean), "poisoned": sets[0] if sets else None,
                      "poisoned_sets": sets, "before": [rate.value for rate in curve.before]},
            "path": GUARDED_BADNET}


def _meant_from(paths: Iterable[Path]) -> str:
    """The folder that relative paths are meant from; nothing where none is relative."""
    return "" if all(path.is_absolute() for path in paths) else str(Path.cwd())
