"""What a person takes home from a run, worked out by hand from counts."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from engine.rates import Rate
from engine.reports.advice import advise
from engine.reports.headline import calibration_text, headline
from engine.runs.opening.inputs import DatasetSummary
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, badnet_row, goodnet_row
from tests.support.comparisons import guard, guarded, run_of
from tests.support.curves import counts, curve

DROPS = (2.0, 4.0, 10.0, 30.0)


def rows(run: PruningRun) -> list[GoodNetRow]:
    found = (goodnet_row(run.curve, x, guarded=run.guarded) for x in DROPS)
    return [row for row in found if row]


def test_b_behind_the_guard_is_the_best() -> None:
    # B: 190 of 200 right, 50 of 50 attacked; behind the guard 186 of 200 and 1 of 50. Every GoodNet costs more.
    run = run_of(behind=guarded())
    found = headline(run, rows(run))
    assert found is not None
    assert found.row is None
    assert found.level == "protected"
    assert found.figures == "Attack success 100 % → 2 %, clean accuracy 95 % → 93 %"
    assert (found.name, found.clean, found.attack) == ("B behind the transplant guard", Rate(186, 200), Rate(1, 50))
    # Wilson's upper end for 1 of 50, by hand: 10.5 %.
    assert found.sentence.startswith("B behind the transplant guard: protected, as far as these 50 images tell (up to ")
    assert "10.5 % at 95 % confidence" in found.sentence


def test_no_kind_of_trigger_is_called_untested_that_the_runs_images_may_carry() -> None:
    validation = DatasetSummary(Path("v.npz"), "validation", "v", 100, 3, "")
    run = dataclasses.replace(run_of(behind=guarded()), datasets=(validation,))
    said = " ".join(advise(run, rows(run)).unknown)
    assert "It may miss triggers that none of them carries" in said and "untested" not in said


def test_without_a_guard_the_least_bad_goodnet_is_named() -> None:
    # X = 30 is answered by 6 channels: attack 5 of 50 (weakened), accuracy 99 of 200.
    run = run_of()
    found = headline(run, rows(run))
    assert found is not None
    assert (found.row, found.level) == (rows(run)[3], "weakened")
    assert found.figures == "Attack success 100 % → 10 %, clean accuracy 95 % → 49.5 %"
    assert found.sentence == "The GoodNet at X = 30: the attack is weakened, not stopped."
    assert headline(run, []) is None


def test_a_guard_that_stops_nothing_is_no_repair() -> None:
    run = run_of(behind=guarded(passing=50))
    found = headline(run, rows(run))
    assert found is not None
    # Plain and guarded attacks are equal at X = 30, so the plain one wins by the accuracy that the guard costs.
    assert (found.row, found.level) == (rows(run)[3], "weakened")
    assert "guard" not in found.sentence


def test_a_guard_that_flags_nothing_is_no_defence() -> None:
    behind = guarded(sets=0)
    run = run_of(curve(sets=0), dataclasses.replace(behind, guard=guard(threshold=math.inf)))
    found = headline(run, rows(run))
    assert found is not None
    assert (found.row, found.name) == (rows(run)[0], "The GoodNet at X = 2")
    assert headline(run, []) is None


def test_a_goodnet_behind_the_guard_can_be_the_best() -> None:
    # The guard alone lets 20 of 50 through; of the 5 that get by B' with 6 channels pruned it flags 3.
    behind = guarded(passing=20)
    fewer = [20, 20, 20, 20, 20, 20, 2, 1, 0]
    behind = dataclasses.replace(behind, poisoned=(counts("sunglasses", "poisoned", 50, fewer, fewer, fewer),))
    run = run_of(behind=behind)
    found = headline(run, rows(run))
    assert found is not None
    assert (found.row, found.level) == (rows(run)[3], "costly")
    assert found.sentence.startswith("The GoodNet at X = 30 behind the transplant guard: the attack is stopped, but")
    assert found.figures == "Attack success 100 % → 4 %, clean accuracy 95 % → 47.5 %"


def test_without_poisoned_images_nothing_is_claimed() -> None:
    run = run_of(curve(sets=0), guarded(sets=0))
    found = headline(run, rows(run))
    assert found is not None
    assert found.level == "unknown"
    assert found.figures == "Clean accuracy 95 % → 93 %"
    assert (found.clean, found.attack) == (Rate(186, 200), None)
    assert "nobody can say whether the backdoor is gone." in found.sentence


def test_what_is_lost_counts_on_the_images_that_it_was_lost_on() -> None:
    """B is right on 90 % of those behind the guard, which costs half a point, and on 95 % of all others."""
    behind = dataclasses.replace(guarded(sets=0), clean=counts("clean", "validation", 200, *[[179] * 9] * 3),
                                 before=(Rate(180, 200),))
    run = run_of(curve(sets=0), behind)
    assert max(row.clean.value for row in rows(run)) > 179 / 200
    found = headline(run, rows(run))
    assert found is not None and found.row is None
    assert found.figures == "Clean accuracy 90 % → 89.5 %"


def test_images_that_show_no_backdoor_are_called_so() -> None:
    none = [1] * 9
    harmless = dataclasses.replace(curve(), poisoned=(counts("noise", "poisoned", 50, none, none, none),))
    run = run_of(harmless, guarded())
    found = headline(run, rows(run))
    assert found is not None
    assert (found.row, found.level) == (None, "unknown")
    assert "don't show a backdoor" in found.figures
    assert "2 % of them" in found.sentence


def test_the_badnets_row_holds_b_alone_and_behind_the_guard() -> None:
    row = badnet_row(run_of(behind=guarded()))
    assert row is not None
    assert row.guarded is not None
    assert row.guarded_assessment is not None
    assert (row.clean, row.attack, row.channels_pruned) == (Rate(190, 200), Rate(50, 50), 0)
    assert (row.guarded.clean, row.guarded.attack) == (Rate(186, 200), Rate(1, 50))
    assert (row.assessment.level, row.guarded_assessment.level) == ("failed", "protected")
    assert badnet_row(run_of()) is None


def test_goodnets_are_judged_behind_the_guard_too() -> None:
    row = rows(run_of(behind=guarded()))[0]
    assert row.guarded_assessment is not None
    assert row.guarded_assessment.level == "protected"  # the guard does it: the pair alone lets all 50 through
    assert row.guarded_assessment.sentence.startswith("At X = 2 behind the guard the attack works on 2 %")
    assert rows(run_of())[0].guarded_assessment is None


@pytest.mark.parametrize(("made", "words"), [
    (guard(), "set on 120 clean images to flag at most 2 % of clean images. Of 80 clean images held back it flagged "
              "1.25 % (0.22 % to 6.75 % at 95 % confidence)."),
    (guard(Rate(0, 0)), "2 % of clean images. No clean images were held back"),
    (guard(threshold=math.inf), "The transplant guard flags nothing: 120 calibration images are too few"),
])
def test_calibration_in_words(made: object, words: str) -> None:
    assert words in calibration_text(dataclasses.replace(guarded(), guard=made))  # type: ignore[arg-type]
