"""Model files old and new: what is opened, what is refused, what is said of them unopened, and pruned copies."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.errors import LayerNotFound, ModelError
from engine.models.architecture import describe_model
from engine.models.deepid import build_deepid
from engine.models.networks import Network, open_network
from engine.models.to_onnx.translation import translated
from tests.support.networks import (
    HEIGHT,
    LABELS,
    NETWORKS,
    WIDTH,
    Array,
    build,
    random_images,
    randomise,
    zero_channels,
)
from tests.support.places import PROJECT

IMAGES = random_images(12, seed=8)
GLOROT = {"class_name": "VarianceScaling",
          "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}}
ZEROS: dict[str, Any] = {"class_name": "Zeros", "config": {}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All of NETWORKS as .keras files."""
    folder = tmp_path_factory.mktemp("networks")
    found = {}
    for number, name in enumerate(NETWORKS):
        found[name] = folder / f"{number}.keras"
        build(name)[0].save(found[name])
    return found


@cache
def opened(path: Path) -> Network:
    """Networks are never changed, so one opening serves all tests."""
    return open_network(path)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_opened_network_answers_as_keras_does(name: str, files: dict[str, Path]) -> None:
    network = opened(files[name])
    expected = build(name)[0].predict(IMAGES, verbose=0)
    np.testing.assert_allclose(network.predict(IMAGES), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(network.predict_labels(IMAGES), expected.argmax(axis=1))
    assert network.input_shape == (HEIGHT, WIDTH, 3)
    assert network.predict(IMAGES[:0]).shape == (0, network.labels)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_description_agrees_with_the_network_though_nothing_is_run(name: str, files: dict[str, Path]) -> None:
    network, found = opened(files[name]), describe_model(files[name])
    assert (found.input_shape, found.labels, found.sha256) == (network.input_shape, network.labels, network.sha256)
    assert found.parameters == sum(w.size for w in network.model.get_weights())
    assert {layer.name: layer.channels for layer in found.layers if layer.channels} == network.prunable_layers()
    assert found.default_layer == network.default_layer()
    shapes = {layer.name: layer.shape for layer in found.layers if layer.kind != "InputLayer"}
    assert shapes == {call.name: tuple(call.output.shape[1:]) for call in network.calls}


@pytest.mark.parametrize(("name", "layer"), [
    ("plain", "pruned"), ("batch normalisation, no bias", "after"), ("nested", "backbone/pruned"),
    ("no pooling", "pruned"), ("grouped convolution", "after"), ("skip connection around the layer", "join")])
def test_the_default_layer_is_the_last_that_everything_passes(name: str, layer: str, files: dict[str, Path]) -> None:
    assert opened(files[name]).default_layer() == layer


# Joined branches have no weights to compare: their pruned copies' answers are, in test_prunable.py.
@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("joined branches")])
def test_a_pruned_copy_is_the_plain_one_and_the_original_stays(name: str, files: dict[str, Path]) -> None:
    network, (reference, layer) = opened(files[name]), build(name)
    before = [w.copy() for w in network.model.get_weights()]
    pruned = network.pruned(layer, [4, 1, 2])
    zero_channels(reference, layer, [1, 2, 4])
    for ours, plain in zip(pruned.model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, plain)
    for old, new in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(LayerNotFound, match="conv_9"):
        network.pruned("conv_9", [0])


def test_a_copy_shares_nothing(files: dict[str, Path]) -> None:
    network = opened(files["plain"])
    before = network.predict(IMAGES)
    twin = network.copy()
    twin.model.set_weights([w * 0 for w in twin.model.get_weights()])
    np.testing.assert_array_equal(network.predict(IMAGES), before)


def test_a_layer_used_twice_or_mixing_channels_is_not_prunable(tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.Conv2D(4, 3, activation="softmax", name="mixing")(shared(shared(image)))
    x = layers.Conv2D(5, 3, activation="gelu", name="plain")(x)
    Model(image, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    assert open_network(tmp_path / "m.keras").prunable_layers() == {"plain": 5}
    found = describe_model(tmp_path / "m.keras")
    assert [layer.name for layer in found.layers if layer.channels] == ["plain"]


@pytest.fixture(scope="module")
def deepid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """DeepID weights alone, laid out as Keras 2.3 wrote them, and the model they belong to."""
    model = build_deepid(9)
    randomise(model, 5)
    path = tmp_path_factory.mktemp("deepid") / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        write_weights(file, {layer.name: dict(zip(("kernel:0", "bias:0"), layer.get_weights(), strict=False))
                             for layer in model.layers})
    return path, model


def write_weights(parent: Any, weights: dict[str, dict[str, Array]]) -> None:
    """Layers' weights in Keras 2's layout: a group a layer, in it the layer's name once more."""
    for layer, arrays in weights.items():
        group = parent.create_group(layer)
        group.attrs["weight_names"] = np.array([f"{layer}/{name}".encode() for name in arrays])
        for name, array in arrays.items():
            group[f"{layer}/{name}"] = array


def test_deepid_weights_alone(deepid: tuple[Path, Any]) -> None:
    path, model = deepid
    faces = random_images(4, shape=(55, 47, 3))
    network = open_network(path)
    np.testing.assert_allclose(network.predict(faces), model.predict(faces, verbose=0), rtol=1e-4, atol=1e-6)
    assert (network.labels, network.default_layer()) == (9, "conv_3")


def test_deepid_s_description_is_the_network_that_is_built(deepid: tuple[Path, Any]) -> None:
    path, model = deepid
    found = describe_model(path)
    assert [(layer.name, layer.kind, layer.shape) for layer in found.layers] == [
        (layer.name, type(layer).__name__, tuple(layer.output.shape[1:])) for layer in model.layers]
    assert (found.default_layer, found.labels, found.input_shape) == ("conv_3", 9, (55, 47, 3))
    assert found.parameters == model.count_params()


def keras2_sequential() -> dict[str, Any]:
    """A sequential model as Keras 2.2 wrote it: a bare list, the input's shape in the first layer."""
    common = {"trainable": True, "dtype": "float32"}
    return {"class_name": "Sequential", "config": [
        {"class_name": "Conv2D", "config": {
            "name": "conv", **common, "batch_input_shape": [None, HEIGHT, WIDTH, 3], "filters": 4,
            "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_last",
            "dilation_rate": [1, 1], "activation": "relu", "use_bias": True, "kernel_initializer": GLOROT,
            "bias_initializer": ZEROS, "kernel_regularizer": None, "bias_regularizer": None,
            "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None}},
        {"class_name": "BatchNormalization", "config": {
            "name": "norm", **common, "axis": [3], "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True,
            "beta_initializer": ZEROS, "gamma_initializer": {"class_name": "Ones", "config": {}},
            "moving_mean_initializer": ZEROS, "moving_variance_initializer": {"class_name": "Ones", "config": {}},
            "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None, "gamma_constraint": None}},
        {"class_name": "MaxPooling2D", "config": {
            "name": "pool", **common, "pool_size": [2, 2], "strides": [2, 2], "padding": "valid",
            "data_format": "channels_last"}},
        {"class_name": "Flatten", "config": {"name": "flat", **common, "data_format": "channels_last"}},
        {"class_name": "Dense", "config": {
            "name": "output", **common, "units": LABELS, "activation": "softmax", "use_bias": True,
            "kernel_initializer": GLOROT, "bias_initializer": ZEROS, "kernel_regularizer": None,
            "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
            "bias_constraint": None}}]}


def keras2_model() -> dict[str, Any]:
    """The same layers as a functional model as Keras 2.2 wrote it, of the class then called Model."""
    layers = copy.deepcopy(keras2_sequential()["config"])
    del layers[0]["config"]["batch_input_shape"]
    image = {"class_name": "InputLayer", "name": "image", "inbound_nodes": [], "config": {
        "batch_input_shape": [None, HEIGHT, WIDTH, 3], "dtype": "float32", "sparse": False, "name": "image"}}
    before = "image"
    for layer in layers:
        layer["name"] = layer["config"]["name"]
        layer["inbound_nodes"] = [[[before, 0, 0, {}]]]
        before = layer["name"]
    return {"class_name": "Model", "config": {
        "name": "model_1", "layers": [image, *layers], "input_layers": [["image", 0, 0]],
        "output_layers": [["output", 0, 0]]}}


def keras2_nested() -> dict[str, Any]:
    """That model as the only layer of another one."""
    inner = keras2_model()
    image = copy.deepcopy(inner["config"]["layers"][0])
    image["name"] = image["config"]["name"] = "outside"
    layer = {**inner, "name": "model_1", "inbound_nodes": [[["outside", 0, 0, {}]]]}
    return {"class_name": "Model", "config": {
        "name": "model_2", "layers": [image, layer], "input_layers": [["outside", 0, 0]],
        "output_layers": [["model_1", 1, 0]]}}


def keras2_weights() -> dict[str, dict[str, Array]]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    return {"conv": {"kernel:0": normal(3, 3, 3, 4) / 50, "bias:0": normal(4)},
            "norm": {"gamma:0": 1 + normal(4), "beta:0": normal(4), "moving_mean:0": normal(4),
                     "moving_variance:0": 1 + normal(4) ** 2},
            "pool": {}, "flat": {}, "output": {"kernel:0": normal(80, LABELS), "bias:0": normal(LABELS)}}


def write_keras2(path: Path, config: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        # What training left behind must be of no consequence: this loss is unknown to everybody.
        file.attrs["training_config"] = json.dumps({"loss": "a_loss_of_ours", "metrics": ["secret"]}).encode()
        group = file.create_group("model_weights")
        weights = keras2_weights()
        if config["config"] == keras2_nested()["config"]:
            # A nested model's weights lie in one group, those that aren't trained last.
            flat = {f"{layer}/{name}": array for layer, arrays in weights.items() for name, array in arrays.items()}
            weights = {"outside": {}, "model_1": dict(sorted(flat.items(), key=lambda item: "moving" in item[0]))}
        group.attrs["layer_names"] = np.array([name.encode() for name in weights])
        write_weights(group, weights)
    return path


def keras2_answers() -> Array:
    """The model's answers to IMAGES in NumPy, float64."""
    w = {layer: [np.asarray(a, np.float64) for a in arrays.values()] for layer, arrays in keras2_weights().items()}
    patches = np.lib.stride_tricks.sliding_window_view(IMAGES.astype(np.float64), (3, 3), axis=(1, 2))
    x = np.maximum(np.einsum("nijcab,abco->nijo", patches, w["conv"][0]) + w["conv"][1], 0)
    gamma, beta, mean, variance = w["norm"]
    x = gamma * (x - mean) / np.sqrt(variance + 0.001) + beta
    x = x.reshape(len(x), 5, 2, 4, 2, 4).max(axis=(2, 4)).reshape(len(x), -1)
    logits = x @ w["output"][0] + w["output"][1]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


@pytest.mark.parametrize(("config", "layer"), [
    (keras2_sequential, "conv"), (keras2_model, "conv"), (keras2_nested, "model_1/conv")])
def test_whole_models_of_keras_2_2(config: Callable[[], dict[str, Any]], layer: str, tmp_path: Path) -> None:
    path = write_keras2(tmp_path / "old.h5", config())
    network = open_network(path)
    np.testing.assert_allclose(network.predict(IMAGES), keras2_answers(), rtol=1e-3, atol=1e-5)
    assert network.prunable_layers() == {layer: 4}
    found = describe_model(path)
    assert (found.input_shape, found.labels, found.default_layer) == ((HEIGHT, WIDTH, 3), LABELS, layer)
    pruned = network.pruned(layer, [0, 1, 2, 3]).predict(IMAGES)
    np.testing.assert_allclose(pruned, pruned[:1].repeat(len(pruned), axis=0), rtol=1e-5)


def _add_lambda(config: dict[str, Any]) -> None:
    config["config"].insert(1, {"class_name": "Lambda", "config": {"name": "code", "function": ["4wEAAAAAAA==", None]}})


def _foreign_class(config: dict[str, Any]) -> None:
    config["config"][0]["class_name"] = "MyConv2D"


def _foreign_module(config: dict[str, Any]) -> None:
    config["config"][0].update(module="os", registered_name="Conv2D")


def _registered(config: dict[str, Any]) -> None:
    config["config"][0].update(module="keras.layers", registered_name="ours>Conv2D")


def _foreign_activation(config: dict[str, Any]) -> None:
    config["config"][0]["config"]["activation"] = "system"


def _foreign_initializer(config: dict[str, Any]) -> None:
    config["config"][0]["config"]["kernel_initializer"] = {"class_name": "Popen", "module": "subprocess", "config": {}}


def _subclassed(config: dict[str, Any]) -> None:
    config["class_name"] = "MyModel"


@pytest.mark.parametrize("spoil", [
    _add_lambda, _foreign_class, _foreign_module, _registered, _foreign_activation, _foreign_initializer, _subclassed])
def test_what_would_need_program_code_is_refused(spoil: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    config = keras2_sequential()
    spoil(config)
    path = write_keras2(tmp_path / "bad.h5", config)
    for look in (open_network, describe_model):
        with pytest.raises(ModelError, match=r"bad\.h5: "):
            look(path)


@pytest.mark.parametrize("member", ["../evil.txt", "/etc/evil", "assets/vocabulary.txt", "c:evil"])
def test_archives_with_more_than_a_model_are_refused(member: str, files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "bad.keras"
    path.write_bytes(files["plain"].read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "x")
    with pytest.raises(ModelError, match="refused"):
        open_network(path)


@pytest.mark.parametrize(("inputs", "outputs", "words"), [
    ((12, 10, 4), 3, "takes inputs of shape"), ((12, 10, 3), 1, "at least 2 labels")])
def test_what_is_no_image_classifier(inputs: tuple[int, ...], outputs: int, words: str, tmp_path: Path) -> None:
    from keras import Input, Sequential, layers
    model = Sequential([Input(inputs), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(outputs)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=words):
        open_network(tmp_path / "m.keras")


def test_two_outputs_are_too_many() -> None:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    x = layers.Flatten()(image)
    with pytest.raises(ModelError, match=r"has 2 outputs \(dense\w*, dense\w*\)"):
        Network(Model(image, [layers.Dense(3)(x), layers.Dense(3)(x)]), Path("m.keras"))


def test_inspecting_loads_no_tensorflow(files: dict[str, Path]) -> None:
    code = ("import sys; from engine.__main__ import main; status = main(['inspect', sys.argv[1]]); "
            "assert status == 0 and not {'tensorflow', 'keras'} & set(sys.modules), status")
    done = subprocess.run([sys.executable, "-c", code, str(files["nested"])], cwd=PROJECT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "backbone/pruned" in done.stdout


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("ending", [".keras", ".onnx"])
def test_weights_that_are_no_numbers_are_refused(value: float, ending: str, tmp_path: Path) -> None:
    """A rectifier behind makes 0 of NaN here, so nothing else would tell."""
    model, name = build("plain")
    path = tmp_path / f"broken{ending}"
    layer = model.get_layer(name)
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 0] = value
    layer.set_weights([kernel, bias])
    if ending == ".keras":
        model.save(path)
    else:
        path.write_bytes(translated(Network(model, path)).SerializeToString())
    with pytest.raises(ModelError, match="aren't numbers") as caught:
        open_network(path)
    assert str(path) in str(caught.value)
