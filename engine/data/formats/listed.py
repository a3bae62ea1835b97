"""A table of files and their labels: CSV with the columns `file` and `label`, or what these are called elsewhere."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.array_files import Array
from engine.data.formats.opening import opened
from engine.data.labels import Label, numbered
from engine.errors import DatasetError
from engine.files.pictures import MOST_ENTRIES

_FILES = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "image_id", "id", "name")
_LABELS = ("label", "labels", "class", "class_id", "class_name", "target", "category")
# What says which rows belong together; whoever fills such a column means only some of them.
_PARTS = ("split", "subset", "set", "fold", "partition", "usage", "poisoned", "is_poisoned", "backdoored", "triggered")
_MOST_BYTES, _MOST_NAME = 1 << 26, 1000
# So many of its values are told, and so much of each.
_MOST_PARTS, _MOST_PART = 5, 40


def describe_csv(path: Path) -> tuple[Any, list[Array]]:
    """A table with a head, its columns parted by commas, semicolons or tabs.

    Returns:
        {"names": of labels that are words all there are, "parts": a column that parts the rows and up to five of
        its values, or nothing}, the labels or their places among the names int64[N], and the
        files' names as the table has them, each ended by a zero: uint8[bytes].
    Raises:
        DatasetError: it is too large, no text, or has no such columns.
    """
    with opened(path, "table") as stream:
        content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DatasetError(f"{path}: has more than {_MOST_BYTES:,} bytes; a table of files and labels was "
                               "expected.")
        try:
            rows, parts = _rows(content.decode("utf-8-sig"), path)
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: isn't text in UTF-8. Save the table again as CSV in UTF-8.") from error
        except csv.Error as error:
            raise ValueError(str(error)) from error
    if not rows:
        raise DatasetError(f"{path}: its table has no rows below the head. A row for each picture was expected.")
    labels: list[Label] = [label for _, label in rows]
    if all(isinstance(label, str) and label.isdecimal() and len(label) < 10 for label in labels):
        labels = [int(label) for label in labels]
    names, numbers = numbered(labels, path)
    packed = "".join(f"{file}\0" for file, _ in rows).encode("utf-8")
    return {"names": names, "parts": parts}, [numbers, np.frombuffer(packed, np.uint8)]


def _rows(text: str, path: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """The file's name and the label of each row; a column that parts them, and its values."""
    head = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count), strict=True)
    columns = [name.strip().lower() for name in next(table, [])]
    found = [next((columns.index(name) for name in names if name in columns), None) for names in (_FILES, _LABELS)]
    file, label = found
    if file is None or label is None:
        raise DatasetError(f"{path}: a table with the columns 'file' and 'label' was expected; found "
                           f"{', '.join(columns[:8])[:200] or 'nothing'}. Name the columns so in its first line.")
    rows: list[tuple[str, str]] = []
    parting = next((place for place, name in enumerate(columns) if name in _PARTS and place != label), None)
    parts = set[str]()
    for row in table:
        if not row:
            continue
        if len(row) <= max(file, label):
            raise DatasetError(f"{path}: line {table.line_num} has {len(row)} columns; {len(columns)} were expected. "
                               "Mend the table.")
        name = row[file].strip()
        if not name or "\0" in name or len(name) > _MOST_NAME:
            raise DatasetError(f"{path}: line {table.line_num} names no file. Mend the table.")
        if len(rows) == MOST_ENTRIES:
            raise DatasetError(f"{path}: lists more than {MOST_ENTRIES:,} pictures, more than a set may have. Choose a "
                               "part of them.")
        rows.append((name, row[label].strip()))
        if parting is not None and parting < len(row) and len(parts) < _MOST_PARTS:
            parts.add(row[parting].strip()[:_MOST_PART])
    return rows, [columns[parting], *sorted(parts)] if parting is not None and len(parts) > 1 else []
