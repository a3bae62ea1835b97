"""The end of a network in NumPy answers as Keras does, and leaves alone what it doesn't know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models.networks import Network
from engine.pruning.plain_tail import plain_tail
from tests.support.networks import randomise

ROWS = 37


def ended(end: Callable[[Any], Any]) -> tuple[Network, Any]:
    """A network whose layer "cut" puts out [n, 3, 2, 4], followed by an end of a test's choice."""
    from keras import Model, layers

    image = layers.Input((6, 4, 3))
    x = layers.MaxPooling2D(2, name="cut")(layers.Conv2D(4, 3, padding="same")(image))
    model = Model(image, end(x))
    randomise(model)
    network = Network(model, Path("m.keras"))
    return network, next(call.output for call in network.calls if call.name == "cut")


def dense_twice(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7, activation="softmax")(layers.Dense(9, activation="relu")(layers.Flatten()(x)))


def softmax_apart(x: Any) -> Any:
    from keras import layers
    x = layers.Dense(9, use_bias=False)(layers.Dropout(0.5)(layers.Flatten()(x)))
    return layers.Softmax()(layers.Dense(7)(layers.ReLU()(x)))


def three_added(x: Any) -> Any:
    from keras import layers
    flat = layers.Flatten()(x)
    x = layers.Add()([layers.Dense(9)(flat), layers.Dense(9, activation="relu")(flat), layers.Dense(9)(flat)])
    return layers.Activation("softmax")(layers.Dense(7)(layers.Activation("relu")(x)))


def no_softmax(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7)(layers.Flatten()(x))


@pytest.mark.parametrize("end", [dense_twice, softmax_apart, three_added, no_softmax])
def test_it_answers_as_keras(end: Callable[[Any], Any]) -> None:
    from keras import Model

    network, cut = ended(end)
    values = np.random.default_rng(0).normal(size=(ROWS, *cut.shape[1:])).astype(np.float32)
    given = values.copy()
    expected = Model(cut, network.output).predict(values, verbose=0)
    tail = plain_tail(network, [cut])
    assert tail is not None
    found = tail([values])
    np.testing.assert_array_equal(values, given)
    if end is not no_softmax:
        powers = np.exp(found - found.max(axis=1, keepdims=True))
        found = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def tanh(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7)(layers.Dense(9, activation="tanh")(layers.Flatten()(x)))


def softmax_in_the_middle(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7)(layers.Dense(9, activation="softmax")(layers.Flatten()(x)))


def limited_relu(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7)(layers.ReLU(max_value=1.0)(layers.Flatten()(x)))


def half_precision(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7, dtype="mixed_float16")(layers.Flatten()(x))


def dense_on_pictures(x: Any) -> Any:
    from keras import layers
    return layers.GlobalAveragePooling2D()(layers.Dense(7)(x))


def broadcast(x: Any) -> Any:
    from keras import layers
    flat = layers.Flatten()(x)
    return layers.Dense(7)(layers.Add()([flat, layers.Dense(1)(flat)]))


def a_number_added(x: Any) -> Any:
    from keras import layers
    return layers.Dense(7)(layers.Flatten()(x) + 3.0)


def nothing_changed(x: Any) -> Any:
    from keras import layers
    return layers.Softmax()(layers.Flatten()(x))


@pytest.mark.parametrize("end", [tanh, softmax_in_the_middle, limited_relu, half_precision, dense_on_pictures,
                                 broadcast, a_number_added, nothing_changed])
def test_other_layers_are_left_to_tensorflow(end: Callable[[Any], Any]) -> None:
    network, cut = ended(end)
    assert plain_tail(network, [cut]) is None
