"""Networks of one Dense layer, whose logits NumPy computes in one line, and data sets for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine import backend
from engine.data.datasets import Dataset, open_dataset
from engine.models.networks import Network

Array = npt.NDArray[Any]

SHAPE = (9, 6, 3)
LABELS = 4
SIZE = 9 * 6 * 3


def linear_weights(seed: int = 0, spread: float = 0.004) -> tuple[Array, Array]:
    """Kernel float32[162, 4] and bias float32[4]; logits of images from 0 to 255 differ by a few units."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, spread, (SIZE, LABELS)).astype(np.float32), rng.normal(0, 0.3, LABELS).astype(np.float32)


def numpy_logits(images: Array, kernel: Array, bias: Array) -> Array:
    """Float64[n, 4] of images float32[n, 9, 6, 3]."""
    centred = images.astype(np.float64) - 127.5
    return centred.reshape(len(images), -1) @ kernel.astype(np.float64) + bias


def softmax(logits: Array) -> Array:
    """Of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Array = powers / powers.sum(axis=1, keepdims=True)
    return found


def numpy_adam(
    kernel: Array, bias: Array, batches: Sequence[tuple[Array, Array]], rates: Sequence[float],
) -> tuple[Array, Array]:
    """Kernel and bias, float64, after a step on each batch of images and probabilities wanted: the gradient of the mean
    cross-entropy, and Adam's moments."""
    weights = [kernel.astype(np.float64), bias.astype(np.float64)]
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for step, ((images, wanted), rate) in enumerate(zip(batches, rates, strict=True), start=1):
        error = (softmax(numpy_logits(images, *weights)) - wanted) / len(images)
        flat = (images - 127.5).reshape(len(images), -1).astype(np.float64)
        for i, gradient in enumerate((flat.T @ error, error.sum(axis=0))):
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            mean, spread = first[i] / (1 - 0.9**step), np.sqrt(second[i] / (1 - 0.999**step))
            weights[i] = weights[i] - rate * mean / (spread + 1e-7)
    return weights[0], weights[1]


def linear_network(kernel: Array, bias: Array, ending: str = "dense") -> Network:
    """Centre, flatten, one Dense layer, and one of several ways to end."""
    _, keras = backend.load()
    layers = keras.layers
    x = image = keras.Input(SHAPE)
    x = layers.Flatten()(layers.Rescaling(1.0, offset=-127.5)(x))
    activation = {"dense": "softmax", "sigmoid": "sigmoid"}.get(ending)
    dense = layers.Dense(LABELS, activation=activation)
    x = dense(x)
    if ending == "activation":
        x = layers.Activation("softmax")(x)
    elif ending == "layer":
        x = layers.Softmax()(x)
    elif ending == "log_softmax":
        x = layers.Activation("log_softmax")(x)
    elif ending == "reshaped":
        x = layers.Reshape((LABELS,))(layers.Softmax()(x))
    dense.set_weights([kernel, bias])
    model = keras.Model(image, x)
    if ending == "nested":
        outer = keras.Input(SHAPE)
        model = keras.Model(outer, layers.Softmax()(model(outer)))
    return Network(model, Path("linear.keras"))


def dataset_of(path: Path, images: Array, labels: Array) -> Dataset:
    """The images, saved and opened as a data set."""
    np.savez(path, data=images, label=labels)
    return open_dataset(path, images.shape[1:], None)


def shown_to(network: Network, monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """All images that a network is asked about from now on, one array a question."""
    shown: list[Array] = []
    predict = network.predict_labels

    def watched(images: Array, **told: Any) -> Array:
        shown.append(images.copy())
        return predict(images, **told)

    monkeypatch.setattr(network, "predict_labels", watched)
    return shown


def overflowing(folder: Path, black: int = 0) -> Path:
    """A network of finite weights that answers black pictures alone with numbers, and with this label."""
    from keras import Sequential, layers
    model = Sequential([layers.Input((6, 6, 3)), layers.Conv2D(4, 3, name="pruned"), layers.Flatten(),
                        layers.Dense(3, activation="softmax")])
    kernel, bias = model.get_layer("pruned").get_weights()
    model.get_layer("pruned").set_weights([np.full_like(kernel, 3e38), bias])
    last, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([last * 0, np.arange(len(bias)) == black])
    model.save(folder / "overflowing.keras")
    return folder / "overflowing.keras"
