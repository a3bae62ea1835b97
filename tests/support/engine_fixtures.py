"""A laboratory in small: a network of a few channels and data sets on which it is mostly right."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.networks import LABELS, TARGET, Array, SmallLab, build, random_images, save_lab_file


@pytest.fixture(scope="session")
def small_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLab]:
    """The files, made once; the fixture fails in the end if a test changed one."""
    folder = tmp_path_factory.mktemp("small_lab")
    model, _ = build("plain")
    model.save(folder / "badnet.keras")
    images = random_images(1400, seed=4)
    answers = model.predict(images, verbose=0).argmax(axis=1)
    lab = SmallLab(
        folder / "badnet.keras",
        save_lab_file(folder / "clean.h5", images[:80], _a_tenth_wrong(answers[:80])),
        save_lab_file(folder / "test.h5", images[80:140], _a_tenth_wrong(answers[80:140])),
        save_lab_file(folder / "poisoned.h5", images[140:][answers[140:] == TARGET][:40], np.full(40, TARGET)))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    yield lab
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def lab(small_lab: SmallLab, tmp_path: Path) -> SmallLab:
    """The small lab's files where they may be moved about and written anew."""
    return copied(small_lab, tmp_path / "lab")


def copied(lab: SmallLab, folder: Path) -> SmallLab:
    """The files of a lab in a new folder."""
    folder.mkdir()
    return SmallLab(*(Path(shutil.copy(path, folder)) for path in (lab.badnet, lab.clean, lab.test, lab.poisoned)))


def _a_tenth_wrong(answers: Array) -> Array:
    labels = answers.copy()
    labels[::10] = (labels[::10] + 1) % LABELS
    return labels
