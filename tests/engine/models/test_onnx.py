"""ONNX files of each family of networks, as both of PyTorch's ways of exporting write them, against onnxruntime."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import ModelError
from engine.models.architecture import describe_model
from engine.models.networks import Network, open_network
from engine.progress import NEVER_CANCELLED
from engine.pruning.incremental import predictor_for
from tests.support.networks import plain_loop
from tests.support.places import PROJECT

FOLDER = PROJECT / "tests" / "data" / "onnx"
FILES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
# One of each way; where the way of writing makes no difference.
SOME = [name for name in FILES if name.endswith(("script13", "dynamo"))]
CLOSE = 1e-4
Array = npt.NDArray[Any]


@cache
def answers() -> dict[str, Array]:
    with np.load(FOLDER / "answers.npz") as found:
        return dict(found)


@cache
def opened(name: str) -> Network:
    return open_network(FOLDER / f"{name}.onnx")


def pictures() -> Array:
    return answers()["pictures"].astype(np.float32) / 255


def largest_difference(found: Array, expected: Array) -> float:
    """The largest difference of two sets of answers, as a part of their range."""
    return float(np.abs(found - expected).max() / (expected.max() - expected.min()))


def test_all_families_were_exported_in_all_ways() -> None:
    ways = {"script13", "script17", "dynamo18", "dynamo"}
    assert len(FILES) >= 14 * len(ways) and {name.rsplit("-", 1)[1] for name in FILES} == ways


@pytest.mark.parametrize("name", FILES)
def test_a_network_answers_as_onnxruntime_does(name: str) -> None:
    assert largest_difference(opened(name).predict(pictures()), answers()[name]) < CLOSE
    np.testing.assert_array_equal(opened(name).predict_labels(pictures()), answers()[name].argmax(axis=1))


@pytest.mark.parametrize("name", FILES)
def test_a_pruned_network_answers_as_one_with_zeros_in_its_file(name: str) -> None:
    layer = str(answers()[f"{name}/layer"]).removesuffix(".weight")
    named = layer if layer in opened(name).prunable_layers() else _layer_of(name, layer)
    pruned = opened(name).pruned(named, answers()["pruned"].tolist())
    expected = answers()[f"{name}/pruned"]
    assert largest_difference(expected, answers()[name]) > 1e-3
    assert largest_difference(pruned.predict(pictures()), expected) < CLOSE


def _layer_of(name: str, weights: str) -> str:
    """The layer of weights that don't bear its name, as the older exporter's don't: by its place among the others."""
    import onnx
    convs = [node.input[1] for node in onnx.load(FOLDER / f"{name}.onnx").graph.node if node.op_type == "Conv"]
    layers = [call.name for call in opened(name).calls if "Conv2D" in type(call.layer).__name__]
    return layers[convs.index(weights)]


@pytest.mark.parametrize("name", SOME)
def test_a_description_agrees_with_the_network_though_nothing_is_run(name: str) -> None:
    network, found = opened(name), describe_model(FOLDER / f"{name}.onnx")
    assert (found.input_shape, found.labels, found.sha256) == (network.input_shape, network.labels, network.sha256)
    assert (found.input_shape, found.labels, found.format) == ((32, 32, 3), 7, "ONNX (.onnx)")
    assert found.parameters == sum(w.size for w in network.model.get_weights())
    assert {layer.name: layer.channels for layer in found.layers if layer.channels} == network.prunable_layers()
    assert found.default_layer == network.default_layer()
    shapes = {layer.name: layer.shape for layer in found.layers if layer.kind != "InputLayer"}
    assert shapes == {call.name: tuple(call.output.shape[1:]) for call in network.calls}


@pytest.mark.parametrize("name", SOME)
def test_a_saved_copy_is_a_plain_keras_model(name: str, tmp_path: Path) -> None:
    opened(name).copy().model.save(tmp_path / "copy.keras")
    again = open_network(tmp_path / "copy.keras")
    np.testing.assert_array_equal(again.predict(pictures()), opened(name).predict(pictures()))
    assert again.prunable_layers() == opened(name).prunable_layers()


@pytest.mark.parametrize("name", SOME)
def test_the_network_takes_pictures_as_one_of_keras_s_does(name: str) -> None:
    """Keras would warn of a list of one input where it is given none."""
    answer = opened(name).model(pictures(), training=False)
    assert largest_difference(np.asarray(answer), answers()[name]) < CLOSE


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("-dynamo")])
def test_every_step_answers_as_the_plain_loop(name: str) -> None:
    network = opened(name)
    layer = network.default_layer()
    order = np.random.default_rng(3).permutation(network.prunable_layers()[layer])
    plain = plain_loop(open_network(FOLDER / f"{name}.onnx").model, layer, order.tolist(), pictures())
    assert len(np.unique(plain, axis=0)) > 1  # else nothing would be shown
    steps = predictor_for(network, layer)
    np.testing.assert_array_equal(steps.labels(steps.features(pictures()), order, NEVER_CANCELLED), plain)


@pytest.mark.parametrize("way", ["script13", "script17", "dynamo18", "dynamo"])
def test_layers_bear_the_names_of_the_pytorch_model(way: str) -> None:
    assert set(opened(f"resnet-{way}").prunable_layers()) == {
        "0.0", "2.body.0.0", "2.body.1.0", "3.body.0.0", "3.body.1.0", "3.body.2.0", "3.shortcut.0"}


def test_a_convolution_takes_over_the_relu_behind_it_and_no_other() -> None:
    layers = {call.name: call.layer for call in opened("resnet-dynamo").calls}
    assert layers["2.body.0.0"].activation.__name__ == "relu"
    assert layers["2.body.1.0"].activation.__name__ == "linear"  # its ReLU stands behind the sum


def test_weights_beside_the_file_count_for_its_digest(tmp_path: Path) -> None:
    for file in FOLDER.glob("resnet-dynamo.onnx*"):
        shutil.copy(file, tmp_path)
    model, weights = tmp_path / "resnet-dynamo.onnx", tmp_path / "resnet-dynamo.onnx.data"
    content = model.read_bytes() + weights.read_bytes()
    assert describe_model(model).sha256 == hashlib.sha256(content).hexdigest()
    alone = FOLDER / "vgg_bn-script13.onnx"
    assert describe_model(alone).sha256 == hashlib.sha256(alone.read_bytes()).hexdigest()
    weights.unlink()
    with pytest.raises(ModelError, match=r"'resnet-dynamo.onnx.data', which isn't beside it\. Put both files"):
        describe_model(model)


def test_describing_loads_no_tensorflow() -> None:
    code = ("import sys; from pathlib import Path; from engine.models.architecture import describe_model; "
            f"describe_model(Path({str(FOLDER / 'resnet-dynamo.onnx')!r})); print('tensorflow' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
