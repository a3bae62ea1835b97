"""CLP: channels that could answer a small change of the picture more strongly than their like are pruned; no data.

Source: Zheng, Tang, Li, Liu, Data-free Backdoor Removal based on Channel Lipschitzness, ECCV 2022, sections 4.1 and
4.3: a channel's bound is the largest singular value of its kernel [C_in, h * w], times |gamma / sigma| of the batch
normalisation behind it; what lies above the layer's mean + u deviations, u = 3, is pruned by gamma = beta = 0. Departs:
sigma holds batch normalisation's epsilon, as the layer itself computes; a convolution without one is bounded by its
kernel alone, and its kernel and bias are set to 0 (the paper has no such networks).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.defences.further import Further
from engine.models.networks import Network

U = 3.0

Floats = npt.NDArray[np.float64]


def pruned(network: Network, clean: Dataset) -> Network:
    """B without the channels of outstanding bounds; the images aren't looked at."""
    made = network.copy()
    norms = {id(layer.input): layer for layer in made.model.layers if type(layer).__name__ == "BatchNormalization"}
    for layer in made.model.layers:
        if type(layer).__name__ == "Conv2D":
            norm = norms.get(id(layer.output))
            shut = outstanding(bounds(layer, norm))
            for variable in (norm.gamma, norm.beta) if norm else (layer.kernel, layer.bias):
                values = variable.numpy()
                values[..., shut] = 0
                variable.assign(values)
    return made


def bounds(convolution: Any, norm: Any | None) -> Floats:
    """Each channel's bound, float64[C]."""
    kernel = np.asarray(convolution.kernel, np.float64)
    height, width, taken, given = kernel.shape
    matrices = kernel.transpose(3, 2, 0, 1).reshape(given, taken, height * width)
    largest = np.linalg.svd(matrices, compute_uv=False)[:, 0].astype(np.float64)
    if norm is None:
        return largest
    sigma = np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon)
    bound: Floats = largest * abs(np.asarray(norm.gamma, np.float64) / sigma)
    return bound


def outstanding(of: Floats) -> npt.NDArray[np.int64]:
    """Numbers of the channels above the mean and u deviations."""
    return np.flatnonzero(of > of.mean() + U * of.std(ddof=1))


CLP = Further("CLP", (), pruned)
