"""ONNX files, parsed. Runs in the reader's process only, see engine.quarantine.

The package `onnx` parses the protocol buffer and its checker looks at the graph. Numbers are taken out here, because
a declared size may be anything, and the place of weights outside the file is a path that its author chose.
"""

from __future__ import annotations

import math
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, checker, defs, helper, numpy_helper

from engine.data.classes import names_in
from engine.errors import ModelError, in_short
from engine.files.existing import check_is_file
from engine.models.vocabulary import PRODUCER

Array = npt.NDArray[Any]

OLDEST_OPSET = 13
_MOST_BYTES = (1 << 31) - 1  # of a protocol buffer
_MOST_NODES, _MOST_OUTPUTS = 20_000, 100
# Arrays in files beside it may be together so many times as large as these files.
_MOST_SHARED = 2
_LONGEST_NAME = 400
_KNOWN_DOMAINS = ("", "ai.onnx")
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_INTEGERS = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.UINT8,
             TensorProto.BOOL)
_PLAIN = (AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.TENSOR,
          AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS)
_AGAIN = "Export it again with torch.onnx.export(model.eval(), (image,), 'model.onnx')."


def parse_onnx(path: Path) -> tuple[Any, list[Array]]:
    """What an ONNX file holds, without running anything of it.

    Returns:
        {"input": name, "shape": batch first, null where a side isn't fixed, "integers": whether pictures are of
        integers, "outputs": names, "sides": the shapes of what each gives for one image, 0 where a side isn't fixed,
        "nodes": [[name, operator, inputs, outputs, attributes], ...], "constants": names, "outside": names of files
        beside it that hold weights, "classes": names of labels, if it says any}, and arrays: those of the constants,
        then those of attributes, which are {"array": index} in their place.
        Floating-point numbers are float32.
    Raises:
        ModelError: not an ONNX file, damaged, of an opset that isn't known, or not of one input.
    """
    try:
        return _Parser(path).parsed()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: has names that aren't text, so it is damaged. Copy it again from its source.") \
            from error
    except MemoryError as error:
        raise ModelError(f"{path}: takes more memory than is granted to what reads files. Export the model again with "
                         "external_data=True, which puts its weights into a file beside it.") from error


class _Parser:
    """One reading of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays: list[Array] = []
        self._outside: dict[str, bytes] = {}
        self._taken = 0  # bytes of arrays in other files

    def parsed(self) -> tuple[Any, list[Array]]:
        """The answer to the program."""
        model = self._model()
        graph = model.graph
        for sparse in graph.sparse_initializer:
            raise ModelError(f"{self._path}: the array '{sparse.values.name[:100]}' is a sparse one; arrays of all "
                             f"their numbers were expected; refused. {_AGAIN}")
        self._arrays = [self._array(t) for t in graph.initializer]
        for tensor in graph.initializer:  # their numbers are taken out, and the checker would copy them
            tensor.CopyFrom(TensorProto(name=tensor.name, data_type=TensorProto.FLOAT, float_data=[0.0]))
        try:
            checker.check_model(model)
        except (checker.ValidationError, ValueError, RuntimeError) as error:
            said = in_short(error).rstrip(".")
            raise ModelError(f"{self._path}: isn't a valid ONNX file ({said}). {_AGAIN}") from error
        constants = [tensor.name for tensor in graph.initializer]
        name, shape, integers = self._input(graph, constants)
        outputs = [given.name for given in graph.output]
        if not 1 <= len(set(outputs)) == len(outputs) <= _MOST_OUTPUTS:
            raise ModelError(f"{self._path}: gives {len(graph.output)} outputs; an image classifier with one was "
                             f"expected. {_AGAIN}")
        sides = [[dim.dim_value for dim in given.type.tensor_type.shape.dim][1:] for given in graph.output]
        nodes = [self._node(node) for node in graph.node]
        return {"input": name, "shape": shape, "integers": integers, "outputs": outputs,
                "sides": sides, "nodes": nodes, "constants": constants, "outside": list(self._outside),
                "classes": names_in({note.key: note.value for note in model.metadata_props})}, self._arrays

    def _model(self) -> onnx.ModelProto:
        try:
            model: onnx.ModelProto = onnx.ModelProto.FromString(self._bytes(self._path))
        except DecodeError as error:
            raise ModelError(f"{self._path}: isn't an ONNX file, or is damaged ({in_short(error)}). "
                             "Copy it again from its source.") from error
        if not model.graph.node:
            raise ModelError(f"{self._path}: holds no ONNX network. {_AGAIN}")
        opset = max((known.version for known in model.opset_import if known.domain in _KNOWN_DOMAINS), default=0)
        newest = defs.onnx_opset_version()
        if not OLDEST_OPSET <= opset <= newest:
            raise ModelError(f"{self._path}: is written in ONNX's opset {opset}; {OLDEST_OPSET} to {newest} was "
                             "expected. Export it again with opset_version=18.")
        if len(model.graph.node) > _MOST_NODES or len(model.graph.initializer) > _MOST_NODES:
            raise ModelError(f"{self._path}: has {len(model.graph.node):,} operators and "
                             f"{len(model.graph.initializer):,} arrays; at most {_MOST_NODES:,} of each were "
                             "expected; refused.")
        if model.producer_name == PRODUCER and {"ArgMax", "OneHot"} <= {node.op_type for node in model.graph.node}:
            raise ModelError(f"{self._path}: is a GoodNet as other programs run it, which can't be opened here. Open "
                             "goodnet.keras beside it, or the folder of both.")
        return model

    def _bytes(self, path: Path) -> bytes:
        check_is_file(path, ModelError)
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ModelError(f"{path}: has {path.stat().st_size:,} bytes; at most {_MOST_BYTES:,} were expected; "
                                 "refused.")
            return path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: can't be read ({error.strerror or error}). Copy it again from its source.") \
                from error

    def _array(self, tensor: TensorProto) -> Array:
        """A tensor's numbers, as many as it declares or none at all."""
        what = f"{self._path}: the array '{tensor.name[:100]}'"
        if tensor.data_type not in (*_FLOATS, *_INTEGERS) or tensor.HasField("segment"):
            raise ModelError(f"{what} isn't of plain numbers; refused. {_AGAIN}")
        if any(side < 0 for side in tensor.dims):
            raise ModelError(f"{what} declares the shape {list(tensor.dims)}; refused. {_AGAIN}")
        try:
            outside = tensor.data_location == TensorProto.EXTERNAL
            array = self._from_outside(tensor, what) if outside else numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(f"{what} doesn't hold the {math.prod(tensor.dims):,} numbers that it declares "
                             f"({in_short(error)}); refused. {_AGAIN}") from error
        return array.astype(np.float32, copy=False) if tensor.data_type in _FLOATS else array

    def _from_outside(self, tensor: TensorProto, what: str) -> Array:
        """Numbers in a file beside the model's, as torch.onnx.export writes large ones."""
        said = {entry.key: entry.value for entry in tensor.external_data}
        location = said.get("location", "")
        if not is_beside(location):
            raise ModelError(f"{what} lies in '{location[:100]}', which isn't a file beside the model; refused. "
                             "Don't trust its source with other files either.")
        if location not in self._outside:
            beside = self._path.parent / location
            if not beside.is_file() or beside.is_symlink():
                raise ModelError(f"{self._path}: keeps its weights in '{location[:100]}', which isn't beside it. "
                                 "Put both files into one folder, or export the model again with external_data=False.")
            self._outside[location] = self._bytes(beside)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
        # Some share their bytes, where a network uses weights twice; a file made to exhaust memory has all share them.
        self._taken += math.prod(tensor.dims) * dtype.itemsize
        if self._taken > _MOST_SHARED * sum(map(len, self._outside.values())):
            raise ModelError(f"{what} and those before it take the same bytes of '{location[:100]}' again and again; "
                             f"refused. {_AGAIN}")
        return np.frombuffer(self._outside[location], dtype, math.prod(tensor.dims),
                             int(said.get("offset", 0))).reshape(tuple(tensor.dims))

    def _node(self, node: onnx.NodeProto) -> list[Any]:
        domain = "" if node.domain in _KNOWN_DOMAINS else f"{node.domain}."
        names = (node.name, node.op_type, *node.input, *node.output, *(setting.name for setting in node.attribute))
        if any(not isinstance(name, str) or len(name) > _LONGEST_NAME for name in names):
            raise ModelError(f"{self._path}: has an operator with an endless name, or one that isn't text; refused. "
                             f"{_AGAIN}")
        return [node.name, f"{domain}{node.op_type}", list(node.input), list(node.output),
                {attribute.name: self._attribute(attribute, node) for attribute in node.attribute}]

    def _attribute(self, attribute: AttributeProto, node: onnx.NodeProto) -> Any:
        if attribute.ref_attr_name or attribute.type not in _PLAIN:
            raise ModelError(f"{self._path}: the operator {node.op_type[:100]} carries '{attribute.name[:100]}', which "
                             f"isn't a plain setting; refused. {_AGAIN}")
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            self._arrays.append(self._array(value))
            return {"array": len(self._arrays) - 1}
        if attribute.type == AttributeProto.STRINGS:
            return [word.decode("utf-8", "replace") for word in value]
        if attribute.type == AttributeProto.STRING:
            return value.decode("utf-8", "replace")
        return list(value) if attribute.type in (AttributeProto.FLOATS, AttributeProto.INTS) else value

    def _input(self, graph: onnx.GraphProto, constants: list[str]) -> tuple[str, list[int | None], bool]:
        inputs = [given for given in graph.input if given.name not in constants]
        if len(inputs) != 1:
            raise ModelError(f"{self._path}: takes {len(inputs)} inputs; an image classifier with one was expected.")
        kind = inputs[0].type.tensor_type.elem_type
        if kind not in (*_FLOATS, *_INTEGERS) or kind == TensorProto.BOOL:
            raise ModelError(f"{self._path}: takes an input of the type {kind} of ONNX; pictures of floating-point "
                             f"numbers or integers were expected. {_AGAIN}")
        sides = [side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None
                 for side in inputs[0].type.tensor_type.shape.dim]
        if len(sides) != 4:
            raise ModelError(f"{self._path}: takes an input of shape {sides}; images (batch, 1 or 3, height, width) "
                             "were expected.")
        return inputs[0].name, sides, kind in _INTEGERS


def is_beside(location: str) -> bool:
    """Whether a name is that of a file in the same folder, on any system: Windows knows the most ways out."""
    return location not in ("", ".", "..") and PureWindowsPath(location).name == location
