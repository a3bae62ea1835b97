"""The data-set doctor: each fault of a set is found and named with its remedy, and a sound set has none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.data.datasets import Dataset, open_dataset
from engine.data.doctor import Finding, quick_look
from engine.errors import DatasetError
from engine.looking.inspection import describe_dataset
from tests.support.networks import Array, random_images

COUNT, LABELS = 60, 6
IMAGES = random_images(COUNT, seed=9)
NUMBERS = np.arange(COUNT) % LABELS


def dataset(folder: Path, images: Array = IMAGES, labels: Array = NUMBERS, name: str = "d.h5", **how: Any) -> Dataset:
    with h5py.File(folder / name, "w") as file:
        file.create_dataset("data", data=images, **how)
        file["label"] = labels
    return open_dataset(folder / name)


def quick(which: Dataset) -> tuple[Finding, ...]:
    return describe_dataset(which).findings


def only(found: tuple[Finding, ...], level: str, *words: str) -> None:
    """There is one finding, of this level, that says these words and what to do."""
    assert [finding.level for finding in found] == [level], found
    for word in words:
        assert word in found[0].sentence
    assert ": " in found[0].sentence and found[0].sentence.endswith(".")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_sound_set_has_no_findings(dtype: Any, tmp_path: Path) -> None:
    assert quick(dataset(tmp_path, IMAGES.astype(dtype))) == ()


@pytest.mark.parametrize(("images", "level", "words"), [
    (IMAGES / 255, "note", "from 0 to 1"),
    ((IMAGES > 127).astype(np.uint8), "warning", "whole numbers from 0 to 1"),
    (IMAGES / 127.5 - 1, "note", "below 0"),
    (IMAGES.astype(np.uint16) * 257, "warning", "beyond the 255")])
def test_the_range_of_values(images: Array, level: str, words: str, tmp_path: Path) -> None:
    only(quick(dataset(tmp_path, images)), level, words)


def test_a_set_of_one_label_looks_poisoned(tmp_path: Path) -> None:
    only(quick(dataset(tmp_path, labels=np.full(COUNT, 2))), "note", "All its 60 images have the label 2")


def test_one_label_that_weighs_most(tmp_path: Path) -> None:
    labels = np.concatenate([np.arange(30), np.full(30, 7)])
    only(quick(dataset(tmp_path, labels=labels)), "note", "Label 7 has 31 of its 60 images")


def test_constant_images(tmp_path: Path) -> None:
    images = IMAGES.copy()
    images[[3, 40]] = 17
    images[50] = 0
    images[50, 0, 0, 0] = 1
    only(quick(dataset(tmp_path, images)), "warning", "2 of the 60 images")


def test_a_filter_that_is_not_installed(tmp_path: Path) -> None:
    path = tmp_path / "d.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10, *IMAGES.shape[1:]))
        plist.set_filter(32767, h5py.h5z.FLAG_OPTIONAL, (1, 2))
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple(IMAGES.shape), plist)
        for start in range(0, COUNT, 10):
            file["data"].id.write_direct_chunk((start, 0, 0, 0), IMAGES[start:start + 10].tobytes())
        file["label"] = NUMBERS
    with pytest.raises(DatasetError, match=r"d\.h5: 'data' is packed by the filter 32767, .*Save it again with gzip"):
        describe_dataset(open_dataset(path))


def test_inspect_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = dataset(tmp_path, IMAGES / 255).path
    assert main(["inspect", str(path)]) == 0
    assert "\nnote: Its values run from 0 to 1" in capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["level"] == "note" and finding["sentence"].startswith("Its values")


def test_what_a_picture_needs_is_known_before_it_is_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "0"
    folder.mkdir(parents=True)
    Image.new("1", (9000, 8000)).save(folder / "bomb.png")
    assert (folder / "bomb.png").stat().st_size < 100_000
    started = time.process_time()
    with pytest.raises(DatasetError, match=r"bomb\.png: would unpack to"):
        open_dataset(tmp_path / "set")
    assert time.process_time() - started < 5


@pytest.mark.parametrize("how", [{}, {"compression": "gzip"}, {"compression": "gzip", "chunks": (COUNT, 12, 10, 3)},
                                 {"compression": "lzf", "chunks": (7, 5, 10, 2)}], ids=str)
def test_a_sample_is_what_is_stored_however_it_is_packed(how: dict[str, Any], tmp_path: Path) -> None:
    which = dataset(tmp_path, IMAGES.astype(np.uint8), **how)
    for most in (1, 2, 9, 64, 1000):
        numbers = which.sample(most)
        assert numbers == sorted(set(numbers)) and 1 <= len(numbers) <= min(most, COUNT)
        np.testing.assert_array_equal(which.take(numbers), IMAGES[numbers])
    assert {0, COUNT - 1} <= set(which.sample(64)) or how


def test_findings_need_no_more_than_the_images_given(tmp_path: Path) -> None:
    which = dataset(tmp_path, IMAGES / 255)
    which.path.unlink()
    only(quick_look(which, IMAGES[:3].astype(np.float32) / 255), "note", "from 0 to 1")
