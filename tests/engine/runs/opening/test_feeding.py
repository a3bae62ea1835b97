"""How a network wants its images is found out: networks that want each known preprocessing are told apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from engine.assessment import percent
from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import KNOWN, preprocessing
from engine.errors import Cancelled
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.models.networks import Network, open_network
from engine.progress import NEVER_CANCELLED, CancelSource, Progress, ignore_progress
from engine.runs.opening.feeding import _blue_first, _doubt, _likeliest, _rounds, find_feeding
from tests.support.linear_networks import SHAPE, SIZE, dataset_of, linear_network
from tests.support.places import PROJECT

SAMPLE = PROJECT / "data" / "sample"
OWN = "mean=0.5,0.4,0.3 std=0.2,0.25,0.5"


@pytest.fixture(scope="module")
def clean() -> Dataset:
    return open_dataset(SAMPLE / "clean_validation.h5", (55, 47, 3), 48)


def wanting(name: str) -> Network:
    """The sample's BadNet, its first convolution changed so that it wants another preprocessing and answers alike."""
    network = open_network(SAMPLE / "badnet.keras").copy()
    wanted, layer = preprocessing(name), network.model.get_layer("conv_1")
    kernel, bias = (weights.astype(np.float64) for weights in layer.get_weights())
    scale, offset = (np.broadcast_to(np.array(v), 3) for v in (wanted.scale, wanted.offset))
    if wanted.bgr:
        kernel = kernel[:, :, ::-1]
    kernel = kernel / scale[:, np.newaxis]
    layer.set_weights([kernel, bias - np.einsum("hwio,i->o", kernel, offset)])
    return network


def plain_accuracy(network: Network, clean: Dataset, name: str, asked: int) -> int:
    """Right answers on the images of the first rounds, so many in all."""
    rounds = _rounds(clean, 128)
    numbers = [number for part in rounds for number in part][:asked]
    images = preprocessing(name).applied(clean.take(sorted(numbers)))
    return int((network.model.predict(images, verbose=0).argmax(axis=1) == clean.labels[sorted(numbers)]).sum())


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "standardised"])
def test_each_is_found(name: str, clean: Dataset) -> None:
    network = wanting(name)
    found = find_feeding(network, clean)
    assert found.best.name == name
    assert found.images in np.cumsum([len(part) for part in _rounds(clean, 128)])
    # Larger values only make biases matter less: a network that wants small ones is nearly as right on stored ones.
    # Then the true labels' likelihood decides, and that it was close is said.
    assert bool(found.doubt) == (abs(found.right[name] - found.right["none"]) < 5 and name != "none")
    assert found.right == {known: plain_accuracy(network, clean, known, found.images) for known in found.right}
    assert KNOWN[name].words in found.sentence


@pytest.mark.parametrize("name", ["bgr", "bgr 255", "bgr imagenet"])
def test_that_a_network_takes_blue_first_is_proposed(name: str, clean: Dataset) -> None:
    network = wanting(name)
    found = find_feeding(network, clean)
    few = found.best.bgr or found.right[found.best.name] < found.images / 2
    asked = len(_rounds(clean, 128)[0]) if few else found.images
    share = percent(plain_accuracy(network, clean, name, asked) / asked)
    assert "blue, green, red" in found.doubt and f"right on {share} of {asked} clean images" in found.doubt
    assert f'--preprocess "{name}"' in found.doubt


@pytest.mark.parametrize(("best", "channels"), [("standardised", 3), ("255", 1)])
def test_where_colours_can_not_be_exchanged_nothing_is_proposed(best: str, channels: int, clean: Dataset) -> None:
    """Each image by itself, or grey ones; nothing is asked of the network."""
    ways = {name: way for name, way in KNOWN.items() if way.fits(channels)}
    images = dataclasses.replace(clean, image_shape=(*clean.image_shape[:2], channels))
    right = np.arange(128) % 3 > 0
    assert _blue_first(None, images, [list(range(128))], ways, ways[best], right,  # type: ignore[arg-type]
                       ignore_progress, NEVER_CANCELLED) == ""


def test_a_large_network_is_asked_until_the_choice_is_clear(clean: Dataset) -> None:
    """A few images, spread over the set, are enough where one way is right and all others are wrong."""
    network = wanting("none")
    assert find_feeding(network, clean).images < len(clean)  # nor is a small one asked about all
    network.quick = 20
    clear, asked = find_feeding(network, clean), len(clean)
    assert clear.best.name == "none" and clear.images % 20 == 0 and clear.images < asked and not clear.doubt
    network.quick = 7
    shuffled = dataclasses.replace(clean, labels=np.random.default_rng(0).permutation(clean.labels))
    assert find_feeding(network, shuffled).images == min(asked, 8 * 7)


def test_finding_out_reports_and_can_be_cancelled(clean: Dataset) -> None:
    source, seen = CancelSource(), []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        source.cancel()

    with pytest.raises(Cancelled):
        find_feeding(wanting("255"), clean, progress=watch, cancel=source.token)
    assert [p.done for p in seen] == [0]


@pytest.mark.parametrize("name", ["none", "-1..1", "imagenet", "caffe"])
def test_images_stored_from_0_to_1_are_tried_times_255(name: str, clean: Dataset, tmp_path: Path) -> None:
    """The same pictures divided by 255 in the file: a network that wants 0 to 255 in some way is found to."""
    images, network = clean.take(range(len(clean))), wanting(name)
    np.savez(tmp_path / "unit.npz", data=(images / 255).astype(np.float32), label=clean.labels)
    unit = open_dataset(tmp_path / "unit.npz", (55, 47, 3), 48)
    found = find_feeding(network, unit)
    assert found.best.name == ("x255" if name == "none" else f"x255 {name}")
    assert abs(found.right[found.best.name] - plain_accuracy(network, clean, name, found.images)) <= 1
    assert "multiplied by 255" in found.sentence
    np.testing.assert_allclose(unit.prepared(preprocessing(found.best.name)).take([7]),
                               preprocessing(name).applied(images[7:8].copy()), rtol=0, atol=1e-4)


def test_a_network_that_wants_0_to_1_is_found_on_images_stored_so(clean: Dataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "unit.npz", data=clean.take(range(len(clean))) / np.float32(255), label=clean.labels)
    assert find_feeding(wanting("255"), open_dataset(tmp_path / "unit.npz", (55, 47, 3), 48)).best.name == "none"


def test_a_value_a_little_beyond_1_leaves_images_stored_from_0_to_1(clean: Dataset, tmp_path: Path) -> None:
    images = clean.take(range(len(clean))) / np.float32(255)
    images[:, 0, 0, 0] = 1.02
    np.savez(tmp_path / "unit.npz", data=images, label=clean.labels)
    assert find_feeding(wanting("none"), open_dataset(tmp_path / "unit.npz", (55, 47, 3), 48)).best.name == "x255"


def test_images_that_tell_nothing_are_said_to(clean: Dataset) -> None:
    """A network that is right and wrong on as many images either way."""
    network = wanting("255")
    few = dataclasses.replace(clean, labels=np.random.default_rng(0).permutation(clean.labels))
    found = find_feeding(network, few)
    assert "right on at most" in found.doubt and "belong together" in found.doubt


def test_two_ways_that_can_t_be_told_apart(tmp_path: Path) -> None:
    """White pictures that the network calls 0 as stored and 1 divided by 255; half are labelled so, half so."""
    kernel = np.zeros((SIZE, 4), np.float32)
    kernel[0, :2] = 1, -1
    network = linear_network(kernel, np.zeros(4, np.float32))
    white = np.full((40, *SHAPE), 255, np.float32)
    found = find_feeding(network, dataset_of(tmp_path / "white.npz", white, np.arange(40) % 2))
    assert found.right["none"] == found.right["255"] == 20
    assert all(words in found.doubt for words in ("hardly tell whether", "fed as stored", "divided by 255",
                                                  "or its own mean and deviation"))


def test_ways_that_are_right_on_the_very_same_images_are_a_close_choice(tmp_path: Path) -> None:
    """White pictures that the network always calls 1, less surely the larger their values are."""
    kernel = np.zeros((SIZE, 4), np.float32)
    kernel[0, 0] = 0.01
    network = linear_network(kernel, np.array([0, 2, 0, 0], np.float32))
    white = np.full((40, *SHAPE), 255, np.float32)
    found = find_feeding(network, dataset_of(tmp_path / "white.npz", white, np.ones(40, np.int64)))
    assert set(found.right.values()) == {40} and found.best.name == "none"
    assert "Run options > Values" in found.doubt and "--preprocess" in found.doubt
    assert all(words in found.doubt for words in ("hardly tell whether", "fed as stored", "divided by 255",
                                                  "or its own mean and deviation"))


def test_of_ways_that_tell_as_much_the_least_sure_counts() -> None:
    """A network fed 255 times too large is right as often and much surer, which makes the few errors it makes dear and,
    where it makes none, flatters it."""
    rng, truth = np.random.default_rng(0), np.arange(300) % 4
    logits = (4 * np.eye(4)[truth] + rng.normal(0, 1, (300, 4))).astype(np.float32)
    faultless = (8 * np.eye(4)[truth] + rng.uniform(0, 1, (300, 4))).astype(np.float32)
    for fed in (logits, faultless):
        assert _likeliest({"none": 255 * fed, "255": fed}, truth) == "255"
        # Nor does it count which of two is scaled, but what they tell.
        blurred = (fed / 20 + rng.normal(0, 0.1, fed.shape)).astype(np.float32)
        assert _likeliest({"none": 255 * fed, "255": fed, "-1..1": blurred}, truth) == "255"


def test_what_is_done_to_each_image_by_itself_is_taken_where_the_images_tell(tmp_path: Path) -> None:
    """Of pictures of much contrast it makes answers less sure than the same for all, on which the network is right more
    often by what chance may do."""
    rng, wanted = np.random.default_rng(2), preprocessing("imagenet")
    images = np.clip(rng.normal(124, 100, (120, *SHAPE)), 0, 255).astype(np.uint8)
    kernel, bias = rng.normal(0, 0.3, (SIZE, 4)), rng.normal(0, 0.5, 4)
    fed = wanted.applied(images.astype(np.float32)).reshape(120, -1)
    kernel = kernel / fed.std()
    truth = np.where(rng.random(120) < 0.15, rng.integers(0, 4, 120), (fed @ kernel + bias).argmax(axis=1))
    # What linear_network takes off each value is given back.
    network = linear_network(kernel.astype(np.float32), (bias + 127.5 * kernel.sum(axis=0)).astype(np.float32))
    found = find_feeding(network, dataset_of(tmp_path / "d.npz", images, truth))
    assert found.best == wanted and 0 < found.right["imagenet"] - found.right["standardised"] < 6
    assert "hardly tell whether" in found.doubt and "each image by itself" in found.doubt
    truth = network.predict_labels(preprocessing("standardised").applied(images.astype(np.float32)))
    found = find_feeding(network, dataset_of(tmp_path / "e.npz", images, truth))
    assert found.best.name == "standardised"


@pytest.mark.parametrize(("name", "told"), [("standardised", True), ("x255 standardised", True), ("255", False)])
def test_that_a_network_may_have_a_mean_of_its_own_is_said_of_what_is_nearest_to_it(name: str, told: bool) -> None:
    doubt = _doubt(name, [], {name: np.ones(20, bool), "none": np.zeros(20, bool)})
    assert bool(doubt) == told == ("One with a mean and deviation of its own looks so, too" in doubt)


def test_ways_that_make_no_difference_are_no_doubt(tmp_path: Path) -> None:
    """The network's answer doesn't depend on the picture at all."""
    network = linear_network(np.zeros((SIZE, 4), np.float32), np.array([0, 1, 0, 0], np.float32))
    grey = np.full((40, *SHAPE), 99, np.float32)
    found = find_feeding(network, dataset_of(tmp_path / "grey.npz", grey, np.ones(40, np.int64)))
    assert found.best.name == "none" and found.right["none"] == 40 and not found.doubt


def test_no_more_images_are_in_memory_than_fit_and_all_labels_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a set that is sorted by label, with room for ten images at a time."""
    network = linear_network(np.zeros((SIZE, 4), np.float32), np.array([0, 1, 0, 0], np.float32))
    pictures = np.full((400, *SHAPE), 99, np.float32)
    monkeypatch.setattr("engine.data.datasets.MOST_HELD_VALUES", 10 * SIZE)
    read: list[int] = []
    sorted_set = dataset_of(tmp_path / "sorted.npz", pictures, np.repeat(np.arange(4), 100))
    found = find_feeding(network, sorted_set.watched(lambda numbers, _: read.extend(numbers)))
    together = [sorted_set.labels[part] for part in _rounds(sorted_set, network.quick)]
    assert all(len(part) <= 10 and len(set(part)) == 4 for part in together)
    assert 4 * found.right["none"] == found.images and {n // 100 for n in read} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["imagenet", "caffe", "x255", "x255 caffe", "x255 standardised", OWN])
def test_saved_pairs_take_pictures_as_stored(name: str, clean: Dataset, tmp_path: Path) -> None:
    network = wanting(name)
    pair = GoodNet(network, network.pruned("conv_3", [1, 2, 3, 40]), preprocessing(name), {"x": 2.0})
    save_pair(pair, tmp_path / "pair")
    stored = clean.take(range(60))
    wanted = pair.answer(preprocessing(name).applied(stored.copy())).labels
    one_file = keras.models.load_model(tmp_path / "pair" / "goodnet.keras")
    np.testing.assert_array_equal(one_file.predict(stored, verbose=0).argmax(axis=1), wanted)
    for again in (open_goodnet([tmp_path / "pair"]), open_goodnet([tmp_path / "pair" / "goodnet.keras"])):
        np.testing.assert_array_equal(again.answer(again.preprocessing.applied(stored.copy())).labels, wanted)
