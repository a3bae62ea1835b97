"""Plug-ins as somebody would install them: a module and its entry points on Python's path."""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine.defences.comparison import Comparison, Defence, compare
from engine.defences.distillation import distil
from engine.defences.further import ALL_LABELS, Further, defended, further_defences
from engine.defences.unlearning import unlearn
from engine.errors import EngineError
from engine.guards.calibration import calibrate
from engine.runs.all_defences import compare_defences
from engine.runs.prune import PruningRequest, run_pruning
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import SmallLab, random_images

B, OTHER = linear_weights(0), linear_weights(1)
IMAGES = random_images(200, seed=71, shape=SHAPE)
LABELS_OF = numpy_logits(IMAGES, *B).argmax(axis=1)


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five of them: a network, a guard, one that fails, one that can't be loaded, and one that is something else."""
    (tmp_path / "goodnet_plug.py").write_text(textwrap.dedent("""
        from engine.defences.further import Further
        from engine.guards.calibration import calibrate

        def copied(network, clean):
            return network.copy()

        def guarded(network, clean):
            return calibrate(network, clean, "margin", 0.3)

        def failing(network, clean):
            raise RuntimeError("no luck\\nat all")

        network = Further("a copy", (), copied)
        guard = Further("a guard", (), guarded)
        fails = Further("a failure", (), failing)
        twice = Further("B", (), copied)
        nothing = 7
    """))
    facts = tmp_path / "goodnet_plug-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: goodnet-plug\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[goodnet.defences]\n" + "\n".join(
        f"{name} = goodnet_plug:{name}" for name in ("network", "guard", "fails", "twice", "nothing", "missing")))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "goodnet_plug", raising=False)


def test_plug_ins_are_found_and_those_that_cannot_be_loaded_are_sentences(plug_ins: None) -> None:
    found, failed = further_defences()
    assert [further.name for further in found] == ["a failure", "a guard", "a copy", "B"], failed
    assert len(failed) == 2
    assert "plug-in missing can't be loaded" in failed[0]
    assert "plug-in nothing is a int; a Further was expected" in failed[1]


def test_what_a_defence_makes_is_checked(tmp_path: Path) -> None:
    network, clean = linear_network(*B), dataset_of(tmp_path / "clean.npz", IMAGES, LABELS_OF)
    copy = network.copy()
    assert defended(Further("copy", (ALL_LABELS,), lambda *_: copy), network, clean) is copy
    guard = dataclasses.replace(calibrate(network, clean, "margin", 0.3), labels=LABELS + 1)
    for made, words in ((7, "it made a int"), (guard, "Calibrate a guard"), (None, "it made a NoneType")):
        with pytest.raises(EngineError, match=f"odd failed and was left out.*{words}"):
            defended(Further("odd", (), lambda *_, made=made: made), network, clean)  # type: ignore[arg-type, misc]
    with pytest.raises(EngineError, match="needs poisoned images"):
        defended(Further("odd", ("poisoned images",), lambda *_: copy), network, clean)
    few = dataset_of(tmp_path / "few.npz", IMAGES, LABELS_OF.clip(0, 1))
    with pytest.raises(EngineError, match="needs images of every label"):
        defended(Further("odd", (ALL_LABELS,), lambda *_: copy), network, few)


def test_a_defence_with_a_guard_of_its_own_is_counted_by_hand(tmp_path: Path) -> None:
    network, clean = linear_network(*B), dataset_of(tmp_path / "clean.npz", IMAGES, LABELS_OF)
    guard = calibrate(network, clean, "margin", 0.3)

    def by_hand(labels: Array) -> Array:
        two = np.sort(numpy_logits(IMAGES, *B), axis=1)[:, -2:]
        return np.where(two[:, 1] - two[:, 0] > guard.threshold, LABELS, labels)

    other = linear_network(*OTHER)
    defences = [Defence("B guarded", None, 0, False, guard), Defence("other", other, 0, False, guard)]
    found = compare(network, defences, [], clean).rows
    for row, labels in zip(found, (LABELS_OF, numpy_logits(IMAGES, *OTHER).argmax(axis=1)), strict=True):
        wanted = by_hand(labels)
        assert row.clean.count == (wanted == LABELS_OF).sum()
        assert row.false_alarms.count == (wanted == LABELS).sum()


def test_plug_ins_stand_in_the_comparison(plug_ins: None, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch) -> None:
    request = PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,), drops=())
    run = run_pruning(request)
    monkeypatch.setattr("engine.runs.all_defences.distil", partial(distil, steps=2))
    monkeypatch.setattr("engine.runs.all_defences.unlearn", partial(unlearn, steps=2))
    found = compare_defences(run, allow_missing_labels=True)
    by_name = rows(found)
    assert by_name["a copy"] == by_name["B"]
    assert by_name["a guard"][1] > 0
    for words in ("a failure failed and was left out (no luck)", "plug-in missing", "plug-in nothing",
                  "There is a defence called B already"):
        assert words in found.warning


def rows(found: Comparison) -> dict[str, tuple[int, int]]:
    """Right and flagged of the clean images, by the defence's name, without a guard before it."""
    return {row.defence: (row.clean.count, row.false_alarms.count) for row in found.rows if row.guard == "none"}
