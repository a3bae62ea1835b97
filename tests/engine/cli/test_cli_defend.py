"""What defend prints for people: the verdict first, then what was chosen and from what."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.__main__ import main
from engine.defences.distillation import distil
from engine.defences.unlearning import unlearn
from engine.runs.prune import PruningRequest
from tests.support.networks import LABELS, TARGET, SmallLab


@dataclass(frozen=True)
class Said:
    """What a command printed, line by line, and what it wrote."""

    lines: list[str]
    written: dict[str, Any]


@pytest.fixture(scope="module")
def defended(small_lab: SmallLab, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """One run, with as little training as will do, of a network whose labels have names."""
    with pytest.MonkeyPatch.context() as patch:
        return said_of(small_lab, tmp_path_factory.mktemp("defended"), patch)


def said_of(small_lab: SmallLab, folder: Path, patch: pytest.MonkeyPatch) -> Said:
    said = io.StringIO()
    (folder / "names.txt").write_text("\n".join(f"person {label}" for label in range(LABELS)), encoding="utf-8")
    with contextlib.redirect_stdout(said):
        for name, function in (("distil", distil), ("unlearn", unlearn)):
            patch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
        patch.setattr("engine.cli.commands.defend.PruningRequest", partial(PruningRequest, drops=(10.0, 99.0)))
        assert main(["defend", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
                     "--poisoned", str(small_lab.poisoned), "--classes", str(folder / "names.txt"),
                     "--out", str(folder / "out")]) == 0
    return Said(said.getvalue().splitlines(), json.loads((folder / "out" / "defend.json").read_text(encoding="utf-8")))


def test_the_verdict_is_said_before_what_was_chosen(defended: Said) -> None:
    found, lines = defended.written["examination"], defended.lines
    verdict = lines[:lines.index(f"Chosen: {defended.written['chosen']}")]
    words = found["verdict"] if found["decided"] else "no verdict"
    assert verdict[0].partition(":")[0] == words.capitalize()
    assert verdict[1] == found["sentence"]
    named = {f"Label {label} is person {label}." for label in (*found["guilty"], *found["standing_out"], TARGET)}
    assert set(verdict[2:-1]) == named and verdict[-1] == ""
    assert sum(line in named for line in lines) == len(named), "each once"


def test_a_threshold_that_no_step_reaches_is_said(defended: Said) -> None:
    assert {line.split(" is ")[0] for line in defended.lines if "is never reached" in line} == {"X = 99"}
    assert "pruned, X = 10" in {candidate["name"] for candidate in defended.written["candidates"]}


def test_an_attack_that_the_best_defence_leaves_is_said_first(
        small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.defend.best_row", lambda rows: max(rows, key=lambda row: row.attack.value))
    found = said_of(small_lab, tmp_path, monkeypatch)
    measured, page = found.written["measured"], (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    left, before = measured["attack_success_rate"]["poisoned"], \
        found.written["candidates"][0]["attack_success_rate"]["poisoned"]
    assert left > 0.5
    warning = next(line for line in found.lines if line.startswith("Warning: "))
    assert warning.startswith(f"Warning: The best defence found leaves an attack that works on {100 * left:g} % of ")
    assert found.written["cautions"][0] == warning.removeprefix("Warning: ")
    assert (f"On 40 images of poisoned attack success is {100 * left:.2f} % {interval_of(left, 40)}; with B alone it "
            f"is {100 * before:.2f} % {interval_of(before, 40)}.") in found.lines
    said = " ".join(re.sub("<[^>]*>", "", page).split())
    assert f"On 40 images of poisoned: attack success {100 * before:.2f} % before, {100 * left:.2f} % now" in said


def test_rates_are_printed_with_intervals_as_other_commands_print_them(defended: Said) -> None:
    measured, lines = defended.written["measured"], defended.lines
    figure, _, before = next(line for line in lines if "clean images that it " in line).partition("; ")
    for words, rate in ((figure, measured["clean_accuracy"]), (before, measured["clean_accuracy_before"])):
        assert words.rstrip(".").endswith(f"{100 * rate:.2f} % {interval_of(rate, measured['images'])}")
    for one in defended.written["candidates"]:
        row = next(line for line in lines if line.startswith(f"{one['name']}  "))
        clean, alarms, attack = re.split("  +", row.removeprefix(one["name"]).strip())
        assert clean == f"{100 * one['clean_accuracy']:.2f} % {interval_of(one['clean_accuracy'], 60)}"
        assert alarms == f"{round(100 * one['false_alarm_rate'], 2):g} %"
        attacked = one["attack_success_rate"]["poisoned"]
        assert attack == f"{100 * attacked:.2f} % {interval_of(attacked, 40)}"


def interval_of(rate: float, images: int) -> str:
    """The proportions whose distance from the rate is 1.96 standard errors: roots of a quadratic."""
    z = 1.96 ** 2 / images
    low, high = sorted(np.roots([1 + z, -(2 * rate + z), rate ** 2]).real)
    return f"[{100 * abs(low):.1f}-{100 * high:.1f}]"
