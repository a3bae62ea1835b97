"""Opens a model without running what it brings, and takes it apart at a layer.

A Network is never changed once opened: pruning gives a copy.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.errors import Cancelled, EngineError, LayerNotFound, ModelError, in_short, named
from engine.models.architecture import BOTH_LABELS, LABEL_0, checked_nodes
from engine.models.costs.computing import affordable_cost, images_at_once
from engine.models.deepid import build_deepid
from engine.models.layer_graph import Node
from engine.models.preprocessing_layers import take_over_statistics
from engine.models.prunable.channels import JOINING, channel_weights, channels_of, node_of, with_channels_shut
from engine.models.prunable.default_layer import default_layer
from engine.models.reading import ModelFile, read_model_file, refuse_unreal, weights_file
from engine.models.vocabulary import activation_name
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

# Pieces in which a network is opened, besides the last.
OPENING_PIECES = 3
_LARGE_BELOW = 32  # a network of which fewer are is large
# Products of what is tried out before the work itself: a second or two.
_QUICK_PRODUCTS, _FEWEST_QUICK = 1 << 37, 16
# What Keras meets settings with that don't go together.
_KERAS_ERRORS = (ValueError, TypeError, KeyError, AttributeError, OSError, IndexError, AssertionError, RuntimeError,
                 ArithmeticError, ImportError, MemoryError)


@dataclass(frozen=True)
class Call:
    """One use of a layer in the flat graph, with the symbolic tensors it takes and gives."""

    name: str
    layer: Any
    inputs: tuple[Any, ...]
    output: Any


class Network:
    """An image classifier: float32[n, H, W, C] in its own input range to float32[n, labels].

    Attributes:
        path: the file it came from (or of the model it was copied from).
        sha256: of that file; empty for a network made in memory. output_name: the one of several that was chosen there.
        input_shape: (H, W, C); H or W may be None.
        calls: its layers' uses, nested models opened up; input, output: the symbolic tensors at both ends of them.
        labels: N, the number of labels; classes: what the file calls each of them, none where it doesn't say.
        batch: images to compute in one go, a power of two; is_large: if so few that searches must do with fewer.
        quick: of how many images the answers are known in a second or two; 16 at least, however large the network.
    """

    def __init__(self, model: Any, path: Path, sha256: str = "", output_name: str | None = None,
                 classes: Sequence[str] = (), sides: tuple[int, int] | None = None) -> None:
        self.path, self.sha256, self.output_name, self._sides = path, sha256, output_name, sides
        self.model, outputs = model, model.outputs
        if len(model.inputs) != 1:
            raise ModelError(f"{path}: has {len(model.inputs)} inputs; an image classifier with one was expected.")
        if len(outputs) != 1:
            raise ModelError(f"{path}: has {len(outputs)} outputs ({named(model.output_names)}); one was expected.")
        shape, answer = model.inputs[0].shape, outputs[0].shape
        if len(shape) != 4 or shape[3] not in (1, 3):
            raise ModelError(f"{path}: takes inputs of shape {tuple(shape[1:])}; "
                             "images (height, width, 1 or 3) were expected.")
        if len(answer) != 2 or not answer[1] or answer[1] < 2:
            raise ModelError(f"{path}: answers with shape {tuple(answer[1:])}; "
                             "one value for each of at least 2 labels was expected; a single one must be a sigmoid's.")
        self.input_shape: tuple[int | None, int | None, int] = tuple(shape[1:])
        self.labels = int(answer[1])
        self.classes = tuple(classes) if len(classes) == self.labels else ()
        self.calls, self.input, self.output = _flatten(model, sides)
        cost = affordable_cost(path, self.calls)
        self.batch = images_at_once([call.output for call in self.calls], self.calls)
        self.is_large = self.batch < _LARGE_BELOW
        self.quick = max(_FEWEST_QUICK, _QUICK_PRODUCTS // cost)
        self._predict = compiled(model)

    def predict(self, images: Images, cancel: CancelToken = NEVER_CANCELLED,
                did: Did = ignore_done) -> npt.NDArray[np.float32]:
        """The network's answers, float32[n, labels], to float32[n, H, W, C]; memory is one batch's.

        Raises:
            Cancelled: the token was set.
        """
        if not len(images):
            return np.empty((0, self.labels), np.float32)
        return np.concatenate([answer.numpy() for answer in in_batches(self._predict, images, self.batch, cancel, did)])

    def predict_labels(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> Labels:
        """The label of each image, int64[n]: the index of the largest answer, the first of equals; -1, which is no
        label, where that isn't finite, lest label 0 or another be accused of what is no answer.

        Raises:
            Cancelled: the token was set.
        """
        answers = self.predict(images, cancel, did)
        return np.where(np.isfinite(answers.max(axis=1)), largest(answers), -1)

    def prunable_layers(self) -> dict[str, int]:
        """Names of the layers that can be pruned, in graph order, with their numbers of channels.

        A layer that is used more than once, or whose activation mixes channels, can't be.
        """
        names = Counter(call.name for call in self.calls)
        uses = Counter(id(call.layer) for call in self.calls)
        found = {call.name: channels_of(node_of(call.name, call.layer, [], call.output)) for call in self.calls
                 if names[call.name] == 1 and uses[id(call.layer)] == 1}
        return {name: channels for name, channels in found.items() if channels}

    def default_layer(self) -> str:
        """The layer pruned where nobody chooses one, see `default_layer.default_layer`.

        Raises:
            LayerNotFound: the network has no such layer at all.
        """
        name = default_layer(self._nodes(), list(self.prunable_layers())).name
        if name is None:
            raise LayerNotFound(f"{self.path}: has no convolution that can be pruned; the pruning defence needs one.")
        return name

    def _nodes(self) -> list[Node]:
        """The network's calls as `layer_graph` has them, up to the one that answers."""
        places = {id(self.input): 0}
        nodes = [Node("", "InputLayer", {}, [], tuple(self.input_shape))]
        for call in self.calls:
            parents = [places[id(tensor)] for tensor in call.inputs]
            places[id(call.output)] = len(nodes)
            nodes.append(node_of(call.name, call.layer, parents, call.output))
        return nodes[:places[id(self.output)] + 1]

    def call_of(self, layer: str) -> Call:
        """The use of a prunable layer.

        Raises:
            LayerNotFound: no layer that can be pruned has that name.
        """
        prunable = self.prunable_layers()
        if layer not in prunable:
            raise LayerNotFound(f"{self.path}: has no layer named '{layer[:100]}' that can be pruned. "
                                f"It has: {named(list(prunable)) or 'none'}.")
        return next(call for call in self.calls if call.name == layer)

    def copy(self) -> Network:
        """A network of the same architecture and weights that shares nothing with this one."""
        model = type(self.model).from_config(self.model.get_config())
        model.set_weights(self.model.get_weights())
        return self._like(model)

    def _like(self, model: Any) -> Network:
        take_over_statistics(model)
        return Network(model, self.path, self.sha256, sides=self._sides)

    def at(self, height: int, width: int) -> Network:
        """The same network for images of one size, where it takes any: what they cost is known only then.

        Raises:
            ModelError: they are too small for its layers, or cost too much.
        """
        try:
            return Network(self.model, self.path, self.sha256, self.output_name, self.classes, (height, width))
        except _KERAS_ERRORS as error:
            raise ModelError(f"{self.path}: {height} x {width} pixels don't fit it ({in_short(error)}).") from error

    def pruned(self, layer: str, channels: Sequence[int]) -> Network:
        """B': a copy in which the layer's given channels have zero weights and bias, or are shut behind a joined map.

        Args:
            layer: a prunable layer.
            channels: channel numbers, 0 to C - 1.
        """
        if type(self.call_of(layer).layer).__name__ == JOINING:
            return self._like(with_channels_shut(self.model, layer, channels))
        result = self.copy()
        for variable in channel_weights(result.call_of(layer).layer):
            array = variable.numpy().copy()
            array[..., list(channels)] = 0
            variable.assign(array)
        return result

    def submodel(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """A Keras model between symbolic tensors of this network's `calls`."""
        return backend.model_between(inputs, outputs, (call.layer for call in self.calls))

    def boundary(self, *cut: Any) -> list[Any]:
        """What the rest of the network needs besides its weights once `cut` is known.

        Args:
            cut: output tensors of some of `calls`.
        Returns:
            Tensors, those of `cut` first: with a skip connection around them there are more.
        """
        after = {id(tensor) for tensor in cut}
        crossing = {id(tensor): tensor for tensor in cut}
        for call in self.calls:
            if id(call.output) not in crossing and any(id(tensor) in after for tensor in call.inputs):
                after.add(id(call.output))
                crossing.update({id(t): t for t in call.inputs if id(t) not in after})
        return list(crossing.values())

    def calls_from(self, call: Call) -> tuple[Call, ...]:
        """One of `calls` and all behind it."""
        return self.calls[next(i for i, other in enumerate(self.calls) if other is call):]


def open_network(path: Path, output: str | None = None, between: Callable[[], None] = lambda: None) -> Network:
    """Open a model file: whole-model `.h5` of Keras 2 or 3, `.keras`, `.onnx`, or DeepID weights in `.h5`.

    Args:
        output: of a model with several the one that tells the labels.
        between: called OPENING_PIECES times between pieces of the work, and may raise what ends it.
    Raises:
        ModelError: the file isn't a model, isn't safe, isn't an image classifier, or has several outputs.
    """
    file = read_model_file(path, output)
    return Network(_with_two_labels(build_model(file, between)), path, file.sha256, output, file.classes)


def build_model(file: ModelFile, between: Callable[[], None] = lambda: None) -> Any:
    """The Keras model of a checked model file, with its weights.

    Raises:
        ModelError: Keras can't build it, or its weights aren't all numbers.
    """
    checked_nodes(file)
    tensorflow, keras = backend.load()
    try:
        model = _build(file, keras)
        between()
        if file.weights is None:
            with weights_file(file) as weights:
                between()
                model.load_weights(str(weights))
        else:
            between()
            for name, arrays in file.weights.items():
                model.get_layer(name).set_weights(arrays)
        take_over_statistics(model)
        if file.outputs and file.weights is None:  # cut only now: Keras knows weights by the places of all layers
            model = keras.Model(model.inputs[0], model.outputs[file.output])
        elif _goes_by_names(model, keras):
            model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        refuse_unreal(file.path, ((weight.path, weight.numpy()) for weight in model.weights))
        between()
    except (ModelError, Cancelled):
        raise
    except (*_KERAS_ERRORS, tensorflow.errors.OpError) as error:
        reason = backend.reason(str(error).rpartition("Exception encountered: ")[2] or type(error).__name__)
        raise ModelError(f"{file.path}: Keras can't build this model ({reason}). "
                         "Save it again with Keras 3 (.keras), or export it as .onnx where it was made.") from error
    return model


def _goes_by_names(model: Any, keras: Any) -> bool:
    """Whether a model's one input or one output is given by its name, where others take arrays."""
    return not isinstance(model, keras.Sequential) and len(model.inputs) == len(model.outputs) == 1 \
        and (isinstance(model.input, dict) or isinstance(model.output, dict))


def largest(answers: npt.NDArray[np.float32]) -> Labels:
    """The index of each row's largest value, the first of equals: float32[n, N] to int64[n]."""
    labels: Labels = answers.argmax(axis=1).astype(np.int64)
    return labels


def compiled(model: Any, at_once: bool = False) -> Any:
    """A Keras model as one TensorFlow graph for any batch size: arrays in, tensor (or list) out.

    Args:
        at_once: write the graph down now, of a large network a second's work, and not on the first call.
    Raises:
        EngineError: on a call, when TensorFlow can't compute it, for instance for want of memory.
    """
    tensorflow, _ = backend.load()
    signature = [tensorflow.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]

    @tensorflow.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def run(*tensors: Any) -> Any:
        answer = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer

    if at_once:
        explained(run.get_concrete_function, model.name)()
    return explained(run, model.name)


def explained(run: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function that computes the network of a name, with a sentence where Keras or TensorFlow can't.

    Keras sees some settings only when it computes with them.

    Raises:
        EngineError: on a call, when it can't be computed.
    """
    tensorflow, _ = backend.load()

    def run_or_explain(*arrays: Any) -> Any:
        try:
            return run(*arrays)
        except (*_KERAS_ERRORS, tensorflow.errors.OpError) as error:
            said = backend.reason(getattr(error, "message", str(error)))
            raise EngineError(f"TensorFlow can't compute the network '{name}' ({said}). "
                              "Check that the pictures fit it and that there is memory for it.") from error

    return run_or_explain


def in_batches(run: Callable[[Any], Any], images: npt.NDArray[Any], size: int, cancel: CancelToken = NEVER_CANCELLED,
               did: Did = ignore_done) -> Iterator[Any]:
    """What a compiled model gives for `size` images at a time, so that memory is one batch's.

    Raises:
        Cancelled: the token was set.
    """
    for start in range(0, len(images), size):
        cancel.raise_if_cancelled()
        part = images[start:start + size]
        yield run(part)
        did(len(part))


def _build(file: ModelFile, keras: Any) -> Any:
    if file.config is None:
        assert file.deepid_labels is not None
        return build_deepid(file.deepid_labels)
    config = copy.deepcopy(file.config)  # from_config takes entries out of what it is given
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    model = kind.from_config(config["config"])
    for layer in file.config["config"]["layers"]:
        if "layers" in layer["config"] and "trainable" in layer["config"]:  # which a sequential model doesn't read
            model.get_layer(layer["config"]["name"]).trainable = False
    if not getattr(model, "inputs", None):
        raise ModelError(f"{file.path}: doesn't say what shape its input has. Save it again after building it "
                         "for a fixed image size.")
    return model


def _with_two_labels(model: Any) -> Any:
    """A model whose only answer is a sigmoid's, the probability of label 1, with that of label 0 before it."""
    _, keras = backend.load()
    last = model
    while hasattr(last, "layers"):
        last = last.layers[-1]
    if len(model.outputs) != 1 or tuple(model.outputs[0].shape[1:]) != (1,) or activation_name(last) != "sigmoid":
        return model
    one = model.outputs[0]
    other = keras.layers.Rescaling(-1.0, 1.0, name=LABEL_0)(one)
    return keras.Model(model.inputs[0], keras.layers.Concatenate(name=BOTH_LABELS)([other, one]))


def _flatten(model: Any, sides: tuple[int, int] | None,
             shared: Collection[int] = ()) -> tuple[tuple[Call, ...], Any, Any]:
    """Call the model's layers once more, nested models opened up, and write down who feeds whom.

    What layers used more than once give (`shared`: their ids) is passed on: cutting a graph, Keras drops other uses.
    """
    _, keras = backend.load()
    calls: list[Call] = []

    def opened(functional: Any, tensor: Any, prefix: str) -> Any:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            inputs = [t for t in keras.tree.flatten((args, kwargs)) if isinstance(t, keras.KerasTensor)]
            name = prefix + layer.name
            if isinstance(layer, keras.Model):
                return opened(layer, inputs[0], f"{name}/")
            output = layer(*args, **kwargs)
            if id(layer) in shared:
                output = keras.layers.Identity(name=f"use_{len(calls)}_of_{layer.name}")(output)
            calls.append(Call(name, layer, tuple(inputs), output))
            return output

        # What clone_model does, which would make a model of it where two nested ones may have layers of one name.
        flat = keras.Model(functional.inputs, functional.outputs[0])
        return flat._run_through_graph([tensor], operation_fn=lambda layer: layer, call_fn=call)

    count, height, width, channels = model.inputs[0].shape
    image = keras.Input(batch_shape=(count, *(sides or (height, width)), channels), dtype=model.inputs[0].dtype)
    output = opened(model, image, "")
    again = {layer for layer, uses in Counter(id(call.layer) for call in calls).items() if uses > 1}
    return _flatten(model, sides, again) if again - set(shared) else (tuple(calls), image, output)
