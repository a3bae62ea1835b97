"""Plug-ins as somebody would install them: a module and its entry points on Python's path."""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine import backend
from engine.data.datasets import Dataset, open_dataset
from engine.defences.comparison import Comparison, Defence, compare
from engine.defences.distillation import distil
from engine.defences.further import ALL_LABELS, Further, defended, further_defences
from engine.defences.unlearning import unlearn
from engine.errors import EngineError
from engine.goodnets.saved import open_goodnet
from engine.guards.calibration import calibrate
from engine.models.networks import Network
from engine.records.repaired_pair import save_repaired
from engine.runs.all_defences import compare_defences
from engine.runs.kept import Made, kept_pair
from engine.runs.prune import PruningRequest, run_pruning
from tests.engine.runs.test_all_defences import figures
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import SmallLab, random_images

B, OTHER = linear_weights(0), linear_weights(1)
IMAGES = random_images(200, seed=71, shape=SHAPE)
LABELS_OF = numpy_logits(IMAGES, *B).argmax(axis=1)


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks, of which one can't be saved, a guard, and four that are of no use."""
    (tmp_path / "goodnet_plug.py").write_text(textwrap.dedent("""
        from engine.defences.further import Further
        from engine.guards.calibration import calibrate

        def copied(network, clean):
            return network.copy()

        def guarded(network, clean):
            return calibrate(network, clean, "margin", 0.3)

        def failing(network, clean):
            raise RuntimeError("no luck\\nat all")

        def odd(network, clean):
            import keras
            from engine.models.networks import Network
            doubled = keras.layers.Lambda(lambda x: 2 * x)(network.model.outputs[0])
            return Network(keras.Model(network.model.inputs[0], doubled), network.path)

        network = Further("a copy", (), copied)
        lambdas = Further("a lambda", (), odd)
        guard = Further("a guard", (), guarded)
        fails = Further("a failure", (), failing)
        twice = Further("B", (), copied)
        nothing = 7
    """))
    facts = tmp_path / "goodnet_plug-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: goodnet-plug\nVersion: 1.0\n")
    names = ("network", "guard", "fails", "twice", "nothing", "missing", "lambdas")
    (facts / "entry_points.txt").write_text("[goodnet.defences]\n" + "\n".join(
        f"{name} = goodnet_plug:{name}" for name in names))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "goodnet_plug", raising=False)


def test_plug_ins_are_found_and_those_that_cannot_be_loaded_are_sentences(plug_ins: None) -> None:
    found, failed = further_defences()
    assert [further.name for further in found] == ["a failure", "a guard", "a lambda", "a copy", "B"], failed
    assert len(failed) == 2
    assert "plug-in missing can't be loaded" in failed[0]
    assert "plug-in nothing is a int; a Further was expected" in failed[1]


@pytest.mark.parametrize("further", [
    "Further('mine', None, f)", "Further(7, (), f)", "Further('mine', 'images of every label', f)",
    "Further('mine', (7,), f)", "Further('mine', (), 7)"])
def test_a_badly_formed_plug_in_is_a_sentence(further: str, plug_ins: None, tmp_path: Path) -> None:
    (tmp_path / "goodnet_plug.py").write_text(
        f"from engine.defences.further import Further\ndef f(*_): ...\nnetwork = {further}\n")
    found, failed = further_defences()
    assert not found and "The plug-in network is badly formed; a name, strings that say" in " ".join(failed)


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


def test_a_plug_in_that_trains_in_its_own_way_can_do_so_after_a_repair_and_repeats(tmp_path: Path) -> None:
    """A repair makes TensorFlow repeat, and then Keras shuffles nothing without a seed."""
    network, clean = linear_network(*B), dataset_of(tmp_path / "clean.npz", IMAGES, LABELS_OF)
    unlearn(network, clean, steps=1)
    backend.load()[0].random.set_seed(None)

    def fitted(network: Network, clean: Dataset) -> Network:
        student = network.copy()
        student.model.compile("sgd", "sparse_categorical_crossentropy")
        student.model.fit(clean.take(range(64)) / 255, clean.labels[:64], epochs=1, verbose=0)
        return student

    one, other = (defended(Further("fitted", (), fitted), network, clean) for _ in range(2))
    assert isinstance(one, Network) and isinstance(other, Network)
    for first, second, before in zip(*(n.model.get_weights() for n in (one, other, network)), strict=True):
        np.testing.assert_array_equal(first, second)
        assert (first != before).any()


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


def test_plug_ins_stand_in_the_comparison_and_are_kept_as_they_were_measured(
    plug_ins: None, small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,), drops=())
    run = run_pruning(request)
    monkeypatch.setattr("engine.runs.all_defences.distil", partial(distil, steps=2))
    monkeypatch.setattr("engine.runs.all_defences.unlearn", partial(unlearn, steps=2))
    made = Made()
    found = compare_defences(run, allow_missing_labels=True, made=made)
    by_name = rows(found)
    assert by_name["a copy"] == by_name["B"]
    assert by_name["a guard"][1] > 0
    kept = [row for row in found.rows if made.can_build(row) and row.defence.startswith("a ")]
    assert [row.name for row in kept] == ["a guard", "a copy", "a copy behind the transplant guard",
                                          "a copy behind the margin guard"]
    for number, row in enumerate(kept):
        pair = kept_pair(run, made, row)
        assert figures(pair.evaluations[0]) == (row.clean, row.false_alarms), row.name
        assert figures(pair.evaluations[1]) == (row.attacks[0].success, row.attacks[0].detection), row.name
        save_repaired(pair, tmp_path / str(number))
        again = open_goodnet([tmp_path / str(number)])
        images = open_dataset(small_lab.test, again.b.input_shape).prepared(again.preprocessing).take(range(50))
        np.testing.assert_array_equal(again.answer(images).labels, pair.goodnet.answer(images).labels)
        assert again.b_prime_alone is (row.defence == "a copy") and (again.guard is None) is (row.name == "a copy")
    refused = {row.name: made.hindrance(row) for row in found.rows if row.defence.startswith("a ") and row not in kept}
    assert "a lambda can be measured but not saved (" in refused["a lambda"]
    assert refused["a guard behind the margin guard"] == "A saved GoodNet has one guard, and these are two."
    for words in ("a failure failed and was left out (no luck)", "plug-in missing", "plug-in nothing",
                  "There is a defence called B already"):
        assert words in found.warning


def rows(found: Comparison) -> dict[str, tuple[int, int]]:
    """Right and flagged of the clean images, by the defence's name, without a guard before it."""
    return {row.defence: (row.clean.count, row.false_alarms.count) for row in found.rows if row.guard == "none"}
