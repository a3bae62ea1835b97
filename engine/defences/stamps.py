"""Random patches in plain colours: what the scan searches with and the repair learns to ignore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from engine.data.stored_values import UNIT, range_of
from engine.models.networks import Images, Labels

# Sizes as shares of the image: 4 to 19 of 55 rows, 8 to 43 of 47 columns of the lab's faces.
_HEIGHTS = (4 / 55, 19 / 55)
_WIDTHS = (8 / 47, 43 / 47)

# Pictures whose brightest value is lower are none of 0 to 255, where stamps would be many times as bright as they.
_DARKEST_BYTES = 25

# Values of images that are stamped and answered at once.
_MOST_VALUES = 1 << 24

ValueRange = tuple[float, float]
# Gives the labels int64[n] of images float32[n, H, W, C].
Answering = Callable[[Images], Labels]


class Paint(Protocol):
    """Something that images can wear."""

    def put_on(self, images: Images) -> None:
        """Change float32[..., H, W, C] in place."""
        ...


@dataclass(frozen=True)
class Stamp:
    """A patch: rows [top, top + height), columns [left, left + width), one value a colour channel."""

    shape: Literal["rectangle", "ellipse"]
    top: int
    left: int
    height: int
    width: int
    colour: tuple[float, ...]

    def put_on(self, images: Images) -> None:
        """Paint the patch over float32[..., H, W, C] in place."""
        part = images[..., self.top:self.top + self.height, self.left:self.left + self.width, :]
        if self.shape == "rectangle":
            part[...] = self.colour
        else:
            part[..., self._inside(), :] = self.colour

    def _inside(self) -> npt.NDArray[np.bool_]:
        """The pixels of the patch whose centres lie within the ellipse, bool[height, width]."""
        y = (np.arange(self.height) + 0.5) / self.height * 2 - 1
        x = (np.arange(self.width) + 0.5) / self.width * 2 - 1
        inside: npt.NDArray[np.bool_] = y[:, np.newaxis] ** 2 + x**2 <= 1
        return inside


def random_stamp(rng: np.random.Generator, image_shape: tuple[int, int, int], values: ValueRange) -> Stamp:
    """Draw a patch that lies wholly within the image.

    Rectangle or ellipse; of the lab's 55 x 47 faces, 4 to 19 rows and 8 to 43 columns, of others the same shares. The
    colour is uniform or, half of the time, a corner of the colour cube.
    """
    rows, columns, channels = image_shape
    height, width = (int(rng.integers(max(1, round(low * size)), max(1, round(high * size)) + 1))
                     for size, (low, high) in ((rows, _HEIGHTS), (columns, _WIDTHS)))
    colour = rng.random(channels)
    if rng.random() < 0.5:
        colour = np.round(colour)
    low, high = values
    return Stamp("rectangle" if rng.random() < 0.5 else "ellipse", int(rng.integers(rows - height + 1)),
                 int(rng.integers(columns - width + 1)), height, width, tuple((low + colour * (high - low)).tolist()))


def stamped_labels(
    answer: Answering, images: Images, which: Labels, stamps: Sequence[Sequence[Paint]],
) -> Labels:
    """The labels int64[n] of images by their numbers int64[n], each with its own stamps on it; memory is a part's."""
    # A power of two, as a network's batches are, so that these end at the same images.
    size, labels = 1 << max(1, _MOST_VALUES // images[0].size).bit_length() - 1, []
    for start in range(0, len(which), size):
        stamped = images[which[start:start + size]]
        for parts, image in zip(stamps[start:start + size], stamped, strict=True):
            for part in parts:
                part.put_on(image)
        labels.append(answer(stamped))
    return np.concatenate(labels) if labels else np.empty(0, np.int64)


def value_range(images: Images) -> ValueRange:
    """The range that images use, lowest and highest value: 0 to 1, a little more where a few values lie beyond, 0 to
    255, -1 to 1, or what they really span."""
    low, high = float(images.min()), float(images.max())
    if range_of(images) in (UNIT, None):
        return min(low, 0.0), max(high, 1.0)
    if low >= -1 and high <= 1:
        return -1.0, 1.0
    return (0.0, 255.0) if low >= 0 and _DARKEST_BYTES < high <= 255 * (1 + 1e-6) else (low, high)


def as_picture(image: Images, values: ValueRange) -> npt.NDArray[np.uint8]:
    """Float32[H, W, C] within a range as uint8[H, W, C] for people."""
    low, high = values
    share = (image - low) / max(high - low, 1e-12)
    picture: npt.NDArray[np.uint8] = np.round(share.clip(0, 1) * 255).astype(np.uint8)
    return picture
