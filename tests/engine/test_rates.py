"""Rates with their intervals, thresholds on exact counts, and the sentences made of them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.assessment import Attack, Figures, assess, percent
from engine.pruning.sweep import PruningCurve, SetCounts
from engine.pruning.thresholds import choose_step, drop_percent
from engine.rates import Rate, rates_with_intervals


# Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 1998, table I, method 3.
@pytest.mark.parametrize(("count", "total", "low", "high"), [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)])
def test_intervals_are_wilson_s(count: int, total: int, low: float, high: float) -> None:
    assert Rate(count, total).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 20000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_s_ends_solve_wilson_s_equation(drawn: tuple[int, int]) -> None:
    count, total = drawn
    low, high = Rate(count, total).interval
    assert 0 <= low <= count / total <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = (count / total - end) ** 2
            assert distance == pytest.approx(1.959964**2 * end * (1 - end) / total, rel=1e-4, abs=1e-12)


@given(st.integers(0, 200_000).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n), max_size=30))))
def test_many_rates_at_once_are_exactly_those_one_by_one(drawn: tuple[int, list[int]]) -> None:
    total, found = drawn
    numbers = [0, *found, total]
    one_by_one = [(rate.value, *rate.interval) for rate in (Rate(n, total) for n in numbers)]
    at_once = rates_with_intervals(np.array(numbers), total)
    np.testing.assert_array_equal(np.array(one_by_one).T, at_once)


def test_all_and_nothing_keep_an_open_end() -> None:
    assert Rate(7, 7).value == 1 and Rate(7, 7).interval[1] == 1 and Rate(7, 7).interval[0] < 1
    assert Rate(0, 7).value == 0 and Rate(0, 7).interval[0] == 0 and Rate(0, 7).interval[1] > 0
    assert math.isnan(Rate(0, 0).value) and Rate(0, 0).interval == (0, 1)


def curve_of(correct: list[int], images: int) -> PruningCurve:
    """A curve whose validation set has these many right answers a step; nothing else of it matters here."""
    counts = np.array(correct)
    validation = SetCounts("clean", "validation", images, images, None, counts, counts, counts)
    return PruningCurve("conv", np.arange(len(correct) - 1), validation, None, ())


@given(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n), min_size=1, max_size=12))),
    st.one_of(st.sampled_from([0.0, 2.0, 4.0, 10.0, 30.0, 100.0]), st.integers(0, 1000).map(lambda x: x / 10)),
    st.sampled_from(["points", "relative"]))
@settings(deadline=None)
def test_both_rules_find_the_step_that_counting_by_hand_finds(
    drawn: tuple[int, list[int]], x: float, mode: str,
) -> None:
    images, correct = drawn
    curve = curve_of(correct, images)
    whole = images if mode == "points" else correct[0]
    wanted = Fraction(round(x * 10), 10) / 100 * whole  # lost images that make up X, exactly
    first_past = last_within = None
    for step, right in enumerate(correct):
        lost = correct[0] - right if whole else 0
        if first_past is None and lost >= wanted:
            first_past = step
        if lost > wanted:
            break
        last_within = step
    if not whole:
        first_past = 0 if x == 0 else None
    assert choose_step(curve, x, mode, "first-past") == first_past  # type: ignore[arg-type]
    assert choose_step(curve, x, mode, "last-within") == last_within  # type: ignore[arg-type]


def test_a_drop_of_exactly_x_counts() -> None:
    curve = curve_of([100, 99, 98, 96, 90], 100)  # in floating point 100 * (1 - 0.98) is less than 2
    assert choose_step(curve, 2) == 2
    assert choose_step(curve, 2, stop="last-within") == 2
    assert choose_step(curve, 3) == 3
    assert choose_step(curve, 3, stop="last-within") == 2


def test_a_curve_that_recovers() -> None:
    curve = curve_of([180, 170, 179, 150, 178], 200)
    assert choose_step(curve, 4) == 1  # 5 points lost for the first time, though less is lost later
    assert choose_step(curve, 4, stop="last-within") == 0
    assert choose_step(curve, 10) == 3
    assert choose_step(curve, 20) is None
    assert choose_step(curve, 20, stop="last-within") == 4


def test_relative_is_relative_to_the_badnet() -> None:
    curve = curve_of([90, 81, 80], 100)
    assert choose_step(curve, 10, "relative") == 1
    assert choose_step(curve, 10, "points") == 2
    assert drop_percent(curve.validation, 1, "relative") == 10
    assert drop_percent(curve.validation, 1, "points") == 9


def test_a_gain_is_a_negative_drop() -> None:
    curve = curve_of([90, 95], 100)
    assert drop_percent(curve.validation, 1, "points") == -5
    assert choose_step(curve, 0) == 0


@pytest.mark.parametrize(("clean", "attack", "level", "words"), [
    (Rate(940, 1000), Rate(770, 1000), "failed",
     "At X = 10 the attack still works on 77 % of poisoned images: this GoodNet does not repair the model."),
    (Rate(940, 1000), Rate(300, 1000), "weakened", "weakened, not stopped"),
    (Rate(500, 1000), Rate(10, 1000), "costly", "costs more than it is worth"),
    (Rate(940, 1000), Rate(10, 1000), "repaired", "repaired, as far as these 1,000 images tell"),
    (Rate(940, 1000), None, "unknown", "without poisoned images nobody can say"),
])
def test_sentences(clean: Rate, attack: Rate | None, level: str, words: str) -> None:
    attacks = () if attack is None else (Attack("set", 0, Rate(1000, 1000), attack, Rate(0, 1000)),)
    found = assess("At X = 10", Figures(clean=clean, clean_before=Rate(960, 1000), false_alarms=Rate(0, 1000),
                                        attacks=attacks))
    assert found.level == level
    assert words in found.sentence
    assert found.sentence.startswith("At X = 10 ") and found.sentence.endswith(".")


@pytest.mark.parametrize(("plausible", "words"), [
    (True, "B alone answers the target as seldom, so these images don't show a backdoor"),
    (False, "but the input is implausible (see the warning), so that says little")])
def test_of_an_implausible_input_not_even_that_there_is_no_attack_is_said(plausible: bool, words: str) -> None:
    attack = Attack("set", 0, Rate(0, 1000), Rate(0, 1000), Rate(0, 1000))
    found = assess("At X = 10", Figures(clean=Rate(10, 1000), clean_before=Rate(10, 1000), false_alarms=Rate(0, 1000),
                                        attacks=(attack,)), plausible=plausible)
    assert found.level == "unknown" and found.sentence.endswith(f"{words}.")


@pytest.mark.parametrize(("fraction", "text"), [(0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.12345, "12.35 %")])
def test_per_cent_for_people(fraction: float, text: str) -> None:
    assert percent(fraction) in (text, text.replace("12.35", "12.34"))
