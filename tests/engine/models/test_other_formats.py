"""Files of other programs, and parts of models: each is answered with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelError
from engine.models.networks import open_network
from engine.models.reading import read_model_file
from tests.support.networks import build


def answer(path: Path) -> str:
    with pytest.raises(ModelError) as found:
        read_model_file(path)
    assert str(found.value).startswith(f"{path}: ") and str(found.value).endswith(".")
    return str(found.value)


@pytest.mark.parametrize(("name", "how"), [
    ("net.pt", "torch.load('net.pt', weights_only=True)"), ("net.PTH", "torch.load('net.PTH', weights_only=True)"),
    ("net.safetensors", "safetensors.torch.load_file('net.safetensors')")])
def test_pytorch_files_are_answered_with_the_lines_that_export_them(name: str, how: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04whatever")
    said = answer(tmp_path / name)
    lines = f"model = YourNetwork(); model.load_state_dict({how}); torch.onnx.export(model.eval(), "
    assert lines in said and "'net.onnx')" in said


def test_a_saved_model_folder_is_answered_with_how_to_save_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    assert "is a folder; a file was expected" in answer(folder)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    assert "is a SavedModel folder" in answer(folder) and ".save('model.h5')" in answer(folder)


def test_weights_alone_are_answered_with_how_to_save_the_whole(tmp_path: Path) -> None:
    model, _ = build("plain")
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    assert "model.load_weights('m.weights.h5'); model.save('model.keras')" in answer(path)
    renamed = path.rename(tmp_path / "m.h5")
    assert "without the network" in answer(renamed)
    # The advice works.
    again, _ = build("plain", seed=5)
    again.load_weights(renamed.rename(path))
    again.save(tmp_path / "model.keras")
    images = np.zeros((1, *model.input_shape[1:]), np.float32)
    found = open_network(tmp_path / "model.keras").predict(images)
    np.testing.assert_allclose(found, model.predict(images, verbose=0), rtol=1e-4, atol=1e-6)
