"""Data sets in the files of other programs give the same images and labels as arrays do, piece by piece."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.data.datasets import notices_of, open_dataset
from engine.data.sources.checksums import masked_sum
from engine.data.sources.kinds import files_of, parts_of
from engine.data.sources.listings import lies_elsewhere
from engine.errors import DatasetError
from engine.looking.inspection import describe_dataset, inspect, open_any_dataset
from engine.quarantine.client import READER
from tests.support.deep_pictures import write_png
from tests.support.foreign_sets import write_cifar, write_idx, write_parquet, write_tar, write_tfrecord

COUNT = 37
DICE = np.random.default_rng(3)
IMAGES = DICE.integers(0, 256, (COUNT, 32, 32, 3)).astype(np.uint8)
NUMBERS = [int(n) for n in DICE.integers(0, 10, COUNT)]
WORDS = [f"kind {n}" for n in NUMBERS]


def npy(folder: Path, images: str = "images.npy", labels: str = "labels.npy", stored: Any = IMAGES) -> Path:
    np.save(folder / images, stored)
    np.save(folder / labels, np.array(NUMBERS))
    return folder / images


def mat(folder: Path, images: Any = IMAGES, labels: Any = NUMBERS, **how: Any) -> Path:
    scipy_io: Any = pytest.importorskip("scipy.io")
    variables = {"X": images.transpose(*range(1, images.ndim), 0), "y": np.array(labels)[:, None], "note": "text",
                 "cell": np.array([1, "a"], object)}
    scipy_io.savemat(folder / "d.mat", variables, **how)
    return folder / "d.mat"


def table(folder: Path, labels: list[Any] = NUMBERS, separator: str = ",", head: str = "file{}label") -> Path:
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{number}.png")
    lines = [head.format(separator), *(f"{number}.png{separator}{label}" for number, label in enumerate(labels))]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


FORMATS: dict[str, Callable[[Path], Path]] = {
    "npy": npy, "npy of Keras": lambda p: npy(p, "x_test.npy", "y_test.npy"),
    "npy, channels first": lambda p: npy(p, "data.npy", "label.npy", IMAGES.transpose(0, 3, 1, 2)),
    "CIFAR-10": lambda p: write_cifar(p / "test_batch.bin", IMAGES, NUMBERS),
    "CIFAR-100": lambda p: write_cifar(p / "test.bin", IMAGES, [n // 2 for n in NUMBERS], NUMBERS),
    "mat": mat, "mat, packed": lambda p: mat(p, do_compression=True),
    "tar": lambda p: write_tar(p / "d.tar", IMAGES, NUMBERS),
    "tar, JSON": lambda p: write_tar(p / "d.tar", IMAGES, NUMBERS, "json"),
    "tfrecord": lambda p: write_tfrecord(p / "d.tfrecord", IMAGES, NUMBERS),
    "tfrecord of TFDS": lambda p: write_tfrecord(p / "d.tfrecord-00000-of-00001", IMAGES, NUMBERS, ("image", "label")),
    "tfrecord of pixels": lambda p: write_tfrecord(p / "d.tfrecord", IMAGES, NUMBERS, ("image_raw", "label"),
                                                   encoded=np.ndarray.tobytes),
    "parquet": lambda p: write_parquet(p / "d.parquet", IMAGES, NUMBERS),
    "parquet, several groups": lambda p: write_parquet(p / "d.parquet", IMAGES, NUMBERS, row_group_size=10,
                                                       compression="zstd"),
    "table": table, "table with semicolons": lambda p: table(p, separator=";", head="filename{}class") / "labels.csv",
}
WITH_WORDS: dict[str, Callable[[Path], Path]] = {
    "tar": lambda p: write_tar(p / "d.tar", IMAGES, WORDS), "table": lambda p: table(p, WORDS),
    "tar, JSON": lambda p: write_tar(p / "d.tar", IMAGES, WORDS, "json"),
    "tfrecord": lambda p: write_tfrecord(p / "d.tfrecord", IMAGES, WORDS),
    "parquet": lambda p: write_parquet(p / "d.parquet", IMAGES, WORDS),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same(kind: str, tmp_path: Path) -> None:
    dataset = open_any_dataset(FORMATS[kind](tmp_path))
    assert dataset.labels.tolist() == NUMBERS and dataset.image_shape == (32, 32, 3)
    for size in (5, COUNT):
        np.testing.assert_array_equal(np.concatenate([c.images for c in dataset.chunks(size)]), IMAGES)
    wanted = [30, 2, 36, 11]
    np.testing.assert_array_equal(dataset.take(wanted), IMAGES[wanted])


@pytest.mark.parametrize("kind", WITH_WORDS)
def test_words_are_names(kind: str, tmp_path: Path) -> None:
    dataset = open_any_dataset(WITH_WORDS[kind](tmp_path))
    assert dataset.label_names == tuple(sorted(set(WORDS))) and dataset.names_are == "text labels"
    assert [dataset.label_names[label] for label in dataset.labels] == WORDS


@pytest.mark.parametrize("kind", ["tar", "tfrecord", "parquet", "table"])
def test_packed_pictures_are_fitted_to_the_network(kind: str, tmp_path: Path) -> None:
    dataset = open_dataset(FORMATS[kind](tmp_path), (16, 20, 1))
    assert next(dataset.chunks(3)).images.shape == (3, 16, 20, 1)


def test_a_parquet_label_beyond_all_whole_numbers_is_no_attack(tmp_path: Path) -> None:
    write_parquet(tmp_path / "d.parquet", IMAGES[:2], np.array([1, 2**63], np.uint64))
    with pytest.raises(DatasetError, match=r"d\.parquet: holds labels that aren't whole numbers"):
        open_any_dataset(tmp_path / "d.parquet")


@pytest.mark.parametrize("packed", [False, True])
def test_idx_as_mnist_has_it(packed: bool, tmp_path: Path) -> None:
    ending = ".gz" if packed else ""
    grey = IMAGES[..., 0]
    path = write_idx(tmp_path / f"t10k-images-idx3-ubyte{ending}", grey, packed=packed)
    with pytest.raises(DatasetError, match=r"holds images without labels.*t10k-labels-idx1-ubyte"):
        open_any_dataset(path)
    write_idx(tmp_path / f"t10k-labels-idx1-ubyte{ending}", np.array(NUMBERS), packed=packed)
    dataset = open_dataset(path, (32, 32, 1), 10)
    assert dataset.labels.tolist() == NUMBERS
    np.testing.assert_array_equal(np.concatenate([c.images for c in dataset.chunks(8)])[..., 0], grey)
    np.testing.assert_array_equal(dataset.take([20, 3])[..., 0], grey[[20, 3]])


def test_svhns_label_10_is_its_digit_0(tmp_path: Path) -> None:
    stored = [n or 10 for n in NUMBERS]
    dataset = open_dataset(mat(tmp_path, labels=stored), (32, 32, 3), 10)
    assert dataset.labels.tolist() == NUMBERS
    assert open_any_dataset(tmp_path / "d.mat").labels.tolist() == stored, "no network says what 10 is"
    assert ["10 stands for the digit 0" in f.sentence for f in describe_dataset(dataset).findings
            if "digit" in f.sentence] == [True]


@pytest.mark.parametrize(("stored", "network", "read"), [
    ([10], 10, [0]), ([10], 43, [10]), ([3, 10], 10, [3, 0]), ([3, 10], 43, [3, 10]), ([1, 10], 11, [1, 10]),
    (range(1, 11), 11, range(1, 11)), ([3, 9], 10, [3, 9]), ([0, 9], 10, [0, 9]), ([10], 9, None), ([0, 10], 10, None)])
def test_which_label_10_is_is_told_by_the_network_alone(
    stored: Sequence[int], network: int, read: Sequence[int] | None, tmp_path: Path,
) -> None:
    """So a poisoned file of one label is read as the clean one beside it; 10 of 43 traffic signs is no digit 0."""
    path = mat(tmp_path, labels=[stored[i % len(stored)] for i in range(COUNT)])
    if read is None:
        with pytest.raises(DatasetError, match="holds the label 10"):
            open_dataset(path, (32, 32, 3), network)
        return
    opened = open_dataset(path, (32, 32, 3), network)
    assert opened.labels.tolist() == [read[i % len(read)] for i in range(COUNT)]
    told = notices_of([opened, opened])
    assert len(told) == (max(stored) == 10)
    assert all(notice.startswith("d.mat: The pictures are 32 x 32") for notice in told)


def test_grey_images_of_matlab(tmp_path: Path) -> None:
    dataset = open_dataset(mat(tmp_path, IMAGES[..., 1]), (32, 32, 1))
    np.testing.assert_array_equal(dataset.take([4, 9])[..., 0], IMAGES[[4, 9], :, :, 1])


def test_a_table_finds_pictures_in_a_sub_folder_and_without_ending(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for number in range(3):
        Image.fromarray(IMAGES[number]).save(tmp_path / "train" / f"ISIC_{number}.png")
    (tmp_path / "truth.csv").write_text("image_id,target\nISIC_2,1\nISIC_0,0\n", encoding="utf-8")
    dataset = open_any_dataset(tmp_path)
    assert dataset.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(dataset.take([0, 1]), IMAGES[[2, 0]])


@pytest.mark.parametrize(("column", "values", "told"), [
    ("split", ["test", "train", "test"], "The column 'split' of truth.csv tells test, train apart: all its rows were"),
    ("poisoned", ["0", "1", "1"], "The column 'poisoned' of truth.csv tells 0, 1 apart"),
    ("split", ["test", "test", "test"], None), ("size", ["1", "2", "3"], None)])
def test_a_column_that_parts_a_table_is_told_of(
    column: str, values: list[str], told: str | None, tmp_path: Path,
) -> None:
    rows = [f"{number}.png,{number % 2},{value}" for number, value in enumerate(values)]
    for number in range(3):
        Image.fromarray(IMAGES[number]).save(tmp_path / f"{number}.png")
    (tmp_path / "truth.csv").write_text("\n".join([f"file,label,{column}", *rows]), encoding="utf-8")
    dataset = open_any_dataset(tmp_path)
    assert len(dataset) == 3
    assert [note.startswith(told or "-") for note in dataset.notes] == [True] * (told is not None)


def test_a_table_beside_sub_folders_is_told_of_and_so_are_files_of_other_endings(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(IMAGES[0]).save(tmp_path / name / "a.png")
        (tmp_path / name / "b.heic").write_bytes(b"heic")
        (tmp_path / name / "a.json").write_text("{}", encoding="utf-8")
    assert open_any_dataset(tmp_path).notes == (
        f"{tmp_path}: 2 files in it weren't looked at, such as cat/b.heic: their names don't end as pictures' do, or "
        "are hidden.",)
    (tmp_path / "labels.csv").write_text("file,label\ncat/a.png,dog\n", encoding="utf-8")
    assert open_any_dataset(tmp_path).notes[1].startswith("Its sub-folders tell the labels; labels.csv beside them ")
    assert open_any_dataset(tmp_path / "labels.csv").label_names == ("dog",)


def test_the_hash_is_that_of_all_files(tmp_path: Path) -> None:
    for kind in ("npy", "table"):
        folder = tmp_path / kind
        folder.mkdir()
        path = FORMATS[kind](folder)
        files = files_of(path)
        assert len(files) == (2 if kind == "npy" else COUNT + 1)
        assert open_any_dataset(path).sha256() == hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def test_packed_pictures_of_12_bits_share_one_depth(tmp_path: Path) -> None:
    deep = DICE.integers(0, 4096, (8, 8)).astype(np.uint16)
    deep[0, 0] = 4095
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        for number, picture in enumerate((deep, deep // 9)):
            content = write_png(tmp_path / "a.png", picture).read_bytes()
            for name, part in ((f"{number}.png", content), (f"{number}.cls", b"1")):
                member = tarfile.TarInfo(name)
                member.size = len(part)
                archive.addfile(member, io.BytesIO(part))
    dataset = open_dataset(tmp_path / "d.tar", (8, 8, 1))
    np.testing.assert_array_equal(dataset.take([0, 1])[..., 0], np.stack([deep, deep // 9]) // 16)
    assert "use 12 of them" in dataset.notes[0]


# One with train, val and test inside


def parted(root: Path, *names: str) -> Path:
    for name in names:
        for label in ("cat", "dog"):
            (root / name / label).mkdir(parents=True)
            Image.fromarray(IMAGES[0]).save(root / name / label / "a.png")
    return root


def test_which_of_several_sets_in_a_folder_is_a_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = parted(tmp_path / "animals", "train", "val", "test")
    assert main(["inspect", str(root)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "holds the data sets test, train and val" in said
    assert f"{root / 'val'} as validation images" in said and f"{root / 'test'} as test images" in said
    assert open_any_dataset(root / "val").label_names == ("cat", "dog")


def test_all_of_several_sets_for_one_use_are_named(tmp_path: Path) -> None:
    root = parted(tmp_path / "animals", "dev", "train", "val")
    assert parts_of(root) == {"train": root / "train", "validation": root / "val", "dev": root / "dev"}
    assert refused(root).endswith(f"Choose one of them: {root / 'val'} as validation images, {root / 'train'} for "
                                  f"training, {root / 'dev'}.")


@pytest.mark.parametrize(("kind", "part"), [("npz", "test"), ("h5", "test"), ("mat", "test"), ("npz", "val")])
def test_of_test_and_training_images_in_one_file_those_taken_are_named(kind: str, part: str, tmp_path: Path) -> None:
    arrays = {"x_train": IMAGES[:8], "y_train": np.array(NUMBERS[:8]), f"x_{part}": IMAGES[8:],
              f"y_{part}": np.array(NUMBERS[8:])}
    path = tmp_path / f"mnist.{kind}"
    for only_test in (False, True):
        held = {name: array for name, array in arrays.items() if not only_test or part in name}
        if kind == "npz":
            np.savez(path, **held)
        elif kind == "h5":
            with h5py.File(path, "w") as file:
                for name, array in held.items():
                    file[name] = array
        else:
            turned = {name: array.transpose(*range(1, array.ndim), 0) for name, array in held.items()}
            pytest.importorskip("scipy.io").savemat(path, turned)
        dataset = open_dataset(path, IMAGES.shape[1:])
        assert dataset.labels.tolist() == list(NUMBERS[8:])
        assert [f"mnist.{kind}: It holds training images (x_train) beside others (x_test or x_val)" in notice
                for notice in notices_of([dataset])] == [True] * (not only_test)


def test_sets_beside_those_of_the_usual_names_are_named_too(tmp_path: Path) -> None:
    root = parted(tmp_path / "animals", "valid", "test", "poisoned")
    (root / "notes").mkdir()
    assert parts_of(root) == {"validation": root / "valid", "test": root / "test", "poisoned": root / "poisoned"}
    assert refused(root).endswith(f"{root / 'test'} as test images, {root / 'poisoned'}.")
    (root / "cat").mkdir()
    Image.fromarray(IMAGES[0]).save(root / "cat" / "a.png")
    assert parts_of(root) == {}


def test_classes_that_are_called_train_or_test_are_classes(tmp_path: Path) -> None:
    for name in ("test", "train"):
        (tmp_path / name).mkdir()
        Image.fromarray(IMAGES[0]).save(tmp_path / name / "a.png")
    assert open_any_dataset(tmp_path).label_names == ("test", "train")


@pytest.mark.parametrize(("kind", "told"), [
    ("npy", "but images.npy. If it is the data set, choose this file"),
    ("npy of Keras", "but x_test.npy. If it"), ("mat", "but d.mat. If it"), ("tar", "but d.tar. If it"),
    ("parquet", "but d.parquet. If it"), ("CIFAR-10", "but test_batch.bin. If it")])
def test_of_a_folder_around_a_data_file_that_file_is_named(kind: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    path = FORMATS[kind](tmp_path / "set")
    (tmp_path / "set" / "notes.txt").write_text("one", encoding="utf-8")
    assert told in refused(tmp_path / "set")
    assert len(open_any_dataset(path)) == COUNT


def test_of_several_data_files_in_a_folder_each_is_named(tmp_path: Path) -> None:
    for name in ("train", "t10k"):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", IMAGES[..., 0])
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", np.array(NUMBERS))
    assert "but t10k-images-idx3-ubyte and train-images-idx3-ubyte. If one of them is the" in refused(tmp_path)
    for name in "abc":
        (tmp_path / f"{name}.h5").touch()
    assert "but a.h5, b.h5, c.h5, t10k-images-idx3-ubyte and others. If one" in refused(tmp_path)


# Hostile and broken ones


def cut(path: Path, share: float = 0.6) -> Path:
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * share)])
    return path


def refused(path: Path) -> str:
    """The sentence with which a set is refused, at its opening or when its images are read."""
    with pytest.raises(DatasetError) as found:
        list(open_any_dataset(path).chunks(COUNT))
    said = str(found.value)
    assert str(path.parent) in said and said.endswith(".") and "\n" not in said and "model" not in said
    return said


@pytest.mark.parametrize("kind", ["npy", "CIFAR-10", "mat", "mat, packed", "tar", "tfrecord", "parquet"])
def test_what_is_cut_off_is_refused(kind: str, tmp_path: Path) -> None:
    assert "damaged" in (said := refused(cut(FORMATS[kind](tmp_path)))) or "isn't one of CIFAR" in said


@pytest.mark.parametrize(("labels", "said"), [
    ([[11]], "holds the label 11; CIFAR-10's labels run from 0 to 9."),
    ([[3], [100]], "holds the label 100; CIFAR-100's labels run from 0 to 99."),
    ([[20], [4]], "holds the label 20; CIFAR-100's coarse ones run from 0 to 19.")])
def test_labels_that_are_none_of_cifar_s_are_named(labels: list[list[int]], said: str, tmp_path: Path) -> None:
    assert said in refused(write_cifar(tmp_path / "b.bin", IMAGES[:2], *([0, *kind] for kind in labels)))


@pytest.mark.parametrize(("labels", "remedy"), [
    ([1, 2, 10], "They seem to count from 1: save them from 0."), ([0, 2, 10], "Choose the data set that"),
    ([1, 2, 11], "Choose the data set that")])
def test_labels_that_count_from_1_are_told(labels: list[int], remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, data=IMAGES[:3], label=np.array(labels))
    with pytest.raises(DatasetError, match=rf"holds the label {labels[-1]}, but .* only\. {remedy}"):
        open_dataset(path, labels=10)


@pytest.mark.parametrize("kind", ["npy", "mat", "tar", "tfrecord", "parquet"])
def test_what_is_wrong_is_said_of_the_data_and_not_of_a_model(kind: str, tmp_path: Path) -> None:
    path = cut(FORMATS[kind](tmp_path))
    with pytest.raises(DatasetError, match="damaged"):
        inspect(path)


@pytest.mark.parametrize("kind", ["npy", "mat, packed", "tar", "tfrecord", "parquet"])
def test_the_reader_outlives_what_it_refuses(kind: str, tmp_path: Path) -> None:
    for name in ("sound", "cut"):
        (tmp_path / name).mkdir()
    sound, damaged = FORMATS[kind](tmp_path / "sound"), cut(FORMATS[kind](tmp_path / "cut"))
    assert len(open_any_dataset(sound)) == COUNT
    reader = READER.process_id
    for _ in range(3):
        refused(damaged)
    assert READER.process_id == reader is not None


@pytest.mark.parametrize("kind", ["npy", "mat, packed", "tar", "tfrecord", "parquet"])
def test_changed_bytes_end_in_a_sentence_or_in_a_sound_set(kind: str, tmp_path: Path) -> None:
    path = FORMATS[kind](tmp_path)
    sound, dice, outcomes = path.read_bytes(), np.random.default_rng(1), set()
    for _ in range(25):
        content = bytearray(sound)
        for at in dice.integers(0, len(sound) // 4, 3):
            content[at] = dice.integers(0, 256)
        path.write_bytes(content)
        try:
            dataset = open_any_dataset(path)
            outcomes.add(len(dataset.take([0, len(dataset) - 1])))
        except DatasetError as error:
            assert str(path.parent) in str(error) and "crashed" not in str(error)
            outcomes.add("refused")
    assert outcomes


def test_labels_of_another_number_are_refused(tmp_path: Path) -> None:
    npy(tmp_path)
    np.save(tmp_path / "labels.npy", np.array(NUMBERS[:-1]))
    assert "one label an image was expected" in refused(tmp_path / "images.npy")
    assert "permute(X, [2 3 4 1])" in refused(mat(tmp_path, labels=NUMBERS[:-1]))


def test_pickles_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": IMAGES, "labels": NUMBERS}))
    assert "runs whatever program code is in it" in refused(tmp_path / "data_batch_1")
    np.save(tmp_path / "images.npy", np.array([{}, {}], object), allow_pickle=True)
    np.save(tmp_path / "labels.npy", np.array([0, 1]))
    assert "pickled objects" in refused(tmp_path / "images.npy")


def test_headers_that_promise_too_much_are_refused(tmp_path: Path) -> None:
    path = npy(tmp_path)
    for name in ("images.npy", "labels.npy"):
        with (tmp_path / name).open("wb") as stream:
            shape = (1 << 40, 8, 8, 3) if name == "images.npy" else (1 << 40,)
            np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    assert "more than memory should hold" in refused(path)
    idx = tmp_path / "images.idx"
    idx.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 1 << 25, 1 << 10, 1 << 10) + bytes(1000)))
    (tmp_path / "labels.idx").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 1 << 25) + bytes(1 << 20)))
    assert "damaged" in refused(idx)


@pytest.mark.parametrize("beginning", [b"\2\0\x76\0", b"\1\0\x30\0", b"\3\0\xff\xff"])
def test_a_header_that_is_no_text_of_numpys_is_refused(beginning: bytes, tmp_path: Path) -> None:
    path = npy(tmp_path)
    path.write_bytes(b"\x93NUMPY" + beginning + path.read_bytes()[10:])
    assert "the NumPy array is damaged" in refused(path)


def test_labels_of_few_bytes_that_become_gigabytes_are_refused(tmp_path: Path) -> None:
    """A byte each as stored, of eight bytes each as they are used; packed, the file has 65 kB."""
    count = 1 << 26
    (tmp_path / "images.gz").write_bytes(gzip.compress(struct.pack(">HBB4I", 0, 8, 4, count, 1, 1, 3)))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, count) + bytes(count), 1))
    assert "more than memory should hold" in refused(tmp_path / "images.gz")


def test_a_mat_whose_numbers_unpack_to_more_is_read_no_further(tmp_path: Path) -> None:
    """Two gigabytes of zeros, packed, behind the labels' element: only what the shapes say is unpacked."""
    import zlib
    path = mat(tmp_path, do_compression=True)
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(128)) + packer.flush()
    path.write_bytes(path.read_bytes() + struct.pack("<II", 15, len(bomb)) + bomb)
    said = refused_or_sound(path)
    assert said == "sound" or "damaged" in said


def refused_or_sound(path: Path) -> str:
    try:
        list(open_any_dataset(path).chunks(COUNT))
    except DatasetError as error:
        return str(error)
    return "sound"


def test_a_tar_only_gives_files_of_its_own(tmp_path: Path) -> None:
    """A link that stands in a picture's place is no picture."""
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        label = tarfile.TarInfo("a.cls")
        label.size = 1
        archive.addfile(label, io.BytesIO(b"0"))
    assert "holds no pictures with labels" in refused(tmp_path / "d.tar")


@pytest.mark.parametrize("damage", ["a bit of a header", "no header", "one behind the other"])
def test_what_stands_behind_the_end_of_a_tar_s_list_is_told(damage: str, tmp_path: Path) -> None:
    """Python's tarfile ends there in silence."""
    path = write_tar(tmp_path / "d.tar", IMAGES, NUMBERS)
    content = path.read_bytes()
    at, end = content.index(b"set/00003.png"), len(content.rstrip(b"\0"))
    if damage == "one behind the other":
        at = -(-end // 512) * 512
        path.write_bytes(content + content)
    else:
        broken = bytes([content[at] ^ 1]) + content[at + 1:at + 512] if damage == "a bit of a header" else bytes(512)
        path.write_bytes(content[:at] + broken + content[at + 512:])
    assert f"is damaged (its list of files breaks off at byte {at:,}, but it goes on" in refused(path)


def test_a_sample_without_label_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "d.tar", IMAGES[:2], [1, 2], "other")
    assert "'set/00000' has a picture but no label" in refused(path)


def test_records_that_lack_a_picture_say_what_they_hold(tmp_path: Path) -> None:
    path = write_tfrecord(tmp_path / "d.tfrecord", IMAGES[:2], [1, 2], ("photo", "label"))
    assert "has no picture under one of the names image/encoded" in (said := refused(path)) and "photo" in said
    path = write_tfrecord(tmp_path / "e.tfrecord.gz", IMAGES[:2], [1, 2], packed="GZIP")
    assert "gunzip" in refused(path)


def test_gray_pixels_of_a_record_are_a_picture_of_the_size_beside_them(tmp_path: Path) -> None:
    gray = np.random.default_rng(3).integers(256, size=(4, 7, 5, 1), dtype=np.uint8)
    path = write_tfrecord(tmp_path / "d.tfrecord", gray, [1, 0, 2, 1], ("image", "label"), encoded=np.ndarray.tobytes)
    np.testing.assert_array_equal(open_dataset(path, (7, 5, 1)).take([0, 1, 2, 3]), gray)
    cut_off = write_tfrecord(tmp_path / "e.tfrecord", gray, [1, 0, 2, 1], ("image", "label"),
                             encoded=lambda picture: picture.tobytes()[:-1])
    assert "isn't a picture" in refused(cut_off)


def test_a_record_of_absurd_length_is_refused(tmp_path: Path) -> None:
    path = write_tfrecord(tmp_path / "d.tfrecord", IMAGES[:2], [1, 2])
    content = path.read_bytes()
    head = struct.pack("<Q", 1 << 50)
    path.write_bytes(content + head + struct.pack("<I", masked_sum(head)))
    assert f"{1 << 50:,} bytes" in refused(path)


@pytest.mark.parametrize("what", [b"IDAT", b"image/height", b"image/class/label"])
def test_a_record_that_isnt_as_it_was_written_is_named(what: bytes, tmp_path: Path) -> None:
    start = write_tfrecord(tmp_path / "d.tfrecord", IMAGES[:1], [1]).stat().st_size
    path = write_tfrecord(tmp_path / "d.tfrecord", IMAGES[:3], [1, 2, 3])
    content = bytearray(path.read_bytes())
    content[content.index(what, start) + len(what) + 6] ^= 1  # of numbers the value, of pictures some of their bytes
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"d\.tfrecord: .*damaged \(record 1 isn't as it was.* Copy it again from"):
        open_any_dataset(path).take([0, 1, 2])


def test_a_records_sum_is_the_one_that_tensorflow_writes(tmp_path: Path) -> None:
    import tensorflow as tf
    records = [np.random.default_rng(size).bytes(size) for size in (0, 1, 3, 4, 508, 509, 512, 131_068, 400_000)]
    with tf.io.TFRecordWriter(str(tmp_path / "d")) as writer:
        for record in records:
            writer.write(record)
    written = (tmp_path / "d").read_bytes()
    assert written == b"".join(head + struct.pack("<I", masked_sum(head)) + record + struct.pack(
        "<I", masked_sum(record)) for record in records for head in [struct.pack("<Q", len(record))])


def test_a_picture_bomb_inside_is_refused(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        for name, part in (("a.png", bomb.getvalue()), ("a.cls", b"0")):
            member = tarfile.TarInfo(name)
            member.size = len(part)
            archive.addfile(member, io.BytesIO(part))
    assert "absurd number of pixels" in refused(tmp_path / "d.tar")


@pytest.mark.parametrize(("lines", "said"), [
    ("file,label\n../../etc/passwd,1\n", "lies elsewhere"), ("file,label\n/etc/passwd,1\n", "lies elsewhere"),
    ("file,label\nmissing.png,1\n", "no such picture"), ("a,b\n1,2\n", "columns 'file' and 'label'"),
    ("file,label\n0.png\n", "line 2 has 1 columns"), ("file,label\n", "no rows"),
    ('file,label\n"0.png,1\n', "damaged"),
    ("file,label\n" + "0.png,1\n" * 250_001, "lists more than 250,000 pictures")])
def test_tables_that_are_none(lines: str, said: str, tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "labels.csv").write_text(lines, encoding="utf-8")
    assert said in refused(tmp_path / "labels.csv")


@pytest.mark.parametrize("name", ["/x.png", "C:x.png", "C:/x.png", "//host/share/x.png", "a/../../x.png"])
def test_what_leads_elsewhere_on_windows(name: str) -> None:
    assert lies_elsewhere(PureWindowsPath(name)) and not lies_elsewhere(PureWindowsPath("a/x.png"))


def test_without_pyarrow_the_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.data.formats import parquet
    path = write_parquet(tmp_path / "d.parquet", IMAGES[:2], [0, 1])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DatasetError, match=rf"needs the package pyarrow.*pip install {parquet.PACKAGE}"):
        parquet.describe_parquet(path)


def test_inspect_says_what_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, called in (("npy", "NumPy arrays"), ("tar", "WebDataset"), ("table", "folder with a table")):
        folder = tmp_path / kind
        folder.mkdir()
        assert main(["inspect", str(FORMATS[kind](folder)), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["kind"], found["format"], found["images"]) == ("dataset", called, COUNT)


@pytest.mark.parametrize(("classes", "found"), [
    (["fox", "cat", "dog"], ("fox", "cat", "dog")), (["fox", "fox"], ()), ([], ()), ("fox", ()), ([1, 2], ()),
    ({"a": 1}, ()), (["x" * 5000], ())])
def test_names_of_classes_in_parquet(classes: Any, found: tuple[str, ...], tmp_path: Path) -> None:
    """What Hugging Face's library writes beside the columns; whatever else stands there is left alone."""
    dataset = open_dataset(write_parquet(tmp_path / "d.parquet", IMAGES[:3], [0, 1, 2], classes))
    assert dataset.class_names == found and dataset.labels.tolist() == [0, 1, 2] and dataset.label_names == ()


def test_a_note_that_is_no_json_is_left_alone(tmp_path: Path) -> None:
    from pyarrow import parquet
    path = write_parquet(tmp_path / "d.parquet", IMAGES[:3], [0, 1, 2], ["a", "b", "c"])
    table = parquet.read_table(path)
    for note in (b"{", b"[" * 100_000, b"7", b'{"info": 3}'):
        parquet.write_table(table.replace_schema_metadata({b"huggingface": note}), path)
        assert open_dataset(path).class_names == ()
