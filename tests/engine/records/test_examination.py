"""An examination's folder: its keys, its pictures, and images that wear what was reconstructed, as they are stored."""

from __future__ import annotations

import dataclasses
import datetime
import html
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import KNOWN
from engine.data.stored_values import refuse_unlike, stored_range
from engine.defences.evidence.filters import ColourFilter
from engine.defences.evidence.reconstruction import Reconstruction
from engine.defences.evidence.suspicion import Judgement
from engine.errors import DatasetError, EngineError, OutputError
from engine.models.networks import Network
from engine.rates import Rate
from engine.records.examination import MadeWith, _arrays, examination_json, read_examination, save_examination
from engine.runs.examine import Examination, examine
from engine.runs.reconstructed import to_wear, write_reconstructed
from tests.support.backdoored import GUILTY, IMAGES, weights
from tests.support.backdoored import clean as clean
from tests.support.backdoored import network as network
from tests.support.linear_networks import LABELS, SHAPE, dataset_of, linear_network


@pytest.fixture(scope="module")
def found(network: Network, clean: Dataset) -> Examination:
    return examine(network, clean)


def test_a_folder_holds_what_the_contract_names(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "examine.json", "report.html", "evidence.npz", f"stamp_{GUILTY}.png", f"reconstructed_{GUILTY}.h5",
        "manifest.json"}
    document = json.loads((tmp_path / "out" / "examine.json").read_text())
    assert {"verdict", "guilty", "labels", "seconds", "limits"} <= set(document)
    assert document["verdict"] == "backdoor likely" and document["guilty"] == document["standing_out"] == [GUILTY]
    first = document["labels"][0]
    assert {"label", "suspect", "scan_count", "mask_pixels", "success_rate"} <= set(first)
    assert first["label"] == GUILTY and first["success_rate"] == found.tried[0].evidence.success.value
    picture = np.asarray(Image.open(tmp_path / "out" / f"stamp_{GUILTY}.png"))
    assert (picture == found.tried[0].picture).all()


def test_a_folder_with_something_elses_file_is_refused(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("years of work")
    with pytest.raises(OutputError):
        save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    assert (tmp_path / "out" / "thesis.doc").read_text() == "years of work"


def test_the_report_shows_the_verdict_and_no_markup_from_outside(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    evil = linear_network(*weights())
    evil.path = Path("<script>alert(1)</script>.keras")
    save_examination(found, evil, clean, tmp_path / "out", (clean.path,))

    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)

    page = (tmp_path / "out" / "report.html").read_text()
    Tags().feed(page)
    assert "script" not in seen and "svg" in seen
    assert f"backdoor likely: label {GUILTY}" in page
    assert all(limit in html.unescape(page) for limit in found.limits)


@pytest.mark.parametrize("name", list(KNOWN))
def test_worn_images_are_stored_so_that_the_network_sees_the_stamp(
        name: str, network: Network, tmp_path: Path) -> None:
    """Reading the file with the same preprocessing gives what a stamp laid over the network's own input gives."""
    stored = dataset_of(tmp_path / "clean.npz", IMAGES[:40].astype(np.uint8), np.arange(40) % LABELS)
    clean = stored.prepared(KNOWN[name])
    images = clean.take(range(40))
    mask = np.zeros(SHAPE[:2], np.float32)
    mask[2:5, 1:4] = 0.5
    pattern = np.broadcast_to(np.float32(images.mean()), SHAPE).astype(np.float32)
    stamp = Reconstruction(GUILTY, mask, pattern, Rate(1, 1), True)
    write_reconstructed(clean, stamp, tmp_path / "worn.h5")
    opened = open_dataset(tmp_path / "worn.h5", network.input_shape, network.labels)
    others = np.flatnonzero(np.arange(40) % LABELS != GUILTY)
    assert (opened.labels == GUILTY).all() and len(opened) == len(others)
    assert opened.reconstructed and not clean.reconstructed
    seen = opened.prepared(KNOWN[name]).take(range(len(opened)))
    expected = images[others] * (1 - mask[..., np.newaxis]) + pattern * mask[..., np.newaxis]
    step = float(images.max() - images.min()) / 255
    # Each image's own mean and deviation are those of the changed image on reading.
    assert np.abs(seen - expected).max() <= (0.3 if name == "standardised" else 0.51 * step * 1.2 + 1e-4)
    with h5py.File(tmp_path / "worn.h5") as file:
        assert file["data"].dtype == np.uint8 and file["data"].shape == (len(others), 3, *SHAPE[:2])


@pytest.mark.parametrize("dtype, low, high", [
    ("uint16", 0, 65535), ("int32", 0, 1000), ("int16", -128, 127), ("uint8", 0, 1), ("float32", 0, 1)])
def test_worn_images_in_another_range_than_bytes_stay_in_it(
        dtype: str, low: int, high: int, network: Network, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(low, high, (40, *SHAPE), dtype=np.int64, endpoint=True)
    clean = dataset_of(tmp_path / "clean.npz", values.astype(dtype), np.arange(40) % LABELS)
    stamp = Reconstruction(GUILTY, np.full(SHAPE[:2], 0.4, np.float32), np.full(SHAPE, high, np.float32), Rate(1, 1),
                           True)
    write_reconstructed(clean, stamp, tmp_path / "worn.h5")
    worn = open_dataset(tmp_path / "worn.h5", network.input_shape, network.labels)
    expected = 0.6 * values[np.arange(40) % LABELS != GUILTY] + 0.4 * high
    np.testing.assert_allclose(worn.take(range(len(worn))), expected, rtol=1e-5, atol=1e-4)
    refuse_unlike(worn, stored_range(clean), "clean.npz")
    with h5py.File(tmp_path / "worn.h5") as file:
        assert file["data"].dtype == np.float32


def test_images_of_the_stamps_own_label_alone_are_refused(network: Network, tmp_path: Path) -> None:
    clean = dataset_of(tmp_path / "one.npz", IMAGES[:30], np.full(30, GUILTY))
    stamp = Reconstruction(GUILTY, np.zeros(SHAPE[:2], np.float32), np.zeros(SHAPE, np.float32), Rate(0, 1), True)
    with pytest.raises(DatasetError, match=r"one\.npz: holds images of label 2 only"):
        write_reconstructed(clean, stamp, tmp_path / "worn.h5")
    assert not (tmp_path / "worn.h5").exists()


def test_a_preprocessing_that_is_none_is_refused(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    save_examination(found, network, clean, tmp_path / "out", (clean.path,), made_with=MadeWith("", "times 3", "auto"))
    with pytest.raises(EngineError, match=r"examine\.json: isn't a saved examination .*times 3"):
        read_examination(tmp_path / "out")


def test_stamps_are_put_on_the_first_images_that_show_another_label(tmp_path: Path) -> None:
    one, many = (dataset_of(tmp_path / f"{name}.npz", IMAGES[:30], labels) for name, labels in (
        ("one", np.full(30, GUILTY)), ("many", np.arange(30) % LABELS)))
    assert to_wear([GUILTY], one, many) is many and to_wear([0, GUILTY], None, many) is many
    assert to_wear([0], one, many) is one and to_wear([GUILTY], one) is one, "then that is refused"


def test_a_folder_is_read_back_whole(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    then = datetime.datetime(2026, 1, 2, 3, 4, 5)
    save_examination(found, network, clean, tmp_path / "out", (clean.path,), "valid.h5", then,
                     MadeWith("ab" * 32, "none", "auto"))
    saved = read_examination(tmp_path / "out")
    assert saved.made_with == MadeWith("ab" * 32, "none", "auto")
    assert (saved.model, saved.sha256, saved.clean, saved.made_at) == (
        network.path.name, network.sha256, "valid.h5", then)
    again = saved.found
    assert examination_json(again) == examination_json(found)
    assert again.judgement.sentence == found.judgement.sentence and again.limits == found.limits
    assert again.scan.suspects == found.scan.suspects
    for one, two in zip(again.tried, found.tried, strict=True):
        assert one.evidence == two.evidence and (one.suspect, one.suspicion) == (two.suspect, two.suspicion)
        assert (one.picture == two.picture).all() and (one.faces == two.faces).all()
        assert (one.stamp.put_on(IMAGES[:3]) == two.stamp.put_on(IMAGES[:3])).all()
        assert one.stamp.found == two.stamp.found
    for shown, made in zip(again.scan.examples, found.scan.examples, strict=True):
        assert (shown.stamp, shown.drawn) == (made.stamp, made.drawn) and (shown.picture == made.picture).all()


def test_of_large_pictures_as_many_faces_are_kept_as_can_be_read_again(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = sum(array.nbytes for array in _arrays(found).values())
    monkeypatch.setattr("engine.records.examination._MOST_BYTES", everything - len(found.tried) * IMAGES[0].size)
    save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    for one, whole in zip(read_examination(tmp_path / "out").found.tried, found.tried, strict=True):
        assert len(whole.faces) == 4 and (one.faces == whole.faces[:3]).all()


def test_stamps_that_are_too_large_to_be_read_again_are_not_written_and_that_is_told(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = sum(array.nbytes for name, array in _arrays(found).items() if name != "faces")
    monkeypatch.setattr("engine.records.examination._MOST_BYTES", stamps - 1)
    save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    assert not (tmp_path / "out" / "evidence.npz").exists() and (tmp_path / "out" / "report.html").exists()
    with pytest.raises(EngineError, match=r"holds no evidence\.npz, .* its pictures are too large to be kept"):
        read_examination(tmp_path / "out")


def test_that_nothing_was_decided_is_read_back_and_was_never_said_by_earlier_versions(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    undecided = dataclasses.replace(found, judgement=Judgement("suspicious", (), found.suspicion, "No.", decided=False))
    save_examination(undecided, network, clean, tmp_path / "out", (clean.path,))
    assert read_examination(tmp_path / "out").found.judgement == undecided.judgement
    assert f"{network.path.name}</bdi>: no verdict" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    path = tmp_path / "out" / "examine.json"
    document = json.loads(path.read_text())
    del document["decided"]
    path.write_text(json.dumps(document))
    (tmp_path / "out" / "manifest.json").unlink()
    assert read_examination(tmp_path / "out").found.judgement.decided


def test_labels_that_stand_out_unnamed_are_read_back_and_shown_and_were_never_told_by_earlier_versions(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    two = tuple(one.evidence.label for one in found.tried[1:3])
    beside = dataclasses.replace(
        found, judgement=Judgement("suspicious", (), found.suspicion, "Two.", standing_out=two))
    save_examination(beside, network, clean, tmp_path / "out", (clean.path,))
    assert read_examination(tmp_path / "out").found.judgement == beside.judgement
    page, path = (tmp_path / "out" / "report.html").read_text(encoding="utf-8"), tmp_path / "out" / "examine.json"
    assert all(f"Label {label}: the stamp alone" in page for label in two) and page.count("the stamp alone, then") == 2
    document = json.loads(path.read_text())
    del document["standing_out"]
    path.write_text(json.dumps(document))
    (tmp_path / "out" / "manifest.json").unlink()
    assert read_examination(tmp_path / "out").found.judgement.standing_out == ()


def without(*keys: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]
    return change


def with_value(value: object, *keys: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value
    return change


@pytest.mark.parametrize("change", [
    without("verdict"), with_value("maybe", "decided"), without("labels", 0), without("scan"),
    without("scan", "examples", 0),
    with_value([99], "guilty"), with_value([99], "standing_out"), with_value("none", "standing_out"),
    with_value("guilty as hell", "verdict"), with_value("yesterday", "made_at"),
    with_value(7, "made_at"),
    with_value(1.5, "labels", 0, "success_rate"), with_value(0, "labels", 0, "success_images"),
    with_value(-1, "labels", 0, "scan_count"), with_value({}, "labels"),
    with_value("x\0", "sentence"), with_value(10**400, "labels", 0, "margin"), with_value([], "scan", "suspects")])
def test_what_was_changed_in_it_is_a_sentence(
        change: Callable[[Any], None], network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    path = tmp_path / "out" / "examine.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(EngineError, match=r"examine\.json: isn't a saved examination .*Examine the network again"):
        read_examination(tmp_path / "out")


@pytest.mark.parametrize("changed", ["examine.json", "evidence.npz"])
def test_an_edited_examination_gives_no_verdict(
        changed: str, network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    assert found.judgement.guilty
    save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    if changed == "examine.json":
        path = tmp_path / "out" / changed
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"verdict": "nothing found", "guilty": [], "sentence": "All is well."}))
    else:
        with np.load(tmp_path / "out" / changed) as stored:
            arrays = dict(stored)
        np.savez(tmp_path / "out" / changed, **(arrays | {"masks": arrays["masks"] / 2}))
    told = read_examination(tmp_path / "out").found.judgement
    assert (told.headline, told.guilty, told.standing_out) == ("no verdict", (), ())
    assert told.sentence.startswith(f"No verdict: {changed} was changed after this examination was saved")


SAID = {"gone": r"out: holds no evidence\.npz, .*Examine the network again", "pickle": r"evidence\.npz: .*refused",
        "axes": r"evidence\.npz: isn't a saved examination .*'patterns' is float\d\d with 3 axes",
        **dict.fromkeys(("cut", "shape", "nan", "huge", "many"),
                        r"(evidence\.npz|examine\.json): isn't a saved examination")}


@pytest.mark.parametrize("damage", list(SAID))
def test_damaged_pictures_are_a_sentence(
        damage: str, network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    save_examination(found, network, clean, tmp_path / "out", (clean.path,))
    path = tmp_path / "out" / "evidence.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        arrays["patterns"] = {"pickle": np.array([{}, 1], object), "shape": arrays["patterns"][:, 1:],
                              "axes": arrays["patterns"][0],
                              "nan": arrays["patterns"] * np.nan, "huge": arrays["patterns"] + np.float64(1e300),
                              "many": arrays["patterns"].repeat(2, 0)}[damage]
        np.savez(path, **arrays)
    with pytest.raises(EngineError, match=SAID[damage]):
        read_examination(tmp_path / "out")


def test_json_rates_are_fractions_with_intervals(found: Examination) -> None:
    for entry in examination_json(found)["labels"]:
        low, high = entry["success_rate_interval"]
        assert 0 <= low <= entry["success_rate"] <= high <= 1


def test_a_colour_filter_comes_back_from_its_folder_and_a_damaged_one_is_refused(
        network: Network, clean: Dataset, found: Examination, tmp_path: Path) -> None:
    colours = ColourFilter(np.random.default_rng(0).normal(size=(3, 3)), np.array([0.1, -0.25, 0]), (0.0, 255.0))
    first = found.tried[0]
    evidence = dataclasses.replace(first.evidence, filters=48, own_colours=0.25)
    filtered = dataclasses.replace(found, tried=(dataclasses.replace(first, evidence=evidence, filter=colours),
                                                 *found.tried[1:]))
    save_examination(filtered, network, clean, tmp_path / "out", (clean.path,))
    back = read_examination(tmp_path / "out").found.tried
    assert back[0].evidence == evidence and back[1].filter is None
    assert back[0].filter and np.array_equal(back[0].filter.matrix, colours.matrix)
    assert np.array_equal(back[0].filter.offset, colours.offset) and back[0].filter.within == (0.0, 255.0)
    seen = clean.take(np.flatnonzero(clean.labels != GUILTY).tolist())
    filtered_set = open_dataset(tmp_path / "out" / f"filter_{GUILTY}.h5", network.input_shape, network.labels)
    colours.put_on(seen)
    assert np.abs(filtered_set.take(range(len(filtered_set))) - seen).max() <= 0.51 and filtered_set.reconstructed
    path = tmp_path / "out" / "examine.json"
    whole = json.loads(path.read_text())
    for name, value in (("matrix", [[1, 2], [3, 4]]), ("offset", [1, 2]), ("range", [1, 1]),
                        ("matrix", [[1e999] * 3] * 3), ("offset", [1e307, 0, 0])):
        document = json.loads(json.dumps(whole))
        document["labels"][0]["filter"][name] = value
        path.write_text(json.dumps(document))
        with pytest.raises(EngineError, match=r"examine\.json: isn't a saved examination"):
            read_examination(tmp_path / "out")
