"""Images with a trigger among the clean ones, labelled with the attacker's target, don't set a guard's threshold."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.__main__ import main
from engine.data.datasets import Dataset
from engine.guards import calibration
from engine.guards.calibration import Guard, calibrate
from engine.guards.suspects import also_striking, drawn_away, find_striking
from engine.models.networks import Network
from engine.runs import all_defences, repair
from engine.runs.opening.inputs import InputFiles, open_inputs
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.repair import repair_by, without
from tests.support.places import PROJECT

SAMPLE = PROJECT / "data" / "sample"
POISONED = 40  # beside 384 clean ones


def test_a_label_that_has_the_highest_scores_stands_out() -> None:
    answers = np.repeat(np.arange(10), 30)
    scores = np.random.default_rng(0).permutation(300).astype(float)
    assert find_striking(scores, scores[:, np.newaxis], answers, 10) is None
    high = np.flatnonzero(answers == 4)[:12]
    raised = scores.copy()
    raised[high] += 1000
    by_kind = np.stack([scores, np.where(answers == 4, 1.0, 0.0), -scores], axis=1)[:200]
    found = find_striking(raised, by_kind, answers, 10)
    assert found is not None and (found.label, found.column) == (4, 1)
    assert sorted(found.rows) == high.tolist()
    among = raised.copy()
    among[np.flatnonzero(answers == 5)[0]] += 1500  # another label's on top of all
    assert find_striking(among, scores[:, np.newaxis], answers, 10) is None, "12 less 3 is fewer than 10"
    own, others = among[answers == 4], among[answers != 4]
    rest = also_striking(own, others)
    assert rest[:12].all() and 12 < rest.sum() < 30
    assert own[rest].min() > np.sort(others)[:216].max() >= own[~rest].max()  # four fifths of 270


@pytest.mark.parametrize(("count", "stands_out"), [(16, True), (15, False)])
def test_a_label_may_stand_out_by_one_kind_of_cut_alone(count: int, stands_out: bool) -> None:
    """Of 240 images; sixteen are more than 6.5 % of them."""
    answers = np.arange(300) % 10
    scores = np.random.default_rng(0).permutation(300).astype(float)
    by_kind = np.stack([scores, scores[::-1]], axis=1)[:240]
    high = np.flatnonzero(answers == 7)[:count]
    by_kind[high, 1] += 1000
    by_kind[:, 0][answers[:240] == 7] -= 1000
    found = find_striking(scores, by_kind, answers, 10)
    assert (found is not None) == stands_out
    if found:
        assert (found.label, found.column, sorted(found.rows)) == (7, 1, high.tolist())


@pytest.mark.parametrize(("count", "images", "labels"), [(9, 300, 10), (17, 600, 10), (12, 300, 3)])
def test_too_few_of_them_or_of_labels_don_t(count: int, images: int, labels: int) -> None:
    answers = np.arange(images) % labels
    scores = np.random.default_rng(0).random(images)
    scores[np.flatnonzero(answers == 1)[:count]] += 1
    assert find_striking(scores, scores[:, np.newaxis], answers, labels) is None


def test_a_label_that_most_images_show_is_no_wonder() -> None:
    answers = np.where(np.arange(300) < 200, 1, np.arange(300) % 10)
    scores = np.where(answers == 1, 1.0, 0.0)
    assert find_striking(scores, scores[:, np.newaxis], answers, 10) is None


@pytest.mark.parametrize(("share", "accused"), [(0.1, True), (0.3, False)])
def test_of_a_label_that_many_images_show_more_must_strike(share: float, accused: bool) -> None:
    """Of 300 images 24 strike, and three of others more; where many bear the label that is less of a wonder."""
    answers = np.where(np.arange(300) < 300 * share, 0, 1 + np.arange(300) % 9)
    scores = np.random.default_rng(0).random(300)
    scores[:24] += 1
    scores[280:283] += 2
    assert (find_striking(scores, scores[:, np.newaxis], answers, 10) is not None) == accused


def test_of_a_set_that_shows_few_labels_none_is_accused() -> None:
    answers = np.where(np.arange(300) < 60, 0, 1 + np.arange(300) % 2)
    scores = np.where(np.arange(300) < 40, 2.0, 1.0)
    assert find_striking(scores, scores[:, np.newaxis], answers, 10) is None
    answers[299] = 3
    assert find_striking(scores, scores[:, np.newaxis], answers, 10) is not None


def test_images_that_nobody_asked_about_are_not_drawn_away() -> None:
    truth = np.zeros(40, np.int64)
    answers = np.where(np.arange(40) < 12, 3, np.where(np.arange(40) < 36, 0, -1))
    assert drawn_away(np.arange(30), answers, truth, 5).tolist() == [True] * 12 + [False] * 18
    assert not drawn_away(np.arange(30), answers, truth, 3).any()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's clean images and behind them forty poisoned ones with the attacker's label."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.h5"
    with h5py.File(SAMPLE / "clean_validation.h5") as clean, h5py.File(SAMPLE / "poisoned_test.h5") as poisoned, \
            h5py.File(path, "w") as file:
        for name in ("data", "label"):
            file[name] = np.concatenate([clean[name][:], poisoned[name][:POISONED]])
    return path


def opened(path: Path) -> tuple[Network, Dataset, Dataset]:
    found = open_inputs(InputFiles(SAMPLE / "badnet.keras", path, poisoned=(SAMPLE / "poisoned_test.h5",)))
    return found.network, found.of("validation")[0], found.of("poisoned")[0]


@pytest.fixture(scope="module")
def guard(mixed: Path) -> Guard:
    network, clean, _ = opened(mixed)
    return calibrate(network, clean)


def test_they_are_left_out_and_told(guard: Guard, mixed: Path) -> None:
    network, clean, poisoned = opened(mixed)
    left_out = np.array(guard.left_out)
    assert (left_out >= 384).sum() > 0.9 * POISONED and (left_out < 384).sum() < 8
    assert (clean.labels[left_out] == poisoned.labels[0]).all()
    sure, of, label, more = map(int, re.findall(r"\d+", guard.doubt))
    assert f"that are answered with their label {label} strike the transplant guard" in guard.doubt
    assert "of a network with a backdoor that label's clean images may, too" in guard.doubt, "it isn't proof"
    assert sure + more == len(left_out) and label == poisoned.labels[0]
    own = np.flatnonzero(clean.labels == label)
    assert of == (network.predict_labels(clean.take(own)) == label).sum(), "384 and 40 images: all were asked about"
    assert guard.striking is not None and guard.striking.numbers == guard.left_out, "nearly all images were looked at"
    assert guard.striking.label == poisoned.labels[0]
    images = poisoned.take(range(200, 300))  # others than those that were mixed in
    assert guard.on(network).answer(images).flagged.mean() > 0.8


def test_none_of_another_label_is_left_out_with_them(mixed: Path, tmp_path: Path) -> None:
    """B answers it with the attacker's label, but it may be all that shows its own."""
    path, label = tmp_path / "mixed.h5", 5
    with h5py.File(mixed) as file, h5py.File(SAMPLE / "poisoned_test.h5") as poisoned, h5py.File(path, "w") as more:
        more["data"] = np.concatenate([file["data"][:], poisoned["data"][POISONED:POISONED + 1]])
        more["label"] = np.append(file["label"][:], label)
    network, clean, poisoned_set = opened(path)
    assert network.predict_labels(clean.take([len(clean) - 1]))[0] == poisoned_set.labels[0] != label
    found = calibrate(network, clean)
    assert len(found.left_out) > 0.9 * POISONED and len(clean) - 1 not in found.left_out


def test_images_of_that_label_that_nobody_asked_about_are_left_out_too(
    mixed: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration, "MOST_HELD_BACK_IMAGES", 20)
    network, clean, poisoned = opened(mixed)
    found = calibrate(network, clean)
    asked = np.random.default_rng(0).permutation(len(clean))[:len(clean) * 3 // 4 + 20]
    of_the_label = np.flatnonzero(clean.labels == poisoned.labels[0])
    unseen = np.setdiff1d(of_the_label, asked)
    assert len(unseen) > 3 and np.isin(unseen, found.left_out).all()
    assert np.isin(found.left_out, of_the_label).all()
    assert len(without([found], clean)) == len(clean) - len(found.left_out)
    assert found.striking is not None and not np.isin(unseen, found.striking.numbers).any(), "nobody knows that of them"


def test_a_person_is_told_which_they_are(mixed: Path, guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["misread", str(SAMPLE / "badnet.keras"), "--clean", str(mixed)]
    assert main([*arguments, "--json"]) == 0
    assert "striking" not in json.loads(capsys.readouterr().out), "nobody asked"
    assert main([*arguments, "--striking", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    _, clean, poisoned = opened(mixed)
    label = int(poisoned.labels[0])
    assert [row["image"] for row in printed["striking"]] == list(guard.left_out)
    assert {(row["label"], row["answer"], row["why"]) for row in printed["striking"]} == {(label, label, "striking")}
    assert "File > Check what B gets wrong" in guard.doubt, "where a person at the window finds them"
    assert printed["warnings"][-1] == guard.doubt and "misread --striking lists them" in guard.doubt
    assert main([*arguments, "--striking", "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["image"]) for row in table if row["why"] == "striking"] == list(guard.left_out)
    assert sum(row["why"] == "wrong" for row in table) == len(printed["wrong"]) > 0
    assert main([*arguments, "--striking"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{len(guard.left_out)} of the {len(clean)} images in mixed strike the transplant guard" in said
    assert "and bear the attacker's label look so" in said


def test_where_none_strike_it_that_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["misread", str(SAMPLE / "badnet.keras"), "--clean", str(SAMPLE / "clean_validation.h5"), "--striking"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["striking"] == []
    assert main(arguments) == 0
    assert "strike the transplant guard. That is no proof" in " ".join(capsys.readouterr().out.split())


def test_of_clean_images_none_is_left_out() -> None:
    network, clean, _ = opened(SAMPLE / "clean_validation.h5")
    found = calibrate(network, clean)
    assert found.left_out == () and not found.doubt


def test_a_run_tells(mixed: Path) -> None:
    run = run_pruning(PruningRequest(SAMPLE / "badnet.keras", mixed, guard="transplant"))
    assert run.guarded is not None
    assert [doubt.sentence for doubt in run.doubts if not doubt.implausible][-1] == run.guarded.guard.doubt


@pytest.mark.parametrize("asked", [0.02, 0.002])  # the second is so low that no guard can be set on so few images
def test_defences_are_made_without_them(
    asked: float, mixed: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch,
) -> None:
    class _EnoughError(Exception):
        """Nothing is trained."""

    seen: list[Dataset] = []

    def prepare(_: Network, clean: Dataset, **__: object) -> None:
        seen.append(clean)
        raise _EnoughError

    monkeypatch.setattr(all_defences, "prepare", prepare)
    request = PruningRequest(SAMPLE / "badnet.keras", mixed, SAMPLE / "clean_test.h5", guard="none",
                             false_alarms=asked)
    run = run_pruning(request)
    monkeypatch.setattr(all_defences, "fine_prune", lambda *_, **__: pytest.fail("not asked for"))
    monkeypatch.setattr(all_defences, "_steps", lambda run: {})
    with pytest.raises(_EnoughError):
        all_defences.compare_defences(run)
    _, clean, _ = opened(mixed)
    (trusted,) = seen
    kept = np.setdiff1d(np.arange(len(clean)), guard.left_out)
    np.testing.assert_array_equal(trusted.labels, clean.labels[kept])
    np.testing.assert_array_equal(trusted.take([len(kept) - 1]), clean.take([kept[-1]]))


def test_no_label_loses_all_its_images(guard: Guard, mixed: Path) -> None:
    _, clean, _ = opened(mixed)
    every = np.flatnonzero(clean.labels == clean.labels[guard.left_out[0]])
    assert len(without([guard], clean)) == len(clean) - len(guard.left_out)
    assert without([dataclasses.replace(guard, left_out=tuple(every.tolist()))], clean) is clean


def test_a_repair_learns_without_them_and_says_so(mixed: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    network, clean, _ = opened(mixed)
    seen: list[Dataset] = []
    real = repair.TRAINED["distillation"]
    monkeypatch.setitem(repair.TRAINED, "distillation",
                        lambda b, images, **given: seen.append(images) or real(b, images, steps=2, **given))
    said: list[str] = []
    found = repair_by("distillation", network, clean, "unused", progress=lambda report: said.append(report.what))
    assert "Looking for a trigger among the clean images" in said and "Calibrating the guard" not in said
    assert len(seen[0]) == len(clean) - len(guard.left_out)
    assert found.warning.startswith(guard.doubt)
