"""A whole run: chunk by chunk, partial curves, cancel, and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.data.sources.readers import Hdf5Reader, ReadSlice
from engine.errors import Cancelled, EngineError, OutputError
from engine.files.manifest import record
from engine.files.saving import check_writable, whole_file, whole_folder
from engine.goodnets.saved import open_goodnet
from engine.looking.inspection import inspect
from engine.models import networks
from engine.models.costs import computing
from engine.progress import CancelSource, CancelToken, Progress
from engine.pruning import incremental, steps
from engine.pruning.sweep import PruningCurve, SetCounts, count_chunk
from engine.records.run_files import save_run
from engine.runs.opening.feeding import find_feeding
from engine.runs.opening.inputs import open_inputs
from engine.runs.pairs import build_goodnet
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import rows_of
from tests.support.networks import NETWORKS, Array, SmallLab, build, plain_loop, random_images
from tests.support.places import PROJECT


def request_of(lab: SmallLab) -> PruningRequest:
    return PruningRequest(lab.badnet, lab.clean, lab.test, (lab.poisoned,), scale="none")


@pytest.fixture(scope="module")
def run(small_lab: SmallLab) -> PruningRun:
    return run_pruning(request_of(small_lab))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """So that small sets have several chunks."""
    monkeypatch.setattr(computing, "MOST_AT_ONCE", 16)
    return 16


def assert_same_counts(found: PruningCurve, expected: PruningCurve) -> None:
    assert [s.name for s in found.sets] == [s.name for s in expected.sets]
    for ours, theirs in zip(found.sets, expected.sets, strict=True):
        assert ours.images == ours.total == theirs.images
        for key in ("correct", "agreeing", "goodnet_correct"):
            np.testing.assert_array_equal(getattr(ours, key), getattr(theirs, key))


def test_chunks_don_t_change_the_curve(run: PruningRun, small_lab: SmallLab, small_chunks: int) -> None:
    again = run_pruning(request_of(small_lab))
    np.testing.assert_array_equal(again.ranking.order, run.ranking.order)
    assert_same_counts(again.curve, run.curve)


def test_a_network_for_any_size_is_computed_as_one_for_the_size_of_the_images(tmp_path: Path) -> None:
    """Sides that are open tell nothing of what an image costs, so that 256 would be computed at once."""
    from keras import Input, Model, layers

    def saved(side: int | None) -> Path:
        image = Input((side, side, 3))
        x = layers.MaxPooling2D(2)(layers.Conv2D(24, 3, activation="relu", name="conv")(image))
        model = Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
        model.set_weights([np.random.default_rng(i).normal(0, 0.3, w.shape) for i, w in enumerate(model.get_weights())])
        model.save(path := tmp_path / f"{side}.keras")
        return path

    images = random_images(30, seed=7, shape=(90, 90, 3))
    np.savez(tmp_path / "clean.npz", data=images, label=np.arange(30) % 4)
    found, fixed = (open_inputs(PruningRequest(saved(side), tmp_path / "clean.npz", scale="none")).network
                    for side in (None, 90))
    assert found.input_shape == (None, None, 3) and fixed.input_shape == (90, 90, 3)
    assert found.batch == fixed.batch < 64 and found.quick == fixed.quick
    assert found.copy().batch == found.pruned("conv", [1, 2]).batch == fixed.batch
    run = run_pruning(PruningRequest(saved(None), tmp_path / "clean.npz", scale="none"))
    answers = [found.pruned("conv", run.ranking.order[:step]).model.predict(images, verbose=0).argmax(axis=1)
               for step in range(25)]
    right = [int((one == np.arange(30) % 4).sum()) for one in answers]
    np.testing.assert_array_equal(run.curve.validation.correct, right)


def test_at_every_chunk_there_is_a_curve(run: PruningRun, small_lab: SmallLab, small_chunks: int) -> None:
    curves: list[PruningCurve] = []
    run_pruning(request_of(small_lab), partial=curves.append)
    first, sharper, *counted = curves  # ranked on a chunk, and on four times as many images
    assert first.provisional and sharper.provisional and not any(c.provisional for c in counted)
    assert [s.images for s in first.sets] == [16, 16, 16] and [s.images for s in sharper.sets] == [64, 16, 16]
    images = [sum(s.images for s in curve.sets) for curve in counted]
    assert images == sorted(images) and images[0] <= 4 * small_chunks and images[-1] == 180
    assert_same_counts(counted[-1], run.curve)
    for curve in counted:
        for counts in curve.sets:
            assert 0 < counts.images <= counts.total
            assert counts.agreeing[0] == counts.images  # B agrees with itself
            assert (counts.goodnet_correct <= np.minimum(counts.correct, counts.agreeing)).all()


@pytest.mark.parametrize(("quick", "first"), [(6, 6), (7, 6)])  # ranked in whole batches of two
def test_of_a_large_network_a_few_images_are_counted_first(
    quick: int, first: int, run: PruningRun, small_lab: SmallLab, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "_QUICK_PRODUCTS", 1)
    monkeypatch.setattr(networks, "_FEWEST_QUICK", quick)
    monkeypatch.setattr(computing, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(steps, "chunk_size", lambda network, tensors: 32)
    monkeypatch.setattr(incremental, "chunk_size", lambda network, tensors: 32)
    curves: list[PruningCurve] = []
    found = run_pruning(request_of(small_lab), partial=curves.append)
    assert curves[0].provisional and [s.images for s in curves[0].sets] == [first, quick, quick]
    assert_same_counts(found.curve, run.curve)


def test_no_more_than_a_chunk_is_read_at_once(
    small_lab: SmallLab, small_chunks: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 0
    original = Hdf5Reader.open

    @contextmanager
    def watched(self: Hdf5Reader) -> Iterator[ReadSlice]:
        with original(self) as read:
            def note(start: int, stop: int) -> Array:
                nonlocal most
                most = max(most, stop - start)
                return read(start, stop)
            yield note

    monkeypatch.setattr(Hdf5Reader, "open", watched)
    run_pruning(request_of(small_lab))
    assert most == small_chunks


def test_progress_names_each_stage_and_ends_at_its_total(small_lab: SmallLab, small_chunks: int) -> None:
    seen: list[Progress] = []
    run_pruning(request_of(small_lab), progress=seen.append)
    stages = list(dict.fromkeys(p.what for p in seen))
    assert stages == ["Opening files", "Ranking channels", "Counting every pruning step"]
    counting = [p for p in seen if p.what == stages[2]]
    assert counting[-1].done == counting[-1].total == 180
    assert [p.done for p in counting] == sorted({p.done for p in counting})
    # Before the first image a large network is put together, written down as a graph and prepared, a second each.
    assert [p.done for p in seen if p.what == stages[1]][:3] == [0, 0, 0]


def test_each_file_that_is_opened_is_told_of(small_lab: SmallLab) -> None:
    seen: list[Progress] = []
    open_inputs(request_of(small_lab), progress=seen.append)
    assert [(p.done, p.total) for p in seen] == [(stage, 8) for stage in range(8)]
    for stage in range(8):
        source = CancelSource()

        def cancel(progress: Progress, stage: int = stage, source: CancelSource = source) -> None:
            assert progress.done <= stage
            if progress.done == stage:
                source.cancel()

        with pytest.raises(Cancelled):
            run_pruning(request_of(small_lab), progress=cancel, cancel=source.token)


@pytest.mark.parametrize("stage", ["Opening files", "Ranking channels", "Counting every pruning step"])
def test_cancel_is_honoured_in_every_stage(stage: str, small_lab: SmallLab, small_chunks: int) -> None:
    source = CancelSource()
    after: list[Progress] = []

    def cancel(progress: Progress) -> None:
        if source.token.is_cancelled:
            after.append(progress)
        if progress.what == stage:
            source.cancel()

    with pytest.raises(Cancelled):
        run_pruning(request_of(small_lab), progress=cancel, cancel=source.token)
    assert len(after) <= 3  # chunks that were under way


@pytest.mark.parametrize("name", ["nested", "sigmoid activation", "skip connection around the layer"])
def test_a_run_on_other_networks_counts_as_the_plain_loop(name: str, small_lab: SmallLab, tmp_path: Path) -> None:
    model, layer = build(name)
    model.save(tmp_path / "model.keras")
    run = run_pruning(PruningRequest(tmp_path / "model.keras", small_lab.clean, layer=layer, scale="none"))
    with h5py.File(small_lab.clean) as file:
        images, truth = file["data"][()].transpose(0, 2, 3, 1).astype(np.float32), file["label"][()].astype(int)
    plain = plain_loop(model, layer, run.ranking.order.tolist(), images)
    np.testing.assert_array_equal(run.curve.validation.correct, (plain == truth).sum(axis=1))
    np.testing.assert_array_equal(run.curve.validation.agreeing, (plain == plain[0]).sum(axis=1))


def test_every_layer_by_choice(small_lab: SmallLab) -> None:
    request = PruningRequest(small_lab.badnet, small_lab.clean, layer="conv_1", scale="none")
    run = run_pruning(request)
    assert (run.model.layer, run.model.channels, len(run.curve.validation.correct)) == ("conv_1", 6, 7)
    assert NETWORKS["the first of two convolutions"][1] == "conv_1"


def test_as_stored_wins_a_tie(small_lab: SmallLab) -> None:
    opened = open_inputs(request_of(small_lab))
    pruned = opened.network.pruned(opened.layer, range(9))  # the same answer to everything
    assert find_feeding(opened.network, opened.sets[0].dataset).best.name == "none"
    assert find_feeding(pruned, opened.sets[0].dataset).best.name == "none"


def test_a_model_changed_since_the_run_gives_no_pair(run: PruningRun, small_lab: SmallLab, tmp_path: Path) -> None:
    import dataclasses
    other = tmp_path / "badnet.keras"
    build("plain", seed=1)[0].save(other)
    moved = dataclasses.replace(run, model=dataclasses.replace(run.model, path=other))
    with pytest.raises(EngineError, match=r"badnet\.keras: was changed"):
        build_goodnet(moved, rows_of(run)[0])


def test_cancelled_saving_leaves_nothing(run: PruningRun, tmp_path: Path) -> None:
    source = CancelSource()
    with pytest.raises(Cancelled):
        save_run(run, tmp_path / "out", progress=lambda _: source.cancel(), cancel=source.token)
    assert not list(tmp_path.iterdir())


def test_saving_is_told_of_and_cancelled_piece_by_piece(run: PruningRun, tmp_path: Path) -> None:
    """A pair of large networks takes ten seconds to write."""
    pieces = 5 * len(rows_of(run))
    told: list[tuple[int, int]] = []
    save_run(run, tmp_path / "whole", progress=lambda p: told.append((p.done, p.total)))
    assert told == [(done, pieces) for done in range(pieces + 1)]
    for last in (1, pieces - 1):
        source, seen = CancelSource(), []

        def stop(progress: Progress, last: int = last, source: CancelSource = source, seen: list[int] = seen) -> None:
            seen.append(progress.done)
            if progress.done == last:
                source.cancel()

        with pytest.raises(Cancelled):
            save_run(run, tmp_path / "out", progress=stop, cancel=source.token)
        assert seen == list(range(last + 1)) and [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_an_older_run_stays_when_saving_is_cancelled(run: PruningRun, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("old")
    record(tmp_path / "out")
    token: CancelToken = CancelSource().token
    token._event.set()
    with pytest.raises(Cancelled):
        save_run(run, tmp_path / "out", cancel=token)
    assert (tmp_path / "out" / "run.json").read_text() == "old"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["manifest.json", "out", "run.json"]


def _fail(path: Path) -> None:
    path.mkdir(exist_ok=True)
    (path / "half").write_text("half")
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_nothing_and_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), whole_folder(tmp_path / "deep" / "out") as folder:
        _fail(folder)
    assert [p.name for p in tmp_path.rglob("*")] == ["deep"]


def test_a_file_takes_its_place_whole(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(target) as path:
        path.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
    with whole_file(target) as path:
        path.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("where", [lambda p: p / "file", lambda p: p / "file" / "deep" / "out"])
def test_where_nothing_can_be_written_is_said_before_the_work(where: Callable[[Path], Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        check_writable(where(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_place_that_can_be_written_stays_untouched(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "c")
    assert not list(tmp_path.iterdir())


def test_counts_add_up() -> None:
    def counts(images: int, *numbers: int) -> SetCounts:
        return SetCounts("s", "test", images, 10, None, *(np.array([n, 0]) for n in numbers))

    whole = counts(4, 3, 4, 3).plus(counts(6, 2, 5, 1))
    assert (whole.images, whole.correct[0], whole.agreeing[0], whole.goodnet_correct[0]) == (10, 5, 9, 4)
    assert (whole.b_prime_rate(0).value, whole.goodnet_rate(0).value, whole.flagged_rate(0).value) == (0.5, 0.4, 0.1)


def test_bs_answers_are_counted_by_label() -> None:
    labels, truth = np.array([[2, 2, 1, 0, 2], [1, 0, 0, 0, 2]]), np.array([1, 0, 1, 1, 2])
    part = count_chunk(SetCounts("s", "test", 0, 10, None, *[np.zeros(2, np.int64)] * 3), labels, truth)
    assert part.answers == {(2, 1): 1, (2, 0): 1, (1, 1): 1, (0, 1): 1, (2, 2): 1}
    assert part.plus(part).answers == dict.fromkeys(part.answers, 2)


def test_the_sample_is_what_it_says(tmp_path: Path) -> None:
    sample = PROJECT / "data" / "sample"
    if not (sample / "badnet.keras").is_file():
        pytest.skip("the sample isn't there")
    found = inspect(sample / "badnet.keras")
    assert found.default_layer == "conv_3"  # type: ignore[union-attr]
    assert sum(p.stat().st_size for p in sample.rglob("*") if p.is_file()) < 12 * 2**20


@pytest.mark.parametrize("links", [True, False])
def test_b_is_written_once_a_run_and_every_pair_opens_alone(
    links: bool, run: PruningRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    save_run(run, tmp_path / "out")
    pairs = sorted((tmp_path / "out").glob("goodnet-x*"))
    assert len(pairs) > 1
    assert len({(pair / "b.keras").stat().st_ino for pair in pairs}) == (1 if links else len(pairs))
    shutil.copytree(pairs[-1], tmp_path / "alone")
    shutil.rmtree(tmp_path / "out")
    images = np.zeros((1, 12, 10, 3), np.float32)
    assert open_goodnet([tmp_path / "alone"]).b.predict_labels(images).shape == (1,)
