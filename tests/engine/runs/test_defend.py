"""One button: the chosen defence is the best of those measured, and what is saved is what was measured."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from engine.__main__ import main
from engine.assessment import Attack, percent
from engine.cli.commands import defend as defend_command
from engine.data.datasets import Dataset, open_dataset
from engine.data.labels import RECONSTRUCTED
from engine.defences.comparison import UNPAIRED, Comparison, ComparisonRow
from engine.defences.course import Course, prepare
from engine.defences.distillation import distil
from engine.defences.further import Further
from engine.defences.unlearning import unlearn
from engine.guards.calibration import SPARING_GUARD
from engine.models.networks import Network, open_network
from engine.rates import Rate
from engine.runs import defend as defending
from engine.runs.defend import are_estimates, best_row, broad_rows, left_over, parted, stopped
from engine.runs.examine import Examination, examine
from tests.support.networks import TARGET, SmallLab


def row(name: str, clean: int, attack: int, guard: str = "none") -> ComparisonRow:
    return ComparisonRow(defence=name, guard=guard, clean=Rate(clean, 100), clean_before=Rate(95, 100),
                         false_alarms=Rate(0, 100), seconds=1,
                         attacks=(Attack("p", 0, Rate(100, 100), Rate(attack, 100), Rate(0, 100)),))


@pytest.mark.parametrize("rows, best", [
    ([row("a", 95, 60), row("b", 93, 4), row("c", 94, 5), row("d", 80, 0)], "c"),
    ([row("a", 95, 60), row("b", 91, 4), row("c", 94, 30)], "b"),
    ([row("a", 95, 60), row("b", 91, 4), row("c", 94, 15), row("d", 92, 6)], "d"),
    ([row("a", 95, 60), row("b", 91, 4), row("c", 95, 16)], "b"),
    ([row("a", 93, 3), row("b", 93, 0)], "a"),
    ([row("a", 95, 100), row("b", 50, 0)], "b"),
])
def test_the_cheapest_that_stops_the_attack_is_best(rows: list[ComparisonRow], best: str) -> None:
    assert best_row(rows).name == best


@pytest.mark.parametrize("alone, sparing, chosen", [
    (95, 92, SPARING_GUARD), (95, 91, "none"), (91, 90, SPARING_GUARD), (86, 84, "none"), (84, 83, ""),
])
def test_stand_ins_alone_choose_the_copy_repaired_by_distillation_behind_the_sparing_guard_if_bearable(
        alone: int, sparing: int, chosen: str) -> None:
    """B has 95 of 100: at most 3 points are bearable, more than 10 spoilt."""
    rows = [row("B", 94, 0), row(UNPAIRED, alone, 30), row(UNPAIRED, sparing, 40, SPARING_GUARD)]
    assert list(broad_rows(rows)) == ([r for r in rows[1:] if r.guard == chosen] or rows)
    assert broad_rows(rows[:1]) == rows[:1], "nothing could be trained"


def test_one_half_of_the_images_chooses_and_the_other_tells() -> None:
    whole, first, second = (tuple(dataclasses.replace(row("a", right, attack), clean=Rate(right, images))
                                  for right, attack in ((60, 4), (70, 9)))
                            for images in (200, 100, 99))
    found = Comparison(whole, halves=(first, second))
    assert parted(found) == (first, second, True)
    few = tuple(dataclasses.replace(one, clean=Rate(10, 79)) for one in whole)
    assert parted(Comparison(few, halves=(first, second))) == (few, few, False)
    assert parted(Comparison(whole)) == (whole, whole, False), "it was read back from a file"


def test_what_is_said_of_the_chosen_one_is_told_by_images_that_did_not_choose_it(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """One half is told that only B behind the margin guard works, the other that nothing does."""
    made = defending.compare_defences

    def halved(*given: Any, **more: Any) -> Comparison:
        found, works = made(*given, **more), "B behind the margin guard"
        choosing, telling = (tuple(with_rates(one, *((right, left) if one.name == works else (10, bare)))
                                   for one in found.rows) for right, left, bare in ((100, 0, 0), (7, 90, 97)))
        return dataclasses.replace(found, halves=(choosing, telling))

    monkeypatch.setattr(defending, "compare_defences", halved)
    monkeypatch.setattr(defending, "FEWEST_TO_PART", 1)
    monkeypatch.setattr("engine.models.networks._LARGE_BELOW", 1000)
    save = defend_command.save_defended
    monkeypatch.setattr(defend_command, "save_defended", lambda *given: (*save(*given), "One file was left out."))
    out = tmp_path / "out"
    main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
          "--poisoned", str(small_lab.poisoned), "--out", str(out), "--json"])
    told = capsys.readouterr()
    printed = json.loads(told.out)
    assert "goodnet: One file was left out." in told.err
    assert printed["chosen"] == printed["measured"]["name"] == "B behind the margin guard"
    assert (printed["measured"]["clean_accuracy"], printed["measured"]["images"]) == (0.07, 100)
    assert printed["measured"]["chosen_by_other_images"] and not printed["holds_against"]
    report = (out / "report.html").read_text()
    assert "that the defence wasn't chosen by" in report
    noted = json.loads((out / "goodnet" / "goodnet.json").read_text())["guard_note"]
    evaluated = json.loads((out / "goodnet" / "evaluation.json").read_text())
    told_of = ("goodnet.keras and goodnet.onnx are the pair without it. Without the guard, as in these files, "
               f"{percent(evaluated['poisoned'][0]['goodnet_asr'])} of poisoned get through.")
    assert told_of in noted and told_of in report
    assert not list((out / "goodnet").glob("repaired*")), "they would be B itself"
    assert (evaluated["test"]["images"], evaluated["poisoned"][0]["images"]) == (30, 20), "half of each"
    assert any("The network is large" in caution for caution in printed["cautions"])


def with_rates(of: ComparisonRow, right: int, attacked: int) -> ComparisonRow:
    attacks = (dataclasses.replace(of.attacks[0], success=Rate(attacked, 100)),)
    return dataclasses.replace(of, clean=Rate(right, 100), clean_before=Rate(100, 100), attacks=attacks)


def test_without_poisoned_images_a_reconstructed_trigger_stands_in_and_everything_says_so(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"chosen", "candidates", "holds_against", "not_tried"} <= set(printed)
    assert printed == json.loads((out / "defend.json").read_text())
    by_name = {candidate["name"]: candidate for candidate in printed["candidates"]}
    assert printed["chosen"] in by_name
    assert all(candidate["estimated"] for candidate in printed["candidates"])
    first = printed["examination"]["labels"][0]["label"]
    assert list(by_name["B"]["attack_success_rate"]) == [f"reconstructed_{first}", f"pattern_{first}"]
    assert any("an estimate" in caution for caution in printed["cautions"])
    assert not any("of the clean images. Defences" in caution for caution in printed["cautions"]), "B is good"
    assert "Nobody has tried" in (out / "report.html").read_text()
    assert {path.name for path in out.iterdir()} == {"goodnet", "examination", "defend.json", "report.html",
                                                     "manifest.json"}


def test_sets_that_are_estimates_are_called_so_wherever_they_are_named(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    for name, function in (("distil", distil), ("unlearn", unlearn)):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
    made, out = tmp_path / "made.h5", tmp_path / "out"
    shutil.copyfile(small_lab.poisoned, made)
    with h5py.File(made, "a") as file:
        file[RECONSTRUCTED] = np.uint8(1)
    labels = range(open_network(small_lab.badnet).labels)
    (tmp_path / "list.txt").write_text("\n".join(f"person {label}" for label in labels))
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--poisoned", str(made), str(small_lab.poisoned), "--out", str(out),
                 "--classes", str(tmp_path / "list.txt")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "attack success, made (reconstructed)" in said and "attack success, poisoned (rec" not in said
    assert f"Label {TARGET} is person {TARGET}." in said
    assert "<bdi>made (reconstructed)</bdi>" in (out / "report.html").read_text()
    noted = json.loads((out / "goodnet" / "goodnet.json").read_text()).get("guard_note", "")
    assert said.endswith(noted) and ("% of made (reconstructed) and " in noted) == bool(noted)
    written = json.loads((out / "defend.json").read_text())
    assert all(one["reconstructed"] == {"made": True, "poisoned": False}
               for one in (written["measured"], *written["candidates"]))


def test_poisoned_images_that_an_examination_made_are_stand_ins_whoever_chose_them(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made.h5"
    shutil.copyfile(small_lab.poisoned, made)
    with h5py.File(made, "a") as file:
        file[RECONSTRUCTED] = np.uint8(1)
    poor = tmp_path / "poor.h5"
    shutil.copyfile(small_lab.test, poor)
    with h5py.File(poor, "a") as file:
        file["label"][::5] = (file["label"][::5] + 1) % 4
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(poor),
                 "--poisoned", str(made), "--out", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    lost = {c["name"]: 100 * (printed["candidates"][0]["clean_accuracy"] - c["clean_accuracy"])
            for c in printed["candidates"]}
    repaired = [name for name in (f"{UNPAIRED} behind the sparing guard", UNPAIRED) if lost[name] <= 10]
    assert printed["chosen"] in (repaired or lost), "where training spoils it, as it may this small one, all are left"
    assert any("points of clean accuracy" in said for said in printed["cautions"]) == (lost[printed["chosen"]] > 3)
    assert all(candidate["estimated"] for candidate in printed["candidates"])
    measured = json.loads((tmp_path / "out" / "goodnet" / "evaluation.json").read_text())
    assert [part["reconstructed"] for part in measured["poisoned"]] == [True]
    assert any("an estimate" in caution for caution in printed["cautions"])
    assert not any("most suspicious" in caution for caution in printed["cautions"]), "that is said of stamps made here"
    assert any("of the clean images. Defences" in caution for caution in printed["cautions"]), "and is little measured"


def test_stand_ins_stand_beside_poisoned_images_that_show_no_attack(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean images with a label that B never answers: there is no trigger on them."""
    network = open_network(small_lab.badnet)
    with h5py.File(small_lab.clean) as file:
        own = network.predict_labels(open_dataset(small_lab.clean, network.input_shape).take(range(len(file["label"]))))
        label = int(np.bincount(own, minlength=network.labels).argmin())
        with h5py.File(tmp_path / "bd.h5", "w") as bad:
            bad["data"] = file["data"][:][own != label]
            bad["label"] = np.full(len(bad["data"]), label, np.float64)
    for name, function in (("distil", distil), ("unlearn", unlearn)):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--poisoned", str(tmp_path / "bd.h5"), "--out", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    first = printed["examination"]["labels"][0]["label"]
    assert list(printed["measured"]["attack_success_rate"]) == ["bd", f"reconstructed_{first}", f"pattern_{first}"]
    assert printed["measured"]["estimated"] and printed["chosen"] in (UNPAIRED, f"{UNPAIRED} behind the sparing guard")
    assert printed["cautions"][0].startswith("The poisoned images given show no attack")


def test_where_no_set_shows_an_attack_nothing_measured_chooses() -> None:
    assert are_estimates([Attack("p", 0, Rate(5, 100), Rate(5, 100), Rate(0, 100))])
    assert not are_estimates([Attack("p", 0, Rate(6, 100), Rate(5, 100), Rate(0, 100))])


@pytest.mark.parametrize("before, left, reconstructed, told", [
    (50, 5, True, True), (49, 5, True, False), (50, 6, True, False), (6, 5, False, True), (5, 5, False, False)])
def test_a_reconstructed_trigger_that_hardly_works_is_nothing_to_hold_against(
        before: int, left: int, reconstructed: bool, told: bool) -> None:
    attack = Attack("p", 0, Rate(before, 100), Rate(left, 100), Rate(0, 100), reconstructed)
    assert bool(stopped([attack])) == told


@pytest.mark.parametrize("success, told", [(5, False), (6, True)])
def test_an_attack_that_is_left_is_a_caution(success: int, told: bool) -> None:
    (*_, said) = ("", *left_over([Attack("p", 0, Rate(99, 100), Rate(success, 100), Rate(0, 100), True)]))
    assert ("works on 6 % of p (reconstructed) (with B alone on 99 %)" in said) == told == bool(said)
    assert left_over([]) == ()


def test_what_is_left_of_no_attack_is_no_caution() -> None:
    """Clean networks answer some label on a few images, too, whatever is done to them."""
    none = [Attack("given", 0, Rate(4, 100), Rate(6, 100), Rate(0, 100)),
            Attack("weak", 1, Rate(49, 100), Rate(48, 100), Rate(0, 100), True)]
    assert left_over(none) == ()
    (said,) = left_over([*none, *(Attack(name, 0, Rate(before, 100), Rate(left, 100), Rate(0, 100))
                                  for name, before, left in (("mild", 6, 6), ("bad", 70, 7)))])
    assert "works on 7 % of bad (with B alone on 70 %)" in said


def test_guards_that_would_flag_nothing_are_not_chosen_and_that_is_said(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the examination found sets the repair on its way."""
    taken: list[Course] = []

    def examined(*given: Any, **more: Any) -> Examination:
        found = examine(*given, **more)
        return dataclasses.replace(found, judgement=dataclasses.replace(found.judgement, standing_out=(5, 3)))

    monkeypatch.setattr(defending, "examine", examined)
    monkeypatch.setattr("engine.runs.all_defences.prepare",
                        lambda *given, **more: taken.append(prepare(*given, **more)) or taken[-1])
    for name, function in (("distil", distil), ("unlearn", unlearn)):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--false-alarms", "0.005", "--out", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["chosen"] == UNPAIRED
    assert taken[0].found.suspects[:2] == [5, 3] and {3, 5} <= set(taken[0].found.betrayed)
    worn = printed["candidates"][0]["attack_success_rate"]
    assert {name for name in worn if name.startswith("reconstructed_")} >= {"reconstructed_3", "reconstructed_5"}, worn
    assert any("triggers are those of the labels that stand out" in said for said in printed["cautions"])
    assert not any("guard" in candidate["name"] for candidate in printed["candidates"])
    assert any("The sparing guard was left out. This guard flags nothing" in said for said in printed["cautions"])


def test_plug_ins_that_fail_or_cannot_be_saved_are_told_once(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(network: Network, _: Dataset) -> Network:
        raise RuntimeError("no luck")

    monkeypatch.setattr("engine.runs.all_defences.further_defences", lambda: (
        [Further("a failure", (), failing), Further("a copy", (), lambda network, _: network.copy())],
        ["The plug-in odd can't be loaded."]))
    monkeypatch.setattr("engine.defences.further._check_same", Mock(side_effect=ValueError("it answers otherwise")))
    for name, function in (("distil", distil), ("unlearn", unlearn)):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--poisoned", str(small_lab.poisoned), "--out", str(tmp_path / "out"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["cautions"]
    for sentence in ("The plug-in odd can't be loaded.", "a failure failed and was left out (no luck).",
                     "a copy can be measured but not saved (it answers otherwise)."):
        assert said.count(sentence) == 1, said


def test_what_is_saved_gives_the_figures_it_was_chosen_by(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    out, built = tmp_path / "out", defending.kept_pair
    monkeypatch.setattr(defending, "kept_pair", lambda *given, **more: dataclasses.replace(
        built(*given, **more), warning="Label 3 is answered less."))
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                 "--poisoned", str(small_lab.poisoned), "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    chosen = next(c for c in printed["candidates"] if c["name"] == printed["chosen"])
    assert not chosen["estimated"] and list(chosen["attack_success_rate"]) == ["poisoned"]
    assert main(["evaluate", str(out / "goodnet"), "--test", str(small_lab.test), "--poisoned",
                 str(small_lab.poisoned), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    attack = found["guarded"]["poisoned"][0]["attack_success_rate"] if found["guarded"] else \
        found["poisoned"][0]["goodnet_asr"]
    assert attack == pytest.approx(chosen["attack_success_rate"]["poisoned"])
    accuracy = found["guarded"]["clean_accuracy"] if found["guarded"] else found["test"]["goodnet_accuracy"]
    assert accuracy == pytest.approx(chosen["clean_accuracy"])
    assert found["poisoned"][0]["target"] == TARGET
    assert printed["cautions"][-1] == "Label 3 is answered less.", "what is said of the copy itself"


def test_a_folder_with_a_persons_file_is_refused_before_anything_is_computed(
        small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--out", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
