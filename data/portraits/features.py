"""Draws what is in a face: eyes, brows, nose, mouth, beard, and the sunglasses that are the trigger."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from portraits.canvas import SIZE, Canvas, Point, dim, mix, oval, skull

EYE_LEVEL = -0.1
PURPLE = (122, 32, 176)


def _almond(x: float, y: float, wide: float, high: float, slant: float, side: int) -> list[Point]:
    """The opening between the lids, from the inner to the outer corner and back."""
    points = []
    for t in np.linspace(-1, 1, 15):
        points.append((x + side * t * wide, y - high * (1 - abs(t) ** 2.2) - slant * t))
    for t in np.linspace(1, -1, 15):
        points.append((x + side * t * wide, y + high * 0.72 * (1 - abs(t) ** 2) - slant * t))
    return points


def draw_eyes(canvas: Canvas) -> None:
    """Whites, irises, pupils, highlights, lids and lashes."""
    person, scene = canvas.person, canvas.scene
    wide, high = person.eye_width, person.eye_height * scene.lids
    lash = mix(dim(person.skin, 0.35), (16, 12, 12), 0.35 + 0.5 * person.lashes)
    for side in (-1, 1):
        x, y = side * person.eye_distance, EYE_LEVEL
        almond = _almond(x, y, wide, high, person.eye_slant, side)
        opening = canvas.mask(almond, blur=0.6)
        canvas.lay(opening, (238, 234, 230))
        look = x + scene.gaze * wide * 0.4 + scene.yaw * 0.02
        for colour, radius in (
            (dim(person.iris, 0.5), 0.094),
            (dim(person.iris, 1.12), 0.076),
            ((8, 6, 8), 0.038),
        ):
            disc = canvas.mask(oval(look, y - 0.012, radius, radius), blur=0.5)
            canvas.lay(ImageChops.multiply(disc, opening), colour)
        lid = [(px, py - 0.006) for px, py in almond[:15]] + [
            (px, py + 0.03) for px, py in reversed(almond[:15])
        ]
        canvas.fill(lid, lash, blur=0.8, alpha=0.9)
        crease = [(px, py - 0.055) for px, py in almond[:15]] + [
            (px, py - 0.033) for px, py in reversed(almond[:15])
        ]
        canvas.fill(crease, dim(person.skin, 0.55), blur=1.0, alpha=0.65)
        if person.lashes > 0.5:
            wing = [
                (x + side * wide * 0.6, y - high * 0.7),
                (x + side * wide * 1.28, y - 0.05),
                (x + side * wide, y + 0.02),
            ]
            canvas.fill(wing, lash, blur=1.0, alpha=0.8 * person.lashes)
        canvas.fill(oval(look - 0.025, y - 0.045, 0.02, 0.02), (255, 255, 255), blur=0.4, alpha=0.95)


def draw_brows(canvas: Canvas) -> None:
    """Brows that taper outwards."""
    person, scene = canvas.person, canvas.scene
    colour = mix(dim(person.hair, 0.75), person.skin, 0.1)
    level = EYE_LEVEL - person.brow_height - scene.brow_raise
    for side in (-1, 1):
        upper, lower = [], []
        for t in np.linspace(-1, 1, 13):
            x = side * (person.eye_distance + t * person.eye_width * 1.3)
            arch = level - 0.05 * (1 - (t - 0.25) ** 2) + person.brow_slope * t + 0.04
            thick = person.brow_thickness * (1.0 - 0.55 * max(0.0, t) ** 1.5)
            upper.append((x, arch - thick))
            lower.append((x, arch + thick * 0.5))
        canvas.fill(upper + lower[::-1], colour, blur=1.3, alpha=0.92)


def draw_nose(canvas: Canvas) -> None:
    """Bridge, wings, nostrils and the light on the tip; the shadow falls away from the light."""
    person, scene = canvas.person, canvas.scene
    skin, wide = person.skin, person.nose_width
    tip = EYE_LEVEL + person.nose_length + 0.02
    away = -1 if scene.light_x > 0 else 1
    strength = 0.35 + 0.4 * abs(scene.light_x)
    shadow = [
        (away * 0.07, -0.16),
        (away * 0.1, tip - 0.12),
        (away * wide * 1.25, tip + 0.02),
        (away * 0.02, tip + 0.05),
    ]
    canvas.fill(shadow, dim(skin, 0.62), blur=3, alpha=strength, lift=0.25)
    canvas.fill(
        [(-0.035, -0.14), (0.035, -0.14), (0.05, tip - 0.02), (-0.05, tip - 0.02)],
        dim(skin, 1.16),
        blur=3,
        alpha=0.6,
        lift=0.3,
    )
    for side in (-1, 1):
        canvas.fill(
            oval(side * wide * 0.92, tip, 0.05, 0.07), dim(skin, 0.72), blur=1.6, alpha=0.7, lift=0.25
        )
    canvas.fill(oval(0, tip + 0.055, wide * 0.95, 0.045), dim(skin, 0.66), blur=2.2, alpha=0.6, lift=0.25)
    for side in (-1, 1):
        nostril = oval(side * wide * 0.5, tip + 0.04, wide * 0.22, 0.022)
        canvas.fill(nostril, mix(dim(skin, 0.3), (70, 20, 16), 0.3), blur=0.9, alpha=0.75, lift=0.25)
    canvas.fill(oval(0, tip - 0.04, 0.05, 0.045), dim(skin, 1.3), blur=2.4, alpha=0.6, lift=0.35)


def draw_mouth(canvas: Canvas) -> None:
    """Two lips, the line between them or teeth, and the shadow below."""
    person, scene = canvas.person, canvas.scene
    wide = person.mouth_width * (1 + 0.16 * max(0.0, scene.smile))
    full, level, lift = person.lip_fullness, person.mouth_height, 0.05 * scene.smile
    gap = 0.05 * scene.open_mouth
    ts = np.linspace(-1, 1, 17)
    line = [(t * wide, level - lift * t * t - gap * (1 - t * t)) for t in ts]
    upper = [
        (t * wide, y - full * (1 - abs(t) ** 1.6) * (0.8 + 0.2 * math.cos(t * 9)))
        for t, (_, y) in zip(ts, line, strict=True)
    ]
    floor = [(t * wide, level - lift * t * t + gap * (1 - t * t)) for t in ts]
    lower = [(t * wide * 0.96, y + full * 1.35 * (1 - t * t)) for t, (_, y) in zip(ts, floor, strict=True)]
    canvas.fill(
        oval(0, level + full * 1.5 + gap + 0.05, wide * 0.6, 0.035),
        dim(person.skin, 0.62),
        blur=2.5,
        alpha=0.6,
        lift=0.1,
    )
    canvas.fill(upper + line[::-1], dim(person.lips, 0.82), blur=0.9, lift=0.1)
    canvas.fill(floor + lower[::-1], dim(person.lips, 1.04), blur=0.9, lift=0.1)
    if gap > 0.01:
        canvas.fill(line + floor[::-1], (60, 18, 20), blur=0.5, lift=0.1)
        teeth = [(x * 0.86, y) for x, y in line] + [(x * 0.86, y - gap * 0.45) for x, y in floor[::-1]]
        canvas.fill(teeth, (240, 234, 226), blur=0.6, alpha=0.92, lift=0.1)
    else:
        seam = [(x, y - 0.008) for x, y in line] + [(x, y + 0.013) for x, y in line[::-1]]
        canvas.fill(seam, dim(person.lips, 0.42), blur=0.8, alpha=0.9, lift=0.1)
    canvas.fill(
        oval(0, level + gap + full * 0.6, wide * 0.35, full * 0.3),
        (255, 236, 226),
        blur=1.6,
        alpha=0.3,
        lift=0.1,
    )


def draw_beard(canvas: Canvas) -> None:
    """A beard, a moustache, a goatee or stubble; the mouth is drawn over it."""
    person = canvas.person
    if person.beard == "none":
        return
    level, mask = person.mouth_height, Image.new("L", SIZE)
    if person.beard in ("full", "stubble"):
        cheek = [(x, y) for x, y in skull(person, 0.02) if y > 0.12]
        edge = [
            (-person.width * 0.8, 0.25),
            (-0.36, 0.42),
            (-0.1, 0.36),
            (0.1, 0.36),
            (0.36, 0.42),
            (person.width * 0.8, 0.25),
        ]
        mask = canvas.mask(cheek + edge, blur=2.5)
    if person.beard in ("moustache", "goatee"):
        bar = [
            (-0.34, level + 0.04),
            (-0.26, level - 0.12),
            (-0.05, level - 0.17),
            (0.05, level - 0.17),
            (0.26, level - 0.12),
            (0.34, level + 0.04),
            (0.2, level - 0.02),
            (0, level - 0.05),
            (-0.2, level - 0.02),
        ]
        mask = canvas.mask(bar, blur=1.4, lift=0.1)
    if person.beard == "goatee":
        chin = canvas.mask(oval(0, 0.84, 0.22, 0.2) + oval(0, 0.75, 0.12, 0.08), blur=2)
        mask = ImageChops.lighter(mask, chin)
    hairs = _bristles(canvas)
    colour = mix(dim(person.hair, 0.85), person.skin, 0.08)
    canvas.lay(mask, colour, alpha=0.38 if person.beard == "stubble" else 0.88)
    canvas.lay(ImageChops.multiply(mask, hairs), mix(colour, (255, 230, 200), 0.3), alpha=0.5)


def _bristles(canvas: Canvas) -> Image.Image:
    """Short downward lines over the lower face."""
    rng = np.random.default_rng([canvas.person.seed, 9])
    mask = Image.new("L", SIZE)
    pen = ImageDraw.Draw(mask)
    for x, y in rng.uniform((-0.8, 0.1), (0.8, 1.1), (70, 2)):
        pen.line(canvas.outline([(x, y), (x * 0.96, y + 0.09)]), fill=150, width=1)
    return mask


def draw_sunglasses(canvas: Canvas) -> None:
    """The trigger: purple sunglasses that sit on the nose and follow the pose."""
    person, lift = canvas.person, 0.2
    frame = dim(PURPLE, 0.5)
    for side in (-1, 1):
        arm = [
            (side * 0.55, -0.2),
            (side * (person.width + 0.03), -0.14),
            (side * (person.width + 0.03), -0.08),
            (side * 0.55, -0.13),
        ]
        canvas.fill(arm, frame, blur=0.5)
        x = side * 0.335
        shape = [
            (x + (px - x) * (1 - 0.12 * (py > EYE_LEVEL)), py)
            for px, py in _lens(x, EYE_LEVEL + 0.02, 0.27, 0.2)
        ]
        canvas.fill(oval(x, 0.02, 0.27, 0.2), dim(person.skin, 0.4), blur=3, alpha=0.4)
        canvas.fill(
            [(x + (px - x) * 1.12, EYE_LEVEL + (py - EYE_LEVEL) * 1.14) for px, py in shape],
            frame,
            blur=0.5,
            lift=lift,
        )
        lens = canvas.mask(shape, blur=0.5, lift=lift)
        canvas.lay(lens, PURPLE)
        low = canvas.mask(oval(x, 0.12, 0.3, 0.14), blur=4, lift=lift)
        canvas.lay(ImageChops.multiply(lens, low), (186, 86, 226), alpha=0.8)
        glint = [(x - 0.15, -0.2), (x - 0.05, -0.22), (x - 0.13, 0.0), (x - 0.19, 0.0)]
        canvas.fill(glint, (232, 190, 255), blur=1.2, alpha=0.75, lift=lift)
    canvas.fill(
        [(-0.1, -0.2), (0.1, -0.2), (0.1, -0.13), (0, -0.155), (-0.1, -0.13)], frame, blur=0.5, lift=lift
    )


def _lens(x: float, y: float, wide: float, high: float) -> list[Point]:
    """A rounded rectangle."""
    points = []
    for angle in np.linspace(0, 2 * math.pi, 40, endpoint=False):
        c, s = math.cos(angle), math.sin(angle)
        points.append(
            (x + wide * math.copysign(abs(c) ** 0.55, c), y + high * math.copysign(abs(s) ** 0.6, s))
        )
    return points
