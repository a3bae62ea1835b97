"""Archives of millions of members and pictures whose headers don't end: refused before they are gone through."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.data.datasets import open_dataset
from engine.errors import DatasetError, EngineError, ModelError
from engine.files.parsing import decoding
from engine.files.pictures import load_picture
from engine.guards.guard_files import open_guard
from engine.models.networks import read_model_file


def archive_of_millions(path: Path) -> Path:
    """An archive whose list names one member three million times."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    content = path.read_bytes()
    start = content.index(b"PK\1\2")
    entry = content[start:content.index(b"PK\5\6")]
    listed = entry * 3_000_000
    path.write_bytes(content[:start] + listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listed), start, 0))
    return path


def test_a_configuration_of_millions_of_nothings_is_refused_unparsed(tmp_path: Path) -> None:
    """Each of its three bytes would be a dictionary of 88."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = '{"class_name": "Functional", "config": {"layers": [' + "{}," * 6_000_000 + "{}]}}"
        file.create_group("model_weights").attrs["layer_names"] = np.array([b"a"])
    with pytest.raises(ModelError, match=r"m\.h5: its configuration has 18,000,\d+ bytes; refused"):
        read_model_file(tmp_path / "m.h5")


@pytest.fixture(scope="module")
def millions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of_millions(tmp_path_factory.mktemp("archive") / "m.keras")


def test_an_archive_of_millions_of_members_is_refused_by_its_end(millions: Path) -> None:
    with pytest.raises(ModelError, match=r"m\.keras: the archive is damaged \(it lists .* in 171,000,000 bytes\)"):
        read_model_file(millions)
    with pytest.raises(DatasetError, match="in 171,000,000 bytes"):
        open_dataset(millions, (12, 10, 3))
    with pytest.raises(EngineError, match="isn't a saved guard"):
        open_guard(millions)


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((12, 10, 3), np.uint8)).save(stream, kind)
    return stream.getvalue()


def _png(pieces: int, behind: bool) -> bytes:
    content = encoded("PNG")
    chunk = struct.pack(">I", 3) + b"tEXta\0b" + struct.pack(">I", zlib.crc32(b"tEXta\0b"))
    place = len(content) - 12 if behind else content.index(b"IDAT") - 4
    return content[:place] + chunk * pieces + content[place:]


def _jpeg(pieces: int) -> bytes:
    return encoded("JPEG")[:2] + b"\xff\xfe\0\2" * pieces + encoded("JPEG")[2:]


ENDLESS = {
    "comment.ppm": b"P6\n#" + b"x" * 100_000_000 + b"\n10 12 255\n" + bytes(360),
    "spaces.ppm": b"P6\n" + b" " * 10_000_000 + b"10 12 255\n" + bytes(360),
    "chunks.png": _png(1_000_000, False), "chunks_behind.png": _png(1_000_000, True), "markers.jpg": _jpeg(1_000_000),
    "fill.jpg": encoded("JPEG")[:2] + b"\xff" * 10_000_000 + encoded("JPEG")[2:],
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_header_without_end_is_refused_near_its_beginning(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ENDLESS[name])
    with pytest.raises(DatasetError, match=rf"{name}: .*its header has no end within [0-9]{{2,3}},[0-9]{{3}} bytes"):
        load_picture(tmp_path / name, (12, 10, 3))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
def test_a_large_picture_takes_few_reads(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p", kind)
    monkeypatch.setattr(decoding, "_MOST_READS", 2000)  # a tenth
    assert decoding.decode_picture(tmp_path / "p", (2000, 2000, 3))[1][0].shape == (2000, 2000, 3)
