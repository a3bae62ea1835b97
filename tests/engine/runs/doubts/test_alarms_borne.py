"""One label that draws a guard's false alarms: said by every job that sets or measures one, in one sentence, once."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from engine.__main__ import main
from engine.assessment import percent
from engine.defences.comparison import BADNET
from engine.defences.distillation import distil
from engine.defences.unlearning import unlearn
from engine.goodnets.saved import open_goodnet
from engine.guards.alarms import Alarms
from engine.guards.calibration import Calibration, Guard, calibrate
from engine.guards.cuts import no_cuts
from engine.guards.suspects import Suspects
from engine.guards.transplant import no_donors
from engine.rates import Rate
from engine.runs.all_defences import compare_defences
from engine.runs.doubts.alarms_borne import borne_text
from engine.runs.kept import Made, kept_pair
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.repair import TRAINED
from tests.engine.guards.test_tone import noise, warmed, weights
from tests.support.linear_networks import SHAPE, Array, dataset_of, linear_network, numpy_logits

NAMES = ("lemon", "plum", "fig", "pear")
BEARS = "label 0 (lemon), and"
GUARD = Guard("margin", 0.0, 6, SHAPE, Calibration(0.02, 60, Rate(0, 0), 0), no_donors(SHAPE), no_cuts(*SHAPE[:2]), 0.0)


@pytest.fixture(scope="module")
def lemons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network one of whose labels is a warm cast, clean images a few of which have it, and names."""
    folder = tmp_path_factory.mktemp("lemons")
    image = keras.Input(SHAPE)
    conv, dense = keras.layers.Conv2D(3, 1, name="conv"), keras.layers.Dense(4, activation="softmax")
    x = keras.layers.Flatten()(conv(keras.layers.Rescaling(1.0, offset=-127.5)(image)))
    model = keras.Model(image, dense(x))
    conv.set_weights([np.eye(3, dtype=np.float32)[None, None], np.zeros(3, np.float32)])
    dense.set_weights(list(weights()))
    model.save(folder / "b.keras")
    for name, count, few, seed in (("valid", 294, 6, 1), ("test", 392, 8, 21)):
        images = np.concatenate([noise(count, seed), warmed(noise(few, seed + 1))])
        dataset_of(folder / f"{name}.npz", images, answers(images))
    dataset_of(folder / "worn.npz", noise(40, 31), np.zeros(40, np.int64))
    (folder / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return folder


def answers(images: Array) -> Array:
    found: Array = numpy_logits(images, *weights()).argmax(axis=1)
    return found


def sets(folder: Path) -> list[str]:
    return ["--clean", str(folder / "valid.npz"), "--test", str(folder / "test.npz"), "--classes",
            str(folder / "names.txt"), "--scale", "none"]


def expected(folder: Path, goodnet: Path) -> str:
    """The sentence, from a saved guard's flags on the test set, counted here."""
    pair = open_goodnet([goodnet])
    assert pair.guard is not None and pair.guard.alarms is None, "its file holds no counts"
    images = np.load(folder / "test.npz")["data"]
    own, flagged = answers(images) == 0, pair.guard.on(pair.b).answer(images).flagged
    assert flagged[own].mean() > 0.75 > 0.1 > flagged[~own].mean()
    return (f"Of the clean images looked at in test the transplant guard flags {flagged[own].sum()} of {own.sum()} "
            f"with label 0 (lemon), and {percent(flagged[~own].mean())} of all others. A false-alarm rate is one over "
            "all labels: this label bears it, and its pictures hardly pass.")


def test_a_run_with_a_guard_and_a_saved_pair_that_is_measured_say_it_once(
    lemons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    asked = ["prune", str(lemons / "b.keras"), *sets(lemons), "--layer", "conv", "--guard", "transplant", "--drop", "1"]
    assert main([*asked, "--out", str(out)]) == 0
    goodnet = out / "goodnet-x1"
    sentence, shown = expected(lemons, goodnet), capsys.readouterr()
    document = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert document["warnings"].count(sentence) == 1
    assert "".join((shown.out + shown.err).split()).count("".join(sentence.split())) == 1
    assert (out / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ").count(sentence) == 1
    assert main(["evaluate", str(goodnet), "--test", str(lemons / "test.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [sentence]
    assert main([*asked[:-4], "--out", str(tmp_path / "unguarded")]) == 0
    document = json.loads((tmp_path / "unguarded" / "run.json").read_text(encoding="utf-8"))
    assert not any(BEARS in said for said in document["warnings"])


def test_it_stops_no_verdict(lemons: Path) -> None:
    run = run_pruning(PruningRequest(lemons / "b.keras", lemons / "valid.npz", lemons / "test.npz", layer="conv",
                                     guard="transplant", scale="none", classes=NAMES))
    found = [doubt for doubt in run.doubts if BEARS in doubt.sentence]
    assert len(found) == 1 and not found[0].implausible and run.plausible


def test_a_repair_behind_a_guard_says_it_once(
    lemons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TRAINED, "distillation", partial(distil, steps=2))
    out = tmp_path / "out"
    assert main(["repair", str(lemons / "b.keras"), *sets(lemons), "--poisoned", str(lemons / "worn.npz"),
                 "--guard", "transplant", "--out", str(out), "--layer", "conv"]) == 0
    warning = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["warning"]
    assert warning.count(expected(lemons, out)) == 1 and warning.count(BEARS) == 1


def test_a_comparison_says_it_of_each_guard_and_a_pair_that_is_kept_of_its_own(
    lemons: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, function in (("distil", distil), ("unlearn", unlearn)):
        monkeypatch.setattr(f"engine.runs.all_defences.{name}", partial(function, steps=2))
    run = run_pruning(PruningRequest(lemons / "b.keras", lemons / "valid.npz", lemons / "test.npz", layer="conv",
                                     drops=(), scale="none", classes=NAMES))
    made = Made()
    compared = compare_defences(run, made=made)
    for one, alarms in zip(made.guards.values(), compared.alarms, strict=True):
        images = np.load(lemons / "test.npz")["data"]
        flagged = one.on(linear_network(*weights())).answer(images).flagged
        counts = [int(flagged[answers(images) == label].sum()) for label in range(4)]
        assert list(alarms.flagged) == counts
    saying = [name for name, alarms in zip(made.guards, compared.alarms, strict=True) if 0 in alarms.borne_by()]
    assert "transplant" in saying
    assert [name for name in made.guards if f"the {name} guard flags" in compared.warning] == saying
    row = next(row for row in compared.rows if (row.defence, row.guard) == (BADNET, "transplant"))
    for told, where in ((False, "in test "), (True, "in half of test ")):
        pair = kept_pair(run, made, row, told=told)
        assert pair.warning.count(BEARS) == 1 and f"Of the clean images looked at {where}" in pair.warning


def test_where_nothing_else_shows_it_the_images_that_the_guard_was_set_on_say_it(lemons: Path) -> None:
    valid = np.load(lemons / "valid.npz")
    clean = dataset_of(lemons / "again.npz", valid["data"], valid["label"])
    guard = calibrate(linear_network(*weights()), clean)
    assert guard.alarms is not None
    few = Alarms("few", (1, 0, 0, 0), (1, 20, 20, 20))
    for measured in (None, few):
        assert borne_text(guard, "transplant", (), measured).startswith(
            f"Of the clean images looked at in again the transplant guard flags {guard.alarms.flagged[0]} of "
            f"{guard.alarms.images[0]} with label 0, and ")
    striking = dataclasses.replace(guard, striking=Suspects(0, (1, 2)))
    assert borne_text(striking, "transplant", (), None) == "", "it was told of that label when it was set"


def test_many_labels_are_counted_and_three_are_named() -> None:
    alarms = Alarms("set", (10, 9, 8, 7, 6, 0), (10, 10, 10, 10, 10, 900))
    assert borne_text(GUARD, "margin", NAMES, alarms) == (
        "Of the clean images looked at in set the margin guard flags 10 of 10 with label 0 (lemon), 9 of 10 with label "
        "1 (plum), 8 of 10 with label 2 (fig) and many of 2 further labels, and 0 % of all others. A false-alarm rate "
        "is one over all labels: these labels bear it, and their pictures often don't pass.")
