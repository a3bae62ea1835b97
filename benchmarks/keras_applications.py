"""Keras's own applications, one network of each family: opened from a file and pruned, against plain zeroed copies.

    .venv/bin/python -m benchmarks.keras_applications [NAME ...]

Weights are random, for 1,000 labels as the pretrained ones. Each network is built for the smallest pictures that its
family takes, saved as `.keras`, opened through the program and given 60 blurry random pictures. At six steps of a
random pruning order of the default layer, most of them early, for later all pictures get one label, the labels of all
pictures must be those of a copy with zeros in its weights, or in its map where that is joined of branches, as Keras
itself predicts them. Prints a Markdown table; with names, a part of it.
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
PICTURES, LABELS = 60, 1000
# Shares of the channels that are pruned, and how many labels B has to give the pictures for equal ones to say anything.
STEPS, FEWEST = (0, 1 / 64, 1 / 32, 1 / 8, 1 / 2, 1), 20


def compare(name: str, side: int, folder: Path) -> list[str]:
    """A row of the table: network, file, whether it opens, its layer, on how many steps labels are equal, how many
    different ones occur at each, and how many are others than at the first."""
    import keras

    from engine.models.networks import open_network
    from engine.progress import NEVER_CANCELLED
    from engine.pruning.incremental import predictor_for

    pictures = random_pictures(side)
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=LABELS)
    randomise(model, pictures)
    path = folder / f"{name}.keras"
    model.save(path)
    row = [name, f"{side} x {side}", f"{path.stat().st_size / 1e6:,.0f} MB"]
    try:
        network = open_network(path)
        layer = network.default_layer()
    except EngineError as error:
        return [*row, f"no: {str(error).removeprefix(str(path))}", *[""] * 5]
    finally:
        path.unlink()
    order = np.random.default_rng(0).permutation(network.prunable_layers()[layer])
    predictor = predictor_for(network, layer)
    labels = predictor.labels(predictor.features(pictures), order, NEVER_CANCELLED)
    steps = [round(share * len(order)) for share in STEPS]
    plain = [_pruned_labels(model, layer, order[:step], pictures) for step in steps]
    equal = sum(bool((labels[step] == expected).all()) for step, expected in zip(steps, plain, strict=True))
    changed = ", ".join(f"{(expected != plain[0]).mean():.0%}" for expected in plain[1:])
    kinds = [len(np.unique(expected)) for expected in plain]
    if kinds[0] < FEWEST:
        raise SystemExit(f"{name} gives these pictures {kinds[0]} labels: equal ones would say nothing.")
    return [*row, "yes", layer, str(len(order)), f"{equal} of {len(STEPS)}", ", ".join(map(str, kinds)), changed]


def random_pictures(side: int) -> Any:
    """Blurry random pictures float32[60, side, side, 3], 0 to 255."""
    coarse = np.random.default_rng(1).uniform(0, 255, (PICTURES, side // 8 + 1, side // 8 + 1, 3))
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :side, :side].round().astype(np.float32)


def randomise(model: Any, pictures: Any) -> None:
    """Biases that aren't 0, statistics of the pictures, and answers of which none is everybody's."""
    rng = np.random.default_rng(0)
    weights = []
    for variable in model.weights:
        values, kind = np.asarray(variable), variable.path.rsplit("/", 1)[-1]
        # ConvNeXt's layers begin so small that pruning them would change nothing.
        if kind == "gamma" or "layer_scale" in variable.path:
            values = rng.uniform(0.6, 1.5, values.shape)
        elif kind in ("bias", "beta"):
            values = rng.uniform(-0.1, 0.1, values.shape)
        weights.append(values)
    model.set_weights(weights)
    import keras
    # The statistics of these pictures, without which a deep network's maps fade until all pictures look alike.
    measuring = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in measuring:
        layer.momentum = 0.0
    model(pictures, training=True)
    last = next(layer for layer in reversed(model.layers) if layer.weights)  # MobileNet's is a convolution of 1 x 1
    features = keras.Model(model.inputs, last.input).predict(pictures, verbose=0, batch_size=20).reshape(PICTURES, -1)
    kernel, _ = last.get_weights()
    flat = kernel.reshape(-1, LABELS)
    flat = flat * 3 / (features.std(axis=0) @ np.abs(flat)).mean()
    last.set_weights([flat.reshape(kernel.shape), -(features @ flat).mean(axis=0)])


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
    titles = ("network", "pictures", "file", "opens", "default layer", "channels", "steps with equal labels",
              "labels that occur", "labels changed")
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or NETWORKS:
            print(f"| {' | '.join(compare(name, NETWORKS[name], Path(folder)))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
