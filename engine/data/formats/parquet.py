"""Parquet with pictures, as Hugging Face lays data sets out: a column of pictures' bytes, a column of labels.

pyarrow reads it, an optional package of a hundred megabytes.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.array_files import Array
from engine.data.labels import class_names, numbered
from engine.errors import DatasetError, in_short
from engine.files.existing import check_is_file
from engine.files.parsing.decoding import picture_in

Pictures = Generator[Array | None, list[Any], None]

PACKAGE = "pyarrow==26.0.1"
_IMAGES, _LABELS = ("image", "img", "picture", "bytes"), ("label", "labels", "fine_label", "class", "target")
_AT_ONCE, _BUFFER_BYTES = 16, 1 << 18


def describe_parquet(path: Path) -> tuple[Any, list[Array]]:
    """As places.describe_tar; a picture's place is its row group and its row in there. "classes" are what label numbers
    are called, where the file says so.

    Raises:
        DatasetError: pyarrow isn't installed, the file is damaged, or has no such columns.
    """
    with _opened(path) as file:
        _, label = _columns(file, path)
        classes = _class_names(file.schema_arrow.metadata, label)
        labels = [value for batch in file.iter_batches(columns=[label], use_threads=False)
                  for value in batch.column(0).to_pylist()]
        if any(isinstance(value, bool) or not isinstance(value, int | str) for value in labels):
            raise DatasetError(f"{path}: its column '{label}' holds other things than numbers and text. Save one label "
                               "an image.")
        groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    places = np.array([(group, row) for group, rows in enumerate(groups) for row in range(rows)], np.int64)
    if len(places) != len(labels) or not labels:
        raise DatasetError(f"{path}: holds {len(labels):,} labels for {len(places):,} pictures; one label a picture "
                           "was expected. Save it again.")
    names, numbers = numbered(labels, path)
    return {"names": names, "classes": [] if names else classes}, [numbers, places]


def parquet_pictures(path: Path) -> Pictures:
    """A stream of pictures: is sent [what, depth, shape, number, row group, row], see decoding.picture_in.

    Raises:
        DatasetError: what lies there isn't a picture that can be read.
    """
    with _opened(path) as file:
        column, _ = _columns(file, path)
        group, first, batches = -1, 0, iter(())
        rows: list[Any] = []
        found: Array | None = None
        while True:
            what, depth, shape, _, wanted, row = yield found
            if wanted != group or row < first:
                group, first, rows = wanted, 0, []
                batches = file.iter_batches(_AT_ONCE, [group], [column], use_threads=False)
            while row >= first + len(rows):
                first, rows = first + len(rows), _contents(next(batches))
            content = rows[row - first]
            if not content:
                raise DatasetError(f"{path}: row {row:,} of its part {group} holds no bytes of a picture, perhaps the "
                                   "name of a file. Save the data set with its pictures inside.")
            found = picture_in(content, f"{path}: the picture in row {row:,} of part {group}", what, depth, shape)


def _contents(batch: Any) -> list[Any]:
    column = batch.column(0)
    return list((column.field("bytes") if column.type.num_fields else column).to_pylist())


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    check_is_file(path, DatasetError)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DatasetError(f"{path}: is a Parquet file, which needs the package pyarrow, and that isn't installed. "
                           f"Install it (pip install {PACKAGE}), or save the pictures as a folder with one sub-folder "
                           "a label.") from error
    try:
        pyarrow.set_cpu_count(1)
        pyarrow.set_io_thread_count(1)
        with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            yield file
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, MemoryError,
            OverflowError, RuntimeError, StopIteration) as error:
        raise DatasetError(f"{path}: the Parquet file is damaged ({in_short(error)}). Copy it again from its source.") \
            from error


def _class_names(notes: dict[bytes, bytes] | None, label: str) -> list[str]:
    """What the numbers in the column of labels are called, where Hugging Face's library wrote it beside them."""
    try:
        feature = json.loads((notes or {})[b"huggingface"])["info"]["features"][label]
        return list(class_names(feature["names"])) if feature["_type"] == "ClassLabel" else []
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _columns(file: Any, path: Path) -> tuple[str, str]:
    """The columns of the pictures' bytes, in pyarrow's dotted form, and of the labels."""
    schema = file.schema_arrow
    leaves = {name.partition(".")[0]: name for name in
              (file.schema.column(i).path for i in range(len(file.schema.names)))
              if "." not in name or name.endswith(".bytes")}
    image = next((leaves[name] for name in _IMAGES if name in leaves), None)
    label = next((name for name in _LABELS if name in schema.names), None)
    if image is None or label is None:
        raise DatasetError(f"{path}: a column '{_IMAGES[0]}' with pictures and a column '{_LABELS[0]}' were expected; "
                           f"found {', '.join(schema.names[:8]) or 'none'}. Save it with these columns.")
    return image, label
