"""Single operators, and chains of those that move values about, against a program that isn't this one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.models.architecture import describe_model
from engine.models.networks import open_network
from tests.support.onnx_answers import onnx_answers
from tests.support.onnx_graphs import RNG, SHAPE, Step, X, floats, graph_of, ints, positive, refused

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
    "sum over channels": [("ReduceSum", (None, ints(1)), {})],
    "sum over the picture": [("ReduceSum", (None, ints(3, 2)), {"keepdims": 0})],
    "lengths along channels": [("ReduceL2", (None, ints(1)), {})],
    "lengths of rows": [("ReduceL2", (None, ints(-1)), {"keepdims": 0})],
    "gray to colours": [("ReduceMean", (None, ints(1)), {}), ("Expand", (None, ints(1, 3, 1, 1)), {}),
                        ("Mul", (None, floats(3, 1, 1)), {})],
    "as large as it is": [("Expand", (None, ints(3, 1, 1)), {})],
    "side by side": [("Tile", (None, ints(1, 2, 1, 3)), {}), ("Add", (None, floats(6, 1, 1)), {})],
    "softmax over channels": [("Softmax", X, {"axis": 1})],
    "softmax over rows": [("Softmax", X, {"axis": -2})],
    "log-softmax": [("Flatten", X, {}), ("MatMul", (None, floats(144, 5)), {}), ("LogSoftmax", X, {})],
    "hard sigmoid of its own": [("HardSigmoid", X, {"alpha": 0.3, "beta": 0.4})],
    "hard swish": [("HardSwish", X, {})],
    "clip": [("Clip", (None, np.float32(-0.2), np.float32(0.3)), {})],
    "clip from below": [("Clip", (None, np.float32(-0.2)), {})],
    "clip to six": [("Mul", (None, np.float32(9)), {}), ("Clip", (None, np.float32(0), np.float32(6)), {})],
    "clip where the bounds cross": [("Clip", (None, np.float32(0.5), np.float32(-0.5)), {}), ("Add", (None, None), {})],
    "cast to other floating-point types": [("Cast", X, {"to": TensorProto.DOUBLE}), ("Cast", X, {"to": 1})],
    "leaky": [("LeakyRelu", X, {"alpha": 0.2})], "elu": [("Elu", X, {"alpha": 0.7})],
    "slopes": [("PRelu", (None, positive(3, 1, 1)), {})],
    "slopes, four axes": [("PRelu", (None, positive(1, 3, 1, 1)), {})],
    "one slope": [("PRelu", (None, positive(1)), {})],
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
    "product and one number": [("Flatten", X, {}), ("Gemm", (None, floats(144, 5), floats(1)), {})],
    "product and a row of numbers": [("Flatten", X, {}), ("Gemm", (None, floats(144, 5), floats(1, 5)), {})],
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


def held_against_the_reference(model: onnx.ModelProto, folder: Path) -> None:
    path = folder / "model.onnx"
    onnx.save(model, path)
    taken = model.graph.input[0].type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(taken.elem_type)
    rng, shape = np.random.default_rng(1), [3, *(side.dim_value for side in taken.shape.dim[1:])]
    images = (rng.uniform(-1, 1, shape) if dtype.kind == "f" else rng.integers(0, 256, shape)).astype(dtype)
    expected = np.concatenate([onnx_answers(path, image[np.newaxis]) for image in images])
    network = open_network(path)
    found = network.predict(images.transpose(0, 2, 3, 1).astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)
    shapes = {layer.name: layer.shape for layer in describe_model(path).layers[1:]}
    assert shapes == {call.name: tuple(call.output.shape[1:]) for call in network.calls}


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
    expected = np.concatenate([onnx_answers(path, image[np.newaxis]) for image in images])
    np.testing.assert_allclose(open_network(path).predict(images), expected, rtol=1e-4, atol=1e-6)
    assert [layer.kind for layer in describe_model(path).layers] == [
        "InputLayer", "Conv2D", "GlobalAveragePooling2D", "Flatten"]


@pytest.mark.parametrize("before", [
    [], [("Transpose", X, {"perm": [0, 2, 3, 1]}), ("Reshape", (None, ints(1, 4, 4, 9)), {})]])
def test_a_picture_of_integers_is_computed_with_once_it_is_cast(before: list[Step], tmp_path: Path) -> None:
    steps: list[Step] = [*before, ("Cast", X, {"to": 1}), ("Mul", (None, np.float32(1 / 255)), {})]
    held_against_the_reference(graph_of(steps, kind=TensorProto.UINT8), tmp_path)
    for kind, c in ((TensorProto.UINT8, np.uint8(7)), (TensorProto.INT32, np.int32(7))):
        refused(tmp_path, graph_of([*before, ("Div", (None, c), {}), ("Cast", X, {"to": 1})], kind=kind),
                "operator Div .* computes with integers")
    refused(tmp_path, graph_of(steps, kind=TensorProto.BOOL), "pictures of floating-point numbers or integers")


@pytest.mark.parametrize("number", [1.0001, 3e-8, 7.0])
def test_a_constant_cast_to_halves_is_rounded(number: float, tmp_path: Path) -> None:
    model = graph_of([("Mul", (None, np.float32(1)), {})])
    model.graph.node[0].input[1] = "whole"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(number), "number"))
    for node in (helper.make_node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT),
                 helper.make_node("Cast", ["number"], ["half"], to=TensorProto.FLOAT16)):
        model.graph.node.insert(0, node)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    images = floats(1, *SHAPE[1:])
    expected = onnx_answers(path, images)
    np.testing.assert_allclose(open_network(path).predict(images.transpose(0, 2, 3, 1)), expected, rtol=1e-6, atol=0)


def test_images_that_are_put_behind_a_new_axis_are_refused_where_they_may_be_many(tmp_path: Path) -> None:
    steps: list[Step] = [("Unsqueeze", (None, ints(0)), {}), ("ReduceMean", (None, ints(1)), {"keepdims": 0})]
    refused(tmp_path, graph_of(steps, ("N", *SHAPE[1:])), "Unsqueeze .* before the images .* for batches of one")
    held_against_the_reference(graph_of(steps), tmp_path)  # of a single one it is none


def test_a_product_of_what_all_images_have_together_is_refused_where_they_may_be_many(tmp_path: Path) -> None:
    steps: list[Step] = [("Reshape", (None, ints(-1)), {}), ("MatMul", (None, floats(144, 5)), {})]
    refused(tmp_path, graph_of(steps, ("N", *SHAPE[1:])), "MatMul .* mixes the images of a batch.* batches of one")


@pytest.mark.parametrize(("step", "sentence"), [
    (("Reshape", (None, ints(1, -1)), {}), "Reshape .* mixes the images of a batch"),
    (("Unsqueeze", (None, ints(0)), {}), "Unsqueeze .* mixes the images of a batch"),
    (("Slice", (None, ints(0), ints(1), ints(0)), {}), "Slice .* takes a part of the batch")])
def test_a_file_for_several_images_that_one_alone_makes_sense_of_is_to_be_exported_for_one(
    step: Step, sentence: str, tmp_path: Path,
) -> None:
    refused(tmp_path, graph_of([step], (2, *SHAPE[1:])), f"{sentence}.* Export it for batches of one picture alone")
    held_against_the_reference(graph_of([step]), tmp_path)


def test_weights_in_constants_count_as_those_of_the_file(tmp_path: Path) -> None:
    model = graph_of([("Flatten", X, {}), ("MatMul", (None, floats(144, 20_000)), {}),
                      ("MatMul", (None, floats(20_000, 5)), {})])
    while model.graph.initializer:
        array = model.graph.initializer.pop()
        model.graph.node.insert(0, helper.make_node("Constant", [], [array.name], value=array))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert describe_model(path).labels == 5


@pytest.mark.parametrize(("dividend", "divisor"), [(7, 2), (-7, 2), (7, -2), (-7, -2), (-8, 2)])
def test_a_quotient_of_integers_is_cut_off_towards_0(dividend: int, divisor: int, tmp_path: Path) -> None:
    model = graph_of([("Slice", (None, ints(0), ints(99), ints(2)), {})])
    model.graph.initializer.extend([
        numpy_helper.from_array(ints(dividend), "a"), numpy_helper.from_array(ints(divisor), "b")])
    model.graph.node.insert(0, helper.make_node("Div", ["a", "b"], ["start"]))
    model.graph.node[1].input[1] = "start"
    held_against_the_reference(model, tmp_path)


@pytest.mark.parametrize("batch", [1, "N"])
def test_a_shape_that_is_worked_out_is_followed(batch: int | str, tmp_path: Path) -> None:
    """As PyTorch writes `x.expand(-1, 3, -1, -1)` of a gray picture."""
    model = graph_of([("ReduceMean", (None, ints(1)), {}), ("Expand", (None, ints(0)), {})], (batch, *SHAPE[1:]))
    model.graph.initializer.extend([
        numpy_helper.from_array(value, name) for name, value in (
            ("asked", ints(-1, 3, -1, -1)), ("four", ints(4)), ("less", ints(-1)))])
    for place, (operator, given, made) in enumerate((
            ("ConstantOfShape", ["four"], "zeros"), ("Add", ["zeros.whole", "less"], "minus"),
            ("Equal", ["asked", "minus"], "open"), ("Sub", ["zeros.whole", "less"], "ones"),
            ("Where", ["open", "ones", "asked"], "wanted"))):
        model.graph.node.insert(place, helper.make_node(operator, given, [made]))
    model.graph.node.insert(1, helper.make_node("Cast", ["zeros"], ["zeros.whole"], to=TensorProto.INT64))
    next(node for node in model.graph.node if node.op_type == "Expand").input[1] = "wanted"
    held_against_the_reference(model, tmp_path)


def test_numbers_known_beforehand_are_reduced_and_clipped(tmp_path: Path) -> None:
    """As of a head whose weights are brought to one length."""
    model = graph_of([("Flatten", X, {}), ("MatMul", (None, floats(144, 5)), {})])
    weights = next(array for array in model.graph.initializer if tuple(array.dims) == (144, 5)).name
    model.graph.initializer.extend([
        numpy_helper.from_array(np.float32(1e-3), "least"), numpy_helper.from_array(ints(0), "first")])
    for place, (operator, given, made) in enumerate((
            ("ReduceL2", [weights, "first"], "length"), ("Clip", ["length", "least"], "clipped"),
            ("Div", [weights, "clipped"], "unit"))):
        model.graph.node.insert(place, helper.make_node(operator, given, [made]))
    next(node for node in model.graph.node if node.op_type == "MatMul").input[1] = "unit"
    held_against_the_reference(model, tmp_path)


def test_an_operator_that_is_not_known_is_named_before_what_leads_to_it(tmp_path: Path) -> None:
    """Else a recurrent network is refused for turning the batch."""
    steps: list[Step] = [("Transpose", X, {"perm": [1, 0, 2, 3]}),
                         ("Resize", (None, np.float32([]), np.float32([1, 1, 2, 2])), {})]
    refused(tmp_path, graph_of(steps), "operator Resize")


REFUSED: dict[str, tuple[list[Step], str]] = {
    "an unknown operator": ([("Resize", (None, np.float32([]), np.float32([1, 1, 2, 2])), {})], "operator Resize"),
    "a product of two tensors": ([("MatMul", (None, None), {})], "MatMul"),
    "expanding to nothing": ([("ReduceMean", (None, ints(1)), {}), ("Expand", (None, ints(1, 0, 1, 1)), {})], "Expand"),
    "expanding the batch": ([("Expand", (None, ints(2, 3, 8, 6)), {})], "Expand .* makes"),
    "a new axis before all": ([("Expand", (None, ints(1, 1, 3, 8, 6)), {})], "Expand .* makes"),
    "repeating the batch": ([("Tile", (None, ints(2, 1, 1, 1)), {})], "Tile .* repeats the batch"),
    "mixing images": ([("Reshape", (None, ints(3, 48)), {})], "Reshape .* mixes the images.* without it"),
    "turning the batch": ([("Transpose", X, {"perm": [1, 0, 2, 3]})], "Transpose .* turns the batch.* without it"),
    "a constant picture": ([("Add", (None, floats(3, 8, 6)), {})], r"Add .* a constant of shape \[3, 8, 6\]"),
    "softmax over the batch": ([("Softmax", X, {"axis": 0})], "Softmax .* axis 0"),
    "a wrong number of channels": ([("Conv", (None, floats(4, 5, 3, 3)), {})], "Conv .* 5 channels, and is given 3"),
    "a kernel larger than the picture": ([("Conv", (None, floats(4, 3, 9, 9)), {})], "don't fit together"),
    "a stride and a dilation": ([("Conv", (None, floats(4, 3, 2, 2)), {"strides": [2, 2], "dilations": [2, 2]})],
                                "a stride and a dilation"),
    "dividing by zero": ([("Div", (None, np.float32(0)), {})], "Div .* isn't a number"),
    "dividing by next to nothing": ([("Div", (None, np.float32(1e-44)), {})], "Div .* isn't a number in float32"),
    "entries that aren't there": ([("Gather", (None, ints(3)), {"axis": 1})], "Gather .* entries that aren't there"),
    "training": ([("BatchNormalization", (None, *(positive(3) for _ in range(4))), {"training_mode": 1})], "training"),
    **{f"cast to {name}": ([("Cast", X, {"to": kind}), ("Cast", X, {"to": 1})], f"Cast .* makes its values {name}")
       for name, kind in (("int32", 6), ("bool", 9), ("uint8", 2))},
    "average with a dilation": ([("AveragePool", X, {"kernel_shape": [2, 2], "dilations": [2, 2]})], "has a dilation"),
    "maxima with a dilation": ([("MaxPool", X, {"kernel_shape": [2, 2], "dilations": [2, 2]})], "has a dilation"),
    "slopes of columns": ([("PRelu", (None, positive(6)), {})], "one slope for all channels or for each"),
    "slopes of as many columns as channels": (
        [("Slice", (None, ints(0), ints(3), ints(3)), {}), ("PRelu", (None, positive(3)), {})],
        "one slope for all channels or for each"),
    "a product and one number for each picture": (
        [("Flatten", X, {}), ("Gemm", (None, floats(144, 5), floats(5, 1)), {})], r"adds numbers of shape \[5, 1\]"),
    "the length of a joined batch": ([("Reshape", (None, ints(-1)), {}), ("Shape", X, {})], "values of a whole batch"),
    "values without end": ([("Concat", (None, None), {"axis": 1})] * 40, "1572864.* values of one image"),
    **{f"{name} without sense": ([(name, (None, *given), {})], f"operator {name} .* doesn't fit what it is given")
       for name, given in (
           ("Unsqueeze", [ints(1, 1)]),
           ("Pad", [ints(0, 0, 1, 1, 0, 0, 1, 1), np.float32([1, 2])]),
           ("Slice", [np.float32([1]), np.float32([3]), ints(2)]),
           ("Reshape", [np.float32([1, np.inf])]), ("ReduceMean", [np.float32([np.inf])]),
           ("Squeeze", [np.float32([np.nan])]))},
    "parts of a fraction": ([("Split", (None, np.float32([8])), {"axis": 2})], "Split .* doesn't fit"),
    "entries by fractions": ([("Gather", (None, np.float32([0, 1])), {"axis": 1})], "entries from a table"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_layer_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    steps, sentence = REFUSED[name]
    refused(tmp_path, graph_of(steps), sentence)
