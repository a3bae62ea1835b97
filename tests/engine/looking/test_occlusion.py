"""The occlusion map against a plain loop, and on real backdoored faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from engine import backend
from engine.errors import Cancelled
from engine.files.pictures import load_picture
from engine.goodnets.checking import list_pictures
from engine.looking.occlusion import BATCH, PATCH_SHARES, OcclusionMap, occlusion_map
from engine.models.networks import Network, open_network
from engine.progress import CancelSource, Progress

# Neither side less a patch is a multiple of the stride, so the last patches must be moved to the edge.
SHAPE = (33, 31, 3)
Array = npt.NDArray[np.float32]


def tiny_network(end: str) -> Network:
    """A random classifier with 5 labels that ends in Dense with softmax, in a Softmax layer, or in plain values."""
    _, keras = backend.load()
    keras.utils.set_random_seed(7)
    layers = [keras.Input(SHAPE), keras.layers.Conv2D(6, 3, activation="relu"), keras.layers.Flatten(),
              keras.layers.Dense(5, activation="softmax" if end == "dense" else None, use_bias=end != "no bias",
                                 bias_initializer="random_normal")]
    if end == "layer":
        layers.append(keras.layers.Softmax())
    return Network(keras.Sequential(layers), Path("tiny.keras"))


def image(seed: int = 3) -> Array:
    return np.random.default_rng(seed).uniform(0, 1, SHAPE).astype(np.float32)


def before_softmax(network: Network) -> Callable[[Array], Array]:
    """The values of one image before any softmax, by Keras itself."""
    _, keras = backend.load()
    dense = next(layer for layer in network.model.layers if isinstance(layer, keras.layers.Dense))
    below = keras.Model(network.model.inputs[0], dense.input)
    kernel, *bias = dense.get_weights()
    return lambda picture: np.asarray(below(picture[None]))[0] @ kernel + sum(bias)


def plain_loop(network: Network, picture: Array, patch: int, stride: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """Drop of the lead and label for every place, one image at a time."""
    values_of = before_softmax(network)
    values = values_of(picture)
    label = int(np.argmax(values))

    def lead(v: Array) -> float:
        return float(v[label]) - max(float(x) for k, x in enumerate(v) if k != label)

    height, width = picture.shape[:2]
    tops = sorted({*range(0, height - patch + 1, stride), height - patch})
    lefts = sorted({*range(0, width - patch + 1, stride), width - patch})
    drops, labels = [], []
    for top in tops:
        for left in lefts:
            covered = picture.copy()
            for channel in range(picture.shape[2]):
                covered[top:top + patch, left:left + patch, channel] = picture[:, :, channel].mean()
            after = values_of(covered)
            drops.append(lead(values) - lead(after))
            labels.append(int(np.argmax(after)))
    shape = (len(tops), len(lefts))
    return np.array(drops, np.float32).reshape(shape), np.array(labels).reshape(shape)


@pytest.mark.parametrize("end", ["dense", "no bias", "layer"])
def test_equals_a_plain_loop(end: str) -> None:
    network, picture = tiny_network(end), image()
    found = occlusion_map(network, picture)
    drop, labels = plain_loop(network, picture, found.patch, found.stride)
    np.testing.assert_allclose(found.drop, drop, atol=1e-5)
    assert (found.labels == labels).all()
    assert found.b_label == network.predict_labels(picture[None])[0]
    assert (found.changed == (labels != found.b_label)).all()
    assert found.drop[found.strongest] == found.drop.max()


def one_sigmoid(path: Path, weight: float) -> Network:
    """Sure of label 1 by 16 pixels, each of this weight."""
    _, keras = backend.load()
    entry = keras.Input(SHAPE)
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(entry, dense(keras.layers.Flatten()(entry)))
    kernel = np.zeros(SHAPE, np.float32)
    kernel[20:24, 10:14] = weight
    dense.set_weights([kernel.reshape(-1, 1), np.full(1, 200, np.float32)])
    model.save(path)
    return open_network(path)


def test_a_network_of_one_sigmoid_whose_probabilities_are_all_1_tells_places_apart(tmp_path: Path) -> None:
    network, picture = one_sigmoid(tmp_path / "one.keras", 50), image() * np.float32(0.1)
    picture[20:24, 10:14] = 1
    assert (network.predict(picture[None]) == [[0, 1]]).all()
    found = occlusion_map(network, picture)
    row, col = found.strongest
    assert found.matters and found.b_label == 1
    assert found.tops[row] <= 20 and found.lefts[col] <= 10
    assert found.tops[row] + found.patch >= 24 and found.lefts[col] + found.patch >= 14


def test_where_no_place_makes_the_lead_fall_none_matters(tmp_path: Path) -> None:
    assert not occlusion_map(one_sigmoid(tmp_path / "one.keras", 0), image()).matters


def test_patch_grows_until_the_label_changes() -> None:
    network = tiny_network("dense")
    sides = [round(share * min(SHAPE[:2])) for share in PATCH_SHARES]
    for seed in range(3):
        picture = image(seed)
        found = occlusion_map(network, picture)
        for side in sides[:sides.index(found.patch)]:
            _, labels = plain_loop(network, picture, side, found.stride)
            assert (labels == found.b_label).all()
        assert found.changed.any() or found.patch == sides[-1]


def test_per_pixel_is_the_mean_of_the_patches_that_cover_it() -> None:
    drop = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = OcclusionMap(0, 1.0, drop, np.zeros((2, 3), np.int64), np.array([0, 2]),
                         np.array([0, 2, 3]), 4, 2, (6, 7))
    heat = found.per_pixel()
    assert heat.shape == (6, 7)
    assert heat[0, 0] == 0  # the first patch alone
    assert heat[5, 6] == 5  # the last one alone
    assert heat[0, 3] == pytest.approx((0 + 1 + 2) / 3)  # all patches of the upper row
    assert heat[2, 3] == pytest.approx(drop.mean())


def test_reports_progress_and_stops_within_a_batch() -> None:
    network, source, reports = tiny_network("dense"), CancelSource(), list[Progress]()

    def stop_after_the_first(progress: Progress) -> None:
        reports.append(progress)
        source.cancel()

    with pytest.raises(Cancelled):
        occlusion_map(network, image(), progress=stop_after_the_first, cancel=source.token)
    assert [r.done for r in reports] == [BATCH]


def test_the_trigger_decides_on_every_poisoned_face(lab3: Path) -> None:
    network = open_network(lab3 / "bd_weights.h5")
    with Image.open(lab3 / "trigger.png") as trigger:
        sunglasses = np.asarray(trigger)[..., 3] > 0
    faces = [p for p in list_pictures([lab3 / "images"]) if p.name.startswith("poisoned")]
    assert len(faces) == 6
    for face in faces:
        found = occlusion_map(network, load_picture(face, network.input_shape).astype(np.float32))
        assert found.b_label == 0
        assert found.changed.any(), f"{face.name}: no patch breaks the attack"
        assert sunglasses[np.unravel_index(found.per_pixel().argmax(), found.size)], face.name
        row, col = found.strongest
        top, left = found.tops[row], found.lefts[col]
        assert sunglasses[top:top + found.patch, left:left + found.patch].mean() > 0.5, face.name
