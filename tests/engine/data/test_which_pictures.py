"""Which pictures a set is made of: each row of a table, file of a sub-folder or sample of an archive is one of them."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from engine.data.datasets import Dataset, notices_of, open_dataset
from engine.errors import DatasetError
from engine.files.pictures import load_picture, look_at_picture, pictures_in
from tests.support.foreign_sets import png, write_parquet, write_tar, write_tfrecord


def pictures(folder: Path, **values: int) -> None:
    """Pictures of one value each, named by their paths with "__" for "/" and without ending."""
    for name, value in values.items():
        path = folder / (name.replace("__", "/") + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (value,) * 3).save(path)


def opened(folder: Path, rows: Sequence[tuple[str, object]]) -> Dataset:
    (folder / "t.csv").write_text("".join(f"{file},{label}\n" for file, label in (("file", "label"), *rows)))
    return open_dataset(folder / "t.csv")


def values_of(dataset: Dataset) -> list[int]:
    return dataset.take(range(len(dataset)))[:, 0, 0, 0].astype(int).tolist()


@pytest.mark.parametrize("rows", [("a.png", "b.png"), ("b.png", "a.png"), ("b", "a.png"), ("sub/a", "b")])
def test_a_file_that_is_there_goes_before_its_namesakes(rows: tuple[str, str], tmp_path: Path) -> None:
    pictures(tmp_path, a=10, b=20, sub__a=200)
    if rows[0] == "sub/a":
        with pytest.raises(DatasetError, match="names sub/a, but there is no such picture"):
            opened(tmp_path, [(row, 0) for row in rows])
    else:
        assert values_of(opened(tmp_path, [(row, 0) for row in rows])) == [{"a": 10, "b": 20}[row[0]] for row in rows]


@pytest.mark.parametrize("row", ["1.png", "1"])
def test_a_name_that_may_be_several_pictures_is_refused(row: str, tmp_path: Path) -> None:
    pictures(tmp_path, a__1=10, b__1=200, b__2=30)
    with pytest.raises(DatasetError, match=rf"names {row}, which may be a/1\.png or b/1\.png\. Write the whole name"):
        opened(tmp_path, [("2.png", 0), (row, 0)])
    assert values_of(opened(tmp_path, [("2.png", 0), ("b/1.png", 1), ("a/1.png", 0)])) == [30, 200, 10]


def test_so_is_one_of_two_endings(tmp_path: Path) -> None:
    pictures(tmp_path, x=1)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.bmp")
    with pytest.raises(DatasetError, match=r"names x, which may be x\.bmp or x\.png"):
        opened(tmp_path, [("x", 0)])


@pytest.mark.parametrize("labels", [(0, 1), ("cat", "dog")])
def test_a_picture_with_two_labels_is_refused(labels: tuple[object, object], tmp_path: Path) -> None:
    pictures(tmp_path, a=1)
    with pytest.raises(DatasetError, match=rf"gives a\.png the labels {labels[0]} and {labels[1]}"):
        opened(tmp_path, [("a.png", labels[0]), ("a", labels[1])])
    assert len(opened(tmp_path, [("a.png", labels[0]), ("a", labels[0])])) == 2


@pytest.mark.parametrize("row", ["in/a.png", "a.png"])
def test_a_link_out_of_the_folder_lies_elsewhere(row: str, tmp_path: Path) -> None:
    pictures(tmp_path, other__a=1, set__b=2, set__sub__c=3)
    (tmp_path / "set" / "in").symlink_to(tmp_path / "other")
    with pytest.raises(DatasetError, match="names pictures in in, which lies elsewhere"):
        opened(tmp_path / "set", [(row, 0)])
    (tmp_path / "set" / "within").symlink_to(tmp_path / "set" / "sub")
    assert values_of(opened(tmp_path / "set", [("within/c.png", 0), ("b", 1)])) == [3, 2]


@pytest.mark.parametrize(("words", "found"), [
    ([f"{n}.0" for n in range(12)], list(range(12))), (["10", "2.", "-0"], [10, 2, 0]), (["0.0", "1.5"], None),
    (["-1", "0"], None), (["0.0", "nan"], None), (["9" * 100 + ".0"], None)])
@pytest.mark.parametrize("kind", ["table", "npz"])
def test_numbers_with_a_point_are_no_words(
    kind: str, words: list[str], found: list[int] | None, tmp_path: Path,
) -> None:
    """As pandas writes whole numbers of a column in which one was missing."""
    pictures(tmp_path, **{f"p{number}": number for number in range(len(words))})
    np.savez(tmp_path / "d.npz", data=np.zeros((len(words), 8, 8, 3), np.uint8), label=np.array(words))

    def look() -> Dataset:
        return open_dataset(tmp_path / "d.npz") if kind == "npz" else \
            opened(tmp_path, [(f"p{number}.png", word) for number, word in enumerate(words)])

    if found is None:
        with pytest.raises(DatasetError, match="holds labels that aren't whole numbers from 0 up"):
            look()
    else:
        assert look().labels.tolist() == found and not look().label_names


def test_words_that_only_look_like_numbers_stay_words(tmp_path: Path) -> None:
    pictures(tmp_path, a=1, b=2)
    assert opened(tmp_path, [("a", "0_1"), ("b", "1_0")]).label_names == ("0_1", "1_0")
    assert opened(tmp_path, [("a", "1.0"), ("b", "v2")]).label_names == ("1.0", "v2")


def test_pictures_deeper_than_a_set_goes_are_told(tmp_path: Path) -> None:
    pictures(tmp_path, **{"0__a": 1, "0__deep__b": 2, "0__deep__c": 3, "1__d": 4, "1__more__e": 5})
    (tmp_path / "1" / "none").mkdir()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "loop").symlink_to("loop")
    dataset = open_dataset(tmp_path)
    (note,) = dataset.notes
    assert len(dataset) == 2 and "3 in folders inside these, such as 0/deep," in note
    for left_out in ("0/deep", "1/more"):
        for picture in (tmp_path / left_out).iterdir():
            picture.unlink()
    assert open_dataset(tmp_path).notes == ()


@pytest.mark.parametrize("endings", [("depth.png", "png", "jpg"), ("png", "depth.png"), ("depth.png", "seg.png")])
def test_of_a_samples_pictures_the_first_with_a_plain_ending_is_taken(endings: tuple[str, ...], tmp_path: Path) -> None:
    pictures = {ending: png(np.full((8, 8, 3), at, np.uint8)) for at, ending in enumerate(endings)}
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        for ending, content in {"cls": b"1", **pictures}.items():
            member = tarfile.TarInfo(f"0.{ending}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert values_of(open_dataset(tmp_path / "d.tar")) == [endings.index("png") if "png" in endings else 0]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_pictures_of_another_size_than_the_networks_are_told(tmp_path: Path) -> None:
    for folder, size in (("same", (6, 4)), ("larger", (9, 8)), ("larger too", (9, 8))):
        (tmp_path / folder / "0").mkdir(parents=True)
        Image.new("RGB", size).save(tmp_path / folder / "0" / "a.png")
    sets = [open_dataset(tmp_path / folder, (4, 6, 3)) for folder in ("same", "larger", "larger too")]
    assert notices_of(sets) == ["larger, larger too: Its pictures aren't of the network's size, the first is 8 x 9: "
                                "each is cropped around its centre and brought to 4 x 6."]
    assert notices_of([open_dataset(tmp_path / "larger")]) == []


def several_sizes(folder: Path, kind: str, sizes: Sequence[tuple[int, int]]) -> Path:
    """Pictures of these heights and widths as a set of a kind."""
    images: Any = [np.zeros((*size, 3), np.uint8) for size in sizes]
    labels = [number % 2 for number in range(len(sizes))]
    if kind == "tar in pieces":
        for number, image in enumerate(images):
            write_tar(folder / f"d-{number:03}.tar", np.array([image]), [number % 2])
        return folder
    if kind == "table":
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{number}.jpg")
        rows = "".join(f"{number}.jpg,{label}\n" for number, label in enumerate(labels))
        (folder / "d.csv").write_text(f"file,label\n{rows}", encoding="utf-8")
        return folder / "d.csv"
    write = {"tar": write_tar, "tfrecord": write_tfrecord, "parquet": write_parquet}[kind]
    return write(folder / f"d.{kind}", images, labels)


@pytest.mark.parametrize("kind", ["tar", "tfrecord", "parquet", "table", "tar in pieces"])
def test_so_are_those_of_archives_and_of_mixed_sizes(kind: str, tmp_path: Path) -> None:
    def told(name: str, sizes: Sequence[tuple[int, int]], shape: Any = (4, 6, 3)) -> list[str]:
        (tmp_path / name).mkdir()
        return list(open_dataset(several_sizes(tmp_path / name, kind, sizes), shape).notes)

    end = "each is cropped around its centre and brought to"
    assert told("same", [(4, 6)] * 3) == []
    assert told("larger", [(8, 9)] * 3) == [
        f"Its pictures aren't of the network's size, the first is 8 x 9: {end} 4 x 6."]
    assert told("one", [(4, 6), (4, 6), (8, 9)]) == [
        f"Not all of its pictures are of the network's size, one is 8 x 9: {end} 4 x 6."]
    assert told("any, same", [(8, 9)] * 3, (None, None, 3)) == []
    assert told("any", [(8, 9), (4, 6)], (None, None, 3)) == [
        "Its pictures differ in size, such as 8 x 9 and 4 x 6: for a network that takes any size "
        f"{end} the first one's."]
    assert told("one side any, same", [(8, 9)] * 3, (None, 6, 3)) == [
        f"Its pictures aren't of the network's size, the first is 8 x 9: {end} 8 x 6."]


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp", "a.png", "deep.tif", "deep.png", "xmp.png"])
def test_a_picture_that_lies_on_its_side_has_the_size_that_is_seen(name: str, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    image = Image.fromarray(np.full((6, 4), 1000, np.uint16)) if "deep" in name else Image.new("RGB", (4, 6))
    how: dict[str, Any] = {}
    if name == "xmp.png":
        how["pnginfo"] = PngImagePlugin.PngInfo()
        how["pnginfo"].add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    else:
        how["exif"] = image.getexif()
        how["exif"][0x0112] = 6
    image.save(tmp_path / "0" / name, **how)
    colours = 1 if "deep" in name else 3
    assert look_at_picture(tmp_path / "0" / name).size == (4, 6)
    assert load_picture(tmp_path / "0" / name, (None, None, colours)).shape == (4, 6, colours)
    sizes = [note for note in open_dataset(tmp_path, (4, 6, colours)).notes if "size" in note]
    assert sizes == []
    assert any("size" in note for note in open_dataset(tmp_path, (6, 4, colours)).notes)


def test_a_link_that_leads_to_itself_is_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, cat__1=10, dog__2=20)
    for loop in (tmp_path / "loop", tmp_path / "cat" / "loop.png"):
        loop.symlink_to(loop.name)
    assert values_of(open_dataset(tmp_path)) == [10, 20]
    assert pictures_in(tmp_path / "cat") == [tmp_path / "cat" / "1.png"]
    assert values_of(opened(tmp_path, [("cat/1.png", 0), ("dog/2.png", 1)])) == [10, 20]
