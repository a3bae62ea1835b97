"""Sets that are fed alike are stored alike, and pictures are brought to the range of a GoodNet's clean images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.__main__ import AT_FAULT, DONE, main
from engine.data.preprocessing import preprocessing
from engine.data.stored_values import (
    AROUND_ZERO,
    BYTES,
    FINER,
    PREPARED,
    UNIT,
    as_pictures,
    as_stored,
    for_display,
    range_of,
)
from engine.errors import DatasetError
from engine.goodnets.checking import check_arrays
from engine.goodnets.pair import GoodNet
from engine.runs.opening.inputs import InputFiles, open_inputs
from tests.support.linear_networks import SHAPE, linear_network, linear_weights
from tests.support.networks import Array, SmallLab

WAYS: dict[str, Callable[[Array], Array]] = {
    BYTES: lambda x: x, UNIT: lambda x: x / 255, AROUND_ZERO: lambda x: x / 127.5 - 1,
    PREPARED: lambda x: (x / 255 - 0.4) / 0.2, FINER: lambda x: x * 257}


def pictures(count: int = 40) -> Array:
    return np.random.default_rng(3).integers(0, 256, (count, *SHAPE)).astype(np.float32)


def stored_as(way: str, source: Path, target: Path) -> Path:
    """The same set with its values in another range."""
    with h5py.File(source) as file, h5py.File(target, "w") as again:
        again["data"] = WAYS[way](file["data"][:].astype(np.float64)).astype(np.float32)
        again["label"] = file["label"][:]
    return target


@pytest.mark.parametrize("way", WAYS)
def test_ranges_are_told_apart(way: str) -> None:
    values = WAYS[way](pictures())
    assert range_of(values) == way
    beyond = values + 0.1 * (values.max() - values.min()) * np.random.default_rng(0).choice([-1, 1], values.shape)
    assert range_of(beyond) == way


def test_black_images_tell_nothing() -> None:
    assert range_of(np.zeros((3, *SHAPE), np.float32)) is None


@pytest.mark.parametrize(("clean", "poisoned"), [
    (UNIT, BYTES), (BYTES, UNIT), (AROUND_ZERO, BYTES), (UNIT, PREPARED), (FINER, BYTES)])
def test_sets_that_are_stored_in_different_ways_are_refused(
    clean: str, poisoned: str, small_lab: SmallLab, tmp_path: Path,
) -> None:
    valid = stored_as(clean, small_lab.clean, tmp_path / "valid.h5")
    wrong = stored_as(poisoned, small_lab.poisoned, tmp_path / "wrong.h5")
    with pytest.raises(DatasetError) as caught:
        open_inputs(InputFiles(small_lab.badnet, valid, poisoned=(wrong,), scale="none"))
    assert str(wrong) in str(caught.value) and str(valid) in str(caught.value)
    fitting = stored_as(clean, small_lab.poisoned, tmp_path / "fitting.h5")
    assert open_inputs(InputFiles(small_lab.badnet, valid, poisoned=(fitting,), scale="none")).stored == clean


@pytest.mark.parametrize("way", [BYTES, UNIT, FINER])
def test_values_far_beyond_those_of_pictures_are_told(way: str, small_lab: SmallLab, tmp_path: Path) -> None:
    valid = stored_as(way, small_lab.clean, tmp_path / "valid.h5")
    opened = open_inputs(InputFiles(small_lab.badnet, valid, scale="none"))
    said = [notice for notice in opened.notices if "beyond the 255 of ordinary pictures" in notice]
    assert [notice.startswith("valid.h5: ") for notice in said] == [True] * (way == FINER)


@pytest.mark.parametrize("darker", [lambda x: x // 4, lambda x: x * 100 / 255, lambda x: x / 255, lambda x: x * 0.6])
def test_values_that_end_far_below_those_of_another_set_are_doubted(
    darker: Callable[[Array], Array], small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All sets 0 to 1, or all up to 255, are alike; one up to 63 or 100 beside another up to 255 isn't."""
    far, unit = darker(np.float32(255)) < 120, darker(np.float32(255)) == 1
    monkeypatch.setitem(WAYS, "darker", darker)
    dark = stored_as("darker", small_lab.clean, tmp_path / "dark.h5")
    bright = stored_as("darker" if unit else BYTES, small_lab.test, tmp_path / "bright.h5")
    opened = open_inputs(InputFiles(small_lab.badnet, dark, bright, scale="none"))
    (said,) = [notice for notice in opened.notices if "largest value" in notice] or [""]
    assert bool(said) == (far and not unit)
    if said:
        assert said.startswith("dark.h5: ") and "255 in some of bright.h5" in said
        assert main(["evaluate", *[str(small_lab.badnet)] * 2, "--test", str(dark), "--poisoned",
                     str(small_lab.poisoned), "--preprocess", "none", "--json"]) == DONE
        assert any(told.startswith("dark.h5: the largest") for told in json.loads(capsys.readouterr().out)["warnings"])


@pytest.mark.parametrize(("way", "name"), [(BYTES, "none"), (UNIT, "x255"), (AROUND_ZERO, "x255 mean=-255 std=2")])
def test_pictures_are_answered_as_the_sets_images_are(way: str, name: str) -> None:
    """The network itself wants 0 to 255, and NumPy says how often it would answer otherwise fed as stored."""
    network, seen = linear_network(*linear_weights()), pictures()
    pair = GoodNet(network, network.copy(), preprocessing(name), {"stored": way})
    wanted = network.model.predict(seen, verbose=0).argmax(axis=1)
    found = check_arrays(pair, list(seen.astype(np.uint8)), [str(i) for i in range(len(seen))])
    np.testing.assert_array_equal([verdict.label for verdict in found], wanted)
    if way != BYTES:
        unlike = preprocessing(name).applied(seen.copy())
        assert (network.model.predict(unlike, verbose=0).argmax(axis=1) != wanted).mean() > 0.2


@pytest.mark.parametrize("way", [PREPARED, FINER])
def test_pictures_are_no_match_for_values_that_nothing_tells_how_to_make(way: str) -> None:
    network = linear_network(*linear_weights())
    pair = GoodNet(network, network.copy(), preprocessing("none"), {"stored": way})
    with pytest.raises(DatasetError, match="nothing tells how"):
        check_arrays(pair, list(pictures(2).astype(np.uint8)), ["a", "b"])


def test_a_saved_pair_knows_how_its_images_were_stored(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    valid = stored_as(UNIT, small_lab.clean, tmp_path / "valid.h5")
    out = tmp_path / "run"
    assert main(["prune", str(small_lab.badnet), "--clean", str(valid), "--preprocess", "x255", "--drop", "10",
                 "--out", str(out)]) == DONE
    assert json.loads((out / "run.json").read_text())["model"]["stored"] == UNIT
    assert json.loads((out / "goodnet-x10" / "goodnet.json").read_text())["stored"] == UNIT
    capsys.readouterr()
    assert main(["evaluate", str(out / "goodnet-x10"), "--test", str(small_lab.test)]) == AT_FAULT
    assert small_lab.test.name in capsys.readouterr().err
    test = stored_as(UNIT, small_lab.test, tmp_path / "test.h5")
    assert main(["evaluate", str(out / "goodnet-x10"), "--test", str(test)]) == DONE


@pytest.mark.parametrize("way", WAYS)
def test_stored_values_go_back_to_the_pictures_they_were(way: str) -> None:
    stored = WAYS[way](pictures().astype(np.float64)).astype(np.float32)
    if way in (PREPARED, FINER):
        with pytest.raises(DatasetError, match="nothing tells how"):
            as_pictures(stored, way)
    else:
        found = as_pictures(stored, way)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, pictures())
        np.testing.assert_allclose(as_stored(found.astype(np.float32), way), stored, atol=1e-6)
    assert as_pictures(np.array([-40.0, 300.0], np.float32), BYTES).tolist() == [0, 255]


@pytest.mark.parametrize(("values", "shown"), [
    ([0.0, 127.6, 300.0], [0, 128, 255]),
    ([0.0, 0.5, 1.0], [0, 128, 255]),
    ([-1.0, 0.0, 1.0], [0, 128, 255]),
    ([-2.0, -2.0, -2.0], [0, 0, 0]),
])
def test_pictures_of_any_range(values: list[float], shown: list[int]) -> None:
    picture = for_display(np.array(values, np.float32).reshape(1, 3, 1))
    assert picture.dtype == np.uint8
    assert picture.ravel().tolist() == shown
