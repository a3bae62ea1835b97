"""A pruning curve with counts written by hand, so that every figure on screen can be worked out on paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.pruning.sweep import PruningCurve, SetCounts
from engine.runs.rows import GoodNetRow, goodnet_row

CHANNELS = 8
NAMES = ("sunglasses", "a_rather_long_name_of_a_poisoned_data_set", "moustache")
# Of 200 clean and 50 poisoned images, after 0 to 8 channels are pruned.
CLEAN_B_PRIME = (190, 190, 186, 182, 176, 150, 100, 40, 2)
CLEAN_GOODNET = (190, 189, 185, 180, 174, 148, 99, 39, 1)
CLEAN_AGREEING = (200, 198, 194, 188, 180, 152, 102, 42, 2)
ATTACK_B_PRIME = (50, 50, 50, 49, 40, 20, 5, 1, 0)
ATTACK_AGREEING = (50, 50, 50, 49, 41, 22, 8, 3, 0)


def counts(name: str, role: str, images: int, *numbers: Sequence[int], total: int | None = None) -> SetCounts:
    """Counts of a set: B' right, agreeing, GoodNet right."""
    right, agreeing, goodnet = (np.array(n, np.int64) for n in numbers)
    return SetCounts(name, role, images, total or images, 0 if role == "poisoned" else None, right, agreeing, goodnet)


def poisoned(name: str = "sunglasses") -> SetCounts:
    """A poisoned set of 50 images; B sends all of them to the target, so B' agrees where it does too."""
    return counts(name, "poisoned", 50, ATTACK_B_PRIME, ATTACK_AGREEING, ATTACK_B_PRIME)


def curve(*, sets: int = 1, provisional: bool = False, total: int | None = None) -> PruningCurve:
    """The curve, with as many poisoned sets as asked for."""
    clean = counts("clean", "validation", 200, CLEAN_B_PRIME, CLEAN_AGREEING, CLEAN_GOODNET, total=total)
    order = np.array([3, 1, 4, 0, 5, 2, 6, 7], np.int64)
    return PruningCurve("conv_3", order, clean, None, tuple(poisoned(n) for n in NAMES[:sets]), provisional)


def rows(of: PruningCurve, *drops: float) -> list[GoodNetRow]:
    """The GoodNets that answer thresholds on a curve."""
    found = (goodnet_row(of, x) for x in drops)
    return [row for row in found if row is not None]
