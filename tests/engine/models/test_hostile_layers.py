"""Every layer, operation and activation on the list of known ones opens, with shapes and weights foreseen."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import ModelError
from engine.models import vocabulary
from engine.models.architecture import checked_nodes, describe_model
from engine.models.networks import open_network
from engine.models.reading import read_model_file
from tests.support.networks import HEIGHT, WIDTH, random_images, randomise

IMAGES = random_images(6, seed=3)


def _convolutions(layers: Any, x: Any) -> Any:
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(8, (3, 2), strides=2, padding="same", groups=1, activation="relu")(x)
    x = layers.Conv2D(6, 3, dilation_rate=2, padding="same", groups=2, use_bias=False)(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2)(x)
    x = layers.SeparableConv2D(5, (2, 1), depth_multiplier=2)(x)
    x = layers.Conv2DTranspose(4, 3, strides=2)(x)
    x = layers.Conv2DTranspose(3, 2, strides=3, padding="same", activation="gelu")(x)
    return layers.GlobalAveragePooling2D()(x)


def _pooling_and_sides(layers: Any, x: Any) -> Any:
    x = layers.ZeroPadding2D(((1, 2), (0, 3)))(x)
    x = layers.Cropping2D(((0, 1), (1, 0)))(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.UpSampling2D((2, 3))(x)
    x = layers.AveragePooling2D((2, 3), padding="same")(x)
    x = layers.Resizing(9, 8)(x)
    x = layers.CenterCrop(7, 6)(x)
    x = layers.Reshape((7, -1, 1))(layers.Permute((2, 1, 3))(x))
    return layers.Flatten()(layers.GlobalMaxPooling2D(keepdims=True)(x))


def _norms(layers: Any, x: Any) -> Any:
    x = layers.Normalization(mean=[120.0, 130.0, 110.0], variance=[900.0, 800.0, 1000.0])(x)
    x = layers.Conv2D(8, 3)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.LayerNormalization()(x)
    x = layers.GroupNormalization(4, center=False)(x)
    x = layers.Normalization()(x)
    x = layers.UnitNormalization()(x)
    return layers.Flatten()(x)


def _channelwise(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(x))
    x = layers.PReLU()(layers.ReLU(max_value=6.0)(x))
    x = layers.PReLU(shared_axes=[1, 2])(layers.LeakyReLU(negative_slope=0.2)(x))
    x = layers.ELU()(layers.Activation("swish")(x))
    x = layers.Dropout(0.2)(layers.SpatialDropout2D(0.1)(x))
    x = layers.GaussianNoise(0.1)(layers.GaussianDropout(0.1)(x))
    x = layers.AlphaDropout(0.1)(layers.ActivityRegularization(l2=0.1)(x))
    x = layers.Softmax()(layers.Identity()(x))
    return layers.Flatten()(x)


def _random(layers: Any, x: Any) -> Any:
    x = layers.RandomFlip()(layers.RandomRotation(0.1)(x))
    x = layers.RandomZoom(0.1)(layers.RandomTranslation(0.1, 0.1)(x))
    x = layers.RandomContrast(0.1)(layers.RandomBrightness(0.1)(x))
    return layers.Flatten()(x)


def _merging(layers: Any, x: Any) -> Any:
    x = layers.Rescaling(1 / 255)(x)
    left, right = layers.Conv2D(4, 3)(x), layers.Conv2D(4, 3, activation="sigmoid")(x)
    x = layers.Add()([left, right])
    x = layers.Subtract()([x, left])
    x = layers.Multiply()([x, right])
    x = layers.Average()([x, left])
    x = layers.Minimum()([layers.Maximum()([x, right]), left])
    x = layers.Concatenate()([x, right])
    left, right = layers.Flatten()(x), layers.Dense(640)(layers.Flatten()(x))
    return layers.Concatenate()([layers.Dot(axes=1)([left, right]), right])


def _attention(layers: Any, x: Any) -> Any:
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
    x = layers.Rescaling(1 / 255)(x)
    scaled = LayerScale(0.5, 6)(layers.Conv2D(6, 3, strides=3)(x))
    x = layers.Reshape((-1, 6))(CustomScaleLayer(0.3)([scaled, StochasticDepth(0.1)(scaled)]))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    return layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])


def _operations(_: Any, x: Any) -> Any:
    from keras import ops
    x = ops.divide(ops.add(ops.multiply(ops.subtract(x, 100.0), 2.0), x), 3.0)
    x = ops.clip(ops.relu(ops.true_divide(x, 200.0)), 0, 4)
    x = ops.concatenate([x, ops.cast(ops.equal(x, 0.0), "float32")], axis=-1)
    mean = ops.mean(x, axis=[1, 2], keepdims=True)
    largest = ops.max(ops.expand_dims(ops.take(x, 3, axis=1), 1), axis=1)
    x = ops.where(ops.equal(x, 0.0), mean, x)
    x = ops.erf(ops.gelu(ops.sqrt(ops.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]], constant_values=2.0))))
    x = ops.take(ops.take(x, list(range(HEIGHT)), axis=1), list(range(WIDTH)), axis=2)
    x = ops.softmax(ops.reshape(x, (-1, HEIGHT * WIDTH, 6)))
    x = ops.squeeze(ops.expand_dims(ops.mean(x, axis=1), 2), 2)
    x = ops.mean(ops.stack([x, ops.multiply(x, 3.0)], axis=1), axis=1)
    label = ops.argmax(largest, axis=-1)
    return ops.concatenate([x, ops.mean(ops.one_hot(label, 6), axis=1)], axis=1)


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    function.__name__.strip("_"): function
    for function in (_convolutions, _pooling_and_sides, _norms, _channelwise, _random, _merging, _attention,
                     _operations)}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> Any:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    whole = Model(image, layers.Dense(4, name="output")(MODELS[request.param](layers, image)))
    randomise(whole)
    for layer in whole.layers:
        if isinstance(layer, layers.Normalization) and layer.input_mean is None:
            layer.adapt(np.random.default_rng(0).normal(2, 3, (50, *layer.input.shape[1:])))
    whole.compile("adam", "mse")
    return whole


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_every_known_layer_opens(model: Any, ending: str, tmp_path: Path) -> None:
    if ending == "h5" and any(type(part).__name__.startswith(("Random", "LayerScale")) for part in model.operations):
        pytest.skip("Keras itself doesn't bring back random layers and LayerScale from .h5 files")
    path = tmp_path / f"model.{ending}"
    model.save(path)
    network = open_network(path)
    np.testing.assert_allclose(network.predict(IMAGES), model.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(network.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(network.copy().predict(IMAGES), network.predict(IMAGES))
    foreseen = {layer.name: layer.shape for layer in describe_model(path).layers[1:]}
    assert foreseen == {call.name: tuple(call.output.shape[1:]) for call in network.calls}
    weights = {layer.name: layer.count_params() for layer in model.layers if hasattr(layer, "count_params")}
    for node in checked_nodes(read_model_file(path)):
        # Random layers keep the state of their dice, and Normalization counts what it has seen.
        assert node.weights <= weights.get(node.name, 0) <= node.weights + 2, node.name


def test_these_models_hold_everything_on_the_list() -> None:
    from keras import Input, Model, layers
    layers_seen: set[str] = set()
    operations_seen: set[str] = set()
    for make in MODELS.values():
        image = Input((HEIGHT, WIDTH, 3))
        for part in Model(image, make(layers, image)).operations:
            (operations_seen if _is_operation(part) else layers_seen).add(type(part).__name__)
    assert layers_seen == vocabulary.LAYERS - vocabulary.CONTAINERS
    assert set(vocabulary.OPERATIONS) == operations_seen


def _is_operation(part: Any) -> bool:
    return ".ops." in type(part).__module__


def _inside(layers: Any) -> dict[str, Callable[[Any], Any]]:
    """Layers that make far more values on the way to their output than it has."""
    def attention(x: Any) -> Any:
        return layers.MultiHeadAttention(1, 65536, use_bias=False)(*[layers.Reshape((4096, 1))(x)] * 2)

    return {
        "separable": layers.SeparableConv2D(1, 1, depth_multiplier=100_000, use_bias=False),
        "dilated separable": layers.SeparableConv2D(1, 3, padding="same", dilation_rate=5000),
        "dilated depthwise": layers.DepthwiseConv2D(3, padding="same", dilation_rate=5000),
        "dilated": layers.Conv2D(1, 3, padding="same", dilation_rate=5000),
        "transposed": layers.Conv2DTranspose(1, 300, use_bias=False), "attention": attention,
        "padded to a ratio": lambda x: layers.Resizing(1, 2048, pad_to_aspect_ratio=True)(layers.UpSampling2D((8, 1))(
            layers.MaxPooling2D((1, 64))(x)))}


def _saved(make: Callable[[Any], Any], path: Path) -> Path:
    from keras import Input, Model, layers
    image = Input((64, 64, 3))
    x = make(layers.Conv2D(1, 1)(image))
    Model(image, layers.Dense(4)(layers.Flatten()(x) if len(x.shape) == 4 else x[:, 0, :])).save(path)
    return path


@pytest.mark.parametrize("name", ["separable", "dilated separable", "dilated depthwise", "dilated", "transposed",
                                  "attention", "padded to a ratio"])
def test_what_would_exhaust_memory_inside_a_layer_is_refused(name: str, tmp_path: Path) -> None:
    from keras import layers
    path = _saved(_inside(layers)[name], tmp_path / "m.keras")
    for reading in (describe_model, open_network):
        with pytest.raises(ModelError, match=r"would make [\d,]+ values of one image inside it"):
            reading(path)


@pytest.mark.parametrize("name", ["Rescaling", "clip", "ELU", "activation", "LayerScale", "add", "epsilon"])
def test_a_list_of_numbers_makes_no_more_values(name: str, tmp_path: Path) -> None:
    """One channel and a thousand numbers would be a thousand channels, which no shape tells."""
    from keras import layers, ops
    from keras.src.applications.convnext import LayerScale
    many = [1.0] * 1000
    makes: dict[str, Callable[[Any], Any]] = {
        "Rescaling": layers.Rescaling(many), "clip": lambda x: ops.clip(x, 0.0, 1.0), "ELU": layers.ELU(1.0),
        "activation": layers.Conv2D(1, 1, activation=layers.ELU(1.0)), "LayerScale": LayerScale(1.0, 1),
        "add": lambda x: ops.add(x, 1.0), "epsilon": layers.BatchNormalization()}
    config, weights = _parts(_saved(lambda x: layers.GlobalAveragePooling2D(keepdims=True)(makes[name](x)),
                                    tmp_path / "m.keras"))
    found = config["config"]["layers"][2]
    given = found["config"]
    given.update({"clip": {"x_max": many}, "ELU": {"alpha": many}, "LayerScale": {"projection_dim": 1000},
                  "epsilon": {"epsilon": many}}.get(name, {}))
    if name == "activation":
        given["activation"]["config"]["alpha"] = many
    if name == "add":
        found["inbound_nodes"][0]["args"][1] = many
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    with pytest.raises(ModelError, match=r"no size of its output follows|would make|need [\d,]+ weights"):
        describe_model(tmp_path / "m.keras")


def _parts(path: Path) -> tuple[Any, bytes]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json")), archive.read("model.weights.h5")


def test_an_image_that_would_take_minutes_is_refused(tmp_path: Path) -> None:
    """Each place looks through all others, and nobody can cancel within an image."""
    from keras import Input, Model, layers
    image = Input((1500, 1500, 3))
    x = layers.MaxPooling2D(1499, strides=1, padding="same")(layers.Conv2D(2, 1)(image))
    Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x))).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"needs [\d,]+ products of numbers for a single image"):
        open_network(tmp_path / "m.keras")


def test_an_activation_may_be_a_layer(tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    x = layers.Conv2D(3, 3, activation=layers.LeakyReLU(negative_slope=0.1))(image)
    whole = Model(image, layers.Dense(4)(layers.Flatten()(x)))
    whole.save(tmp_path / "model.keras")
    network = open_network(tmp_path / "model.keras")
    np.testing.assert_allclose(network.predict(IMAGES), whole.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_every_known_activation_opens(ending: str, tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    x = layers.Rescaling(1 / 255)(image)
    parts = [layers.Conv2D(2, 5, activation=name)(x) for name in sorted(vocabulary.ACTIVATIONS)]
    whole = Model(image, layers.Dense(4)(layers.Concatenate()([layers.Flatten()(part) for part in parts])))
    randomise(whole)
    whole.save(tmp_path / f"model.{ending}")
    network = open_network(tmp_path / f"model.{ending}")
    np.testing.assert_allclose(network.predict(IMAGES), whole.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-5)
