"""Other people's defences against what their papers' formulas give, computed with NumPy or by finite differences."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.methods import METHODS, anp, clp, fine_tuning, ft_sam, i_bau, nad, neural_cleanse, strip
from benchmarks.peers.methods import student as students
from benchmarks.peers.methods.student import Descent, Recipe, Step, Student, trained
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.evidence.reconstruction import Reconstruction
from engine.defences.further import defended
from engine.guards.calibration import Guard
from engine.models.networks import Network
from engine.rates import Rate
from tests.support.linear_networks import (
    LABELS,
    SHAPE,
    SIZE,
    Array,
    dataset_of,
    linear_network,
    linear_weights,
    numpy_logits,
)
from tests.support.networks import random_images

KERNEL, BIAS = linear_weights(0)
IMAGES = random_images(120, seed=71, shape=SHAPE)
LABELS_OF = numpy_logits(IMAGES, KERNEL, BIAS).argmax(axis=1)
RECIPE = Recipe(rate=0.1, epochs=2, falls=students.cosine, decay=0.0)


@pytest.fixture(scope="module")
def network() -> Network:
    return linear_network(KERNEL, BIAS)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(tmp_path_factory.mktemp("peers") / "clean.npz", IMAGES, LABELS_OF)


def convolutional(channels: int = 16) -> Network:
    """A convolution with batch normalisation, another without, and logits."""
    _, keras = backend.load()
    layers = keras.layers
    x = image = keras.Input(SHAPE)
    x = layers.Conv2D(channels, 3, use_bias=False, name="first")(layers.Rescaling(1 / 255)(x))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten()(layers.Conv2D(channels, 1, activation="relu", name="second")(x))
    model = keras.Model(image, layers.Dense(LABELS, name="answers")(x))
    rng = np.random.default_rng(5)
    model.set_weights([rng.uniform(0.5, 1, w.shape) if "variance" in w.path or "gamma" in w.path
                       else rng.normal(0, 0.3, w.shape) for w in model.weights])
    return Network(model, Path("small.keras"))


def shares(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def loss_of(logits: Array, labels: Array, smoothing: float = 0.0) -> float:
    wanted = np.eye(LABELS)[labels] * (1 - smoothing) + smoothing / LABELS
    return float(-(wanted * np.log(shares(logits))).sum(axis=1).mean())


def slopes(images: Array, kernel: Array, bias: Array, labels: Array, smoothing: float = 0.0) -> tuple[Array, Array]:
    """The cross entropy's gradient of a linear network's kernel and bias."""
    wanted = np.eye(LABELS)[labels] * (1 - smoothing) + smoothing / LABELS
    wrong = (shares(numpy_logits(images, kernel, bias)) - wanted) / len(images)
    return (images.reshape(len(images), -1) - 127.5).T @ wrong, wrong.sum(axis=0)


@pytest.mark.parametrize("ending", ["dense", "activation"])
def test_a_student_ends_in_the_logits_of_b_and_becomes_a_network_again(ending: str) -> None:
    b = linear_network(KERNEL, BIAS, ending)
    student = Student(b)
    assert np.allclose(student.model.predict(IMAGES, verbose=0), numpy_logits(IMAGES, KERNEL, BIAS), atol=1e-3)
    assert np.allclose(student.network().predict(IMAGES), b.predict(IMAGES), atol=1e-6)
    student.model.set_weights([0 * w for w in student.model.get_weights()])
    assert np.allclose(student.network().predict(IMAGES), 1 / LABELS)
    assert np.allclose(b.predict(IMAGES), shares(numpy_logits(IMAGES, KERNEL, BIAS)), atol=1e-4)


def test_where_nothing_is_normalised_it_is_adam(network: Network) -> None:
    student = Student(network)
    step = fine_tuning.lesson(student, Descent(student, dataclasses.replace(RECIPE, decay=0.5), 1e-3))
    step(IMAGES, (LABELS_OF + 1) % LABELS)
    # Its first step is the rate along each gradient's sign.
    assert np.allclose(abs(student.model.get_weights()[1] - BIAS), 1e-3, rtol=1e-3)
    assert Student(convolutional()).normalised
    assert not student.normalised


@pytest.mark.parametrize(("harmless", "tried"), [(0.05, [0.1, 0.01]), (0.0, [0.1, 0.01, 1e-3, 1e-4, 1e-5])])
def test_the_rate_falls_until_the_network_survives(
    network: Network, clean: Dataset, by_sgd: None, harmless: float, tried: list[float],
) -> None:
    rates: list[float] = []

    def lesson(student: Student, descent: Descent) -> Step:
        def step(images: Any, labels: Any) -> None:
            if float(descent.rate) > harmless:
                student.model.set_weights([0 * w for w in student.model.get_weights()])

        rates.append(float(descent.rate))
        return step

    found = trained(network, clean, RECIPE, lesson)
    assert rates == pytest.approx(tried)
    assert (found.predict_labels(IMAGES) == LABELS_OF).all() == (harmless > 0)


@pytest.fixture
def by_sgd(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is batch normalisation, which would make calculating by hand hard."""
    monkeypatch.setattr(Student, "normalised", True)


def test_fine_tuning_is_stochastic_descent_with_decay_in_the_gradient(network: Network, by_sgd: None) -> None:
    student = Student(network)
    recipe = dataclasses.replace(RECIPE, decay=0.5)
    step = fine_tuning.lesson(student, Descent(student, recipe, 1e-6))
    wrong = (LABELS_OF + 1) % LABELS
    kernel, bias, speed = KERNEL.astype(float), BIAS.astype(float), [0.0, 0.0]
    for _ in range(3):
        step(IMAGES, wrong)
        gradients = slopes(IMAGES, kernel, bias, wrong)
        speed = [0.9 * s + g + 0.5 * w for s, g, w in zip(speed, gradients, (kernel, bias), strict=True)]
        kernel, bias = kernel - 1e-6 * speed[0], bias - 1e-6 * speed[1]
    for own, expected, before in zip(student.model.get_weights(), (kernel, bias), (KERNEL, BIAS), strict=True):
        assert np.allclose(own - before, expected - before, rtol=2e-2, atol=2e-8)


def test_sam_climbs_within_the_scaled_ball_and_descends_along_the_gradient_there(
    network: Network, by_sgd: None,
) -> None:
    student = Student(network)
    step = ft_sam.lesson(student, Descent(student, RECIPE, 1e-5))
    wrong = (LABELS_OF + 1) % LABELS
    step(IMAGES, wrong)
    weights = [KERNEL.astype(float), BIAS.astype(float)]
    gradients = slopes(IMAGES, *weights, wrong, ft_sam.SMOOTHING)
    norm = np.sqrt(sum(((w * g) ** 2).sum() for w, g in zip(weights, gradients, strict=True)))
    climbed = [ft_sam.RHO * w**2 * g / norm for w, g in zip(weights, gradients, strict=True)]
    assert np.sqrt(sum(((e / w) ** 2).sum() for e, w in zip(climbed, weights, strict=True))) == pytest.approx(2.0)
    there = slopes(IMAGES, weights[0] + climbed[0], weights[1] + climbed[1], wrong, ft_sam.SMOOTHING)
    for own, gradient, before in zip(student.model.get_weights(), there, weights, strict=True):
        assert np.allclose(own - before, -1e-5 * gradient, rtol=2e-2, atol=1e-8)


def test_sam_gathers_batch_statistics_where_the_weights_were() -> None:
    plain, sam = Student(convolutional()), Student(convolutional())
    fine_tuning.lesson(plain, Descent(plain, RECIPE, 0.0))(IMAGES, LABELS_OF)
    ft_sam.lesson(sam, Descent(sam, RECIPE, 0.0))(IMAGES, LABELS_OF)
    for own, other in zip(plain.model.get_weights(), sam.model.get_weights(), strict=True):
        assert np.array_equal(own, other)


def test_attention_is_the_squared_activations_at_norm_one() -> None:
    tensorflow, _ = backend.load()
    features = np.random.default_rng(3).normal(0, 2, (2, 3, 4, 5)).astype(np.float32)
    features[1, 0] = 0
    maps = (features.astype(float) ** 2).sum(axis=-1).reshape(2, 12)
    expected = maps / np.linalg.norm(maps, axis=1, keepdims=True)
    assert np.allclose(nad.attention(features), expected, atol=1e-5)
    dead = tensorflow.zeros((1, 3, 4, 5))
    with tensorflow.GradientTape() as tape:
        tape.watch(dead)
        seen = nad.attention(dead)
    assert np.isfinite(tape.gradient(seen, dead)).all()


def test_what_is_pooled_or_flattened_is_attended_to() -> None:
    b = convolutional()
    model = nad.with_maps(Student(b).model)
    assert [tuple(tensor.shape[1:]) for tensor in model.outputs] == [(7, 4, 16), (3, 2, 16), (LABELS,)]
    assert np.allclose(model(IMAGES)[-1], b.predict(IMAGES), atol=1e-4)


def hidden(weights: list[Array], factors: list[Array], images: Array) -> Array:
    """Logits of a dense network of one hidden layer: its kernel times the first factor, its bias times the second."""
    kernel, bias, last, end = (w.astype(float) for w in weights)
    x = (images - 127.5).reshape(len(images), -1) @ (kernel * factors[0]) + bias * factors[1]
    return np.maximum(x, 0) @ last + end


def test_masks_follow_their_gradient_at_the_worst_perturbation() -> None:
    _, keras = backend.load()
    layers = keras.layers
    image = keras.Input(SHAPE)
    x = layers.Flatten()(layers.Rescaling(1.0, offset=-127.5)(image))
    x = layers.Dense(LABELS)(layers.Dense(6, activation="relu")(x))
    model = keras.Model(image, x)
    rng = np.random.default_rng(9)
    model.set_weights([rng.normal(0, 0.02 if w.shape[0] == SIZE else 0.5, w.shape) for w in model.weights])
    weights, student = model.get_weights(), Student(Network(model, Path("hidden.keras")))
    mask = rng.uniform(0.3, 1, 6).astype(np.float32)
    start = [rng.uniform(-0.4, 0.4, 6).astype(np.float32) for _ in range(2)]

    def loss(mask: Array, noise: list[Array]) -> float:
        return loss_of(hidden(weights, [mask + noise[0], 1 + noise[1]], IMAGES), LABELS_OF)

    def along(where: Array, of: Any) -> Array:
        """The slope by central differences."""
        return np.array([(of(where + bump) - of(where - bump)) / 2e-4 for bump in np.eye(6) * 1e-4])

    climbed = [np.clip(start[i] + 0.4 * np.sign(along(start[i], lambda noise, i=i: loss(
        mask, [noise, start[1]] if i == 0 else [start[0], noise]))), -0.4, 0.4) for i in range(2)]
    still = [np.zeros(6), np.zeros(6)]
    expected = along(mask, lambda m: 0.2 * loss(m, still) + 0.8 * loss(m, climbed))
    search = anp.MaskSearch(student, anp.neurons_of(student.model))
    assert np.allclose(search.gradients([mask], start, IMAGES, LABELS_OF)[0], expected, rtol=1e-2, atol=1e-4)


def test_channels_are_those_of_batch_normalisation_where_there_is_one() -> None:
    model = Student(convolutional()).model
    found = anp.neurons_of(model)
    assert [(part.weights.path, part.bias.path) for part in found if part.bias is not None] == [
        ("norm/gamma", "norm/beta"), ("second/kernel", "second/bias")]


def test_low_masks_are_pruned(clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    b = convolutional()
    masks = [np.linspace(0, 1, 16, dtype=np.float32), np.ones(16, np.float32)]
    monkeypatch.setattr(anp, "descent", lambda *_: iter([masks]))
    made = anp.pruned(b, clean)
    gamma = b.model.get_layer("norm").get_weights()[0]
    assert np.array_equal(made.model.get_layer("norm").get_weights()[0], np.where(masks[0] > 0.2, gamma, 0))
    assert np.array_equal(made.model.get_layer("second").get_weights()[0], b.model.get_layer("second").get_weights()[0])


def test_the_hypergradient_is_that_of_the_formula_with_jacobians_by_finite_differences(network: Network) -> None:
    tensorflow, _ = backend.load()
    images, labels = IMAGES[:12], (LABELS_OF[:12] + 1) % LABELS
    perturbation = np.random.default_rng(4).normal(0, 0.05, SHAPE).astype(np.float32)
    theta = np.concatenate([KERNEL.ravel(), BIAS]).astype(float)

    def slope_of_loss(d: Array, weights: Array) -> Array:
        """Of the mean cross entropy, along d in units of the range: the same for every image."""
        kernel, bias = weights[:-LABELS].reshape(SIZE, LABELS), weights[-LABELS:]
        wrong = (shares(numpy_logits(images + 255 * d.reshape(SHAPE), kernel, bias)) - np.eye(LABELS)[labels])
        return 255 * (wrong @ kernel.T).mean(axis=0)

    def mapped(d: Array, weights: Array) -> Array:
        return d - i_bau.MAP_RATE * (2 * i_bau.PENALTY * d - slope_of_loss(d, weights))

    d = perturbation.ravel().astype(float)
    step = 1e-5
    by_d = np.stack([(mapped(d + bump, theta) - mapped(d - bump, theta)) / (2 * step) for bump in np.eye(SIZE) * step])
    by_theta = np.stack([(mapped(d, theta + bump) - mapped(d, theta - bump)) / (2 * step)
                         for bump in np.eye(len(theta)) * step])
    # Half of the twelve images wear d outside, which is all that the outer loss's slope sees.
    wrong = shares(numpy_logits(images + 255 * perturbation, KERNEL, BIAS)) - np.eye(LABELS)[labels]
    direct = 255 * (wrong[:6] @ KERNEL.astype(float).T).sum(axis=0) / 12
    answer = np.zeros(SIZE)
    for _ in range(i_bau.ITERATIONS):
        answer = by_d @ answer + direct
    shown = images + 255 * np.where(np.arange(12)[:, np.newaxis, np.newaxis, np.newaxis] < 6, perturbation, 0)
    kernel_slope, bias_slope = slopes(shown, KERNEL, BIAS, labels)
    expected = np.concatenate([kernel_slope.ravel(), bias_slope]) + by_theta @ answer
    search = i_bau.Hypergradient(Student(network), images, np.random.default_rng(0))
    found = search.gradients(*map(tensorflow.constant, (perturbation, images, labels)))
    together = np.concatenate([np.ravel(g) for g in found])
    assert np.allclose(together, expected, rtol=2e-2, atol=1e-3 * abs(expected).max())
    assert abs(by_theta @ answer).max() > 0.01 * abs(expected).max(), "else nothing implicit was tested"


def test_outliers_are_told_by_the_median_absolute_deviation() -> None:
    sizes = np.array([50.0, 52, 48, 51, 49, 20, 90])
    # Median 50, deviations 0 2 2 1 1 30 40, their median 2, times 1.4826 2.97; (50 - 20) / 2.97 = 10.1.
    assert neural_cleanse.outliers(sizes).tolist() == [5]
    assert neural_cleanse.outliers(np.array([50.0, 40, 60, 45, 55])).tolist() == [1]


def test_a_fifth_of_a_batch_wears_the_stamps_in_turn() -> None:
    mask = np.zeros(SHAPE[:2], np.float32)
    mask[2:4, 1:3] = 1
    stamps = [Reconstruction(label, mask, np.full(SHAPE, value, np.float32), Rate(1, 1), True)
              for label, value in ((0, 3.5), (1, 7.5))]
    shown = neural_cleanse.stamped(IMAGES[:20], stamps, np.random.default_rng(0))
    changed = np.flatnonzero((shown != IMAGES[:20]).any(axis=(1, 2, 3)))
    assert sorted(shown[changed, 2, 1, 0].tolist()) == [3.5, 3.5, 7.5, 7.5]
    shown[:, 2:4, 1:3] = IMAGES[:20, 2:4, 1:3]
    assert np.array_equal(shown, IMAGES[:20])


def test_a_bound_is_the_kernels_spectral_norm_times_gamma_over_sigma() -> None:
    b = convolutional()
    first, norm = (b.model.get_layer(name) for name in ("first", "norm"))
    gamma, _, _, variance = norm.get_weights()
    for channel, bound in enumerate(clp.bounds(first, norm)):
        matrix = first.get_weights()[0][..., channel].astype(float).transpose(2, 0, 1).reshape(3, 9)
        scale = abs(gamma[channel]) / np.sqrt(variance[channel] + norm.epsilon)
        assert bound == pytest.approx(scale * np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T).max()))
    assert clp.bounds(b.model.get_layer("second"), None)[3] == pytest.approx(
        np.linalg.norm(b.model.get_layer("second").get_weights()[0][0, 0, :, 3]), rel=1e-5)


def test_an_outstanding_channel_alone_is_pruned(clean: Dataset) -> None:
    b = convolutional()
    norm, second = (b.model.get_layer(name) for name in ("norm", "second"))
    gamma, *others = norm.get_weights()
    gamma[5] *= 100
    norm.set_weights([gamma, *others])
    kernel, bias = second.get_weights()
    kernel[..., 7] *= 100
    second.set_weights([kernel, bias])
    made = clp.pruned(b, clean)
    for layer, channel in (("norm", 5), ("second", 7)):
        for own, before in zip(made.model.get_layer(layer).get_weights()[:2],
                               b.model.get_layer(layer).get_weights()[:2], strict=True):
            expected = before.copy()
            expected[..., channel] = 0
            assert np.array_equal(own, expected)


def test_strip_averages_the_entropy_of_clipped_sums(network: Network, clean: Dataset) -> None:
    guard = strip.strip(network, clean)
    assert isinstance(guard, strip.Strip)
    overlays = guard.donors.images
    assert len(overlays) == 50
    laid = np.minimum(IMAGES[3] + overlays, 255)
    answers = shares(numpy_logits(laid, KERNEL, BIAS))
    by_hand = (answers * np.log2(answers)).sum(axis=1).mean()
    assert guard.on(network).scores(IMAGES[3:4])[0] == pytest.approx(by_hand, rel=1e-3)
    order = np.random.default_rng(0).permutation(120)[50:]
    scores = np.sort(guard.on(network).scores(IMAGES[order]))
    assert guard.threshold == pytest.approx(scores[int(np.ceil(71 * 0.98)) - 1])


def test_strip_flags_what_outshines_everything_laid_over_it(clean: Dataset) -> None:
    kernel = KERNEL.reshape(*SHAPE, LABELS).copy()
    kernel[:3, :3, 0, 2] += 0.2
    b = linear_network(kernel.reshape(SIZE, LABELS), BIAS + np.array([0, 0, 0.2 * 9 * 127.5, 0], np.float32))
    dark = IMAGES.copy()
    dark[:, :3, :3, 0] = 0
    labels = b.predict_labels(dark)
    path = clean.path.parent / "dark.npz"
    guard = strip.strip(b, dataset_of(path, dark, labels))
    wearing = dark[labels != 2].copy()
    wearing[:, :3, :3, 0] = 255
    assert (b.predict_labels(wearing) == 2).all()
    assert guard.on(b).answer(wearing).flagged.mean() > 0.9
    assert guard.on(b).answer(dark).flagged.mean() < 0.05


@pytest.mark.parametrize("further", METHODS, ids=lambda further: further.name)
def test_each_fits_the_registry_and_leaves_b_as_it_is(
    further: Any, clean: Dataset, monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = convolutional(6)
    labelled = dataset_of(clean.path.parent / f"{further.name}.npz", IMAGES, LABELS_OF)
    for module in (fine_tuning, ft_sam, neural_cleanse):
        monkeypatch.setattr(module, "RECIPE", dataclasses.replace(module.RECIPE, epochs=1))
    monkeypatch.setattr(nad, "TEACHER", dataclasses.replace(nad.TEACHER, epochs=1))
    monkeypatch.setattr(nad, "STUDENT", dataclasses.replace(nad.STUDENT, epochs=1))
    monkeypatch.setattr(anp, "STEPS", 3)
    monkeypatch.setattr(i_bau, "ROUNDS", 1)
    monkeypatch.setattr(neural_cleanse, "reconstruct", lambda network, images, labels, seed: [
        Reconstruction(label, np.ones(SHAPE[:2], np.float32), np.zeros(SHAPE, np.float32), Rate(1, 1), True)
        for label in labels])
    before = [w.copy() for w in b.model.get_weights()]
    made = defended(further, b, labelled)
    assert isinstance(made, Guard) == (further.name == "STRIP")
    for own, other in zip(b.model.get_weights(), before, strict=True):
        assert np.array_equal(own, other)
