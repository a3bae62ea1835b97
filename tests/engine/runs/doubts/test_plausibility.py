"""Input that would make a verdict lie: each kind is told, with its likely cause, and stops what would be a comfort."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.assessment import percent
from engine.models.networks import open_network
from engine.progress import Progress, ProgressCallback, ignore_progress
from engine.pruning.sweep import PruningCurve, SetCounts
from engine.reports.headline import headline
from engine.runs.doubts.plausibility import Doubt, SetSeen, doubts_of
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import badnet_row, rows_of
from tests.support.networks import LABELS, TARGET, Array, SmallLab, build, random_images, save_lab_file

Sets = dict[str, tuple[Array, Array]]


def counts(name: str, role: str, images: int, right: int, target: int | None = None) -> SetCounts:
    """B's counts; nothing else of a curve is looked at."""
    numbers = np.array([right, 0])
    return SetCounts(name, role, images, images, target, numbers, np.array([images, 0]), numbers)  # type: ignore[arg-type]


def curve(validation: int, test: int | None = None, *attacks: int, images: int = 100) -> PruningCurve:
    """So many of `images` right on each clean set, and attacked on each poisoned one."""
    return PruningCurve(
        "conv", np.arange(1), counts("valid", "validation", images, validation),
        None if test is None else counts("test", "test", images, test),
        tuple(counts(f"bad {n}", "poisoned", images, right, 0) for n, right in enumerate(attacks)))


def seen(name: str, role: str, labels: list[int], first: int = 0) -> SetSeen:
    """A set with these labels whose images are all different, hashed from `first` on."""
    hashes = np.arange(first, first + len(labels), dtype=np.uint64)
    return SetSeen(name, role, np.array(labels), hashes)  # type: ignore[arg-type]


SPREAD = list(range(10)) * 10


def stopping(doubts: tuple[Doubt, ...]) -> list[str]:
    return [doubt.sentence for doubt in doubts if doubt.implausible]


def test_sound_input_raises_no_doubt() -> None:
    sets = [seen("valid", "validation", SPREAD), seen("test", "test", SPREAD, 100),
            seen("bad 0", "poisoned", [0] * 100, 200)]
    assert doubts_of(curve(98, 97, 100), 10, sets) == ()


@pytest.mark.parametrize(("made", "labels", "words"), [
    (curve(5, 95, 100), 10, "5 % of valid right, hardly more than by chance (10 %)"),
    (curve(4, 6, 100), 48, "4 % of valid and 6 % of test right"),
    (curve(55, None, 100), 2, "chance (50 %)"),
    (curve(98, 70, 100), 10, "98 % of valid right but only 70 % of test"),
    (curve(70, 98, 100), 10, "98 % of test right but only 70 % of valid"),
    (curve(98, 98, 30), 10, "the target 0 on only 30 % of bad 0"),
    (curve(98, 98, 100, 20), 10, "the target 0 on only 20 % of bad 1"),
    (curve(9, 9, 9, images=9), 10, "only 9 images"),
])
def test_counts_that_stop_a_verdict(made: PruningCurve, labels: int, words: str) -> None:
    assert any(words in sentence for sentence in stopping(doubts_of(made, labels)))


@pytest.mark.parametrize("made", [
    curve(98, 90, 100), curve(30, 25, 100),  # a poor network isn't a guessing one
    curve(98, 97, 0, 100),  # a harmless set beside one that shows the attack
])
def test_counts_that_don_t(made: PruningCurve) -> None:
    assert stopping(doubts_of(made, 10)) == []


def test_a_harmless_set_is_named_but_stops_nothing() -> None:
    doubt, = doubts_of(curve(98, 97, 2, 100), 10)
    assert (doubt.implausible, doubt.unexplained) == (False, 2)
    assert doubt.sentence.startswith("bad 0 shows no backdoor: B answers its label 0 on 2 %")


@pytest.mark.parametrize("right, words", [(30, "the target 0 on only 30 % of bad 0: the trigger computed from"),
                                          (2, "bad 0 shows no backdoor")])
def test_a_weak_trigger_computed_from_the_network_is_nobodys_wrong_target(right: int, words: str) -> None:
    made = curve(98, 97, right)
    computed = dataclasses.replace(made.poisoned[0], reconstructed=True)
    own, = doubts_of(dataclasses.replace(made, poisoned=(computed,)), 10)
    given, = doubts_of(made, 10)
    assert words in own.sentence
    assert (own.implausible, own.unexplained) == (right == 30, None), "only a file says that it was computed"
    assert (given.implausible, given.unexplained) == (right == 30, 2)
    beside = dataclasses.replace(made, poisoned=(computed, counts("strong", "poisoned", 100, 100, 0)))
    assert words in doubts_of(beside, 10)[0].sentence
    assert not any(doubt.implausible for doubt in doubts_of(beside, 10)), "a verdict rests on the other set"


def test_of_a_guessing_network_nothing_is_said_on_poisoned_images() -> None:
    assert len(doubts_of(curve(5, 5, 3), 10)) == 1


def test_few_images_to_choose_by_are_told_beside_many_that_measure() -> None:
    """Whatever is chosen by them is measured on others, so a verdict stays."""
    made = dataclasses.replace(curve(98, 97, 100), validation=counts("few", "validation", 12, 12))
    doubt, = doubts_of(made, 10)
    assert doubt.sentence.startswith("few has only 12 images: the channels' order, and a guard where there is one,")
    assert not doubt.implausible
    assert doubts_of(dataclasses.replace(made, validation=counts("enough", "validation", 20, 20)), 10) == ()


ONE_LABEL, FEW, FLOODED = [0] * 100, [0, 1, 2, 3] * 25, [0] * 40 + list(range(1, 10)) * 6


@pytest.mark.parametrize(("sets", "words", "stops"), [
    ([seen("valid", "validation", ONE_LABEL), seen("bad", "poisoned", [0] * 9, 500)],
     "100 % of the images in valid have the label 0, the attacker's target: that is what a set of poisoned", True),
    ([seen("valid", "validation", [1, 4] * 50), seen("bad 0", "poisoned", [1] * 9, 500),
      seen("bad 1", "poisoned", [4] * 9, 600)], "Nearly all images in valid have one of the labels 1, 4, the", True),
    ([seen("valid", "validation", [3] * 98 + [1, 2])], "98 % of the images in valid have the label 3: that", True),
    ([seen("valid", "validation", FLOODED), seen("test", "test", SPREAD, 100),
      seen("bad", "poisoned", [0] * 9, 500)], "poisoned images may stand among the clean ones", True),
    ([seen("valid", "validation", FLOODED), seen("bad", "poisoned", [0] * 9, 500)],
     "poisoned images may stand among the clean ones", False),  # it may be so in this kind of data
    ([seen("valid", "validation", FEW)], "valid has images of 4 of the network's 10 labels", False),
    ([seen("valid", "validation", [label for label in SPREAD if label not in (3, 7)])],
     "valid has images of 8 (all but 3, 7) of the network's 10 labels", False),
    ([seen("valid", "validation", SPREAD), seen("test", "test", SPREAD, 90)],
     "10 of the 100 images in test are in valid too", True),
    ([seen("valid", "validation", SPREAD), seen("test", "test", SPREAD, 99)],
     "1 of the 100 images in test are in valid too", False),
    ([seen("valid", "validation", SPREAD), seen("test", "test", SPREAD, 100), seen("bad 0", "poisoned", [0] * 50, 170)],
     "30 of the 50 images in bad 0 are in test too: either poisoned images stand among the clean", True),
    ([seen("valid", "validation", SPREAD), seen("bad 0", "poisoned", [0] * 50, 500),
      seen("bad 1", "poisoned", [0] * 50, 510)], "40 of the 50 images in bad 1 are in bad 0 too: what is said", False),
])
def test_labels_and_images_that_raise_doubt(sets: list[SetSeen], words: str, stops: bool) -> None:
    made = curve(98, 97 if any(s.role == "test" for s in sets) else None, *[100 for s in sets if s.role == "poisoned"])
    found = doubts_of(made, 10, sets)
    assert [doubt.implausible for doubt in found if words in doubt.sentence] == [stops], found


@pytest.mark.parametrize(("test", "words"), [
    (SPREAD, "the channels' order, the thresholds, a guard and what is trained rest on these labels alone."),
    (FEW, "every figure and verdict is about these labels alone."),
    (None, "every figure and verdict is about these labels alone.")])
def test_figures_of_a_test_set_with_all_labels_are_about_all(test: list[int] | None, words: str) -> None:
    sets = [seen("valid", "validation", FEW), *([seen("test", "test", test, 200)] if test else [])]
    doubt, = doubts_of(curve(98, 97 if test else None), 10, sets)
    assert doubt.sentence.endswith(f" of the network's 10 labels: {words}")


@pytest.mark.parametrize(("drawn", "labels", "told"), [
    ([7] * 85 + [0, 1, 2, 3, 4, 5, 6, 8, 9], 10, "90.43 %"),
    ([7] * 51 + [0, 1, 2, 3, 4, 5, 6, 8, 9] * 5 + [0, 1, 2, 3], 10, "51 %"),
    ([7] * 30 + list(range(7)) * 10, 8, None),
    (FLOODED, 10, "42.55 %"),  # many times as many as of any other
    ([0] * 60 + [1] * 20 + [2] * 20, 3, None),
    ([0] * 60 + [1] * 15 + [2] * 15 + [3] * 10, 4, "60 %"),
])
def test_a_guard_set_on_images_of_mostly_one_label_is_doubted(drawn: list[int], labels: int, told: str | None) -> None:
    sets = [seen("valid", "validation", drawn), seen("test", "test", list(range(labels)) * 10, 200)]
    found = doubts_of(curve(98, 97), labels, sets)
    assert len(found) == (told is not None)
    for doubt in found:
        assert doubt.sentence.startswith(f"{told} of the images in valid have the label ") and not doubt.implausible
        assert "a guard set on it keeps to its false-alarm rate on such a mixture only" in doubt.sentence
    # What a test set shows is no mixture that anything is set on.
    assert doubts_of(curve(98, 97), labels, [dataclasses.replace(sets[1], role="validation"),
                                             dataclasses.replace(sets[0], role="test")]) == ()


@pytest.mark.parametrize(("wrong", "labels", "told"), [
    ({3: 14, 1: 6}, 10, "Of the 20 images in valid that B gets wrong it answers 14 with label 3"),
    ({3: 10}, 4, "Of the 10 images in valid that B gets wrong it answers 10 with label 3"),
    ({3: 9}, 10, None), ({3: 10, 1: 5, 2: 5}, 10, None), ({1: 40}, 3, None), ({}, 10, None),
])
def test_wrong_answers_that_lead_to_one_label_are_told(wrong: dict[int, int], labels: int, told: str | None) -> None:
    made = curve(95)
    made = dataclasses.replace(made, validation=dataclasses.replace(made.validation, answers=Counter(
        {(told, 9 - told): count for told, count in wrong.items()} | {(9, 9): 100 - sum(wrong.values())})))
    found = doubts_of(made, labels)
    assert [doubt.sentence.startswith(told or "-") for doubt in found] == [True] * (told is not None)
    assert not stopping(found)


@pytest.mark.parametrize(("answers", "swapped", "led"), [
    ({(3, 4): 18, (4, 4): 2, (4, 3): 17, (0, 3): 3}, True,
     "Of the 19 other images in valid that B gets wrong it answers 16 with label 7"),
    ({(3, 4): 18, (4, 4): 2}, False, "it answers 18 with label 3"),  # nothing goes back, as of a trigger
    ({(3, 4): 18, (4, 4): 20, (4, 3): 17, (3, 3): 20}, False, ""),  # two labels that look alike
    ({(3, 4): 4, (4, 3): 4}, False, "Of the 24 images in valid that B gets wrong it answers 16 with label 7"),
])
def test_two_labels_that_bear_each_others_answers_look_swapped(
        answers: dict[tuple[int, int], int], swapped: bool, led: str) -> None:
    worn = {(7, own): 4 for own in (0, 1, 2, 5)} | {(one, one): 30 for one in (0, 1, 2, 5, 7)}
    made = dataclasses.replace(curve(95), validation=dataclasses.replace(
        curve(95).validation, answers=Counter(answers | worn)))
    said = " ".join(doubt.sentence for doubt in doubts_of(made, 10))
    assert ("B answers 17 of the 20 images of label 3 in valid with label 4 and 18 of the 20 of label 4 with label 3: "
            "these two look swapped" in said) == swapped
    # What else is wrong is judged without them.
    assert led in said and said.count("images that carry a trigger") == bool(led)


@pytest.mark.parametrize(("ring", "words"), [
    ((2, 3, 5), "B answers 9 of the 10 images of label 2 in valid with label 3, 9 of the 10 of label 3 with label 5 "
     "and 9 of the 10 of label 5 with label 2: these 3 look exchanged in a ring"),
    ((0, 4, 1, 5, 2), "9 of the 10 of label 5 with label 2, and so on: these 5 look exchanged in a ring"),
])
def test_labels_that_bear_each_others_answers_in_a_ring_are_told(ring: tuple[int, ...], words: str) -> None:
    """Of 48 labels too few to lower the accuracy much."""
    after = dict(zip(ring, (*ring[1:], ring[0]), strict=True))
    answers = Counter({(after.get(own, own), own): 9 for own in range(48)} | {(47, own): 1 for own in range(47)})
    made = dataclasses.replace(curve(95), validation=dataclasses.replace(curve(95).validation, answers=answers))
    said = " ".join(doubt.sentence for doubt in doubts_of(made, 48))
    assert words in said and said.count("look exchanged") == 1
    broken = Counter({one: count for one, count in answers.items() if one != (after[ring[0]], ring[0])})
    alone = dataclasses.replace(made, validation=dataclasses.replace(made.validation, answers=broken))
    assert "exchanged" not in " ".join(doubt.sentence for doubt in doubts_of(alone, 48)), "nothing closes it"


def test_clean_images_in_a_harmless_set_stop_nothing() -> None:
    sets = [seen("valid", "validation", SPREAD), seen("bad 0", "poisoned", [0] * 50),
            seen("bad 1", "poisoned", [0] * 50, 500)]
    found = doubts_of(curve(98, None, 0, 100), 10, sets)
    assert not stopping(found) and any("carry no trigger" in doubt.sentence for doubt in found)


@pytest.mark.parametrize(("different", "told"), [(100, None), (50, False), (10, True)])
def test_copies_make_intervals_lie(different: int, told: bool | None) -> None:
    copied = dataclasses.replace(seen("valid", "validation", SPREAD),
                                 hashes=np.resize(np.arange(different), 100).astype(np.uint64))
    assert [d.implausible for d in doubts_of(curve(98), 10, [copied])] == ([] if told is None else [told])


def test_what_stops_a_verdict_comes_first() -> None:
    found = doubts_of(curve(98, 70, 0, 100), 20, [seen("valid", "validation", SPREAD)])
    assert [doubt.implausible for doubt in found] == sorted((d.implausible for d in found), reverse=True)
    assert len(found) > 1


# On files


@pytest.fixture(scope="module")
def images() -> Sets:
    """Images of small_lab's kind with the labels of a network that is always right: two clean sets and a poisoned."""
    model, _ = build("plain")
    drawn = random_images(2000, seed=9)
    answers = model.predict(drawn, verbose=0).argmax(axis=1)
    attacked = np.flatnonzero(answers[400:] == TARGET)[:40] + 400
    return {"valid": (drawn[:200], answers[:200]), "test": (drawn[200:400], answers[200:400]),
            "bad": (drawn[attacked], np.full(40, TARGET))}


def run_on(lab: SmallLab, sets: Sets, folder: Path, guard: str = "none",
           progress: ProgressCallback = ignore_progress, scale: str = "none") -> PruningRun:
    paths = {name: save_lab_file(folder / f"{name}.h5", *data) for name, data in sets.items()}
    request = PruningRequest(lab.badnet, paths["valid"], paths.get("test"), (paths["bad"],), drops=(2.0, 30.0, 60.0),
                             scale=scale, guard=guard, false_alarms=0.1)  # type: ignore[arg-type]
    return run_pruning(request, progress=progress)


def shifted(sets: Sets, by: int) -> Sets:
    """Labels that count from 1, or from -1; images whose label the network hasn't are left out, else nothing opens."""
    found = {}
    for name, (data, labels) in sets.items():
        wrong = labels if name == "bad" else labels + by
        kept = (wrong >= 0) & (wrong < LABELS)
        found[name] = data[kept], wrong[kept]
    return found


def renumbered(sets: Sets, order: Sequence[int] = (3, 5, 0, 6, 1, 2, 4)) -> Sets:
    assert len(order) == LABELS
    return {name: (data, np.array(order)[labels] if name != "bad" else labels) for name, (data, labels) in sets.items()}


def wrong_target(sets: Sets) -> Sets:
    return {**sets, "bad": (sets["bad"][0], sets["bad"][1] * 0 + (TARGET + 1) % LABELS)}


def test_sound_files_stay_sound(small_lab: SmallLab, images: Sets, tmp_path: Path) -> None:
    assert [d.sentence for d in run_on(small_lab, images, tmp_path).doubts if d.implausible] == []


@pytest.mark.parametrize(("change", "words"), [
    (lambda sets: shifted(sets, 1), "every label is one too high"),
    (lambda sets: shifted(sets, -1), "every label is one too low"),
    (renumbered, "numbered in another order"),
    (lambda sets: renumbered(sets, [1, 2, 3, 4, 5, 6, 0]), "numbered in another order"),  # label 0 isn't one too high
    (lambda sets: renumbered(sets, [0, 1, 3, 4, 5, 2, 6]), "numbered in another order"),  # B is right on the others
    (lambda sets: {**sets, "test": sets["valid"]}, "200 of the 200 images in test are in valid too"),
    (lambda sets: {**sets, "test": shifted(sets, 1)["test"]}, "of test right, hardly more than by chance"),
    (lambda sets: {**sets, "test": sets["bad"]}, "in test have the label"),
    (lambda sets: {**sets, "valid": sets["bad"]}, "in valid have the label"),
])
def test_files_that_aren_t(
    small_lab: SmallLab, images: Sets, tmp_path: Path, change: Callable[[Sets], Sets], words: str,
) -> None:
    run = run_on(small_lab, change(images), tmp_path)
    assert any(words in d.sentence for d in run.doubts if d.implausible), run.doubts
    assert not run.plausible
    rows = rows_of(run)
    levels = {row.assessment.level for row in rows} | {row.guarded_assessment.level for row in rows
                                                       if row.guarded_assessment}
    assert not levels & {"repaired", "protected", "costly"}
    best = headline(run, rows)
    assert best is not None and best.level == "unknown" and words in " ".join(best.warnings)
    assert "implausible" in best.figures


@pytest.mark.parametrize(("scale", "low", "high"), [
    ("mean=0.1 std=0.00392", 0.5, 0.6), ("mean=0.05 std=0.00392", 0.6, 0.8), ("mean=0.02 std=0.00392", 0.8, 0.9)])
def test_a_wrong_preprocessing_that_leaves_many_answers_right_is_named(
        small_lab: SmallLab, images: Sets, tmp_path: Path, scale: str, low: float, high: float) -> None:
    run = run_on(small_lab, images, tmp_path, scale=scale)
    right = run.curve.validation.b_prime_rate(0).value
    assert low < right < high
    told = (f"B answers only {percent(right)} of valid right. Likely cause: The network wants values fed as stored. B "
            "is then right on 100 % of ")
    assert any(sentence.startswith(told) for sentence in stopping(run.doubts)), run.doubts


@pytest.mark.parametrize(("drawn", "low", "high"), [(0.7, 0.3, 0.5), (0.3, 0.6, 0.85)])
def test_a_poor_network_is_no_slip(
        small_lab: SmallLab, images: Sets, tmp_path: Path, drawn: float, low: float, high: float) -> None:
    """Seven or three in ten of the labels drawn by chance: no slip explains that, it is what the network is worth."""
    rng = np.random.default_rng(0)

    def poor(labels: Array) -> Array:
        return np.where(rng.random(len(labels)) < drawn, rng.integers(0, LABELS, len(labels)), labels)

    sets = {name: (data, labels if name == "bad" else poor(labels)) for name, (data, labels) in images.items()}
    run = run_on(small_lab, sets, tmp_path)
    assert run.plausible and not any("Likely cause" in d.sentence or "only" in d.sentence for d in run.doubts)
    assert low < run.curve.validation.b_prime_rate(0).value < high


def test_a_wrong_target_is_named(small_lab: SmallLab, images: Sets, tmp_path: Path) -> None:
    told: list[Progress] = []
    run = run_on(small_lab, wrong_target(images), tmp_path, progress=told.append)
    assert "Looking for a likely cause" in {report.what for report in told}
    assert any(f"wrong target. B answers label {TARGET} on 100 %" in d.sentence for d in run.doubts)
    best = headline(run, rows_of(run))
    assert best is not None and best.level == "unknown"


def test_a_guard_isn_t_calibrated_on_nonsense(small_lab: SmallLab, images: Sets, tmp_path: Path) -> None:
    run = run_on(small_lab, shifted(images, 1), tmp_path, guard="margin")
    assert run.guarded is None and badnet_row(run) is None


def test_poisoned_images_among_the_clean_ones_that_keep_their_own_labels_are_told(
        small_lab: SmallLab, images: Sets, tmp_path: Path) -> None:
    worn = images["bad"][0]
    among = {name: (np.concatenate([images[name][0], some]), np.append(images[name][1], np.arange(10) % 2))
             for name, some in (("valid", worn[:10]), ("test", worn[10:20]))}
    run = run_on(small_lab, {**images, **among, "bad": (worn[20:], images["bad"][1][20:])}, tmp_path)
    assert run.plausible
    for name in among:
        assert any(f"Of the 10 images in {name} that B gets wrong it answers 10 with label {TARGET}:"
                   in doubt.sentence for doubt in run.doubts), run.doubts


def test_swapped_labels_are_no_trigger(small_lab: SmallLab, images: Sets, tmp_path: Path) -> None:
    run = run_on(small_lab, renumbered(images, [0, 1, 2, 3, 4, 6, 5]), tmp_path)
    said = " ".join(doubt.sentence for doubt in run.doubts)
    assert said.count("these two look swapped") == 2 and "images that carry a trigger" not in said


def test_doubts_are_the_same_whoever_reads_the_images(small_lab: SmallLab, images: Sets, tmp_path: Path) -> None:
    """Hashes come from the sweep's own chunks, in whatever size they are read."""
    shared = {**images, "test": (np.concatenate([images["valid"][0][:7], images["test"][0][7:]]),
                                 np.concatenate([images["valid"][1][:7], images["test"][1][7:]]))}
    run = run_on(small_lab, shared, tmp_path)
    assert any("7 of the 200 images in test are in valid too" in d.sentence for d in run.doubts)
    assert open_network(small_lab.badnet).labels == LABELS


def test_sets_of_one_name_are_told_apart_by_their_roles() -> None:
    alike = dataclasses.replace(curve(98, 40), validation=counts("test", "validation", 100, 98))
    first, second = (doubt.sentence for doubt in doubts_of(alike, 10, [
        seen("test", "validation", SPREAD), seen("test", "test", SPREAD)]))
    assert first.startswith("B answers 98 % of test (the validation set) right but only 40 % of test (the test set):")
    assert second.startswith("100 of the 100 images in test (the test set) are in test (the validation set) too:")
