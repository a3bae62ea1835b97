"""The names of a network's labels, and the sub-folders of pictures that belong to them by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.files.own import read_lines, read_own

# Found beside a model or in a folder of pictures.
LIST_NAMES = ("names.txt", "classes.txt", "classes.json", "class_names.txt", "labels.txt")
_REMEDY = "A text file with one name a line, the first for label 0, or a JSON list of names was expected."


def read_classes(path: Path) -> tuple[str, ...]:
    """A class list from a file: one name a line, or JSON: a list, {"0": name} or {name: 0}.

    Raises:
        EngineError: it isn't one, or a name stands twice.
    """
    if path.suffix.lower() == ".json":
        names = read_own(path, _from_json, "isn't a class list", _REMEDY)
    else:
        names = read_lines(path, "can't be read as a class list", _REMEDY)
        while names and not names[-1]:
            names.pop()
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if not names or twice:
        found = f"the name {twice[0]!r} twice" if twice else "no names"
        raise EngineError(f"{path}: isn't a class list (it holds {found}). {_REMEDY}")
    return tuple(names)


def is_class_list(path: Path) -> bool:
    """Whether a file can be read as a class list."""
    try:
        return bool(read_classes(path))
    except EngineError:
        return False


def beside(folders: Sequence[Path], labels: int) -> tuple[tuple[str, ...], Path] | None:
    """A class list of so many names in one of some folders, with its file; None where there is none."""
    for folder in folders:
        for name in LIST_NAMES:
            path = folder / name
            if path.is_file():
                try:
                    names = read_classes(path)
                except EngineError:
                    continue  # some other file of that name; nobody asked for it
                if len(names) == labels:
                    return names, path
    return None


def are_numbers(folders: Sequence[str]) -> bool:
    """Whether sub-folders are named by numbers."""
    return all(name.isdecimal() and len(name) <= 9 for name in folders)


def _from_json(document: Any) -> list[str]:
    if isinstance(document, dict):
        pairs = [(key, value[-1] if isinstance(value, list) else value) for key, value in document.items()]
        if all(isinstance(value, int) for _, value in pairs):
            pairs = [(str(value), key) for key, value in pairs]
        numbers = {int(key): name for key, name in pairs}
        document = [numbers[i] for i in range(len(numbers))]
    if not isinstance(document, list) or not all(isinstance(name, str) for name in document):
        raise ValueError("it isn't a list of names")
    return [name.strip() for name in document]
