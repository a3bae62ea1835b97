"""What was measured, kept and told: nothing is measured twice, and a table's cells are counted by hand."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers.measured import Record, kept_records, record_of
from benchmarks.peers.ours import records_of
from benchmarks.peers.table import cell, holding, tables
from benchmarks.zoo.plan import Plan
from engine.rates import Rate

GOOD = Record("faces-corner-0", "faces", "corner", "fix", "NAD", Rate(98, 100), Rate(96, 100), Rate(0, 100),
              ((Rate(90, 90), Rate(1, 90)), (Rate(80, 80), Rate(2, 80))), 12.5)
FAILED = dataclasses.replace(GOOD, method="CLP", before=Rate(0, 0), after=Rate(0, 0), flagged=Rate(0, 0), attacks=(),
                             failed="CLP failed and was left out (no luck).")


def test_a_record_comes_back_from_its_line() -> None:
    assert record_of(json.loads(json.dumps(GOOD.as_json()))) == GOOD
    assert record_of(json.loads(json.dumps(FAILED.as_json()))) == FAILED
    assert GOOD.lost == pytest.approx(2)
    assert GOOD.attack == Rate(2, 80)


def test_cells_take_seeds_together_and_say_what_held() -> None:
    other = dataclasses.replace(GOOD, network="faces-corner-2", after=Rate(98, 100),
                                attacks=((Rate(9, 9), Rate(0, 20)),))
    # 196 of 200 before and 194 after; 2 of 100 attacks, Wilson's interval of which is 0.55 to 7.0 %.
    assert cell([GOOD, other]) == "**1.0 / 2.0 (1-7)**"
    weak = dataclasses.replace(GOOD, attacks=((Rate(9, 9), Rate(6, 100)),))
    assert cell([weak]) == "2.0 / 6.0 (3-12)"
    costly = dataclasses.replace(GOOD, after=Rate(94, 100))
    assert not cell([costly]).startswith("**")
    assert cell([FAILED]) == "not made"
    assert cell([]) == ""
    assert holding([GOOD, other, dataclasses.replace(weak, family="warp"),
                    dataclasses.replace(FAILED, family="stripes")]) == "1 of 3"


def test_halves_and_kinds_stand_apart() -> None:
    text = tables([GOOD, dataclasses.replace(GOOD, half="report", kind="signs"),
                   dataclasses.replace(GOOD, half="adaptive")], ["NAD", "CLP"])
    assert text.count("| family | NAD |") == 3 and "## faces, attackers who know the defence" in text
    assert '## faces, half "fix"' in text
    assert '## signs, half "report"' in text
    assert "| CLP" not in text


def test_our_own_defences_are_taken_from_the_matrix() -> None:
    def row(defence: str, guard: str, clean: int, after: list[int], stand_in: int) -> dict[str, Any]:
        # The second file's pictures go to two labels.
        sets = [("a.h5", False, after[0]), ("b.h5", False, after[1]), ("b.h5", False, after[2]),
                ("s.h5", True, stand_in)]
        return {"defence": defence, "guard": guard, "candidate": True, "seconds": 3.5, "clean_before": [98, 100],
                "clean": [clean, 100], "false_alarms": [2, 100],
                "attacks": [{"set": name, "reconstructed": made, "before": [10, 10], "after": [count, 10]}
                            for name, made, count in sets]}

    found = {"name": "faces-corner-0", "kind": "faces", "family": "corner", "half": "fix", "rows": [
        row("B", "none", 98, [10, 10, 10], 10), row("B", "transplant", 96, [1, 2, 3], 9),
        row("repaired network alone", "none", 97, [4, 0, 1], 0)]}
    guarded, distilled, picked = records_of(found)
    assert [record.method for record in (guarded, distilled, picked)] == [
        "transplant guard", "distilled alone", "what defend picks"]
    assert guarded.attacks == ((Rate(10, 10), Rate(1, 10)), (Rate(20, 20), Rate(5, 20)))
    assert (guarded.lost, distilled.attack) == (pytest.approx(2), Rate(4, 10))
    assert dataclasses.replace(picked, method=distilled.method) == distilled


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def measure(zoo: Path, plan: Plan, methods: list[Any]) -> Iterator[Record]:
        asked.append((plan.name, [method.name for method in methods]))
        for method in methods:
            yield dataclasses.replace(GOOD, network=plan.name, method=method.name)

    monkeypatch.setattr(command, "measure", measure)
    for name in ("faces-corner-0", "faces-warp-1", "faces-clean-0"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name}))
    out = tmp_path / "peers.jsonl"

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["peers", "--zoo", str(tmp_path), "--out", str(out), *arguments])
        command.main()

    run("--only", "corner", "--methods", "NAD", "STRIP")
    run("--methods", "NAD", "STRIP", "CLP")
    assert asked == [("faces-corner-0", ["NAD", "STRIP"]), ("faces-corner-0", ["CLP"]),
                     ("faces-warp-1", ["NAD", "CLP", "STRIP"])]
    assert len(kept_records(out)) == 6
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**GOOD.as_json(), "seconds": 99.0}) + "\n")
    assert len(kept_records(out)) == 6
    assert kept_records(out)[0].seconds == 99
    run("--table", str(tmp_path / "table.md"))
    assert "faces, half" in (tmp_path / "table.md").read_text()
    assert "clean" not in capsys.readouterr().out
