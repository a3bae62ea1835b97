"""What defend prints for people: the verdict first, then what was chosen and from what."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from engine.__main__ import main
from engine.defences.distillation import distil
from engine.defences.unlearning import unlearn
from tests.support.networks import LABELS, TARGET, SmallLab


@dataclass(frozen=True)
class Said:
    """What a command printed, line by line, and what it wrote."""

    lines: list[str]
    written: dict[str, Any]


@pytest.fixture(scope="module")
def defended(small_lab: SmallLab, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """One run, with as little training as will do, of a network whose labels have names."""
    folder, said = tmp_path_factory.mktemp("defended"), io.StringIO()
    (folder / "names.txt").write_text("\n".join(f"person {label}" for label in range(LABELS)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        for name, function in (("distil", distil), ("unlearn", unlearn)):
            patch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
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
