"""The program's own files as a stranger would make them: pipes, devices, gigabytes, nonsense; each is a sentence."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import AT_FAULT, main
from engine.errors import EngineError
from engine.files.own import MOST_JSON_BYTES, read_lines, read_own
from engine.goodnets.saved import open_goodnet
from engine.guards.guard_files import open_guard, save_guard
from engine.guards.thresholds import fewest_images
from engine.pruning.ranking import given_order
from engine.records.autosave import keep_run, kept_runs
from engine.records.project import read_project
from engine.records.reopening import reopen_run
from tests.support.networks import SmallLab
from tests.support.runs import made_up_run

POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _no_number(path: Path) -> None:
    path.write_text('{"scale": NaN}')


class _Nine:
    """A network of one layer with nine channels."""

    name = "c"

    def prunable_layers(self) -> dict[str, int]:
        return {"c": 9}

    def call_of(self, layer: str) -> _Nine:
        return self


def _read_pair_notes(path: Path) -> None:
    for name in ("b.keras", "b_prime.keras"):
        path.with_name(name).touch()
    shutil.move(path, path.with_name("goodnet.json"))
    open_goodnet([path.parent])


def _read_run(path: Path) -> None:
    shutil.move(path, path.with_name("run.json"))
    reopen_run(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "order": lambda path: given_order(_Nine(), "c", path),  # type: ignore[arg-type]
    "run.json": _read_run, "project": read_project, "guard": open_guard,
    "names": lambda path: read_lines(path, "isn't a list of names", "Choose another."),
}


def within_ten_seconds(work: Callable[[], object]) -> None:
    """Run it on a thread of its own, so that what hangs fails instead."""
    found: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it hangs"
    if found:
        raise found[0]


@POSIX
@pytest.mark.parametrize("make", [_pipe, _device, _folder, _sparse, _deep])
@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_of_ours_is_a_sentence(kind: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "own"
    make(path)
    if (kind, make) == ("names", _deep):
        return
    with pytest.raises(EngineError, match=r"(own|run\.json): .*\."):
        within_ten_seconds(lambda: READERS[kind](path))


@POSIX
@pytest.mark.parametrize("make", [_sparse, _deep, _no_number])
def test_a_pairs_notes_are_read_no_differently(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "own")
    with pytest.raises(EngineError, match=r"goodnet\.json: doesn't describe a GoodNet"):
        within_ten_seconds(lambda: _read_pair_notes(tmp_path / "own"))


@POSIX
@pytest.mark.parametrize("make", [_pipe, _device, _folder])
@pytest.mark.parametrize("option", ["model", "--clean", "--test", "--poisoned", "--order"])
def test_no_input_may_be_a_pipe_or_device(
    option: str, make: Callable[[Path], None], small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "odd")
    given = {"model": str(small_lab.badnet), "--clean": str(small_lab.clean), option: str(tmp_path / "odd")}
    arguments = ["prune", given.pop("model"), *(word for pair in given.items() for word in pair)]
    statuses: list[int] = []
    within_ten_seconds(lambda: statuses.append(main(arguments)))
    said = capsys.readouterr().err
    assert statuses == [AT_FAULT] and str(tmp_path / "odd") in said and "Traceback" not in said


def test_what_is_as_large_as_may_be_is_read_and_one_byte_more_isnt(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'"' + b"x" * (MOST_JSON_BYTES - 2) + b'"')
    assert len(read_own(path, str, "isn't one", "Leave it.")) == MOST_JSON_BYTES - 2
    with path.open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(EngineError, match=r"16,777,217 bytes, and at most 16,777,216"):
        read_own(path, str, "isn't one", "Leave it.")


def changed_guard(folder: Path, **changes: object) -> Path:
    guarded = made_up_run().guarded
    assert guarded is not None
    save_guard(guarded.guard, folder / "guard.npz")
    with np.load(folder / "guard.npz") as stored:
        entries = {**stored, **changes}
    np.savez_compressed(folder / "guard.npz", **entries)
    return folder / "guard.npz"


@pytest.mark.parametrize(("changes", "words"), [
    ({"schema": np.int64(1), "bands": np.tile([[0, 4]], (1_000_000, 1))}, "1,000,000 bands"),
    ({"cut_kinds": np.full(100_000, "rows")}, "no known kind, or too many"),
    ({"false_alarms": np.float64(1e-300), "threshold": np.float64(np.inf)}, "false-alarm rate isn't between 1e-06"),
    ({"calibration_images": np.int64(-1)}, "below 0"),
    ({"donors": np.zeros((5000, 12, 10, 3), np.uint8), "donor_labels": np.arange(5000) % 7}, "5,000 donors"),
    ({"schema": np.array([2, 2])}, "'schema' is int64 with 1 axes"),
    ({"schema": np.str_("x")}, "'schema' is <U1 with 0 axes"),
])
def test_a_guard_beyond_all_bounds(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"isn't a saved guard.*{words}"):
        open_guard(changed_guard(tmp_path, **changes))


@pytest.mark.parametrize(("rate", "fewest"), [(0.5, 1), (0.02, 49), (0.001, 999), (1e-6, 999_999)])
def test_the_fewest_images_are_found_for_every_rate(rate: float, fewest: int) -> None:
    assert fewest_images(rate) == fewest


def test_a_rate_that_no_number_of_images_shows_is_wrong_usage(small_lab: SmallLab) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--false-alarms", "1e-300"])
    assert ended.value.code == 2


@POSIX
def test_a_kept_run_that_is_a_pipe_is_left_out(tmp_path: Path) -> None:
    run = made_up_run(channels=5)
    kept = [keep_run(run, tmp_path) for _ in range(3)]
    for name, folder in (("run.json", kept[0]), ("guard.npz", kept[1])):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    os.mkfifo(tmp_path / "20260101-101010-000001-abcdef")
    within_ten_seconds(lambda: [found.folder for found in kept_runs(tmp_path)] == [kept[2]] or pytest.fail("others"))


@pytest.mark.parametrize("text", ["\ud800", "a\0b", 5, 10**400])
def test_text_that_cant_be_a_name_is_refused(text: object, tmp_path: Path) -> None:
    folder = keep_run(made_up_run(channels=5), tmp_path)
    for change in (lambda d: d["model"].update(path=text), lambda d: d["curve"]["validation"].update(name=text),
                   lambda d: d["settings"].update(false_alarms=text), lambda d: d.update(seconds=text)):
        document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if text == 5 and change(document) is None and not isinstance(document["model"]["path"], int):
            continue
        change(document)
        (tmp_path / "run.json").write_text(json.dumps(document))
        shutil.copy(folder / "guard.npz", tmp_path)
        with pytest.raises(EngineError, match=r"run\.json: isn't a saved run"):
            reopen_run(tmp_path)
