"""Weights on their way into Keras: bit for bit those of the file, which Keras never opens."""

from __future__ import annotations

import os
import signal
import sys
import zipfile
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.errors import ModelError
from engine.models import reading
from engine.models.architecture import describe_model
from engine.models.networks import open_network
from engine.models.reading import Stored, read_model_file, weights_file
from engine.quarantine import wire
from engine.quarantine.client import READER, Quarantine
from tests.support.networks import Array, build, random_images
from tests.support.places import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")


def saved(folder: Path, ending: str, kind: str = "nested") -> tuple[Path, list[Array]]:
    """A model's file, and its weights."""
    model, _ = build(kind)
    model.save(folder / f"m.{ending}")
    return folder / f"m.{ending}", model.get_weights()


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_keras_opens_nothing_but_a_file_of_this_program(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, weights = saved(tmp_path, ending)
    opened: list[str] = []
    original = h5py.File.__init__

    def watched(self: h5py.File, name: Any, *arguments: Any, **options: Any) -> None:
        if isinstance(name, str | Path | FileIO):  # Keras wraps groups of an open file in the same class
            opened.append(str(name.name if isinstance(name, FileIO) else name))
        original(self, name, *arguments, **options)

    monkeypatch.setattr(h5py.File, "__init__", watched)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    found = open_network(path).model.get_weights()
    assert len(opened) == 2 and all("goodnet-" in name and str(tmp_path) not in name for name in opened)
    assert not any(Path(name).exists() for name in opened)
    for ours, theirs in zip(found, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_compressed_archive_opens_as_a_stored_one(tmp_path: Path) -> None:
    path, weights = saved(tmp_path, "keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "z.keras", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert (tmp_path / "z.keras").stat().st_size < path.stat().st_size
    for ours, theirs in zip(open_network(tmp_path / "z.keras").model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_damaged_weight_in_an_archive_shows_by_its_checksum(tmp_path: Path) -> None:
    path, weights = saved(tmp_path, "keras")
    content = bytearray(path.read_bytes())
    at = content.index(max(weights, key=np.size).tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.keras: the archive is damaged \(Bad CRC"):
        describe_model(path)


def test_weights_of_compressed_blocks_and_other_types_open(tmp_path: Path) -> None:
    path, weights = saved(tmp_path, "h5", "plain")

    def pack(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)

    names: list[str] = []
    with h5py.File(path, "a") as file:
        file["model_weights"].visititems(pack)
        for number, name in enumerate(names):
            values = file["model_weights"][name][()]
            del file["model_weights"][name]
            file["model_weights"].create_dataset(name, data=values.astype(("<f8", ">f4")[number % 2]),
                                                 compression="gzip", shuffle=True)
    for ours, theirs in zip(open_network(path).model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_half_precision_as_keras_stores_it_opens(tmp_path: Path) -> None:
    """Keras has a number type that NumPy hasn't, stored as two bytes of no kind with a note beside them."""
    import keras
    image = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3, dtype="bfloat16")(image)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    model.save(tmp_path / "m.keras")
    file = read_model_file(tmp_path / "m.keras")
    assert "|V2" in {part.spec[0].str for part in file.stored if part.spec}
    with weights_file(file) as weights:
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        model.load_weights(weights)
    expected = keras.models.load_model(tmp_path / "m.keras").get_weights()
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_large_weights_come_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SLICE_BYTES", 1000)
    path, weights = saved(tmp_path, "keras")
    for ours, theirs in zip(open_network(path).model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="sends signals")
def test_a_reader_killed_between_two_weights_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, weights = saved(tmp_path, "keras")
    killed: list[int] = []
    original = reading._copy

    def copy(part: Stored, *others: Any) -> None:
        original(part, *others)
        if part.spec and not killed and READER.process_id:
            killed.append(READER.process_id)
            os.kill(killed[0], signal.SIGKILL)
            os.waitid(os.P_PID, killed[0], os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr(reading, "_copy", copy)
    found = open_network(path).model.get_weights()
    assert killed and READER.process_id not in (None, killed[0])
    for ours, theirs in zip(found, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_replaced_before_its_weights_are_read_is_said_to_have_changed(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, "keras")
    file = read_model_file(path)
    (tmp_path / "other").mkdir()
    saved(tmp_path / "other", "keras", "plain")[0].replace(path)
    with pytest.raises(ModelError, match=r"m\.keras: was changed while it was opened"), weights_file(file):
        pass


LIAR = """
import sys
sys.path.insert(0, {project!r})
from engine.quarantine.wire import attached, receive, send
attached(receive(0)["area"])
send(1, {{"ready": True}})
receive(0)
honest = {{"parameters": 8, "labels": 7, "stored": [], "classes": [], "keras2": False}}
send(1, {{"value": {{**honest, **{lie!r}}}, "arrays": []}})
receive(0)
"""


@pytest.mark.parametrize("lie", [
    {"parameters": -1}, {"parameters": 3_000_000_000}, {"parameters": "8"}, {"labels": None}, {"labels": "7"},
    {"keras2": 1},
    {"stored": 5}, {"stored": [["a"]]}, {"stored": [[5, None, {}]]}, {"stored": [["a", None, {"backend": 5}]]},
    {"stored": [["a", None, {"layer_names": [5]}]]}, {"stored": [["a", ["|O", [1]], {}]]},
    {"stored": [["a", ["<f4", [1 << 31]], {}]]}, {"stored": [["a", ["<f4", [-1]], {}]]}], ids=str)
def test_a_reader_that_lies_about_a_model_is_ended(
    lie: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, _ = saved(tmp_path, "keras", "plain")
    liar = Quarantine([sys.executable, "-c", LIAR.format(project=str(PROJECT), lie=lie)], 60)
    monkeypatch.setattr(reading, "READER", liar)
    with pytest.raises(ModelError, match=r"m\.keras: gave something else than it announced"):
        read_model_file(path)
    assert liar.process_id is None


def test_an_honest_answer_of_that_kind_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = saved(tmp_path, "keras", "plain")
    honest = Quarantine([sys.executable, "-c", LIAR.format(project=str(PROJECT), lie={})], 60)
    monkeypatch.setattr(reading, "READER", honest)
    assert read_model_file(path).parameters == 8
    honest.close()


def test_pieces_of_arrays_are_those_of_their_memory() -> None:
    arrays = [np.arange(3, dtype=np.int16), np.zeros((0, 4)), random_images(1), np.float32(5) * np.ones(())]
    joined = b"".join(bytes(piece) for piece in wire.pieces(arrays))
    assert joined == b"".join(array.tobytes() for array in arrays)
