"""A pair as one ONNX file, and B' as another: as goodnet.keras and the network answer, flagged images included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest

from engine.data.preprocessing import preprocessing
from engine.errors import ModelError
from engine.files import manifest
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import save_pair
from engine.models.networks import Network, open_network
from tests.support.networks import LABELS, build, random_images
from tests.support.onnx_answers import onnx_answers

IMAGES = random_images(60, seed=12)
PRUNED = [0, 2, 3, 5]
CLOSE = 1e-5


def by_keras(path: Path, pictures: Any) -> Any:
    import keras
    return keras.models.load_model(path, safe_mode=True).predict(pictures, verbose=0)


def assert_close(found: Any, expected: Any) -> None:
    assert np.abs(found - expected).max() <= CLOSE * (expected.max() - expected.min())


@pytest.mark.parametrize(("name", "scale"), [
    ("plain", "none"), ("nested", "255"), ("sequential", "imagenet"), ("several consumers", "caffe"),
    ("batch normalisation, no bias", "standardised"), ("plain", "mean=100,90,80 std=50,60,70")])
def test_both_files_answer_as_those_of_keras(name: str, scale: str, tmp_path: Path) -> None:
    model, layer = build(name)
    b = Network(model, Path("b.keras"))
    pair = GoodNet(b, b.pruned(layer, PRUNED), preprocessing(scale), {"x": 2.5})
    folder = tmp_path / "pair"
    assert save_pair(pair, folder, IMAGES[:9]) == ()
    assert {"goodnet.onnx", "repaired_2.5.onnx"} < {path.name for path in folder.iterdir()}
    assert manifest.first_foreign(folder) is None
    expected = by_keras(folder / "goodnet.keras", IMAGES)
    assert expected.shape == (60, LABELS + 1)
    np.testing.assert_array_equal(onnx_answers(folder / "goodnet.onnx", IMAGES), expected)
    taken = pair.preprocessing.applied(IMAGES.copy())
    assert_close(onnx_answers(folder / "repaired_2.5.onnx", taken), by_keras(folder / "b_prime.keras", taken))


def test_label_names_are_those_the_pair_was_made_with_then_b_s_then_those_of_b_prime() -> None:
    model, _ = build("plain")
    names = [[f"{of} {n}" for n in range(LABELS)] for of in ("made with", "b", "b'")]
    plain, b, b_prime = Network(model, Path("b")), Network(model, Path("b"), classes=names[1]), \
        Network(model, Path("b_prime"), classes=names[2])
    pairs = [GoodNet(b, b_prime, preprocessing("none"), {"classes": names[0]}),
             GoodNet(b, b_prime, preprocessing("none"), {"classes": []}),
             GoodNet(plain, b_prime, preprocessing("none"), {}), GoodNet(plain, plain, preprocessing("none"), {})]
    assert [list(pair.classes) for pair in pairs] == [*names, []]
    # A list beside the images wins over names in B's own file, as in a run.
    assert [list(pair.named) for pair in pairs] == [names[0], [], names[2], []]


def test_lab3_s_pair_flags_the_same_faces_and_keeps_common_weights_once(lab3: Path, tmp_path: Path) -> None:
    pictures = []
    for name in ("clean_faces", "poisoned_faces"):
        with h5py.File(lab3 / f"{name}.h5") as file:
            pictures.append(file["data"][::15].transpose(0, 2, 3, 1).astype(np.float32))
    faces = np.concatenate(pictures)
    b, order = open_network(lab3 / "bd_weights.h5"), np.random.default_rng(1).permutation(60)
    pair = GoodNet(b, b.pruned("conv_3", order[:40].tolist()), preprocessing("none"), {"x": 2})
    folder = tmp_path / "pair"
    assert save_pair(pair, folder, faces[::2]) == ()
    found, expected = onnx_answers(folder / "goodnet.onnx", faces), by_keras(folder / "goodnet.keras", faces)
    np.testing.assert_array_equal(found, expected)
    flagged = found.argmax(axis=1) == 1283
    assert 0 < flagged.sum() < len(faces)
    assert (folder / "goodnet.onnx").stat().st_size < 1.1 * (folder / "repaired_2.onnx").stat().st_size
    operators = [node.op_type for node in onnx.load(folder / "goodnet.onnx").graph.node]
    assert operators.count("Conv") == 2 + 2 * 2  # what lies before the pruned layer is computed once
    again = open_network(folder / "repaired_2.onnx")
    assert again.prunable_layers() == b.prunable_layers()
    assert_close(again.predict(faces), pair.b_prime.predict(faces))
    np.testing.assert_array_equal(again.predict_labels(faces), pair.b_prime.predict_labels(faces))


def test_both_files_say_how_they_take_pictures_and_what_they_answer(tmp_path: Path) -> None:
    model, layer = build("plain")
    b, names = Network(model, Path("b.keras")), [f"person {label}" for label in range(LABELS)]
    pair = GoodNet(b, b.pruned(layer, PRUNED), preprocessing("255"), {"x": 2, "classes": names})
    assert save_pair(pair, tmp_path / "pair", IMAGES[:9]) == ()
    said = {}
    for name in ("goodnet.onnx", "repaired_2.onnx"):
        file = onnx.load(tmp_path / "pair" / name)
        assert ([i.name for i in file.graph.input], [o.name for o in file.graph.output]) == (["image"], ["answer"])
        said[name] = {note.key: note.value for note in file.metadata_props}
        assert json.loads(said[name].pop("names")) == names
    assert said == {
        "goodnet.onnx": {"layout": "NHWC", "values": "stored from 0 to 255, fed as stored",
                         "flagged_label": str(LABELS)},
        "repaired_2.onnx": {"layout": "NHWC", "values": "stored from 0 to 255, divided by 255"}}
    assert open_network(tmp_path / "pair" / "repaired_2.onnx").classes == tuple(names)
    with pytest.raises(ModelError, match=r"goodnet\.onnx: is a GoodNet as other programs run it.*Open goodnet\.keras"):
        open_network(tmp_path / "pair" / "goodnet.onnx")


def test_what_is_left_out_is_said_and_the_pair_saved(tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input((12, 10, 3))
    x = layers.Conv2D(4, 3, name="pruned")(layers.Resizing(9, 9, name="smaller")(image))
    b = Network(Model(image, layers.Dense(LABELS)(layers.Flatten()(x))), Path("b.keras"))
    left_out = save_pair(GoodNet(b, b.pruned("pruned", [0]), preprocessing("none"), {"x": 4}), tmp_path / "pair")
    assert [sentence.partition(": ")[0] for sentence in left_out] == [
        "goodnet.onnx was left out", "repaired_4.onnx was left out"]
    assert all("smaller' (Resizing) is one that no rule writes" in sentence for sentence in left_out), left_out
    assert "goodnet.keras" in (names := {path.name for path in (tmp_path / "pair").iterdir()})
    assert not any(name.endswith(".onnx") for name in names)
