"""A network's layers as an ONNX graph of one input and one output."""

from __future__ import annotations

from typing import Any

from onnx import ModelProto

from engine import backend
from engine.models.networks import Call, Network
from engine.models.to_onnx import attention, elementwise, shaping, spatial
from engine.models.to_onnx.writing import IMAGE, Use, Value, Writing

_RULES = {**spatial.RULES, **elementwise.RULES, **shaping.RULES, **attention.RULES}
# ONNX counts in 64 bits.
_DTYPES = {"int32": "int64"}


def translated(network: Network) -> ModelProto:
    """A network as ONNX: pictures as Keras takes them, any number at once, to its answers.

    Raises:
        ModelError: it has a layer that no rule writes; the sentence names it and says nothing of a file.
    """
    writing = Writing()
    image = Value(IMAGE, tuple(network.input.shape))
    values = {id(network.input): image}
    for call in network.calls:
        use = _use(writing, call, values)
        rule = _RULES.get(_kind(call.layer))
        if rule is None:
            use.refuse("is one that no rule writes")
        values[id(call.output)] = rule(use)
        if call.output is network.output:
            break
    answer = use.unturned(values[id(network.output)])
    return writing.model(image, answer)


def _use(writing: Writing, call: Call, values: dict[int, Value]) -> Use:
    history = call.output._keras_history
    called = history.operation._inbound_nodes[history.node_index].arguments
    arguments = tuple(values.get(id(item), item) for item in called.args)
    dtype = str(call.output.dtype)
    return Use(writing, call.name, call.layer, tuple(values[id(tensor)] for tensor in call.inputs), arguments,
               dict(called.kwargs), tuple(call.output.shape), _DTYPES.get(dtype, dtype))


def _kind(layer: Any) -> str:
    """A layer's class, or "keras.ops." and an operation's."""
    _, keras = backend.load()
    return ("" if isinstance(layer, keras.layers.Layer) else "keras.ops.") + type(layer).__name__
