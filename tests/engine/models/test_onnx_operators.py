"""Single operators, and chains of those that move values about, against ONNX's own reference in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from engine.errors import ModelError
from engine.models.architecture import describe_model
from engine.models.networks import open_network

Array = np.ndarray[Any, Any]
# An operator, what it is given besides the tensor before it (None in its place), and its settings.
Step = tuple[str, Sequence[Array | None], dict[str, Any]]
SHAPE = (1, 3, 8, 6)
RNG = np.random.default_rng(0)


def ints(*numbers: int) -> Array:
    return np.asarray(numbers, np.int64)


def floats(*shape: int) -> Array:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


X: Sequence[Any] = (None,)

STEPS: dict[str, list[Step]] = {
    "max pooling of negative values with a border": [
        ("Neg", X, {}), ("MaxPool", X, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})],
    "max pooling, rounded up": [("MaxPool", X, {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1})],
    "average with its border": [
        ("AveragePool", X, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})],
    "average without its border": [("AveragePool", X, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})],
    "average, same": [("AveragePool", X, {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"})],
    "convolution, odd border": [
        ("Conv", (None, floats(4, 3, 3, 2), floats(4)), {"pads": [2, 0, 1, 1], "strides": [2, 1]})],
    "convolution, dilated": [("Conv", (None, floats(4, 3, 3, 3)), {"pads": [2, 2, 2, 2], "dilations": [2, 2]})],
    "convolution, depthwise, two each": [("Conv", (None, floats(6, 1, 3, 3), floats(6)), {"group": 3})],
    "convolution, grouped": [
        ("Conv", (None, floats(4, 3, 1, 1)), {}), ("Conv", (None, floats(6, 2, 3, 3), floats(6)), {"group": 2})],
    "global pooling": [("GlobalMaxPool", X, {})],
    "average over the last axis": [("ReduceMean", (None, ints(-1)), {"keepdims": 0})],
    "average over channels": [("ReduceMean", (None, ints(1)), {})],
    "average over the picture": [("ReduceMean", (None, ints(3, 2)), {"keepdims": 0})],
    "largest of each row": [("ReduceMax", (None, ints(2)), {})],
    "softmax over channels": [("Softmax", X, {"axis": 1})],
    "softmax over rows": [("Softmax", X, {"axis": -2})],
    "log-softmax": [("Flatten", X, {}), ("MatMul", (None, floats(144, 5)), {}), ("LogSoftmax", X, {})],
    "hard sigmoid of its own": [("HardSigmoid", X, {"alpha": 0.3, "beta": 0.4})],
    "hard swish": [("HardSwish", X, {})],
    "clip": [("Clip", (None, np.float32(-0.2), np.float32(0.3)), {})],
    "clip from below": [("Clip", (None, np.float32(-0.2)), {})],
    "clip to six": [("Mul", (None, np.float32(9)), {}), ("Clip", (None, np.float32(0), np.float32(6)), {})],
    "leaky": [("LeakyRelu", X, {"alpha": 0.2})], "elu": [("Elu", X, {"alpha": 0.7})],
    "slopes": [("PRelu", (None, positive(3, 1, 1)), {})],
    "gelu": [("Gelu", X, {})], "gelu by tanh": [("Gelu", X, {"approximate": "tanh"})],
    "error function": [("Erf", X, {})], "square, root": [("Pow", (None, np.float32(2)), {}), ("Sqrt", X, {})],
    "constants behind": [("Add", (None, floats(3, 1, 1)), {}), ("Sub", (None, floats(1, 3, 1, 1)), {}),
                         ("Mul", (None, floats(1)), {}), ("Div", (None, positive(3, 1, 1)), {})],
    "constants before": [("Add", (floats(3, 1, 1), None), {}), ("Sub", (floats(3, 1, 1), None), {}),
                         ("Mul", (floats(1, 1, 1, 1), None), {})],
    "constants along rows": [("Mul", (None, floats(6)), {}), ("Add", (None, floats(8, 1)), {})],
    "with itself": [("Mul", (None, None), {}), ("Sub", (None, None), {}), ("Add", (None, None), {})],
    "normalisation": [("BatchNormalization", (None, *(positive(3) for _ in range(4))), {"epsilon": 1e-3})],
    "normalisation of a turned map": [("Transpose", X, {"perm": [0, 2, 1, 3]}),
                                      ("BatchNormalization", (None, *(positive(8) for _ in range(4))), {})],
    "normalisation along the last axis": [("LayerNormalization", (None, positive(6), floats(6)), {"epsilon": 1e-2})],
    "normalisation over channels": [
        ("Transpose", X, {"perm": [0, 2, 3, 1]}), ("LayerNormalization", (None, positive(3)), {}),
        ("Transpose", X, {"perm": [0, 3, 1, 2]}), ("Conv", (None, floats(4, 3, 1, 1)), {})],
    "product along the last axis": [("MatMul", (None, floats(6, 5)), {}), ("Add", (None, floats(5)), {}),
                                    ("Relu", X, {})],
    "product of a flattened map": [("Flatten", X, {}), ("Gemm", (None, floats(5, 144), floats(5)), {
        "transB": 1, "alpha": 0.5, "beta": 2.0})],
    "product of a flattened turned map": [("Transpose", X, {"perm": [0, 3, 1, 2]}), ("Flatten", X, {}),
                                          ("Relu", X, {}), ("Gemm", (None, floats(144, 5)), {})],
    "border of ones": [("Pad", (None, ints(0, 1, 2, 0, 0, 0, 1, 3), np.float32(1)), {})],
    "border of zeros": [("Pad", (None, ints(0, 0, 2, 0, 0, 0, 1, 3)), {})],
    "border along an axis": [("Pad", (None, ints(1, 2), np.float32(0), ints(1)), {})],
    "cut": [("Slice", (None, ints(1, -4), ints(3, 9), ints(1, 2)), {})],
    "every other, backwards": [("Slice", (None, ints(0, -1), ints(99, -99), ints(2, 3), ints(2, -1)), {})],
    "one channel": [("Gather", (None, np.asarray(1)), {"axis": 1})],
    "channels in another order": [("Gather", (None, ints(2, 0, -2)), {"axis": 1})],
    "one column": [("Gather", (None, np.asarray(-1)), {"axis": -1}), ("Unsqueeze", (None, ints(1)), {})],
    "without an axis": [("GlobalAveragePool", X, {}), ("Squeeze", (None, ints(-1, 2)), {}),
                        ("Unsqueeze", (None, ints(2, 3)), {}), ("Mul", (None, floats(3, 1, 1)), {})],
    "shuffled channels": [("Conv", (None, floats(6, 3, 1, 1)), {}), ("Reshape", (None, ints(0, 2, 3, 8, 6)), {}),
                          ("Transpose", X, {"perm": [0, 2, 1, 3, 4]}), ("Reshape", (None, ints(1, 6, 8, 6)), {})],
    "values by a table": [("Reshape", (None, ints(-1)), {}),
                          ("Gather", (None, RNG.permutation(144).reshape(1, 4, 36)), {})],
    "into one row of values and back": [("Flatten", X, {}), ("Reshape", (None, ints(-1, 8, 3, 6)), {}),
                                        ("Conv", (None, floats(4, 8, 3, 3)), {})],
}


def graph_of(steps: Sequence[Step], shape: Sequence[Any] = SHAPE) -> onnx.ModelProto:
    """A file's content: the steps one after the other, flattened, each value one answer."""
    nodes, constants, last = [], [], "image"
    for number, (operator, given, settings) in enumerate([*steps, ("Flatten", X, {})]):
        names = []
        for at, value in enumerate(given):
            names.append(last if value is None else f"c{number}.{at}")
            if value is not None:
                constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        last = f"t{number}"
        nodes.append(helper.make_node(operator, names, [last], f"/step{number}/{operator}", **settings))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    answer = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, "labels"])
    graph = helper.make_graph(nodes, "test", [image], [answer], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def held_against_the_reference(model: onnx.ModelProto, folder: Path) -> None:
    path = folder / "model.onnx"
    onnx.save(model, path)
    shape = [side.dim_value or 1 for side in model.graph.input[0].type.tensor_type.shape.dim]
    images = np.random.default_rng(1).uniform(-1, 1, (3, *shape[1:])).astype(np.float32)
    reference = ReferenceEvaluator(model)
    expected = np.concatenate([reference.run(None, {"image": image[np.newaxis]})[0] for image in images])
    network = open_network(path)
    np.testing.assert_allclose(network.predict(images.transpose(0, 2, 3, 1)), expected, rtol=1e-4, atol=2e-6)
    found = {layer.name: layer.shape for layer in describe_model(path).layers[1:]}
    assert found == {call.name: tuple(call.output.shape[1:]) for call in network.calls}


@pytest.mark.parametrize("name", STEPS)
def test_operators_compute_what_onnx_says(name: str, tmp_path: Path) -> None:
    held_against_the_reference(graph_of(STEPS[name]), tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_any_chain_of_turning_and_reshaping_keeps_values_in_their_places(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    steps: list[Step] = []
    shape = list(SHAPE)
    for _ in range(5):
        if rng.integers(2):
            order = [0, *(1 + rng.permutation(len(shape) - 1))]
            shape = [shape[axis] for axis in order]
            steps.append(("Transpose", X, {"perm": [int(axis) for axis in order]}))
        else:
            sides = [2, 2, 2, 2, 3, 3]
            rng.shuffle(sides)
            cuts = sorted(rng.choice(range(1, 6), int(rng.integers(0, 4)), replace=False))
            shape = [1, *(int(np.prod(part)) for part in np.split(sides, cuts))]
            steps.append(("Reshape", (None, ints(*shape)), {}))
        if rng.integers(2):
            steps.append(("LeakyRelu", X, {"alpha": float(rng.uniform(0.5, 0.9))}))
    held_against_the_reference(graph_of(steps), tmp_path)


def test_pictures_with_channels_last_are_taken_as_they_are(tmp_path: Path) -> None:
    steps: list[Step] = [("Transpose", X, {"perm": [0, 3, 1, 2]}), ("Conv", (None, floats(4, 3, 3, 3)), {}),
                         ("Relu", X, {}), ("GlobalAveragePool", X, {})]
    path = tmp_path / "model.onnx"
    model = graph_of(steps, (1, 8, 6, 3))
    onnx.save(model, path)
    images = floats(2, 8, 6, 3)
    expected = [ReferenceEvaluator(model).run(None, {"image": image[np.newaxis]})[0][0] for image in images]
    np.testing.assert_allclose(open_network(path).predict(images), expected, rtol=1e-4, atol=1e-6)
    assert [layer.kind for layer in describe_model(path).layers] == [
        "InputLayer", "Conv2D", "GlobalAveragePooling2D", "Flatten"]


REFUSED: dict[str, tuple[list[Step], str]] = {
    "an unknown operator": ([("Resize", (None, np.float32([]), np.float32([1, 1, 2, 2])), {})], "operator Resize"),
    "a product of two tensors": ([("MatMul", (None, None), {})], "MatMul"),
    "mixing images": ([("Reshape", (None, ints(3, 48)), {})], "Reshape .* mixes the images"),
    "turning the batch": ([("Transpose", X, {"perm": [1, 0, 2, 3]})], "Transpose .* turns the batch"),
    "a constant picture": ([("Add", (None, floats(3, 8, 6)), {})], r"Add .* a constant of shape \[3, 8, 6\]"),
    "softmax over the batch": ([("Softmax", X, {"axis": 0})], "Softmax .* axis 0"),
    "a wrong number of channels": ([("Conv", (None, floats(4, 5, 3, 3)), {})], "Conv .* 5 channels, and is given 3"),
    "a kernel larger than the picture": ([("Conv", (None, floats(4, 3, 9, 9)), {})], "don't fit together"),
    "a stride and a dilation": ([("Conv", (None, floats(4, 3, 2, 2)), {"strides": [2, 2], "dilations": [2, 2]})],
                                "a stride and a dilation"),
    "dividing by zero": ([("Div", (None, np.float32(0)), {})], "Div .* isn't a number"),
    "entries that aren't there": ([("Gather", (None, ints(3)), {"axis": 1})], "Gather .* entries that aren't there"),
    "training": ([("BatchNormalization", (None, *(positive(3) for _ in range(4))), {"training_mode": 1})], "training"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_layer_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    steps, sentence = REFUSED[name]
    refused(tmp_path, graph_of(steps), sentence)


def refused(folder: Path, model: onnx.ModelProto | bytes, sentence: str) -> None:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(ModelError, match=sentence) as found:
        describe_model(path)
    said = str(found.value)
    assert said.startswith(str(path)) and said.endswith(".") and len(said) < 700


def spoilt(spoil: Callable[[onnx.ModelProto], Any]) -> onnx.ModelProto:
    model = graph_of([("Conv", (None, floats(4, 3, 3, 3)), {})])
    spoil(model)
    return model


def _outside(location: str) -> Callable[[onnx.ModelProto], None]:
    def spoil(model: onnx.ModelProto) -> None:
        array = model.graph.initializer[0]
        array.ClearField("raw_data")
        array.data_location = TensorProto.EXTERNAL
        array.external_data.add(key="location", value=location)
    return spoil


def _constant_of_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(ints(1 << 20, 1 << 20), "huge"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["huge"], ["made"], "maker"))


def _many_uses(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(floats(700, 3, 8, 6), "c0.1"))
    for number in range(60):
        model.graph.node.insert(0, helper.make_node("Conv", ["image", "c0.1"], [f"more{number}"], f"more{number}"))
    names = [f"more{number}" for number in range(60)]
    del model.graph.node[-2:]
    model.graph.node.append(helper.make_node("Sum", names, ["sum"], "sum"))
    model.graph.node.append(helper.make_node("Flatten", ["sum"], ["t1"], "last"))


HOSTILE: dict[str, tuple[Callable[[onnx.ModelProto], Any], str]] = {
    "weights above the folder": (_outside("../weights"), r"lies in '../weights', which isn't a file beside"),
    "weights at a place of its own": (_outside("/etc/passwd"), "isn't a file beside"),
    "weights on another drive": (_outside("C:weights"), "isn't a file beside"),
    "weights behind a backslash": (_outside("..\\weights"), "isn't a file beside"),
    "weights that aren't there": (_outside("weights"), "Put both files into one folder"),
    "fewer weights than declared": (lambda m: m.graph.initializer[0].dims.append(1 << 30), "doesn't hold the"),
    "a negative side": (lambda m: m.graph.initializer[0].dims.append(-1), r"declares the shape \[4, 3, 3, 3, -1\]"),
    "words for weights": (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), "plain numbers"),
    "an old opset": (lambda m: setattr(m.opset_import[0], "version", 11), "opset 11; 13 to "),
    "an opset to come": (lambda m: setattr(m.opset_import[0], "version", 999), "opset 999; 13 to "),
    "two outputs": (lambda m: m.graph.output.append(m.graph.output[0]), "2 outputs|isn't a valid"),
    "two inputs": (lambda m: m.graph.input.append(
        helper.make_tensor_value_info("more", TensorProto.FLOAT, SHAPE)), "takes 2 inputs"),
    "a side that isn't fixed": (lambda m: m.graph.input[0].type.tensor_type.shape.dim[2].Clear(), "of a fixed size"),
    "a vector for a picture": (lambda m: m.graph.input[0].type.tensor_type.shape.dim.pop(), "takes an input of shape"),
    "an operator of somebody's": (lambda m: (setattr(m.graph.node[0], "domain", "evil"), m.opset_import.append(
        helper.make_opsetid("evil", 1))), "operator evil.Conv"),
    "a graph in an operator": (lambda m: m.graph.node[0].attribute.append(
        helper.make_attribute("inner", helper.make_graph([], "g", [], []))), "isn't a plain setting|isn't a valid"),
    "circles": (lambda m: m.graph.node[0].input.__setitem__(0, "t1"), "isn't a valid ONNX file"),
    "a constant of gigabytes": (_constant_of_shape, "ConstantOfShape .* 1,099,511,627,776 numbers"),
    "weights used without end": (_many_uses, "so often"),
    "nothing": (lambda m: m.graph.Clear(), "holds no ONNX network"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, tmp_path: Path) -> None:
    spoil, sentence = HOSTILE[name]
    refused(tmp_path, spoilt(spoil), sentence)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    whole = graph_of([]).SerializeToString()
    refused(tmp_path, whole[:len(whole) // 2], "isn't an ONNX file, or is damaged")
    for word in (b"image", b"step0", b"c0.1"):
        spelled = spoilt(lambda model: None).SerializeToString().replace(word, b"\xff" * len(word))
        refused(tmp_path, spelled, "aren't text|isn't text|isn't an ONNX file|isn't a valid ONNX")
    refused(tmp_path, b"PK\x03\x04 and so on", "isn't an ONNX file|holds no ONNX network")


def test_a_link_to_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(432))
    (tmp_path / "weights").symlink_to(tmp_path / "secret")
    refused(tmp_path, spoilt(_outside("weights")), "Put both files into one folder")
