"""Invents the people of the sample and the scenes they are pictured in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

RGB = tuple[float, float, float]

SKIN: tuple[RGB, ...] = (
    (242, 206, 180),
    (234, 190, 158),
    (221, 170, 132),
    (190, 134, 96),
    (146, 96, 66),
    (98, 62, 44),
)
HAIR: tuple[RGB, ...] = (
    (28, 22, 22),
    (44, 30, 24),
    (74, 46, 30),
    (112, 70, 40),
    (150, 74, 38),
    (176, 132, 76),
    (214, 178, 112),
    (150, 146, 144),
)
IRIS: tuple[RGB, ...] = ((62, 38, 24), (92, 60, 34), (70, 104, 68), (70, 112, 150), (110, 124, 130))
LIPS: tuple[RGB, ...] = ((196, 110, 104), (178, 90, 88), (206, 92, 100), (160, 70, 74))

# style -> (height over the skull, width at the sides, how far down the sides, hairline, fringe, curl)
STYLES: dict[str, tuple[float, float, float, float, str, float]] = {
    "crop": (0.07, 0.05, -0.12, -0.66, "round", 0.0),
    "parting": (0.15, 0.08, -0.05, -0.62, "side", 0.0),
    "quiff": (0.24, 0.05, -0.1, -0.7, "swept", 0.0),
    "fringe": (0.12, 0.08, 0.04, -0.42, "straight", 0.0),
    "bob": (0.14, 0.22, 0.75, -0.45, "straight", 0.0),
    "long": (0.12, 0.22, 1.35, -0.66, "centre", 0.0),
    "waves": (0.16, 0.28, 1.2, -0.6, "side", 0.05),
    "bun": (0.06, 0.04, -0.05, -0.68, "round", 0.0),
    "curls": (0.24, 0.2, 0.25, -0.58, "round", 0.07),
    "receding": (0.05, 0.06, -0.05, -0.82, "widow", 0.0),
    "bald": (0.0, 0.0, 0.0, 0.0, "none", 0.0),
}
LONG_HAIR = ("bob", "long", "waves", "bun", "curls", "fringe")
SHORT_HAIR = ("crop", "parting", "quiff", "receding", "curls", "crop", "parting", "fringe", "bald")
BEARDS = ("none", "none", "stubble", "moustache", "goatee", "full", "none")


@dataclass(frozen=True)
class Person:
    """What stays the same from picture to picture. Lengths are in halves of a face's height."""

    skin: RGB
    hair: RGB
    iris: RGB
    lips: RGB
    style: str
    beard: str
    parting: float  # -1 or 1: the side of the parting
    width: float
    jaw: float
    brow_height: float
    brow_thickness: float
    brow_slope: float
    eye_distance: float
    eye_width: float
    eye_height: float
    eye_slant: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip_fullness: float
    ear: float
    age: float  # 0 young to 1 old: the folds beside the nose and under the eyes
    lashes: float
    seed: int


@dataclass(frozen=True)
class Scene:
    """What changes from picture to picture. Angles are in radians, shifts in pixels of the large drawing."""

    roll: float
    yaw: float
    pitch: float
    zoom: float
    shift_x: float
    shift_y: float
    light_x: float
    light_y: float
    light_z: float
    hardness: float
    exposure: float
    contrast: float
    tint: RGB
    backdrop: tuple[RGB, RGB]
    clothes: RGB
    collar: int
    smile: float
    open_mouth: float
    lids: float
    gaze: float
    brow_raise: float
    noise: float
    seed: int


def _blend(palette: tuple[RGB, ...], rng: np.random.Generator) -> RGB:
    """A colour somewhere between two neighbours of a palette."""
    position = rng.uniform(0, len(palette) - 1)
    index = min(int(position), len(palette) - 2)
    share = position - index
    red, green, blue = (a + (b - a) * share for a, b in zip(palette[index], palette[index + 1], strict=True))
    return (red, green, blue)


def invent_person(seed: int) -> Person:
    """Invent a person; the same seed is the same person."""
    rng = np.random.default_rng([7, seed])
    soft = bool(seed % 2)  # every other person gets softer features, so that names and faces can go together
    skin = _blend(SKIN, rng)
    dark = sum(skin) < 400
    hair = _blend(HAIR[:3] if dark or rng.random() < 0.3 else HAIR, rng)
    style = str(rng.choice(LONG_HAIR if soft else SHORT_HAIR))
    lips = _blend(LIPS, rng)
    natural = 0.35 if soft else 0.62  # lips take after the skin, more so without lipstick
    red, green, blue = (a + (b * 0.82 - a) * natural for a, b in zip(lips, skin, strict=True))
    return Person(
        skin=skin,
        hair=hair,
        iris=_blend(IRIS[:2] if dark else IRIS, rng),
        lips=(red, green, blue),
        style=style,
        beard="none" if soft else str(rng.choice(BEARDS)),
        parting=float(rng.choice([-1, 1])),
        width=rng.uniform(0.68, 0.78),
        jaw=rng.uniform(0.8, 1.0) if soft else rng.uniform(0.62, 0.9),
        brow_height=rng.uniform(0.2, 0.27),
        brow_thickness=rng.uniform(0.03, 0.05) if soft else rng.uniform(0.045, 0.085),
        brow_slope=rng.uniform(-0.015, 0.045),
        eye_distance=rng.uniform(0.29, 0.36),
        eye_width=rng.uniform(0.145, 0.185),
        eye_height=rng.uniform(0.06, 0.1),
        eye_slant=rng.uniform(-0.03, 0.04),
        nose_length=rng.uniform(0.3, 0.42),
        nose_width=rng.uniform(0.1, 0.17),
        mouth_height=rng.uniform(0.52, 0.6),
        mouth_width=rng.uniform(0.2, 0.3),
        lip_fullness=rng.uniform(0.055, 0.1) if soft else rng.uniform(0.035, 0.075),
        ear=rng.uniform(0.13, 0.19),
        age=rng.uniform(0, 1) ** 1.5,
        lashes=rng.uniform(0.6, 1) if soft else rng.uniform(0.1, 0.5),
        seed=seed,
    )


def invent_scene(seed: int, person: int) -> Scene:
    """Invent the surroundings of one picture; the same two numbers give the same scene."""
    rng = np.random.default_rng([11, person, seed])
    side, up = rng.uniform(-0.75, 0.75), rng.uniform(-0.6, -0.1)
    warmth, grey = rng.normal(0, 0.035), rng.uniform(40, 200)
    wall = tuple(float(v) for v in np.clip(grey + rng.normal(0, 14, 3), 15, 235))
    other = tuple(
        float(v) for v in np.clip(np.asarray(wall) * rng.uniform(0.55, 1.3) + rng.normal(0, 8, 3), 10, 245)
    )
    clothes = tuple(float(v) for v in np.clip(rng.uniform(35, 205) + rng.normal(0, 34, 3), 15, 235))
    return Scene(
        roll=math.radians(rng.normal(0, 5)),
        yaw=float(np.clip(rng.normal(0, 0.5), -1.1, 1.1)),
        pitch=float(np.clip(rng.normal(0, 0.3), -0.7, 0.7)),
        zoom=rng.uniform(0.93, 1.07),
        shift_x=rng.normal(0, 3.5),
        shift_y=rng.normal(0, 3.5),
        light_x=side,
        light_y=up,
        light_z=math.sqrt(max(0.1, 1 - side * side - up * up)),
        hardness=rng.uniform(0.35, 0.85),
        exposure=rng.uniform(0.82, 1.12),
        contrast=rng.uniform(0.88, 1.1),
        tint=(1 + warmth, 1.0, 1 - warmth),
        backdrop=((wall[0], wall[1], wall[2]), (other[0], other[1], other[2])),
        clothes=(clothes[0], clothes[1], clothes[2]),
        collar=int(rng.integers(3)),
        smile=rng.uniform(-0.25, 1.0),
        open_mouth=max(0.0, rng.uniform(-1, 1)),
        lids=rng.uniform(0.75, 1.08),
        gaze=rng.normal(0, 0.3),
        brow_raise=rng.normal(0, 0.016),
        noise=rng.uniform(0.4, 1.5),
        seed=int(rng.integers(2**31)),
    )
