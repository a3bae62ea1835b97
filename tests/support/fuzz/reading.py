"""What is done with a damaged file: what the engine, the command line and the window do with a sound one.

Each way raises an EngineError where the file is refused; whatever else it raises is a defect.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.progress import CancelToken, ignore_progress
from tests.support.places import PROJECT

Way = Callable[[Path], object]
Shape = tuple[int, int, int]
HEAD = "goodnet: "


class Context:
    """What a task of the window is given, for nobody who looks."""

    cancel, progress = CancelToken(), staticmethod(ignore_progress)


NOBODY: Any = Context()


def command_line(*arguments: str, alone: bool = False) -> Way:
    """A command of the program, in this process or in one of its own; FILE and FOLDER stand for the path."""
    def read(path: Path) -> None:
        given = [{"FILE": str(path), "FOLDER": str(path.parent)}.get(word, word) for word in arguments]
        status, said = _alone(given) if alone else _in_process(given)
        if status == 1:
            line = said.splitlines()[-1]
            assert line.startswith(HEAD) and "Traceback" not in said, said
            raise EngineError(line[len(HEAD):])
        assert status == 0, f"status {status}: {said}"

    return read


def _in_process(arguments: Sequence[str]) -> tuple[int, str]:
    from engine.__main__ import main
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        return main(arguments), said.getvalue()


def _alone(arguments: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "engine", *arguments], cwd=PROJECT, capture_output=True, text=True,
                          check=False, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return done.returncode, done.stderr


def describe(path: Path) -> None:
    """Check a model."""
    from engine.models.architecture import describe_model
    describe_model(path)


def build(path: Path) -> None:
    """Build a model."""
    from engine.models.networks import open_network
    open_network(path)


def look_at_model(path: Path) -> None:
    """As the window does, when a model is dropped on it."""
    from gui.jobs.inputs.choosing import look_at_model as look
    look_at(path)
    look(path, None, NOBODY)


def look_at(path: Path) -> None:
    """Find out what a path is, as the window does."""
    from gui.session.recognition import look_at as look
    found = look(path)
    if found.error:
        raise found.error


def looking_at(shape: Shape) -> Way:
    """As the window does, when data is chosen for a network of 7 labels that takes images of that shape."""
    def look_at_data(path: Path) -> None:
        from gui.jobs.inputs.choosing import look_at_dataset
        look_at(path)
        look = look_at_dataset("validation", path, shape, 7, (), NOBODY)
        assert look.thumbnails.shape[1:] == shape

    return look_at_data


def streaming(shape: Shape) -> Way:
    """Describe data and read it all, as a run of a network does that takes images of that shape."""
    def stream(path: Path) -> None:
        import numpy as np

        from engine.data.datasets import open_dataset
        from engine.looking.inspection import describe_dataset, open_any_dataset
        describe_dataset(open_any_dataset(path))
        dataset = open_dataset(path, shape, 7)
        seen = 0
        for chunk in dataset.chunks(128):
            assert chunk.images.shape[1:] == shape and np.isfinite(chunk.images).all()
            assert ((chunk.labels >= 0) & (chunk.labels < 7)).all()
            seen += len(chunk.labels)
        assert seen == len(dataset)

    return stream


SHAPE: Shape = (12, 10, 3)
stream, look_at_data = streaming(SHAPE), looking_at(SHAPE)


def beside(name: str, way: Way) -> Way:
    """The way in which a file beside the damaged one is read, or, by the name ".", the folder that both are in."""
    return lambda path: way(path.parent / name)


def picture(path: Path) -> None:
    """Fit a picture to a network."""
    from engine.files.pictures import load_picture
    assert load_picture(path, (12, 10, 3)).shape == (12, 10, 3)


def original(path: Path) -> None:
    """Show a picture as it is."""
    from gui.jobs.checking import read_original
    look_at(path)
    assert read_original(path, NOBODY).ndim == 3


def notes(path: Path) -> None:
    """What stands beside a saved pair."""
    from engine.goodnets.saved import _notes
    assert _notes(path).get("scale", "none") in ("none", "255")


def pair(path: Path) -> None:
    """A saved pair with its networks."""
    from engine.goodnets.saved import open_goodnet
    open_goodnet([path.parent])


def guard(path: Path) -> None:
    """A guard."""
    from engine.guards.guard_files import open_guard
    assert open_guard(path).labels > 0


def order(path: Path) -> None:
    """A pruning order, for a layer of nine channels."""
    from engine.pruning.ranking import read_order
    assert sorted(read_order(path, "c", 9)) == list(range(9))


def reopen(path: Path) -> None:
    """A finished run, with its table, its verdict and its report."""
    import datetime

    from engine.records.reopening import reopen_run
    from engine.records.run_files import run_json
    from engine.reports.headline import headline
    from engine.reports.pages.page import report_html
    from engine.runs.rows import rows_of
    run = reopen_run(path.parent)
    assert len(run.curve.validation.correct) == len(run.ranking.order) + 1
    rows = rows_of(run)
    headline(run, rows)
    report_html(run, rows, run_json(run, rows), datetime.date(2026, 1, 2))


def list_run(path: Path) -> None:
    """As the window's list of runs does."""
    from gui.jobs.comparing import read_folders
    read_folders([path.parent], NOBODY)


def examination(path: Path) -> None:
    """A saved examination, which can be saved again."""
    import json

    from engine.records.examination import examination_json, read_examination
    found = read_examination(path.parent).found
    assert len(found.tried) > 1 and json.dumps(examination_json(found), allow_nan=False)


def examination_report(path: Path) -> None:
    """A saved examination as a page, in which all its pictures are drawn."""
    import datetime

    from engine.records.examination import read_examination
    from engine.reports.pages.examination import examination_html
    saved = read_examination(path.parent)
    examination_html(saved.found, saved.model, datetime.date(2026, 1, 2))


def look_for_examination(path: Path) -> None:
    """As the window does, when what it lies beside is brought back."""
    from gui.jobs.examining import look_for
    look_for(path.parent, Path("m.keras"), "ab" * 32, NOBODY)


def project(path: Path) -> None:
    """A project, and where its files are."""
    from engine.records.project import look_for, read_project
    look_for(read_project(path).files, path.parent)


def open_project(path: Path) -> None:
    """As the window does, and as its list of recent projects does."""
    from gui.jobs.projects import _open, _recent
    _recent([path], NOBODY)
    _open(path, path.parent / "kept", NOBODY)


def classes(path: Path) -> None:
    """Names of labels."""
    from engine.data.classes import read_classes
    assert read_classes(path)


def foreign(path: Path) -> None:
    """Whether all in a folder is the program's own."""
    from engine.files.manifest import first_foreign
    first_foreign(path.parent)


def load() -> None:
    """Import what the ways use, so that processes forked from this one have it; nothing is computed here."""
    for name in ("engine.__main__", "gui.jobs.checking", "gui.jobs.inputs.choosing", "gui.jobs.comparing",
                 "gui.jobs.examining", "gui.jobs.projects", "gui.session.recognition"):
        importlib.import_module(name)
