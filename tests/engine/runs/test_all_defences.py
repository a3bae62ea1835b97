"""A comparison of a whole run where labels have no validation image."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.errors import DatasetError
from engine.progress import Progress
from engine.runs.all_defences import compare_defences
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from tests.support.networks import SmallLab


@pytest.fixture
def run(small_lab: SmallLab, tmp_path: Path) -> PruningRun:
    """A run whose clean validation images lack one label."""
    with h5py.File(small_lab.clean) as whole, h5py.File(tmp_path / "part.h5", "w") as part:
        labels = whole["label"][()].reshape(-1)
        kept = labels != np.bincount(labels.astype(int)).argmax()
        part["data"], part["label"] = whole["data"][()][kept], labels[kept]
    return run_pruning(PruningRequest(small_lab.badnet, tmp_path / "part.h5", small_lab.test, (small_lab.poisoned,)))


def test_missing_labels_are_refused_before_any_work(run: PruningRun) -> None:
    reports: list[Progress] = []
    with pytest.raises(DatasetError, match=r"have no image in part\.h5"):
        compare_defences(run, progress=reports.append)
    assert reports == []


def test_the_warning_stays_on_the_comparison(run: PruningRun) -> None:
    run = dataclasses.replace(run, request=dataclasses.replace(run.request, drops=()))
    found = compare_defences(run, allow_missing_labels=True)
    assert "have no image in part.h5; expect the trained network to have forgotten" in found.warning
    assert [row.defence for row in found.rows[::3]] == ["B", "repaired by distillation", "repaired B' alone"]
