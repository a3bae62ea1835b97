"""Every file that ever made the program fail, read again in every way: a sentence that names it, or success.

tests/data/corpus has a folder for each kind of file. One that is larger than 50 kB is made here, by a recipe.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.errors import EngineError
from engine.looking.inspection import DatasetDescription, inspect
from engine.quarantine.client import READER
from tests.support.fuzz import reading
from tests.support.fuzz.reading import Way, command_line
from tests.support.networks import random_images, save_lab_file
from tests.support.places import PROJECT

CORPUS = PROJECT / "tests" / "data" / "corpus"
MOST_BYTES = 50_000

_INSPECT = (command_line("inspect", "FILE"), command_line("inspect", "FILE", "--json"))
_COMPARE = command_line("compare", "FOLDER", "FOLDER", "--json")
# Under which name a kind is read, if not under its own, and how.
KINDS: dict[str, tuple[str, tuple[Way, ...]]] = {
    "data": ("", (reading.stream, reading.look_at_data, *_INSPECT)),
    "model": ("", (reading.describe, reading.look_at_model, *_INSPECT)),
    "guard": ("guard.npz", (reading.guard,)),
    "run": ("run.json", (reading.reopen, reading.list_run, reading.order, _COMPARE)),
    "pair": ("goodnet.json", (reading.notes,)),
    "project": ("", (reading.project, reading.open_project, command_line("prune", "--project", "FILE"))),
    "names": ("", (reading.classes,)),
    "picture": ("", (reading.picture, reading.original)),
}
FILES = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*"))


def short_block(path: Path) -> None:
    """A block of 40 MB that unpacks to 100 bytes: reading it as declared goes beyond all memory."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (40, 1000, 1000, 1), np.uint8, chunks=(40, 1000, 1000, 1),
                                   compression="gzip")
        data.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(np.random.default_rng(0).bytes(36_400), 0))
        file["label"] = np.zeros(40)


def endless_words(path: Path) -> None:
    """A store of words in a model whose second entry has no length, so that the library never gets past it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}" * 40
        file.attrs["layer_names"] = np.array([b"a"])
        file["model_weights/a"] = np.ones(20_000, np.float32)
    content = bytearray(path.read_bytes())
    store = content.index(b"GCOL")
    first = int.from_bytes(content[store + 24:store + 32], "little")
    free = store + 32 + (first + 7) // 8 * 8
    content[free:free + 16] = bytes(16)
    path.write_bytes(content)


def comments(path: Path) -> None:
    """A picture in plain text with 20 million comments among its pixels."""
    path.write_bytes(b"P3\n30 20\n255\n" + b"1 2 3\n" * 300 + b"#\n" * 20_000_000)


def labels(path: Path) -> None:
    """Labels of one gigabyte, which take no room on the disk."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    with h5py.File(path, "w") as file:
        for name, kind, shape in ((b"data", h5py.h5t.NATIVE_UINT8, (1 << 27, 1, 1, 3)),
                                  (b"label", h5py.h5t.NATIVE_INT64, (1 << 27,))):
            h5py.h5d.create(file.id, name, kind, h5py.h5s.create_simple(shape), plist)
    assert path.stat().st_size > 1 << 30


def names(path: Path) -> None:
    """Names of labels of one gigabyte."""
    with path.open("wb") as stream:
        stream.truncate(1 << 30)


RECIPES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "short_in.h5": ("data", short_block), "endless_words.h5": ("model", endless_words),
    "comments.ppm": ("picture", comments), "labels.h5": ("data", labels), "names.txt": ("names", names)}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_failed_once_is_a_sentence_or_opens(name: str, tmp_path: Path) -> None:
    kind, _, own = name.partition("/")
    path = tmp_path / (KINDS[kind][0] or own)
    shutil.copy(CORPUS / name, path)
    assert path.stat().st_size <= MOST_BYTES, "describe it by a recipe"
    replay(path, kind)


@pytest.mark.parametrize("name", RECIPES)
def test_so_is_one_that_a_recipe_makes(name: str, tmp_path: Path) -> None:
    kind, make = RECIPES[name]
    make(tmp_path / name)
    assert replay(tmp_path / name, kind), "the recipe makes a file that opens"


def replay(path: Path, kind: str) -> list[str]:
    """Read a file in all ways of its kind; the sentences that came of it. The next file opens all the same."""
    said = []
    before = [(p, p.stat().st_size, p.stat().st_mtime_ns) for p in path.parent.iterdir()]
    for way in KINDS[kind][1]:
        try:
            way(path)
        except EngineError as error:
            said.append(str(error))
    assert [(p, p.stat().st_size, p.stat().st_mtime_ns) for p in path.parent.iterdir()] == before
    for sentence in said:
        assert str(path.parent) in sentence and sentence.endswith((".", "?")) and "Traceback" not in sentence
    sound = save_lab_file(path.with_name("sound.h5"), random_images(4).astype(np.uint8), np.arange(4))
    assert isinstance(inspect(sound), DatasetDescription) and READER.process_id
    return said
