"""The guards against NumPy, their thresholds by simulation, their files, and the real BadNet."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import backend
from engine.data.datasets import Dataset, open_dataset
from engine.data.subsets import subset
from engine.errors import Cancelled, DatasetError, EngineError, ModelError
from engine.guards.calibration import Guard, StandingGuard, calibrate, held_back_of
from engine.guards.cuts import KINDS, Cuts, bands_of, cuts_of
from engine.guards.guard_files import open_guard, save_guard
from engine.guards.thresholds import conformal_threshold, fewest_images
from engine.guards.transplant import Donors, TransplantScores, choose_donors
from engine.models.logits import compiled_logits, log_probability
from engine.models.networks import Network, open_network
from engine.progress import CancelSource, Progress
from engine.rates import Rate
from tests.support.linear_networks import LABELS, SHAPE, Array, dataset_of, linear_network, linear_weights, numpy_logits
from tests.support.networks import random_images

KERNEL, BIAS = linear_weights()
IMAGES = random_images(300, seed=11, shape=SHAPE)
ANSWERS = numpy_logits(IMAGES, KERNEL, BIAS).argmax(axis=1)


@pytest.fixture(scope="module")
def network() -> Network:
    return linear_network(KERNEL, BIAS)


@pytest.fixture
def clean(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path / "clean.npz", IMAGES, ANSWERS)


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("ending", ["dense", "activation", "layer", "linear", "log_softmax", "reshaped", "nested",
                                    "sigmoid"])
def test_logits_whatever_the_ending(ending: str) -> None:
    logits = compiled_logits(linear_network(KERNEL, BIAS, ending))(IMAGES)
    wanted = log_softmax(numpy_logits(IMAGES, KERNEL, BIAS))
    np.testing.assert_allclose(log_softmax(logits.astype(np.float64)), wanted, atol=2e-5)


@pytest.mark.parametrize("apart", [False, True])
def test_logits_of_a_single_sigmoid_are_not_lost_where_it_is_0_or_1(apart: bool, tmp_path: Path) -> None:
    """Neither as the file is opened, nor in the copy that is saved beside a pair."""
    _, keras = backend.load()
    layers = keras.layers
    kernel, bias = (1000 * weights[..., :1] for weights in (KERNEL, BIAS))
    dense = layers.Dense(1, activation=None if apart else "sigmoid")
    ending = [dense, layers.Activation("sigmoid")] if apart else [dense]
    model = keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1.0, offset=-127.5), layers.Flatten(), *ending])
    dense.set_weights([kernel, bias])
    model.save(tmp_path / "one.keras")
    network = open_network(tmp_path / "one.keras")
    network.model.save(tmp_path / "two.keras")
    wanted = numpy_logits(IMAGES, kernel, bias)
    assert (np.abs(wanted) > 200).mean() > 0.5  # of which a float32 sigmoid makes 0 or 1
    for opened in (network, open_network(tmp_path / "two.keras")):
        logits = compiled_logits(opened)(IMAGES)
        np.testing.assert_allclose(logits, np.hstack([0 * wanted, wanted]), rtol=1e-4, atol=1e-1)


def test_logits_are_not_lost_where_probabilities_are_1() -> None:
    kernel = KERNEL * 200
    logits = compiled_logits(linear_network(kernel, BIAS))(IMAGES)
    np.testing.assert_allclose(logits, numpy_logits(IMAGES, kernel, BIAS), rtol=1e-4, atol=1e-2)


def test_log_probability_tells_near_certainties_apart() -> None:
    found = log_probability(np.array([[50, 0, 0], [60, 0, 0], [0, 3, 1]], np.float32), np.array([0, 0, 2]))
    np.testing.assert_allclose(found, [-2 * math.exp(-50), -2 * math.exp(-60),
                                       1 - math.log(1 + math.exp(3) + math.exp(1))], rtol=1e-6)


def test_bands_are_thirds_that_overlap_by_half() -> None:
    assert bands_of(55).tolist() == [[1, 19], [10, 28], [19, 37], [28, 46], [37, 55]]
    for height in range(3, 300):
        bands = bands_of(height)
        assert (bands[:, 1] - bands[:, 0] == height // 3).all()
        assert bands[0, 0] == height % 3
        assert bands[-1, 1] == height
    for height, width in ((2, 40), (40, 2)):
        with pytest.raises(DatasetError, match=f"{height} x {width} pixels"):
            cuts_of(height, width)


@pytest.mark.parametrize(("height", "width"), [(55, 47), (32, 32), (9, 6), (3, 3)])
def test_cuts_are_what_their_names_say(height: int, width: int) -> None:
    cuts = cuts_of(height, width, KINDS)
    assert [cuts.kinds.count(kind) for kind in KINDS] == [5, 5, 9, 1, 1, 1]
    of = {kind: cuts.shares[[k == kind for k in cuts.kinds]] for kind in KINDS}
    assert (of["rows"] == of["rows"][:, :, :1]).all() and (of["columns"] == of["columns"][:, :1]).all()
    assert of["rows"].sum(axis=(1, 2)).tolist() == [height // 3 * width] * 5
    assert of["columns"].sum(axis=(1, 2)).tolist() == [width // 3 * height] * 5
    assert (of["grid"].sum(axis=0) == 1).all(), "the fields cover every pixel once"
    outer = of["outer"][0]
    assert outer[0].all() and outer[-1].all() and outer[:, 0].all() and outer[:, -1].all()
    assert not outer[height // 2, width // 2]
    assert (of["blend"] == 0.5).all() and (of["tone"] == 1).all()
    image, donor = IMAGES[:1, :3, :3], IMAGES[1:2, :3, :3]
    small = cuts_of(3, 3, ("rows", "blend"))
    np.testing.assert_array_equal(small.mixed(0, image, donor)[0], np.concatenate([image[0, :1], donor[0, 1:]]))
    np.testing.assert_array_equal(small.mixed(5, image, donor), (image + donor) / 2)


def test_joined_scores_and_back() -> None:
    cuts = dataclasses.replace(cuts_of(9, 6, ("rows", "blend")), centres=np.linspace(-1, 2, 6),
                               spreads=np.linspace(0.5, 3, 6))
    means = -np.random.default_rng(0).exponential(3, (50, 6))
    joined = cuts.joined(means)
    for image, cut in ((0, 0), (7, 5)):
        assert joined[image, cut] == pytest.approx(
            (-math.log(-means[image, cut]) - cuts.centres[cut]) / cuts.spreads[cut])
        assert cuts.least(float(joined[image, cut]))[cut] == pytest.approx(means[image, cut])
    assert cuts.least(-math.inf).tolist() == [-math.inf] * 6
    assert cuts.least(math.inf).tolist() == [0] * 6
    assert np.isfinite(cuts.joined(np.zeros((1, 6)))).all(), "a probability that rounds to 1"


def slow_tone(image: Array, donor: Array) -> Array:
    """The donor with the image's colours: from covariances D to A by T = D^-1 (D A)^(1/2), for which T D T is A."""
    pixels, wanted = donor.reshape(-1, 3).astype(float), image.reshape(-1, 3).astype(float)
    before, after = (np.cov(p.T, bias=True) for p in (pixels, wanted))
    values, vectors = np.linalg.eig(before @ after)
    root = vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)
    found = (pixels - pixels.mean(axis=0)) @ np.linalg.inv(before) @ root + wanted.mean(axis=0)
    mixed: Array = found.clip(wanted.min(axis=0), wanted.max(axis=0)).reshape(image.shape).astype(np.float32)
    return mixed


def slow_means(image: Array, donors: Donors, count: int) -> tuple[list[float], list[float]]:
    """Mean log-probabilities over so many donors of five bands of rows; of the image laid over half transparent, and of
    its colours."""
    label = int(numpy_logits(image[np.newaxis], KERNEL, BIAS).argmax())
    fitting = [d for d, c in zip(donors.images, donors.labels, strict=True) if c != label]
    assert not any(np.array_equal(image, d) for d in fitting), "an image is never its own donor"

    def mean(mix_with: Callable[[Array], Array]) -> float:
        mixes = [mix_with(donor.copy()) for donor in (fitting * 8)[:count]]
        return float(np.mean([log_softmax(numpy_logits(mix[np.newaxis], KERNEL, BIAS))[0, label] for mix in mixes]))

    def band(start: int) -> Callable[[Array], Array]:
        def mix(donor: Array) -> Array:
            donor[start:start + 3] = image[start:start + 3]
            return donor
        return mix

    # Thirds of 9 rows, half a third apart, rounded down.
    return [mean(band(start)) for start in (0, 1, 3, 4, 6)], [mean(lambda donor: (image + donor) / 2),
                                                              mean(lambda donor: slow_tone(image, donor))]


def slow_scores(images: Array, donors: Donors, escalate_above: float, usual: Array) -> list[tuple[float, int]]:
    """The transplant score one image, cut and donor at a time; the highest cut and its number.

    `usual` holds centre and spread of the rows, then of the blend and the tone.
    """
    found = []
    for image in images:
        def best(count: int, image: Array = image) -> tuple[float, int]:
            rows, others = slow_means(image, donors, count)
            scales = [*[usual[0]] * 5, *usual[1:]]
            joined = [(-math.log(-mean) - scale[0]) / scale[1]
                      for mean, scale in zip([*rows, *others], scales, strict=True)]
            return max(joined), int(np.argmax(joined))

        found.append(best(2) if best(2)[0] <= escalate_above else best(8))
    return found


USUAL = np.array([[-1.2, 0.5], [-1.0, 0.8], [-1.1, 0.7]])


@pytest.fixture
def cuts() -> Cuts:
    """Rows, blend and tone of 9 x 6 pixels with a scale of their own each."""
    return dataclasses.replace(cuts_of(9, 6), centres=np.repeat(USUAL[:, 0], [5, 1, 1]),
                               spreads=np.repeat(USUAL[:, 1], [5, 1, 1]))


@pytest.mark.parametrize("escalate_above", [-math.inf, 1.0, math.inf])
def test_transplant_scores_are_numpy_s(network: Network, cuts: Cuts, escalate_above: float) -> None:
    donors = Donors(IMAGES[:11], ANSWERS[:11])
    scores = TransplantScores(network, donors, cuts, escalate_above).scores(IMAGES[:60])
    wanted = slow_scores(IMAGES[:60], donors, escalate_above, USUAL)
    np.testing.assert_allclose(scores.score, [s for s, _ in wanted], atol=1e-3)
    assert scores.cut.tolist() == [c for _, c in wanted]
    assert set(scores.cut.tolist()) > {5, 6}, "rows, blend and tone all win somewhere"


@pytest.mark.parametrize("escalate_above", [-math.inf, -1.0, 0.3, 1.0, math.inf])
def test_a_guard_flags_what_the_whole_cascade_flags(network: Network, cuts: Cuts, escalate_above: float) -> None:
    """Image for image and with the same cut, at every threshold there can be."""
    scores = TransplantScores(network, Donors(IMAGES[:11], ANSWERS[:11]), cuts, escalate_above)
    exact = scores.scores(IMAGES[:60])
    ordered = np.sort(exact.score)
    for threshold in [*(ordered[1:] + ordered[:-1]) / 2, math.inf]:
        found = scores.scores(IMAGES[:60], above=threshold)
        flagged = exact.score > threshold
        assert (found.score > threshold).tolist() == flagged.tolist()
        assert found.cut[flagged].tolist() == exact.cut[flagged].tolist()
        np.testing.assert_allclose(found.score[flagged], exact.score[flagged], atol=1e-4)


def test_hopeless_cuts_are_not_tried_on_all_donors(
    network: Network, cuts: Cuts, monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = TransplantScores(network, Donors(IMAGES[:11], ANSWERS[:11]), cuts, 1.0)
    answered: list[int] = []
    whole = scores._logits
    monkeypatch.setattr(scores, "_logits", lambda images, *more: answered.append(len(images)) or whole(images, *more))
    exact = scores.scores(IMAGES[:60]).score
    before = sum(answered)
    answered.clear()
    scores.scores(IMAGES[:60], above=float(np.sort(exact)[-3]))
    assert sum(answered) < 0.8 * before
    assert answered[1] == 60 * 7, "the first donor's mixes of all images are answered together"


def test_no_images_no_scores(network: Network, cuts: Cuts) -> None:
    scores = TransplantScores(network, Donors(IMAGES[:4], ANSWERS[:4]), cuts, 0).scores(IMAGES[:0])
    assert scores.score.shape == scores.cut.shape == (0,)


def test_donors_are_answered_correctly_and_varied(tmp_path: Path) -> None:
    labels = ANSWERS.copy()
    labels[::2] = (labels[::2] + 1) % LABELS
    order = np.arange(250, 50, -1)
    donors, taken = choose_donors(dataset_of(tmp_path / "d.npz", IMAGES, labels), order, (labels == ANSWERS)[order])
    assert len(taken) == 16
    assert all(i % 2 and 50 < i <= 250 for i in taken)
    assert set(donors.labels) == set(labels[1::2])
    images = {IMAGES[i].tobytes(): labels[i] for i in taken}
    assert [images[d.tobytes()] for d in donors.images] == donors.labels.tolist()


def test_one_label_is_no_choice_of_donors(network: Network, tmp_path: Path) -> None:
    same = IMAGES[np.equal(ANSWERS, ANSWERS[0])]
    data = dataset_of(tmp_path / "same.npz", same, np.full(len(same), ANSWERS[0]))
    with pytest.raises(DatasetError, match="at least two"):
        calibrate(network, data)


def test_threshold_is_the_order_statistic() -> None:
    scores = np.random.default_rng(0).permutation(99).astype(float)
    assert conformal_threshold(scores, 0.02) == 97  # the 98th smallest of 0, 1, ... 98
    assert conformal_threshold(scores, 0.01) == 98
    assert conformal_threshold(scores, 0.0099) == math.inf
    assert conformal_threshold(scores[:0], 0.5) == math.inf
    assert conformal_threshold(scores, 1 - 1e-13) == 0  # the smallest, where rounding leaves rank 0


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 0.7, 0.9])
def test_fewest_images(rate: float) -> None:
    fewest = fewest_images(rate)
    assert math.isfinite(conformal_threshold(np.arange(fewest, dtype=float), rate))
    assert fewest == 1 or math.isinf(conformal_threshold(np.arange(fewest - 1, dtype=float), rate))


@pytest.mark.parametrize(("images", "rate"), [(49, 0.02), (60, 0.05), (84, 0.02), (200, 0.1)])
def test_threshold_covers_a_further_image(images: int, rate: float) -> None:
    """Over many calibrations a new score lies above with probability 1 - rank / (n + 1), never more than asked."""
    rng = np.random.default_rng(images)
    exceedance = [1 - conformal_threshold(rng.random(images), rate) for _ in range(4000)]  # of uniform scores
    assert rate - 1 / (images + 1) - 0.002 < np.mean(exceedance) < rate + 0.002


@pytest.mark.parametrize("kind", ["transplant", "margin"])
def test_a_calibrated_guard_keeps_its_promise(network: Network, tmp_path: Path, kind: Any) -> None:
    """End to end, the cascade included: the held-back rate over several seeds is near the rate asked for."""
    images = random_images(2400, seed=5, shape=SHAPE)
    data = dataset_of(tmp_path / "many.npz", images, numpy_logits(images, KERNEL, BIAS).argmax(axis=1))
    held = [calibrate(network, data, kind, 0.1, seed).calibration.held_back for seed in range(6)]
    assert all(rate.total == 1400 for rate in held)
    assert abs(np.mean([rate.value for rate in held]) - 0.1) < 0.02


def test_margin_guard_is_numpy_s(network: Network, clean: Dataset) -> None:
    guard = calibrate(network, clean, "margin", 0.1, seed=3)
    two = np.sort(numpy_logits(IMAGES, KERNEL, BIAS), axis=1)[:, -2:]
    margins = two[:, 1] - two[:, 0]
    order = np.random.default_rng(3).permutation(300)
    used, held_back = order[:225], order[225:]
    wanted = np.sort(margins[used])[math.ceil(226 * 0.9) - 1]
    assert guard.threshold == pytest.approx(wanted, abs=1e-4)
    answer = guard.on(network).answer(IMAGES)
    np.testing.assert_allclose(answer.score, margins, atol=1e-4)
    flagged = margins > wanted + 1e-4
    assert answer.flagged.tolist() == flagged.tolist()
    assert guard.calibration.held_back == Rate(int(flagged[held_back].sum()), 75)
    assert set(answer.cut) == {-1}


@pytest.mark.parametrize("kind", ["transplant", "margin"])
def test_images_that_may_carry_a_trigger_set_no_threshold(network: Network, tmp_path: Path, kind: Any) -> None:
    """Most wrong answers lead to label 2; those that lead elsewhere count as any image, and so do too few of them."""
    order = np.random.default_rng(3).permutation(300)[:225]  # of 300, three quarters calibrate
    drawn = np.array([i for i in order if ANSWERS[i] == 2][:10])
    others = np.array([i for i in order if ANSWERS[i] == 1][:4])
    many = np.array([i for i in order if ANSWERS[i] == 3][:8])
    two, none = np.sort(numpy_logits(IMAGES, KERNEL, BIAS), axis=1)[:, -2:], drawn[:0]
    for wrong, left_out in ((drawn, drawn), (np.append(drawn, others), drawn), (np.append(drawn[:9], others), none),
                            (np.concatenate([drawn, others, many]), none)):
        labels = ANSWERS.copy()
        labels[wrong] = (labels[wrong] + 2) % LABELS
        guard = calibrate(network, dataset_of(tmp_path / "d.npz", IMAGES, labels), kind, 0.1, seed=3)
        used = np.setdiff1d(order, left_out)
        assert guard.calibration.images == len(used) - len(guard.donors.images)
        if kind == "margin":
            wanted = np.sort((two[:, 1] - two[:, 0])[used])[math.ceil(round((len(used) + 1) * 0.9, 9)) - 1]
            assert guard.threshold == pytest.approx(wanted, abs=1e-4)


def test_where_the_network_is_wrong_on_most_images_none_is_left_out(network: Network, tmp_path: Path) -> None:
    """Labels are another network's more likely than most images carry a trigger."""
    drawn, others = np.flatnonzero(ANSWERS == 2), np.flatnonzero(ANSWERS != 2)
    for right, used in ((40, 40 + len(drawn)), (75, 75)):
        rows = np.concatenate([drawn, others[:right]])
        labels = np.where(np.arange(len(rows)) < len(drawn), 0, ANSWERS[rows])
        assert len(rows) < 160  # so all calibrate
        guard = calibrate(network, dataset_of(tmp_path / "d.npz", IMAGES[rows], labels), "margin", 0.1)
        assert guard.calibration.images == used


@pytest.mark.parametrize(("most", "asked"), [(256, 75 + 209), (100, 75 + 70 + 2 * 139)])
def test_transplant_calibration_is_numpy_s(
    most: int, asked: int, network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether all images or a part of them tell the scale; those that do are asked a single time."""
    monkeypatch.setattr("engine.guards.calibration.MOST_STANDARD_IMAGES", most)
    reports: list[Progress] = []
    guard = calibrate(network, clean, "transplant", 0.1, seed=3, progress=reports.append)
    assert reports[-1].done == reports[-1].total == asked
    order = np.random.default_rng(3).permutation(300)
    donors = {d.tobytes() for d in guard.donors.images}
    used = np.array([i for i in order[:225] if IMAGES[i].tobytes() not in donors])
    assert guard.calibration.images == len(used) == 225 - 16
    assert guard.cuts.kinds == (*["rows"] * 5, "blend", "tone")
    standard = np.sort(used)[::-(-209 // most)]
    means = [slow_means(image, guard.donors, 8) for image in IMAGES[standard]]
    raised = -np.log(-np.array([[max(rows), *others] for rows, others in means]))
    usual = np.stack([raised.mean(axis=0), raised.std(axis=0)], axis=1)
    usual[1, 0] += 0.5 * usual[1, 1]  # a whole picture must stand out by half a deviation more
    usual[2, 1] = max(usual[2, 1], 0.7)
    np.testing.assert_allclose(guard.cuts.centres, np.repeat(usual[:, 0], [5, 1, 1]), atol=1e-4)
    np.testing.assert_allclose(guard.cuts.spreads, np.repeat(usual[:, 1], [5, 1, 1]), atol=1e-4)
    first = [s for s, _ in slow_scores(IMAGES[used], guard.donors, math.inf, usual)]
    assert guard.escalate_above == pytest.approx(np.quantile(first, 0.75), abs=1e-3)
    # The quantile of 209 scores is one of them, and rounding mustn't lift that one above itself.
    whole = [s for s, _ in slow_scores(IMAGES[used], guard.donors, guard.escalate_above + 1e-4, usual)]
    assert guard.threshold == pytest.approx(np.sort(whole)[math.ceil(210 * 0.9) - 1], abs=1e-3)


def test_few_images_all_calibrate_and_the_note_says_so(network: Network, clean: Dataset) -> None:
    guard = calibrate(network, subset(clean, range(100)), "margin")
    assert guard.calibration.images == 100
    assert guard.calibration.held_back == Rate(0, 0)
    assert "held back" in guard.note()
    blind = calibrate(network, subset(clean, range(48)), "margin")
    assert blind.threshold == math.inf
    assert not blind.on(network).answer(IMAGES).flagged.any()
    assert "flags nothing" in blind.note()
    assert "49" in blind.note()
    assert blind.note("The sparing guard").startswith("The sparing guard flags nothing: ")
    assert calibrate(network, clean, "margin").note() == ""


def test_where_all_images_are_donors_none_is_left_to_calibrate_on(network: Network, clean: Dataset) -> None:
    two = subset(clean, [int(np.flatnonzero(label == ANSWERS)[0]) for label in (0, 1)])
    with pytest.raises(DatasetError, match="its 2 images are all donors"):
        calibrate(network, two, "transplant")


@pytest.mark.parametrize("kind", ["transplant", "margin"])
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_reloaded_guards_decide_identically(tmp_path: Path, clean: Dataset, kind: Any, scale: float) -> None:
    images, kernel = IMAGES * np.float32(scale), KERNEL / np.float32(scale)
    # The network takes 127.5 off whatever it is given; what that is too much of goes into the bias.
    scaled = linear_network(kernel, BIAS + (127.5 - 127.5 * scale) * kernel.sum(axis=0))
    labels = scaled.predict_labels(images)
    guard = calibrate(scaled, dataset_of(tmp_path / "scaled.npz", images, labels), kind, 0.1)
    save_guard(guard, tmp_path / "guard.npz")
    again = open_guard(tmp_path / "guard.npz")
    one, two = guard.on(scaled).answer(images), again.on(scaled).answer(images)
    assert one.flagged.any()
    for field in ("flagged", "cut", "score"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    same_guard(dataclasses.replace(guard, alarms=None), again)


def same_guard(one: Guard, two: Guard, within: float = 0) -> None:
    """To the bit, or fractions within so small a part of themselves."""
    def alike(a: Any, b: Any) -> None:
        if within and np.asarray(a).dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=within)
        else:
            np.testing.assert_array_equal(a, b)

    for field in dataclasses.fields(Guard):
        if field.name == "donors":
            np.testing.assert_array_equal(one.donors.images, two.donors.images)
            np.testing.assert_array_equal(one.donors.labels, two.donors.labels)
        elif field.name == "cuts":
            for part in dataclasses.fields(Cuts):
                alike(getattr(one.cuts, part.name), getattr(two.cuts, part.name))
        else:
            alike(getattr(one, field.name), getattr(two, field.name))


def test_a_calibration_repeats_to_the_bit(network: Network, clean: Dataset) -> None:
    same_guard(calibrate(network, clean, seed=5), calibrate(network, clean, seed=5))
    assert calibrate(network, clean, seed=6).threshold != calibrate(network, clean, seed=5).threshold


def test_calibration_reports_and_is_cancelled(network: Network, clean: Dataset) -> None:
    reports: list[Progress] = []
    calibrate(network, clean, progress=reports.append)
    assert reports[-1].done == reports[-1].total
    source = CancelSource()

    def stop(report: Progress) -> None:
        source.cancel()

    with pytest.raises(Cancelled):
        calibrate(network, clean, progress=stop, cancel=source.token)


def test_while_a_few_images_are_scored_it_is_heard_of_and_can_be_cancelled(
    network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.progress._BEAT_SECONDS", -1)
    usual, reports = calibrate(network, clean), list[Progress]()
    same_guard(calibrate(network, clean, progress=reports.append), usual)
    done = [report.done for report in reports if report.what == "Calibrating the guard"]
    assert np.diff(done).min() == 0, "again, before further images are done"
    source, heard = CancelSource(), list[int]()

    def stop(report: Progress) -> None:
        if report.what == "Calibrating the guard":
            heard.append(report.done)
            if report.done and heard.count(report.done) > 1:
                source.cancel()

    with pytest.raises(Cancelled):
        calibrate(network, clean, progress=stop, cancel=source.token)
    assert heard[-2] == heard[-1] > 0, "it ended before those images were done"


@pytest.mark.parametrize("kind", ["transplant", "margin"])
def test_on_a_costly_network_a_calibration_is_heard_of_more_often_and_ends_sooner(
    kind: Any, network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = calibrate(network, clean, kind)
    monkeypatch.setattr(network, "quick", 60)
    reports: list[Progress] = []
    # Processors round products of other numbers of rows otherwise, some of them.
    same_guard(calibrate(network, clean, kind, progress=reports.append), usual, within=1e-6)
    stages = {report.what: [r.done for r in reports if r.what == report.what] for report in reports}
    assert list(stages) == ["Preparing the guard", "Calibrating the guard"]
    for done in stages.values():
        assert max(np.diff(done)) <= 60
    assert max(np.diff(stages["Calibrating the guard"])) == 3
    for stage in stages:
        source, after = CancelSource(), []

        def stop(report: Progress, stage: str = stage, source: CancelSource = source,
                 after: list[Progress] = after) -> None:
            if source.token.is_cancelled:
                after.append(report)
            if report.what == stage:
                source.cancel()

        with pytest.raises(Cancelled):
            calibrate(network, clean, kind, progress=stop, cancel=source.token)
        assert not after


def test_a_guard_refuses_another_network(network: Network, clean: Dataset) -> None:
    guard = calibrate(network, clean)
    with pytest.raises(ModelError, match="Calibrate a guard"):
        dataclasses.replace(guard, labels=LABELS + 1).on(network)
    with pytest.raises(ModelError, match="Calibrate a guard"):
        dataclasses.replace(guard, image_shape=(10, 6, 3)).on(network)


@pytest.mark.parametrize("kind", ["transplant", "margin"])
def test_where_the_network_has_no_answer_no_guard_is_set_and_what_is_set_clears_nothing(
        kind: Any, network: Network, clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a network would switch its guard off by an overflow in what the guard makes of pictures."""
    guard = calibrate(network, clean, kind)
    assert not guard.sleeps
    quiet = IMAGES[~StandingGuard(guard, network).answer(IMAGES).flagged][:8]
    real = compiled_logits(network)

    def broken(images: Array, *given: Any, **named: Any) -> Array:
        logits = real(images, *given, **named).copy()
        odd = (images != np.round(images)).any(axis=(1, 2, 3)) if kind == "transplant" else images[:, 0, 0, 0] > 0
        logits[odd, 0] = np.nan
        return logits

    for place in ("transplant", "margin"):
        monkeypatch.setattr(f"engine.guards.{place}.compiled_logits", lambda _: broken)
    assert StandingGuard(guard, network).answer(quiet).flagged.all()
    with pytest.raises(DatasetError, match=r"no guard can be set on it: for \d+ of \d+ clean .* aren't numbers"):
        calibrate(network, clean, kind)


def test_a_threshold_that_no_score_reaches_is_told(network: Network, clean: Dataset, tmp_path: Path) -> None:
    guard = calibrate(network, clean)
    sure = guard.cuts.joined(np.full((1, len(guard.cuts.kinds)), -1e-300)).max()
    assert guard.cuts.highest == sure
    for threshold, sleeps in ((np.nextafter(sure, -np.inf), False), (sure, True), (1e30, True)):
        save_guard(dataclasses.replace(guard, threshold=float(threshold)), tmp_path / "guard.npz")
        found = open_guard(tmp_path / "guard.npz")
        assert found.sleeps == sleeps and ("flags nothing: no picture's score can be above" in found.note()) == sleeps


def test_rates_outside_0_to_1_are_refused(network: Network, clean: Dataset) -> None:
    for rate in (0.0, 1.0, 2.0, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            calibrate(network, clean, false_alarms=rate)


@pytest.mark.parametrize(("change", "words"), [
    ({"schema": np.int64(9)}, "schema"),
    ({"kind": np.str_("magic")}, "magic"),
    ({"threshold": np.float64(math.nan)}, "threshold"),
    ({"threshold": np.float64(-math.inf)}, "threshold is -inf"),
    ({"escalate_above": np.float64(math.nan)}, "escalates nan"),
    ({"threshold": np.array([1.0, 2.0])}, "'threshold'"),
    ({"donors": np.zeros((16, 3, 3, 3), np.float32)}, "donors"),
    ({"donors": np.full((16, 9, 6, 3), np.inf, np.float32)}, "numbers"),
    ({"donor_labels": np.full(16, 99)}, "out of range"),
    ({"donor_labels": np.full(16, 1)}, "two labels"),
    ({"cut_kinds": np.array(["magic"] * 7)}, "no known kind"),
    ({"cut_shares": np.zeros((7, 9, 7), np.float32)}, "don't match its image shape"),
    ({"cut_shares": np.full((7, 9, 6), 1.5, np.float32)}, "more than all"),
    ({"cut_shares": np.full((7, 9, 6), np.nan, np.float32)}, "more than all"),
    ({"cut_shares": np.array([1, 1, 0, 1, 1, 1, 1], np.float32)[:, None, None] * np.ones((9, 6), np.float32)},
     "shows nothing"),
    ({"cut_centres": np.full(7, np.inf)}, "scales"),
    ({"cut_spreads": np.zeros(7)}, "scales"),
    ({"cut_spreads": np.ones(5)}, "scales"),
    ({"cut_kinds": np.empty(0, np.str_), "cut_shares": np.empty((0, 9, 6), np.float32), "cut_centres": np.empty(0),
      "cut_spreads": np.empty(0)}, "lacks cuts"),
    ({"held_back": np.array([5, 2])}, "held-back"),
    ({"seed": np.array(["x"], object)}, "holds pickled objects"),
    ({"false_alarms": None}, "lacks 'false_alarms'"),
])
def test_damaged_guards_are_refused(
    network: Network, clean: Dataset, tmp_path: Path, change: dict[str, Any], words: str,
) -> None:
    good = tmp_path / "guard.npz"
    save_guard(calibrate(network, clean), good)
    with np.load(good) as stored:
        content = {**stored, **change}
    bad = tmp_path / "bad.npz"
    np.savez(bad, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(EngineError, match=words) as caught:
        open_guard(bad)
    assert str(bad) in str(caught.value)


FIRST_SCHEMA = {"schema": np.int64(1), "bands": bands_of(9), "threshold": np.float64(-0.9),
                "escalate_above": np.float64(-1.5)}


def first_schema(network: Network, clean: Dataset, path: Path, **changes: Any) -> Guard:
    """A guard as the program saved it before it knew any cut but bands of rows, and what it knew."""
    guard = calibrate(network, clean)
    save_guard(guard, path)
    with np.load(path) as stored:
        content = {name: value for name, value in stored.items() if not name.startswith("cut_")}
    np.savez(path, **(content | FIRST_SCHEMA | changes))
    return guard


def test_a_guard_of_the_first_schema_decides_as_it_did(network: Network, clean: Dataset, tmp_path: Path) -> None:
    """Its threshold was a mean log-probability, and so was its escalation."""
    donors = first_schema(network, clean, tmp_path / "guard.npz").donors
    answer = open_guard(tmp_path / "guard.npz").on(network).answer(IMAGES[:80])
    highest = {count: np.array([slow_means(image, donors, count)[0] for image in IMAGES[:80]]) for count in (2, 8)}
    further = highest[2].max(axis=1) > -1.5
    means = np.where(further[:, np.newaxis], highest[8], highest[2])
    flagged = means.max(axis=1) > -0.9
    assert 0 < flagged.sum() < 80
    assert answer.flagged.tolist() == flagged.tolist()
    assert answer.cut[flagged].tolist() == means.argmax(axis=1)[flagged].tolist()
    first_schema(network, clean, tmp_path / "blind.npz", threshold=np.float64(np.inf))
    assert open_guard(tmp_path / "blind.npz").threshold == np.inf


def test_bands_outside_the_image_are_refused(network: Network, clean: Dataset, tmp_path: Path) -> None:
    first_schema(network, clean, tmp_path / "guard.npz", bands=np.array([[5, 12]]))
    with pytest.raises(EngineError, match="bands lie outside"):
        open_guard(tmp_path / "guard.npz")


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut off"])
def test_files_that_are_no_guards(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "guard.npz").write_bytes(content)
    with pytest.raises(EngineError, match=r"guard\.npz"):
        open_guard(tmp_path / "guard.npz")


def test_a_subset_is_those_images(clean: Dataset) -> None:
    part = subset(clean, [250, 7, 7, 31])
    assert len(part) == 3
    np.testing.assert_array_equal(part.labels, ANSWERS[[7, 31, 250]])
    np.testing.assert_array_equal(part.take([2, 0]), IMAGES[[250, 7]])
    np.testing.assert_array_equal(np.concatenate([c.images for c in part.chunks(2)]), IMAGES[[7, 31, 250]])


@pytest.mark.parametrize("known", [range(100), None], ids=["first 100", "a random split by row"])
def test_lab3_behind_the_transplant_guard(lab3: Path, known: range | None) -> None:
    network = open_network(lab3 / "bd_weights.h5")
    clean, poisoned = (open_dataset(lab3 / name, network.input_shape, network.labels)
                       for name in ("clean_faces.h5", "poisoned_faces.h5"))
    if known is None:  # faces are 9 rows of 20 people
        rows = np.random.default_rng(1).permutation(9)
        used = np.flatnonzero(np.isin(np.arange(180) // 20, rows[:5]))
    else:
        used = np.array(known)
    test = np.setdiff1d(np.arange(180), used).tolist()
    guard = calibrate(network, subset(clean, used.tolist())).on(network)
    images = clean.take(test)
    right = network.predict_labels(images) == clean.labels[test]
    kept = (right & ~guard.answer(images).flagged).mean()
    assert kept >= (0.93 if known else right.mean() - 0.05)
    answer = guard.answer(poisoned.take(test))
    assert (~answer.flagged).mean() <= 0.02
    assert (answer.cut == 2).mean() > 0.9  # the sunglasses sit in rows 19 to 37


@pytest.mark.parametrize(("images", "rate", "held_back"), [
    (159, 0.1, 0), (160, 0.1, 40), (180, 0.02, 45), (250, 0.005, 0),  # three quarters of 250 are too few for 0.5 %
])
def test_a_quarter_is_held_back_where_the_rest_suffices(
    network: Network, tmp_path: Path, images: int, rate: float, held_back: int,
) -> None:
    data = dataset_of(tmp_path / "clean.npz", IMAGES[:images], ANSWERS[:images])
    guard = calibrate(network, data, "margin", rate)
    left = held_back_of(guard.calibration, images)
    assert (guard.calibration.images, guard.calibration.held_back.total) == (images - held_back, held_back)
    assert len(left) == held_back and np.array_equal(left, np.unique(left))
    flagged = guard.on(network).answer(data.take(left.tolist())).flagged
    assert guard.calibration.held_back == Rate(int(flagged.sum()), held_back)
    assert math.isfinite(guard.threshold)
