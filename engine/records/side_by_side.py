"""Runs beside each other: opened from their folders, as JSON, and as a folder of their own."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from engine.files.existing import on_another_machine
from engine.files.saving import whole_folder
from engine.records.json_of import Json, badnet_json, rate_json, write_json, write_text
from engine.records.reopening import reopen_run
from engine.records.tables import write_csv
from engine.reports.run_differences import Difference, best_of, cautions, differences
from engine.runs.prune import PruningRun


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Two or more runs, what they are called, where they were read from, and in what they differ."""

    names: tuple[str, ...]
    folders: tuple[Path | None, ...]
    runs: tuple[PruningRun, ...]
    differences: tuple[Difference, ...]
    cautions: tuple[str, ...]


def side_by_side(runs: Sequence[tuple[str, Path | None, PruningRun]]) -> SideBySide:
    """Set runs beside each other.

    Args:
        runs: of each its name, which gets a number where another has it too; its folder, if it has one; the run.
    Raises:
        EngineError: fewer than two.
    """
    if len(runs) < 2:
        raise EngineError("Two runs or more are needed for a comparison. Choose another one.")
    given, folders, found = zip(*runs, strict=True)
    names = _told_apart(given)
    doubts = tuple(f"{name}: {doubt.sentence}" for name, run in zip(names, found, strict=True) for doubt in run.doubts)
    return SideBySide(names, folders, found, differences(found), (*doubts, *cautions(found)))


def open_side_by_side(folders: Sequence[Path]) -> SideBySide:
    """Set runs beside each other that were saved; nothing is computed again.

    Raises:
        EngineError: a folder holds no run, or a damaged one.
    """
    return side_by_side([(folder.resolve().name, folder, reopen_run(folder)) for folder in folders])


def side_by_side_json(of: SideBySide) -> Json:
    """The comparison as compare.json holds it; rates are fractions, unknown ones null."""
    return {"runs": [run_summary_json(folder, run) for folder, run in zip(of.folders, of.runs, strict=True)],
            "differences": [{"what": d.what, "values": list(d.values)} for d in of.differences],
            "cautions": list(of.cautions)}


def run_summary_json(folder: Path | None, run: PruningRun) -> Json:
    """A run in short: its model, B alone and its best defence; rates are fractions, unknown ones null."""
    model, best = run.model, best_of(run)
    return {
        "folder": str(folder) if folder else None,
        "model": {"path": str(model.path), "sha256": model.sha256, "layer": model.layer, "channels": model.channels,
                  "labels": model.labels, "scale": model.scale},
        "badnet": badnet_json(run.curve),
        "best": {"name": best.name, "level": best.level, "sentence": best.sentence,
                 **rate_json("clean_accuracy", best.clean),
                 **rate_json("clean_accuracy_before", best.clean_before),
                 **rate_json("attack_success_rate", best.attack)} if best else None,
    }


def save_side_by_side(of: SideBySide, folder: Path, spared: Iterable[Path] = ()) -> None:
    """Write compare.json, the figure and the report; the folder appears whole or not at all.

    Args:
        spared: what is never replaced, besides the runs' folders and what they were made from.
    Raises:
        OutputError: it holds something else, or can't be written.
    """
    # These bring matplotlib and Jinja.
    from engine.reports.figures.runs import printed_runs
    from engine.reports.figures.style import save_drawing
    from engine.reports.pages.runs import runs_html

    document = side_by_side_json(of)
    rows = [(d.what, d.texts) for d in of.differences]
    read = [path for run in of.runs for path in run.request.paths if not on_another_machine(path, folder.absolute())]
    with whole_folder(folder, [*filter(None, of.folders), *read, *spared]) as temporary:
        write_json(temporary / "compare.json", document)
        write_text(temporary / "report.html", runs_html(of.names, of.runs, rows, document, datetime.date.today()))
        for kind in ("png", "svg"):
            save_drawing(printed_runs(of.names, of.runs), temporary / f"curves.{kind}", kind)


def write_differences_csv(of: SideBySide, path: Path) -> None:
    """A row for each thing in which runs differ, a column a run, in words for people."""
    write_csv(path, ["what", *of.names], ((d.what, *d.texts) for d in of.differences))


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names of which those that several runs have end in a number."""
    several, seen = Counter(names), Counter[str]()
    told = []
    for name in names:
        seen[name] += 1
        told.append(f"{name} ({seen[name]})" if several[name] > 1 else name)
    return tuple(told)
