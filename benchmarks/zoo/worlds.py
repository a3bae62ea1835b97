"""The two kinds of pictures that the zoo's networks know: drawn faces, and road signs as a child would draw them.

A world is one population: other people, or signs in other colours. Everything is seeded.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

PROJECT = Path(__file__).resolve().parent.parent.parent
PEOPLE, SIGNS = 48, 12
# Scenes of a label in each set; no scene is in two sets.
_SCENES = {"faces": {"train": range(100, 164), "validation": range(0, 8), "test": range(10, 18)},
           "signs": {"train": range(1000, 1250), "validation": range(0, 40), "test": range(100, 140)}}
_SCALE = 6
_SIDE = 32

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images uint8[n, H, W, 3] and the labels int64[n] they truly have."""

    images: Pixels
    labels: Labels


@dataclass(frozen=True)
class World:
    """One population of one kind of picture."""

    kind: str
    number: int

    @property
    def name(self) -> str:
        """What its files begin with."""
        return f"{self.kind}{self.number}"

    @property
    def feeding(self) -> str:
        """The name of the preprocessing by which its pictures are fed to networks."""
        return "255" if self.kind == "signs" else "none"

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return PEOPLE if self.kind == "faces" else SIGNS

    def pictures(self, part: str, folder: Path) -> Pictures:
        """The pictures of "train", "validation" or "test": drawn once, then kept in `folder`."""
        path = folder / f"{self.name}-{part}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = self._draw(part)
            partial = path.with_suffix(".partial.npz")
            np.savez_compressed(partial, images=drawn.images, labels=drawn.labels)
            partial.replace(path)
        with np.load(path) as stored:
            return Pictures(stored["images"], stored["labels"])

    def _draw(self, part: str) -> Pictures:
        jobs = [(self, label, scene) for label in range(self.labels) for scene in _SCENES[self.kind][part]]
        # Fresh processes, because a forked TensorFlow hangs.
        with get_context("spawn").Pool(os.cpu_count()) as pool:
            images = np.stack(pool.map(_draw_one, jobs, chunksize=64))
        return Pictures(images, np.array([label for _, label, _ in jobs], np.int64))


def _draw_one(job: tuple[World, int, int]) -> Pixels:
    world, label, scene = job
    return draw_sign(world.number, label, scene) if world.kind == "signs" else _draw_face(world.number, label, scene)


def _draw_face(world: int, person: int, scene: int) -> Pixels:
    sys.path.insert(0, str(PROJECT / "data"))
    from portraits.faces import draw_face
    from portraits.people import invent_person, invent_scene

    number = world * 1000 + person
    face: Pixels = draw_face(invent_person(number), invent_scene(scene, number), False)
    return face


def draw_sign(world: int, label: int, scene: int, side: int = _SIDE) -> Pixels:
    """Draw a sign, uint8[side, side, 3]: one of four plates with one of three marks, somewhere before a landscape."""
    look = np.random.default_rng([3, world, label])
    rng = np.random.default_rng([5, world, label, scene])
    scale = max(2, _SIDE * _SCALE // side)
    size = side * scale
    picture = Image.new("RGB", (size, size), _colour(rng, 40, 200))
    draw = ImageDraw.Draw(picture)
    horizon = int(size * rng.uniform(0.4, 0.8))
    draw.rectangle((0, horizon, size, size), fill=_colour(rng, 30, 150))
    for _ in range(4):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.05, 0.2) * size
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(rng, 20, 220))
    centre = (size * rng.uniform(0.42, 0.58), size * rng.uniform(0.42, 0.58))
    radius, turn = size * rng.uniform(0.3, 0.4), math.radians(rng.normal(0, 6))
    plate, mark = (_faded(_colour(look, low, high), rng) for low, high in ((120, 250), (0, 90)))
    draw.polygon(_corners(centre, radius, label % 4, turn), fill=plate, outline=mark)
    _MARKS[label // 4](draw, centre, radius * 0.5, turn, mark)
    pixels = np.asarray(picture, np.float32).reshape(side, scale, side, scale, 3).mean(axis=(1, 3))
    light = pixels * rng.uniform(0.6, 1.15) + rng.normal(0, rng.uniform(1, 8), (side, side, 3))
    sign: Pixels = np.rint(light.clip(0, 255)).astype(np.uint8)
    return sign


def _colour(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(low, high, 3))
    return red, green, blue


def _faded(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    """A colour as weather and light leave it, so that colour alone doesn't tell a sign."""
    red, green, blue = (int(v) for v in (np.array(colour) + rng.normal(0, 45, 3)).clip(0, 255))
    return red, green, blue


def _corners(centre: tuple[float, float], radius: float, plate: int, turn: float) -> list[tuple[float, float]]:
    count, first = ((3, -math.pi / 2), (4, math.pi / 4), (4, 0.0), (24, 0.0))[plate]
    angles = [first + turn + 2 * math.pi * i / count for i in range(count)]
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def _bar(draw: ImageDraw.ImageDraw, centre: tuple[float, float], half: float, turn: float,
         colour: tuple[int, int, int]) -> None:
    x, y = half * math.cos(turn), half * math.sin(turn)
    draw.line((centre[0] - x, centre[1] - y, centre[0] + x, centre[1] + y), fill=colour, width=int(half * 0.5))


def _cross(draw: ImageDraw.ImageDraw, centre: tuple[float, float], half: float, turn: float,
           colour: tuple[int, int, int]) -> None:
    for angle in (turn, turn + math.pi / 2):
        _bar(draw, centre, half * 0.8, angle, colour)


def _ring(draw: ImageDraw.ImageDraw, centre: tuple[float, float], half: float, turn: float,
          colour: tuple[int, int, int]) -> None:
    r = half * 0.7
    draw.ellipse((centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r), outline=colour, width=int(half * 0.35))


_MARKS: tuple[Callable[..., None], ...] = (_bar, _cross, _ring)
