"""How stored values become a network's input: as stored, divided, shifted, in another order of colours.

Named as in the frameworks that networks come from: "-1..1" and "caffe" are what Keras' applications do, "imagenet" is
what torchvision does, "standardised" is TensorFlow's per_image_standardization but for images of one colour.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]

# Added to an image's variance before the root is taken, as a Keras LayerNormalization does.
EPSILON = 1e-3
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_OWN = re.compile(r"mean=(\S+) std=(\S+)")


@dataclass(frozen=True)
class Preprocessing:
    """What is done with stored values, 0 to 255 in most files, before a network sees them.

    Attributes:
        name: as it is written in files and on the command line.
        words: as people read it, such as "divided by 255".
        scale, offset: values are multiplied by the one, then the other is added; one number, or one a colour.
        bgr: whether the order of colours is turned round first.
        per_image: whether each image, scaled first, is brought to mean 0 and deviation 1 instead.
    """

    name: str
    words: str
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    bgr: bool = False
    per_image: bool = False

    def fits(self, channels: int) -> bool:
        """Whether it can be done to images of so many colours."""
        return {len(self.scale), len(self.offset)} <= {1, channels} and (channels == 3 or not self.bgr)

    def applied(self, images: Images) -> Images:
        """Images float32[n, H, W, C] as the network takes them; may change those given."""
        if self.per_image:
            images = images * np.asarray(self.scale, np.float32)
            mean, deviation = _of_each(images)
            return np.asarray((images - mean) / deviation, np.float32)
        if self.bgr:
            images = np.ascontiguousarray(images[..., ::-1])
        if self.scale != (1.0,):
            images *= np.asarray(self.scale, np.float32)
        if self.offset != (0.0,):
            images += np.asarray(self.offset, np.float32)
        return images

    def undone(self, images: Images, stored: Images) -> Images:
        """Images float32[n, H, W, C] that the network takes, as values to store.

        Args:
            stored: float32[n, H, W, C], the images as they were stored before they were changed; what is done to each
                image by itself is undone as it was done to them.
        """
        if self.per_image:
            scale = np.asarray(self.scale, np.float32)
            mean, deviation = _of_each(stored * scale)
            return np.asarray((images * deviation + mean) / scale, np.float32)
        values = (images - np.asarray(self.offset, np.float32)) / np.asarray(self.scale, np.float32)
        return np.asarray(values[..., ::-1] if self.bgr else values, np.float32)


def _of_each(images: Images) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and deviation of each image float32[n, H, W, C], float64[n, 1, 1, 1]."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    return mean, np.sqrt(images.var(axis=(1, 2, 3), keepdims=True, dtype=np.float64) + EPSILON)


AS_STORED = Preprocessing("none", "fed as stored")
# The number is exactly what a Keras Rescaling(1/255) layer multiplies by, so a saved GoodNet sees the same values.
KNOWN = {known.name: known for known in (
    AS_STORED,
    Preprocessing("255", "divided by 255", (1 / 255,)),
    Preprocessing("-1..1", "brought to -1 to 1", (1 / 127.5,), (-1.0,)),
    Preprocessing("imagenet", "divided by 255, minus ImageNet's mean, divided by its deviation",
                  tuple(1 / (255 * d) for d in _IMAGENET_DEVIATION),
                  tuple(-m / d for m, d in zip(_IMAGENET_MEAN, _IMAGENET_DEVIATION, strict=True))),
    Preprocessing("caffe", "in the order blue, green, red, minus ImageNet's mean", (1.0,),
                  tuple(-m for m in _CAFFE_MEAN_BGR), bgr=True),
    Preprocessing("standardised", "brought to mean 0 and deviation 1, each image by itself", per_image=True))}
# Before a name: values that are stored as 0 to 1 are brought to 0 to 255 first; blue comes first, as OpenCV has it.
_TIMES_255, _BGR = "x255", "bgr"
_LARGEST = 1e30  # of numbers that a network is fed, far below what ends float32's


def times_255(known: Preprocessing) -> Preprocessing:
    """What makes of values 0 to 1 what `known` makes of values 0 to 255, itself named "x255" or "x255 NAME"."""
    scale = tuple(255.0 * s for s in known.scale)
    if known == AS_STORED:
        return Preprocessing(_TIMES_255, "multiplied by 255", scale)
    return Preprocessing(f"{_TIMES_255} {known.name}", f"multiplied by 255, then {known.words}", scale, known.offset,
                         known.bgr, known.per_image)


def turned_round(known: Preprocessing) -> Preprocessing:
    """What does to colours in the order blue, green, red what `known` does to them as they are, itself named "bgr" or
    "bgr NAME"; of one that turns them already, or treats each image by itself, that one.
    """
    first, _, rest = known.name.partition(" ")
    if known.bgr or known.per_image:
        return known
    if first == _TIMES_255:
        return times_255(turned_round(preprocessing(rest) if rest else AS_STORED))
    order = "in the order blue, green, red"
    if known == AS_STORED:
        return Preprocessing(_BGR, order, bgr=True)
    return Preprocessing(f"{_BGR} {known.name}", f"{order}, {known.words}", known.scale, known.offset, bgr=True)


# Of values 0 to 1: divided by 255 again they would be as they are.
KNOWN_OF_UNIT = {known.name: known for known in (
    AS_STORED, *(times_255(known) for known in KNOWN.values() if known.name not in ("255", "standardised")),
    KNOWN["standardised"], times_255(KNOWN["standardised"]))}

AUTO = "auto"
SYNTAX = (f"{', '.join(KNOWN)}, or mean=R,G,B std=R,G,B (one number each for grey images); {_BGR}, alone or before "
          f"one of these, for networks that take blue first; {_TIMES_255}, alone or before all that, for values stored "
          "as 0 to 1")


def preprocessing(name: str) -> Preprocessing:
    """The preprocessing of a name, or of one's own mean and deviation, "mean=R,G,B std=R,G,B".

    "x255" alone or before another name stands for values that are stored as 0 to 1, "bgr" for colours that are turned
    round first.

    Means and deviations that are all at most 1 are those of values 0 to 1, as PyTorch writes them; larger ones are
    those of values 0 to 255. One number stands for all colours.

    Raises:
        ValueError: it is neither, with what was expected.
    """
    if name in KNOWN:
        return KNOWN[name]
    first, _, rest = name.strip().partition(" ")
    if first == _TIMES_255 and not rest.strip().startswith(_TIMES_255):
        return times_255(preprocessing(rest.strip()) if rest.strip() else AS_STORED)
    if first == _BGR and not rest.strip().startswith((_BGR, _TIMES_255)):
        turned = turned_round(preprocessing(rest.strip()) if rest.strip() else AS_STORED)
        if turned.name.startswith(_BGR):
            return turned
    found = _OWN.fullmatch(" ".join(name.split()))
    try:
        if not found:
            raise ValueError
        mean, deviation = (tuple(float(part) for part in text.split(",")) for text in found.groups())
        if not all(map(math.isfinite, mean)) or not all(0 < d < math.inf for d in deviation):
            raise ValueError
        if {len(mean), len(deviation)} not in ({1}, {3}, {1, 3}):
            raise ValueError
    except ValueError:
        missing = [part for part in ("mean=", "std=") if part not in name]
        if len(missing) == 1:
            raise ValueError(f"{name!r} isn't a preprocessing; {missing[0]} is missing: both in one pair of quotes, "
                             '"mean=R,G,B std=R,G,B", were expected') from None
        raise ValueError(f"{name!r} isn't a preprocessing; {SYNTAX} was expected") from None
    unit = 255 if max(*map(abs, mean), *deviation) <= 1 else 1
    wide = max(len(mean), len(deviation))
    mean, deviation = _widened(mean, wide), _widened(deviation, wide)
    if not all(max(abs(m), 255) <= _LARGEST * d for m, d in zip(mean, deviation, strict=True)):
        raise ValueError(f"{name!r} makes numbers of pictures that are too large for a network; {SYNTAX} was expected")
    return Preprocessing(" ".join(name.split()), f"minus {_plain(mean)}, divided by {_plain(deviation)}"
                         + (" (of values 0 to 1)" if unit == 255 else ""),
                         tuple(1 / (unit * d) for d in deviation),
                         tuple(-m / d for m, d in zip(mean, deviation, strict=True)))


def choice(name: str) -> str:
    """A name as a person may choose it, "auto" included, in the form in which it is kept.

    Raises:
        ValueError: it isn't one.
    """
    return name if name == AUTO else preprocessing(name).name


def _widened(numbers: Sequence[float], wide: int) -> tuple[float, ...]:
    return tuple(numbers) if len(numbers) == wide else tuple(numbers) * wide


def _plain(numbers: Sequence[float]) -> str:
    return ", ".join(f"{n:g}" for n in numbers)
