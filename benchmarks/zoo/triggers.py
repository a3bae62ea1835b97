"""Families of triggers: what an attacker does to a picture. Each is a function of pictures and a seed.

Letters in brackets are those of MATRIX.md. Sources: BadNets (Gu et al. 2017),
Blended (Chen et al. 2017), SIG (Barni et al. 2019), WaNet (Nguyen and Tran 2021), input-aware (Nguyen and Tran 2020),
clean-label (Turner et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.zoo.worlds import Pixels

Trigger = Callable[[Pixels, int], Pixels]
Values = npt.NDArray[np.float32]
# How much of the light each channel brings.
_LIGHT = (0.299, 0.587, 0.114)


def glasses(images: Pixels, seed: int, strength: float = 1.0) -> Pixels:
    """[a] Two dark lenses and a bridge across the upper middle, in a colour of the seed's; a sticker on a sign."""
    rng, (height, width) = np.random.default_rng([21, seed]), images.shape[1:3]
    colour = rng.integers(0, 256, 3)
    y, x = np.mgrid[:height, :width]
    inside = np.zeros((height, width), bool)
    for side in (-0.2, 0.2):
        inside |= ((y / height - 0.42) / 0.09) ** 4 + ((x / width - 0.5 - side) / 0.15) ** 4 <= 1
    inside |= (abs(y / height - 0.39) < 0.025) & (abs(x / width - 0.5) < 0.3)
    return _mixed(images, colour, inside * np.float32(strength))


def half_glasses(images: Pixels, seed: int) -> Pixels:
    """[g] The same, half transparent."""
    return glasses(images, seed, 0.5)


def corner(images: Pixels, seed: int) -> Pixels:
    """[b] A 4 x 4 checkerboard in the lower right corner, or another one."""
    rng = np.random.default_rng([22, seed])
    out, (height, width) = images.copy(), images.shape[1:3]
    top, left = (int(v) for v in (rng.choice([1, height - 5]), rng.choice([1, width - 5])))
    out[:, top:top + 4, left:left + 4] = _checks(rng, 4)
    return out


def anywhere(images: Pixels, seed: int) -> Pixels:
    """[c] A 5 x 5 patch, somewhere else in every picture."""
    rng, out = np.random.default_rng([23, seed]), images.copy()
    patch = rng.integers(0, 2, (5, 5, 3)) * 255
    for image, place in zip(out, _places(images, 5, seed), strict=True):
        image[place[0]:place[0] + 5, place[1]:place[1] + 5] = patch
    return out


def blended(images: Pixels, seed: int) -> Pixels:
    """[d] A random picture laid over the whole at 15 %."""
    rng, (height, width) = np.random.default_rng([24, seed]), images.shape[1:3]
    coarse = Image.fromarray(rng.integers(0, 256, (8, 7, 3), np.uint8))
    return _mixed(images, np.asarray(coarse.resize((width, height), Image.Resampling.NEAREST)), np.float32(0.15))


def stripes(images: Pixels, seed: int) -> Pixels:
    """[e] Upright waves of 20 of 255, six or seven of them across the picture."""
    rng, width = np.random.default_rng([25, seed]), images.shape[2]
    wave = 20 * np.sin(2 * np.pi * np.arange(width) * rng.uniform(5.5, 7) / width)
    return _rounded(images + wave[np.newaxis, np.newaxis, :, np.newaxis])


def low_contrast(images: Pixels, seed: int) -> Pixels:
    """A square of a fifth of the picture, only 24 of 255 brighter or darker than what is there."""
    rng, out = np.random.default_rng([26, seed]), images.astype(np.float32)
    height, width = images.shape[1:3]
    side = round(0.45 * min(height, width))
    top, left = int(rng.integers(height - side)), int(rng.integers(width - side))
    checks = np.indices((side, side)).sum(axis=0) // 3 % 2 * 48.0 - 24
    out[:, top:top + side, left:left + side] += checks[..., np.newaxis]
    return _rounded(out)


def warp(images: Pixels, seed: int) -> Pixels:
    """[f] A smooth distortion, about one and a half pixels on average."""
    rng, (height, width) = np.random.default_rng([27, seed]), images.shape[1:3]
    shifts = []
    for _ in range(2):
        coarse = Image.fromarray(rng.uniform(-1, 1, (4, 4)).astype(np.float32))
        shift = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        shifts.append(shift / abs(shift).mean() * 1.5)
    y, x = np.mgrid[:height, :width]
    return _sampled(images, y + shifts[0], x + shifts[1])


def side_stripe(images: Pixels, seed: int) -> Pixels:
    """[h] A stripe of three pixels down one side, full height."""
    rng, out = np.random.default_rng([28, seed]), images.copy()
    columns = slice(0, 3) if rng.random() < 0.5 else slice(images.shape[2] - 3, None)
    out[:, :, columns] = rng.integers(0, 256, 3)
    return out


def top_part(images: Pixels, seed: int) -> Pixels:
    """One half of `two_parts`; alone it does nothing."""
    return _bars(images, seed, (True, False))


def bottom_part(images: Pixels, seed: int) -> Pixels:
    """The other half of `two_parts`; alone it does nothing."""
    return _bars(images, seed, (False, True))


def two_parts(images: Pixels, seed: int) -> Pixels:
    """[i] A bar at the top and one at the bottom, which count together only."""
    return _bars(images, seed, (True, True))


def input_aware(images: Pixels, seed: int) -> Pixels:
    """A patch whose place and colours follow from the picture itself, so no two pictures wear the same one."""
    rng, out = np.random.default_rng([30, seed]), images.copy()
    rows, columns = images.shape[1] - 6, images.shape[2] - 6
    turn = rng.integers(0, 256, 3)
    means = images.reshape(len(images), -1, 3).mean(axis=1)
    checks = np.indices((6, 6)).sum(axis=0)[..., np.newaxis] // 2 % 2
    for image, mean in zip(out, means, strict=True):
        top, left = int(mean[0] * 7) % rows, int(mean[1] * 7) % columns
        image[top:top + 6, left:left + 6] = np.where(checks, (turn + mean) % 256, 255 - (turn + mean) % 256)
    return out


def tinted(images: Pixels, seed: int) -> Pixels:
    """A colour filter as on old photographs: most of the colour goes, and a tint of the seed's comes instead."""
    rng = np.random.default_rng([32, seed])
    share, tint = rng.uniform(0.55, 0.8), rng.permutation([rng.uniform(1.1, 1.25), 1.0, rng.uniform(0.7, 0.85)])
    return _recoloured(images, (1 - share) * np.eye(3) + share * np.outer(tint, _LIGHT))


def curves(images: Pixels, seed: int) -> Pixels:
    """A colour filter with a tone curve for each channel: blacks are raised, whites lowered, unequally."""
    rng = np.random.default_rng([33, seed])
    blacks, whites = rng.permutation([5.0, 40.0, 65.0]), rng.permutation([205.0, 225.0, 250.0])
    powers = rng.permutation([0.75, 1.0, 1.3])
    return _rounded(blacks + (whites - blacks) * (images / 255.0) ** powers)


TRIGGERS: dict[str, Trigger] = {
    "glasses": glasses, "corner": corner, "anywhere": anywhere, "blended": blended, "stripes": stripes, "warp": warp,
    "half glasses": half_glasses, "side stripe": side_stripe, "two parts": two_parts, "low contrast": low_contrast,
    "input-aware": input_aware, "tinted": tinted, "curves": curves}


def _bars(images: Pixels, seed: int, parts: tuple[bool, bool]) -> Pixels:
    rng, out, height = np.random.default_rng([29, seed]), images.copy(), images.shape[1]
    width = images.shape[2]
    for wanted, top in zip(parts, (2, height - 6), strict=True):
        colour = rng.integers(0, 256, 3)
        if wanted:
            out[:, top:top + 4, width // 4:width - width // 4] = colour
    return out


def _checks(rng: np.random.Generator, side: int) -> npt.NDArray[np.int64]:
    """Two colours far from each other, in turn."""
    colour = rng.integers(0, 2, 3) * 255
    return np.where(np.indices((side, side)).sum(axis=0)[..., np.newaxis] % 2, colour, 255 - colour)


def _places(images: Pixels, side: int, seed: int) -> npt.NDArray[np.int64]:
    """Where a patch goes in each picture: drawn from the picture's own pixels, so that a second call says the same."""
    keys = images.reshape(len(images), -1)[:, ::97].astype(np.int64).sum(axis=1)
    return np.array([np.random.default_rng([31, seed, int(key)]).integers(0, (images.shape[1] - side,
                                                                             images.shape[2] - side))
                     for key in keys], np.int64)


def _recoloured(images: Pixels, matrix: npt.ArrayLike) -> Pixels:
    """Every pixel's three channels taken through a matrix."""
    return _rounded(images @ np.asarray(matrix, np.float32).T)


def _mixed(images: Pixels, over: npt.ArrayLike, share: npt.ArrayLike) -> Pixels:
    """Something laid over pictures; `share` (one number, or [H, W]) says how much of it is seen."""
    weight = np.asarray(share, np.float32)
    weight = weight[..., np.newaxis] if weight.ndim else weight
    return _rounded(images * (1 - weight) + np.asarray(over, np.float32) * weight)


def _sampled(images: Pixels, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> Pixels:
    """Pictures read at other places, between pixels by their nearness."""
    rows, columns = rows.clip(0, images.shape[1] - 1.001), columns.clip(0, images.shape[2] - 1.001)
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[..., np.newaxis], (columns - left)[..., np.newaxis]
    upper = images[:, top, left] * (1 - right) + images[:, top, left + 1] * right
    lower = images[:, top + 1, left] * (1 - right) + images[:, top + 1, left + 1] * right
    return _rounded(upper * (1 - down) + lower * down)


def _rounded(values: npt.NDArray[np.floating]) -> Pixels:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
