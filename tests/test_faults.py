"""Kills, full disks, files that vanish or change, odd names, damaged files: nothing is lost and a sentence says why.

The long versions are `make fuzz`; what they found is in README.md beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.__main__ import AT_FAULT, main
from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import AS_STORED
from engine.errors import DatasetError, EngineError, OutputError
from engine.files import saving
from engine.files.manifest import record
from engine.files.saving import check_writable, whole_file, whole_folder
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.models.networks import Network, open_network
from tests.support.networks import LABELS, Array, SmallLab, build, random_images, save_lab_file

TESTS = Path(__file__).resolve().parent
POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@POSIX
def test_killed_at_every_step_of_replacing_a_folder() -> None:
    told = run("-m", "tests.support.kill_saving", "steps").splitlines()
    assert len(told) == 6 and all("all whole" in line for line in told)


@POSIX
def test_killed_at_random_moments_of_saving_pairs() -> None:
    assert run("-m", "tests.support.kill_saving", "pairs", "6").startswith("killed 6 times")


@POSIX
@pytest.mark.parametrize(("group", "formats"), [("anywhere", 15), ("structured", 50)])
def test_damaged_files_of_every_format_end_in_an_error_or_a_result(group: str, formats: int, tmp_path: Path) -> None:
    told = run("-m", "tests.support.fuzz", group, "--count", "15", "--seed", "7", "--keep", str(tmp_path)).splitlines()
    assert len(told) == formats and not [path for path in tmp_path.iterdir() if path.is_file()]
    assert sum("opened" in line for line in told) > formats / 2
    assert sum("refused" in line for line in told) > 3 * formats / 4


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A small disk of its own."""
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "goodnet", place], capture_output=True,
                      check=False).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def small_pair() -> GoodNet:
    model, layer = build("plain")
    b = Network(model, Path("b.keras"))
    return GoodNet(b, b.pruned(layer, [1, 2]), AS_STORED, {"x": 2})


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
def test_a_disk_that_is_full_keeps_the_pair_that_was_there(tmp_path: Path) -> None:
    goodnet = small_pair()
    with mounted(tmp_path / "disk", "size=900k") as disk:
        save_pair(goodnet, disk / "pair")
        before = {path.name: path.read_bytes() for path in (disk / "pair").iterdir()}
        for room in (0, 5_000, 50_000, 100_000):  # full before the first file, in the midst of it, and behind some
            (disk / "ballast").write_bytes(b"")
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
            (disk / "ballast").write_bytes(b"x" * max(free - room, 0))
            with pytest.raises(OutputError, match=r"can't be written \(.*No space left on device"):
                save_pair(goodnet, disk / "pair")
            assert {path.name: path.read_bytes() for path in (disk / "pair").iterdir()} == before
            assert sorted(path.name for path in disk.iterdir()) == ["ballast", "pair"]
        (disk / "ballast").unlink()
        save_pair(goodnet, disk / "pair")
        assert open_goodnet([disk / "pair"]).b.labels == LABELS


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
def test_a_read_only_place_is_said_before_and_after_the_work(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=300k,ro") as disk:
        with pytest.raises(OutputError, match="Read-only file system"):
            check_writable(disk / "deep" / "out")
        with pytest.raises(OutputError, match="Read-only file system"), whole_folder(disk / "out"):
            raise AssertionError("not reached")
        with pytest.raises(OutputError, match="Read-only file system"), whole_file(disk / "a.csv"):
            raise AssertionError("not reached")


@pytest.mark.parametrize("what", ["parent", "temporary"])
def test_a_folder_that_is_deleted_meanwhile(what: str, tmp_path: Path) -> None:
    goodnet = small_pair()
    with pytest.raises(OutputError, match="can't be written"), whole_folder(tmp_path / "run" / "out") as temporary:
        shutil.rmtree(temporary if what == "temporary" else temporary.parent)
        goodnet.b.model.save(temporary / "b.keras")
    assert not list(tmp_path.rglob("*.partial"))


def test_what_a_killed_program_left_is_removed_by_the_next_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in (1, 2):
        (tmp_path / f".goodnet-{number:032x}.partial").mkdir()
    (tmp_path / f".goodnet-{3:032x}.partial").write_text("half a file")
    for name in (".goodnet-other", ".goodnet-cafe.partial"):
        (tmp_path / name).write_text("somebody's")
    with whole_folder(tmp_path / "young"):
        assert len(list(tmp_path.glob("*.partial"))) == 5  # nobody knows yet whether they are in use
    monkeypatch.setattr(saving, "_YOUNG_SECONDS", -1)
    with whole_folder(tmp_path / "long") as in_use, whole_file(tmp_path / "file") as also_in_use:
        with whole_folder(tmp_path / "quick"):
            pass
        assert in_use.is_dir() and also_in_use.is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".goodnet-cafe.partial", ".goodnet-other", "file", "long",
                                                          "quick", "young"], "names of another length aren't its own"


def test_two_windows_save_in_one_place_at_once(tmp_path: Path) -> None:
    """Each writes a version many times; whoever looks sees one of them whole."""
    wrong: list[object] = []

    def save(version: int) -> None:
        try:
            for _ in range(40):
                with whole_folder(tmp_path / "out") as folder:
                    for name in "abc":
                        (folder / name).write_text(str(version))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=save, args=(version,)) for version in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len({(tmp_path / "out" / name).read_text() for name in "abc"}) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_pair_that_was_moved_aside_when_the_program_was_killed_opens_under_its_name(tmp_path: Path) -> None:
    save_pair(small_pair(), tmp_path / "pair")
    (tmp_path / "pair").rename(saving._aside(tmp_path / "pair"))
    assert open_goodnet([tmp_path / "pair"]).notes["x"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["pair"]


def test_it_comes_back_even_when_the_next_saving_fails(tmp_path: Path) -> None:
    saving._aside(tmp_path / "pair").mkdir()
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "pair"):
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["pair"]


@pytest.mark.parametrize("swap", [True, False])
def test_a_link_to_a_folder_stays_a_link(swap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not swap:
        monkeypatch.setattr(saving, "_exchanged", lambda one, other: False)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    with whole_folder(tmp_path / "link") as folder:
        (folder / "a").write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "a").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


IMAGES, NUMBERS = random_images(300), np.arange(300) % LABELS


def _hdf5(folder: Path, images: Array = IMAGES) -> Path:
    return save_lab_file(folder / "d.h5", images, NUMBERS[:len(images)])


def _packed(folder: Path) -> Path:
    with h5py.File(folder / "d.h5", "w") as file:
        file.create_dataset("data", data=IMAGES, compression="gzip", chunks=(50, 12, 10, 3))
        file["label"] = NUMBERS
    return folder / "d.h5"


def _npz(folder: Path, images: Array = IMAGES) -> Path:
    np.savez(folder / "d.npz", data=images, label=NUMBERS[:len(images)])
    return folder / "d.npz"


def _folder(folder: Path) -> Path:
    for number in range(260):
        path = folder / "faces" / str(number % 7) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[number].astype(np.uint8)).save(path)
    return folder / "faces"


def _truncate(path: Path) -> None:
    for file in [path] if path.is_file() else sorted(path.rglob("*.png")):
        with file.open("r+b") as stream:
            stream.truncate(file.stat().st_size // 2)


def _replace(path: Path) -> None:
    for file in [path] if path.is_file() else sorted(path.rglob("*.png")):
        other = file.with_name("other")
        other.write_bytes(file.read_bytes())
        os.utime(other, ns=(1, 1))
        other.replace(file)


def _delete(path: Path) -> None:
    path.unlink() if path.is_file() else shutil.rmtree(path)


@pytest.mark.parametrize("meanwhile", [_truncate, _replace, _delete])
@pytest.mark.parametrize("write", [_hdf5, _packed, _npz, _folder])
def test_an_input_that_changes_while_it_is_read(
    write: Callable[[Path], Path], meanwhile: Callable[[Path], None], tmp_path: Path,
) -> None:
    dataset: Dataset = open_dataset(write(tmp_path), (12, 10, 3))
    chunks = dataset.chunks(64)
    next(chunks)
    meanwhile(dataset.path)
    with pytest.raises(DatasetError, match=r"changed or replaced|was removed|no such file|damaged"):
        list(chunks)


def test_a_run_whose_data_is_cut_off_leaves_the_old_result(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    test = tmp_path / "test.h5"
    test.write_bytes(small_lab.test.read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("old")
    record(tmp_path / "out")
    original = Dataset.chunks

    def chunks(self: Dataset, *args: object, **kwargs: object) -> object:
        if self.path == test:
            _truncate(test)
        return original(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Dataset, "chunks", chunks)
    arguments = ["prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(test)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == AT_FAULT
    assert "test.h5: was changed or replaced" in capsys.readouterr().err
    assert (tmp_path / "out" / "run.json").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "test.h5"]


NAMES = ["with spaces", "Umläute ÄÖÜß", "模型 数据", "l" * 250, "-dash", "%s {0} $HOME", "émoji 🙂", "dot."]


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str, small_lab: SmallLab, tmp_path: Path) -> None:
    """Models, data, pictures, pairs: everything under an odd name, in a folder of that name."""
    folder = tmp_path / name
    folder.mkdir()
    model, data = (folder / f"{name[:240]}{ending}" for ending in (".keras", ".h5"))
    shutil.copy(small_lab.badnet, model)
    shutil.copy(small_lab.clean, data)
    network = open_network(model)
    assert len(open_dataset(data, network.input_shape)) == 80
    pair = GoodNet(network, network.pruned("pruned", [1]), AS_STORED, {"x": 2})
    for _ in range(2):
        save_pair(pair, folder / name)
    assert open_goodnet([folder / name]).b_prime.labels == LABELS
    with whole_file(folder / f"{name[:240]}.csv") as temporary:
        temporary.write_text("x")
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("name", ["n" * 300, "名" * 100])
def test_names_that_are_too_long_end_in_a_sentence(name: str, tmp_path: Path) -> None:
    for attempt in (lambda: check_writable(tmp_path / name), lambda: open_network(tmp_path / name),
                    lambda: open_dataset(tmp_path / name), lambda: save_pair(small_pair(), tmp_path / name)):
        with pytest.raises(EngineError, match="too long"):
            attempt()
    assert not list(tmp_path.iterdir())
