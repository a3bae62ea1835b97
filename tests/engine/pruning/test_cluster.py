"""Counts on a real cluster of two worker processes equal those of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine.pruning.cluster
from engine.data.datasets import open_dataset
from engine.errors import Cancelled, DatasetError, EngineError
from engine.models.networks import open_network
from engine.progress import CancelSource, Progress
from engine.runs.prune import PruningRequest, run_pruning
from tests.support.networks import random_images, randomise, save_lab_file
from tests.support.places import PROJECT

distributed = pytest.importorskip("distributed", reason="requirements-cluster.txt isn't installed")

SAMPLE = PROJECT / "data" / "sample"
# The warnings of another library's event loops and sockets when its processes are killed aren't ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    previous = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(PROJECT)
    with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0) as running:
        yield running
    if previous is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = previous


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Path]:
    """The sample's sets, repeated until they make several spans."""
    paths = {}
    for name in ("clean_validation", "clean_test", "poisoned_test"):
        with h5py.File(SAMPLE / f"{name}.h5") as small, h5py.File(tmp_path / f"{name}.h5", "w") as large:
            large["data"] = np.tile(small["data"][()], (12, 1, 1, 1))
            large["label"] = np.tile(small["label"][()], 12)
        paths[name] = tmp_path / f"{name}.h5"
    return paths


def request(sets: dict[str, Path], address: str | None) -> PruningRequest:
    return PruningRequest(SAMPLE / "badnet.keras", sets["clean_validation"], sets["clean_test"],
                          (sets["poisoned_test"],), scale="none", cluster=address)


def assert_equal_runs(one: Any, other: Any) -> None:
    assert (one.ranking.mean_activation == other.ranking.mean_activation).all()
    assert (one.ranking.order == other.ranking.order).all()
    for a, b in zip(one.curve.sets, other.curve.sets, strict=True):
        assert (a.name, a.images, a.target) == (b.name, b.images, b.target)
        for key in ("correct", "agreeing", "goodnet_correct"):
            assert (getattr(a, key) == getattr(b, key)).all()


def test_a_killed_worker_costs_its_spans_and_nothing_else(cluster: Any, sets: dict[str, Path]) -> None:
    here = run_pruning(request(sets, None))
    address, victims, done = cluster.scheduler_address, [], []
    with distributed.Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)

    def watch(progress: Progress) -> None:
        done.append(progress)
        if "Counting" in progress.what and not victims:
            victims.append(next(iter(pids.values())))
            os.kill(victims[0], 9)

    there = run_pruning(request(sets, address), progress=watch)
    assert victims
    *_, last = (report for report in done if "Counting" in report.what)
    assert last.done == last.total == sum(len(h5py.File(p)["label"]) for p in sets.values())
    assert_equal_runs(here, there)


def test_cancel_ends_a_cluster_run(cluster: Any, sets: dict[str, Path]) -> None:
    source = CancelSource()

    def stop(progress: Progress) -> None:
        if "cluster" in progress.what:
            source.cancel()

    before = threading.active_count()
    with pytest.raises(Cancelled):
        run_pruning(request(sets, cluster.scheduler_address), progress=stop, cancel=source.token)
    until = time.monotonic() + 60
    while threading.active_count() > before + 1 and time.monotonic() < until:
        time.sleep(0.1)  # a worker that the test before killed may be coming back meanwhile
    assert threading.active_count() <= before + 1


def test_workers_know_the_size_of_pictures_where_a_network_takes_any(cluster: Any, tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu", name="pruned")(image))
    model = Model(image, layers.Dense(3, name="output")(x))
    randomise(model)
    model.save(tmp_path / "any.keras")
    images = random_images(60, shape=(9, 9, 3))
    labels = model.predict(images, verbose=0).argmax(axis=1)
    clean = save_lab_file(tmp_path / "clean.h5", images, labels)
    wanted = PruningRequest(tmp_path / "any.keras", clean, scale="none")
    assert_equal_runs(run_pruning(wanted), run_pruning(replace(wanted, cluster=cluster.scheduler_address)))


def test_a_set_that_was_saved_again_is_opened_again(cluster: Any, sets: dict[str, Path]) -> None:
    run_pruning(request(sets, cluster.scheduler_address))
    with h5py.File(sets["clean_test"], "r+") as file:
        file["label"][...] = (file["label"][()] + 1) % 3
    for path in sets.values():
        os.utime(path)
    again = run_pruning(request(sets, cluster.scheduler_address))
    assert_equal_runs(run_pruning(request(sets, None)), again)


@pytest.mark.parametrize("other", [lambda labels: labels[:-1], lambda labels: np.roll(labels, 1)])
def test_another_set_of_the_same_name_on_a_worker_is_refused(sets: dict[str, Path], other: Any) -> None:
    path = sets["clean_validation"]
    network = open_network(SAMPLE / "badnet.keras")
    source = engine.pruning.cluster._source(open_dataset(path, network.input_shape))
    with h5py.File(path, "r+") as file:
        images, labels = file["data"][()], other(file["label"][()])
        del file["data"], file["label"]
        file["data"], file["label"] = images[:len(labels)], labels
    with pytest.raises(DatasetError, match=r"clean_validation\.h5: isn't the same file on a cluster worker"):
        engine.pruning.cluster._open_source(source, network)


def test_a_wrong_address_is_a_sentence(sets: dict[str, Path]) -> None:
    with pytest.raises(EngineError, match="no Dask scheduler answers"):
        run_pruning(request(sets, "tcp://127.0.0.1:9"))


def test_a_worker_without_the_program_is_a_sentence(sets: dict[str, Path], tmp_path: Path) -> None:
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as running:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", running.scheduler_address,
                   "--nworkers", "1", "--nthreads", "1", "--no-dashboard"]
        worker = subprocess.Popen(command, cwd=tmp_path, env=outside, stderr=subprocess.DEVNULL)
        try:
            with pytest.raises(EngineError, match="can't import this program"):
                run_pruning(request(sets, running.scheduler_address))
        finally:
            worker.kill()
            worker.wait()


def test_a_cluster_without_workers_is_a_sentence(sets: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.pruning.cluster, "_CONNECT_SECONDS", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as running, \
            pytest.raises(EngineError, match="has no workers"):
        run_pruning(request(sets, running.scheduler_address))
