"""Cuts of the transplant guard measured on a zoo of one network."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.zoo import guards
from benchmarks.zoo.plan import Plan
from benchmarks.zoo.worlds import World
from tests.support.networks import SmallLab


def test_each_choice_of_cuts_is_measured_on_the_trained_networks_of_a_half(
    small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    plan = Plan(World("faces", 0), "corner", 0)
    for name, file in ((f"{plan.name}.keras", small_lab.badnet), (f"{plan.name}-poisoned-0.h5", small_lab.poisoned),
                       ("faces0-validation.h5", small_lab.clean), ("faces0-test.h5", small_lab.test)):
        shutil.copy(file, tmp_path / name)
    for name in (plan.name, f"{plan.name}-examined"):  # what other programs keep there is no network
        (tmp_path / f"{name}.json").write_text("{}")
    monkeypatch.setattr(guards, "CHOICES", (("rows",), ("rows", "blend")))
    for half, rows in (("fix", 1), ("report", 0)):
        monkeypatch.setattr(sys, "argv", ["guards", "--zoo", str(tmp_path), "--half", half])
        guards.main()
        heading, *measured = capsys.readouterr().out.splitlines()
        assert heading.split()[-2:] == ["rows", "rows+blend"]
        assert [line.split()[0] for line in measured] == [plan.name] * rows
        assert [line.count(" / ") for line in measured] == [2] * rows
