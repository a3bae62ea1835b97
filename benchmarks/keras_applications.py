"""Keras's own applications, one network of each family: opened from a file and pruned, against plain zeroed copies.

    .venv/bin/python -m benchmarks.keras_applications [NAME ...]

Weights are random, for 1,000 labels as the pretrained ones. Each network is built for the smallest pictures that its
family takes, saved as `.keras`, opened through the program and given 60 blurry random pictures. At five steps of a
random pruning order of the default layer the labels of all pictures must be those of a copy with zeros in its weights,
or in its map where that is joined of branches, as Keras itself predicts them. Prints a Markdown table; with names, a
part of it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError

# The smallest network of each family, and the side of the smallest pictures that it takes with its own top.
NETWORKS = {
    "ConvNeXtTiny": 32, "DenseNet121": 32, "EfficientNetB0": 32, "EfficientNetV2B0": 32, "InceptionResNetV2": 75,
    "InceptionV3": 75, "MobileNet": 32, "MobileNetV2": 32, "MobileNetV3Small": 32, "NASNetMobile": 32, "ResNet50": 32,
    "ResNet50V2": 32, "VGG16": 32, "Xception": 71,
}
PICTURES, STEPS, LABELS = 60, 5, 1000


def compare(name: str, side: int, folder: Path) -> list[str]:
    """A row of the table: network, file, whether it opens, its layer, and on how many steps labels are equal."""
    import keras

    from engine.models.networks import open_network
    from engine.progress import NEVER_CANCELLED
    from engine.pruning.incremental import predictor_for

    pictures = random_pictures(side)
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=LABELS)
    randomise(model, pictures)
    path = folder / f"{name}.keras"
    model.save(path)
    row = [name, f"{side} x {side}", f"{path.stat().st_size / 1e6:,.0f} MB"]
    try:
        network = open_network(path)
        layer = network.default_layer()
    except EngineError as error:
        return [*row, f"no: {str(error).removeprefix(str(path))}", "", "", ""]
    finally:
        path.unlink()
    order = np.random.default_rng(0).permutation(network.prunable_layers()[layer])
    predictor = predictor_for(network, layer)
    labels = predictor.labels(predictor.features(pictures), order, NEVER_CANCELLED)
    steps = np.linspace(0, len(order), STEPS, dtype=int)
    plain = [_pruned_labels(model, layer, order[:step], pictures) for step in steps]
    equal = sum(bool((labels[step] == expected).all()) for step, expected in zip(steps, plain, strict=True))
    different = np.mean([(expected != plain[0]).mean() for expected in plain[1:]])
    return [*row, "yes", layer, str(len(order)), f"{equal} of {STEPS} ({different:.0%} of labels change)"]


def random_pictures(side: int) -> Any:
    """Blurry random pictures float32[60, side, side, 3], 0 to 255."""
    coarse = np.random.default_rng(1).uniform(0, 255, (PICTURES, side // 8 + 1, side // 8 + 1, 3))
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :side, :side].round().astype(np.float32)


def randomise(model: Any, pictures: Any) -> None:
    """Biases that aren't 0, statistics that aren't 0 or 1, and answers of which none is everybody's."""
    rng = np.random.default_rng(0)
    weights = []
    for variable in model.weights:
        values, kind = np.asarray(variable), variable.path.rsplit("/", 1)[-1]
        # ConvNeXt's layers begin so small that pruning them would change nothing.
        if kind in ("moving_variance", "gamma") or "layer_scale" in variable.path:
            values = rng.uniform(0.6, 1.5, values.shape)
        elif kind in ("bias", "beta", "moving_mean"):
            values = rng.uniform(-0.1, 0.1, values.shape)
        weights.append(values)
    model.set_weights(weights)
    last = model.layers[-1]
    if not last.weights:
        return
    import keras
    features = keras.Model(model.inputs, last.input).predict(pictures, verbose=0, batch_size=20)
    kernel, _ = last.get_weights()
    kernel *= 3 / (features.std(axis=0) @ np.abs(kernel)).mean()
    last.set_weights([kernel, -(features @ kernel).mean(axis=0)])


def _pruned_labels(model: Any, layer: str, channels: Any, pictures: Any) -> Any:
    """The plain way: zeros in the layer's weights, or in a joined map, and all computed again by Keras."""
    import keras

    owner = model
    for part in layer.split("/"):
        owner = owner.get_layer(part)
    if not owner.weights:
        maps = keras.Model(model.inputs, owner.output).predict(pictures, verbose=0, batch_size=20)
        maps[..., channels] = 0
        return keras.Model(owner.output, model.outputs).predict(maps, verbose=0, batch_size=20).argmax(axis=1)
    kept = owner.get_weights()
    zeroed = [array.copy() for array in kept]
    for array in zeroed:
        if type(owner).__name__ == "DepthwiseConv2D":
            array = array.reshape(*array.shape[:-2], -1) if array.ndim == 4 else array
        elif array.shape[-1] != owner.filters:  # of a separable convolution what lies before the channels
            continue
        array[..., channels] = 0
    owner.set_weights(zeroed)
    labels = model.predict(pictures, verbose=0, batch_size=20).argmax(axis=1)
    owner.set_weights(kept)
    return labels


def main(names: list[str]) -> None:
    """Print the table."""
    print("| network | pictures | file | opens | default layer | channels | steps with equal labels |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or NETWORKS:
            print(f"| {' | '.join(compare(name, NETWORKS[name], Path(folder)))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
