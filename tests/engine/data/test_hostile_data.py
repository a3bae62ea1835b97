"""Data files as an attacker or an accident would make them: nothing outside is read, nothing absurd is allocated."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.data.datasets import CHUNK, MOST_HELD_VALUES, open_dataset
from engine.errors import DatasetError
from engine.files.parsing.hdf5 import check_heaps, open_hdf5
from engine.files.parsing.hdf5_headers import dense_parts
from engine.files.pictures import load_picture
from engine.looking.inspection import describe_dataset, open_any_dataset
from tests.support.networks import Array, random_images
from tests.support.places import PROJECT

IMAGES, NUMBERS = random_images(20), np.arange(20)
SHAPE = IMAGES.shape


def refused(path: Path) -> str:
    """The sentence with which a set is refused, at its opening or when its images are looked at."""
    with pytest.raises(DatasetError) as found:
        describe_dataset(open_any_dataset(path))
    assert str(path) in str(found.value) and str(found.value).endswith(".") and "\n" not in str(found.value)
    return str(found.value)


Write = Callable[[h5py.File, Path], None]


def _labels(file: h5py.File) -> None:
    file["label"] = NUMBERS


def _external(file: h5py.File, other: Path) -> None:
    _labels(file)
    file["data"] = h5py.ExternalLink(str(other), "/secret")


def _soft(file: h5py.File, _: Path) -> None:
    _labels(file)
    file["hidden"] = IMAGES
    file["data"] = h5py.SoftLink("/hidden")


def _elsewhere(file: h5py.File, _: Path) -> None:
    _labels(file)
    file.create_dataset("data", SHAPE, np.uint8, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, other: Path) -> None:
    _labels(file)
    layout = h5py.VirtualLayout(SHAPE, np.float32)
    layout[:] = h5py.VirtualSource(str(other), "secret", SHAPE)
    file.create_virtual_dataset("data", layout)


def _words(file: h5py.File, _: Path) -> None:
    _labels(file)
    file.create_dataset("data", data=np.array([["a"] * 3] * 20, object), dtype=h5py.string_dtype())


def _references(file: h5py.File, _: Path) -> None:
    file["data"] = IMAGES
    file.create_dataset("label", data=[file["data"].ref] * 20, dtype=h5py.ref_dtype)


def _compound(file: h5py.File, _: Path) -> None:
    file["data"] = np.zeros(SHAPE, [("red", np.uint8), ("green", np.uint8)])
    _labels(file)


def _groups(file: h5py.File, _: Path) -> None:
    file.create_group("data")
    file.create_group("label")


def _endless_labels(file: h5py.File, _: Path) -> None:
    file["data"] = IMAGES
    file.create_dataset("label", data=np.zeros((20, 4_000_000), np.float64), chunks=(1, 1_000_000), compression="gzip")


def _one_huge_block(file: h5py.File, _: Path) -> None:
    _labels(file)
    data = file.create_dataset("data", (20, 8192, 4096, 1), np.uint8, chunks=(20, 8192, 4096, 1), compression="gzip")
    data[0, 0, 0, 0] = 1


def _one_huge_image(file: h5py.File, _: Path) -> None:
    file.create_dataset("data", data=np.zeros((1, 8192, 8192, 3), np.uint8), compression="gzip")
    file["label"] = [0]


def _wrong_count(file: h5py.File, _: Path) -> None:
    file["data"], file["label"] = IMAGES, NUMBERS[:19]


def _infinite_labels(file: h5py.File, _: Path) -> None:
    file["data"], file["label"] = IMAGES, np.where(NUMBERS == 3, np.inf, NUMBERS)


def _huge_labels(file: h5py.File, _: Path) -> None:
    file["data"], file["label"] = IMAGES, np.where(NUMBERS == 3, 1e18, NUMBERS)


def _too_large_for_float32(file: h5py.File, _: Path) -> None:
    file["data"], file["label"] = IMAGES.astype(np.float64) * 1e300, NUMBERS


@pytest.mark.parametrize(("write", "words"), [
    (_external, "external link"), (_soft, "soft link"), (_elsewhere, "in other files"), (_virtual, "in other files"),
    (_words, "numbers were expected"), (_references, "numbers were expected"), (_compound, "numbers were expected"),
    (_groups, "found groups"), (_endless_labels, "more than memory"), (_one_huge_block, "packed in blocks of"),
    (_one_huge_image, "more than memory"), (_wrong_count, "one label an image"), (_infinite_labels, "whole numbers"),
    (_huge_labels, "holds the label"), (_too_large_for_float32, "image 0 holds values that aren't numbers")])
def test_hdf5_files(write: Write, words: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = IMAGES
    with h5py.File(tmp_path / "d.h5", "w") as file:
        write(file, tmp_path / "other.h5")
    assert words in refused(tmp_path / "d.h5")


def test_hard_links_in_a_circle_are_no_hindrance(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["data"], file["label"] = IMAGES, NUMBERS
        group = file.create_group("notes")
        group["up"], group["again"] = file["/"], group
    assert len(open_dataset(tmp_path / "d.h5")) == 20


def npy(array: Array, **changes: object) -> bytes:
    """An array as a .npy file, with another header if wanted."""
    stream = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(stream, {**header, **changes})
    return stream.getvalue() + array.tobytes()


def _pickled() -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([open, "payload"], object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(("data", "label", "words"), [
    (_pickled(), npy(NUMBERS), "pickled"), (npy(IMAGES), _pickled(), "pickled"),
    (npy(IMAGES, shape=(-1, 12, 10, 3)), npy(NUMBERS), "damaged"),
    (npy(IMAGES, shape=(20, 10**6, 10**6, 3)), npy(NUMBERS), "more than memory"),
    (npy(IMAGES, shape=(20, 24, 10, 3)), npy(NUMBERS), "damaged"),
    (npy(IMAGES, shape=(20, 2**53, 10, 3)), npy(NUMBERS), "an array of shape"),
    (npy(IMAGES, shape=(20, 12, False, 3)), npy(NUMBERS), "an array of shape"),
    (npy(IMAGES), npy(NUMBERS, shape=(20, 10**12)), "more than memory"),
    (npy(IMAGES, fortran_order=True), npy(NUMBERS), "by columns"),
    (npy(IMAGES)[:300], npy(NUMBERS), "damaged"), (b"", npy(NUMBERS), "damaged"),
    (b"no array", npy(NUMBERS), "damaged"),
    (npy(IMAGES, descr="|O"), npy(NUMBERS), "pickled"), (npy(IMAGES, descr="<M8[s]"), npy(NUMBERS), "numbers were"),
    (npy(IMAGES)[:70] + b"(" * 20 + npy(IMAGES)[90:], npy(NUMBERS), "damaged")])
def test_numpy_archives(data: bytes, label: bytes, words: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("data.npy", data)
        archive.writestr("label.npy", label)
    assert words in refused(tmp_path / "d.npz")


def test_huge_images_come_a_few_at_a_time(tmp_path: Path) -> None:
    side = 2048
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("data", data=np.arange(12, dtype=np.uint8)[:, None, None, None]
                            * np.ones((1, side, side, 3), np.uint8), chunks=(1, side, side, 3), compression="lzf")
        file["label"] = np.arange(12)
    dataset = open_dataset(tmp_path / "d.h5")
    seen = [(c.start, c.images[:, 0, 0, 0].tolist()) for c in dataset.chunks(CHUNK)]
    most = MOST_HELD_VALUES // (side * side * 3)
    assert 1 < most < 12
    assert seen == [(start, list(range(start, min(start + most, 12)))) for start in range(0, 12, most)]
    assert len(dataset.sample(64)) == most


def test_folders_named_by_absurd_numbers_are_names(tmp_path: Path) -> None:
    for name in ("9" * 100, "1"):
        (tmp_path / "f" / name).mkdir(parents=True)
        Image.new("RGB", (5, 5)).save(tmp_path / "f" / name / "a.png")
    assert sorted(open_dataset(tmp_path / "f").labels) == [0, 1]


BOMB = """
import sys
from pathlib import Path
from engine.errors import DatasetError
from engine.files.pictures import load_picture
from engine.quarantine.client import READER

def peak():
    status = Path(f"/proc/{READER.process_id}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

load_picture(Path(sys.argv[1]), (55, 47, 3))  # what every picture needs
before = peak()
try:
    load_picture(Path(sys.argv[2]), (55, 47, 3))
    print("opened")
except DatasetError as error:
    print(error)
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks for another process's memory")
@pytest.mark.parametrize(("mode", "size", "most_megabytes"), [
    ("L", (20_000, 20_000), 50), ("1", (65_000, 65_000), 50), ("RGBA", (8192, 8191), 1600)])
def test_picture_bombs(mode: str, size: tuple[int, int], most_megabytes: int, tmp_path: Path) -> None:
    Image.new("RGB", (60, 60)).save(tmp_path / "small.png")
    _write_png(tmp_path / "bomb.png", mode, size)
    done = subprocess.run([sys.executable, "-c", BOMB, tmp_path / "small.png", tmp_path / "bomb.png"],
                          cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said, megabytes = done.stdout.splitlines()
    assert "bomb.png: would unpack to" in said or (mode == "RGBA" and said == "opened")
    assert int(megabytes) < most_megabytes


def _write_png(path: Path, mode: str, size: tuple[int, int]) -> None:
    """A PNG of zeros without having them all in memory."""
    import zlib

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bits, colour, across = {"L": (8, 0, size[0]), "1": (1, 0, size[0] // 8), "RGBA": (8, 6, 4 * size[0])}[mode]
    packer, row, packed = zlib.compressobj(9), bytes(1 + across), bytearray()
    for _ in range(size[1]):
        packed += packer.compress(row)
    packed += packer.flush()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
                     + piece(b"IDAT", bytes(packed)) + piece(b"IEND", b""))
    assert path.stat().st_size < 2_000_000


def test_formats_that_start_other_programs_are_not_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(payload) (w) file\n%%EOF\n")
    with pytest.raises(DatasetError, match="isn't a picture"):
        load_picture(tmp_path / "a.png", (5, 5, 3))


def test_a_word_store_with_an_entry_of_no_length_is_seen_before_hdf5_goes_round_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["word"] = "a" * 100
        file["words"] = np.array(["b" * n for n in range(2000)], h5py.string_dtype())
    with path.open("rb") as stream:
        check_heaps(stream, "a.h5", DatasetError)
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    assert struct.unpack_from("<H6xQ", content, first) == (1, 100)
    for entry, length in [(0, 0), (0, 8), (1, 2**64 - 16), (1, 5000), (7, 2**63)]:
        struct.pack_into("<H6xQ", content, first, entry, length)
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.h5: .*store of words is damaged"), path.open("rb") as stream:
            check_heaps(stream, "a.h5", DatasetError)


@pytest.mark.parametrize(("links", "attributes", "libver", "dense"), [
    (8, 8, "latest", (False, False)), (9, 3, "latest", (True, False)), (2, 9, "latest", (False, True)),
    (200, 200, "latest", (True, True)), (200, 200, "earliest", (False, False))])
@pytest.mark.parametrize("userblock", [0, 512])
def test_where_the_names_of_links_and_attributes_are_kept(
    links: int, attributes: int, libver: str, dense: tuple[bool, bool], userblock: int, tmp_path: Path,
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        group = file.create_group("group")
        for number in range(max(links, attributes)):
            if number < attributes:
                group.attrs[f"note {number}"] = number
            if number < links:
                group[f"part {number}"] = number
    with h5py.File(path) as file, path.open("rb") as stream:
        address = h5py.h5o.get_info(file["group"].id).addr
        assert dense_parts(stream, address, userblock) == dense
        with pytest.raises(ValueError, match="object header"):
            dense_parts(stream, path.stat().st_size - 8, 0)


@pytest.mark.parametrize("attributes", [True, False])
def test_what_makes_the_hdf5_library_crash_is_refused(attributes: bool, tmp_path: Path) -> None:
    """Thousands of damaged files of this kind killed the process; a sound one can't be told from them safely."""
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        for number in range(9):
            file.attrs[f"note {number}"] = number
    with h5py.File(tmp_path / "b.h5", "w", libver="latest") as file:
        for number in range(9):
            file[f"part {number}"] = number
    with pytest.raises(DatasetError, match=r"b\.h5: '/' lists its parts.*Save it again"), \
            open_hdf5(tmp_path / "b.h5", "b.h5", DatasetError):
        pass
    if attributes:
        with pytest.raises(DatasetError, match="lists its parts"), \
                open_hdf5(tmp_path / "a.h5", "a.h5", DatasetError, attributes=True):
            pass
    else:
        with open_hdf5(tmp_path / "a.h5", "a.h5", DatasetError) as file:
            assert list(file) == []
