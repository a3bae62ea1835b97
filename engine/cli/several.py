"""Several models against the same data, one after the other: each with a run of its own, one table at the end."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cli.printing import complain, say, say_json, say_table, warn
from engine.cli.result_tables import SUMMARY_HEADINGS, summary_cells
from engine.errors import Cancelled, EngineError
from engine.goodnets.saved import FILES_WITHOUT_GUARD
from engine.records.side_by_side import run_summary_json
from engine.runs.prune import PruningRun

Pruner = Callable[[Path, Path | None, str], PruningRun]


@dataclass(frozen=True, eq=False)
class Ended:
    """How one of the models fared: its run, or the sentence on why there is none."""

    model: Path
    folder: Path | None
    run: PruningRun | None
    failure: str = ""


def folders_of(models: Sequence[Path], out: Path | None) -> list[Path | None]:
    """A folder for each model inside `out`, named after it; of names that a system may take for one
    the later ones get a number."""
    if out is None:
        return [None] * len(models)
    names: list[str] = []
    for model in models:
        name, number = model.stem, 1
        while _as_a_folder(name) in map(_as_a_folder, names):
            number += 1
            name = f"{model.stem}-{number}"
        names.append(name)
    return [out / name for name in names]


def _as_a_folder(name: str) -> str:
    """The same for names that are one folder on Windows and macOS."""
    return unicodedata.normalize("NFC", name).casefold()


def prune_each(models: Sequence[Path], folders: Sequence[Path | None], prune: Pruner, as_json: bool) -> None:
    """Run every model and print the table; one that fails is named and doesn't stop the others.

    Args:
        prune: makes and saves a model's run; given the model, its folder and what progress is headed with.
    Raises:
        EngineError: models failed; the others' runs are printed and saved all the same.
        Cancelled: by Ctrl-C; what was done by then is printed and stays.
    """
    ended: list[Ended] = []
    try:
        for number, (model, folder) in enumerate(zip(models, folders, strict=True), start=1):
            try:
                found = prune(model, folder, f"{model.name} ({number} of {len(models)}): ")
                ended.append(Ended(model, folder, found))
            except EngineError as error:
                complain(str(error))
                ended.append(Ended(model, None, None, str(error)))
    except (KeyboardInterrupt, Cancelled) as error:
        _say(ended, as_json)
        done = [e for e in ended if e.run]
        raise Cancelled(f"{len(done)} of {len(models)} models are done" + (
            ", and their runs stay where they were saved." if done and folders[0] else ".")) from error
    _say(ended, as_json)
    failed = [e.model.name for e in ended if e.run is None]
    if failed:
        raise EngineError(f"{', '.join(failed)}: failed, as said above; the other {len(ended) - len(failed)} of "
                          f"{len(ended)} models are done. Mend or leave out what failed and run again.")


def _say(ended: Sequence[Ended], as_json: bool) -> None:
    if as_json:
        say_json({"runs": [_ended_json(e) for e in ended]})
        return
    for e in ended:
        for sentence in _warnings(e):
            warn(f"{e.model}: {sentence}")
    say_table(["model", *SUMMARY_HEADINGS, "saved in"], [_row(e) for e in ended], left=2)
    for e in ended:
        if e.failure:
            say(f"{e.model.name}: failed. {e.failure}", style="red")
    if any(e.folder and e.run and e.run.guarded for e in ended):
        say(FILES_WITHOUT_GUARD)


def _row(ended: Ended) -> list[str]:
    figures = summary_cells(ended.run) if ended.run else ["failed", *["-"] * (len(SUMMARY_HEADINGS) - 1)]
    return [ended.model.name, *figures, str(ended.folder or "-")]


def _ended_json(ended: Ended) -> dict[str, Any]:
    found = run_summary_json(ended.folder, ended.run) if ended.run else \
        {"folder": None, "model": {"path": str(ended.model)}, "badnet": None, "best": None}
    return {**found, "warnings": _warnings(ended), "failure": ended.failure or None}


def _warnings(ended: Ended) -> list[str]:
    return [doubt.sentence for doubt in ended.run.doubts] if ended.run else []
