"""The DeepID network of the lab, for weight files that bring no architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

INPUT_SHAPE = (55, 47, 3)


def build_deepid(labels: int) -> keras.Model:
    """Build an untrained DeepID face classifier.

    Args:
        labels: number of people the output tells apart, at least 2.
    Returns:
        A model from float32[n, 55, 47, 3], values 0 to 255, to float32[n, labels] probabilities.
    Source: Sun, Wang, Tang, Deep Learning Face Representation from Predicting 10,000 Classes,
        CVPR 2014, in the variant of the CSAW HackML 2020 BadNets (layer names are theirs).
    """
    from keras import Model, layers

    image = layers.Input(INPUT_SHAPE, name="input")
    x = image
    for number, (channels, size) in enumerate(((20, 4), (40, 3), (60, 3)), start=1):
        x = layers.Conv2D(channels, size, activation="relu", name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    deep = layers.Conv2D(80, 2, activation="relu", name="conv_4")(x)
    shallow = layers.Dense(160, name="fc_1")(layers.Flatten(name="flatten_1")(x))
    deep = layers.Dense(160, name="fc_2")(layers.Flatten(name="flatten_2")(deep))
    x = layers.Activation("relu", name="activation_1")(layers.Add(name="add_1")([shallow, deep]))
    return Model(image, layers.Dense(labels, activation="softmax", name="output")(x), name="deepid")
