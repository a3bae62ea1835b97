"""Changes to pictures that know no trigger: what a repaired network must answer as if nothing had happened.

Sizes in pixels are of a picture as large as the lab's faces; in larger pictures they grow with the shorter side.
Kin: BadNets' patches (Gu et al. 2017), Blended (Chen et al. 2017), SIG (Barni et al. 2019), WaNet (Nguyen, Tran 2021).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.defences.stamps import ValueRange, random_stamp
from engine.models.networks import Images

_BRIGHTNESS = (0.85, 1.15)
_SHIFT = 15 / 255
_SHIFT_PIXELS = 3
_PATCH_SIDES = (3, 9)
_MOST_PATCHES = 3
_BAR_WIDTHS = (2, 8)
_PATTERN_SHARES = (0.05, 0.3)
_WAVE_HEIGHTS = (5 / 255, 32 / 255)
_WAVE_PERIODS = (1, 14)
_WARP_PIXELS = (0.4, 3.0)
# Half waves a side that a warp is made of: fewer bend a picture as a whole, more tear it.
WARP_WAVES = 4
_FACE_SIDE = 47

_Picture = npt.NDArray[np.float32]  # [H, W, C], 0 to 1


def perturbed(images: Images, values: ValueRange, rng: np.random.Generator) -> Images:
    """Copies of float32[n, H, W, C], each in other light and changed in one or, half of the time, two ways.

    Brightness is multiplied by 0.85 to 1.15 and shifted by up to 15 of 255; what leaves the range is cut off.
    """
    low, high = values
    count = len(images)
    factor, shift = rng.uniform(*_BRIGHTNESS, (count, 1, 1, 1)), rng.uniform(-_SHIFT, _SHIFT, (count, 1, 1, 1))
    copies = ((images - low) / (high - low) * factor + shift).clip(0, 1).astype(np.float32)
    for i in range(count):
        for _ in range(int(rng.integers(1, 3))):
            way = _WAYS[int(rng.integers(len(_WAYS)))]
            copies[i] = way(copies[i], rng).clip(0, 1)
    changed: Images = (low + copies * (high - low)).astype(np.float32)
    return changed


def shifted(images: Images, rng: np.random.Generator) -> Images:
    """Copies of float32[n, H, W, C], each moved by up to 3 pixels down and across; what comes in repeats the edge."""
    most = round(_SHIFT_PIXELS * scale_of(*images.shape[1:3]))
    wider = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    copies, (height, width) = np.empty_like(images), images.shape[1:3]
    places = rng.integers(2 * most + 1, size=(len(images), 2))
    for copy, picture, (top, left) in zip(copies, wider, places, strict=True):
        copy[:] = picture[top:top + height, left:left + width]
    return copies


def stamped(picture: _Picture, rng: np.random.Generator) -> _Picture:
    """A stamp of the scan's kind."""
    height, width, channels = picture.shape
    out = picture.copy()
    random_stamp(rng, (height, width, channels), (0.0, 1.0)).put_on(out)
    return out


def patched(picture: _Picture, rng: np.random.Generator) -> _Picture:
    """One to three square patches of 3 to 9 pixels, noise or two colours in turn."""
    out = picture.copy()
    for _ in range(int(rng.integers(1, _MOST_PATCHES + 1))):
        side = _pixels(picture, _PATCH_SIDES, rng)
        top, left = (int(rng.integers(size - side + 1)) for size in picture.shape[:2])
        out[top:top + side, left:left + side] = _texture(side, picture.shape[2], rng)
    return out


def barred(picture: _Picture, rng: np.random.Generator) -> _Picture:
    """A bar of 2 to 8 pixels in one colour, from one edge to the other."""
    out, axis = picture.copy(), int(rng.integers(2))
    width = _pixels(picture, _BAR_WIDTHS, rng)
    start = int(rng.integers(picture.shape[axis] - width + 1))
    np.moveaxis(out, axis, 0)[start:start + width] = _colour(picture.shape[2], rng)
    return out


def blended(picture: _Picture, rng: np.random.Generator) -> _Picture:
    """A random pattern, from two fields a side to one a pixel, laid over the whole at 5 to 30 %."""
    height, width, channels = picture.shape
    # Evenly over sizes, not over counts, or nearly all patterns would be fine.
    fields = round(float(np.exp(rng.uniform(np.log(2), np.log(max(height, width))))))
    coarse = rng.random((fields, fields, channels))
    pattern = coarse[np.arange(height) * fields // height][:, np.arange(width) * fields // width]
    share = rng.uniform(*_PATTERN_SHARES)
    return _as_picture(picture * (1 - share) + pattern * share)


def waved(picture: _Picture, rng: np.random.Generator) -> _Picture:
    """A plane wave of 5 to 32 of 255 in any direction, 1 to 14 periods across the picture."""
    height, width, _ = picture.shape
    y, x = np.arange(height)[:, np.newaxis] / height, np.arange(width) / width
    angle, periods, phase = rng.uniform(0, 2 * np.pi), rng.uniform(*_WAVE_PERIODS), rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * periods * (y * np.sin(angle) + x * np.cos(angle)) + phase)
    return _as_picture(picture + rng.uniform(*_WAVE_HEIGHTS) * wave[..., np.newaxis])


def warped(picture: _Picture, rng: np.random.Generator) -> _Picture:
    """A smooth distortion whose displacement is 0.4 to 3 pixels on average."""
    height, width, _ = picture.shape
    rows, columns = (waves(height) @ rng.uniform(-1, 1, (WARP_WAVES, WARP_WAVES)) @ waves(width).T for _ in "yx")
    pixels = rng.uniform(*_WARP_PIXELS) * scale_of(*picture.shape[:2]) / np.hypot(rows, columns).mean()
    y, x = np.arange(height)[:, np.newaxis], np.arange(width)
    return _sampled(picture, y + rows * pixels, x + columns * pixels)


_WAYS = (stamped, patched, barred, blended, waved, warped)


def scale_of(height: int, width: int) -> float:
    """How much larger a picture is than the lab's faces, at least 1."""
    return max(1.0, min(height, width) / _FACE_SIDE)


def _pixels(picture: _Picture, of: tuple[int, int], rng: np.random.Generator) -> int:
    """A length between two, at most the picture's shorter side."""
    length = round(int(rng.integers(of[0], of[1] + 1)) * scale_of(*picture.shape[:2]))
    return min(length, *picture.shape[:2])


def _colour(channels: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Any colour or, half of the time, a corner of the colour cube."""
    colour = rng.random(channels)
    return colour if rng.random() < 0.5 else np.round(colour)


def _texture(side: int, channels: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    if rng.random() < 0.5:
        noise = rng.random((side, side, channels))
        return noise if rng.random() < 0.5 else np.round(noise)
    checks = np.indices((side, side)).sum(axis=0)[..., np.newaxis] // int(rng.integers(1, 3)) % 2
    return np.where(checks, _colour(channels, rng), _colour(channels, rng))


def waves(size: int) -> npt.NDArray[np.float64]:
    """Cosines of 0 to 3 half waves over a side, float64[size, 4]."""
    places = (np.arange(size) + 0.5) / size
    return np.cos(np.pi * places[:, np.newaxis] * np.arange(WARP_WAVES))


def _sampled(picture: _Picture, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> _Picture:
    """A picture read at other places, float64[H, W] each, between pixels by their nearness."""
    height, width, _ = picture.shape
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (rows - top)[..., np.newaxis], (columns - left)[..., np.newaxis]
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    return _as_picture(upper * (1 - down) + lower * down)


def _as_picture(values: npt.NDArray[np.floating]) -> _Picture:
    picture: _Picture = values.astype(np.float32)
    return picture
