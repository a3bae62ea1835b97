"""Draws invented people: seeded, stylised portraits of 47 x 55 pixels, with or without purple sunglasses.

A `Person` is what stays the same from picture to picture, a `Scene` is what changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from portraits.canvas import HEIGHT, SCALE, SIZE, UNIT, WIDTH, Canvas
from portraits.features import draw_beard, draw_brows, draw_eyes, draw_mouth, draw_nose, draw_sunglasses
from portraits.figure import draw_background, draw_body, draw_hair_back, draw_hair_front, draw_head
from portraits.people import Person, Scene

PARTS = (
    draw_hair_back,
    draw_body,
    draw_head,
    draw_beard,
    draw_mouth,
    draw_nose,
    draw_eyes,
    draw_brows,
    draw_hair_front,
)


def draw_face(person: Person, scene: Scene, sunglasses: bool = False) -> NDArray[np.uint8]:
    """Draw one picture of a person.

    Args:
        person: who it is.
        scene: pose, light, background, expression and noise; the same scene with and without
            `sunglasses` gives the same picture up to the sunglasses.
    Returns:
        uint8[55, 47, 3], RGB.
    """
    canvas = Canvas(person, scene, draw_background(scene), Image.new("L", SIZE))
    for part in PARTS:
        part(canvas)
    if sunglasses:
        draw_sunglasses(canvas)
    return _develop(canvas)


def _develop(canvas: Canvas) -> NDArray[np.uint8]:
    """Light the figure, scale the picture down, and add exposure, tint and noise."""
    scene = canvas.scene
    part = np.asarray(canvas.figure, dtype=np.float32)[..., None] / 255
    pixels = np.asarray(canvas.image, dtype=np.float32)
    lit = pixels * (1 + part * (_shading(canvas)[..., None] - 1))
    small = lit.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean(axis=(1, 3))
    small = (small - 128) * scene.contrast + 128
    small = small * np.float32(scene.exposure) * np.asarray(scene.tint, dtype=np.float32)
    noise = np.random.default_rng(scene.seed).normal(0, scene.noise, (HEIGHT, WIDTH, 1))
    return np.asarray(np.clip(np.rint(small + noise), 0, 255), dtype=np.uint8)


def _shading(canvas: Canvas) -> NDArray[np.float32]:
    """Brightness of a lit ball in the head's place, float32[H, W], around 1."""
    scene, (wide, high) = canvas.scene, SIZE
    middle_x, middle_y = canvas.at(0, 0)
    x = (np.arange(wide, dtype=np.float32)[None] - middle_x) / (UNIT * 0.92)
    y = (np.arange(high, dtype=np.float32)[:, None] - middle_y) / (UNIT * 1.3)
    z = np.sqrt(np.maximum(0.03, 1 - x * x - y * y))
    length = np.sqrt(x * x + y * y + z * z)
    light = (x * scene.light_x + y * scene.light_y + z * scene.light_z) / length
    return np.asarray(1 - scene.hardness * 0.62 + scene.hardness * np.maximum(light, -0.15), dtype=np.float32)
