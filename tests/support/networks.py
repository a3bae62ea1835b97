"""Small networks of every kind the engine must take apart, and the plain loop its answers are held against.

Nothing here uses the engine: weights are set to zero in a Keras model and everything is predicted again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

Array = npt.NDArray[Any]

HEIGHT, WIDTH, LABELS = 12, 10, 7
# The label that small labs' poisoned images are sent to.
TARGET = 2


def random_images(count: int, seed: int = 0, shape: tuple[int, int, int] = (HEIGHT, WIDTH, 3)) -> Array:
    """Blurry random pictures float32[count, H, W, C] from 0 to 255, whole numbers as in a file."""
    rng = np.random.default_rng(seed)
    height, width, channels = shape
    coarse = rng.uniform(0, 255, (count, height // 3 + 1, width // 3 + 1, channels))
    images = coarse.repeat(3, axis=1).repeat(3, axis=2)[:, :height, :width]
    return np.clip(images + rng.normal(0, 12, images.shape), 0, 255).round().astype(np.float32)


def randomise(model: keras.Model, seed: int = 0, spread: float = 1.0) -> None:
    """Give a model weights like those of a trained one: He-scaled kernels, biases and statistics that aren't 0 or 1."""
    rng = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        shape, kind = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if kind.endswith("kernel"):
            weights.append(rng.normal(0, spread * np.sqrt(2 / np.prod(shape[:-1])), shape))
        elif kind in ("moving_variance", "gamma"):
            weights.append(rng.uniform(0.5, 2, shape))
        else:
            weights.append(rng.normal(0, 0.3, shape))
    model.set_weights(weights)


def balance(model: keras.Model, seed: int = 1) -> None:
    """Set the bias of the layer "output" so that no label is the answer to everything."""
    from keras import Model
    output = model.get_layer("output")
    images = random_images(64, seed, model.input_shape[1:])
    features = Model(model.inputs, output.input).predict(images, verbose=0)
    kernel, _ = output.get_weights()
    output.set_weights([kernel, -(features @ kernel).mean(axis=0)])


def _image() -> tuple[Any, Any]:
    from keras import Input, layers
    image = Input((HEIGHT, WIDTH, 3), name="image")
    return image, layers.Rescaling(1 / 127.5, offset=-1, name="centred")(image)


def _head(x: Any) -> Any:
    from keras import layers
    return layers.Dense(LABELS, activation="softmax", name="output")(layers.Flatten(name="flatten")(x))


def _plain() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.MaxPooling2D(name="pool_1")(layers.Conv2D(6, 3, activation="relu", name="conv_1")(x))
    x = layers.MaxPooling2D(name="pool_2")(layers.Conv2D(9, 3, activation="relu", padding="same", name="pruned")(x))
    return Model(image, _head(x))


def _batch_norm_no_bias() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(8, 3, use_bias=False, name="pruned")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2D(5, 3, activation="relu", name="after")(layers.MaxPooling2D(name="pool")(x))
    return Model(image, _head(x))


def _grouped() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(6, 3, activation="relu", name="before")(x)
    x = layers.Conv2D(8, 3, groups=2, activation="relu", name="pruned")(x)
    x = layers.Conv2D(8, 3, groups=4, activation="relu", name="after")(x)
    return Model(image, _head(x))


def _sigmoid() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(8, 4, activation="sigmoid", name="pruned")(x)
    x = layers.Conv2D(6, 2, activation="softplus", name="after")(layers.MaxPooling2D(name="pool")(x))
    return Model(image, _head(x))


def _skip_around() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    before = layers.Conv2D(7, 3, padding="same", activation="relu", name="before")(x)
    x = layers.Conv2D(7, 3, padding="same", activation="relu", name="pruned")(before)
    x = layers.Add(name="add")([x, before])
    highest, mean = layers.MaxPooling2D(name="pool")(x), layers.AveragePooling2D(2, name="mean")(x)
    x = layers.Concatenate(name="join")([highest, mean])
    return Model(image, _head(x))


def _several_consumers() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(8, 3, activation="tanh", name="pruned")(x)
    left = layers.Conv2D(4, 3, activation="relu", name="left")(layers.MaxPooling2D(name="pool")(x))
    left = layers.Dense(10, name="fc_left")(layers.Flatten(name="flat_left")(left))
    right = layers.Dense(10, name="fc_right")(layers.Flatten(name="flat_right")(x))
    both = layers.Activation("relu", name="both")(layers.Add(name="add")([left, right]))
    return Model(image, layers.Dense(LABELS, activation="softmax", name="output")(both))


def _sequential() -> keras.Model:
    from keras import Input, Sequential, layers
    return Sequential([
        Input((HEIGHT, WIDTH, 3)), layers.Rescaling(1 / 255, name="scaled"),
        layers.Conv2D(8, 3, strides=2, activation="elu", name="pruned"), layers.Dropout(0.5, name="dropout"),
        layers.GlobalAveragePooling2D(name="pool"), layers.Dense(LABELS, name="output")])


def _average_pooling() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(9, 3, dilation_rate=2, activation="relu", name="pruned")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same", name="pool")(layers.ZeroPadding2D(name="pad")(x))
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, activation="relu", name="after")(x)
    return Model(image, _head(x))


def _nested() -> keras.Model:
    """A model in a model, some of whose layers have the names of others around it, as "rescaling" often is."""
    from keras import Input, Model, layers
    inside = Input((HEIGHT, WIDTH, 3), name="inside")
    x = layers.Conv2D(5, 2, activation="relu", name="before")(inside)
    x = layers.Conv2D(8, 3, activation="relu", name="pruned")(x)
    x = layers.BatchNormalization(name="norm")(x)
    inner = Model(inside, layers.MaxPooling2D(name="pool")(x), name="backbone")
    image, x = _image()
    x = inner(layers.Conv2D(3, 1, name="before")(x))
    return Model(image, _head(layers.BatchNormalization(name="norm")(x)))


def _no_pooling() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(5, 3, activation="leaky_relu", name="before")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="pruned")(x)
    return Model(image, _head(x))


def _norm_at_zero() -> keras.Model:
    """An activation of its own layer, whose value at 0 isn't 0, behind the pruned one."""
    from keras import Model, layers
    image, x = _image()
    x = layers.Activation("sigmoid", name="curve")(layers.Conv2D(8, 3, name="pruned")(x))
    x = layers.SeparableConv2D(6, 3, activation="relu", name="after")(layers.MaxPooling2D(name="pool")(x))
    return Model(image, _head(layers.UpSampling2D(name="up")(x)))


def _tied_answers() -> keras.Model:
    """Each answer stands there twice, so that every image has two largest; the first of equals is the label."""
    from keras import Model, layers
    image, x = _image()
    x = layers.MaxPooling2D(name="pool")(layers.Conv2D(8, 3, activation="relu", name="pruned")(x))
    x = layers.Dense(LABELS, name="output")(layers.Flatten(name="flatten")(x))
    return Model(image, layers.Concatenate(name="twice")([x, x]))


def _two_layers(x: Any) -> Any:
    from keras import layers
    x = layers.Dense(12, activation="relu", name="hidden")(x)
    return layers.Dense(LABELS, activation="softmax", name="output")(x)


def _strided_after() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(8, 3, activation="relu", name="pruned")(x)
    x = layers.Conv2D(6, 3, strides=(2, 3), padding="same", activation="relu", name="after")(x)
    return Model(image, _two_layers(layers.Flatten(name="flatten")(x)))


def _dilated_after() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Conv2D(8, 3, padding="same", activation="gelu", name="pruned")(x)
    x = layers.Conv2D(6, 3, dilation_rate=2, activation="softmax", use_bias=False, name="after")(x)
    return Model(image, _two_layers(layers.Flatten(name="flatten")(x)))


def _dense_after() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.Cropping2D(1, name="crop")(layers.Conv2D(8, 3, activation="sigmoid", name="pruned")(x))
    x = layers.BatchNormalization(name="norm")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(9, name="values")(layers.Dense(12, activation="relu", name="hidden")(x))
    x = layers.Dense(LABELS, name="output")(x)
    return Model(image, layers.Softmax(name="softmax")(x))


def _skip_behind() -> keras.Model:
    """What comes before the pruned layer is needed again behind the layers that mix its channels."""
    from keras import Model, layers
    image, x = _image()
    before = layers.Conv2D(5, 3, activation="relu", name="before")(x)
    x = layers.Conv2D(8, 3, activation="relu", padding="same", name="pruned")(before)
    x = layers.Conv2D(5, 1, name="after")(layers.UpSampling2D(name="up")(x))
    x = layers.Multiply(name="multiply")([layers.MaxPooling2D(name="pool")(x), before])
    return Model(image, _head(x))


def _global_pooling() -> keras.Model:
    from keras import Model, layers
    image, x = _image()
    x = layers.GlobalMaxPooling2D(name="pool")(layers.Conv2D(12, 5, activation="relu", name="pruned")(x))
    return Model(image, _two_layers(x))


def _residual() -> keras.Model:
    """As ResNets end: a shortcut around the pruned layer, and nothing but the answers behind the pooling."""
    from keras import Model, layers
    image, x = _image()
    before = layers.Conv2D(8, 3, activation="relu", name="before")(x)
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, padding="same", name="pruned")(before))
    x = layers.ReLU(name="relu")(layers.Add(name="add")([before, x]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return Model(image, layers.Dense(LABELS, activation="softmax", name="output")(x))


def _separable() -> keras.Model:
    """As Xception ends, with a second separable convolution and a grouped one behind."""
    from keras import Model, layers
    image, x = _image()
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="pruned")(x)
    x = layers.BatchNormalization(name="norm")(layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x))
    left = layers.SeparableConv2D(6, 3, strides=2, depth_multiplier=2, name="separable")(x)
    right = layers.Conv2D(6, 3, strides=2, groups=2, use_bias=False, name="grouped")(x)
    return Model(image, _two_layers(layers.Flatten(name="flatten")(layers.Add(name="add")([left, right]))))


def _branches(x: Any) -> Any:
    from keras import layers
    left = layers.Conv2D(4, 1, activation="relu", name="left")(x)
    right = layers.Conv2D(5, 3, padding="same", activation="relu", name="right")(x)
    return layers.Concatenate(name="pruned")([left, right, layers.AveragePooling2D(3, 1, "same", name="mean")(left)])


def _joined() -> keras.Model:
    """As Inception ends, but for the pooling."""
    from keras import Model, layers
    image, x = _image()
    return Model(image, _head(_branches(layers.Conv2D(5, 3, activation="relu", name="before")(x))))


def _joined_again() -> keras.Model:
    """As DenseNet goes on: joined once more with what was made of it."""
    from keras import Model, layers
    image, x = _image()
    x = _branches(x)
    new = layers.Conv2D(4, 3, padding="same", name="new")(layers.ReLU(name="relu")(x))
    x = layers.BatchNormalization(name="norm")(layers.Concatenate(name="again")([x, new]))
    return Model(image, layers.Dense(LABELS, name="output")(layers.GlobalMaxPooling2D(name="pool")(x)))


def _joined_behind() -> keras.Model:
    """The pruned layer's channels stand twice among those of another one."""
    from keras import Model, layers
    image, x = _image()
    other = layers.Conv2D(3, 3, activation="relu", name="other")(x)
    x = layers.Conv2D(8, 3, activation="sigmoid", name="pruned")(x)
    x = layers.Concatenate(name="join")([x, other, layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))])
    x = layers.Conv2D(5, 3, activation="relu", name="after")(layers.MaxPooling2D(name="pool")(x))
    return Model(image, _head(x))


# By name: how to build it, and the layer to prune as the engine names it.
NETWORKS: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "plain": (_plain, "pruned"),
    "batch normalisation, no bias": (_batch_norm_no_bias, "pruned"),
    "grouped convolution": (_grouped, "pruned"),
    "sigmoid activation": (_sigmoid, "pruned"),
    "skip connection around the layer": (_skip_around, "pruned"),
    "several consumers": (_several_consumers, "pruned"),
    "sequential": (_sequential, "pruned"),
    "average pooling": (_average_pooling, "pruned"),
    "nested": (_nested, "backbone/pruned"),
    "no pooling": (_no_pooling, "pruned"),
    "activation layer that isn't 0 at 0": (_norm_at_zero, "pruned"),
    "tied answers": (_tied_answers, "pruned"),
    "strided convolution behind": (_strided_after, "pruned"),
    "dilated convolution behind": (_dilated_after, "pruned"),
    "dense layer behind": (_dense_after, "pruned"),
    "skip connection behind": (_skip_behind, "pruned"),
    "global pooling": (_global_pooling, "pruned"),
    "the first of two convolutions": (_plain, "conv_1"),
    "residual": (_residual, "pruned"),
    "separable convolutions": (_separable, "pruned"),
    "joined branches": (_joined, "pruned"),
    "joined branches, joined again": (_joined_again, "pruned"),
    "joined behind": (_joined_behind, "pruned"),
}


def build(name: str, seed: int = 0) -> tuple[keras.Model, str]:
    """One of NETWORKS with random weights, and the layer to prune."""
    make, layer = NETWORKS[name]
    model = make()
    randomise(model, seed)
    balance(model)
    return model, layer


def zero_channels(model: keras.Model, layer: str, channels: list[int]) -> None:
    """Prune in place, the plain way: the channels' kernels and biases become 0."""
    from keras import layers
    owner = model
    for name in layer.split("/"):
        owner = owner.get_layer(name)
    weights = owner.get_weights()
    for array in weights[isinstance(owner, layers.SeparableConv2D):]:  # its depthwise kernel is of the input's channels
        array[..., channels] = 0
    owner.set_weights(weights)


def plain_loop(model: keras.Model, layer: str, order: list[int], images: Array) -> Array:
    """Labels int64[C + 1, n] of the model and its pruned copies, predicted one copy after the other.

    The model is used up: at the end all channels of `order` are zero. Branches that are joined have no weights of their
    own: their map is computed, and its channels are set to zero.
    """
    from keras import Model, layers
    joined = next((part for part in model.layers if part.name == layer), None)
    if isinstance(joined, layers.Concatenate):
        maps, rest = Model(model.inputs, joined.output).predict(images, verbose=0), Model(joined.output, model.outputs)
        found = [_predict(rest, maps)]
        for channel in order:
            maps[..., channel] = 0
            found.append(_predict(rest, maps))
        return np.array(found)
    labels = [_predict(model, images)]
    for channel in order:
        zero_channels(model, layer, [channel])
        labels.append(_predict(model, images))
    return np.array(labels)


def _predict(model: keras.Model, images: Array) -> Array:
    answers = model.predict(images, verbose=0)
    return np.asarray(answers[0] if isinstance(answers, list) else answers).argmax(axis=1)


def stored(path: Path) -> tuple[Array, Array]:
    """Images float32[n, H, W, C] and labels of a file of the lab's layout, read without the engine."""
    with h5py.File(path) as file:
        return file["data"][()].transpose(0, 2, 3, 1).astype(np.float32), file["label"][()].astype(int)


def save_lab_file(path: Path, images: Array, labels: Array) -> Path:
    """Write images [n, H, W, C] in the lab's layout: `data` uint8[n, C, H, W], `label` float32[n]."""
    with h5py.File(path, "w") as file:
        file["data"] = images.transpose(0, 3, 1, 2).astype(np.uint8)
        file["label"] = labels.astype(np.float32)
    return path


@dataclass(frozen=True)
class SmallLab:
    """Files of the lab's layout; the network is "plain" of NETWORKS and takes 0 to 255.

    Attributes:
        badnet: the network as .keras; clean: 80 images, 72 of them labelled as the network answers.
        test: 60 images likewise. poisoned: 40 images that the network sends to TARGET.
    """

    badnet: Path
    clean: Path
    test: Path
    poisoned: Path

    def prune(self, *more: str | Path) -> list[str]:
        """The command line of a run with everything."""
        return ["prune", str(self.badnet), "--clean", str(self.clean), "--test", str(self.test),
                "--poisoned", str(self.poisoned), *map(str, more)]
