"""The names of a network's labels, and the sub-folders of pictures that belong to them by name."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.data.labels import MOST_LETTERS, as_name, class_names
from engine.errors import EngineError
from engine.files.own import MOST_TEXT_BYTES, read_lines, read_own

# Found beside a model or in a folder of pictures.
LIST_NAMES = ("names.txt", "classes.txt", "classes.json", "class_names.txt", "labels.txt")
# Under which keys a model's file keeps the names of its labels, first of all that of Ultralytics.
_NOTED_AS = ("names", "class_names", "classes", "labels", "id2label")
# What parsing text that its author chose may raise.
_MISFITS = (ValueError, TypeError, LookupError, SyntaxError, RecursionError, MemoryError, OverflowError)
_REMEDY = "A text file with one name a line, the first for label 0, or a JSON list of names was expected."


def read_classes(path: Path) -> tuple[str, ...]:
    """A class list from a file: one name a line, or JSON: a list, {"0": name} or {name: 0}.

    Raises:
        EngineError: it isn't one, a name stands twice, or one is empty or as long as text.
    """
    if path.suffix.lower() == ".json":
        names = read_own(path, _from_json, "isn't a class list", _REMEDY)
    else:
        names = read_lines(path, "can't be read as a class list", _REMEDY)
        while names and not names[-1]:
            names.pop()
    names = list(map(as_name, names))
    twice = [name for name, count in Counter(names).items() if count > 1]
    odd = [label for label, name in enumerate(names) if not 0 < len(name) <= MOST_LETTERS]
    if not names or odd or twice:
        found = f"{len(names[odd[0]]) or 'no'} letters for label {odd[0]}" if odd else \
            f"the name {min(twice)!r} twice" if twice else "no names"
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
    for path in _called_like_lists(folders):
        with suppress(EngineError):  # some other file of that name; nobody asked for it
            names = read_classes(path)
            if len(names) == labels:
                return names, path
    return None


def passed_over(folders: Sequence[Path], labels: int) -> str:
    """What keeps the first file that is called like a class list from being one of so many names, a sentence; empty
    where nothing does, or there is no such file."""
    for path in _called_like_lists(folders):
        try:
            count = len(read_classes(path))
        except EngineError as error:
            return str(error)
        if count != labels:
            return f"{path}: holds {count} names, so it isn't this network's class list; {labels} were expected."
    return ""


def _called_like_lists(folders: Sequence[Path]) -> Iterator[Path]:
    return (path for folder in folders for name in LIST_NAMES if (path := folder / name).is_file())


def are_numbers(folders: Sequence[str]) -> bool:
    """Whether sub-folders are named by numbers."""
    return all(name.isdecimal() and len(name) <= 9 for name in folders)


def few(names: Sequence[str], most: int = 4) -> str:
    """The first of some names, for a sentence."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def name_of(label: int, names: Sequence[str]) -> str | None:
    """What a label is called; None where nobody says."""
    return names[label] if label < len(names) else None


def other_name_of(label: int, names: Sequence[str]) -> str | None:
    """What a label is called besides its number; None where nobody says, as where a folder's name is that number."""
    name = name_of(label, names)
    return None if name == str(label) else name


def called(label: int, names: Sequence[str]) -> str:
    """A label and what it is called besides its number, where somebody says: "17 (Mina)"."""
    name = other_name_of(label, names)
    return str(label) if name is None else f"{label} ({name})"


def places_among(names: Sequence[str], classes: Sequence[str]) -> list[int | None]:
    """Where each name stands among `classes`, in whatever capitals; None where it doesn't.

    Capitals count where names of one side differ in nothing else.
    """
    folded = [[as_name(name.casefold()) for name in side] for side in (names, classes)]
    if any(len(set(side)) < len(side) for side in folded):
        folded = [list(names), list(classes)]
    place = {name: number for number, name in enumerate(folded[1])}
    return [place.get(name) for name in folded[0]]


def names_in(notes: Mapping[Any, Any]) -> list[str]:
    """The names of labels 0, 1, ... in what a model's file says of itself; none where nothing there is a list of names.

    Args:
        notes: by their names, text or JSON values. Text is a list or a dictionary as JSON or Python write it, such as
            "{0: 'cat', 1: 'dog'}", or names apart by commas or lines.
    """
    found = {str(key).lower(): value for key, value in notes.items()}
    for key in _NOTED_AS:
        with suppress(*_MISFITS):
            names = class_names(_from_json(_document(found[key])))
            if len(names) > 1:
                "".join(names).encode()  # halves of characters are no text
                return list(names)
    return []


def _document(note: Any) -> Any:
    """A note as JSON values.

    Raises:
        ValueError, SyntaxError, RecursionError, MemoryError: it is a list or dictionary that can't be read, or too
            long.
    """
    if not isinstance(note, str):
        return note
    text = note.strip()
    if len(text) > MOST_TEXT_BYTES:
        raise ValueError("it is too long")
    if not text.startswith(("[", "{", "(")):
        return text.splitlines() if "\n" in text else text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        value = ast.literal_eval(text)  # reads literals, and computes nothing
        return list(value) if isinstance(value, tuple) else value


def _from_json(document: Any) -> list[str]:
    if isinstance(document, dict):
        pairs = [(key, value[-1] if isinstance(value, list) else value) for key, value in document.items()]
        if all(isinstance(value, int) for _, value in pairs):
            pairs = [(str(value), key) for key, value in pairs]
        numbers: dict[int, Any] = {}
        for key, name in pairs:
            if int(key) in numbers:
                raise ValueError(f"it names label {int(key)} twice, {numbers[int(key)]!r:.40} and {name!r:.40}")
            numbers[int(key)] = name
        document = [numbers[i] for i in range(len(numbers))]
    if not isinstance(document, list) or not all(isinstance(name, str) for name in document):
        raise ValueError("it isn't a list of names")
    # Halves of characters are no text; those that stand for a byte are how a folder's name is given that isn't either.
    "".join(document).encode("utf-8", "surrogateescape")
    return [name.strip() for name in document]
