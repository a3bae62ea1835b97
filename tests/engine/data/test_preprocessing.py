"""Every preprocessing against the formula of the framework it comes from, and in a saved model to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from engine import backend
from engine.data.preprocessing import KNOWN, KNOWN_OF_UNIT, choice, preprocessing, turned_round
from engine.models.preprocessing_layers import preprocessed, preprocessing_of

IMAGES = np.random.default_rng(3).integers(0, 256, (6, 9, 7, 3)).astype(np.float32)
OWN = "mean=0.5,0.4,0.3 std=0.2,0.25,0.5"
NAMES = [*KNOWN, OWN]


@pytest.mark.parametrize(("name", "mode"), [("-1..1", "tf"), ("imagenet", "torch"), ("caffe", "caffe")])
def test_as_keras_applications_do(name: str, mode: str) -> None:
    _, keras = backend.load()
    wanted = keras.applications.imagenet_utils.preprocess_input(IMAGES.copy(), mode=mode)
    np.testing.assert_allclose(preprocessing(name).applied(IMAGES.copy()), wanted, atol=2e-5)


def test_each_image_by_itself_as_tensorflow_does() -> None:
    tf, _ = backend.load()
    wanted = tf.image.per_image_standardization(IMAGES).numpy()
    np.testing.assert_allclose(preprocessing("standardised").applied(IMAGES.copy()), wanted, atol=1e-5)


def test_own_mean_and_deviation_in_either_unit() -> None:
    wanted = (IMAGES / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.25, 0.5])
    np.testing.assert_allclose(preprocessing(OWN).applied(IMAGES.copy()), wanted, atol=1e-5)
    large = preprocessing("mean=127.5 std=51,63.75,127.5")
    np.testing.assert_allclose(large.applied(IMAGES.copy()), (IMAGES - 127.5) / [51, 63.75, 127.5], atol=1e-5)


BLUE_FIRST = ("bgr", "bgr 255", "bgr -1..1", "bgr imagenet", "x255 bgr", "x255 bgr imagenet")


@pytest.mark.parametrize("name", [*BLUE_FIRST, f"bgr {OWN}"])
def test_blue_first_is_what_the_other_does_to_turned_colours(name: str) -> None:
    plain = preprocessing(" ".join(word for word in name.split() if word != "bgr") or "none")
    turned = np.ascontiguousarray(IMAGES[..., ::-1])
    np.testing.assert_array_equal(preprocessing(name).applied(IMAGES.copy()), plain.applied(turned))
    assert preprocessing(name).name == name and "in the order blue, green, red" in preprocessing(name).words
    assert not preprocessing(name).fits(1) and turned_round(plain) == preprocessing(name)


@pytest.mark.parametrize("name", [*NAMES, *BLUE_FIRST])
def test_a_saved_model_does_the_same(name: str) -> None:
    _, keras = backend.load()
    wanted = preprocessing(name)
    image = keras.Input((9, 7, 3))
    model = keras.Model(image, keras.layers.Identity()(preprocessed(image, wanted)))
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    exact = wanted.applied(IMAGES.copy())
    answers = again.predict(IMAGES, verbose=0)
    if wanted.per_image:
        np.testing.assert_allclose(answers, exact, atol=1e-5)
    else:
        np.testing.assert_array_equal(answers, exact)
    found = preprocessing_of(again.layers)
    np.testing.assert_array_equal(found.applied(IMAGES.copy()), exact)
    assert found.name == name or name == OWN


@pytest.mark.parametrize("name", [OWN, "mean=127.5 std=51,63.75,127.5", f"x255 {OWN}", "mean=100.123456 std=7",
                                  "x255 mean=100.123456 std=7", f"bgr {OWN}", f"x255 bgr {OWN}"])
def test_what_is_found_is_called_what_it_does(name: str) -> None:
    _, keras = backend.load()
    wanted = preprocessing(name)
    found = preprocessing_of(keras.Model(image := keras.Input((9, 7, 3)), preprocessed(image, wanted)).layers)
    called = preprocessing(found.name)
    np.testing.assert_allclose(called.applied(IMAGES.copy()), wanted.applied(IMAGES.copy()), rtol=1e-5, atol=1e-4)
    assert called.words == found.words


def test_a_foreign_rescaling_layer_is_understood() -> None:
    _, keras = backend.load()
    found = preprocessing_of([keras.layers.Rescaling(1 / 127.5, -1)])
    assert found.name == "-1..1"


@pytest.mark.parametrize("text", ["", "256", "mean=1,2 std=1", "mean=1 std=0", "mean=nan std=1", "mean=1e999 std=1",
                                  "mean=1,2,3", "mean=a std=b", "mean=1 std=-1", "mean=1,2,3,4 std=1", "bgr caffe",
                                  "bgr standardised", "bgr bgr", "bgr x255", "bgr auto", "bgr " * 4000])
def test_what_is_none_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a preprocessing"):
        preprocessing(text)


def test_half_of_ones_own_is_said_to_lack_the_other() -> None:
    with pytest.raises(ValueError, match=r"'mean=0\.5,0\.5,0\.5' isn't a preprocessing; std= is missing: both"):
        preprocessing("mean=0.5,0.5,0.5")


def test_names_are_kept_in_one_form() -> None:
    assert choice("  mean=0.5   std=0.5 ") == "mean=0.5 std=0.5"
    assert choice("auto") == "auto"


def test_colours_decide_what_fits() -> None:
    fitting = [name for name in NAMES if preprocessing(name).fits(1)]
    assert fitting == ["none", "255", "-1..1", "standardised"]
    assert all(preprocessing(name).fits(3) for name in NAMES)


@pytest.mark.parametrize("name", [*KNOWN, *KNOWN_OF_UNIT, "bgr 255"])
def test_what_is_done_can_be_undone(name: str) -> None:
    stored = np.random.default_rng(3).random((2, 8, 8, 3), np.float32) * np.float32(1 if name in KNOWN_OF_UNIT else 255)
    known = preprocessing(name)
    np.testing.assert_allclose(known.undone(known.applied(stored.copy()), stored), stored, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["mean=0,0,0 std=1e-45,1e-45,1e-45", "mean=1e35 std=1", "x255 x255", "x255 " * 4000])
def test_numbers_that_overflow_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"too large for a network|isn't a preprocessing"):
        preprocessing(name)


def test_numbers_of_the_usual_size_are_taken() -> None:
    fed = preprocessing("mean=0.1307 std=1e-20").applied(np.full((1, 1, 1, 1), 255, np.float32))
    assert np.isfinite(fed).all()
