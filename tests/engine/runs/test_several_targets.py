"""A run on one poisoned file with several targets equals the run on a file for each, everywhere that it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.__main__ import main
from engine.assessment import with_target
from engine.defences.comparison import BADNET, Defence, compare
from engine.pruning.cluster import _open_source, _source
from engine.records.autosave import keep_run, kept_runs
from engine.records.reopening import reopen_run
from engine.records.run_files import run_json, save_run
from engine.reports.headline import headline
from engine.reports.run_differences import differences
from engine.runs.opening.inputs import open_inputs
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import rows_of
from tests.support.networks import LABELS, Array, SmallLab, build, random_images, save_lab_file

TARGETS = (1, 2, 4)


@pytest.fixture(scope="module")
def drawn() -> dict[int, Array]:
    """Images that B answers with each target, except for every tenth."""
    images = random_images(3000, seed=21)
    model, _ = build("plain")
    answers = model.predict(images, verbose=0).argmax(axis=1)
    return {target: np.concatenate([images[answers == target][:27], images[answers != target][:3]])
            for target in TARGETS}


@pytest.fixture(scope="module")
def folder(drawn: dict[int, Array], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of all targets, its images in turns, and a file for each."""
    made = tmp_path_factory.mktemp("targets")
    save_lab_file(made / "bad.h5", np.stack(list(drawn.values()), axis=1).reshape(-1, *drawn[1].shape[1:]),
                  np.tile(TARGETS, 30))
    for target, images in drawn.items():
        save_lab_file(made / f"bad (target {target}).h5", images, np.full(30, target))
    return made


def request(lab: SmallLab, *poisoned: Path) -> PruningRequest:
    return PruningRequest(lab.badnet, lab.clean, lab.test, poisoned, scale="none", guard="margin", false_alarms=0.1)


@pytest.fixture(scope="module")
def run(small_lab: SmallLab, folder: Path) -> PruningRun:
    return run_pruning(request(small_lab, folder / "bad.h5"))


@pytest.fixture(scope="module")
def apart(small_lab: SmallLab, folder: Path) -> PruningRun:
    return run_pruning(request(small_lab, *(folder / f"bad (target {target}).h5" for target in TARGETS)))


def document(run: PruningRun) -> Any:
    return json.loads(json.dumps(run_json(run, rows_of(run))))


def test_the_run_is_that_on_a_file_for_each_target(run: PruningRun, apart: PruningRun) -> None:
    one, several = document(run), document(apart)
    for key in ("curve", "goodnets", "badnet", "badnet_guarded", "guard"):
        assert one[key] == several[key], key
    assert [p["name"] for p in one["curve"]["poisoned"]] == [f"bad (target {target})" for target in TARGETS]
    assert [p["target"] for p in one["curve"]["poisoned"]] == list(TARGETS)
    assert [p["b_prime_asr"][0] for p in one["curve"]["poisoned"]] == [0.9] * 3
    # The file is one, and is told once.
    assert [(d["name"], d["images"], d["labels"]) for d in one["datasets"] if d["role"] == "poisoned"] == [
        ("bad", 90, 3)]


def test_it_comes_back_as_it_was(run: PruningRun, tmp_path: Path) -> None:
    keep_run(run, tmp_path / "kept")
    save_run(run, tmp_path / "out")
    for place in (kept_runs(tmp_path / "kept")[0].folder, tmp_path / "out"):
        again = reopen_run(place)
        assert again.request.poisoned == run.request.poisoned
        assert document(again)["curve"] == document(run)["curve"]
    assert "bad (target 4)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_runs_on_such_files_can_be_compared(small_lab: SmallLab, folder: Path, run: PruningRun) -> None:
    other = run_pruning(PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (folder / "bad.h5",),
                                       scale="none", rank_at="pool"))
    found = [d.what for d in differences([run, other])]
    assert not any("Poisoned images" in what for what in found)
    apart = {one.name for one, two in zip(run.curve.poisoned, other.curve.poisoned, strict=True)
             if (one.goodnet_correct != two.goodnet_correct).any()}
    assert apart and apart == {name for name in map("bad (target {})".format, TARGETS)
                               if any(what.startswith(f"Attack success on {name},") for what in found)}
    np.testing.assert_array_equal(run.curve.poisoned[2].correct[0], other.curve.poisoned[2].correct[0])


def test_words_name_the_target_once(run: PruningRun) -> None:
    best = headline(run, rows_of(run))
    assert best is not None
    assert "bad (target 1) " in best.sentence and "(target 1) (target" not in best.sentence
    assert with_target("bad", 3) == with_target("bad (target 3)", 3) == "bad (target 3)"


def test_evaluate_and_repair_take_it(
    small_lab: SmallLab, folder: Path, run: PruningRun, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    save_run(run, tmp_path / "out")
    rows = rows_of(run)
    where = tmp_path / "out" / document(run)["goodnets"][0]["path"]
    assert main(["evaluate", str(where), "--test", str(small_lab.test), "--poisoned", str(folder / "bad.h5"),
                 "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["poisoned"]
    assert [(p["name"], p["target"]) for p in found] == [(f"bad (target {t})", t) for t in TARGETS]
    assert [p["goodnet_asr"] for p in found] == [attack.success.value for attack in rows[0].attacks]


def test_a_clusters_worker_opens_the_same_part(small_lab: SmallLab, folder: Path) -> None:
    opened = open_inputs(request(small_lab, folder / "bad.h5"))
    for part in opened.of("poisoned"):
        there = _open_source(_source(part), opened.network)
        assert there.name == part.name
        np.testing.assert_array_equal(there.labels, part.labels)
        np.testing.assert_array_equal(there.take([0, 29]), part.take([0, 29]))


# All to all


@pytest.fixture(scope="module")
def all_to_all(small_lab: SmallLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test images with a corner of other values, each to be answered with the label after its own."""
    with h5py.File(small_lab.test) as file:
        images, labels = file["data"][()].transpose(0, 2, 3, 1), file["label"][()].astype(int)
    images[:, :2, :2] = 255 - images[:, :2, :2]
    return save_lab_file(tmp_path_factory.mktemp("all") / "all.h5", images, (labels + 1) % LABELS)


def test_all_to_all_is_one_set_and_counts_each_images_own_target(
    small_lab: SmallLab, all_to_all: Path, tmp_path: Path,
) -> None:
    run = run_pruning(request(small_lab, all_to_all))
    counts, = run.curve.poisoned
    with h5py.File(all_to_all) as file:
        images, wanted = file["data"][()].transpose(0, 2, 3, 1), file["label"][()].astype(int)
    answers = build("plain")[0].predict(images.astype(np.float32), verbose=0).argmax(axis=1)
    assert (counts.name, counts.target, counts.images) == ("all", None, 60)
    assert counts.correct[0] == (answers == wanted).sum()
    assert document(run)["curve"]["poisoned"][0]["target"] is None
    assert any("B answers each image's own target on" in doubt.sentence for doubt in run.doubts)
    save_run(run, tmp_path / "out")
    assert document(reopen_run(tmp_path / "out"))["curve"] == document(run)["curve"]

    opened = open_inputs(request(small_lab, all_to_all))
    row, = compare(opened.network, [Defence(BADNET, None, 0)], [], *opened.of("test"), opened.of("poisoned")).rows
    assert row.attacks[0].target is None and row.attacks[0].success.count == (answers == wanted).sum()


def test_a_clean_set_as_a_poisoned_one_is_refused(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    for command in (["prune", str(small_lab.badnet)], ["repair", str(small_lab.badnet), "--out", str(tmp_path / "o")]):
        assert main([*command, "--clean", str(small_lab.clean), "--poisoned", str(small_lab.test)]) == 1
        assert f"{small_lab.test}: holds {LABELS} different labels, as a clean set does" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_sets_whose_files_have_one_name_are_told_apart(
        small_lab: SmallLab, drawn: dict[int, Array], tmp_path: Path) -> None:
    paths = []
    for target, name in ((1, "a/bad.h5"), (2, "b/bad.h5"), (4, "c/bad 2.h5")):
        paths.append(tmp_path / name)
        paths[-1].parent.mkdir()
        save_lab_file(paths[-1], drawn[target], np.full(30, target))
    run = run_pruning(request(small_lab, *paths))
    assert [counts.name for counts in run.curve.poisoned] == ["bad", "bad 2", "bad 2 2"]
    assert [found.name for found in run.datasets if found.role == "poisoned"] == ["bad", "bad 2", "bad 2 2"]
    opened = open_inputs(run.request)
    row, = compare(opened.network, [Defence(BADNET, None, 0)], [], *opened.of("test"), opened.of("poisoned")).rows
    assert len({attack.name for attack in row.attacks}) == 3
