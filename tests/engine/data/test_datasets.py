"""Data sets of every layout give the same images and labels, piece by piece."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.data.datasets import Dataset, open_dataset
from engine.data.fingerprints import Fingerprints
from engine.data.preprocessing import KNOWN
from engine.data.sources.readers import Hdf5Reader, ReadSlice
from engine.errors import Cancelled, DatasetError
from engine.looking.inspection import describe_dataset, open_any_dataset
from engine.progress import CancelSource
from tests.support.foreign_sets import write_tar
from tests.support.networks import HEIGHT, LABELS, WIDTH, Array, random_images

SHAPE = (HEIGHT, WIDTH, 3)
COUNT = 23
IMAGES = random_images(COUNT, seed=2)
TRUTH = np.random.default_rng(7).integers(0, LABELS, COUNT)


def write_hdf5(path: Path, data: Array, labels: Array, keys: tuple[str, str] = ("data", "label"), **more: str) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(keys[0], data=data, **more)
        file[keys[1]] = labels
    return path


def write_folder(path: Path, images: Array, labels: Array) -> Path:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = path / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze().astype(np.uint8)).save(folder / f"{number:03}.png")
    return path


def npz(path: Path, **arrays: Array) -> Path:
    np.savez(path, **arrays)
    return path


CHANNELS_FIRST = IMAGES.transpose(0, 3, 1, 2)
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "the lab's": lambda p: write_hdf5(p / "d.h5", CHANNELS_FIRST.astype(np.uint8), TRUTH.astype(np.float64)),
    "channels last": lambda p: write_hdf5(p / "d.h5", IMAGES.astype(np.uint8), TRUTH),
    "float32": lambda p: write_hdf5(p / "d.h5", IMAGES.astype(np.float32), TRUTH.astype(np.uint8)),
    "float64, channels first": lambda p: write_hdf5(p / "d.h5", CHANNELS_FIRST.astype(np.float64), TRUTH),
    "int16": lambda p: write_hdf5(p / "d.h5", IMAGES.astype(np.int16), TRUTH.astype(">i4")),
    "one-hot": lambda p: write_hdf5(p / "d.h5", IMAGES, np.eye(LABELS)[TRUTH]),
    "labels in a column": lambda p: write_hdf5(p / "d.h5", IMAGES, TRUTH[:, np.newaxis].astype(np.float32)),
    "compressed": lambda p: write_hdf5(p / "d.h5", IMAGES.astype(np.uint8), TRUTH, compression="gzip"),
    "other names": lambda p: write_hdf5(p / "d.h5", IMAGES.astype(np.uint8), TRUTH, ("images", "labels")),
    "another ending": lambda p: write_hdf5(p / "d.mat", IMAGES.astype(np.uint8), TRUTH),
    "npz": lambda p: npz(p / "d.npz", data=CHANNELS_FIRST.astype(np.uint8), label=TRUTH),
    "npz, names of Keras": lambda p: npz(p / "d.npz", x_test=IMAGES.astype(np.uint8), y_test=TRUTH),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [1, 7, COUNT, 100])
def test_every_layout_gives_the_same(layout: str, size: int, tmp_path: Path) -> None:
    dataset = open_dataset(LAYOUTS[layout](tmp_path), SHAPE, LABELS)
    chunks = list(dataset.chunks(size))
    assert len(dataset) == COUNT and dataset.image_shape == SHAPE and dataset.name == "d"
    assert [c.start for c in chunks] == list(range(0, COUNT, size))
    assert all(c.images.dtype == np.float32 and len(c.images) <= size for c in chunks)
    np.testing.assert_array_equal(np.concatenate([c.images for c in chunks]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([c.labels for c in chunks]), TRUTH)
    np.testing.assert_array_equal(dataset.labels, TRUTH)


@pytest.mark.parametrize("layout", ["the lab's", "npz"])
def test_single_images_by_number(layout: str, tmp_path: Path) -> None:
    dataset = open_dataset(LAYOUTS[layout](tmp_path), SHAPE)
    wanted = [5, 0, 22, 5, 13]
    np.testing.assert_array_equal(dataset.take(wanted), IMAGES[wanted])
    assert dataset.take([]).shape == (0, *SHAPE)
    (chunk, *rest) = dataset.chunks(10, [3, 4, 20])
    np.testing.assert_array_equal(chunk.labels, TRUTH[[3, 4, 20]])
    assert not rest


@pytest.mark.parametrize("stored", [(COUNT, HEIGHT, WIDTH), (COUNT, HEIGHT, WIDTH, 1), (COUNT, 1, HEIGHT, WIDTH)])
def test_grey_images(stored: tuple[int, ...], tmp_path: Path) -> None:
    grey = IMAGES[..., :1]
    path = write_hdf5(tmp_path / "d.h5", grey.reshape(stored).astype(np.uint8), TRUTH)
    (chunk,) = open_dataset(path, (HEIGHT, WIDTH, 1)).chunks(COUNT)
    np.testing.assert_array_equal(chunk.images, grey)


def test_scaling_is_a_factor_on_what_is_read(tmp_path: Path) -> None:
    dataset = open_dataset(LAYOUTS["the lab's"](tmp_path), SHAPE)
    (chunk,) = dataset.prepared(KNOWN["255"]).chunks(COUNT)
    np.testing.assert_allclose(chunk.images, IMAGES / 255, rtol=1e-6)
    np.testing.assert_array_equal(next(dataset.chunks(COUNT)).images, IMAGES)


@pytest.mark.parametrize(("names", "labels"), [
    (["0", "2", "10"], [0, 2, 10]), (["anna", "berta", "carl"], [0, 1, 2]), (["007", "3", "x"], [0, 1, 2])])
def test_sub_folders_are_labels(names: list[str], labels: list[int], tmp_path: Path) -> None:
    shades = {}
    for number, name in enumerate(names):
        (tmp_path / "faces" / name).mkdir(parents=True)
        shades[labels[number]] = 10 * number + 5
        for copy in range(2):
            Image.new("RGB", (WIDTH, HEIGHT), (10 * number + 5,) * 3).save(tmp_path / "faces" / name / f"{copy}.png")
    (tmp_path / "faces" / ".hidden").mkdir()
    dataset = open_dataset(tmp_path / "faces", SHAPE)
    (chunk,) = dataset.chunks(10)
    assert sorted(chunk.labels.tolist()) == sorted(2 * labels)
    assert [image.mean() for image in chunk.images] == [shades[label] for label in chunk.labels]


def test_pictures_of_a_folder_are_fitted(tmp_path: Path) -> None:
    folder = tmp_path / "faces" / "1"
    folder.mkdir(parents=True)
    Image.new("RGB", (5 * WIDTH, 4 * HEIGHT), "red").save(folder / "a.jpg", quality=95)
    Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0)).save(folder / "b.png")
    Image.new("L", (WIDTH, HEIGHT), 77).save(folder / "c.bmp")
    wide = np.zeros((HEIGHT, 3 * WIDTH, 3), np.uint8)
    wide[:, WIDTH:2 * WIDTH] = 200
    Image.fromarray(wide).save(folder / "d.png")
    (chunk,) = open_dataset(tmp_path / "faces", SHAPE).chunks(10)
    assert chunk.images.shape == (4, *SHAPE)
    red, clear, grey, middle = chunk.images
    assert red[..., 0].min() > 240 and red[..., 1:].max() < 15
    assert (clear == 255).all()  # what is transparent shows white
    assert (grey == 77).all()
    assert (middle == 200).all()  # cropped around the centre


def test_a_file_that_changes_in_use_is_noticed(tmp_path: Path) -> None:
    path = LAYOUTS["the lab's"](tmp_path)
    dataset = open_dataset(path, SHAPE)
    write_hdf5(path, IMAGES[:5].astype(np.float64), TRUTH[:5])
    with pytest.raises(DatasetError, match=r"d\.h5: was changed"):
        list(dataset.chunks(4))


def test_a_folder_that_is_looked_at_in_use_goes_on(tmp_path: Path) -> None:
    """Finder and Explorer write files of their own into it."""
    (tmp_path / "faces" / "1").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "faces" / "1" / "a.png")
    dataset = open_dataset(tmp_path / "faces", SHAPE)
    os.utime(tmp_path / "faces", ns=(1, 1))
    for name in (".DS_Store", "Thumbs.db"):
        (tmp_path / "faces" / name).write_bytes(b"view")
    assert dataset.take([0]).shape == (1, *SHAPE)
    shutil.rmtree(tmp_path / "faces")
    with pytest.raises(DatasetError, match="faces: was removed while it was in use"):
        dataset.take([0])


def test_sub_folders_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("1", "01", "2"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "faces" / name / "a.png")
    with pytest.raises(DatasetError, match="faces: its sub-folders 01 and 1 both stand for label 1"):
        open_dataset(tmp_path / "faces", SHAPE)


@pytest.mark.parametrize("colours", [2, 4])
def test_what_no_picture_can_be_made_into_is_said(colours: int, tmp_path: Path) -> None:
    (tmp_path / "faces" / "1").mkdir(parents=True)
    Image.new("RGBA", (WIDTH, HEIGHT), "red").save(tmp_path / "faces" / "1" / "a.png")
    for path in (tmp_path / "faces", write_tar(tmp_path / "faces.tar", np.zeros((1, HEIGHT, WIDTH, 3), np.uint8), [1])):
        with pytest.raises(DatasetError, match=f"3 colour channels or 1 of grey, but the network takes {colours}"):
            open_dataset(path, (HEIGHT, WIDTH, colours))


def test_the_image_with_nan_is_named(tmp_path: Path) -> None:
    images = IMAGES.copy()
    images[17, 0, 0, 0] = np.inf
    dataset = open_dataset(write_hdf5(tmp_path / "d.h5", images, TRUTH), SHAPE)
    with pytest.raises(DatasetError, match="image 17 "):
        list(dataset.chunks(5))


def test_never_more_than_a_chunk_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    watch_reading(monkeypatch, asked)
    list(open_dataset(LAYOUTS["the lab's"](tmp_path), SHAPE).chunks(6))
    assert asked == [(0, 6), (6, 12), (12, 18), (18, 23)]


def watch_reading(monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, int]]) -> None:
    """Write down which images are read from HDF5 files."""
    original = Hdf5Reader.open

    @contextmanager
    def watched(self: Hdf5Reader) -> Iterator[ReadSlice]:
        with original(self) as read:
            def note(start: int, stop: int) -> Array:
                asked.append((start, stop))
                return read(start, stop)
            yield note

    monkeypatch.setattr(Hdf5Reader, "open", watched)


def test_sha256_is_that_of_the_file_or_of_all_pictures(tmp_path: Path) -> None:
    path = LAYOUTS["the lab's"](tmp_path)
    assert open_dataset(path).sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    folder = write_folder(tmp_path / "faces", IMAGES[:4], np.array([1, 0, 1, 0]))
    whole = b"".join((folder / name).read_bytes() for name in ("0/001.png", "0/003.png", "1/000.png", "1/002.png"))
    labelled = "\0".join([hashlib.sha256(whole).hexdigest(), "0", "0", "1", "1"])
    assert open_dataset(folder).sha256() == hashlib.sha256(labelled.encode()).hexdigest()
    known = (open_dataset(folder).sha256(), hashlib.sha256(whole).hexdigest())  # that of this version, of those before
    assert all(open_dataset(folder).is_as_it_was(sha256) for sha256 in known)
    (folder / "1").rename(folder / "2")
    assert not open_dataset(folder).is_as_it_was(known[0])
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        open_dataset(folder).sha256(source.token)


@pytest.mark.parametrize("layout", ["the lab's", "float32", "npz"])
def test_a_description_needs_no_network(layout: str, tmp_path: Path) -> None:
    found = describe_dataset(open_any_dataset(LAYOUTS[layout](tmp_path)))
    assert (found.images, found.image_shape) == (COUNT, SHAPE)
    assert (found.lowest_label, found.highest_label) == (TRUTH.min(), TRUTH.max())
    assert found.labels == len(set(TRUTH.tolist()))
    assert found.value_range == (IMAGES.min(), IMAGES.max())


def test_the_layout_is_told_by_the_network(tmp_path: Path) -> None:
    """Three rows or three channels? The network's input decides."""
    stored = np.arange(2 * 3 * 5 * 3, dtype=np.float32).reshape(2, 3, 5, 3)
    path = write_hdf5(tmp_path / "d.h5", stored, np.zeros(2))

    def read(shape: tuple[int, int, int]) -> Array:
        dataset: Dataset = open_dataset(path, shape)
        return next(dataset.chunks(2)).images

    np.testing.assert_array_equal(read((3, 5, 3)), stored)
    np.testing.assert_array_equal(read((5, 3, 3)), stored.transpose(0, 2, 3, 1))


def test_fingerprints_are_noted_while_others_read(tmp_path: Path) -> None:
    """Equal images are known again in another set, layout, type and order; one changed value makes another image."""
    dice = np.random.default_rng(5)
    images = dice.integers(0, 256, (50, 9, 7, 3)).astype(np.uint8)
    np.savez(tmp_path / "one.npz", data=images, label=np.arange(50))
    changed = images[::-1].astype(np.float32).transpose(0, 3, 1, 2).copy()
    changed[0, 2, 8, 6] += 1
    changed[changed == 0] = -0.0
    np.savez(tmp_path / "two.npz", data=changed, label=np.arange(50))
    one, two = (Fingerprints(open_dataset(tmp_path / name, (9, 7, 3))) for name in ("one.npz", "two.npz"))
    for size in (3, 50):
        list(one.dataset.chunks(size, span=(10, 40)))
    first = one.complete()
    assert len(np.unique(first)) == 50
    assert np.isin(two.complete(), first).tolist() == [False] + [True] * 49


def test_an_archive_without_images_is_no_attack(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", data=np.zeros((0, 8, 8, 3), np.uint8), label=np.zeros(0, np.int64))
    with pytest.raises(DatasetError, match="found none"):
        open_dataset(tmp_path / "none.npz")


@pytest.mark.parametrize(("name", "content", "kind"), [
    ("face.png", b"\x89PNG\r\n\x1a\n", "a PNG picture"), ("notes.txt", b"to do", "text"),
    ("clean.h5", b"\0" * 600, "a file of another kind")])
def test_a_file_that_is_no_data_set_is_called_what_it_is(name: str, content: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as raised:
        open_dataset(tmp_path / name)
    said = str(raised.value)
    assert f"{name}: is no data set, it is {kind}. Choose " in said and "signature" not in said
