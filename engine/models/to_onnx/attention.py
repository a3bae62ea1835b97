"""Multi-head attention, as the products that it is made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.models.to_onnx.writing import Rule, Use, Value, numbers_of


def _attention(use: Use) -> Value:
    layer = use.layer
    query, value, key = (*use.inputs, *use.inputs[1:])[:3] if len(use.inputs) in (2, 3) else (None, None, None)
    # Of tensors given by keyword the order isn't known here.
    set_otherwise = any(setting is not None and setting is not False for setting in use.settings.values())
    if query is None or value is None or key is None or set_otherwise or len(query.shape) != 3:
        use.refuse("is called with a mask or by keyword, or with more axes than rows of places")
    # Rows of places by heads: [batch, heads, places, depth], the keys turned for the product.
    asked = _heads(use, query, layer._query_dense, (0, 2, 1, 3))
    offered = _heads(use, key, layer._key_dense, (0, 2, 3, 1))
    given = _heads(use, value, layer._value_dense, (0, 2, 1, 3))
    scores = use.put("Mul", use.put("MatMul", asked, offered), use.number(1 / math.sqrt(layer.key_dim), "root"))
    seen = use.put("MatMul", use.put("Softmax", scores, axis=-1), given)
    width = layer.num_heads * layer.value_dim
    rows = use.put("Reshape", use.put("Transpose", seen, perm=[0, 2, 1, 3]),
                   use.number([0, 0, width], "rows", np.int64))
    return use.result(_projected(use, rows, layer._output_dense, width))


def _heads(use: Use, x: Value, dense: Any, perm: tuple[int, ...]) -> str:
    """Rows projected to every head."""
    depth, heads, each = dense.kernel.shape
    rows = use.put("Reshape", _projected(use, use.unturned(x).name, dense, depth),
                   use.number([0, 0, heads, each], "heads", np.int64))
    return use.put("Transpose", rows, perm=perm)


def _projected(use: Use, x: str, dense: Any, depth: int) -> str:
    product = use.put("MatMul", x, use.number(numbers_of(dense.kernel).reshape(depth, -1), f"{dense.name}.weight"))
    return product if dense.bias is None else \
        use.put("Add", product, use.number(numbers_of(dense.bias).ravel(), f"{dense.name}.bias"))


def _row_pool(kind: str) -> Rule:
    """Average or maximum over places."""
    return lambda use: use.result(use.put(kind, use.plain(), axes=[1], keepdims=int(use.layer.keepdims)))


RULES: dict[str, Rule] = {
    "MultiHeadAttention": _attention, "GlobalAveragePooling1D": _row_pool("ReduceMean"),
    "GlobalMaxPooling1D": _row_pool("ReduceMax"),
}
