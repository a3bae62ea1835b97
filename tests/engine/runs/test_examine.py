"""An examination as a whole: which labels are tried, what it refuses, what it says of its limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import KNOWN
from engine.defences.evidence.universal import Universal
from engine.defences.scan import Scan, Suspect
from engine.errors import Cancelled, DatasetError, EngineError
from engine.models.networks import Network, open_network
from engine.progress import CancelSource, Progress
from engine.runs import examine as looking
from engine.runs.examine import Examination, chosen_labels, examine
from engine.runs.reconstructed import write_reconstructed
from tests.engine.defences.evidence.test_filters import lighter
from tests.engine.guards.test_tone import noise, warmed
from tests.support.backdoored import GUILTY, IMAGES, weights
from tests.support.backdoored import clean as clean
from tests.support.backdoored import network as network
from tests.support.linear_networks import LABELS, SHAPE, SIZE, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import SmallLab

FEWEST_LABELS = looking._FEWEST_LABELS


@pytest.fixture(scope="module")
def found(network: Network, clean: Dataset) -> Examination:
    return examine(network, clean)


def test_the_attackers_label_is_named_with_its_evidence(found: Examination) -> None:
    assert found.judgement.verdict == "backdoor likely"
    assert found.judgement.guilty == (GUILTY,)
    first = found.tried[0]
    assert first.evidence.label == GUILTY and first.suspect
    assert found.guilty == (first,)
    assert sorted(one.evidence.label for one in found.tried) == list(range(LABELS)), "all of a few labels are tried"
    assert list(found.suspicion) == sorted(found.suspicion, reverse=True)
    counts = {suspect.label: suspect.count for suspect in found.scan.suspects}
    assert all(one.evidence.scan_count == counts.get(one.evidence.label, 0) for one in found.tried)
    assert f"label {GUILTY}" in found.judgement.sentence.lower()


def test_pictures_show_the_stamp_alone_and_on_clean_images_of_other_labels(found: Examination) -> None:
    first = found.tried[0]
    share = first.stamp.mask[..., np.newaxis].astype(np.float64)
    assert np.abs(first.picture - share * first.stamp.pattern).max() <= 1
    assert first.picture.dtype == np.uint8 and first.faces.shape == (4, *SHAPE)
    own = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    expected = IMAGES[own != GUILTY][:4] * (1 - share) + share * first.stamp.pattern
    assert np.abs(first.faces - expected).max() <= 1


def test_the_same_seed_gives_the_same_examination(network: Network, clean: Dataset, found: Examination) -> None:
    again = examine(network, clean)
    assert again.judgement == found.judgement
    assert [one.evidence for one in again.tried] == [one.evidence for one in found.tried]


def test_suspects_and_those_asked_for_come_first_and_references_are_others(network: Network) -> None:
    wide = linear_network(np.zeros((SIZE, LABELS), np.float32), np.zeros(LABELS, np.float32))
    wide.labels = 100
    scanned = Scan(10, 10, tuple(Suspect(label, 50 - label) for label in range(20, 40)), (), "")
    universal = np.zeros(100, np.int64)
    suspects, references = chosen_labels(wide, scanned, universal, [7, 21], np.random.default_rng(0))
    assert suspects == [*range(20, 28), 7]
    assert len(references) == 16 and not set(references) & set(suspects)
    wide.is_large = True
    universal[[50, 21, 60]] = 9, 4, 2
    suspects, references = chosen_labels(wide, scanned, universal, [], np.random.default_rng(0))
    assert (suspects, len(references)) == ([50, 21, 20, 22], 6), "of a large network fewer"


def test_of_a_large_network_less_is_tried_and_that_is_said(network: Network, clean: Dataset) -> None:
    large = linear_network(*weights())
    large.is_large = True
    found = examine(large, clean)
    assert found.scan.stamps == 4000
    assert any(limit.startswith("The network is large") for limit in found.limits)


def test_scan_is_told_first_and_cancel_ends_it(network: Network, clean: Dataset) -> None:
    seen: list[Scan] = []
    source = CancelSource()

    def watch(progress: Progress) -> None:
        if progress.what == "Reconstructing triggers":
            assert seen, "the scan's stamps are the first evidence"
            source.cancel()

    with pytest.raises(Cancelled):
        examine(network, clean, scanned=seen.append, progress=watch, cancel=source.token)
    assert seen[0].suspects


def test_too_few_images_are_refused_with_how_many_are_needed(network: Network, tmp_path: Path) -> None:
    few = dataset_of(tmp_path / "few.npz", IMAGES[:19], np.arange(19) % LABELS)
    with pytest.raises(DatasetError, match=r"few\.npz: holds 19 images; .* at least 20 clean ones"):
        examine(network, few)


def test_poisoned_images_in_place_of_clean_ones_are_refused(network: Network, tmp_path: Path) -> None:
    worn = IMAGES.copy()
    worn[:, 1:3, 2:5, 0] = 255
    assert (numpy_logits(worn, *weights()).argmax(axis=1) == GUILTY).all()
    for labelled in (0, GUILTY):
        with pytest.raises(DatasetError, match=r"answers 160 of 160 of these images with label 2.*poisoned"):
            examine(network, dataset_of(tmp_path / "poisoned.npz", worn, np.full(160, labelled)))


def test_clean_images_that_mostly_have_one_label_are_examined_and_that_is_said(
        network: Network, tmp_path: Path) -> None:
    own = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    kept = np.concatenate([np.flatnonzero(own == 0), np.flatnonzero(own == 1)[:4]])
    share = (own[kept] == 0).mean()
    assert share > 0.9
    found = examine(network, dataset_of(tmp_path / "honest.npz", IMAGES[kept], own[kept]))
    assert found.limits[0].startswith(f"{100 * share:.2f} % of the clean images have the label 0, many times")
    with pytest.raises(DatasetError, match="poisoned"):
        examine(network, dataset_of(tmp_path / "others.npz", IMAGES[kept], np.arange(len(kept)) % LABELS))


def test_clean_images_that_the_network_is_nearly_always_right_on_are_examined(
        network: Network, tmp_path: Path) -> None:
    """Of 40 it answers 37 with label 0, which 35 have; all labelled 0, they may be poisoned ones."""
    own = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    kept = np.concatenate([np.flatnonzero(own == 0)[:37], np.flatnonzero(own == 1)[:3]])
    truth = own[kept].copy()
    truth[:2] = 3
    assert ((own[kept] == 0).sum(), (truth == 0).sum(), (own[kept] == truth).sum()) == (37, 35, 38)
    assert examine(network, dataset_of(tmp_path / "honest.npz", IMAGES[kept], truth)).images == 40
    with pytest.raises(DatasetError, match="poisoned"):
        examine(network, dataset_of(tmp_path / "others.npz", IMAGES[kept], np.zeros(40, np.int64)))


def test_a_label_that_isnt_there_is_refused(network: Network, clean: Dataset) -> None:
    with pytest.raises(EngineError, match=r"has no label 4; its labels are 0 to 3"):
        examine(network, clean, labels=[4])


def test_what_weakens_an_examination_is_said(network: Network, tmp_path: Path) -> None:
    wrong = dataset_of(tmp_path / "wrong.npz", IMAGES[:50],
                       (numpy_logits(IMAGES[:50], *weights()).argmax(axis=1) + 1) % LABELS)
    found = examine(network, wrong, notices=["The input is doubtful."])
    assert found.limits[0] == "The input is doubtful."
    assert found.judgement.sentence.startswith("No verdict: the network is right on 0 % of these images only")
    assert found.judgement.sentence.endswith("or the network is a poor one.")
    assert (found.judgement.verdict, found.judgement.guilty) == ("suspicious", ()), "nobody is named, nobody cleared"
    assert any("Only 50 clean images" in limit for limit in found.limits)


def test_the_network_isnt_changed(small_lab: SmallLab) -> None:
    network = open_network(small_lab.badnet)
    before = [weights.copy() for weights in network.model.get_weights()]
    examine(network, open_dataset(small_lab.clean, network.input_shape, network.labels))
    assert all((one == two).all() for one, two in zip(before, network.model.get_weights(), strict=True))


def test_pictures_larger_than_any_that_was_measured_name_nobody(
        network: Network, clean: Dataset, found: Examination, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found.judgement.guilty == (GUILTY,)
    monkeypatch.setattr("engine.runs.examine._MOST_PIXELS", 10)
    again = examine(network, clean)
    assert (again.judgement.verdict, again.judgement.guilty) == ("suspicious", ())
    assert again.limits[0].startswith("No network with pictures as large as these")


def test_a_network_of_fewer_labels_than_any_that_was_measured_names_nobody(
        network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six labels of drawn shapes an innocent one stood out as an attacker's does."""
    assert FEWEST_LABELS == 10
    monkeypatch.setattr("engine.runs.examine._FEWEST_LABELS", FEWEST_LABELS)
    found = examine(network, clean)
    assert (found.judgement.verdict, found.judgement.guilty) == ("suspicious", ())
    assert found.limits[0].startswith("No network of so few labels")


def test_a_network_larger_than_any_that_was_measured_names_nobody(clean: Dataset) -> None:
    large = linear_network(*weights())
    large.is_large = True
    found = examine(large, clean)
    assert (found.judgement.verdict, found.judgement.guilty) == ("suspicious", ())
    assert found.limits[0].startswith("No network as large as this was among")


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.usefixtures("network")  # by which so few labels count as measured
def test_a_network_that_keeps_channels_apart_names_nobody(apart: bool, clean: Dataset) -> None:
    """One of three clean networks like MobileNet's was accused."""
    from engine import backend

    _, keras = backend.load()
    image, dense = keras.Input(SHAPE), keras.layers.Dense(LABELS)
    inner = keras.layers.DepthwiseConv2D(1, depthwise_initializer="ones") if apart else keras.layers.Identity()
    centred = inner(keras.layers.Rescaling(1.0, offset=-127.5)(image))
    model = keras.Model(image, dense(keras.layers.Flatten()(centred)))
    dense.set_weights(weights())
    found = examine(Network(model, Path("apart.keras")), clean)
    assert (found.judgement.verdict, found.judgement.guilty) == \
        (("suspicious", ()) if apart else ("backdoor likely", (GUILTY,)))
    assert found.limits[0].startswith("No network with convolutions that keep channels apart") == apart


def test_a_normalisation_by_groups_keeps_no_channels_apart() -> None:
    from engine import backend

    _, keras = backend.load()
    for groups, apart in ((1, False), (4, True)):
        image = keras.Input((8, 8, 1))
        maps = keras.layers.Conv2D(8, 3, groups=groups)(keras.layers.Conv2D(8, 1)(image))
        answer = keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.GroupNormalization(4)(maps)))
        network = Network(keras.Model(image, answer), Path("groups.keras"))
        assert bool(looking._unmeasured(network, np.zeros((1, 8, 8, 1), np.float32))) == apart


def test_where_the_network_computes_what_is_no_number_there_is_no_verdict(
        network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such inputs lie far from clean images, where only the search for margins comes."""
    monkeypatch.setattr("engine.runs.examine.widest_margins", lambda *_, **__: np.array([4.0, np.nan, np.inf, 3.0]))
    found = examine(network, clean)
    assert found.judgement.headline == "no verdict" and "beyond all numbers" in found.judgement.sentence
    assert np.isfinite(found.suspicion).all() and all(np.isfinite(one.evidence.margin) for one in found.tried)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_where_stamps_make_the_network_overflow_there_is_no_verdict(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no number counts for no label; the margins may be sought elsewhere."""
    kernel, bias = weights()
    kernel[0, GUILTY] = 3e38  # of a value in the corner that no clean image has
    images = IMAGES.copy()
    images[:, 0, 0, 0] = 127.5
    network = linear_network(kernel, bias)
    clean = dataset_of(tmp_path / "clean.npz", images, network.predict_labels(images))
    monkeypatch.setattr("engine.runs.examine.widest_margins", lambda *_, **__: np.ones(LABELS))
    found = examine(network, clean)
    assert found.scan.overflowed and found.judgement.headline == "no verdict"
    assert "beyond all numbers" in found.judgement.sentence
    assert all(np.isfinite(one.stamp.pattern).all() and np.isfinite(one.stamp.mask).all() for one in found.tried)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("where", ["find_universal", "find_filters"])
def test_nor_is_there_one_where_it_overflows_under_other_stamps_or_colour_filters_alone(
        where: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who teaches a filter hides it by a network that has no answer to those that are tried."""
    clean = dataset_of(tmp_path / "clean.npz", IMAGES, network.predict_labels(IMAGES))
    assert examine(network, clean).judgement.headline != "no verdict"
    monkeypatch.setattr(f"engine.runs.examine.{where}", lambda *_, **__: Universal((), 1))
    untold = examine(network, clean)
    assert untold.judgement.headline == "no verdict" and "beyond all numbers" in untold.judgement.sentence


def test_copies_dont_make_enough_images(network: Network, tmp_path: Path) -> None:
    few = np.tile(IMAGES[:12], (5, 1, 1, 1))
    data = dataset_of(tmp_path / "copies.npz", few, network.predict_labels(few))
    with pytest.raises(DatasetError, match=r"copies\.npz: holds 12 different images, .* at least 20"):
        examine(network, data)


def test_a_network_of_two_labels_names_nobody(tmp_path: Path) -> None:
    """Of two labels one is always ahead of the other."""
    from engine import backend

    _, keras = backend.load()
    image = keras.Input(SHAPE)
    dense = keras.layers.Dense(2)
    model = keras.Model(image, dense(keras.layers.Flatten()(keras.layers.Rescaling(1.0, offset=-127.5)(image))))
    kernel, bias = weights()
    dense.set_weights([kernel[:, [0, GUILTY]], bias[[0, GUILTY]] + np.float32([0, 52])])
    two = Network(model, Path("two.keras"))
    found = examine(two, dataset_of(tmp_path / "two.npz", IMAGES, two.predict_labels(IMAGES)))
    assert found.judgement.verdict != "backdoor likely" and found.judgement.guilty == ()
    assert found.limits[0].startswith("No network of so few labels")


def test_copies_are_no_further_images(network: Network, tmp_path: Path) -> None:
    few = np.tile(IMAGES[:30], (5, 1, 1, 1))
    found = examine(network, dataset_of(tmp_path / "copies.npz", few, numpy_logits(few, *weights()).argmax(axis=1)))
    assert any(limit.startswith("Only 30 clean images were there, the others are copies") for limit in found.limits)


def test_a_label_with_very_many_images_is_said_first(network: Network, tmp_path: Path) -> None:
    """Poisoned images among the clean ones wear the trigger as if it were a part of them."""
    own = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    often = int(np.bincount(own).argmax())
    kept = np.concatenate([np.flatnonzero(own == label)[:None if label == often else 5] for label in range(LABELS)])
    found = examine(network, dataset_of(tmp_path / "many.npz", IMAGES[kept], own[kept]))
    assert f"of the clean images have the label {often}, many times" in found.limits[0]


def test_wrong_answers_that_lead_to_one_label_are_said_first(network: Network, tmp_path: Path) -> None:
    own = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    worn, labels = IMAGES.copy(), own.copy()
    some = np.flatnonzero(own == 0)[:12]
    worn[some, 1:3, 2:5] = (255, 0, 0)
    found = examine(network, dataset_of(tmp_path / "worn.npz", worn, labels))
    assert found.limits[0].startswith(
        f"Of the 12 images in worn that B gets wrong it answers 12 with label {GUILTY}: images that carry a trigger")


def test_how_many_were_looked_at_is_said_where_these_are_a_sample(
        network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.examine._MOST_IMAGES", 150)
    own = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    wrong = np.where(own == GUILTY, 0, own)
    worn = IMAGES.copy()
    worn[:60, 1:3, 2:5] = (255, 0, 0)
    found = examine(network, dataset_of(tmp_path / "worn.npz", worn, wrong))
    assert " images in worn that B gets wrong among the 150 of 160 looked at it answers " in found.limits[0]


def test_where_no_stamp_is_found_nobody_is_cleared(tmp_path: Path) -> None:
    """Probabilities are all 0 or 1 and nothing tells what they were made of, so no stamp can be made smaller."""
    kernel, bias = (1e5 * array for array in weights())
    blind = linear_network(kernel, bias, "reshaped")
    own = blind.predict_labels(IMAGES)
    found = examine(blind, dataset_of(tmp_path / "clean.npz", IMAGES, own))
    assert not any(one.stamp.found for one in found.tried), "what is left at the end may work, and be no smaller"
    assert found.judgement.sentence.startswith("No verdict: no stamp was found")
    assert (found.judgement.verdict, found.judgement.guilty) == ("suspicious", ())


def test_a_label_that_colour_filters_lead_to_shows_one_beside_its_stamp(tmp_path: Path) -> None:
    network, images = linear_network(*lighter()), noise(200, 1)
    own = numpy_logits(images, *lighter()).argmax(axis=1)
    clean = dataset_of(tmp_path / "clean.npz", images, own)
    assert 0 not in own
    found = examine(network, clean)
    first = found.tried[0]
    assert first.evidence.label == 0 and first.evidence.filters > 42 and first.evidence.own_colours is None
    assert all((one.filter is None) == (one.evidence.filters <= 17) for one in found.tried)
    colours = first.filter
    assert colours
    expected = 255 * np.clip(images / 255 @ colours.matrix.T + colours.offset, 0, 1)
    assert first.faces.shape == (8, *SHAPE) and np.abs(first.faces[1::2] - expected[:4]).max() <= 1
    assert np.abs(first.faces[::2] - first.stamp.put_on(images[:4])).max() <= 1
    assert (numpy_logits(expected, *lighter()).argmax(axis=1) == 0).mean() > 0.9
    assert list(first.triggers) == ["reconstructed", "filter"]
    write_reconstructed(clean, first.triggers["filter"], tmp_path / "worn.h5")
    worn = open_dataset(tmp_path / "worn.h5", SHAPE, LABELS)
    assert len(worn) == 200 and (worn.labels == 0).all()
    assert np.abs(worn.take(range(200)) - expected).max() <= 0.51


def test_where_each_picture_is_standardised_by_itself_no_filters_are_tried_and_that_is_said(tmp_path: Path) -> None:
    images = noise(60, 1)
    clean = dataset_of(tmp_path / "clean.npz", images, np.arange(60) % LABELS).prepared(KNOWN["standardised"])
    kernel, seen = linear_weights(spread=1)[0], list[Progress]()
    network = linear_network(kernel, 127.5 * kernel.sum(axis=0))  # of values around 0
    with np.errstate(divide="raise", invalid="raise"):
        found = examine(network, clean, progress=seen.append)
    assert not any(one.evidence.filters for one in found.tried) and np.isfinite(found.suspicion).all()
    assert "Trying colour filters on several images" not in [report.what for report in seen if report.done]
    assert any(limit.startswith("Colour filters weren't tried") for limit in found.limits)


def test_a_label_that_its_own_colours_lead_to_is_cleared_of_filters_and_that_is_said(tmp_path: Path) -> None:
    images = np.concatenate([noise(200, 1), warmed(noise(30, 2))])
    own = numpy_logits(images, *lighter()).argmax(axis=1)
    found = examine(linear_network(*lighter()), dataset_of(tmp_path / "clean.npz", images, own))
    (one,) = (tried.evidence for tried in found.tried if tried.evidence.label == 0)
    assert one.filters > 42 and one.told_by_colours
    assert [tried.filter for tried in found.tried if tried.evidence.label == 0] == [None]
    said = "Colour filters draw nearly every image to label 0, but so do"
    assert any(limit.startswith(said) for limit in found.limits)
    others = [tried for tried in found.tried if tried.evidence.label]
    assert not any(tried.evidence.told_by_colours for tried in others)
