"""A picture's colours given to another one, as a colour filter over the whole of it would go along.

Source: Pitié and Kokaram, The Linear Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer, 2007.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.models.networks import Images

# What hardly varies in a picture, as colour in a grey one, is taken to vary by this share of what varies most: else
# noise would be blown up to colours.
_LEAST_SPREAD = 0.01
_NO_SPREAD = 1e-12
# So few at once stay in the processor's cache.
_AT_ONCE = 8

_Matrices = npt.NDArray[np.float64]


def recoloured(pictures: Images, like: Images) -> Images:
    """Pictures whose channels have the means and covariances of others', each by its own one.

    Of all linear maps that do so, as far as their own colours vary, the one that moves colours least. No value leaves
    its channel's range in the other.

    Args:
        pictures, like: float32[n, H, W, C], in any range.
    Returns:
        float32[n, H, W, C].
    """
    found = np.empty_like(pictures)
    for start in range(0, len(pictures), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        found[some] = _recoloured(pictures[some], like[some])
    return found


def _recoloured(pictures: Images, like: Images) -> Images:
    own, other = (np.array(images.reshape(len(images), -1, images.shape[3]).swapaxes(1, 2), np.float64, order="C")
                  for images in (pictures, like))
    own_mean, mean = (values.mean(axis=2, keepdims=True) for values in (own, other))
    own -= own_mean
    there, back = _roots(_covariances(own))
    between = back @ _roots(there @ _covariances(other - mean) @ there)[0] @ back
    changed = between @ own + mean
    limited = changed.clip(other.min(axis=2, keepdims=True), other.max(axis=2, keepdims=True))
    found: Images = limited.swapaxes(1, 2).reshape(pictures.shape).astype(np.float32)
    return found


def _covariances(centred: _Matrices) -> _Matrices:
    """Of float64[n, C, pixels]: float64[n, C, C]."""
    return centred @ centred.swapaxes(1, 2) / centred.shape[2]


def _roots(matrices: _Matrices) -> tuple[_Matrices, _Matrices]:
    """The square roots of symmetric matrices float64[n, C, C], and those roots' inverses as far as there are any."""
    variances, axes = np.linalg.eigh(matrices)
    spreads = np.sqrt(variances.clip(0))
    at_least = spreads.clip(np.maximum(_LEAST_SPREAD * spreads[:, -1:], _NO_SPREAD))
    root, inverse = (axes * along[:, np.newaxis] @ axes.swapaxes(1, 2) for along in (spreads, 1 / at_least))
    return root, inverse
