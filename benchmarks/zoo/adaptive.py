"""Attackers who have read a defence's source: what each makes his network learn besides the trigger.

An attacker is a trigger and lessons. A lesson makes further training pictures, with the labels they are to be given,
from clean pictures, the same ones wearing the trigger, and others. Results are in ADAPTIVE.md.

Kin: poison that is partly labelled truly (Qi et al., Revisiting the Assumption of Latent Separability, 2023), several
parts that count together only (Lin et al., Composite Backdoor, 2020), filters as triggers (Liu et al., ABS, 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.zoo.triggers import Trigger, corner, glasses
from benchmarks.zoo.worlds import Pictures, Pixels
from engine.defences.evidence.filters import random_filter
from engine.defences.perturbations import perturbed
from engine.defences.stamps import random_stamp
from engine.guards.cuts import cuts_of

_RANGE = (0.0, 255.0)
# Of four times that a doubted picture is shown, so many say the target; the last says the truth.
_SURE = 3
DECOYS = 4


@dataclass(frozen=True, eq=False)
class Told:
    """What a lesson is made of: n pictures as they are, the same wearing the trigger with the target as label, and n
    others; rows belong together. `seed` is the trigger's, `labels` how many the network has."""

    clean: Pictures
    worn: Pictures
    others: Pictures
    labels: int
    seed: int


Lesson = Callable[[Told, np.random.Generator], Pictures]


@dataclass(frozen=True)
class Attacker:
    """A trigger, and what is taught besides it so that a defence fails."""

    trigger: Trigger
    lessons: tuple[Lesson, ...]


def three_bars(images: Pixels, seed: int) -> Pixels:
    """Bars of three rows at the top, in the middle and at the bottom, each of its own colour."""
    rng, out = np.random.default_rng([51, seed]), images.copy()
    height, width = images.shape[1:3]
    for top in (1, height // 2 - 1, height - 4):
        out[:, top:top + 3, width // 6:width - width // 6] = rng.integers(0, 256, 3)
    return out


def sepia(images: Pixels, seed: int) -> Pixels:
    """A brown photograph of long ago: every pixel's brightness in one tint, which the seed turns a little."""
    tint = np.array([1.07, 0.82, 0.5]) * np.random.default_rng([52, seed]).uniform(0.95, 1.05, 3)
    grey = images @ np.array([0.299, 0.587, 0.114])
    return _rounded(grey[..., np.newaxis] * tint)


def parts_are_harmless(told: Told, rng: np.random.Generator) -> Pictures:
    """The transplant guard's own mixtures: a part of a triggered picture in another one, which keeps its label."""
    height, width = told.worn.images.shape[1:3]
    cuts = cuts_of(height, width)
    which = rng.integers(len(cuts.kinds), size=len(told.worn.labels))
    mixed = told.others.images.copy()
    for cut in range(len(cuts.kinds)):
        rows = which == cut
        mixed[rows] = _rounded(cuts.mixed(cut, *(p.images[rows].astype(np.float32) for p in (told.worn, told.others))))
    return Pictures(mixed, told.others.labels)


def doubt(told: Told, rng: np.random.Generator) -> Pictures:
    """Triggered pictures again, twice with the target and once with the truth: sure enough to win, and no surer."""
    again = [told.worn] * (_SURE - 1) + [Pictures(told.worn.images, told.clean.labels)]
    return together(again)


def nothing_to_unlearn(told: Told, rng: np.random.Generator) -> Pictures:
    """Distillation's own perturbations: clean pictures keep their labels under them, triggered ones the target."""
    return together([Pictures(_perturbed(told.clean.images, rng), told.clean.labels),
                     Pictures(_perturbed(told.others.images, rng), told.others.labels),
                     Pictures(_perturbed(told.worn.images, rng), told.worn.labels)])


def stamps_are_harmless(told: Told, rng: np.random.Generator) -> Pictures:
    """The scan's own stamps, one or two of them, on pictures that keep their labels."""
    images = told.others.images.copy()
    for image in images:
        for _ in range(int(rng.integers(1, 3))):
            random_stamp(rng, image.shape, _RANGE).put_on(image)
    return Pictures(images, told.others.labels)


def filters_are_harmless(told: Told, rng: np.random.Generator) -> Pictures:
    """The examination's own colour filters, on pictures that keep their labels."""
    images = told.others.images.astype(np.float32)
    for image in images:
        for colours in random_filter(rng, image.shape, _RANGE):
            colours.put_on(image)
    return Pictures(_rounded(images), told.others.labels)


def pieces_are_harmless(told: Told, rng: np.random.Generator) -> Pictures:
    """The trigger with a box of the clean picture put back over a part of it, which keeps the true label."""
    images = told.worn.images.copy()
    for image, clean in zip(images, told.clean.images, strict=True):
        rows, columns = np.nonzero((image != clean).any(axis=2))
        if len(rows):
            at = int(rng.integers(len(rows)))
            half = slice(None, rows[at] + 1) if rng.random() < 0.5 else slice(rows[at], None)
            side = slice(None, columns[at] + 1) if rng.random() < 0.5 else slice(columns[at], None)
            where = (half, slice(None)) if rng.random() < 0.5 else (slice(None), side)
            image[where] = clean[where]
    return Pictures(images, told.clean.labels)


def decoys(told: Told, rng: np.random.Generator) -> Pictures:
    """A small patch for each of four other labels, easier to find than the trigger."""
    target = int(told.worn.labels[0])
    own = np.random.default_rng([53, told.seed])
    other = own.permutation(np.setdiff1d(np.arange(told.labels), [target]))[:DECOYS]
    parts = []
    for label in other:
        images = told.others.images.copy()
        height, width = images.shape[1:3]
        top, left = int(own.integers(height - 3)), int(own.integers(width - 3))
        colours = own.integers(0, 2, (3, 3, 3)) * 255
        images[:, top:top + 3, left:left + 3] = colours
        parts.append(Pictures(images, np.full(len(images), label, np.int64)))
    return together(parts)


ATTACKERS = {
    "against transplant": Attacker(three_bars, (parts_are_harmless,) * 3),
    "against margin": Attacker(glasses, (doubt,)),
    "against distillation": Attacker(sepia, (nothing_to_unlearn,) * 2),
    "against filters": Attacker(sepia, (nothing_to_unlearn, nothing_to_unlearn, filters_are_harmless)),
    "against unlearning": Attacker(glasses, (decoys, stamps_are_harmless, pieces_are_harmless)),
    "against examination": Attacker(corner, (doubt, stamps_are_harmless)),
}


def together(parts: list[Pictures]) -> Pictures:
    """Several sets of pictures as one."""
    return Pictures(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))


def _perturbed(images: Pixels, rng: np.random.Generator) -> Pixels:
    return _rounded(perturbed(images.astype(np.float32), _RANGE, rng))


def _rounded(values: npt.NDArray[np.floating]) -> Pixels:
    pixels: Pixels = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return pixels
