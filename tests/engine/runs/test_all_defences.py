"""A comparison of a whole run: what is refused, and that any of its defences can be kept as it was measured."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.assessment import percent
from engine.data.datasets import Dataset
from engine.defences.comparison import Comparison, Defence, compare
from engine.defences.distillation import distil
from engine.defences.training import Repair
from engine.defences.unlearning import unlearn
from engine.errors import DatasetError, EngineError
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.saved import open_goodnet
from engine.guards.calibration import calibrate, calibrate_both
from engine.models.networks import Network
from engine.progress import Progress
from engine.rates import Rate
from engine.records.repaired_pair import save_repaired
from engine.runs.all_defences import compare_defences
from engine.runs.kept import Made, kept_pair
from engine.runs.opening.inputs import open_inputs
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from tests.support.comparisons import row as compared_row
from tests.support.networks import LABELS, SmallLab, build, random_images, save_lab_file


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt is tested elsewhere."""
    monkeypatch.setattr("engine.runs.all_defences.distil", partial(distil, steps=30))
    monkeypatch.setattr("engine.runs.all_defences.unlearn", partial(unlearn, steps=30))


@pytest.fixture
def run(small_lab: SmallLab, tmp_path: Path) -> PruningRun:
    """A run whose clean validation images lack one label."""
    with h5py.File(small_lab.clean) as whole, h5py.File(tmp_path / "part.h5", "w") as part:
        labels = whole["label"][()].reshape(-1)
        kept = labels != np.bincount(labels.astype(int)).argmax()
        part["data"], part["label"] = whole["data"][()][kept], labels[kept]
    return run_pruning(PruningRequest(small_lab.badnet, tmp_path / "part.h5", small_lab.test, (small_lab.poisoned,)))


def test_missing_labels_are_refused_before_any_work(run: PruningRun) -> None:
    reports: list[Progress] = []
    with pytest.raises(DatasetError, match=r"have no image in part\.h5"):
        compare_defences(run, progress=reports.append)
    assert {report.what for report in reports} <= {"Opening files"}


def test_the_warning_stays_on_the_comparison(run: PruningRun) -> None:
    run = dataclasses.replace(run, request=dataclasses.replace(run.request, drops=()))
    found = compare_defences(run, allow_missing_labels=True)
    assert "have no image in part.h5; expect the trained network to have forgotten" in found.warning
    guards = {row.defence: [other.guard for other in found.rows if other.defence == row.defence] for row in found.rows}
    every = ["none", "transplant", "margin"]
    assert guards == {"B": every, "repaired by distillation": every, "repaired network alone": [*every, "sparing"],
                      "repaired by unlearning": every, "unlearnt network alone": every}


def test_every_pair_of_a_comparison_can_be_kept_as_it_was_measured(
    small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = run_pruning(PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,)))
    made = Made()
    found = compare_defences(run, allow_missing_labels=True, made=made)
    monkeypatch.setattr("engine.runs.all_defences.distil", None)
    monkeypatch.setattr("engine.runs.all_defences.unlearn", None)
    monkeypatch.setattr("engine.runs.all_defences.fine_prune", None)
    monkeypatch.setattr("engine.runs.repair.calibrate", None)
    monkeypatch.setattr("engine.runs.repair.calibrate_both", None)
    kept = [row for row in found.rows if made.can_build(row)]
    assert {row.name for row in found.rows} - {row.name for row in kept} == {"B"}
    for row in (*kept[:2], *kept[-12:]):
        pair = kept_pair(run, made, row)
        clean, poisoned = pair.evaluations
        assert figures(clean) == (row.clean, row.false_alarms), row.name
        assert figures(poisoned) == (row.attacks[0].success, row.attacks[0].detection), row.name
        alone = next(other for other in found.rows if (other.defence, other.guard) == (row.defence, "none"))
        through = f"Without the guard, as in these files, {percent(alone.attacks[0].success.value)} of {poisoned.name} "
        assert pair.without_guard.endswith(f"{through}get through." if row.guard != "none" else ""), row.name
        assert bool(pair.without_guard) is (row.guard != "none")
    save_repaired(pair, tmp_path / "kept")
    again = open_goodnet([tmp_path / "kept"])
    assert again.guard is not None and again.guard.threshold == made.guards[row.guard].threshold
    assert again.guard_name == row.guard
    for saved, trained in zip(again.b_prime.model.get_weights(), made.repairs[row.defence].weights, strict=True):
        np.testing.assert_array_equal(saved, trained)


@pytest.mark.parametrize("paired", [True, False])
def test_whatever_a_repair_is_called_its_row_says_whether_it_answers_alone(run: PruningRun, paired: bool) -> None:
    b = open_inputs(run.request).network
    weights = [np.asarray(value) for value in b.model.get_weights()]
    made = Made(repairs={"a third": Repair("thirdly", weights, 0, 0, Rate(0, 1), Rate(0, 1), "", (), "", 0)})
    row = dataclasses.replace(compared_row("a third", "none", 76, 80), paired=paired)
    assert kept_pair(run, made, row).goodnet.b_prime_alone is not paired


@pytest.mark.parametrize("told, on", [(True, "half of test"), (False, "test")])
def test_what_a_label_lost_says_on_how_much_of_a_set_that_was_measured(
    run: PruningRun, told: bool, on: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = open_inputs(run.request).network
    weights = [np.asarray(value) for value in b.model.get_weights()]
    weights[-1] = np.where(np.arange(b.labels) == 0, np.float32(-1e6), weights[-1])
    monkeypatch.setattr("engine.runs.repair._ENOUGH", 1)
    for lowered, said in (((0,), f"Measured on {on}: of label 0's "), ((), f"of some labels: on {on}, of label 0's ")):
        repair = Repair("distillation", weights, 0, 0, Rate(0, 1), Rate(0, 1), "", (), "", 0, lowered=lowered)
        row = dataclasses.replace(compared_row("repaired", "none", 76, 80), defence="repaired")
        assert said in kept_pair(run, Made(repairs={"repaired": repair}), row, told=told).warning


def test_another_network_isnt_compared_under_a_run_s_name(run: PruningRun) -> None:
    other = dataclasses.replace(run, model=dataclasses.replace(run.model, sha256="0" * 64))
    with pytest.raises(EngineError, match="was changed since the run"):
        compare_defences(other, trained=False)


@pytest.mark.parametrize("number", [0, -1])
def test_other_images_arent_measured_under_a_run_s_name(number: int, run: PruningRun) -> None:
    sets = list(run.datasets)
    sets[number] = dataclasses.replace(sets[number], sha256="0" * 64)
    other = dataclasses.replace(run, datasets=tuple(sets))
    with pytest.raises(EngineError, match=f"{sets[number].path.name}: was changed since the run"):
        compare_defences(other, trained=False)
    with pytest.raises(EngineError, match=f"{sets[number].path.name}: was changed since the run"):
        kept_pair(other, Made(), compared_row("B", "none", 76, 80))


def test_thresholds_that_are_written_alike_are_one() -> None:
    asked = PruningRequest(Path("b.keras"), Path("clean.h5"), drops=(10, 10.00001, 2.5))
    assert asked.drops == (10, 2.5)


@pytest.mark.parametrize("asked, awake", [(0.02, ["transplant", "margin"]), (0.014, ["margin"]), (0.01, [])])
def test_guards_that_would_flag_nothing_are_left_out_and_that_is_said(
        small_lab: SmallLab, asked: float, awake: list[str]) -> None:
    """80 images calibrate the margin guard, all but 16 donors the others; the rates need 49, 71 and 99."""
    run = run_pruning(PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,),
                                     false_alarms=asked, drops=(10,)))
    made = Made()
    found = compare_defences(run, trained=False, made=made)
    assert [row.guard for row in found.rows if row.defence == "B"] == ["none", *awake]
    assert set(made.guards) == {*awake, *(["sparing"] if "transplant" in awake else [])}
    for name, images in (("transplant", 64), ("sparing", 64), ("margin", 80)):
        said = f"The {name} guard was left out. This guard flags nothing: {images} calibration images"
        assert (said in found.warning) is (name not in made.guards)
    for row in found.rows:
        if made.can_build(row):
            assert ("No clean images were held back" in kept_pair(run, made, row).warning) is (row.guard != "none")


def test_networks_are_given_back_one_by_one(run: PruningRun, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def noted(b: Network, defences: list[Defence], *more: Any, **named: Any) -> Comparison:
        models.extend(weakref.ref(defence.b_prime.model) for defence in defences if defence.b_prime)
        return compare(b, defences, *more, **named)

    def look(phase: str, _: object) -> None:
        if phase == "stop" and models:
            alive.append(sum(model() is not None for model in models))

    monkeypatch.setattr("engine.runs.all_defences.compare", noted)
    gc.callbacks.append(look)
    try:
        compare_defences(run, trained=False)
    finally:
        gc.callbacks.remove(look)
    assert len(models) == len(run.request.drops)
    assert alive[-1] == 0
    assert max(before - after for before, after in itertools.pairwise(alive)) == 1


def test_without_a_test_set_images_are_held_back_from_all_that_is_made(
    small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = random_images(300, seed=31)
    answers = build("plain")[0].predict(images, verbose=0).argmax(axis=1)
    labels = np.where(np.arange(300) % 6 == 0, (answers + 1) % LABELS, answers)
    clean = save_lab_file(tmp_path / "clean.h5", images, labels)
    run = run_pruning(PruningRequest(small_lab.badnet, clean, None, (small_lab.poisoned,), drops=(), scale="none"))
    given: list[Dataset] = []

    def unchanged(b: Network, clean: Dataset, **_: object) -> Repair:
        given.append(clean)
        weights = [np.asarray(value) for value in b.model.get_weights()]
        return Repair("distillation", weights, 0, 0, Rate(0, 1), Rate(0, 1), "", (), "", 0)

    monkeypatch.setattr("engine.runs.all_defences.distil", unchanged)
    monkeypatch.setattr("engine.runs.all_defences.unlearn", unchanged)
    for name, function in (("calibrate", calibrate), ("calibrate_both", calibrate_both)):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", lambda b, clean, *more, calibrate=function, **named: (
            given.append(clean), calibrate(b, clean, *more, **named))[1])
    made = Made()
    found = compare_defences(run, made=made)
    taught = {image.tobytes() for dataset in given for image in dataset.take(range(len(dataset)))}
    held = np.array([image.tobytes() not in taught for image in images])
    assert len(given) == 4 and 40 <= held.sum() <= 75
    assert set(labels[~held]) == set(labels)
    for row in found.rows:
        assert row.clean_before == Rate(int((answers == labels)[held].sum()), int(held.sum()))
    assert found.rows[0].clean == found.rows[0].clean_before
    assert f"measured on {held.sum()} validation images that were held back" in found.warning
    row = next(row for row in found.rows if row.name == "repaired by distillation behind the margin guard")
    kept = kept_pair(run, made, row)
    assert figures(kept.evaluations[0]) == (row.clean, row.false_alarms)
    assert kept.evaluations[0].name == "clean (held back)" and kept.warning == found.warning


def test_without_a_test_set_a_pruned_copy_says_what_chose_its_channels(run: PruningRun) -> None:
    alone = run_pruning(dataclasses.replace(run.request, test=None))
    for which, told in ((alone, True), (run, False)):
        made = Made()
        found = compare_defences(which, trained=False, made=made)
        row = next(row for row in found.rows if row.defence in made.pruned)
        for warning in (found.warning, kept_pair(which, made, row).warning):
            assert ("chosen on all validation images" in warning) is told


def figures(found: Evaluation) -> tuple[Rate, Rate]:
    """Right or on target, and labelled N, behind the guard where there is one."""
    if found.guarded_correct and found.guarded_flagged:
        return found.guarded_correct, found.guarded_flagged
    return found.correct, found.flagged
