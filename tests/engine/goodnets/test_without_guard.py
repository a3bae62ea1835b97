"""The files of a guarded pair that have no guard: which of them there are, and that those who open one are told."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from engine.__main__ import DONE, main
from engine.data.datasets import open_dataset
from engine.data.preprocessing import AS_STORED
from engine.goodnets.checking import check_arrays
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.goodnets.saved import FILES_WITHOUT_GUARD, open_goodnet, save_pair
from engine.guards.calibration import Guard, calibrate
from engine.models.networks import open_network
from tests.support.networks import LABELS, SmallLab

CHANNELS = [0, 2, 3, 5]
ALONE = {ANSWERS: B_PRIME, "method": "distillation"}
B_ALONE = {"method": "guard"}
OF_B_PRIME = {"repaired.h5", "repaired.onnx"}


@pytest.fixture
def guard(small_lab: SmallLab) -> Guard:
    return calibrate(open_network(small_lab.badnet), open_dataset(small_lab.clean, (None, None, 3)), "margin", 0.1)


def pair_of(lab: SmallLab, notes: dict[str, Any], guard: Guard | None) -> GoodNet:
    b = open_network(lab.badnet)
    pruned = b.copy() if notes == B_ALONE else b.pruned(b.default_layer(), CHANNELS)
    return GoodNet(b, pruned, AS_STORED, notes, guard)


@pytest.mark.parametrize(("notes", "repaired"), [
    (B_ALONE, set()), ({"pruned_channels": []}, set()), ({"pruned_channels": CHANNELS}, OF_B_PRIME),
    (ALONE, OF_B_PRIME)])
def test_b_itself_isn_t_saved_under_the_name_of_a_repaired_network(
    notes: dict[str, Any], repaired: set[str], small_lab: SmallLab, guard: Guard, tmp_path: Path,
) -> None:
    assert save_pair(pair_of(small_lab, notes, guard), tmp_path / "pair") == ()
    assert {path.name for path in (tmp_path / "pair").iterdir()} == repaired | {
        "b.keras", "b_prime.keras", "goodnet.keras", "goodnet.onnx", "goodnet.json", "guard.npz", "manifest.json"}
    assert open_goodnet([tmp_path / "pair"]).b_alone is (not repaired)


def test_a_folder_of_before_with_b_as_the_repaired_network_opens_and_is_replaced(
    small_lab: SmallLab, guard: Guard, tmp_path: Path,
) -> None:
    pair = pair_of(small_lab, B_ALONE, guard)
    save_pair(dataclasses.replace(pair, notes={}), tmp_path / "pair")
    assert (tmp_path / "pair" / "repaired.h5").exists()
    assert open_goodnet([tmp_path / "pair"]).guard is not None
    save_pair(pair, tmp_path / "pair")
    assert not (tmp_path / "pair" / "repaired.h5").exists()


@pytest.mark.parametrize("notes", [B_ALONE, ALONE, {"x": 2.0, "pruned_channels": CHANNELS}])
def test_the_one_file_says_wherever_it_lies_that_its_folder_has_a_guard(
    notes: dict[str, Any], small_lab: SmallLab, guard: Guard, tmp_path: Path,
) -> None:
    save_pair(pair_of(small_lab, notes, guard), tmp_path / "pair")
    moved = tmp_path / "moved.keras"
    shutil.copy(tmp_path / "pair" / "goodnet.keras", moved)
    for path in (tmp_path / "pair" / "goodnet.keras", moved):
        assert open_goodnet([path]).warning.startswith(f"{path}: is the pair without its guard, which a ")
    assert open_goodnet([tmp_path / "pair"]).warning == ""
    written = json.loads((tmp_path / "pair" / "goodnet.json").read_text(encoding="utf-8"))
    assert written["guard_note"] == FILES_WITHOUT_GUARD


@pytest.mark.parametrize("guarded", [True, False])
def test_the_onnx_file_says_itself_that_the_pair_has_a_guard(
    guarded: bool, small_lab: SmallLab, guard: Guard, tmp_path: Path,
) -> None:
    save_pair(pair_of(small_lab, {"x": 2.0}, guard if guarded else None), tmp_path / "pair")
    notes = {note.key: note.value for note in onnx.load(tmp_path / "pair" / "goodnet.onnx").metadata_props}
    assert notes.get("guard") == (FILES_WITHOUT_GUARD if guarded else None)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("models", [1, 2])
def test_prune_says_it_once_where_it_saves(
    guarded: bool, models: int, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    another = shutil.copy(small_lab.badnet, tmp_path / "another.keras")
    command = ["prune", *[str(small_lab.badnet), str(another)][:models], "--clean", str(small_lab.clean),
               "--drop", "10", *["--guard", "margin", "--false-alarms", "0.1"][:4 * guarded]]
    assert main(command) == DONE
    assert FILES_WITHOUT_GUARD not in capsys.readouterr().out, "nothing is saved"
    assert main([*command, "--out", str(tmp_path / "out")]) == DONE
    said = capsys.readouterr().out.splitlines()
    assert (said[-1] == FILES_WITHOUT_GUARD) is guarded and said.count(FILES_WITHOUT_GUARD) == guarded


def test_of_an_older_file_a_guard_beside_it_tells(small_lab: SmallLab, guard: Guard, tmp_path: Path) -> None:
    save_pair(pair_of(small_lab, B_ALONE, guard), tmp_path / "guarded")
    save_pair(pair_of(small_lab, {"x": 2.0}, None), tmp_path / "pair")  # as written before: its name says nothing
    older = tmp_path / "pair" / "goodnet.keras"
    assert open_goodnet([older]).warning == ""
    assert "guard_note" not in json.loads((tmp_path / "pair" / "goodnet.json").read_text(encoding="utf-8"))
    shutil.copy(tmp_path / "guarded" / "guard.npz", older.parent)
    assert "without its guard" in open_goodnet([older]).warning


def test_check_and_evaluate_say_it_first(
    small_lab: SmallLab, guard: Guard, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    save_pair(pair_of(small_lab, {"x": 2.0, "pruned_channels": CHANNELS}, guard), tmp_path / "pair")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.png")
    one_file = tmp_path / "pair" / "goodnet.keras"
    warning = open_goodnet([one_file]).warning
    of_pictures = ["check", "{}", str(tmp_path / "red.png")]
    measured = ["evaluate", "{}", "--test", str(small_lab.test)]
    for command in (of_pictures, [*of_pictures, "--json"], [*of_pictures, "--csv"], measured, [*measured, "--json"]):
        assert main([word.format(one_file) for word in command]) == DONE
        told = capsys.readouterr()
        assert told.err.startswith(f"goodnet: {warning}\n")
        assert main([word.format(one_file.parent) for word in command]) == DONE
        assert "without its guard" not in capsys.readouterr().err
    assert json.loads(told.out)["warnings"] == [warning]


@pytest.mark.parametrize("rate", [0.1, 1e-4])
def test_check_says_where_the_guard_can_t_flag_anything(
    rate: float, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """One in ten thousand is more than a few hundred images can show."""
    clean = open_dataset(small_lab.clean, (None, None, 3))
    guard = calibrate(open_network(small_lab.badnet), clean, "margin", rate)
    save_pair(pair_of(small_lab, B_ALONE, guard), tmp_path / "pair")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.png")
    warnings = [guard.note()] if rate < 0.1 else []
    for output in ([], ["--csv"], ["--json"]):
        assert main(["check", str(tmp_path / "pair"), str(tmp_path / "red.png"), *output]) == DONE
        told = capsys.readouterr()
        said = [line.removeprefix("goodnet: ") for line in told.err.splitlines() if line.startswith("goodnet: ")]
        assert said == warnings and ("flags nothing" in told.err) is bool(warnings)
    assert json.loads(told.out)[0]["warnings"] == warnings
    assert main(["evaluate", str(tmp_path / "pair"), "--test", str(small_lab.test), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["warnings"] == warnings


def test_what_b_says_isn_t_made_up_where_the_file_holds_b_prime_alone(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    pair = pair_of(small_lab, ALONE, None)
    save_pair(pair, tmp_path / "pair")
    Image.fromarray(np.random.default_rng(3).integers(256, size=(47, 47, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    found: dict[str, Any] = {}
    for path in (tmp_path / "pair", tmp_path / "pair" / "goodnet.keras"):
        command = ["check", str(path), str(tmp_path / "a.png")]
        assert main([*command, "--json"]) == DONE
        found[path.name], = json.loads(capsys.readouterr().out)
        assert main([*command, "--csv"]) == DONE
        row, = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert (row["b_label"] == row["b_confidence"] == row["why"] == "") is (path.name == "goodnet.keras")
        assert main(command) == DONE
        assert ("is not in this file" in capsys.readouterr().out) is (path.name == "goodnet.keras")
    confidence = pytest.approx(found["pair"]["b_prime_confidence"], rel=1e-4)
    assert found["goodnet.keras"] == found["pair"] | {"b_label": None, "b_confidence": None, "why": None,
                                                      "b_prime_confidence": confidence}
    black = [np.zeros((*pair.b.input_shape[:2], 3), np.uint8)]  # type: ignore[list-item]
    for path, missing in ((tmp_path / "pair", False), (tmp_path / "pair" / "goodnet.keras", True)):
        opened = open_goodnet([path])
        assert opened.b.labels == LABELS and opened.b_missing is missing
        assert [verdict.b_missing for verdict in check_arrays(opened, black, ["black"])] == [missing]


def test_a_verdict_says_whether_a_guard_looked_at_the_picture(
    small_lab: SmallLab, guard: Guard, tmp_path: Path,
) -> None:
    pair = pair_of(small_lab, B_ALONE, guard)
    save_pair(pair, tmp_path / "pair")
    black = [np.zeros((*pair.b.input_shape[:2], 3), np.uint8)]  # type: ignore[list-item]
    for path, guarded in ((tmp_path / "pair", True), (tmp_path / "pair" / "goodnet.keras", False)):
        assert [verdict.guarded for verdict in check_arrays(open_goodnet([path]), black, ["black"])] == [guarded]
