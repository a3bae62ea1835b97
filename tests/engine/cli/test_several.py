"""Several models in a row: each with a run like its own alone; what fails is named; what is done stays."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.__main__ import AT_FAULT, DONE, INTERRUPTED, main
from engine.cli.progress_line import ProgressLine
from engine.cli.several import folders_of
from engine.progress import Progress
from tests.support.networks import SmallLab, save_lab_file, stored


@pytest.fixture
def models(small_lab: SmallLab, tmp_path: Path) -> list[Path]:
    """Two copies of the BadNet in folders of their own, and between them a file that is no model."""
    paths = [tmp_path / "a" / "one.keras", tmp_path / "broken.keras", tmp_path / "b" / "one.keras"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(small_lab.badnet, path)
    paths[1].write_text("no model")
    return paths


def arguments(lab: SmallLab, models: list[Path], *more: object) -> list[str]:
    return ["prune", *map(str, models), *lab.prune()[2:], "--drop", "4", *map(str, more)]


def few(lab: SmallLab, folder: Path) -> Path:
    """Clean images of three labels, which may be taken for a poisoned set's targets."""
    images, labels = stored(lab.test)
    some = np.isin(labels, np.unique(labels)[:3])
    return save_lab_file(folder / "few.h5", images[some], labels[some])


def document(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_each_model_gets_the_run_it_gets_alone_and_a_bad_one_is_named(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert main(arguments(small_lab, models, "--out", out)) == AT_FAULT
    said = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == {"one", "one-2"}
    assert main(arguments(small_lab, models[:1], "--out", tmp_path / "alone")) == DONE
    capsys.readouterr()
    alone = document(tmp_path / "alone")
    for name, model in (("one", models[0]), ("one-2", models[2])):
        found = document(out / name)
        assert found["model"]["path"] == str(model)
        for key in ("pruning_order", "mean_activation", "curve", "goodnets"):
            assert found[key] == alone[key]
    lines = said.out.splitlines()
    rows = [line for line in lines if line.startswith("one.keras")]
    clean, attack = (alone["badnet"][key] for key in ("clean_accuracy", "attack_success_rate"))
    for row, folder in zip(rows, ("one", "one-2"), strict=True):
        assert str(out / folder) in row
        assert re.search(rf"{100 * clean:g} % +{100 * attack:g} % ", row)
    assert any(line.startswith("broken.keras") and "failed" in line for line in lines)
    first, last = said.err.splitlines()
    assert first.startswith(f"goodnet: {models[1]}: ")
    assert last.startswith("goodnet: broken.keras: failed") and "other 2 of 3 models" in last


def test_json_holds_a_summary_a_model(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert main(arguments(small_lab, models, "--out", out, "--json")) == AT_FAULT
    one, broken, two = json.loads(capsys.readouterr().out)["runs"]
    assert [run["folder"] for run in (one, broken, two)] == [str(out / "one"), None, str(out / "one-2")]
    assert broken["best"] is None and "broken.keras" in broken["failure"]
    written = document(out / "one")
    (goodnet,) = written["goodnets"]
    assert one["failure"] is None
    assert one["badnet"] == written["badnet"] == two["badnet"]
    assert one["best"]["clean_accuracy"] == goodnet["clean_accuracy"]
    assert one["best"]["attack_success_rate"] == goodnet["attack_success_rate"]


def test_what_is_doubtful_is_said_of_each_model_by_its_path(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    data = ["--clean", str(small_lab.clean), "--poisoned", str(few(small_lab, tmp_path)), "--drop", "4"]
    given = ["prune", str(models[0]), str(models[2]), *data]
    assert main(["prune", str(models[0]), *data, "--json"]) == DONE
    alone = json.loads(capsys.readouterr().out)["warnings"]
    assert any("taken as the attacker's targets" in sentence for sentence in alone)
    assert main([*given, "--json"]) == DONE
    assert [run["warnings"] for run in json.loads(capsys.readouterr().out)["runs"]] == [alone, alone]
    assert main(given) == DONE
    lines = capsys.readouterr().out.splitlines()
    expected = [f"Warning: {model}: {sentence}" for model in (models[0], models[2]) for sentence in alone]
    assert lines[:len(expected)] == expected


def test_ctrl_c_keeps_what_is_done(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(self: ProgressLine, _: Progress) -> None:
        if "3 of 3" in self._heading:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressLine, "__call__", interrupt)
    out = tmp_path / "out"
    assert main(arguments(small_lab, models, "--out", out)) == INTERRUPTED
    said = capsys.readouterr()
    assert [path.name for path in out.iterdir()] == ["one"]
    assert document(out / "one")["model"]["path"] == str(models[0])
    assert "cancelled; 1 of 3 models are done, and their runs stay" in said.err
    assert "one.keras" in said.out


def test_ctrl_c_after_saving_doesnt_say_that_nothing_was_written(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    for command in ("prune", "compare", "repair"):
        monkeypatch.setattr(f"engine.cli.commands.{command}.say_json", interrupt)
    monkeypatch.setattr("engine.cli.several.say_json", interrupt)
    prune, data = ["prune", str(models[0])], ["--clean", str(small_lab.clean), "--drop", "4"]
    for number, given in enumerate((
            [*prune, *data], [*prune, str(models[2]), *data], ["compare", *[str(tmp_path / "out 0")] * 2],
            ["repair", *prune[1:], *data[:2], "--method", "fine-pruning", "--allow-missing-labels"])):
        out = tmp_path / f"out {number}"
        assert main([*given, "--json", "--out", str(out)]) == INTERRUPTED
        assert capsys.readouterr().err.splitlines()[-1] == "goodnet: cancelled."
        assert out.is_dir()


def test_a_folder_that_may_not_be_replaced_is_found_before_any_work(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    letter = tmp_path / "out" / "one-2" / "letter.txt"
    letter.parent.mkdir(parents=True)
    letter.write_text("mine")
    assert main(arguments(small_lab, models, "--out", tmp_path / "out")) == AT_FAULT
    assert "letter.txt" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one-2"]


def test_a_model_in_the_folder_of_another_ones_run_isnt_replaced_by_it(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert main(arguments(small_lab, models[:1], "--out", out / "one")) == DONE
    repaired = out / "one" / "goodnet-x4" / "b_prime.keras"
    before = repaired.read_bytes()
    capsys.readouterr()
    assert main(arguments(small_lab, [models[0], repaired], "--out", out)) == AT_FAULT
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{out / 'one'}: holds b_prime.keras, which results are made from" in said.err
    assert repaired.read_bytes() == before


def test_a_model_named_twice_is_run_once(
    small_lab: SmallLab, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments(small_lab, [models[0], models[0]], "--out", tmp_path / "out")) == DONE
    assert (tmp_path / "out" / "run.json").is_file()
    assert "Saved in" in capsys.readouterr().out


def test_folders_are_told_apart() -> None:
    models = [Path("a/net.keras"), Path("b/net.h5"), Path("net-2.h5"), Path("c/net.onnx")]
    assert folders_of(models, Path("out")) == [Path("out", n) for n in ("net", "net-2", "net-2-2", "net-3")]
    assert folders_of(models, None) == [None] * 4
    alike = [Path("a/Net.keras"), Path("b/net.keras"), Path("a/é.keras"), Path("b/e\u0301.keras")]
    assert [folder and folder.name for folder in folders_of(alike, Path("out"))] == ["Net", "net-2", "é", "e\u0301-2"]
