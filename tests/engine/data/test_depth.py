"""Pictures of 10, 12 or 14 bits that are stored with 16: they stay as bright as they were, all of a set alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from engine.data.datasets import notices_of, open_dataset
from engine.data.subsets import subset
from engine.errors import DatasetError
from engine.files.pictures import load_picture
from engine.looking.inspection import describe_dataset
from tests.support.deep_pictures import Values, write_png, write_tiff
from tests.support.foreign_sets import write_tar

HEIGHT, WIDTH = 9, 7
DICE = np.random.default_rng(11)


def values(bits: int, shape: tuple[int, ...] = (HEIGHT, WIDTH)) -> Values:
    """Random values that use all bits: the largest is there."""
    found = DICE.integers(0, 1 << bits, shape).astype(np.uint16)
    found.reshape(-1)[0] = (1 << bits) - 1
    return found


def folder_of(root: Path, pictures: list[Values], write: Callable[[Path, Values], Path] = write_png) -> Path:
    for number, picture in enumerate(pictures):
        (root / str(number % 2)).mkdir(parents=True, exist_ok=True)
        write(root / str(number % 2) / f"{number:03}.{'tif' if write is write_tiff else 'png'}", picture)
    return root


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("write", [write_png, write_tiff])
@pytest.mark.parametrize("colours", [1, 3])
def test_the_upper_eight_of_the_bits_in_use_are_taken(
    bits: int, write: Callable[[Path, Values], Path], colours: int, tmp_path: Path,
) -> None:
    shape = (HEIGHT, WIDTH) if colours == 1 else (HEIGHT, WIDTH, 3)
    bright, dark = values(bits, shape), values(bits, shape) // 9
    dataset = open_dataset(folder_of(tmp_path / "set", [bright, dark], write), (HEIGHT, WIDTH, colours))
    wanted = np.stack([bright, dark]).reshape(2, HEIGHT, WIDTH, colours) // (1 << (bits - 8))
    np.testing.assert_array_equal(next(dataset.chunks(2)).images, wanted)
    notes = [f.sentence for f in describe_dataset(dataset).findings if "bits" in f.sentence]
    assert len(notes) == (bits < 16)
    assert all(f"use {bits} of them" in note and f"is {(1 << bits) - 1:,}" in note for note in notes)


def test_big_and_little_endian_tiffs_are_the_same(tmp_path: Path) -> None:
    colours = values(12, (HEIGHT, WIDTH, 3))
    one, other = (load_picture(write_tiff(tmp_path / f"{name}.tif", colours, order), (None, None, 3))
                  for name, order in (("little", "<"), ("big", ">")))
    np.testing.assert_array_equal(one, colours // 16)
    np.testing.assert_array_equal(other, colours // 16)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_what_the_file_says_counts(kind: str, tmp_path: Path) -> None:
    """All its values would fit into 10 bits, but the camera has 12."""
    picture = values(12) // 9

    def write(path: Path, content: Values) -> Path:
        if kind == "png":
            return write_png(path, content, 12)
        return write_tiff(path.with_suffix(".tif"), content, "<", 4095)

    dataset = open_dataset(folder_of(tmp_path / "set", [picture, picture // 2], write), (HEIGHT, WIDTH, 1))
    np.testing.assert_array_equal(next(dataset.chunks(2)).images[0, ..., 0], picture // 16)
    assert [("use 12 of them, as the files say" in note) for note in dataset.notes] == [True]
    np.testing.assert_array_equal(load_picture(tmp_path / "set" / "0" / f"000.{kind}", (None, None, 1))[..., 0],
                                  picture // 16)


@pytest.mark.parametrize("brightness", [1, 20])
def test_significant_bits_of_a_png_are_the_upper_ones(brightness: int, tmp_path: Path) -> None:
    """The standard's way: 12 bits of 16, however dark the picture."""
    camera = values(12) // brightness
    path = write_png(tmp_path / "a.png", (camera << 4).astype(np.uint16), 12)
    np.testing.assert_array_equal(load_picture(path, (None, None, 1))[..., 0], camera >> 4)
    exact = np.round(camera.astype(float) * 65535 / 4095).astype(np.uint16)
    found = load_picture(write_png(tmp_path / "b.png", exact, 12), (None, None, 1))[..., 0]
    assert np.abs(found.astype(int) - camera / 4095 * 255).max() < 1.01


def test_significant_bits_of_how_opaque_a_picture_is_say_nothing(tmp_path: Path) -> None:
    picture = np.concatenate([values(12, (HEIGHT, WIDTH, 3)), np.full((HEIGHT, WIDTH, 1), 0xffff, np.uint16)], axis=2)
    path = write_png(tmp_path / "a.png", picture, (12, 12, 12, 16))
    np.testing.assert_array_equal(load_picture(path, (None, None, 3)), picture[..., :3] >> 4)


def test_the_bits_of_a_tiff_and_the_values_of_jpeg_2000_count_however_dark(tmp_path: Path) -> None:
    dark = values(10, (HEIGHT, WIDTH + 1))
    found = load_picture(write_tiff(tmp_path / "a.tif", dark, bits=12), (None, None, 1))
    np.testing.assert_array_equal(found[..., 0], dark >> 4)
    Image.fromarray(dark << np.uint16(4)).save(tmp_path / "a.jp2", irreversible=False)
    np.testing.assert_array_equal(load_picture(tmp_path / "a.jp2", (None, None, 1))[..., 0], dark >> 4)


def test_deep_pictures_in_forms_that_would_come_out_as_noise_are_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", values(16, (HEIGHT, WIDTH, 3)), apart=True)
    with pytest.raises(DatasetError, match=r"a\.tif: has more than 8 bits a value and its colours apart .* as PNG"):
        load_picture(path, (None, None, 3))


@pytest.mark.parametrize("rows", [1, 4, HEIGHT])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("colours", [1, 3])
def test_a_tiff_in_strips_is_as_deep_as_in_one(rows: int, order: str, colours: int, tmp_path: Path) -> None:
    picture = values(12, (HEIGHT, WIDTH, colours)[:2 if colours == 1 else 3])
    path = write_tiff(tmp_path / "a.tif", picture, order, rows=rows)
    np.testing.assert_array_equal(load_picture(path, (None, None, colours)).squeeze(), picture // 16)


@pytest.mark.parametrize(("content", "said"), [
    (np.linspace(0, 1, 64, dtype=np.float32), "its values are floating-point numbers"),
    (np.arange(64, dtype=np.int32) * 10_000, "its values run from 0 to 630,000; 0 to 65,535 were expected"),
    (np.arange(64, dtype=np.int32) - 1, "its values run from -1 to 62; 0 to 65,535 were expected")])
def test_values_that_no_picture_has_are_refused(content: npt.NDArray[Any], said: str, tmp_path: Path) -> None:
    for label in "01":
        (tmp_path / label).mkdir()
        Image.fromarray(content.reshape(8, 8)).save(tmp_path / label / "a.tif")
    with pytest.raises(DatasetError, match=rf"a\.tif: {said}"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=rf"a\.tif: {said}"):
        load_picture(tmp_path / "0" / "a.tif", (None, None, 1))


def test_whole_numbers_of_32_bits_that_fit_into_16_are_read(tmp_path: Path) -> None:
    picture = values(12)
    Image.fromarray(picture.astype(np.int32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(load_picture(tmp_path / "a.tif", (None, None, 1))[..., 0], picture // 16)


@pytest.mark.parametrize("channels", [1, 3])
def test_how_opaque_a_picture_is_says_nothing_of_its_depth(channels: int, tmp_path: Path) -> None:
    picture = values(12, (HEIGHT, WIDTH, channels))
    opaque = np.full((HEIGHT, WIDTH, 1), 0xffff, np.uint16)
    path = write_png(tmp_path / "a.png", np.concatenate([picture, opaque], axis=2))
    np.testing.assert_array_equal(load_picture(path, (None, None, channels)), picture // 16)
    transparent = write_png(tmp_path / "b.png", np.concatenate([picture, opaque * 0], axis=2))
    assert (load_picture(transparent, (None, None, channels)) == 255).all()


def test_one_bright_picture_among_many_decides_for_all(tmp_path: Path) -> None:
    pictures = [values(10) for _ in range(60)]
    pictures[41] = values(12)
    dataset = open_dataset(folder_of(tmp_path / "set", pictures), (HEIGHT, WIDTH, 1))
    stored = sorted(((number % 2, number, picture) for number, picture in enumerate(pictures)), key=lambda of: of[:2])
    wanted = np.stack([picture // 16 for *_, picture in stored])[..., np.newaxis]
    np.testing.assert_array_equal(next(dataset.chunks(60)).images, wanted)


@pytest.mark.parametrize("bits", [(12, 10), (10, 12), (12, 8, 14)])
def test_the_deepest_piece_decides_for_all(bits: tuple[int, ...], tmp_path: Path) -> None:
    pictures = [values(depth) for depth in bits]
    for number, picture in enumerate(pictures):
        write_tar(tmp_path / f"d-{number:05}-of-{len(bits):05}.tar", picture[np.newaxis], [number])
    dataset = open_dataset(tmp_path, (HEIGHT, WIDTH, 1))
    np.testing.assert_array_equal(next(dataset.chunks(9)).images[..., 0], np.stack(pictures) >> (max(bits) - 8))
    (note,) = dataset.notes
    assert dataset.depth == max(bits)
    assert f"use {max(bits)} of them" in note


def test_sets_of_different_depths_are_told(tmp_path: Path) -> None:
    sets = [open_dataset(folder_of(tmp_path / name, [values(bits)]), (HEIGHT, WIDTH, 1))
            for name, bits in (("valid", 12), ("test", 10), ("deep", 16))]
    assert [dataset.depth for dataset in sets] == [12, 10, 16]
    assert subset(sets[0], [0]).depth == 12
    assert "16 bits valid 12 bits and test 10 bits are used" in notices_of(sets[:2])[-1]
    assert "16 bits own 12 bits and deep 16 bits are used" in notices_of(sets[2:], [("own", 12)])[-1]
    plain = open_dataset(write_tar(tmp_path / "plain.tar", np.zeros((1, HEIGHT, WIDTH), np.uint8), [0]))
    assert plain.depth is None and len(notices_of([sets[0], plain])) == 1
    assert not any("are used" in notice for notice in notices_of([sets[0], sets[0]]))


def test_an_ordinary_piece_beside_deep_ones_stays_as_it_is(tmp_path: Path) -> None:
    pictures = [values(8).astype(np.uint8), values(12)]
    for number, picture in enumerate(pictures):
        write_tar(tmp_path / f"d-{number:05}-of-00002.tar", picture[np.newaxis], [number])
    found = open_dataset(tmp_path, (HEIGHT, WIDTH, 1)).take([0, 1])[..., 0]
    np.testing.assert_array_equal(found, np.stack([pictures[0], pictures[1] // 16]))


def test_ordinary_pictures_beside_deep_ones_stay_as_they_are(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "set", [values(12), values(12)])
    Image.fromarray((values(8)).astype(np.uint8)).save(root / "1" / "plain.png")
    dataset = open_dataset(root, (HEIGHT, WIDTH, 1))
    plain = np.asarray(Image.open(root / "1" / "plain.png"))
    np.testing.assert_array_equal(next(dataset.chunks(3)).images[2, ..., 0], plain)


def test_a_picture_beyond_the_sets_depth_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.png: its values run up to 4,095, beyond the 10 bits .* 8 bits\."):
        load_picture(write_png(tmp_path / "a.png", values(12)), (None, None, 1), 10)


def test_deep_pictures_are_turned_upright(tmp_path: Path) -> None:
    picture = values(12)
    stored = Image.fromarray(picture)
    exif = stored.getexif()
    exif[0x0112] = 6  # the right side is up
    stored.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png", (None, None, 1))[..., 0],
                                  np.rot90(picture // 16, -1))


def test_white_as_0_is_refused_where_it_would_be_read_as_black(tmp_path: Path) -> None:
    """Pillow turns 8 bits round, and these not."""
    deep = write_tiff(tmp_path / "deep.tif", np.array([[0, 65535]], np.uint16), white_is_0=True)
    with pytest.raises(DatasetError, match=r"deep\.tif: has 16 bits a value and white stored as 0"):
        load_picture(deep, (None, None, 1))
