"""Labels that are text in a data file are names of classes, as sub-folders are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.__main__ import main
from engine.data.datasets import open_dataset
from engine.errors import DatasetError
from engine.looking.inspection import inspect
from tests.support.networks import random_images

IMAGES = random_images(6, seed=4).astype(np.uint8)
WORDS = ["dog", "cat", "bird", "cat", "Émil", "dog"]
SORTED = ("bird", "cat", "dog", "Émil")


def written(path: Path, words: list[Any], kind: str) -> Path:
    """A data set whose labels are words, of variable or fixed length, in HDF5 or a NumPy archive."""
    if kind == "npz":
        np.savez(path.with_suffix(".npz"), data=IMAGES, label=np.array(words))
        return path.with_suffix(".npz")
    with h5py.File(path, "w") as file:
        file["data"] = IMAGES
        if kind == "fixed":
            file["label"] = np.array([word.encode() for word in words])
        else:
            file.create_dataset("label", data=np.array(words, object).reshape((-1, 1) if kind == "column" else -1),
                                dtype=h5py.string_dtype())
    return path


@pytest.mark.parametrize("kind", ["variable", "column", "fixed", "npz"])
def test_words_are_names_of_labels(kind: str, tmp_path: Path) -> None:
    dataset = open_dataset(written(tmp_path / "d.h5", WORDS, kind))
    assert dataset.label_names == SORTED and dataset.names_are == "text labels"
    assert dataset.labels.tolist() == [SORTED.index(word) for word in WORDS]
    classes = ("Émil", "cow", "dog", "cat", "bird")
    assert dataset.named(classes).labels.tolist() == [classes.index(word) for word in WORDS]
    np.testing.assert_array_equal(next(dataset.chunks(6)).images, IMAGES)
    with pytest.raises(DatasetError, match="its text label 'Émil' is none of the network's classes"):
        dataset.named(("bird", "cat", "dog"))


def test_words_that_are_numbers_are_these_numbers(tmp_path: Path) -> None:
    assert open_dataset(written(tmp_path / "d.h5", ["10", "2", "0", "2", "10", "2"], "fixed")).labels.tolist() \
        == [10, 2, 0, 2, 10, 2]


def test_such_a_file_is_said_to_be_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "d.h5", WORDS, "variable")
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["labels"], found["label_names"]) == ("dataset", 4, list(SORTED))


@pytest.mark.parametrize(("words", "said"), [
    ([b"dog"] * 5 + [b"\xff\xfe"], "image 5 isn't text in UTF-8"), ([b"dog"] * 5 + [b""], "image 5 is empty"),
    ([b"dog"] * 5 + [b"x" * 300], "image 5 is too long")])
def test_words_that_are_no_names(words: list[bytes], said: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["data"] = IMAGES
        file["label"] = np.array(words)
    with pytest.raises(DatasetError, match=said) as found:
        open_dataset(tmp_path / "d.h5")
    assert "model" not in str(found.value)


def test_many_long_names_in_another_script_are_read(tmp_path: Path) -> None:
    names = ["\u4e2d" * 60 + f"{number:05}" for number in range(49_000)]
    np.savez(tmp_path / "d.npz", data=np.zeros((len(names), 2, 2, 3), np.uint8), label=np.array(names))
    assert open_dataset(tmp_path / "d.npz").label_names == tuple(names)
    np.savez(tmp_path / "d.npz", data=np.zeros((49_000, 1, 1, 3), np.uint8),
             label=np.array(["\u4e2d" * 195 + name[-5:] for name in names]))
    with pytest.raises(DatasetError, match=r"d\.npz: the names of its labels have more than 15,728,640 bytes"):
        open_dataset(tmp_path / "d.npz")


def test_faults_of_data_files_are_told_in_words_of_data(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["data"] = IMAGES
        file.create_dataset("label", data=np.array(WORDS[:5], object), dtype=h5py.string_dtype())
    with pytest.raises(DatasetError, match="one label an image was expected") as found:
        inspect(tmp_path / "d.h5")
    assert "model" not in str(found.value)


def test_a_store_of_words_that_goes_in_a_circle_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "d.h5", WORDS, "variable")
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 24:heap + 32] = (2 ** 64 - 16).to_bytes(8, "little")  # the first word's length
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="store of words is damaged"):
        open_dataset(path)
