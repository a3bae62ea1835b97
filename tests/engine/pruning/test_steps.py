"""Every pruning step's answers equal those of a plain loop, image for image, on networks of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import Cancelled
from engine.models.costs import computing
from engine.models.networks import Network
from engine.models.prunable.channels import masked_value
from engine.progress import NEVER_CANCELLED, CancelSource
from engine.pruning import incremental
from engine.pruning.incremental import IncrementalSteps, predictor_for
from engine.pruning.steps import MaskedSteps, StepPredictor
from tests.support.networks import (
    HEIGHT,
    LABELS,
    NETWORKS,
    WIDTH,
    Array,
    balance,
    build,
    plain_loop,
    random_images,
    randomise,
)

PREDICTORS: dict[str, Callable[[Network, str], StepPredictor]] = {"masked": MaskedSteps, "fastest": predictor_for}

IMAGES = 40


@pytest.fixture(scope="module", params=list(NETWORKS))
def case(request: pytest.FixtureRequest) -> tuple[Network, str, Array, Array, Array]:
    """A network, its layer, an order, images and the plain loop's labels."""
    model, layer = build(request.param)
    reference, _ = build(request.param)
    images = random_images(IMAGES)
    network = Network(model, Path("network.keras"))
    order = np.random.default_rng(3).permutation(network.prunable_layers()[layer])
    return network, layer, order, images, plain_loop(reference, layer, order.tolist(), images)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_every_step_answers_as_the_plain_loop(case: tuple[Network, str, Array, Array, Array], predictor: str) -> None:
    network, layer, order, images, plain = case
    # A test in which nothing happens would prove nothing.
    assert len(np.unique(plain, axis=0)) > len(order) // 2
    steps = PREDICTORS[predictor](network, layer)
    labels = steps.labels(steps.features(images), order, NEVER_CANCELLED)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, plain)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_chunks_don_t_change_the_answers(case: tuple[Network, str, Array, Array, Array], predictor: str) -> None:
    network, layer, order, images, plain = case
    steps = PREDICTORS[predictor](network, layer)
    parts = [images[:1], images[1:18], images[18:]]
    labels = [steps.labels(steps.features(part), order, NEVER_CANCELLED) for part in parts]
    np.testing.assert_array_equal(np.concatenate(labels, axis=1), plain)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_little_memory_doesn_t_change_the_answers(
    case: tuple[Network, str, Array, Array, Array], predictor: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, layer, order, images, plain = case
    for module in (computing, incremental):
        monkeypatch.setattr(module, "MOST_TENSOR_VALUES", 3000)
    network = Network(before.model, Path("network.keras"))
    steps = PREDICTORS[predictor](network, layer)
    assert network.batch < before.batch and network.batch < IMAGES
    assert network.batch <= steps.batch
    assert steps.batch * max(math.prod(tensor.shape[1:]) for tensor in steps.feature_tensors) <= 3000
    np.testing.assert_array_equal(steps.labels(steps.features(images), order, NEVER_CANCELLED), plain)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_costly_networks_are_computed_a_few_images_at_a_time(
    case: tuple[Network, str, Array, Array, Array], predictor: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answers stay, what is done adds up to all images twice over, and a token is read between any two calls."""
    before, layer, order, images, plain = case
    monkeypatch.setattr(computing, "MOST_PRODUCTS", 4 * computing.products(before.calls))
    monkeypatch.setattr(incremental, "MOST_PRODUCTS", 4 * computing.products(before.calls))
    network = Network(before.model, Path("network.keras"))
    steps = PREDICTORS[predictor](network, layer)
    assert network.batch == 4 and steps.batch > 4
    done: list[float] = []
    features = steps.features(images, did=done.append)
    assert done == [4.0] * (IMAGES // 4)
    np.testing.assert_array_equal(steps.labels(features, order, NEVER_CANCELLED, done.append), plain)
    assert sum(done) == pytest.approx(2 * IMAGES)
    source, told = CancelSource(), []

    def cancel(images: float) -> None:
        told.append(images)
        source.cancel()

    with pytest.raises(Cancelled):
        steps.features(images, source.token, cancel)
    assert told == [4]


def test_products_are_counted_as_by_hand() -> None:
    from keras import Input, Model, layers
    image = Input((9, 9, 3))
    x = layers.Conv2D(8, 3, groups=1)(image)  # to 7 x 7
    x = layers.Conv2D(8, 3, groups=4, padding="same")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(x)  # to 5 x 5
    x = layers.SeparableConv2D(6, 3)(x)  # to 3 x 3
    x = layers.MaxPooling2D((3, 2), strides=1, padding="same")(x)
    network = Network(Model(image, layers.Dense(10)(layers.Flatten()(x))), Path("network.keras"))
    products = 49 * 9 * 3 * 8 + 49 * 9 * 2 * 8 + 25 * 9 * 16 + 9 * (9 * 16 + 16 * 6) + 54 * 10
    products += 9 * 6 * (3 * 2)
    values = 49 * 8 + 49 * 8 + 25 * 16 + 9 * 6 + 9 * 6 + 54 + 10
    assert computing.products(network.calls) == 1 + products + 20 * values


def test_images_at_once_hold_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from keras import Input

    def at_once(*shapes: tuple[int | None, ...]) -> int:
        return computing.images_at_once([Input(shape) for shape in shapes])

    assert at_once((10,), (None, None, 3)) == computing.MOST_AT_ONCE == 256
    assert at_once((10,), (52, 44, 20)) == 64  # 52 x 44 x 20 x 64 is below 2 ** 22, twice as much isn't
    assert at_once((224, 224, 64), (10,)) == 1
    assert at_once((4000, 4000, 3)) == 1
    monkeypatch.setattr(computing, "products", lambda _: computing.MOST_PRODUCTS // 5)
    assert at_once((10,)) == 4


def test_what_layers_hold_inside_is_within_the_limit_too() -> None:
    from keras import Input, Model, layers
    image = Input((32, 32, 3))
    x = layers.SeparableConv2D(1, 1, depth_multiplier=100)(image)
    network = Network(Model(image, layers.Dense(2)(layers.Flatten()(x))), Path("network.keras"))
    assert computing.most_inside(network.calls) == 32 * 32 * 300
    assert network.batch == 8 == 1 << (computing.MOST_TENSOR_VALUES // (32 * 32 * 300)).bit_length() - 1


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_network_stays_as_it_was(case: tuple[Network, str, Array, Array, Array], predictor: str) -> None:
    network, layer, order, images, plain = case
    before = [w.copy() for w in network.model.get_weights()]
    steps = PREDICTORS[predictor](network, layer)
    given = images.copy()
    features = steps.features(given)
    kept = [f.copy() for f in features]
    steps.labels(features, order, NEVER_CANCELLED)
    for old, new in zip([images, *kept, *before], [given, *features, *network.model.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(network.predict_labels(images), plain[0])


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_cancel_stops_between_steps(predictor: str) -> None:
    model, layer = build("plain")
    steps = PREDICTORS[predictor](Network(model, Path("network.keras")), layer)
    source = CancelSource()
    source.cancel()
    images = random_images(4)
    with pytest.raises(Cancelled):
        steps.labels(steps.features(images), np.arange(9), source.token)


@pytest.mark.parametrize("name", [
    "the first of two convolutions", "batch normalisation, no bias", "sigmoid activation", "several consumers",
    "strided convolution behind", "dilated convolution behind", "dense layer behind", "skip connection behind",
    "global pooling", "grouped convolution", "plain", "sequential", "residual", "separable convolutions",
    "joined branches", "joined behind"])
def test_these_networks_take_the_fast_path(name: str) -> None:
    model, layer = build(name)
    assert isinstance(predictor_for(Network(model, Path("network.keras")), layer), IncrementalSteps)


@pytest.mark.parametrize("scale", [1e-6, 1e-7, 1e-8, 1e3])
def test_answers_that_softmax_makes_equal(scale: float) -> None:
    """Behind softmax tiny differences vanish in rounding, and large ones end in ones and zeros."""
    def scaled() -> tuple[Network, str]:
        model, layer = build("strided convolution behind")
        output = model.get_layer("output")
        output.set_weights([w * scale for w in output.get_weights()])
        return Network(model, Path("network.keras")), layer

    network, layer = scaled()
    images, order = random_images(IMAGES), np.arange(8)
    plain = plain_loop(scaled()[0].model, layer, order.tolist(), images)
    steps = predictor_for(network, layer)
    np.testing.assert_array_equal(steps.labels(steps.features(images), order, NEVER_CANCELLED), plain)


def test_answers_too_close_to_call_are_computed_anew(
    case: tuple[Network, str, Array, Array, Array], monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, layer, order, images, plain = case
    steps = predictor_for(network, layer)
    features = steps.features(images)
    monkeypatch.setattr(incremental, "CLOSE", np.inf)
    steps.batch = 7
    np.testing.assert_array_equal(steps.labels(features, order, NEVER_CANCELLED), plain)


@pytest.mark.parametrize("large", [1e4, 1e6])
def test_the_errors_of_large_sums_that_cancel_are_not_taken_for_answers(large: float) -> None:
    """Three equal channels, of which two cancel in the first answer; the third tells the labels by a small lead."""
    from keras import Input, Model, layers
    image = Input((4, 4, 3))
    pruned = layers.Conv2D(3, 1, name="pruned")
    x = layers.GlobalAveragePooling2D()(pruned(layers.Rescaling(1 / 255)(image)))
    model = Model(image, layers.Dense(2, name="output")(x))
    pruned.set_weights([np.ones((1, 1, 3, 3)), np.zeros(3)])
    model.get_layer("output").set_weights([np.array([[large, 0], [-large, 0], [1, 1]]), np.array([0, 1e-3])])
    images, order = random_images(200, shape=(4, 4, 3)), np.arange(3)
    steps = predictor_for(Network(model, Path("network.keras")), "pruned")
    assert isinstance(steps, IncrementalSteps)
    labels = steps.labels(steps.features(images), order, NEVER_CANCELLED)
    np.testing.assert_array_equal(labels, plain_loop(model, "pruned", order.tolist(), images))


def _norms() -> dict[str, Any]:
    from keras import layers, ops

    def divided(x: Any) -> Any:
        return ops.divide(x, ops.add(ops.sqrt(ops.mean(ops.multiply(x, x), axis=(1, 2, 3), keepdims=True)), 1e-9))

    def dot(x: Any) -> Any:
        rows = layers.Reshape((1, -1))(layers.GlobalAveragePooling2D()(x))
        return layers.Reshape((1, 1, -1))(layers.Dot(1, normalize=True)([rows, rows]))

    return {"unit": layers.UnitNormalization(), "groups": layers.GroupNormalization(4, epsilon=1e-5),
            "layer": layers.LayerNormalization(epsilon=1e-6), "divided": divided, "dot": dot}


@pytest.mark.parametrize("norm", ["unit", "groups", "layer", "divided", "dot"])
def test_the_errors_of_sums_that_are_0_are_not_normalised_to_answers(norm: str) -> None:
    """Half of the images are dark: they lose their last active channel steps before the others do."""
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    pruned = layers.Conv2D(8, 3, activation="relu", name="pruned")
    x = layers.Conv2D(16, 3, use_bias=False, name="after")(layers.MaxPooling2D()(pruned(image)))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(_norms()[norm](x)))
    model = Model(image, layers.Dense(LABELS, activation="softmax", name="output")(x))
    kernel = np.random.default_rng(1).normal(0, 0.2, (3, 3, 3, 8))
    pruned.set_weights([kernel, np.full(8, -60.0)])
    images = random_images(IMAGES)
    images[::2] *= 0.1
    order = np.argsort(Model(image, pruned.output).predict(images, verbose=0).mean(axis=(0, 1, 2)))
    steps = predictor_for(Network(model, Path("network.keras")), "pruned")
    labels = steps.labels(steps.features(images), order, NEVER_CANCELLED)
    np.testing.assert_array_equal(labels, plain_loop(model, "pruned", order.tolist(), images))


@pytest.mark.parametrize(("activation", "at_zero"), [("relu", 0.0), ("sigmoid", 0.5), ("softplus", np.log(2))])
def test_a_pruned_channel_is_worth_its_activation_of_zero(activation: str, at_zero: float) -> None:
    from keras import layers
    assert masked_value(layers.Conv2D(LABELS, 1, activation=activation)) == pytest.approx(at_zero)


def _one_relu(x: Any) -> Any:
    """One ReLU and one pooling before and behind the pruned layer, as hand-written residual blocks have them."""
    from keras import layers
    relu, pool = layers.ReLU(name="relu"), layers.MaxPooling2D(name="pool")
    before = pool(relu(layers.Conv2D(8, 3, padding="same", name="before")(x)))
    x = relu(layers.Conv2D(8, 3, padding="same", name="pruned")(before))
    return pool(relu(layers.Add(name="add")([before, layers.Conv2D(8, 3, padding="same", name="after")(x)])))


def _convolution_again(x: Any) -> Any:
    from keras import layers
    again = layers.Conv2D(8, 3, padding="same", activation="tanh", name="again")
    return again(again(layers.Conv2D(8, 3, activation="relu", name="pruned")(x)))


def _block_again(x: Any) -> Any:
    from keras import Input, Model, layers
    inside = Input((HEIGHT, WIDTH, 8), name="inside")
    convolution = layers.Conv2D(8, 3, padding="same", name="inner")(inside)
    block = Model(inside, layers.ReLU(name="relu")(convolution), name="block")
    return block(block(layers.Conv2D(8, 3, padding="same", activation="relu", name="pruned")(x)))


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("body", [_one_relu, _convolution_again, _block_again])
def test_layers_used_on_both_sides_of_the_cut(body: Callable[[Any], Any], predictor: str) -> None:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    x = layers.Flatten()(body(layers.Rescaling(1 / 255)(image)))
    model = Model(image, layers.Dense(LABELS, activation="softmax", name="output")(x))
    randomise(model)
    balance(model)
    images, order = random_images(IMAGES), np.random.default_rng(3).permutation(8)
    steps = PREDICTORS[predictor](Network(model, Path("network.keras")), "pruned")
    labels = steps.labels(steps.features(images), order, NEVER_CANCELLED)
    plain = plain_loop(model, "pruned", order.tolist(), images)
    assert len(np.unique(plain, axis=0)) > 4
    np.testing.assert_array_equal(labels, plain)


def test_a_network_for_any_size_answers_pictures_of_two() -> None:
    from keras import Input, Model, layers
    image = Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="sigmoid", name="pruned")(image))
    model = Model(image, layers.Dense(LABELS, name="output")(x))
    randomise(model)
    steps = predictor_for(Network(model, Path("network.keras")), "pruned")
    before, order = model.get_weights(), np.arange(6)
    for side in (8, 9):
        images = random_images(IMAGES, shape=(side, side, 3)) / 255
        labels = steps.labels(steps.features(images), order, NEVER_CANCELLED)
        np.testing.assert_array_equal(labels, plain_loop(model, "pruned", order.tolist(), images))
        assert len(np.unique(labels)) > 1
        model.set_weights(before)


def test_a_flattened_and_a_pooled_map_of_one_width_are_added() -> None:
    from keras import Input, Model, layers
    image = Input((HEIGHT, WIDTH, 3))
    x = layers.Conv2D(4, 3, activation="sigmoid", name="pruned")(layers.Rescaling(1 / 255)(image))
    flat = layers.Flatten()(layers.MaxPooling2D(4)(x))  # 2 x 2 x 4
    pooled = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3, depth_multiplier=4)(x))
    model = Model(image, layers.Dense(LABELS, name="output")(layers.Add()([layers.ReLU()(flat), pooled])))
    randomise(model)
    balance(model)
    images, order = random_images(IMAGES), np.arange(4)
    steps = predictor_for(Network(model, Path("network.keras")), "pruned")
    labels = steps.labels(steps.features(images), order, NEVER_CANCELLED)
    np.testing.assert_array_equal(labels, plain_loop(model, "pruned", order.tolist(), images))
