"""prune: the pruning defence, with its table and its folder."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from engine.cli.options import (
    Repeatable,
    add_guard,
    add_inputs,
    add_json,
    add_layer,
    add_missing_labels,
    input_files,
    percent,
)
from engine.cli.printing import complain, say, say_json
from engine.cli.progress_line import ProgressLine
from engine.cli.project import add_project, check_project_files, project_classes
from engine.cli.result_tables import say_comparison, say_run
from engine.cli.several import folders_of, prune_each
from engine.files.saving import check_writable
from engine.goodnets.saved import FILES_WITHOUT_GUARD
from engine.pruning.thresholds import DEFAULT_DROPS
from engine.records.run_files import run_json, save_run
from engine.runs.all_defences import compare_defences
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import rows_of

SUMMARY = "rank and prune channels, count every step, save GoodNet pairs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL ... --clean VALID, or a project, and what the run may be told"""
    add_inputs(parser, required=False)
    parser.add_argument("further", metavar="MODEL", nargs="*",
                        help="further models to run against the same data, one after the other; each gets a folder of "
                        "its own inside DIR")
    add_project(parser)
    add_layer(parser)
    parser.add_argument("--rank-at", choices=["conv", "pool"], default="conv",
                        help="where a channel's mean activation is measured: at the layer itself or behind the pooling "
                        "layer after it (default: %(default)s)")
    parser.add_argument("--order", metavar="FILE",
                        help="prune in this order instead of ranking: a JSON list of channel numbers, or an earlier "
                        "run.json")
    parser.add_argument("--drop", metavar="X", type=percent, nargs="+", action=Repeatable,
                        default=list(DEFAULT_DROPS), help="how much clean accuracy may be lost, in per cent; each X "
                        "gives a GoodNet (default: " + " ".join(f"{x:g}" for x in DEFAULT_DROPS) + ")")
    parser.add_argument("--drop-mode", choices=["points", "relative"], default="points",
                        help="whether X counts percentage points or per cent of B's accuracy (default: %(default)s)")
    parser.add_argument("--stop", choices=["first-past", "last-within"], default="first-past",
                        help="which step answers X: the first that loses X or more, or the last that stays within X "
                        "(default: %(default)s)")
    add_guard(parser)
    parser.add_argument("--compare", action="store_true",
                        help="also make every other defence and measure all side by side; takes minutes, "
                        "with a network for large pictures an hour or more")
    add_missing_labels(parser, when="with --compare: ")
    parser.add_argument("--cluster", metavar="ADDRESS",
                        help="count on the workers of the Dask scheduler at this address, such as tcp://host:8786")
    parser.add_argument("--out", metavar="DIR",
                        help="write the run's folder here: figures, report and GoodNets; an earlier run's folder is "
                        "replaced if nothing in it was added or changed")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Run the pruning defence on each model, print a table and write the folders."""
    check_project_files(options)
    out = Path(options.out) if options.out else None
    # Saving into the current folder puts another one in its place, and then relative paths lead nowhere.
    saved = out.absolute() / "run.json" if out else None
    models = list(dict.fromkeys(map(Path, (options.model, *options.further))))
    folders = folders_of(models, out) if len(models) > 1 else [out]
    asked = _request(options, models[0])
    read = (*models, *asked.paths)  # one model may lie in the folder of another
    for folder in filter(None, folders):
        check_writable(folder, read)

    def prune(model: Path, folder: Path | None, heading: str = "") -> PruningRun:
        classes = asked.classes if options.classes else project_classes(options, model)
        return _prune(dataclasses.replace(asked, model=model, classes=classes), folder, options, heading, read)

    if len(models) > 1:
        prune_each(models, folders, prune, options.json)
        return
    found = prune(models[0], out)
    if options.json:
        say_json(json.loads(saved.read_text(encoding="utf-8")) if saved else run_json(found, rows_of(found)))
        return
    say_run(found)
    if found.comparison:
        say()
        say_comparison(found.comparison)
    if out:
        say()
        say(f"Saved in {out}")
        if found.guarded:
            say(FILES_WITHOUT_GUARD)


def _prune(request: PruningRequest, out: Path | None, options: argparse.Namespace, heading: str,
           spared: Sequence[Path]) -> PruningRun:
    with ProgressLine(heading) as show:
        found = run_pruning(request, progress=show)
        if options.compare:
            compared = compare_defences(found, allow_missing_labels=options.allow_missing_labels, progress=show)
            found = dataclasses.replace(found, comparison=compared)
        left_out = save_run(found, out, spared=spared, progress=show) if out else ()
        options.saved |= out is not None
    for sentence in left_out:
        complain(sentence)
    return found


def _request(options: argparse.Namespace, model: Path) -> PruningRequest:
    files = dataclasses.replace(input_files(options), model=model)
    return PruningRequest(
        **vars(files), rank_at=options.rank_at, order=Path(options.order) if options.order else None,
        drops=tuple(dict.fromkeys(options.drop)), drop_mode=options.drop_mode, stop=options.stop,
        cluster=options.cluster, guard=options.guard, false_alarms=options.false_alarms)
