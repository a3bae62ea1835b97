"""A preprocessing as layers: at the front of a saved model, so that it takes pictures as they are stored; and a
network's own, whose statistics a copy takes over."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import backend
from engine.data.preprocessing import (
    EPSILON,
    KNOWN,
    KNOWN_OF_UNIT,
    Preprocessing,
    preprocessing,
    times_255,
    turned_round,
)

_TURNED, _SCALED, _STANDARDISED = "turned_to_bgr", "preprocessed", "standardised"


def preprocessed(image: Any, wanted: Preprocessing) -> Any:
    """A symbolic image tensor behind layers that do what `wanted.applied` does; the tensor itself for "none"."""
    _, keras = backend.load()
    if wanted.per_image:
        if wanted.scale != (1.0,):
            image = keras.layers.Rescaling(_number_or_list(wanted.scale), name=_SCALED)(image)
        return keras.layers.LayerNormalization(axis=[1, 2, 3], epsilon=EPSILON, center=False, scale=False,
                                               name=_STANDARDISED)(image)
    if wanted.bgr:
        # Exact: every value is multiplied by 1 once and by 0 else.
        turn = keras.layers.Conv2D(3, 1, use_bias=False, trainable=False, name=_TURNED)
        image = turn(image)
        turn.set_weights([np.eye(3, dtype=np.float32)[np.newaxis, np.newaxis, ::-1]])
    if (wanted.scale, wanted.offset) == ((1.0,), (0.0,)):
        return image
    return keras.layers.Rescaling(_number_or_list(wanted.scale), _number_or_list(wanted.offset), name=_SCALED)(image)


def preprocessing_of(layers: list[Any]) -> Preprocessing:
    """What the layers made by `preprocessed` do, found among a model's layers; "none" where there are none."""
    by_name = {layer.name: layer for layer in layers}
    if _STANDARDISED in by_name:
        return times_255(KNOWN["standardised"]) if _SCALED in by_name else KNOWN["standardised"]
    scaled = by_name.get(_SCALED) or next((x for x in layers if type(x).__name__ == "Rescaling"), None)
    bgr = _TURNED in by_name
    if scaled is None:
        return turned_round(KNOWN["none"]) if bgr else KNOWN["none"]
    scale, offset = (_numbers(value) for value in (scaled.scale, scaled.offset))
    every = (*KNOWN.values(), *KNOWN_OF_UNIT.values())
    for known in (*every, *map(turned_round, every)):
        if (known.scale, known.offset, known.bgr) == (scale, offset, bgr):
            return known
    wide = max(len(scale), len(offset))
    means = [-o / s for o, s in zip(offset * (wide // len(offset)), scale * (wide // len(scale)), strict=True)]
    name = "bgr " * bgr + f"mean={_listed(means)} std={_listed([1 / s for s in scale])}"
    # Values of 0 to 1, times 255 first, or of 0 to 255: what is called so must be what is done.
    for called in map(preprocessing, (name, f"x255 {name}")):
        if np.allclose(called.scale, scale, rtol=1e-5) and np.allclose(called.offset, offset, rtol=1e-5):
            return Preprocessing(called.name, called.words, scale, offset, bgr)
    return Preprocessing(name, called.words, scale, offset, bgr)


def take_over_statistics(model: Any) -> None:
    """A Normalization layer computes with copies of its weights, which only loading from a file renews."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            take_over_statistics(layer)
        elif hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _number_or_list(values: tuple[float, ...]) -> float | list[float]:
    return values[0] if len(values) == 1 else list(values)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in np.atleast_1d(np.asarray(value, np.float64)))


def _listed(values: Any) -> str:
    return ",".join(f"{v:.9g}" for v in values)
