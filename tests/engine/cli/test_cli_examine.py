"""examine on the command line: the engine's verdict as text, JSON and a folder, and what is made from it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from engine.__main__ import main
from engine.cli.commands import examine as examine_command
from engine.data.datasets import open_dataset
from engine.defences.evidence.reconstruction import Reconstruction
from engine.errors import OutputError
from engine.models.networks import open_network
from engine.rates import Rate
from engine.runs.examine import Examination, examine
from engine.runs.reconstructed import write_reconstructed
from tests.support.networks import TARGET, SmallLab, save_lab_file, stored


def test_examine_prints_and_writes_what_the_engine_finds(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = open_network(small_lab.badnet)
    found = examine(network, open_dataset(small_lab.clean, network.input_shape, network.labels), seed=3)
    arguments = ["examine", str(small_lab.badnet), "--clean", str(small_lab.clean), "--seed", "3",
                 "--preprocess", "none"]
    assert main([*arguments, "--json", "--out", str(tmp_path / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["verdict"] == found.judgement.verdict and printed["guilty"] == list(found.judgement.guilty)
    assert [(entry["label"], entry["mask_pixels"], entry["suspicion"]) for entry in printed["labels"]] == \
        [(one.evidence.label, one.evidence.mask_pixels, value)
         for one, value in zip(found.tried, found.suspicion, strict=True)]
    written = json.loads((tmp_path / "out" / "examine.json").read_text())
    assert {key: written[key] for key in printed if key != "seconds"} == \
        {key: value for key, value in printed.items() if key != "seconds"}


def test_examine_says_the_verdict_first(small_lab: SmallLab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examine", str(small_lab.badnet), "--clean", str(small_lab.clean)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(":")[0] in ("Backdoor likely", "Suspicious", "Nothing found", "No verdict")
    assert any("can't see" in line for line in lines)


def test_accused_labels_are_called_by_name(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(examine_command, "examine", lambda *given, **more: accusing(examine(*given, **more), TARGET))
    names = [f"person {label}" for label in range(open_network(small_lab.badnet).labels)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    assert main(["examine", str(small_lab.badnet), "--clean", str(small_lab.clean), "--labels", str(TARGET),
                 "--classes", str(tmp_path / "names.txt")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"Label {TARGET} is person {TARGET}." in lines
    assert any(line.startswith(f"{TARGET} (person {TARGET}) ") for line in lines)


def test_a_test_set_of_the_guilty_label_alone_leaves_the_stamp_to_the_validation_images(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine_command, "examine", lambda *given, **more: accusing(examine(*given, **more), TARGET))
    save_lab_file(tmp_path / "one.h5", stored(small_lab.test)[0], np.full(60, TARGET))
    assert main(["examine", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(tmp_path / "one.h5"),
                 "--labels", str(TARGET), "--out", str(tmp_path / "out")]) == 0
    labels = stored(small_lab.clean)[1]
    assert len(stored(tmp_path / "out" / f"reconstructed_{TARGET}.h5")[1]) == (labels != TARGET).sum()


def test_what_was_found_is_saved_though_nobody_reads_on(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine_command, "say_json", Mock(side_effect=BrokenPipeError))
    main(["examine", str(small_lab.badnet), "--clean", str(small_lab.clean), "--json", "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "examine.json").is_file()


def test_the_verdict_is_said_before_saving_which_may_fail(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(examine_command, "save_examination", Mock(side_effect=OutputError("The disk is full.")))
    asked = ["examine", str(small_lab.badnet), "--clean", str(small_lab.clean), "--out", str(tmp_path / "out")]
    assert main(asked) == 1
    said = capsys.readouterr()
    assert said.out.split(":")[0].split("\n")[0] in ("Backdoor likely", "Suspicious", "Nothing found", "No verdict")
    assert "Saved in" not in said.out and "The disk is full." in said.err
    assert main([*asked, "--json"]) == 1
    assert "verdict" in json.loads(capsys.readouterr().out)


def test_a_seed_that_could_not_be_read_back_is_refused(
        small_lab: SmallLab, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["examine", str(small_lab.badnet), "--clean", str(small_lab.clean), "--seed", str(1 << 53)])
    assert left.value.code == 2 and "from 0 to 9007199254740991" in capsys.readouterr().err


def accusing(found: Examination, label: int) -> Examination:
    return dataclasses.replace(found, judgement=dataclasses.replace(found.judgement, guilty=(label,)))


def test_bad_input_is_a_sentence(small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "few.npz", data=np.zeros((5, 12, 10, 3), np.uint8), label=np.arange(5) % 2)
    assert main(["examine", str(small_lab.badnet), "--clean", str(tmp_path / "few.npz")]) == 1
    said = capsys.readouterr().err
    assert "few.npz: holds 5 images" in said and "Traceback" not in said


def test_a_run_on_a_reconstructed_set_says_so(small_lab: SmallLab, tmp_path: Path) -> None:
    network = open_network(small_lab.badnet)
    clean = open_dataset(small_lab.clean, network.input_shape, network.labels)
    mask = np.zeros(clean.image_shape[:2], np.float32)
    mask[:6] = 1
    stamp = Reconstruction(TARGET, mask, np.full(clean.image_shape, 200, np.float32), Rate(0, 1), True)
    write_reconstructed(clean, stamp, tmp_path / "worn.h5")
    sets = [str(tmp_path / "worn.h5"), str(small_lab.poisoned)]
    assert main(["prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--poisoned", *sets, "--drop", "30",
                 "--out", str(tmp_path / "run")]) == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [part["reconstructed"] for part in run["curve"]["poisoned"]] == [True, False]
    for row in run["goodnets"]:
        assert [part["reconstructed"] for part in row["poisoned"]] == [True, False]
