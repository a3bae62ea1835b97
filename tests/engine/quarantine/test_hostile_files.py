"""Files that crash, hang or exhaust the HDF5 library: each is a sentence that names it, and the next one works."""

from __future__ import annotations

import bz2
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.data.datasets import open_dataset
from engine.errors import DatasetError
from engine.looking.inspection import describe_dataset, open_any_dataset
from tests.support.networks import SmallLab, random_images, save_lab_file
from tests.support.places import PROJECT

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="asks for the time of other processes")
HOSTILE = PROJECT.parent / "shared" / "hostile"
IMAGES, NUMBERS = random_images(20).astype(np.uint8), np.arange(20) % 7

LOOK = """
import json, resource, sys
from functools import partial
from pathlib import Path
from engine.errors import EngineError
from engine.quarantine.client import READER
from gui.jobs.inputs.choosing import look_at_dataset, look_at_model
from gui.session.recognition import look_at
path, good = map(Path, sys.argv[1:])
said = [str(look_at(path).error)]
for look in (partial(look_at_dataset, "validation", path, None, None, ()), partial(look_at_model, path, None)):
    try:
        look(None)
        said.append("opened")
    except EngineError as error:
        said.append(str(error))
after, reader = look_at(good).kind, READER.process_id
left = int(Path(f"/proc/{reader}/statm").read_text().split()[0]) * resource.getpagesize()
READER.close()
# What getrusage says of this process counts what the tests' process had when it started this one.
own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
most = max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
print(json.dumps({"said": said, "after": after, "left": left, "most": most * 1024}))
"""
def hostile(name: str) -> Path:
    """A file found by hand; skips where the collection is absent."""
    if not (HOSTILE / name).is_file():
        pytest.skip("the collection of hostile files isn't at ../shared/hostile")
    return HOSTILE / name


FILES = ["short_small.h5", "short_in.h5", "cyc_group.h5", "cyc_chunk.h5", "cyc_heap.h5", "deflate2.h5", "bz2.h5",
         "short_weights.h5"]


@pytest.mark.skipif(sys.platform != "linux", reason="measures the memory of processes as Linux does")
@pytest.mark.parametrize("name", FILES)
def test_the_window_says_a_sentence_and_goes_on(name: str, tmp_path: Path) -> None:
    path, good = hostile(name), save_lab_file(tmp_path / "good.h5", IMAGES, NUMBERS)
    done = subprocess.run([sys.executable, "-c", LOOK, path, good], cwd=PROJECT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for sentence in found["said"]:
        assert sentence.startswith(f"{path}: ") and sentence.endswith(".") and "\n" not in sentence
    assert found["after"] == "data" and found["most"] < 2 << 30
    assert found["left"] < 1 << 30, "the next file would lack the memory that this one has left behind"


@POSIX
@pytest.mark.parametrize("name", FILES)
def test_so_does_the_command_line(name: str, small_lab: SmallLab) -> None:
    import resource
    path = hostile(name)
    pruning = {"short_weights.h5": ["prune", path, "--clean", small_lab.clean],
               "cyc_chunk.h5": ["prune", small_lab.badnet, "--clean", path]}
    for arguments in filter(None, (["inspect", path], pruning.get(name))):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "engine", *arguments], cwd=PROJECT, capture_output=True,
                              text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = done.stderr.splitlines()[-1]
        assert done.returncode == 1, done.stderr
        assert said.startswith(f"goodnet: {path}: ") and "Traceback" not in done.stderr
        # Ten for the reader, and what Python and TensorFlow take to start.
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10 + 15


def with_block(path: Path, content: bytes, **how: Any) -> Path:
    """A data set whose only block of images holds other bytes than it should."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", IMAGES.shape, np.uint8, chunks=IMAGES.shape, **how)
        data.id.write_direct_chunk((0, 0, 0, 0), content)
        file["label"] = NUMBERS
    return path


def packed(path: Path, **how: Any) -> tuple[Path, bytes]:
    """The same with the right bytes, and these."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", data=IMAGES, chunks=IMAGES.shape, **how)
        file["label"] = NUMBERS
        return path, data.id.read_direct_chunk((0, 0, 0, 0))[1]


def refused(path: Path) -> str:
    with pytest.raises(DatasetError) as found:
        describe_dataset(open_any_dataset(path))
    return str(found.value)


def filters() -> dict[str, dict[str, Any]]:
    import hdf5plugin
    return {"gzip": {"compression": "gzip"}, "gzip and shuffle": {"compression": "gzip", "shuffle": True},
            "gzip, shuffle and checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
            "checksum": {"fletcher32": True}, "bzip2": dict(hdf5plugin.BZip2()), "LZ4": dict(hdf5plugin.LZ4()),
            "Blosc": dict(hdf5plugin.Blosc()), "Zstd": dict(hdf5plugin.Zstd()), "LZF": {"compression": "lzf"},
            "Bitshuffle": dict(hdf5plugin.Bitshuffle())}


def unmeasured() -> dict[str, dict[str, Any]]:
    import hdf5plugin
    return {"blosc2": dict(hdf5plugin.Blosc2()), "szip": {"compression": "szip"}, "scaleoffset": {"scaleoffset": 0}}


@pytest.mark.parametrize("name", unmeasured())
def test_a_filter_whose_blocks_cannot_be_measured_is_refused(name: str, tmp_path: Path) -> None:
    if name == "szip" and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
        pytest.skip("this h5py has no szip")
    path, _ = packed(tmp_path / "d.h5", **unmeasured()[name])
    said = refused(path)
    assert said.startswith(f"{path}: 'data' is packed by the filter {name}") and said.endswith("again with gzip.")


def test_so_is_n_bit(tmp_path: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(IMAGES.shape)
    plist.set_filter(h5py.h5z.FILTER_NBIT, 0, ())
    with h5py.File(tmp_path / "d.h5", "w") as file:
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(IMAGES.shape), plist)
        file["data"][...] = IMAGES
        file["label"] = NUMBERS
    assert "'data' is packed by the filter nbit" in refused(tmp_path / "d.h5")


@pytest.mark.parametrize("name", filters())
def test_sound_compressed_data_opens(name: str, tmp_path: Path) -> None:
    path, _ = packed(tmp_path / "d.h5", **filters()[name])
    (chunk,) = open_dataset(path).chunks(20)
    np.testing.assert_array_equal(chunk.images, IMAGES)


def test_blocks_of_several_axes_that_do_not_divide_them_open(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        data = file.create_dataset("data", IMAGES.shape, np.uint8, chunks=(3, 5, 4, 2), compression="gzip")
        data[2:9] = IMAGES[2:9]  # and blocks that were never written
        file.create_dataset("label", data=NUMBERS, chunks=(6,), compression="gzip")
    (chunk,) = open_dataset(tmp_path / "d.h5").chunks(20)
    np.testing.assert_array_equal(chunk.images[2:9], IMAGES[2:9])
    assert not chunk.images[9:].any()


@pytest.mark.parametrize("length", [0, 1, 7199, 7201, 100_000_000])
def test_a_block_that_unpacks_to_another_size_is_seen(length: int, tmp_path: Path) -> None:
    import hdf5plugin
    assert IMAGES.nbytes == 7200
    for how, pack in (({"compression": "gzip"}, zlib.compress), (dict(hdf5plugin.BZip2()), bz2.compress)):
        path = with_block(tmp_path / "d.h5", pack(bytes(length)), **how)
        said = refused(path)
        found = f"more than {IMAGES.nbytes:,}" if length > IMAGES.nbytes else f"{length:,}"
        assert said.startswith(f"{path}: 'data' holds a block that unpacks to {found} bytes instead of 7,200")


@pytest.mark.parametrize(("name", "layout", "at"), [("LZ4", ">Q", 0), ("Blosc", "<I", 4), ("Bitshuffle", ">Q", 0)])
def test_a_block_that_says_another_size_is_seen(name: str, layout: str, at: int, tmp_path: Path) -> None:
    path, content = packed(tmp_path / "d.h5", **filters()[name])
    for size in (0, 1, 7199, 7201, 1 << 31):
        changed = bytearray(content)
        struct.pack_into(layout, changed, at, size)
        with_block(path, bytes(changed), **filters()[name])
        assert f"unpacks to {size:,} bytes instead of 7,200" in refused(path)


@pytest.mark.parametrize("name", ["Zstd", "LZF"])
def test_a_block_of_another_array_is_seen(name: str, tmp_path: Path) -> None:
    """Zstd writes its size in one, two or four bytes."""
    for images in (IMAGES[:, :1, :1, :1], IMAGES[:, :5], IMAGES[:19], np.zeros((400, 12, 10, 3), np.uint8)):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            data = file.create_dataset("data", data=images, chunks=images.shape, **filters()[name])
            skipped, content = data.id.read_direct_chunk((0, 0, 0, 0))
        path = with_block(tmp_path / "d.h5", content if not skipped else b"\x01ab", **filters()[name])
        size = images.nbytes if not skipped else 2
        assert f"unpacks to {size:,} bytes instead of 7,200" in refused(path)


@pytest.mark.parametrize("shape", [(5, 4, 3, 1), (5, 12, 10, 3), (400, 12, 10, 3), (40, 60, 50, 3)])
@pytest.mark.parametrize("name", ["Zstd", "LZF"])
def test_blocks_of_any_size_and_content_open(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    for images in (np.zeros(shape, np.uint8), (np.indices(shape).sum(axis=0) // 3 % 7).astype(np.uint8)):
        with h5py.File(tmp_path / "d.h5", "w") as file:
            file.create_dataset("data", data=images, chunks=images.shape, **filters()[name])
            file["label"] = np.arange(shape[0])
        (chunk,) = open_any_dataset(tmp_path / "d.h5").chunks(shape[0])
        np.testing.assert_array_equal(chunk.images, images)


@pytest.mark.parametrize("name", ["Zstd", "bzip2"])
def test_labels_that_are_packed_very_small_open(name: str, tmp_path: Path) -> None:
    """31 MB of numbers that are all 0 but for one in a row, sorted, become some 15 kB, with bzip2 78 bytes."""
    count, labels = 6000, 1283
    numbers = np.sort(np.arange(count) % labels)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["data"] = np.zeros((count, 4, 4, 1), np.uint8)
        one_hot = np.eye(labels, dtype=np.float32)[numbers]
        made = file.create_dataset("label", data=one_hot, chunks=one_hot.shape, **filters()[name])
        assert one_hot.nbytes > 1100 * made.id.get_storage_size()
    np.testing.assert_array_equal(open_any_dataset(tmp_path / "d.h5").labels, numbers)


def test_what_stands_before_an_hdf5_file_is_named(tmp_path: Path) -> None:
    for start, said in ((b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "is a MATLAB file of version 7.3"),
                        (b"anything", "a user block")):
        with h5py.File(tmp_path / "d.h5", "w", userblock_size=512) as file:
            file["data"], file["label"] = IMAGES, NUMBERS
        with (tmp_path / "d.h5").open("r+b") as written:
            written.write(start)
        assert said in refused(tmp_path / "d.h5")


def test_what_is_compressed_twice_is_refused(tmp_path: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(IMAGES.shape)
    for level in (6, 9):
        plist.set_deflate(level)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        space = h5py.h5s.create_simple(IMAGES.shape)
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT8, space, plist)
        file["data"][...] = IMAGES
        file["label"] = NUMBERS
    assert "'data' holds a block that is compressed more than once" in refused(tmp_path / "d.h5")


def test_labels_are_measured_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["data"] = IMAGES
        labels = file.create_dataset("label", (20,), np.int64, chunks=(20,), compression="gzip")
        labels.id.write_direct_chunk((0,), zlib.compress(bytes(80)))
    assert "'label' holds a block that unpacks to 80 bytes instead of 160" in refused(tmp_path / "d.h5")


def test_a_skipped_compression_isn_t_undone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        data = file.create_dataset("data", IMAGES.shape, np.uint8, chunks=IMAGES.shape, compression="gzip")
        data.id.write_direct_chunk((0, 0, 0, 0), IMAGES.tobytes(), filter_mask=1)
        file["label"] = NUMBERS
    (chunk,) = open_dataset(tmp_path / "d.h5").chunks(20)
    np.testing.assert_array_equal(chunk.images, IMAGES)
