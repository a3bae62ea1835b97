"""prune --project: what the window saved is run as it stands; what is typed beside it wins."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.__main__ import AT_FAULT, DONE, USAGE, main
from engine.cli.parser import parse
from engine.records.project import make_project, save_project
from engine.runs.prune import PruningRequest
from tests.support.networks import LABELS, SmallLab, build, stored


@pytest.fixture
def project(lab: SmallLab, tmp_path: Path) -> Path:
    """A project beside copies of the small lab's files, with every setting another than the default."""
    order = lab.badnet.with_name("order.json")
    order.write_text("[8, 7, 6, 5, 4, 3, 2, 1, 0]")
    request = PruningRequest(lab.badnet, lab.clean, lab.test, (lab.poisoned,), layer="pruned", scale="none",
                             order=order, drops=(3.0, 20.0), drop_mode="relative", stop="last-within",
                             guard="margin", false_alarms=0.1)
    save_project(make_project(request), tmp_path / "work" / "small.goodnet")
    return tmp_path / "work" / "small.goodnet"


def answer(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Any:
    assert main(["prune", *map(str, words), "--json"]) == DONE
    return json.loads(capsys.readouterr().out)


def without_time(run: Any) -> Any:
    return {key: value for key, value in run.items() if key != "seconds"}


def test_a_project_runs_as_its_options_would(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = project.parent.parent / "lab"
    by_project = answer(capsys, "--project", project)
    by_options = answer(
        capsys, lab / "badnet.keras", "--clean", lab / "clean.h5", "--test", lab / "test.h5", "--poisoned",
        lab / "poisoned.h5", "--layer", "pruned", "--scale", "none", "--order", lab / "order.json", "--drop", "3", "20",
        "--drop-mode", "relative", "--stop", "last-within", "--guard", "margin", "--false-alarms", "0.1")
    assert without_time(by_project) == without_time(by_options)
    assert by_project["settings"]["guard"] == "margin" and by_project["pruning_order"] == list(range(8, -1, -1))


def test_what_is_typed_wins_even_where_it_is_the_default(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = project.parent.parent / "lab"
    shutil.copy(lab / "clean.h5", lab / "other.h5")
    found = answer(capsys, "--guard", "none", "--project", project, "--drop", "2", "--clean", lab / "other.h5")
    assert found["settings"]["guard"] == "none" and found["settings"]["drops"] == [2.0]
    assert found["datasets"][0]["path"] == str(lab / "other.h5")
    assert found["settings"]["stop"] == "last-within"


def test_a_repeated_option_adds_to_what_is_typed_and_not_to_the_project(project: Path) -> None:
    for given, before in ((["m.h5", "--clean", "c.h5"], []), (["--project", str(project)], ["poisoned.h5"])):
        assert [Path(path).name for path in parse(["prune", *given]).poisoned] == before
        found = parse(["prune", *given, "--poisoned", "a.h5", "--drop", "3", "--poisoned", "b.h5", "c.h5", "--drop=5"])
        assert (found.poisoned, found.drop) == (["a.h5", "b.h5", "c.h5"], [3.0, 5.0])
    assert parse(["examine", "m.h5", "--clean", "c.h5", "--labels", "1", "--labels", "2"]).labels == [1, 2]


@pytest.mark.parametrize("words", [
    ["prune", "m.h5", "--clean", "c.h5"], ["evaluate", "g", "--test", "t.h5"], ["check", "b.h5", "b2.h5", "p.png"]])
def test_a_preprocessing_that_begins_as_options_do_can_be_typed(words: list[str]) -> None:
    for typed in (["--preprocess", "-1..1"], ["--preprocess=-1..1"]):
        assert parse([*words, *typed]).scale == "-1..1"


def test_a_run_s_folder_is_written_from_anywhere(
        project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(project.parent)
    before = project.read_bytes()
    assert main(["prune", "--project", project.name, "--out", "out"]) == DONE
    assert (project.parent / "out" / "run.json").is_file() and project.read_bytes() == before
    assert "Saved in out" in capsys.readouterr().out


NAMES = tuple(f"name {LABELS - label:02}" for label in range(LABELS))


def named_project(lab: SmallLab, folder: Path, own_names: bool) -> Path:
    """A project whose names, a person's or its model's, aren't in the alphabet's order, and whose labels are words."""
    images, numbers = stored(lab.clean)
    with h5py.File(folder / "words.h5", "w") as file:
        file["data"] = images.transpose(0, 3, 1, 2).astype(np.uint8)
        file.create_dataset("label", data=np.array([NAMES[n] for n in numbers], object), dtype=h5py.string_dtype())
    model = Path(shutil.copy(lab.badnet, folder))
    request = PruningRequest(model, folder / "words.h5", scale="none", drops=(), classes=NAMES)
    save_project(make_project(request, own_names=own_names), folder / "named.goodnet")
    return folder / "named.goodnet"


def test_names_of_a_project_are_those_of_words_in_a_file(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = named_project(small_lab, tmp_path, own_names=False)
    by_numbers = answer(capsys, small_lab.badnet, "--clean", small_lab.clean, "--scale", "none")
    found = answer(capsys, "--project", named)
    assert found["model"]["classes"] == list(NAMES)
    for run in (found, by_numbers):
        del run["curve"]["validation"]["name"]
    assert found["curve"]["validation"] == by_numbers["curve"]["validation"]
    (tmp_path / "list.txt").write_text("\n".join(sorted(NAMES)))
    assert answer(capsys, "--project", named, "--classes", tmp_path / "list.txt")["model"]["classes"] == sorted(NAMES)


@pytest.mark.parametrize("own_names", [True, False])
def test_names_that_came_with_a_project_s_model_are_no_other_model_s(
        own_names: bool, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = named_project(small_lab, tmp_path, own_names)
    build("plain", seed=1)[0].save(tmp_path / "other.keras")
    moved = Path(shutil.move(tmp_path / "badnet.keras", tmp_path / "moved.keras"))
    answer(capsys, moved, tmp_path / "other.keras", "--project", named, "--clean", small_lab.clean,
           "--out", tmp_path / "out")
    for model, classes in (("moved", NAMES), ("other", () if own_names else NAMES)):
        run = json.loads((tmp_path / "out" / model / "run.json").read_text(encoding="utf-8"))
        assert run["model"]["classes"] == list(classes)


def test_a_model_that_can_t_be_read_stops_no_other_of_a_project(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named, broken = named_project(small_lab, tmp_path, own_names=False), tmp_path / "broken.keras"
    broken.write_bytes(b"not a model")
    assert main(["prune", str(tmp_path / "badnet.keras"), str(broken), "--project", str(named),
                 "--out", str(tmp_path / "out")]) == AT_FAULT
    assert "broken.keras" in capsys.readouterr().err and (tmp_path / "out" / "badnet" / "run.json").is_file()


def test_names_of_a_project_are_no_names_of_a_model_with_another_number_of_labels(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The window leaves them out likewise."""
    named = named_project(small_lab, tmp_path, own_names=False)
    document = json.loads(named.read_text(encoding="utf-8"))
    document["settings"]["classes"].append("one more")
    named.write_text(json.dumps(document), encoding="utf-8")
    assert answer(capsys, "--project", named, "--clean", small_lab.clean)["model"]["classes"] == []


@pytest.mark.parametrize(("name", "option", "change", "words"), [
    ("test.h5", "--test", "move", "isn't there any more"), ("poisoned.h5", "--poisoned", "edit", "isn't what it was"),
    ("badnet.keras", "MODEL", "edit", "isn't what it was"), ("order.json", "--order", "move", "isn't there any more")])
def test_a_moved_or_changed_file_is_named_with_the_remedy(
        name: str, option: str, change: str, words: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, there = project.parent.parent / "lab" / name, project.parent.parent / name
    path.rename(there)
    if change == "edit":
        path.write_bytes(there.read_bytes() + b" ")
    assert main(["prune", "--project", str(project)]) == AT_FAULT
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert str(path) in said.err and words in said.err and f"with {option} beside" in said.err
    found = answer(capsys, *([] if option == "MODEL" else [option]), there, "--project", project)
    used = {found["model"]["path"], found["settings"]["order"], *(d["path"] for d in found["datasets"])}
    assert os.fspath(there) in used


@pytest.mark.parametrize(("name", "typed"), [
    ("badnet.keras", []), ("clean.h5", ["--clean"]), ("poisoned.h5", ["--poisoned"]), ("order.json", ["--order"])])
def test_a_changed_file_is_used_once_its_very_path_is_typed(
        name: str, typed: list[str], project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.parent.parent / "lab" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert main(["prune", "--project", str(project)]) == AT_FAULT
    assert "isn't what it was" in capsys.readouterr().err
    found = answer(capsys, *typed, path, "--project", project)
    used = {found["model"]["path"], found["settings"]["order"], *(d["path"] for d in found["datasets"])}
    assert str(path) in used


def test_a_project_s_file_whose_name_is_too_long_isnt_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(project.read_text())
    document["files"]["model"]["path"] = "a" * 300
    project.write_text(json.dumps(document))
    assert main(["prune", "--project", str(project)]) == AT_FAULT
    assert "isn't there any more" in capsys.readouterr().err


def test_faults_of_the_project_and_of_usage(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--project", str(project.parent / "no.goodnet")]) == AT_FAULT
    assert "no.goodnet: can't be read" in capsys.readouterr().err
    project.write_text("{}")
    assert main(["prune", "--project", str(project)]) == AT_FAULT
    assert "isn't a GoodNet project" in capsys.readouterr().err
    for words, lacking in ((["prune"], "MODEL, --clean"), (["prune", "m.keras"], "--clean"),
                           (["prune", "--clean", "c.h5"], "MODEL")):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == USAGE
        assert f"required: {lacking} (or --project)" in capsys.readouterr().err
