"""Finished runs are kept where the system keeps a program's data, the newest ten, so that none is lost in a crash."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import uuid
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engine.assessment import percent
from engine.errors import EngineError
from engine.files.saving import remove_own, whole_folder
from engine.goodnets.saved import GUARD_FILE
from engine.guards.guard_files import save_guard
from engine.records.json_of import write_json
from engine.records.project import Project, last_result, made_of, model_hash
from engine.records.reopening import reopen_run
from engine.records.run_files import run_json
from engine.reports.headline import Headline, headline
from engine.runs.prune import PruningRun
from engine.runs.rows import rows_of

MOST_KEPT = 10
SAVED_ENDING = "-goodnets"  # behind a model's name, what a saved run's folder is suggested to be called
_NAME = "%Y%m%d-%H%M%S-%f"


@dataclass(frozen=True)
class KeptRun:
    """A run that was kept.

    Attributes:
        kept_at: local time.
        best: its best defence.
    """

    folder: Path
    kept_at: datetime.datetime
    run: PruningRun
    best: Headline | None

    @property
    def text(self) -> str:
        """By which a person can tell it from others."""
        result = self.best.figures if self.best else "No GoodNet answers the thresholds"
        return f"{self.kept_at:%Y-%m-%d %H:%M}  {self.run.model.path.name}: {result} ({_options_text(self.run)})"


def kept_folder() -> Path:
    """Where runs are kept."""
    return Path(platformdirs.user_data_dir("GoodNet", appauthor=False)) / "runs"


def keep_run(run: PruningRun, inside: Path, instead_of: Path | None = None) -> Path:
    """Keep a finished run: its numbers and its guard, some kilobytes; pairs are built from the model when wanted.

    The oldest beyond ten are removed, unless something in them isn't this program's.

    Args:
        inside: the folder of all that are kept.
        instead_of: where the run was kept before more was found out about it; removed likewise.
    Returns:
        The folder, which `reopen_run` reads.
    Raises:
        OutputError: it can't be written.
    """
    # Of a clock that was set back, what was kept before bears later times; the newest it is all the same.
    later = [_kept_at(newest) + datetime.timedelta(microseconds=1) for newest in _folders(inside)[:1]]
    folder = inside / f"{max([datetime.datetime.now(), *later]):{_NAME}}-{uuid.uuid4().hex[:6]}"
    with whole_folder(folder) as temporary:
        write_json(temporary / "run.json", run_json(run, rows_of(run)))
        if run.guarded:
            save_guard(run.guarded.guard, temporary / GUARD_FILE)
    if instead_of and instead_of in _folders(inside):
        remove_own(instead_of)
    for old in _folders(inside)[MOST_KEPT:]:
        remove_own(old)
    return folder


def kept_runs(inside: Path) -> tuple[KeptRun, ...]:
    """The newest ten runs that are kept, newest first; one that can't be read is left out."""
    found = []
    for folder in _folders(inside)[:MOST_KEPT]:
        with contextlib.suppress(EngineError):
            run = reopen_run(folder)
            found.append(KeptRun(folder, _kept_at(folder), run, headline(run, rows_of(run))))
    return tuple(found)


def run_of(project: Project, beside: Path, inside: Path) -> tuple[Path, PruningRun] | None:
    """The run that a project's last result is of, and its folder: kept, or saved by its usual name beside the project.

    Args:
        beside: the project's folder; inside: the folder of all that are kept.
    Returns:
        None where it is gone, was changed, or is of other files or options. What lay elsewhere when the run was made,
        as where a project was moved as a whole, is the run's in its new place.
    """
    usual = beside / f"{project.request.model.stem}{SAVED_ENDING}"
    for folder in (*_folders(inside), usual) if project.result else ():
        with contextlib.suppress(EngineError):
            if run := _as_of(reopen_run(folder), project):
                return folder, run
    return None


def _as_of(run: PruningRun, project: Project) -> PruningRun | None:
    """A run with its files where the project has them; None where it is of others."""
    asked = project.request
    model, *data = (file for file in project.files if file.role != "order")
    if [(file.role, file.sha256) for file in data] != [(found.role, found.sha256) for found in run.datasets]:
        return None
    here = dataclasses.replace(
        run, model=dataclasses.replace(run.model, path=asked.model),
        request=dataclasses.replace(run.request, model=asked.model, validation=asked.validation, test=asked.test,
                                    poisoned=asked.poisoned),
        datasets=tuple(dataclasses.replace(found, path=file.path)
                       for found, file in zip(run.datasets, data, strict=True)))
    request = dataclasses.replace(here.request, layer=run.model.layer, drops=asked.drops, drop_mode=asked.drop_mode,
                                  stop=asked.stop)
    # All defences may have been compared since the project was saved.
    now = dataclasses.replace(here, request=request)
    results = (last_result(one, rows_of(one)) for one in (now, dataclasses.replace(now, comparison=None)))
    # The file is only read again where its own hash isn't the run's, as with weights in files beside it.
    same = made_of(request) == made_of(asked) and project.result in results and (
        run.model.sha256 == model.sha256 or run.model.sha256 == model_hash(asked))
    return here if same else None


def _options_text(run: PruningRun) -> str:
    asked = run.request
    guard = "no guard" if asked.guard == "none" else \
        f"{asked.guard} guard at {percent(asked.false_alarms)} false alarms"
    order = f"in the order of {asked.order.name}" if asked.order else \
        "ranked at the pooling" if asked.rank_at == "pool" else ""
    return ", ".join(filter(None, (run.model.layer, order, guard)))


def _folders(inside: Path) -> list[Path]:
    """Folders of runs that were kept, newest first."""
    found = []
    with contextlib.suppress(OSError):
        for folder in inside.iterdir():
            with contextlib.suppress(ValueError):
                _kept_at(folder)
                found.append(folder)
    return sorted(found, reverse=True)


def _kept_at(folder: Path) -> datetime.datetime:
    return datetime.datetime.strptime(folder.name.rpartition("-")[0], _NAME)
