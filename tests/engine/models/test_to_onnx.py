"""Networks written as ONNX: the files answer as Keras does, to others and to this program, or aren't written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from engine.models.networks import Network, open_network
from engine.models.to_onnx import spatial, translation
from engine.models.to_onnx.files import write_onnx
from engine.models.to_onnx.reference import computed
from tests.support.networks import LABELS, NETWORKS, build, random_images, randomise
from tests.support.onnx_answers import onnx_answers

if TYPE_CHECKING:
    import keras

IMAGES = random_images(24, seed=5)
CLOSE = 1e-5
# Networks with a layer that no rule of from_onnx reads.
NOT_READ = ("activation layer that isn't 0 at 0", "skip connection behind")


def written(model: keras.Model, folder: Path) -> Path:
    path = folder / "network.onnx"
    assert write_onnx(Network(model, Path("b.keras")), path, IMAGES) == ""
    return path


def answers(model: keras.Model) -> Any:
    found = model(IMAGES, training=False)
    return np.asarray(found[0] if isinstance(found, list) else found)


def assert_equal(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape and len(np.unique(expected.round(4))) > 3
    assert np.abs(found - expected).max() <= CLOSE * (expected.max() - expected.min())
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_answers_as_keras_does(name: str, tmp_path: Path) -> None:
    model, _ = build(name)
    path = written(model, tmp_path)
    assert_equal(onnx_answers(path, IMAGES), answers(model))
    assert_equal(np.concatenate([onnx_answers(path, IMAGES[:1]), onnx_answers(path, IMAGES[1:])]), answers(model))
    assert [side.dim_value for side in onnx.load(path).graph.input[0].type.tensor_type.shape.dim][1:] == [12, 10, 3]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in NOT_READ])
def test_a_file_opens_again(name: str, tmp_path: Path) -> None:
    model, _ = build(name)
    again = open_network(written(model, tmp_path))
    assert_equal(again.predict(IMAGES), answers(model))
    # A separable convolution is two operators, the second of which has a name of its own.
    whole = Network(model, Path("b.keras"))
    named = {layer.replace("/", "_") for layer in whole.prunable_layers()
             if type(whole.call_of(layer).layer).__name__ != "SeparableConv2D"}
    assert named <= set(again.prunable_layers())


def one_layer(make: Callable[[Any], Any]) -> keras.Model:
    """A small network with a layer, made of a map [11, 9, 6], between two that are known."""
    from keras import Input, Model, layers
    image = Input((12, 10, 3), name="image")
    x = layers.Rescaling(1 / 100, offset=-1)(image)
    x = make(layers.Conv2D(6, 2, name="before")(x))
    x = layers.Flatten()(x) if len(x.shape) > 2 else x
    model = Model(image, layers.Dense(LABELS, name="output")(x))
    randomise(model)
    return model


def _layers() -> dict[str, Callable[[Any], Any]]:
    from keras import layers as kl
    from keras import ops
    return {
        **{f"{name} as an activation": kl.Activation(name) for name in (
            "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "hard_sigmoid", "hard_silu", "tanh",
            "hard_tanh", "softplus", "softsign", "exponential", "mish", "log_sigmoid", "softmax", "log_softmax")},
        "a layer as an activation": kl.Conv2D(5, 3, activation=kl.LeakyReLU(negative_slope=0.1)),
        "a ReLU with a maximum": kl.ReLU(max_value=0.5), "a ReLU with a slope": kl.ReLU(negative_slope=0.3),
        "ELU": kl.ELU(alpha=0.5), "LeakyReLU": kl.LeakyReLU(negative_slope=0.4),
        "PReLU of channels": kl.PReLU(shared_axes=[1, 2]), "PReLU of values": kl.PReLU(),
        "softmax along height": kl.Softmax(axis=1),
        "transposed convolution, same": kl.Conv2DTranspose(4, 3, strides=2, padding="same"),
        "transposed convolution, valid": kl.Conv2DTranspose(4, 2, strides=3, use_bias=False),
        "strided depthwise convolution": kl.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
        "separable convolution": kl.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", activation="relu"),
        "even window, same": kl.Conv2D(5, (2, 4), strides=(2, 1), padding="same"),
        "average pooling with a border": kl.AveragePooling2D(3, strides=1, padding="same"),
        "largest with a border": kl.MaxPooling2D(3, strides=2, padding="same"),
        "largest of all, kept": kl.GlobalMaxPooling2D(keepdims=True), "mean of all": kl.GlobalAveragePooling2D(),
        "uneven border": kl.ZeroPadding2D(((1, 0), (0, 2))), "uneven cut": kl.Cropping2D(((1, 0), (0, 2))),
        "enlarged": kl.UpSampling2D((2, 3)), "enlarged smoothly": kl.UpSampling2D(2, interpolation="bilinear"),
        "normalised along channels": kl.LayerNormalization(), "as a whole": kl.LayerNormalization(axis=[1, 2, 3]),
        "in groups": kl.GroupNormalization(3), "by numbers": kl.Normalization(mean=[1.0] * 6, variance=[4.0] * 6),
        "batch normalisation of rows": lambda x: kl.BatchNormalization()(kl.Reshape((11, 54))(x)),
        "reshaped with an open side": kl.Reshape((-1, 3)), "turned": kl.Permute((3, 1, 2)),
        "dense along channels": kl.Dense(4, activation="relu"),
        "squeezed and excited": lambda x: kl.Multiply()(
            [x, kl.Conv2D(6, 1, activation="sigmoid")(kl.GlobalAveragePooling2D(keepdims=True)(x))]),
        "average of two": lambda x: kl.Average()([x, kl.Activation("tanh")(x)]),
        "largest of two": lambda x: kl.Maximum()([x, kl.Activation("tanh")(x)]),
        "smallest of two": lambda x: kl.Minimum()([x, kl.Activation("tanh")(x)]),
        "difference of a map and a turned one": lambda x: kl.Subtract()([x, kl.Permute((1, 2, 3))(x) * 2]),
        "joined along height": lambda x: kl.Concatenate(axis=1)([x, kl.ReLU()(x)]),
        "a number before and behind": lambda x: (1.0 - x) / 3.0 + 2.0,
        "a number for each channel": lambda x: ops.multiply(x, np.arange(6, dtype=np.float32)),
        "mean along height": lambda x: ops.mean(x, axis=1),
        "largest along height, kept": lambda x: ops.max(x, axis=[1], keepdims=True),
        "some channels": lambda x: ops.take(x, [4, 0, 2], axis=-1), "one channel": lambda x: ops.take(x, 2, axis=-1),
        "a border of numbers": lambda x: ops.pad(x, [[0, 0], [1, 0], [0, 2], [0, 1]], constant_values=3.0),
        "an axis more, an axis less": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
        "reshaped by an operation": lambda x: ops.reshape(x, (-1, 33, 18)),
        "the other gelu": lambda x: ops.gelu(x, approximate=True), "clipped": lambda x: ops.clip(x, -0.2, 0.4),
        "roots": lambda x: ops.sqrt(ops.relu(x)), "chosen": lambda x: ops.where(ops.equal(ops.relu(x), 0.0), x, 2.0),
    }


def test_every_layer_answers_as_keras_does(subtests: pytest.Subtests, tmp_path: Path) -> None:
    for name, make in _layers().items():
        with subtests.test(name):
            model = one_layer(make)
            assert_equal(onnx_answers(written(model, tmp_path), IMAGES), answers(model))


def of_any_size(kind: str, settings: dict[str, Any]) -> keras.Model:
    """A network for pictures of any size of one layer with the padding "same"."""
    from keras import Input, Model, layers
    image = Input((None, None, 3))
    x = getattr(layers, kind)(**settings, padding="same", name="same")(image)
    model = Model(image, layers.Dense(LABELS)(layers.GlobalAveragePooling2D()(x)))
    randomise(model)
    return model


@pytest.mark.parametrize(("kind", "settings"), [
    *((f"{kind}Pooling2D", {"pool_size": size, "strides": strides}) for kind in ("Max", "Average")
      for size, strides in ((2, 2), (3, 2), (3, 1), (1, 2), ((1, 3), (1, 2)))),
    *(("Conv2D", {"filters": 6, "kernel_size": size, "strides": strides})
      for size, strides in ((3, 2), (4, 1), (1, 2), (2, 3))),
    *(("Conv2D", {"filters": 6, "kernel_size": size, "dilation_rate": 2}) for size in (2, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2}),
    ("SeparableConv2D", {"filters": 6, "kernel_size": 3, "strides": 2})])
def test_pictures_may_be_of_any_size_where_keras_takes_any(kind: str, settings: Any, tmp_path: Path) -> None:
    model = of_any_size(kind, settings)
    path = written(model, tmp_path)
    for pictures in (IMAGES, *(random_images(3, 2, (side, side + 1, 3)) for side in (30, 31, 33))):
        expected = model.predict(pictures, verbose=0)
        np.testing.assert_allclose(onnx_answers(path, pictures), expected, atol=CLOSE * np.abs(expected).max())


@pytest.mark.parametrize("size", [2, (4, 1)])
def test_a_pooling_whose_border_onnxruntime_makes_negative_is_left_out(size: Any, tmp_path: Path) -> None:
    model = of_any_size("MaxPooling2D", {"pool_size": size, "strides": 3})
    said = write_onnx(Network(model, Path("b.keras")), tmp_path / "network.onnx", IMAGES)
    assert said.startswith("network.onnx was left out: the layer 'same' (MaxPooling2D) has a window smaller than")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("activation", ["sigmoid", "elu"])
def test_values_that_overflow_in_the_reference_alone_are_not_told(activation: str, tmp_path: Path) -> None:
    """A warning of NumPy's would end the test, as on screen it would be a riddle."""
    import keras
    image = keras.Input((12, 10, 3))
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation=activation)(image))
    model = keras.Model(image, keras.layers.Dense(3)(x))
    randomise(model)
    assert write_onnx(Network(model, Path("b.keras")), tmp_path / "network.onnx", IMAGES * np.float32(100)) == ""


def test_a_model_that_takes_a_list_of_one_is_written(tmp_path: Path) -> None:
    from keras import Model
    model, _ = build("plain")
    assert_equal(onnx_answers(written(Model([model.input], [model.output]), tmp_path), IMAGES), answers(model))


def test_a_layer_without_a_rule_is_named_and_nothing_written(tmp_path: Path) -> None:
    from keras import layers
    model = one_layer(layers.Resizing(5, 5, name="smaller"))
    said = write_onnx(Network(model, Path("b.keras")), tmp_path / "network.onnx", IMAGES)
    assert said == "network.onnx was left out: the layer 'smaller' (Resizing) is one that no rule writes."
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = build("plain")
    monkeypatch.setattr(spatial, "_bias", lambda use: [])
    said = write_onnx(Network(model, Path("b.keras")), tmp_path / "network.onnx", IMAGES)
    assert said == "network.onnx was left out: it didn't answer as the network does on 24 pictures."
    assert not list(tmp_path.iterdir())


def far_from_zero(offset: float) -> keras.Model:
    """A network whose convolution adds up numbers around an offset, most of which its bias takes off again: the larger
    it is, the more float32 rounds off."""
    from keras import Input, Model, layers
    image = Input((12, 10, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(layers.Rescaling(1, offset=offset)(image))
    model = Model(image, layers.Dense(LABELS, name="output")(layers.Flatten()(x)))
    randomise(model)
    kernel, _ = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([kernel, -(offset + 128) * kernel.sum(axis=(0, 1, 2))])
    return model


def test_what_float32_rounds_off_is_no_mistake(tmp_path: Path) -> None:
    """Both ways to compute are more than the usual difference apart, and equally far from float64."""
    model = far_from_zero(2e5)
    path, expected = written(model, tmp_path), answers(model)
    found = onnx_answers(path, IMAGES)
    assert np.abs(found - expected).max() > 1e-4 * (expected.max() - expected.min())
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("offset", [0, 2e5])
def test_a_mistake_is_none_of_rounding(offset: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One weight of 3,360 is wrong, which changes no label and answers by little."""
    model, right = far_from_zero(offset), translation.translated

    def wrong(network: Network) -> onnx.ModelProto:
        graph = right(network)
        (weight,) = [tensor for tensor in graph.graph.initializer if tensor.name == "output.weight"]
        numbers = onnx.numpy_helper.to_array(weight).copy()
        numbers[0, 0] *= 1.02 if offset == 0 else 1.04
        weight.CopyFrom(onnx.numpy_helper.from_array(numbers, weight.name))
        found, expected = computed(graph, IMAGES), answers(model)
        assert np.abs(found - expected).max() < 1.5e-3 * (expected.max() - expected.min())
        np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
        return graph

    monkeypatch.setattr(translation, "translated", wrong)
    said = write_onnx(Network(model, Path("b.keras")), tmp_path / "network.onnx", IMAGES)
    assert said == "network.onnx was left out: it didn't answer as the network does on 24 pictures."


def test_a_file_that_is_not_valid_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = build("plain")
    monkeypatch.setitem(translation._RULES, "MaxPooling2D", spatial._pool("MaxPools"))
    said = write_onnx(Network(model, Path("b.keras")), tmp_path / "network.onnx", IMAGES)
    assert said.startswith("network.onnx was left out: what was written isn't valid (No Op registered for MaxPools")
    assert not list(tmp_path.iterdir())
