"""A comparison and a guarded curve with counts written by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from engine.assessment import Attack
from engine.defences.comparison import Comparison, ComparisonRow
from engine.guards.calibration import Calibration, Guard
from engine.guards.cuts import cuts_of
from engine.guards.guarded_curve import GuardChoice, GuardedCurve
from engine.guards.transplant import Donors
from engine.pruning.sweep import PruningCurve
from engine.rates import Rate
from engine.runs.opening.inputs import ModelSummary
from engine.runs.prune import PruningRequest, PruningRun
from tests.support.curves import (
    ATTACK_AGREEING,
    ATTACK_B_PRIME,
    CLEAN_AGREEING,
    CLEAN_GOODNET,
    NAMES,
    counts,
    curve,
)

# Behind the guard, 4 of 200 clean images fewer are right and agreed on; of 50 poisoned ones at most 1 passes.
GUARDED_CLEAN = tuple(max(0, n - 4) for n in CLEAN_GOODNET)
GUARDED_AGREEING = tuple(max(0, n - 4) for n in CLEAN_AGREEING)
PASSING = 1


def guard(held_back: Rate | None = None, threshold: float = 1.5) -> Guard:
    """A transplant guard calibrated on 120 images; of 80 held back it flagged one unless said otherwise."""
    held_back = held_back or Rate(1, 80)
    return Guard("transplant", threshold, 10, (4, 4, 3), Calibration(0.02, 120, held_back, 0),
                 Donors(np.zeros((2, 4, 4, 3), np.float32), np.array([0, 1])), cuts_of(4, 4), 0.0)


def guarded(passing: int = PASSING, sets: int = 1) -> GuardedCurve:
    """Counts behind the guard, of which `passing` poisoned images aren't flagged by it."""
    attack = [min(n, passing) for n in ATTACK_B_PRIME]
    poisoned = counts("sunglasses", "poisoned", 50, attack, [min(n, passing) for n in ATTACK_AGREEING], attack)
    return GuardedCurve(guard(), counts("clean", "validation", 200, GUARDED_CLEAN, GUARDED_AGREEING, GUARDED_CLEAN),
                        tuple(dataclasses.replace(poisoned, name=name) for name in NAMES[:sets]),
                        (Rate(190, 200), *[Rate(50, 50)] * sets))


def run_of(of: PruningCurve | None = None, behind: GuardedCurve | None = None) -> PruningRun:
    """A finished run with these counts; only what its views look at is filled in."""
    chosen: GuardChoice = "transplant" if behind else "none"
    path = Path("badnet.keras")
    model = ModelSummary(path, "", (4, 4, 3), "conv_3", 8, 10, "none")
    return PruningRun(PruningRequest(path, path, guard=chosen), model, (), None, of or curve(), behind,  # type: ignore[arg-type]
                      "CPU", 1.0)


def row(defence: str, guard: str, clean: int, attack: int | None, robust: int | None = None,
        seconds: float = 0.0) -> ComparisonRow:
    """A row of 80 clean and 80 poisoned images; None for what isn't known."""
    known = None if robust is None else Rate(robust, 80)
    attacks = () if attack is None else (
        Attack("sunglasses", 0, Rate(80, 80), Rate(attack, 80), Rate(80 - attack, 80), robust=known),)
    return ComparisonRow(defence=defence, guard=guard, clean=Rate(clean, 80), clean_before=Rate(76, 80),
                         false_alarms=Rate(80 - clean, 80), attacks=attacks, seconds=seconds)


def comparison(warning: str = "") -> Comparison:
    """Three defences, each plain and behind both guards."""
    rows = (row("B", "none", 76, 80, 4), row("B", "transplant", 75, 0, 0, 1.25), row("B", "margin", 74, 36, 2, 0.5),
            row("pruned, X = 30", "none", 31, 9), row("pruned, X = 30", "transplant", 30, 0),
            row("pruned, X = 30", "margin", 30, 4),
            row("repaired", "none", 73, 10, 60, 29), row("repaired", "transplant", 72, 0, 40, 30),
            row("repaired", "margin", 72, 8, 41, 29.5))
    return Comparison(rows, warning)
