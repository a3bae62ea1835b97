"""Runs that were kept or saved come back exactly as they were, without computing."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import EngineError, OutputError
from engine.guards.guard_files import open_guard, save_guard
from engine.guards.suspects import Suspects
from engine.pruning.sweep import PruningCurve
from engine.records import autosave
from engine.records.autosave import MOST_KEPT, SAVED_ENDING, keep_run, kept_runs, run_of
from engine.records.project import Project, ProjectFile, last_result
from engine.records.reopening import reopen_run
from engine.records.run_files import run_json, save_run
from engine.records.settings import settings_json
from engine.runs.pairs import build_goodnet
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import rows_of
from tests.support.networks import SmallLab
from tests.support.runs import made_up_run


def assert_same_curve(one: PruningCurve, other: PruningCurve) -> None:
    assert one.layer == other.layer and one.order.tolist() == other.order.tolist()
    for mine, yours in zip(one.sets, other.sets, strict=True):
        for field in dataclasses.fields(mine):
            if field.name == "answers":
                continue  # what comes of it is written, the doubts
            np.testing.assert_array_equal(getattr(mine, field.name), getattr(yours, field.name), err_msg=field.name)


def assert_same(one: PruningRun, other: PruningRun) -> None:
    """Everything a person sees of a run: curve, ranking, tables, verdicts, comparison and guard."""
    assert_same_curve(one.curve, other.curve)
    assert rows_of(one) == rows_of(other)
    np.testing.assert_array_equal(one.ranking.mean_activation, other.ranking.mean_activation)
    assert one.ranking.source == other.ranking.source
    assert (one.request, one.model, one.datasets) == (other.request, other.model, other.datasets)
    assert (one.device, one.comparison) == (other.device, other.comparison)
    assert [(d.sentence, d.implausible) for d in one.doubts] == [(d.sentence, d.implausible) for d in other.doubts]
    assert (one.guarded is None) == (other.guarded is None)
    if one.guarded and other.guarded:
        for mine, yours in zip((one.guarded.clean, *one.guarded.poisoned),
                               (other.guarded.clean, *other.guarded.poisoned), strict=True):
            np.testing.assert_array_equal(mine.goodnet_correct, yours.goodnet_correct)
            assert mine.role == yours.role
        assert one.guarded.before == other.guarded.before
        assert one.guarded.guard.threshold == other.guarded.guard.threshold
        assert one.guarded.guard.striking == other.guarded.guard.striking
        np.testing.assert_array_equal(one.guarded.guard.donors.images, other.guarded.guard.donors.images)
    without = ("seconds",)
    mine, yours = (run_json(run, rows_of(run)) for run in (one, other))
    assert {k: v for k, v in mine.items() if k not in without} == {k: v for k, v in yours.items() if k not in without}


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_run_comes_back_as_it_was(seed: int, tmp_path: Path) -> None:
    run = made_up_run(seed=seed)
    folder = keep_run(run, tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["guard.npz", "manifest.json", "run.json"]
    assert_same(run, reopen_run(folder))


@pytest.mark.parametrize("file", ["run.json", "guard.npz"])
def test_a_run_whose_file_was_edited_says_so_and_gives_no_verdict(file: str, tmp_path: Path) -> None:
    folder = keep_run(made_up_run(), tmp_path)
    if file == "run.json":
        document = json.loads((folder / file).read_text(encoding="utf-8"))
        for key in ("b_prime_asr", "goodnet_asr"):
            document["curve"]["poisoned"][0][key] = [0.0] * len(document["curve"]["poisoned"][0][key])
        (folder / file).write_text(json.dumps(document), encoding="utf-8")
    else:
        guard = open_guard(folder / file)
        save_guard(dataclasses.replace(guard, threshold=guard.threshold + 1), folder / file)
    first, *_ = reopen_run(folder).doubts
    assert first.implausible and file in first.sentence and "changed after this run was saved" in first.sentence


def test_of_a_run_without_its_manifest_nobody_knows_whether_it_was_edited(tmp_path: Path) -> None:
    """Nor of one that no version of this program would have written."""
    folder = keep_run(made_up_run(), tmp_path)
    before = reopen_run(folder).doubts
    (folder / "manifest.json").unlink()
    first, *others = reopen_run(folder).doubts
    assert first.sentence.startswith("No manifest.json") and not first.implausible and tuple(others) == before
    guarded = folder / "badnet-guarded"
    guarded.mkdir()
    (guarded / "guard.npz").write_bytes((folder / "guard.npz").read_bytes())
    (guarded / "manifest.json").write_text(json.dumps({"written_by": "GoodNet", "files": {"guard.npz": "0" * 64}}))
    edited, unknown, *_ = reopen_run(folder).doubts
    assert edited.implausible and "guard.npz was changed" in edited.sentence
    assert unknown.sentence == first.sentence, "neither hides the other"


def _all_right(document: dict[str, Any]) -> None:
    document["curve"]["test"]["goodnet_accuracy"] = [1.0] * len(document["curve"]["test"]["goodnet_accuracy"])


def _disagreeing(document: dict[str, Any]) -> None:
    document["curve"]["validation"]["false_alarm_rate"][0] = 1.0


def _better(document: dict[str, Any]) -> None:
    poisoned = document["curve"]["poisoned"][1]
    poisoned["goodnet_asr"][-1], poisoned["detection_rate"][-1] = 1.0, 1.0


@pytest.mark.parametrize(("change", "name"), [(_all_right, "test"), (_disagreeing, "valid"), (_better, "eyes")])
def test_figures_that_no_pair_has_are_no_run(
    change: Callable[[dict[str, Any]], None], name: str, tmp_path: Path,
) -> None:
    folder = keep_run(made_up_run(), tmp_path)
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    change(document)
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(EngineError, match=f"a GoodNet on {name} that can't be"):
        reopen_run(folder)


def with_striking(run: PruningRun, numbers: tuple[int, ...]) -> PruningRun:
    assert run.guarded is not None
    guard = dataclasses.replace(run.guarded.guard, striking=Suspects(1, numbers))
    return dataclasses.replace(run, guarded=dataclasses.replace(run.guarded, guard=guard))


def test_images_that_the_guard_left_out_come_back(tmp_path: Path) -> None:
    run = with_striking(made_up_run(), (3, 8))
    found = reopen_run(keep_run(run, tmp_path))
    assert_same(run, found)
    assert found.guarded is not None and found.guarded.guard.striking == Suspects(1, (3, 8))


def test_images_that_the_set_never_had_are_damage(tmp_path: Path) -> None:
    run = made_up_run()
    folder = keep_run(with_striking(run, (3, run.datasets[0].images)), tmp_path)
    with pytest.raises(EngineError, match="an image that strikes the guard isn't one of"):
        reopen_run(folder)


def test_without_test_set_guard_and_comparison(tmp_path: Path) -> None:
    run = made_up_run()
    curve = dataclasses.replace(run.curve, test=None, poisoned=())
    request = dataclasses.replace(run.request, test=None, poisoned=(), order=Path("order.json"), guard="none")
    run = dataclasses.replace(
        run, curve=curve, request=request, guarded=None, comparison=None, datasets=run.datasets[:1],
        ranking=dataclasses.replace(run.ranking, source="order.json", mean_activation=np.full(60, np.nan)))
    assert_same(run, reopen_run(keep_run(run, tmp_path)))


@pytest.mark.parametrize("guard", ["none", "transplant"])
def test_a_saved_run_comes_back_and_its_pairs_are_built_again(guard: str, small_lab: SmallLab, tmp_path: Path) -> None:
    request = PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,), drops=(2, 30),
                             guard="transplant" if guard == "transplant" else "none", false_alarms=0.1)
    run = run_pruning(request)
    save_run(run, tmp_path / "out")
    again = reopen_run(tmp_path / "out")
    assert_same(run, again)
    row = rows_of(again)[-1]
    built, expected = build_goodnet(again, row), build_goodnet(run, row)
    for one, other in zip(built.b_prime.model.get_weights(), expected.b_prime.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_newest_ten_are_kept_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime(2026, 12, 31, 23, 59, 50, 1)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return now

    (tmp_path / "notes").mkdir()
    run = dataclasses.replace(made_up_run(channels=5), guarded=None)
    monkeypatch.setattr(autosave.datetime, "datetime", Clock)
    folders = []
    for _ in range(MOST_KEPT + 3):
        now += datetime.timedelta(seconds=7)
        folders.append(keep_run(run, tmp_path))
    found = kept_runs(tmp_path)
    assert [kept.folder for kept in found] == folders[:2:-1]
    assert found[0].kept_at == now
    assert_same(found[0].run, run)
    assert found[0].text.startswith("2027-01-01 00:01  bd.h5: ")
    assert (tmp_path / "notes").is_dir() and len(list(tmp_path.iterdir())) == MOST_KEPT + 1
    (found[0].folder / "run.json").write_text("{")
    assert [kept.folder for kept in kept_runs(tmp_path)] == folders[-2:2:-1]


def test_a_run_that_is_kept_after_the_clock_was_set_back_is_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime.datetime(2026, 12, 31, 23, 59, 59, 999_990)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return now

    run = dataclasses.replace(made_up_run(channels=5), guarded=None)
    monkeypatch.setattr(autosave.datetime, "datetime", Clock)
    for _ in range(MOST_KEPT):
        keep_run(run, tmp_path)
    now -= datetime.timedelta(hours=2)
    folder = keep_run(run, tmp_path)
    assert folder.is_dir() and kept_runs(tmp_path)[0].folder == folder
    assert len(list(tmp_path.iterdir())) == MOST_KEPT


def test_where_nothing_was_kept_nothing_is_found(tmp_path: Path) -> None:
    assert kept_runs(tmp_path / "nowhere") == ()


def test_where_nothing_can_be_kept_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        keep_run(made_up_run(channels=5), tmp_path / "file" / "runs")


@pytest.mark.parametrize(("change", "words"), [
    (lambda d: d.clear(), "lacks 'model'"), (lambda d: d["pruning_order"].insert(0, 3), "order"),
    (lambda d: d["curve"]["validation"]["goodnet_accuracy"].pop(), "steps"),
    (lambda d: d["curve"]["validation"].update(images=11_548), "isn't a share"),
    (lambda d: d["curve"]["poisoned"][0].update(target=-1), "isn't a count"),
    (lambda d: d["settings"].update(drops=[1000]), "drop"), (lambda d: d["settings"].update(stop="never"), "never"),
    (lambda d: d["comparison"][0].update(guard="transplant"), "begin with B alone"),
    (lambda d: d["comparison"][0].update(poisoned=[]), "the same attacks"),
    (lambda d: d["mean_activation"].pop(), "mean activation"), (lambda d: d.update(datasets=[]), "out of range")])
def test_a_damaged_run_is_refused(change: object, words: str, tmp_path: Path) -> None:
    folder = keep_run(made_up_run(), tmp_path)
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert callable(change)
    change(document)
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(EngineError, match=rf"run\.json: isn't a saved run.*{words}"):
        reopen_run(folder)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"holds no run\.json"):
        reopen_run(tmp_path)


def test_a_run_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It lacks what was added since: figures of all sets, B's own on the guard's images, and what is doubtful."""
    run = dataclasses.replace(made_up_run(), doubts=())
    poor = run.curve.validation
    poor = dataclasses.replace(poor, correct=poor.correct * 8 // 10, goodnet_correct=poor.goodnet_correct * 8 // 10)
    run = dataclasses.replace(run, curve=dataclasses.replace(run.curve, validation=poor))
    folder = keep_run(run, tmp_path)
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for key in ("warnings", "implausible_input", "versions"):
        del document[key]
    for row in (document["badnet"], document["badnet_guarded"], *document["goodnets"], *document["comparison"],
                *(row["guarded"] for row in document["goodnets"])):
        del row["poisoned"]
    for row in document["comparison"]:
        del row["badnet_clean_accuracy"]
    guarded = document["guard"]["curve"]
    del guarded["poisoned_sets"], guarded["before"], document["guard"]["measured_on"]
    for counts in (*document["curve"]["poisoned"], guarded["poisoned"]):
        del counts["reconstructed"]
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    found = reopen_run(folder)
    assert_same_curve(found.curve, run.curve)
    assert found.versions == {}
    assert found.guarded is not None and run.guarded is not None and run.comparison is not None
    # Behind the guard only the first set was counted; so nobody knows what it does with the other, and that is said.
    assert [counts.name for counts in found.guarded.poisoned] == ["sun \u2600"]
    assert any("earlier version" in doubt.sentence for doubt in found.doubts) and not found.plausible
    # That B is right on 80 % is a doubt only where a cause was found.
    assert not any("of valid right." in doubt.sentence for doubt in found.doubts), found.doubts
    assert found.guarded.before == (run.curve.clean.b_prime_rate(0), run.curve.poisoned[0].b_prime_rate(0))
    assert found.comparison is not None
    for now, then in zip(found.comparison.rows, run.comparison.rows, strict=True):
        assert (now.clean, now.false_alarms, now.seconds) == (then.clean, then.false_alarms, then.seconds)
        assert (now.attacks[0].success, now.attacks[0].robust) == (then.attacks[0].success, then.attacks[0].robust)
    alone = dataclasses.replace(run, curve=dataclasses.replace(run.curve, poisoned=run.curve.poisoned[:1]))
    assert rows_of(dataclasses.replace(found, curve=alone.curve, doubts=()))


def test_a_run_on_relative_paths_is_whole_wherever_it_is_opened(
    small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(small_lab.badnet.parent)
    files = [Path(path.name) for path in (small_lab.badnet, small_lab.clean, small_lab.test, small_lab.poisoned)]
    run = run_pruning(PruningRequest(files[0], files[1], files[2], (files[3],), drops=(2,)))
    save_run(run, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    again = reopen_run(tmp_path / "out")
    assert again.request.model == again.model.path == small_lab.badnet.parent / files[0]
    assert build_goodnet(again, rows_of(again)[0]).b.sha256 == run.model.sha256
    assert [found.path.is_file() for found in again.datasets] == [True] * 3


def test_a_folder_that_isn_t_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="there is no such folder"):
        reopen_run(tmp_path / "missing")


def project_of(run: PruningRun) -> Project:
    """The project of a run's files and options as it was made."""
    files = (ProjectFile("model", run.model.path, run.model.sha256),
             *(ProjectFile(found.role, found.path, found.sha256) for found in run.datasets))
    settings = settings_json(dataclasses.replace(run.request, layer=run.model.layer))
    return Project(files, settings, last_result(run, rows_of(run)))


def test_a_project_s_run_is_the_one_of_its_files_options_and_result(tmp_path: Path) -> None:
    runs = [dataclasses.replace(made_up_run(seed=seed), doubts=(), comparison=None) for seed in (1, 2, 3)]
    _, folder, _ = (keep_run(run, tmp_path / "kept") for run in runs)
    run, project = runs[1], project_of(runs[1])
    found = run_of(project, tmp_path, tmp_path / "kept")
    assert found is not None and found[0] == folder
    assert_same(found[1], run)
    changed = dataclasses.replace(project.files[1], sha256="0" * 64)
    assert project.result is not None
    for other in (dataclasses.replace(project, result=None),
                  dataclasses.replace(project, result=dataclasses.replace(project.result, clean_accuracy=0.5)),
                  dataclasses.replace(project, files=(project.files[0], changed, *project.files[2:])),
                  dataclasses.replace(project, settings={**project.settings, "guard": "margin"})):
        assert run_of(other, tmp_path, tmp_path / "kept") is None
    moved = dataclasses.replace(project, files=tuple(
        dataclasses.replace(file, path=tmp_path / "moved" / file.path.name) for file in project.files))
    there = run_of(moved, tmp_path, tmp_path / "kept")
    assert there is not None and there[0] == folder, "a hash says which file it is"
    assert there[1].request == dataclasses.replace(moved.request, layer=run.request.layer, drops=run.request.drops)
    assert (there[1].model.path, *(found.path for found in there[1].datasets)) == tuple(f.path for f in moved.files)
    assert_same_curve(there[1].curve, run.curve)
    folder.rename(tmp_path / f"{run.model.path.stem}{SAVED_ENDING}")
    beside = run_of(project, tmp_path, tmp_path / "kept")
    assert beside is not None and beside[0].parent == tmp_path
