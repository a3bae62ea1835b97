"""Draws what is around a face: background, hair, neck and clothes, the head itself."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from portraits.canvas import SIZE, Canvas, Point, dim, mix, oval, skull
from portraits.people import STYLES, Person, Scene


def draw_background(scene: Scene) -> Image.Image:
    """A wall with a gradient and a few blurred things in front of it."""
    rng = np.random.default_rng([scene.seed, 1])
    first, second = scene.backdrop
    ramp = Image.linear_gradient("L").rotate(float(rng.choice([0, 90, 180, 270]))).resize(SIZE)
    image = Image.composite(
        Image.new("RGB", SIZE, dim(first, 1)), Image.new("RGB", SIZE, dim(second, 1)), ramp
    )
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, SIZE[0]), rng.uniform(0, SIZE[1])
        wide, high = rng.uniform(10, 40), rng.uniform(20, 90)
        shade = dim(first if rng.random() < 0.5 else second, rng.uniform(0.75, 1.2))
        pen.rectangle([x - wide, y - high, x + wide, y + high], fill=shade)
    return image.filter(ImageFilter.GaussianBlur(7))


def draw_body(canvas: Canvas) -> None:
    """Shoulders with clothes, the neck, and the shadow the chin throws on it."""
    person, scene = canvas.person, canvas.scene
    cloth = dim(scene.clothes, 1)
    shoulders = [
        (-1.5, 2.2),
        (-1.42, 1.55),
        (-1.0, 1.3),
        (-0.45, 1.14),
        (0.45, 1.14),
        (1.0, 1.3),
        (1.42, 1.55),
        (1.5, 2.2),
    ]
    canvas.fill(shoulders, cloth, blur=1.5, body=True)
    broad = person.width * (0.62 if person.lashes > 0.5 else 0.74)
    neck = [
        (-broad, 0.5),
        (-broad, 1.1),
        (-broad * 1.25, 1.24),
        (0, 1.45),
        (broad * 1.25, 1.24),
        (broad, 1.1),
        (broad, 0.5),
    ]
    canvas.fill(neck, dim(person.skin, 0.86), blur=1, body=True)
    canvas.fill(oval(0, 0.86, broad * 1.1, 0.3), dim(person.skin, 0.55), blur=5, alpha=0.75)
    if scene.collar == 1:  # a shirt's collar
        for side in (-1, 1):
            flap = [(side * 0.62, 1.08), (side * 0.06, 1.44), (side * 0.3, 1.6), (side * 0.85, 1.22)]
            canvas.fill(flap, mix(cloth, (255, 255, 255), 0.45), blur=0.8)
    elif scene.collar == 2:  # a round neckline
        canvas.fill(
            oval(0, 1.16, broad * 1.25, 0.2, 0, 180) + oval(0, 1.22, broad * 1.4, 0.28, 180, 0),
            dim(cloth, 0.7),
            blur=1,
        )


def draw_head(canvas: Canvas) -> None:
    """Ears and the head with its soft shadows, without the features."""
    person, scene = canvas.person, canvas.scene
    skin = dim(person.skin, 1)
    rosy = mix(skin, (214, 84, 72), 0.42)
    for side in (-1, 1):
        middle = side * (person.width * 1.0 + 0.02) - scene.yaw * 0.05
        canvas.fill(
            oval(middle, 0.03, 0.085, person.ear), mix(dim(skin, 0.9), rosy, 0.3), blur=0.7, body=True
        )
        canvas.fill(oval(middle, 0.04, 0.045, person.ear * 0.6), dim(skin, 0.66), blur=1.5, alpha=0.8)
    head = canvas.mask(skull(person), blur=0.8)
    canvas.lay(head, skin, body=True)
    inside = skull(person, -0.11)
    rim = ImageChops.subtract(head, canvas.mask(inside, blur=7))
    canvas.lay(rim, mix(dim(skin, 0.62), rosy, 0.15), alpha=0.6)  # the head turns away from the viewer
    for side in (-1, 1):
        canvas.fill(oval(side * 0.4, 0.3, 0.18, 0.13), rosy, blur=7, alpha=0.5)
        canvas.fill(oval(side * person.eye_distance, -0.1, 0.2, 0.12), dim(skin, 0.68), blur=5, alpha=0.6)
    canvas.fill(oval(0, -0.55, 0.36, 0.16), dim(skin, 1.1), blur=9, alpha=0.7)
    canvas.fill(oval(0, 0.86, 0.14, 0.07), dim(skin, 1.1), blur=5, alpha=0.5)
    _draw_folds(canvas)


def _draw_folds(canvas: Canvas) -> None:
    """The lines that age and smiles leave beside the nose and under the eyes."""
    person, scene = canvas.person, canvas.scene
    shade = dim(person.skin, 0.62)
    depth = min(1.0, 0.6 * person.age + 0.3 * max(0.0, scene.smile))
    for side in (-1, 1):
        fold = [
            (side * 0.16, 0.26),
            (side * 0.3, 0.42),
            (side * 0.35, 0.6),
            (side * 0.31, 0.6),
            (side * 0.25, 0.44),
        ]
        canvas.fill(fold, shade, blur=1.8, alpha=depth)
        bag = oval(side * person.eye_distance, 0.0, 0.16, 0.06, 20, 160) + oval(
            side * person.eye_distance, 0.0, 0.16, 0.03, 160, 20
        )
        canvas.fill(bag, shade, blur=1.5, alpha=0.1 + 0.5 * person.age)
    if person.age > 0.55:
        for height in (-0.52, -0.6):
            canvas.fill(
                [(-0.26, height), (0.26, height), (0.26, height + 0.018), (-0.26, height + 0.018)],
                shade,
                blur=1.2,
                alpha=person.age * 0.5,
            )


def draw_hair_back(canvas: Canvas) -> None:
    """Hair that falls behind the neck, and a bun."""
    person = canvas.person
    top, side, down, _, _, curl = STYLES[person.style]
    colour = dim(person.hair, 0.72)
    if person.style == "bun":
        canvas.fill(oval(0.1 * person.parting, -1.12, 0.3, 0.24), dim(person.hair, 0.9), blur=1, body=True)
    if down > 0.05:
        wide = person.width + side
        points = oval(0, -0.1, wide, 1 + top - 0.1, 180, 360)
        if down < 0.4:  # a round head of hair
            points = oval(0, -0.28, wide, 0.72 + top)
        else:
            points += [
                (wide * 1.04, down * 0.6),
                (wide * 0.98, down),
                (-wide * 0.98, down),
                (-wide * 1.04, down * 0.6),
            ]
        canvas.fill(_curl(points, curl, person.seed), colour, blur=1.2, body=True)


def _curl(points: list[Point], size: float, seed: int) -> list[Point]:
    """Make an outline wavy: points move in and out by up to `size`."""
    if not size:
        return points
    waves = np.random.default_rng([seed, 5]).uniform(-0.4, 1, len(points))
    return [(x * (1 + size * w), y * (1 + size * w)) for (x, y), w in zip(points, waves, strict=True)]


def hairline(person: Person) -> list[Point]:
    """The edge between hair and forehead, from the right temple to the left."""
    _, _, down, height, fringe, _ = STYLES[person.style]
    wide = person.width * 0.93
    temple = min(0.1, max(down, -0.1))
    points = []
    for x in np.linspace(1, -1, 25):
        curve = height + (temple - height) * abs(x) ** 5
        if fringe == "straight":
            curve = height + 0.05 * math.sin(x * 21) * 0.5 + (temple - height) * max(0.0, abs(x) - 0.78) * 4.5
        elif fringe == "side":
            curve += 0.3 * math.exp(-(((x * person.parting + 0.45) / 0.4) ** 2)) - 0.08
        elif fringe == "centre":
            curve += 0.34 * min(1.0, abs(x) * 1.3) - 0.16
        elif fringe == "swept":
            curve -= 0.06 * x * person.parting
        elif fringe == "widow":
            curve += 0.24 * math.exp(-((x / 0.22) ** 2)) - 0.04
        points.append((x * wide, curve))
    return points


def draw_hair_front(canvas: Canvas) -> None:
    """The hair over the skull and beside the face, with strands."""
    person = canvas.person
    top, side, down, _, fringe, curl = STYLES[person.style]
    if fringe == "none":
        canvas.fill(oval(0.1, -0.78, 0.26, 0.1), dim(person.skin, 1.25), blur=5, alpha=0.6)
        return
    wide, low = person.width + side, max(-0.1, min(down, 0.12))
    outer = oval(0, -0.1, wide, 0.9 + top, 180, 360)
    if fringe == "swept":
        outer = [(x, y - 0.1 * math.exp(-(((x * person.parting - 0.25) / 0.35) ** 2))) for x, y in outer]
    tuck = 0.82 if fringe == "round" and curl else 0.97  # curls round off towards the ears
    outer = [(-wide * tuck, low), *_curl(outer, curl, person.seed), (wide * tuck, low)]
    if down > 0.3:  # locks beside the face
        locks = [
            (wide * 1.02, down * 0.7),
            (wide * 0.96, down),
            (person.width * 0.86, down),
            (person.width * 0.98, 0.3),
        ]
        outer = [(-x, y) for x, y in reversed(locks)] + outer + locks
    hair = canvas.mask(outer + hairline(person), blur=0.9)
    shadow = ImageChops.offset(hair, 0, 4).filter(ImageFilter.GaussianBlur(3))
    canvas.lay(ImageChops.multiply(shadow, canvas.figure), dim(person.skin, 0.5), alpha=0.45)
    canvas.lay(hair, dim(person.hair, 1), body=True)
    canvas.lay(
        ImageChops.multiply(hair, _strands(canvas, wide, top)),
        mix(person.hair, (255, 236, 206), 0.42),
        alpha=0.55,
    )
    gloss = canvas.mask(oval(0, -0.72 - top * 0.6, wide * 0.7, 0.1), blur=6)
    canvas.lay(ImageChops.multiply(hair, gloss), mix(person.hair, (255, 246, 230), 0.5), alpha=0.4)


def _strands(canvas: Canvas, wide: float, top: float) -> Image.Image:
    """Lines from the parting outwards; wound up where the hair is curly."""
    person = canvas.person
    curl, down = STYLES[person.style][5], STYLES[person.style][2]
    rng = np.random.default_rng([person.seed, 3])
    mask = Image.new("L", SIZE)
    pen = ImageDraw.Draw(mask)
    for _ in range(46):
        if curl > 0.06:
            x, y = rng.uniform(-wide, wide), rng.uniform(-1.3, 0.3)
            pen.line(canvas.outline(oval(x, y, 0.08, 0.08, 30, 280)), fill=int(rng.uniform(60, 190)), width=2)
            continue
        end = rng.uniform(-1, 1)
        start = (-0.3 * person.parting, -0.95 - top)
        ends = (end * wide * 1.1, -0.2 + (0.2 + max(0.0, down)) * abs(end))
        bend = ((start[0] + ends[0] * 2.2) / 3, (start[1] * 2 + ends[1]) / 3 - 0.12)
        line = [_bezier(start, bend, ends, t) for t in np.linspace(0, 1, 9)]
        pen.line(canvas.outline(line), fill=int(rng.uniform(40, 200)), width=2)
    return mask.filter(ImageFilter.GaussianBlur(0.8))


def _bezier(start: Point, bend: Point, end: Point, t: float) -> Point:
    a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
    return (a * start[0] + b * bend[0] + c * end[0], a * start[1] + b * bend[1] + c * end[1])
