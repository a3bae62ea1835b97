"""Mean activations against NumPy in float64, ties, and where activation is measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.errors import Cancelled, EngineError, LayerNotFound
from engine.models.networks import Network
from engine.progress import CancelSource, Progress
from engine.pruning.ranking import given_order, rank_channels, ranking_from_means, read_order
from tests.support.networks import HEIGHT, WIDTH, Array, SmallLab, build, random_images, save_lab_file

COUNT = 50
IMAGES = random_images(COUNT, seed=6)


@pytest.fixture
def faces(tmp_path: Path) -> Dataset:
    return open_dataset(save_lab_file(tmp_path / "faces.h5", IMAGES, np.zeros(COUNT)), (HEIGHT, WIDTH, 3))


def convolved(kernel: Array, bias: Array) -> Array:
    """The network "plain" up to conv_1's activation, in float64: centred images, valid convolution, ReLU."""
    x = IMAGES.astype(np.float64) / 127.5 - 1
    patches = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    sums = np.einsum("nijcab,abco->nijo", patches, kernel.astype(np.float64)) + bias
    return np.maximum(sums, 0)


def test_a_provisional_ranking_is_of_the_images_so_far(faces: Dataset) -> None:
    model, _ = build("plain")
    activation = convolved(*model.get_layer("conv_1").get_weights()).mean(axis=(1, 2))
    network, told = Network(model, Path("m.keras")), []
    network.batch = 8
    rank_channels(network, "conv_1", faces, provisional=told.append)
    assert len(told) == 2
    for ranking, images in zip(told, (8, 32), strict=True):
        np.testing.assert_allclose(ranking.mean_activation, activation[:images].mean(axis=0), rtol=1e-5)


def test_mean_activation_is_numpy_s(faces: Dataset) -> None:
    model, _ = build("plain")
    activation = convolved(*model.get_layer("conv_1").get_weights())
    expected = activation.mean(axis=(0, 1, 2))
    network = Network(model, Path("m.keras"))
    for chunk in (256, 7):
        network.batch = chunk
        found = rank_channels(network, "conv_1", faces)
        assert found.mean_activation.dtype == np.float64 and found.source == "conv"
        np.testing.assert_allclose(found.mean_activation, expected, rtol=1e-5)
        assert found.order.tolist() == np.argsort(expected).tolist()


def test_ranking_behind_the_pooling_layer(faces: Dataset) -> None:
    model, _ = build("plain")
    activation = convolved(*model.get_layer("conv_1").get_weights())
    pooled = activation[:, :10, :8].reshape(COUNT, 5, 2, 4, 2, -1).max(axis=(2, 4))
    found = rank_channels(Network(model, Path("m.keras")), "conv_1", faces, rank_at="pool")
    np.testing.assert_allclose(found.mean_activation, pooled.mean(axis=(0, 1, 2)), rtol=1e-5)
    assert found.source == "pool"


def test_the_pooling_layer_may_stand_behind_others(faces: Dataset) -> None:
    """Batch normalisation and an activation lie between, and what is measured is what the pooling layer gives."""
    import keras
    model, layer = build("batch normalisation, no bias")
    pool = keras.Model(model.inputs, model.get_layer("pool").output).predict(IMAGES, verbose=0).astype(np.float64)
    found = rank_channels(Network(model, Path("m.keras")), layer, faces, rank_at="pool")
    np.testing.assert_allclose(found.mean_activation, pool.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_no_pooling_layer_to_rank_at(faces: Dataset) -> None:
    model, layer = build("no pooling")
    with pytest.raises(LayerNotFound, match="no pooling layer"):
        rank_channels(Network(model, Path("m.keras")), layer, faces, rank_at="pool")


def test_equal_means_keep_their_index_order(faces: Dataset) -> None:
    model, _ = build("plain")
    conv = model.get_layer("conv_1")
    kernel, bias = conv.get_weights()
    kernel[..., [1, 4]], bias[[1, 4]] = kernel[..., [2, 2]], bias[2]  # 1, 2 and 4 do the same
    bias[[3, 5]] = -1000  # never active
    conv.set_weights([kernel, bias])
    found = rank_channels(Network(model, Path("m.keras")), "conv_1", faces)
    order = found.order.tolist()
    assert order[:2] == [3, 5] and found.mean_activation[3] == found.mean_activation[5] == 0
    at = order.index(1)
    assert order[at:at + 3] == [1, 2, 4]


def test_ties_in_a_large_ranking() -> None:
    means = np.array([2.0, 0, 1, 0, 2, 1] * 20)
    order = ranking_from_means("conv", means, "conv").order
    assert order.tolist() == sorted(range(120), key=lambda c: (means[c], c))


def test_progress_and_cancel(faces: Dataset) -> None:
    model, _ = build("plain")
    network, seen = Network(model, Path("m.keras")), list[Progress]()
    network.batch = 20
    rank_channels(network, "conv_1", faces, progress=seen.append)
    assert seen == [Progress("Ranking channels", n, COUNT) for n in (0, 0, 0, 20, 40, 50)]
    for stage in (1, 3, 4):  # while the network is made ready, and after the first images
        seen.clear()
        source = CancelSource()

        def cancel(report: Progress, stage: int = stage, source: CancelSource = source) -> None:
            seen.append(report)
            if len(seen) == stage:
                source.cancel()

        with pytest.raises(Cancelled):
            rank_channels(network, "conv_1", faces, progress=cancel, cancel=source.token)
        assert len(seen) == stage


@pytest.mark.parametrize("content", [[4, 0, 1, 2, 3, 5], {"pruning_order": [4, 0, 1, 2, 3, 5], "source": "a report"}])
def test_a_given_order(content: object, tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    path.write_text(json.dumps(content))
    model, _ = build("plain")
    network, means = Network(model, Path("m.keras")), np.arange(6.0)
    measured = ranking_from_means("conv_1", means, "conv")
    found = given_order(network, "conv_1", path)(measured)
    assert found.order.tolist() == [4, 0, 1, 2, 3, 5]
    assert found.mean_activation is means and found.source == "order.json"
    assert given_order(network, "conv_1", None)(measured) is measured


@pytest.mark.parametrize("content", [
    "", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, 6]", "[0, 1, 2, 3, 4, 4]", '["0", 1, 2, 3, 4, 5]', "[0.0, 1, 2, 3, 4, 5]",
    "[true, 0, 2, 3, 4, 5]", '{"order": [0, 1, 2, 3, 4, 5]}', "7", "[" * 100_000])
def test_orders_that_are_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    path.write_text(content)
    model, _ = build("plain")
    with pytest.raises(EngineError, match=r"order\.json: "):
        given_order(Network(model, Path("m.keras")), "conv_1", path)


@pytest.mark.parametrize(("content", "found"), [
    ('{"a": 1}', "holds no pruning order"), ("[0, 1, 2, 3, 4, 9]", "it holds 9"), ("[0, 1, 2, 3, 5]", "doesn't hold 4"),
    ("[0, 1, 2, 3, 4, 5, 5]", "holds 5 more than once")])
def test_what_is_wrong_with_an_order_is_said(content: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    path.write_text(content)
    with pytest.raises(EngineError, match=found):
        read_order(path, "conv_1", 6)


def test_ranking_reads_in_chunks(small_lab: SmallLab) -> None:
    model, layer = build("plain")
    seen: list[Progress] = []
    rank_channels(Network(model, Path("m.keras")), layer, open_dataset(small_lab.clean), progress=seen.append)
    assert seen[-1].done == seen[-1].total == 80
