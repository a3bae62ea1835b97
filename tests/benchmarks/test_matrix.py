"""The matrix's tables from counts that a person can add up, and the way back towards B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.zoo.matrix import moved
from benchmarks.zoo.matrix_tables import chosen, defences, estimates, reach, written
from benchmarks.zoo.plan import keep, kept, trained
from engine.defences.training import Repair
from engine.rates import Rate
from tests.support.linear_networks import linear_network, linear_weights


def row(defence: str, guard: str, clean: int, true: tuple[int, ...], stamp: int, pattern: int) -> dict[str, Any]:
    """A defence that leaves `clean` of 100 right (B: 95); the true trigger's file has a set for each number."""
    attacks = [("poisoned-0", False, count) for count in true]
    attacks += [("reconstructed_3.h5", True, stamp), ("pattern_3.h5", True, pattern)]
    return {"defence": defence, "guard": guard, "candidate": defence != "B" or guard != "none", "seconds": 1,
            "clean_before": [95, 100], "clean": [clean, 100], "false_alarms": [0, 100],
            "attacks": [{"set": name, "reconstructed": made, "before": [50, 50], "after": [count, 50]}
                        for name, made, count in attacks]}


FOUND = {"name": "faces-glasses-0", "kind": "faces", "family": "glasses", "half": "fix", "guilty": [3], "targets": [3],
         "stand_ins_of": [3], "rows": [
             row("B", "none", 95, (50, 50), 50, 45), row("B", "transplant", 94, (0, 1), 0, 40),
             row("repaired network alone", "none", 92, (10, 20), 0, 1),
             row("repaired network alone", "sparing", 92, (4, 8), 30, 1)]}


def test_a_choice_sees_stand_ins_or_the_true_trigger_but_never_both() -> None:
    assert chosen(FOUND, True).name == "repaired network alone behind the sparing guard"
    assert chosen(FOUND, False).name == "B behind the transplant guard"
    assert [attack.success.count for attack in chosen(FOUND, True).attacks] == [4, 8], "and is judged by the true one"


def test_a_cell_says_what_is_lost_and_how_often_the_attack_works_on_all_of_a_file() -> None:
    line, _, below = defences([FOUND]).splitlines()[-3:]
    assert line.startswith("| faces, a glasses (0) | 0.0 / 100.0 (96-100) |")
    low, high = (round(100 * end) for end in Rate(30, 100).interval)
    assert f" 3.0 / 30.0 ({low}-{high}) " in line
    assert "**1.0 / 1.0 (0-5)**" in line
    assert line.split(" | ")[2:4] == ["-", "-"] and below.startswith("A dash"), "it isn't what B does"


def test_the_reach_counts_what_stops_the_attack_at_a_bearable_cost() -> None:
    lines = {line.split(" | ")[0].strip("| "): line for line in reach([FOUND]).splitlines()}
    assert lines["transplant guard"].endswith("| 1 of 1 | 1 % | - | - |")
    assert lines["distilled alone"].endswith("| 0 of 1 | 30 % | - | - |")
    assert lines["distilled alone, sparing guard"].endswith("| 0 of 1 | 12 % | - | - |")
    assert lines["defend, stand-ins"].endswith("| 0 of 1 | 12 % | - | - |")
    assert lines["unlearnt alone"].endswith("| 0 of 1 | - | - | - |"), "it wasn't made"


def test_attackers_who_know_the_defence_stand_in_a_block_of_their_own() -> None:
    knowing = {**FOUND, "name": "faces-against-margin-0", "family": "against margin", "half": "adaptive"}
    half, apart = written([knowing, FOUND]).split("## Attackers who know the defence: 1 networks")
    assert "faces, a glasses (0)" in half and "against margin" not in half
    assert "| faces, against margin (0) | 0.0 / 100.0 " in apart and "glasses" not in apart


def test_true_and_computed_triggers_stand_side_by_side() -> None:
    line = estimates([FOUND]).splitlines()[-3]
    assert " 100 / 100 / 90 " in line and " 30 / 0 / 2 " in line


def test_a_way_back_towards_b_is_a_mixture_of_weights() -> None:
    (kernel, bias), (other_kernel, other_bias) = linear_weights(0), linear_weights(1)
    repair = Repair("distillation", (other_kernel, other_bias), 1, 1, Rate(1, 1), Rate(1, 1), "", (), "", 0)
    found = moved(linear_network(kernel, bias), repair, 0.2)
    np.testing.assert_allclose(found.weights[0], 0.2 * kernel + 0.8 * other_kernel, atol=1e-7)
    np.testing.assert_allclose(found.weights[1], 0.2 * bias + 0.8 * other_bias, atol=1e-6)


def test_what_was_measured_of_another_network_of_the_name_counts_no_more(tmp_path: Path) -> None:
    network, path = tmp_path / "signs-corner-0.keras", tmp_path / "signs-corner-0-defended.json"
    network.write_bytes(b"one")
    assert kept(path, network) is None
    keep(path, network, {"rows": [1]})
    found = kept(path, network)
    assert found is not None and found["rows"] == [1]
    network.write_bytes(b"another")
    assert kept(path, network) is None


def test_without_a_network_a_program_of_the_zoo_ends_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no trained network that is asked for; run python -m benchmarks\.zoo"):
        trained(tmp_path, ["signs"])
