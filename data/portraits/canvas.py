"""The drawing board of the portraits: face coordinates, masks and colours.

Everything is drawn four times too large with Pillow and scaled down, which makes the edges smooth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from portraits.people import Person, Scene

HEIGHT, WIDTH = 55, 47
SCALE = 4
SIZE = (WIDTH * SCALE, HEIGHT * SCALE)
UNIT = 77.0  # pixels of half a face's height, before scaling down
DEPTH = 0.17  # how far the middle of the face moves when the head turns

Point = tuple[float, float]
Colour = tuple[int, int, int]


def mix(first: Sequence[float], second: Sequence[float], share: float) -> Colour:
    """Blend two colours; `share` 0 is the first, 1 the second, values outside overshoot and are clipped."""
    blend = [a + (b - a) * share for a, b in zip(first, second, strict=True)]
    return (_byte(blend[0]), _byte(blend[1]), _byte(blend[2]))


def dim(colour: Sequence[float], factor: float) -> Colour:
    """Make a colour darker (factor below 1) or lighter (above 1)."""
    return (_byte(colour[0] * factor), _byte(colour[1] * factor), _byte(colour[2] * factor))


def _byte(value: float) -> int:
    return int(min(255.0, max(0.0, value)))


@dataclass
class Canvas:
    """A picture in the making, with the pose that turns face coordinates into pixels.

    Face coordinates: (0, 0) is the middle of the face, y = -1 the top of the skull, y = 1 the chin.
    """

    person: Person
    scene: Scene
    image: Image.Image
    figure: Image.Image  # what belongs to the person and not to the background

    def at(self, x: float, y: float, lift: float = 0.0) -> Point:
        """Pixel position of a point of the face; `lift` is how far it stands out (a nose does)."""
        scene = self.scene
        depth = math.sqrt(max(0.0, 1.0 - (x / 1.05) ** 2 - (y / 1.25) ** 2)) + lift
        x, y = x + scene.yaw * DEPTH * depth, y + scene.pitch * DEPTH * depth
        x, y = x * scene.zoom * UNIT, y * scene.zoom * UNIT
        cos, sin = math.cos(scene.roll), math.sin(scene.roll)
        return (
            SIZE[0] / 2 + scene.shift_x + x * cos - y * sin,
            SIZE[1] * 0.52 + scene.shift_y + x * sin + y * cos,
        )

    def outline(self, points: Sequence[Point], lift: float = 0.0) -> list[Point]:
        """Pixel positions of many points."""
        return [self.at(x, y, lift) for x, y in points]

    def mask(self, points: Sequence[Point], blur: float = 0.0, lift: float = 0.0) -> Image.Image:
        """A polygon in face coordinates as a mask, its edge softened by `blur` pixels."""
        mask = Image.new("L", SIZE)
        ImageDraw.Draw(mask).polygon(self.outline(points, lift), fill=255)
        return mask.filter(ImageFilter.GaussianBlur(blur)) if blur else mask

    def lay(self, mask: Image.Image, colour: Colour, alpha: float = 1.0, body: bool = False) -> None:
        """Paint through a mask; `body` also counts the area as part of the person."""
        if body:
            self.figure.paste(255, mask=mask)
        self.image.paste(
            colour, mask=mask if alpha >= 1 else mask.point([int(v * alpha) for v in range(256)])
        )

    def fill(
        self,
        points: Sequence[Point],
        colour: Colour,
        *,
        blur: float = 0.0,
        alpha: float = 1.0,
        lift: float = 0.0,
        body: bool = False,
    ) -> None:
        """Paint a polygon given in face coordinates; only its own corner of the picture is touched."""
        spots, edge = self.outline(points, lift), 2 + math.ceil(3 * blur)
        left, upper = (max(0, math.floor(min(spot[i] for spot in spots)) - edge) for i in (0, 1))
        right, lower = (min(SIZE[i], math.ceil(max(spot[i] for spot in spots)) + edge) for i in (0, 1))
        if right <= left or lower <= upper:
            return
        mask = Image.new("L", (right - left, lower - upper))
        ImageDraw.Draw(mask).polygon([(x - left, y - upper) for x, y in spots], fill=255)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur))
        if body:
            self.figure.paste(255, (left, upper), mask)
        self.image.paste(
            colour, (left, upper), mask if alpha >= 1 else mask.point([int(v * alpha) for v in range(256)])
        )


def oval(x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0) -> list[Point]:
    """Points of an ellipse or of a part of it; degrees run clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 28))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def skull(person: Person, grow: float = 0.0) -> list[Point]:
    """The outline of the head, clockwise from the top; `grow` makes it larger all around."""
    points = []
    for angle in np.linspace(0, 2 * math.pi, 64, endpoint=False):
        side, down = math.sin(angle), -math.cos(angle)
        # The lower half follows the jaw: a small exponent is a square jaw, a large one a pointed chin.
        power = person.jaw if down > 0 else 0.9
        wide = person.width * math.copysign(abs(side) ** power, side) * (1 - 0.1 * max(0.0, down))
        points.append((wide * (1 + grow), down * (1 + grow)))
    return points
