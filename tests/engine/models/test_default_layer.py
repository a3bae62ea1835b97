"""The layer that is pruned where nobody chooses one: the same said of a file and of the opened network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models.architecture import describe_model
from engine.models.config import checked_config
from engine.models.layer_graph import nodes_of
from engine.models.networks import Network
from engine.models.prunable.default_layer import DefaultLayer, default_layer
from tests.support.places import PROJECT

PATH = Path("network.keras")


def both(model: Any) -> DefaultLayer:
    """What the configuration says, and the opened network as well."""
    network = Network(model, PATH)
    nodes = nodes_of(checked_config(json.loads(model.to_json()), PATH), PATH)
    found = default_layer(nodes, list(network.prunable_layers()))
    assert found.name == network.default_layer()
    return found


@pytest.mark.parametrize(("name", "side", "layer", "channels"), [
    ("InceptionV3", 75, "mixed10", 2048), ("DenseNet121", 32, "conv5_block16_concat", 1024),
    ("NASNetMobile", 32, "normal_concat_12", 1056), ("Xception", 71, "block14_sepconv2", 2048),
    ("ResNet50", 32, "conv5_block3_3_conv", 2048), ("MobileNet", 32, "conv_pw_13", 1024),
    ("MobileNetV2", 32, "Conv_1", 1280), ("MobileNetV3Small", 32, "conv_1", 576), ("VGG16", 32, "block5_conv3", 512),
    ("EfficientNetB0", 32, "top_conv", 1280),
])
def test_networks_of_keras(name: str, side: int, layer: str, channels: int) -> None:
    from keras import applications
    settings: dict[str, Any] = {"include_preprocessing": False} if name.startswith("MobileNetV3") else {}
    model = getattr(applications, name)(weights=None, input_shape=(side, side, 3), classes=10, **settings)
    assert both(model) == DefaultLayer(layer)
    assert Network(model, PATH).prunable_layers()[layer] == channels


def test_the_last_layer_that_everything_passes_is_found_by_cutting_it() -> None:
    """Independent of how the rule is worked out: with all of the layer's channels pruned, pictures look the same."""
    from keras import applications
    for name in ("DenseNet121", "InceptionV3"):
        model = getattr(applications, name)(weights=None, input_shape=(75, 75, 3), classes=10)
        network = Network(model, PATH)
        layer = network.default_layer()
        images = np.random.default_rng(0).uniform(0, 1, (4, 75, 75, 3)).astype(np.float32)
        blind = network.pruned(layer, range(network.prunable_layers()[layer])).predict(images)
        np.testing.assert_allclose(blind, blind[[0]].repeat(4, axis=0), atol=1e-6)


def test_class_maps_are_never_pruned() -> None:
    """SqueezeNet's last convolution has a channel for each label; what is joined before it has others."""
    from keras import Input, Model, layers
    image = Input((32, 32, 3))
    x = layers.MaxPooling2D(3, 2)(layers.Conv2D(16, 3, 2, activation="relu", name="conv1")(image))
    x = layers.Conv2D(4, 1, activation="relu", name="squeeze")(x)
    x = layers.Concatenate(name="fire")([layers.Conv2D(8, 1, activation="relu")(x),
                                         layers.Conv2D(8, 3, padding="same", activation="relu")(x)])
    x = layers.Activation("relu")(layers.Conv2D(10, 1, name="class_maps")(layers.Dropout(0.5)(x)))
    found = both(Model(image, layers.Softmax()(layers.GlobalAveragePooling2D()(x))))
    assert found == DefaultLayer("fire")


def test_maps_joined_along_another_axis_aren_t_pruned_together() -> None:
    from keras import Input, Model, layers
    image = Input((32, 32, 3))
    x = layers.Conv2D(4, 1, activation="relu", name="before")(image)
    x = layers.Concatenate(axis=1, name="stacked")([layers.Conv2D(8, 1)(x), layers.Conv2D(8, 3, padding="same")(x)])
    found = both(Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x))))
    assert found.name == "before" and "joined at 'stacked'" in found.note


def test_as_many_channels_as_labels_are_pruned_where_they_aren_t_the_labels() -> None:
    from keras import Input, Model, layers
    image = Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(10, 3, name="last")(layers.Conv2D(4, 3)(image)))
    assert both(Model(image, layers.Dense(10)(x))) == DefaultLayer("last")


def test_a_residual_is_pruned_in_its_body_and_not_in_its_shortcut() -> None:
    from keras import Input, Model, layers
    image = Input((32, 32, 3))
    x = layers.Conv2D(8, 3, activation="relu")(image)
    body = layers.Conv2D(12, 3, padding="same", name="body")(layers.Conv2D(4, 1, activation="relu")(x))
    shortcut = layers.Conv2D(12, 1, name="shortcut")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([shortcut, body])))
    assert both(Model(image, layers.Dense(10)(x))) == DefaultLayer("body")


@pytest.mark.parametrize(("name", "layer"), [
    ("resnet", "3.body.2.0"), ("squeezenet", "cat"), ("shufflenet", "4.0"), ("inception", "cat_2"),
    ("densenet", "cat_3"), ("mobilenet_v3", "2.0"), ("regnet", "1.body.3.0"), ("convnext", "4"), ("alexnet", "3")])
def test_networks_of_pytorch(name: str, layer: str) -> None:
    found = describe_model(PROJECT / "tests" / "data" / "onnx" / f"{name}-dynamo.onnx")
    assert found.default_layer == layer
    assert not found.default_note
