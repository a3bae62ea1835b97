"""What an ONNX file answers, by a program that isn't this one: onnxruntime where it is installed, else ONNX's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from tests.support.networks import Array


def onnx_answers(path: Path, pictures: Array) -> Array:
    """The only output of a valid file for pictures as it takes them."""
    onnx.checker.check_model(str(path), full_check=True)
    try:
        from onnxruntime import InferenceSession
    except ImportError:
        evaluator = ReferenceEvaluator(str(path))
        return np.asarray(evaluator.run(None, {evaluator.input_names[0]: pictures})[0])
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: pictures})[0])
