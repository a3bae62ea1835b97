"""A project on the command line: it stands in for the defaults, so what is typed beside it wins."""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.models.architecture import describe_model
from engine.records.project import FileRole, Looked, Project, look_for

_OPTIONS: dict[FileRole, str] = {"model": "MODEL", "validation": "--clean", "test": "--test", "poisoned": "--poisoned",
                                 "order": "--order"}


def add_project(parser: argparse.ArgumentParser) -> None:
    """A project in place of files and settings."""
    parser.add_argument("--project", metavar="FILE", help="a project that the window saved (.goodnet): run what it "
                        "holds; options given beside it take precedence over it")
    parser.set_defaults(set_defaults=parser.set_defaults, opened=None)


def project_defaults(project: Project) -> dict[str, Any]:
    """What a project says, as the options of prune are called."""
    request = project.request
    settings = {name: value for name, value in project.settings.items() if name != "classes"}
    return {**settings, "drop": list(request.drops), "model": str(request.model),
            "clean": str(request.validation), "test": str(request.test) if request.test else None,
            "poisoned": [str(path) for path in request.poisoned],
            "order": str(request.order) if request.order else None}


def project_classes(options: argparse.Namespace, model: Path) -> tuple[str, ...]:
    """What the project calls a model's labels, as the window does; nothing where there is none, where its names came
    with its own model and this is another one, or where the model has another number of labels.
    """
    project: Project | None = options.opened
    if not project or not project.request.classes:
        return ()
    own = [dataclasses.replace(file, path=model) for file in project.files if file.role == "model"]
    if project.own_names and look_for(own, model.absolute().parent)[0].state != "found":
        return ()
    with suppress(EngineError):  # whatever is wrong with the model, the run says it
        if describe_model(model, options.output).labels != len(project.request.classes):
            return ()
    return project.request.classes


def check_project_files(options: argparse.Namespace) -> None:
    """Refuse to run without a model and clean images, or on a project's files that moved or changed.

    Raises:
        EngineError: a file of the project that nothing was typed in place of isn't what it was.
        SystemExit: wrong usage, with a sentence on standard error.
    """
    missing = [name for name, value in (("MODEL", options.model), ("--clean", options.clean)) if not value]
    if missing:
        options.usage_error(f"the following arguments are required: {', '.join(missing)} (or --project)")
    if not options.opened:
        return
    typed = vars(options.typed)  # without what the project says
    files = [file for file in options.opened.files if not typed[_OPTIONS[file.role].strip("-").lower()]]
    for looked in look_for(files, Path(options.project).absolute().parent):
        if looked.state != "found":
            raise EngineError(_remedy(looked))


def _remedy(looked: Looked) -> str:
    option = _OPTIONS[looked.file.role]
    return f"{looked.sentence} For that, name the file with {option} beside --project."
