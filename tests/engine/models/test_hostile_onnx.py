"""ONNX files that are damaged, or made to exhaust memory or to have another file read, are refused with a sentence."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelError
from engine.models.from_onnx.graph import OnnxGraph, OnnxNode
from engine.models.from_onnx.translation import translate
from engine.models.layer_graph import unused_name
from tests.support.onnx_graphs import SHAPE, Array, Step, floats, graph_of, ints, positive, refused


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


def _second_answer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(positive(6), "scale"))
    model.graph.node.insert(0, helper.make_node("LayerNormalization", ["image", "scale"], ["norm", "mean"]))
    model.graph.node[1].input.append("mean")


def _sparse(model: onnx.ModelProto) -> None:
    values, places = numpy_helper.from_array(floats(2), "bias"), numpy_helper.from_array(ints(0, 2), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
    model.graph.node[0].input.append("bias")


def _without_dilations(model: onnx.ModelProto) -> None:
    setting = model.graph.node[0].attribute.add()
    setting.name, setting.type = "dilations", onnx.AttributeProto.INTS


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
    "a bias beside another answer": (_second_answer, "operator Conv .* is given 'mean', which no operator"),
    "a sparse bias": (_sparse, "the array 'bias' is a sparse one"),
    "a dilation of no sides": (_without_dilations, "operator Conv .* doesn't fit what it is given"),
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


@pytest.mark.parametrize(("count", "side", "sentence"), [
    (1, 1 << 33, r"shape \(1, 3, 8589934592, 4\); pictures of at most 67,108,864 values"), (100, 100_000, "so often")])
def test_a_cut_through_a_long_side_is_refused_before_its_entries_are_listed(
        count: int, side: int, sentence: str, tmp_path: Path) -> None:
    backwards: Step = ("Slice", (None, ints(-1), ints(-1 << 40), ints(2), ints(-1)), {})
    refused(tmp_path, graph_of([backwards] * count, (1, 3, side, 4)), sentence)


@pytest.mark.timeout(60)  # minutes, where each axis or part is looked for among all
def test_shapes_and_parts_without_end_are_refused(tmp_path: Path) -> None:
    ones = numpy_helper.from_array(np.array([1], np.int64))
    endless = helper.make_graph([
        helper.make_node("ConstantOfShape", ["many"], ["ones"], value=ones),
        helper.make_node("Concat", ["ones", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["image", "shape"], ["scores"])], "endless",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.array([100_000], np.int64), "many"),
         numpy_helper.from_array(np.array([192], np.int64), "rest")])
    refused(tmp_path, helper.make_model(endless, opset_imports=[helper.make_opsetid("", 17)]), "makes 100,001 axes")
    parts = OnnxNode("", "Split", ("image",), tuple(f"v{i}" for i in range(100_000)), {"axis": 3})
    graph = OnnxGraph("", "image", (1, 3, 1, 100_000), False, {"v0": (None, 5)}, (parts,), {}, ())
    with pytest.raises(ModelError, match="more than 20,000 layers"):
        translate(graph, "v0", Path("model.onnx"))


def test_arrays_that_all_are_the_same_bytes_of_another_file_are_refused(tmp_path: Path) -> None:
    def share(model: onnx.ModelProto) -> None:
        (tmp_path / "weights").write_bytes(bytes(432))
        for number in range(20):
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(TensorProto(name=f"more{number}", data_type=TensorProto.FLOAT, dims=[108],
                                        data_location=TensorProto.EXTERNAL))
            tensor.external_data.add(key="location", value="weights")

    refused(tmp_path, spoilt(share), "take the same bytes of 'weights' again and again")


def used_often(operator: str, weights: Array, *sides: int) -> OnnxGraph:
    """200 operators one behind the other, all of the same weights, on a flattened picture or on it as it is."""
    first = OnnxNode("", "Flatten" if operator == "Gemm" else "Identity", ("image",), ("v0",), {})
    nodes = [OnnxNode("", operator, (f"v{i}", "weights"), (f"v{i + 1}",), {}) for i in range(200)]
    return OnnxGraph("", "image", (1, *sides), False, {"v200": (None, 5)}, (first, *nodes), {"weights": weights}, ())


def test_weights_are_counted_before_they_are_copied() -> None:
    graph = used_often("Gemm", np.ones((1024, 1024), np.float32), 1, 32, 32)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="so often"):
            translate(graph, "v200", Path("model.onnx"))
        assert tracemalloc.get_traced_memory()[1] < 40 << 20  # of 800 MB, had each its own
    finally:
        tracemalloc.stop()


def test_constants_that_are_computed_with_count_as_weights() -> None:
    with pytest.raises(ModelError, match="so often"):
        translate(used_often("Mul", np.ones(1 << 18, np.float32), 1, 1, 1 << 18), "v200", Path("model.onnx"))


@pytest.mark.timeout(20)  # seconds, where the numbers behind a name aren't counted from 1 each time
def test_equal_names_are_numbered() -> None:
    taken = {"a_2": 0}
    assert [unused_name("a", taken) for _ in range(3)] == ["a", "a_1", "a_3"]
    assert [unused_name("a_1", taken), unused_name("a_1", taken), unused_name("a", taken)] == ["a_1_1", "a_1_2", "a_4"]
    assert len({unused_name("b", taken) for _ in range(100_000)}) == 100_000
