"""Files of every kind that people bring are parsed in the reader's process: the program's own never calls a parser."""

from __future__ import annotations

import csv
import gzip
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from google.protobuf import message_factory
from PIL import Image
from pyarrow import parquet

from tests.support.fuzz.formats import FORMATS, STRUCTURED, set_up

PARSERS: tuple[tuple[Any, str], ...] = (
    (h5py, "File"), (h5py.h5f, "open"), (zipfile, "ZipFile"), (tarfile, "open"), (gzip, "GzipFile"),
    (gzip, "decompress"),
    (zlib, "decompress"), (zlib, "decompressobj"), (Image, "open"), (csv, "reader"), (onnx, "load"),
    (onnx, "load_from_string"), (parquet, "ParquetFile"), (message_factory, "GetMessageClass"), (np, "load"),
    (np.lib.format, "read_magic"))
# Kinds that differ in what is damaged only, and the program's own JSON, stand out of the way.
KINDS = sorted({FORMATS[name].name + str(len(FORMATS[name].beside)): name for name in STRUCTURED
                if not FORMATS[name].name.endswith((".json", ".goodnet", ".txt"))}.values())


@pytest.mark.parametrize("kind", KINDS)
def test_no_parser_is_called_here(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = set_up(kind, tmp_path)
    path.write_bytes(FORMATS[kind].sample())

    def called(name: str) -> Any:
        return lambda *_, **__: pytest.fail(f"{name} was called in the program's own process")

    for module, name in PARSERS:
        monkeypatch.setattr(module, name, called(f"{module.__name__}.{name}"))
    for way in FORMATS[kind].ways:
        way(path)
