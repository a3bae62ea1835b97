"""A project: the files, options and last result that belong together, as one small JSON file to hand on.

The file may come from a stranger. Reading it opens nothing else; `look_for` reads the files it names, but only to know
them again. A cluster's address is never in it: whoever names a scheduler can run code on the machines that ask it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from engine.data.sources.kinds import files_of, sha256_of_set
from engine.errors import EngineError, OutputError, in_short
from engine.files.existing import on_another_machine
from engine.files.regular import read_regular
from engine.files.saving import whole_file
from engine.models.architecture import describe_model
from engine.progress import NEVER_CANCELLED, CancelToken
from engine.records import checked
from engine.records.json_of import Json, json_text, write_text
from engine.records.settings import NAMES, checked_settings, settings_json
from engine.reports.headline import headline
from engine.runs.prune import PruningRequest, PruningRun
from engine.runs.rows import GoodNetRow

SUFFIX = ".goodnet"
_SCHEMA, _KIND = 1, "GoodNet project"
_MOST_BYTES = 1 << 20
_MOST_LETTERS = 4096
_MOST_SETS = 256

FileRole = Literal["model", "validation", "test", "poisoned", "order"]
State = Literal["found", "changed", "missing", "remote"]


@dataclass(frozen=True)
class ProjectFile:
    """A file or folder of a project, with the SHA-256 it had when the project was saved."""

    role: FileRole
    path: Path
    sha256: str


@dataclass(frozen=True)
class LastResult:
    """What a project's last run came to, to be read in a list of projects: rates are fractions 0 to 1."""

    model: str
    best: str
    clean_accuracy: float
    attack_success_rate: float | None


def last_result(run: PruningRun, rows: Iterable[GoodNetRow]) -> LastResult | None:
    """What a list of projects says of a run whose GoodNets are `rows`; None where nothing is best."""
    best = headline(run, rows)
    if best is None:
        return None
    return LastResult(run.model.path.name, best.name, best.clean.value, best.attack.value if best.attack else None)


def made_of(request: PruningRequest) -> PruningRequest:
    """What a run's counts depend on: all but thresholds, which apply to a curve that is there."""
    return dataclasses.replace(request, cluster=None, classes=(), drops=(), drop_mode="points", stop="first-past")


def model_hash(request: PruningRequest) -> str:
    """A model's hash as a run has it, with the files in which ONNX keeps weights; empty where it is none any more."""
    try:
        return describe_model(request.model, request.output).sha256
    except EngineError:
        return ""


@dataclass(frozen=True)
class Project:
    """Files, settings (what else PruningRequest takes, by its names) and what the last run came to.

    Attributes:
        own_names: whether the names of labels in the settings came with the model, and are no other one's.
    """

    files: tuple[ProjectFile, ...]
    settings: Json
    result: LastResult | None = None
    own_names: bool = False

    @property
    def request(self) -> PruningRequest:
        """The run that the project stands for."""
        single: Json = {file.role: file.path for file in self.files if file.role != "poisoned"}
        poisoned = tuple(file.path for file in self.files if file.role == "poisoned")
        return PruningRequest(**single, poisoned=poisoned, **self.settings)


@dataclass(frozen=True)
class Looked:
    """How a file of a project was found."""

    file: ProjectFile
    state: State

    @property
    def sentence(self) -> str:
        """What is the matter with it and what to do, with its path; empty where nothing is."""
        return f"{self.file.path}: {_WORDS[self.state]}" if self.state != "found" else ""


_WORDS: dict[State, str] = {
    "missing": "isn't there any more: moved, renamed or removed. Say where it is now, or choose another.",
    "changed": "isn't what it was when the project was saved. Bring the old one back, or use it as it is.",
    "remote": "lies on another computer, from which nothing is read unasked. Choose it yourself to use it.",
}


def make_project(request: PruningRequest, result: LastResult | None = None, *, own_names: bool = False,
                 cancel: CancelToken = NEVER_CANCELLED) -> Project:
    """The project of a request, with its files as they are now. Reads them whole.

    Args:
        own_names: as Project's.
    Raises:
        EngineError: one can't be read.
        Cancelled: the token was set.
    """
    single: tuple[tuple[FileRole, Path | None], ...] = (
        ("model", request.model), ("validation", request.validation), ("test", request.test),
        *(("poisoned", path) for path in request.poisoned), ("order", request.order))
    files = []
    for role, path in single:
        try:
            files += [ProjectFile(role, path.absolute(), fingerprint(path, cancel))] if path else []
        except OSError as error:
            raise EngineError(f"{path}: can't be read ({error.strerror or error}), so the project wasn't saved. "
                              "Choose another file, or remove it.") from error
    settings = {**settings_json(request), "classes": request.classes}
    # Earlier versions refuse what they don't know, so a project says it only where there is something to say.
    return Project(tuple(files), settings if request.output is None else {**settings, "output": request.output}, result,
                   own_names and bool(request.classes))


def fingerprint(path: Path, cancel: CancelToken = NEVER_CANCELLED) -> str:
    """SHA-256 of a file or a data set, as run.json holds it.

    Raises:
        OSError: it can't be read, or is a pipe or device.
        Cancelled: the token was set.
    """
    return sha256_of_set(path, files_of(path), cancel)[0]


def is_as_it_was(path: Path, sha256: str, cancel: CancelToken = NEVER_CANCELLED) -> bool:
    """Whether a file or a data set has a hash that is noted somewhere, by this version or an earlier one.

    Raises:
        EngineError, OSError, Cancelled: as `fingerprint`.
    """
    return sha256 in sha256_of_set(path, files_of(path), cancel)


def look_for(files: Iterable[ProjectFile], folder: Path, cancel: CancelToken = NEVER_CANCELLED) -> tuple[Looked, ...]:
    """Find files of a project that lies in `folder`: is each there, and is it what it was?

    Raises:
        Cancelled: the token was set.
    """
    return tuple(Looked(file, _state_of(file, folder, cancel)) for file in files)


def save_project(project: Project, path: Path) -> None:
    """Write a project; it appears whole or not at all. Paths are relative to its folder where that is possible.

    Raises:
        OutputError: it can't be written, or what lies there isn't a project.
    """
    if os.path.lexists(path) and not _is_project(path):
        raise OutputError(f"{path}: isn't a project of this program, so it isn't replaced. Choose another name.")
    content = json_text(_document(project, path.absolute().parent))
    if len(content) >= _MOST_BYTES:
        raise OutputError(f"{path}: would have {len(content):,} bytes, more than is ever read back. Choose shorter "
                          "names of labels.")
    with whole_file(path) as temporary:
        write_text(temporary, content)


def read_project(path: Path) -> Project:
    """Read a project's file; the files it names aren't looked at.

    Raises:
        EngineError: it can't be read, isn't a project, is damaged, or comes from a newer version.
    """
    try:
        document = _parsed(path)
        if not isinstance(document, dict) or document.get("kind") != _KIND:
            raise EngineError(f"{path}: isn't a GoodNet project. Choose a file that Save project made.")
        schema = checked.count(document.get("schema"))
        if schema > _SCHEMA:
            raise EngineError(f"{path}: was saved by a newer GoodNet (schema {schema}, this one knows {_SCHEMA}). "
                              "Open it with that one.")
        return _project(document, path.absolute().parent)
    except OSError as error:
        raise EngineError(f"{path}: can't be read ({error.strerror or error}). Check the name and permissions.") \
            from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        short = f"it lacks '{in_short(error)}'" if isinstance(error, KeyError) else in_short(error)
        raise EngineError(f"{path}: is damaged or wasn't made by this program ({short}). Save the project again.") \
            from error


def _state_of(file: ProjectFile, folder: Path, cancel: CancelToken) -> State:
    if on_another_machine(file.path, folder):
        return "remote"
    try:
        return "found" if is_as_it_was(file.path, file.sha256, cancel) else "changed"
    except OSError:
        return "missing"
    except EngineError:  # what was a data set is none any more
        return "changed"


def left_alone(path: PurePath) -> str:
    """What is said of a file on another computer, with its path."""
    return f"{path}: {_WORDS['remote']}"


def _is_project(path: Path) -> bool:
    try:
        document = _parsed(path)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == _KIND


def _parsed(path: Path) -> Any:
    return json.loads(read_regular(path, _MOST_BYTES))


def _document(project: Project, folder: Path) -> Json:
    def one(file: ProjectFile) -> Json:
        return {"path": _relative(file.path, folder), "sha256": file.sha256}

    files: Json = {"model": None, "validation": None, "test": None, "poisoned": [], "order": None}
    for file in project.files:
        if file.role == "poisoned":
            files["poisoned"].append(one(file))
        else:
            files[file.role] = one(file)
    return {"schema": _SCHEMA, "kind": _KIND, "files": files, "settings": project.settings,
            "result": dataclasses.asdict(project.result) if project.result else None,
            **({"own_names": True} if project.own_names else {})}


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        return path.absolute().as_posix()


def _project(document: Json, folder: Path) -> Project:
    _only(document, ("schema", "kind", "files", "settings", "result", "own_names"))
    own_names = document.get("own_names", False)
    if not isinstance(own_names, bool):
        raise ValueError("whether the names of labels are the model's own is neither true nor false")
    files, result = document["files"], document["result"]
    _only(files, get_args(FileRole))
    if len(files["poisoned"]) > _MOST_SETS:
        raise ValueError(f"{len(files['poisoned']):,} poisoned sets")
    if not files["model"] or not files["validation"]:
        raise ValueError("it names no model or no clean validation images")
    entries = [(role, entry) for role in get_args(FileRole)
               for entry in (files[role] if role == "poisoned" else [files[role]]) if entry is not None]
    settings = document["settings"]
    _only(settings, (*NAMES, "classes", "output"))
    beside: Json = {"classes": tuple(map(_text, settings.get("classes", ())))}
    if "output" in settings:
        beside["output"] = _text(settings["output"])
    return Project(tuple(_file(role, entry, folder) for role, entry in entries),
                   {**checked_settings(settings), **beside},
                   _result(result) if result is not None else None, own_names)


def _file(role: FileRole, entry: Json, folder: Path) -> ProjectFile:
    _only(entry, ("path", "sha256"))
    path, sha256 = _text(entry["path"]), _text(entry["sha256"])
    if not path or len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError(f"{path[:50]!r} has no SHA-256")
    return ProjectFile(role, Path(os.path.normpath(folder / path)), sha256)


def _result(result: Json) -> LastResult:
    _only(result, tuple(field.name for field in dataclasses.fields(LastResult)))
    clean, attack = result["clean_accuracy"], result["attack_success_rate"]
    return LastResult(_text(result["model"]), _text(result["best"]), _share(clean),
                      None if attack is None else _share(attack))


def _share(value: Any) -> float:
    share = checked.number(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{share} isn't a rate from 0 to 1")
    return share


def _text(value: Any) -> str:
    found = checked.text(value)
    if len(found) > _MOST_LETTERS:
        raise ValueError(f"a text of {len(found):,} letters")
    return found


def _only(document: Json, allowed: tuple[str, ...]) -> None:
    """Refuse keys that this version doesn't know: leaving them out would change what the project means."""
    unknown = sorted(set(document) - set(allowed))
    if unknown:
        raise ValueError(f"it holds '{unknown[0][:50]}', which this version doesn't know")
