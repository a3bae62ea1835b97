"""Files that are one data set in pieces: together they give what one file would, and a missing piece is a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.data.datasets import open_dataset
from engine.data.labels import RECONSTRUCTED
from engine.data.sources.kinds import files_of, parts_of
from engine.data.sources.shards import is_pattern, joined, pattern_of, pieces
from engine.errors import DatasetError
from engine.files.fingerprint import sha256_of
from tests.support.foreign_sets import Pictures, write_cifar, write_parquet, write_tar, write_tfrecord

DICE = np.random.default_rng(5)
IMAGES = DICE.integers(0, 256, (37, 32, 32, 3)).astype(np.uint8)
NUMBERS = [int(n) for n in DICE.integers(0, 10, 37)]
# Unequal parts, one of a single picture.
PARTS = ((0, 10), (10, 11), (11, 30), (30, 37))


def write_h5(path: Path, images: Pictures, labels: Sequence[int | str]) -> Path:
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = images.transpose(0, 3, 1, 2), np.array(labels)
    return path


def write_npz(path: Path, images: Pictures, labels: Sequence[int | str]) -> Path:
    np.savez(path, data=images, label=np.array(labels))
    return path


Writer = Callable[[Path, Pictures, Sequence[int]], Path]
KINDS: dict[str, tuple[Writer, str]] = {
    "tar": (write_tar, "data-{:05}-of-00004.tar"), "tfrecord": (write_tfrecord, "data.tfrecord-{:05}-of-00004"),
    "parquet": (write_parquet, "data-{:05}-of-00004.parquet"), "h5": (write_h5, "data-{:05}-of-00004.h5"),
    "npz": (write_npz, "faces_{:03}.npz"), "CIFAR": (write_cifar, "data_batch_{}.bin"),
    "tar by number": (write_tar, "shard-{:06}.tar")}


def written(kind: str, folder: Path, first: int = 0) -> list[Path]:
    writer, name = KINDS[kind]
    return [writer(folder / name.format(first + number), IMAGES[start:stop], NUMBERS[start:stop])
            for number, (start, stop) in enumerate(PARTS)]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", list(KINDS))
def test_pieces_give_what_one_file_would(kind: str, first: int, tmp_path: Path) -> None:
    files = written(kind, tmp_path, first)
    pattern, = joined([files[2], files[0], files[3], files[1]])
    assert is_pattern(pattern) and pieces(pattern) == files and pattern.parent == tmp_path
    for path in (pattern, tmp_path):
        dataset = open_dataset(path)
        assert len(dataset) == 37 and dataset.labels.tolist() == NUMBERS and "in 4 files" in dataset.format
        assert dataset.image_shape == (32, 32, 3)
        for size in (3, 8, 37):
            read = np.concatenate([chunk.images for chunk in dataset.chunks(size)])
            np.testing.assert_array_equal(read, IMAGES)
        np.testing.assert_array_equal(dataset.take([36, 9, 10, 11, 0]), IMAGES[[36, 9, 10, 11, 0]])
        span = np.concatenate([chunk.images for chunk in dataset.chunks(5, span=(8, 33))])
        np.testing.assert_array_equal(span, IMAGES[8:33])
        assert dataset.sha256() == sha256_of(files) and files_of(path) == files


@pytest.mark.parametrize("marked", [(), (0, 1, 2, 3), (2,)])
def test_a_set_is_reconstructed_where_a_piece_says_so(marked: tuple[int, ...], tmp_path: Path) -> None:
    files = written("h5", tmp_path)
    for number in marked:
        with h5py.File(files[number], "a") as file:
            file[RECONSTRUCTED] = np.uint8(1)
    assert open_dataset(tmp_path / "data-*-of-00004.h5").reconstructed == bool(marked)


def test_names_of_labels_are_those_of_all_pieces(tmp_path: Path) -> None:
    words = [f"kind {number}" for number in NUMBERS]
    for number, (start, stop) in enumerate(PARTS):
        write_tar(tmp_path / f"data-{number:05}-of-00004.tar", IMAGES[start:stop], words[start:stop])
    dataset = open_dataset(tmp_path / "data-*-of-00004.tar")
    assert dataset.label_names == tuple(sorted(set(words)))
    assert [dataset.label_names[label] for label in dataset.labels] == words
    classes = tuple(reversed(dataset.label_names))
    assert [classes[label] for label in dataset.named(classes).labels] == words


def test_a_missing_piece_is_named(tmp_path: Path) -> None:
    files = written("tar", tmp_path)
    files[2].unlink()
    for path in (tmp_path / "data-*-of-00004.tar", tmp_path):
        with pytest.raises(DatasetError, match="3 of its 4 files are here; number 2 is missing"):
            open_dataset(path)
    # One file that says of how many it is one stands for all, so that a part isn't taken for the whole.
    assert joined(files[:1]) == [tmp_path / "data-*-of-00004.tar"]
    with pytest.raises(DatasetError, match="can't be read"):
        open_dataset(tmp_path / "other-*-of-00004.tar")


@pytest.mark.parametrize(("kind", "first", "gone", "missing"), [
    ("CIFAR", 1, 2, 3), ("tar by number", 0, 2, 2), ("tar by number", 7, 1, 8), ("npz", 0, 1, 1)])
def test_a_gap_is_told_where_names_do_not_say_of_how_many(
    kind: str, first: int, gone: int, missing: int, tmp_path: Path,
) -> None:
    files = written(kind, tmp_path, first)
    assert not open_dataset(tmp_path).notes
    files[gone].unlink()
    assert open_dataset(tmp_path).notes[0].startswith(f"Of its files up to number {first + 3} number {missing} isn't")


def test_numbers_that_count_something_else_are_no_gap(tmp_path: Path) -> None:
    for number in (128, 256):
        np.savez(tmp_path / f"faces-{number}.npz", data=IMAGES[:2], label=NUMBERS[:2])
    assert not open_dataset(tmp_path).notes and len(open_dataset(tmp_path)) == 4


def test_more_pieces_than_the_names_say_are_refused(tmp_path: Path) -> None:
    for number in range(4):
        write_tar(tmp_path / f"data-{number:05}-of-00003.tar", IMAGES[:1], [0])
    with pytest.raises(DatasetError, match="4 files are here, but their names say that there are 3"):
        open_dataset(tmp_path)


def test_pieces_of_different_kinds_are_refused(tmp_path: Path) -> None:
    write_h5(tmp_path / "data-00000-of-00002.h5", IMAGES[:5], NUMBERS[:5])
    write_h5(tmp_path / "data-00001-of-00002.h5", IMAGES[:5, :16, :16], NUMBERS[:5])
    with pytest.raises(DatasetError, match=r"data-00001-of-00002\.h5: its images or labels are of another kind"):
        open_dataset(tmp_path)


def test_a_piece_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    files = written("npz", tmp_path)
    dataset = open_dataset(tmp_path / "faces_*.npz")
    write_npz(files[2], IMAGES[:19][::-1], NUMBERS[:19])
    with pytest.raises(DatasetError, match=r"faces_002\.npz: was changed"):
        dataset.take([20])


@pytest.mark.parametrize("names", [("dog", "cat"), ("cat", "cow"), ()])
def test_pieces_that_call_their_labels_otherwise_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    for number, called in enumerate((("cat", "dog"), names)):
        write_parquet(tmp_path / f"data-{number:05}-of-00002.parquet", IMAGES[:2], [0, 1], called)
    with pytest.raises(DatasetError, match=r"data-00001-of-00002\.parquet: calls its labels otherwise .* cat, dog the"):
        open_dataset(tmp_path)


def test_labels_of_all_pieces_together_are_held_to_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written("npz", tmp_path)
    monkeypatch.setattr("engine.data.sources.shards.MOST_LABEL_BYTES", 8 * len(IMAGES))
    assert len(open_dataset(tmp_path / "faces_*.npz")) == len(IMAGES)
    monkeypatch.setattr("engine.data.sources.shards.MOST_LABEL_BYTES", 8 * len(IMAGES) - 1)
    with pytest.raises(DatasetError, match="more labels than memory should hold"):
        open_dataset(tmp_path / "faces_*.npz")


def test_two_pieces_with_one_number_are_refused(tmp_path: Path) -> None:
    written("npz", tmp_path)
    write_npz(tmp_path / "faces_0001.npz", IMAGES[:1], NUMBERS[:1])
    with pytest.raises(DatasetError, match=r"faces_0001\.npz and faces_001\.npz have the same number"):
        open_dataset(tmp_path / "faces_*.npz")


def test_a_piece_that_is_removed_meanwhile_is_told(tmp_path: Path) -> None:
    files = written("npz", tmp_path)
    dataset = open_dataset(tmp_path / "faces_*.npz")
    with dataset._reader.open() as read:
        read(0, 2)
        files[0].unlink()
        with pytest.raises(DatasetError, match=r"faces_000\.npz: was removed while it was in use"):
            read(2, 4)
    with pytest.raises(DatasetError, match=r"faces_000\.npz: can't be read any more \(No such file"):
        dataset.sha256()


def test_hugging_face_s_and_cifar_s_folders_hold_a_set_for_each_use(tmp_path: Path) -> None:
    for part, count in (("train", 2), ("test", 1)):
        for number in range(count):
            write_parquet(tmp_path / f"{part}-{number:05}-of-{count:05}.parquet", IMAGES[:5], NUMBERS[:5])
    assert parts_of(tmp_path) == {"train": tmp_path / "train-*-of-00002.parquet",
                                  "test": tmp_path / "test-*-of-00001.parquet"}
    with pytest.raises(DatasetError, match=r"Choose one of them"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path / "train-*-of-00002.parquet")) == 10
    cifar = tmp_path / "cifar"
    cifar.mkdir()
    written("CIFAR", cifar, 1)
    write_cifar(cifar / "test_batch.bin", IMAGES[:3], NUMBERS[:3])
    (cifar / "readme.html").write_text("<p>")
    (cifar / "batches.meta.txt").write_text("airplane\n")
    assert parts_of(cifar) == {"train": cifar / "data_batch_*.bin", "test": cifar / "test_batch.bin"}


@pytest.mark.parametrize(("names", "uses"), [
    (("cifar10-train", "cifar10-test"), ("train", "test")), (("faces_val", "faces_dev"), ("validation", None)),
    (("a-train", "b-train", "a-test"), (None, None, "test")), (("cats", "dogs"), ("cats", "dogs"))])
def test_sets_that_begin_with_one_word_are_all_there(
    names: tuple[str, ...], uses: tuple[str | None, ...], tmp_path: Path,
) -> None:
    files = [write_tfrecord(tmp_path / f"{name}.tfrecord-00000-of-00001", IMAGES[:1], [0]) for name in names]
    sets = [path.with_name(path.name.replace("00000", "*")) for path in files]
    assert parts_of(tmp_path) == {use or path.name: path for use, path in zip(uses, sets, strict=True)}
    with pytest.raises(DatasetError) as found:
        open_dataset(tmp_path)
    assert all(str(path) in str(found.value).partition("Choose one of them: ")[2] for path in sets)


@pytest.mark.parametrize(("name", "pattern"), [
    ("data-00000-of-00004.tar", "data-*-of-00004.tar"), ("data.tfrecord-00000-of-00004", "data.tfrecord-*-of-00004"),
    ("data_batch_1.bin", "data_batch_*.bin"), ("shard_000012.tar", "shard_*.tar"), ("clean_1.h5", None),
    ("test.h5", None), ("img-00001.png", None), ("model-001.keras", None), ("model-001.h5", None), ("2024.h5", None),
    ("x-*-y.tar", None)])
def test_what_is_a_piece(name: str, pattern: str | None) -> None:
    assert pattern_of(name) == pattern
    assert not is_pattern(Path(name)) and (pattern is None or is_pattern(Path(pattern)))


def test_files_that_are_no_pieces_stay_by_themselves(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("valid.h5", "test.h5", "data_batch_1.bin", "shard-000.tar")]
    assert joined(paths) == paths


def test_thousands_of_pieces_are_joined_without_comparing_each_with_all() -> None:
    class Counted(type(Path())):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return super().__eq__(other)

        __hash__ = type(Path()).__hash__

    found = joined([Counted("nowhere") / f"shard-{number:05}.tar" for number in range(1000)])
    assert [path.name for path in found] == ["shard-*.tar"] and Counted.compared < 10_000
