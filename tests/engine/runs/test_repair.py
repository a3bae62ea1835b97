"""A trained B' beside B: measured as NumPy counts, saved whole, reopened the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.__main__ import main
from engine.assessment import percent
from engine.data.datasets import Dataset
from engine.data.preprocessing import AS_STORED
from engine.defences.training import Repair
from engine.defences.unlearning import unlearn
from engine.errors import EngineError, OutputError
from engine.goodnets.saved import FILES_WITHOUT_GUARD, open_goodnet
from engine.guards.calibration import calibrate, calibrate_both
from engine.models.networks import Network
from engine.rates import Rate
from engine.records.repaired_pair import save_repaired
from engine.runs.all_defences import compare_defences
from engine.runs.kept import Made
from engine.runs.opening.inputs import InputFiles, open_inputs
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.repair import FLATTERED, TRAINED, RepairGuard, repair, without
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import LABELS as LAB_LABELS
from tests.support.networks import TARGET as LAB_TARGET
from tests.support.networks import SmallLab, random_images
from tests.support.repairs import as_pair

TARGET = 3
B, B_PRIME = linear_weights(0), linear_weights(1)
CLEAN, POISONED = random_images(150, seed=61, shape=SHAPE), random_images(70, seed=62, shape=SHAPE)
TRUTH = np.random.default_rng(0).integers(0, LABELS, 150)
REPAIR = Repair("distillation", B_PRIME, 40, 30, Rate(1, 2), Rate(2, 2), "", (), "labels are missing", 7)


def by_hand(images: Array, threshold: float) -> Array:
    """The pair's labels behind a margin guard, N where they disagree or it flags."""
    logits = numpy_logits(images, *B)
    own, other = logits.argmax(axis=1), numpy_logits(images, *B_PRIME).argmax(axis=1)
    two = np.sort(logits, axis=1)[:, -2:]
    return np.where((own != other) | (two[:, 1] - two[:, 0] > threshold), LABELS, own)


def test_a_pair_is_measured_saved_and_reopened(tmp_path: Path) -> None:
    clean = dataset_of(tmp_path / "clean.npz", CLEAN, TRUTH)
    poisoned = dataset_of(tmp_path / "poisoned.npz", POISONED, np.full(70, TARGET))
    pair = as_pair(linear_network(*B), REPAIR, AS_STORED, clean, None, [poisoned], "margin", 0.3)
    on_clean, on_poisoned = pair.evaluations
    guard = pair.goodnet.guard
    assert guard is not None
    assert (on_clean.target, on_poisoned.target) == (None, TARGET)
    for found, images, truth in ((on_clean, CLEAN, TRUTH), (on_poisoned, POISONED, TARGET)):
        plain, guarded = by_hand(images, np.inf), by_hand(images, guard.threshold)
        assert found.correct == Rate(int((plain == truth).sum()), len(images))
        assert found.guarded_correct == Rate(int((guarded == truth).sum()), len(images))
        assert found.guarded_flagged == Rate(int((guarded == LABELS).sum()), len(images))
    save_repaired(pair, tmp_path / "out")
    assert on_clean.guarded_correct and on_clean.guarded_flagged and on_poisoned.guarded_flagged
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    guessed, rest = document["warning"].split(" labels are missing ")
    assert guessed.startswith("B answers only 25.33 % of clean right, hardly more than by chance (25 %)")
    assert "held back" in guard.note() and rest
    assert document["level"] == "unknown" and document["assessment"].startswith("With distillation behind the margin ")
    assert document["warning"].endswith(f" {FLATTERED} {guard.note()}")
    assert document["test"]["guarded_accuracy"] == on_clean.guarded_correct.value
    assert document["test"]["guarded_false_alarm_rate"] == on_clean.guarded_flagged.value
    assert document["poisoned"][0]["guarded_detection_rate"] == on_poisoned.guarded_flagged.value
    assert document["poisoned"][0]["goodnet_asr"] == on_poisoned.correct.value
    again = open_goodnet([tmp_path / "out"])
    np.testing.assert_array_equal(again.answer(CLEAN).labels, by_hand(CLEAN, guard.threshold))
    assert (again.notes["method"], again.notes["seed"], again.notes["warning"]) == (
        "distillation", 7, "labels are missing")
    through = percent(float((by_hand(POISONED, np.inf) == TARGET).mean()))
    assert pair.without_guard == again.notes["guard_note"] == (
        f"{FILES_WITHOUT_GUARD} Without the guard, as in these files, {through} of poisoned get through.")


def test_b_prime_alone_is_measured_saved_and_reopened(tmp_path: Path) -> None:
    """B' answers whatever B says, in the folder and in its one file; the guard still looks at B."""
    clean = dataset_of(tmp_path / "clean.npz", CLEAN, TRUTH)
    poisoned = dataset_of(tmp_path / "poisoned.npz", POISONED, np.full(70, TARGET))
    pair = as_pair(linear_network(*B), REPAIR, AS_STORED, clean, None, [poisoned], "margin", 0.3, alone=True)
    guard = pair.goodnet.guard
    assert guard is not None
    save_repaired(pair, tmp_path / "out")
    again, one_file = open_goodnet([tmp_path / "out"]), open_goodnet([tmp_path / "out" / "goodnet.keras"])
    assert again.b_prime_alone and one_file.b_prime_alone
    for found, images, truth in zip(pair.evaluations, (CLEAN, POISONED), (TRUTH, TARGET), strict=True):
        own = numpy_logits(images, *B_PRIME).argmax(axis=1)
        two = np.sort(numpy_logits(images, *B), axis=1)[:, -2:]
        guarded = np.where(two[:, 1] - two[:, 0] > guard.threshold, LABELS, own)
        assert (found.correct, found.flagged) == (Rate(int((own == truth).sum()), len(images)), Rate(0, len(images)))
        assert found.guarded_correct == Rate(int((guarded == truth).sum()), len(images))
        assert found.guarded_flagged == Rate(int((guarded == LABELS).sum()), len(images))
        assert again.answer(images).labels.tolist() == guarded.tolist()
        assert one_file.answer(images).labels.tolist() == own.tolist()
        assert not again.answer(images).disagree.any()
    notes = json.loads((tmp_path / "out" / "goodnet.json").read_text())
    (tmp_path / "out" / "goodnet.json").write_text(json.dumps(notes | {"answers": "nobody"}))
    (tmp_path / "out" / "manifest.json").unlink()  # with it, the change itself would be told
    with pytest.raises(EngineError, match="who answers"):
        open_goodnet([tmp_path / "out"])


def test_measured_on_the_test_set_where_there_is_one(tmp_path: Path) -> None:
    clean = dataset_of(tmp_path / "clean.npz", CLEAN, TRUTH)
    test = dataset_of(tmp_path / "test.npz", CLEAN[:40], TRUTH[:40])
    pair = as_pair(linear_network(*B), REPAIR, AS_STORED, clean, test, [], notices=["The input is doubtful."])
    assert pair.warning.startswith("40 of the 40 images in test are in clean too: channels were ranked, thresholds ")
    assert " The input is doubtful. labels are missing" in pair.warning
    found, = pair.evaluations
    assert (found.name, found.images, found.guarded_correct) == (test.name, 40, None)


def test_what_lowered_labels_cost_is_measured_on_the_test_set(tmp_path: Path) -> None:
    clean, test = (dataset_of(tmp_path / f"{name}.npz", CLEAN, TRUTH) for name in ("clean", "test"))
    own, other = (numpy_logits(CLEAN, *weights).argmax(axis=1) for weights in (B, B_PRIME))
    lowered = dataclasses.replace(REPAIR, lowered=(1, 2))
    told = "; ".join(f"of label {label}'s {(label == TRUTH).sum()} images B answers "
                     f"{(own[label == TRUTH] == label).sum()} right and B' {(other[label == TRUTH] == label).sum()}"
                     for label in (1, 2))
    assert f"Measured on {test.name}: {told}." in as_pair(
        linear_network(*B), lowered, AS_STORED, clean, test, []).warning
    assert "Measured on" not in as_pair(linear_network(*B), lowered, AS_STORED, clean, None, []).warning
    assert "Measured on" not in as_pair(linear_network(*B), REPAIR, AS_STORED, clean, test, []).warning


def test_a_label_that_the_copy_lost_is_named_whatever_all_others_say(tmp_path: Path) -> None:
    clean = dataset_of(tmp_path / "clean.npz", CLEAN, TRUTH)
    kernel, bias = B
    forgetful = dataclasses.replace(REPAIR, weights=(kernel, bias - np.float32([1e6, 0, 0, 0])))
    right = int((numpy_logits(CLEAN, *B).argmax(axis=1) == TRUTH)[TRUTH == 0].sum())
    said = f"B' has lost what it knew of some labels: on {clean.name}, of label 0's {(TRUTH == 0).sum()} images B " \
           f"answers {right} right and B' 0."
    assert right >= 5 and said in as_pair(linear_network(*B), forgetful, AS_STORED, clean, None, []).warning
    kept = dataclasses.replace(REPAIR, weights=B)
    assert "lost" not in as_pair(linear_network(*B), kept, AS_STORED, clean, None, []).warning


def test_a_guard_of_a_repair_is_doubted_where_most_images_show_one_label(tmp_path: Path) -> None:
    uneven = dataset_of(tmp_path / "uneven.npz", CLEAN, np.where(np.arange(150) < 120, 1, TRUTH))
    said = [as_pair(linear_network(*B), REPAIR, AS_STORED, uneven, None, [], guard, 0.3).warning
            for guard in ("margin", "none")]  # type: ignore[arg-type]
    assert ["a guard set on it keeps to its false-alarm rate" in warning for warning in said] == [True, False]


def test_wrong_answers_to_the_clean_images_that_lead_to_one_label_are_told(tmp_path: Path) -> None:
    own = numpy_logits(CLEAN, *B).argmax(axis=1)
    first = np.flatnonzero(own == 1)[:10]
    for some in (10, 9):
        labels = own.copy()
        labels[first[:some]] = 0
        led = f"Of the {some} images in led that B gets wrong it answers {some} with label 1: "
        assert (led in as_pair(linear_network(*B), REPAIR, AS_STORED, dataset_of(tmp_path / "led.npz", CLEAN, labels),
                               None, []).warning) == (some == 10)


def test_wrong_answers_on_a_sample_say_of_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.opening.feeding._TRIAL_IMAGES", 100)
    clean = dataset_of(tmp_path / "led.npz", CLEAN, np.zeros(150, np.int64))
    monkeypatch.setattr(Network, "predict_labels", lambda _, images, *__: np.ones(len(images), np.int64))
    said = as_pair(linear_network(*B), REPAIR, AS_STORED, clean, None, []).warning
    assert "Of the 100 images in led that B gets wrong among the 100 of 150 looked at it answers 100 with" in said


def test_swapped_labels_are_told_and_no_trigger(tmp_path: Path) -> None:
    own = numpy_logits(CLEAN, *B).argmax(axis=1)
    swapped = np.select([own == 0, own == 1], [1, 0], own)
    said = as_pair(linear_network(*B), REPAIR, AS_STORED, dataset_of(tmp_path / "led.npz", CLEAN, swapped), None,
                   []).warning
    assert "in led with label 1" in said and "look swapped" in said and "images that carry a trigger" not in said


def test_refusals_leave_nothing(tmp_path: Path) -> None:
    clean = dataset_of(tmp_path / "clean.npz", CLEAN, TRUTH)
    (tmp_path / "out").write_text("taken")
    with pytest.raises(OutputError):
        save_repaired(as_pair(linear_network(*B), REPAIR, AS_STORED, clean, None, []), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean.npz", "out"]


def test_unlearning_is_a_method_of_the_command_line(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    short = partial(unlearn, steps=2, allow_missing_labels=True)
    monkeypatch.setitem(TRAINED, "unlearning", lambda *given, allow_missing_labels, **named: short(*given, **named))
    assert main(["repair", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--method", "unlearning", "--seed", "3", "--alone", "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "unlearning"
    saved = open_goodnet([tmp_path / "out"])
    assert saved.b_prime_alone and saved.notes["method"] == "unlearning"
    opened = open_inputs(InputFiles(small_lab.badnet, small_lab.clean, small_lab.test))
    wanted = short(opened.network, opened.to_make_and_measure()[0], seed=3).weights
    for kept, own in zip(saved.b_prime.model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(kept, own)


def test_the_sparing_guard_of_the_command_line_is_that_of_a_comparison(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """Its threshold is the highest score of 64 images, so it asks for 1 in 65, and every answer is counted by hand."""
    def shaken(b: Network, *_: Any, **named: Any) -> Repair:
        chance = np.random.default_rng(3)
        weights = [np.asarray(w) + chance.normal(0, 0.02, w.shape).astype(np.float32) for w in b.model.get_weights()]
        return dataclasses.replace(REPAIR, weights=weights)

    # What is learnt is tested elsewhere.
    monkeypatch.setitem(TRAINED, "distillation", shaken)
    for name in ("distil", "unlearn", "prepare"):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", shaken)
    words = ["repair", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
             "--poisoned", str(small_lab.poisoned), "--alone", "--guard", "sparing", "--false-alarms", "0.1"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "Sparing guard: set on 64 clean images to flag at most 1.54 % of clean images." in capsys.readouterr().out
    made = Made()
    run = run_pruning(PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,),
                                     drops=(), false_alarms=0.1))
    compared = compare_defences(run, allow_missing_labels=True, made=made)
    row = next(row for row in compared.rows if row.guard == "sparing")
    saved, opened = open_goodnet([tmp_path / "out"]), open_inputs(run.request)
    assert saved.guard is not None and saved.guard_name == "sparing" and saved.b_prime_alone
    assert saved.guard.threshold == made.guards["sparing"].threshold > made.guards["transplant"].threshold
    donors = {image.tobytes() for image in saved.guard.donors.images}
    images = opened.sets[0].dataset.take(range(80))
    scores = saved.guard.on(saved.b).scores(np.stack([i for i in images if i.tobytes() not in donors]))
    assert len(scores) == 64 and saved.guard.threshold == pytest.approx(scores.max(), rel=1e-5)
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    notes = json.loads((tmp_path / "out" / "goodnet.json").read_text(encoding="utf-8"))
    said = document["guard"]
    assert (notes["guard"], said["name"], said["kind"]) == ("sparing", "sparing", "transplant")
    assert notes["false_alarms_asked"] == said["false_alarms_asked"] == pytest.approx(1 / 65)
    for (dataset, truth), found, rate in zip(
            [(opened.sets[1].dataset, None), (opened.sets[2].dataset, LAB_TARGET)],
            [document["test"]["guarded_accuracy"], document["poisoned"][0]["guarded_asr"]],
            [row.clean, row.attacks[0].success], strict=True):
        images = dataset.take(range(len(dataset)))
        flagged = saved.guard.on(saved.b).scores(images) > saved.guard.threshold
        labels = np.where(flagged, LAB_LABELS, saved.b_prime.predict_labels(images))
        assert saved.answer(images).labels.tolist() == labels.tolist()
        right = Rate(int((labels == (dataset.labels if truth is None else truth)).sum()), len(labels))
        assert rate == right and found == right.value
    assert main(["evaluate", str(tmp_path / "out"), "--test", str(small_lab.test), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["guarded"]
    assert (again["guard"], again["name"]) == ("transplant", "sparing")
    assert again["clean_accuracy"] == document["test"]["guarded_accuracy"]


def test_what_a_repair_is_worth_is_said_and_saved_as_a_run_says_it(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is pruned, so that training alone hardly hurts the attack."""
    out = tmp_path / "out"
    assert main(["repair", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--poisoned", str(small_lab.poisoned), "--method", "fine-pruning", "--channels", "0",
                 "--out", str(out)]) == 0
    document = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    left = document["poisoned"][0]["goodnet_asr"]
    assert left > 0.5
    told = (f"With fine-pruning the attack still works on {percent(left)} of poisoned images: this GoodNet does not "
            "repair the model.")
    assert (document["level"], document["assessment"]) == ("failed", told)
    assert json.loads((out / "goodnet.json").read_text(encoding="utf-8"))["assessment"] == told
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("guard, asked", [
    ("transplant", ["transplant"]), ("sparing", ["transplant"]), ("margin", ["margin", "transplant"]),
    ("none", ["transplant"])])
def test_the_guard_of_a_repair_looks_for_triggers_among_its_images_too(
    guard: RepairGuard, asked: list[str], small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds: list[str] = []

    def counted(made: Callable[..., Any]) -> Callable[..., Any]:
        def calibrating(network: Network, clean: Dataset, kind: str = "transplant", *given: Any, **named: Any) -> Any:
            kinds.append(kind)
            return made(network, clean, kind, *given, **named)

        return calibrating

    monkeypatch.setattr("engine.runs.repair.calibrate", counted(calibrate))
    monkeypatch.setattr("engine.runs.repair.calibrate_both", counted(calibrate_both))
    seen: list[Dataset] = []

    def learnt(b: Network, clean: Dataset, **_: Any) -> Repair:
        seen.append(clean)
        return dataclasses.replace(REPAIR, weights=[np.asarray(w) for w in b.model.get_weights()])

    monkeypatch.setitem(TRAINED, "distillation", learnt)
    opened = open_inputs(InputFiles(small_lab.badnet, small_lab.clean, small_lab.test))
    _, pair = repair(opened, guard=guard, allow_missing_labels=True)
    assert kinds == asked
    clean = opened.to_make_and_measure()[0]
    transplant = calibrate(opened.network, clean)
    assert seen[0].labels.tolist() == without([transplant], clean).labels.tolist()
    if guard == "transplant":
        assert pair.goodnet.guard is not None and pair.goodnet.guard.threshold == transplant.threshold
