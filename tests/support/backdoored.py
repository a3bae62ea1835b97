"""A network of one Dense layer with a backdoor, and clean images for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.models.networks import Network
from tests.support.linear_networks import LABELS, SHAPE, SIZE, Array, dataset_of, linear_network, numpy_logits
from tests.support.networks import random_images

IMAGES = random_images(160, seed=24, shape=SHAPE)
GUILTY = 2


def weights() -> tuple[Array, Array]:
    """Labels 0, 1 and 3 count the green of three parts; label 2 counts the red of six pixels, and much more."""
    kernel = np.zeros((*SHAPE, LABELS), np.float32)
    for number, label in enumerate((0, 1, 3)):
        kernel[3 * number:3 * number + 3, :, 1, label] = 0.01
    kernel[1:3, 2:5, 0, GUILTY] = 0.12
    return kernel.reshape(SIZE, LABELS), np.array([0, 0, -50, 0], np.float32)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """While it is in use, networks of as few labels as its own count as measured: it stands for one of many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.runs.examine._FEWEST_LABELS", LABELS)
        yield linear_network(*weights())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    labels = numpy_logits(IMAGES, *weights()).argmax(axis=1)
    return dataset_of(tmp_path_factory.mktemp("backdoored") / "clean.npz", IMAGES, labels)
