"""Which folders may be replaced: only those in which this program wrote everything."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import OutputError
from engine.files import saving
from engine.files.manifest import first_changed, first_foreign, record
from engine.files.saving import check_writable, is_left_behind, recover, remove_own, whole_file, whole_folder

POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes")


def write(folder: Path, text: str = "old", inputs: tuple[Path, ...] = ()) -> None:
    with whole_folder(folder, inputs) as temporary:
        (temporary / "a.txt").write_text(text)
        (temporary / "pair").mkdir()
        (temporary / "pair" / "b.txt").write_text(text)


def test_each_folder_names_its_files_with_their_hashes(tmp_path: Path) -> None:
    write(tmp_path / "out")
    for folder, name in ((tmp_path / "out", "a.txt"), (tmp_path / "out" / "pair", "b.txt")):
        assert json.loads((folder / "manifest.json").read_text())["files"] == {
            name: hashlib.sha256(b"old").hexdigest()}
    assert first_foreign(tmp_path / "out") is None


def _add(out: Path) -> None:
    (out / "pair" / "mine.doc").write_text("mine")


def _edit(out: Path) -> None:
    (out / "a.txt").write_text("new")


def _add_folder(out: Path) -> None:
    (out / "empty").mkdir()


def _add_tree(out: Path) -> None:
    (out / "d" / "e" / "f").mkdir(parents=True)


def _add_result(out: Path) -> None:
    write(out / "examined")


def _lose_manifest(out: Path) -> None:
    (out / "pair" / "manifest.json").unlink()


def _somebodys_manifest(out: Path) -> None:
    (out / "manifest.json").write_text('{"name": "a web page", "files": {"a.txt": ""}}')


def _link(out: Path) -> None:
    (out / "a.txt").rename(out.parent / "elsewhere.txt")
    (out / "a.txt").symlink_to(out.parent / "elsewhere.txt")


def _link_to_folder(out: Path) -> None:
    (out / "pair").rename(out.parent / "elsewhere")
    (out / "pair").symlink_to(out.parent / "elsewhere", target_is_directory=True)


def _pipe(out: Path) -> None:
    (out / "a.txt").unlink()
    os.mkfifo(out / "a.txt")


@POSIX
@pytest.mark.parametrize(("change", "name"), [
    (_add, "pair/mine.doc"), (_edit, "a.txt"), (_add_folder, "empty"), (_add_tree, "d"), (_add_result, "examined"),
    (_lose_manifest, "pair"), (_somebodys_manifest, "a.txt"), (_link, "a.txt"), (_link_to_folder, "pair"),
    (_pipe, "a.txt")])
def test_what_isnt_recorded_is_kept_and_named(change: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    change(out)
    before = sorted(out.iterdir())
    with pytest.raises(OutputError, match=f"out: holds {name}, which this program didn't write"):
        write(out, "new")
    remove_own(out)
    assert sorted(out.iterdir()) == before
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_folder_of_version_0_1_0_without_manifests_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "out")
    for manifest in (tmp_path / "out").rglob("manifest.json"):
        manifest.unlink()
    with pytest.raises(OutputError, match=r"a\.txt"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "a.txt").read_text() == "old"


def test_finished_results_in_a_folder_of_a_person_s_are_kept(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write(tmp_path / "runs" / name)
    with pytest.raises(OutputError, match="first"):
        write(tmp_path / "runs")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"first", "second"}
    write(tmp_path / "runs" / "first", "new")
    assert (tmp_path / "runs" / "first" / "a.txt").read_text() == "new"


def test_a_result_of_a_version_that_recorded_no_folders_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(json.dumps({k: v for k, v in json.loads(manifest.read_text()).items() if k != "folders"}))
    write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "a.txt").read_text() == "new"


@pytest.mark.parametrize("named", [
    lambda p: p / "out" / "pair" / "b.txt", lambda p: p / "out", lambda p: p / "link.txt",
    lambda p: p / "out" / "x" / ".." / "a.txt"])
def test_an_input_that_lies_inside_is_kept(named: Callable[[Path], Path], tmp_path: Path) -> None:
    write(tmp_path / "out")
    (tmp_path / "link.txt").symlink_to(tmp_path / "out" / "a.txt")
    with pytest.raises(OutputError, match="which results are made from"):
        write(tmp_path / "out", "new", (tmp_path / "elsewhere.txt", named(tmp_path)))
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    gone = tmp_path / "out" / "gone.txt"
    write(tmp_path / "out", "new", (tmp_path / "elsewhere.txt", gone))
    assert (tmp_path / "out" / "a.txt").read_text() == "new"


def test_an_input_that_nobody_can_look_at_keeps_only_the_folder_that_it_lies_in(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a share that is gone."""
    exists = Path.exists

    def gone(path: Path, **how: bool) -> bool:
        if path.name == "gone.txt":
            raise PermissionError(13, "Permission denied")
        return exists(path, **how)

    monkeypatch.setattr(Path, "exists", gone)
    write(tmp_path / "out")
    write(tmp_path / "out", "new", (tmp_path / "share" / "gone.txt",))
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    with pytest.raises(OutputError, match="which results are made from"):
        write(tmp_path / "out", "newer", (tmp_path / "out" / "gone.txt",))


@pytest.mark.parametrize("swap", [True, False])
def test_what_is_put_there_at_the_last_moment_is_kept(
    swap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the last look and the exchange of names."""
    write(tmp_path / "out")
    take_place = saving._take_place

    def late(temporary: Path, target: Path) -> None:
        (target / "late.doc").write_text("mine")
        take_place(temporary, target)

    monkeypatch.setattr(saving, "_take_place", late)
    if not swap:
        monkeypatch.setattr(saving, "_exchanged", lambda one, other: False)
    with pytest.raises(OutputError, match=r"late\.doc"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "late.doc").read_text() == "mine" and (tmp_path / "out" / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_somebodys_folder_with_the_name_of_an_old_one_stays(tmp_path: Path) -> None:
    aside = saving._aside(tmp_path / "out")
    aside.mkdir()
    (aside / "mine.doc").write_text("mine")
    (tmp_path / "out").mkdir()
    write(tmp_path / "out")
    assert (aside / "mine.doc").read_text() == "mine"


@pytest.mark.parametrize("look", [check_writable, recover])
def test_and_isn_t_brought_back_where_there_is_none(look: Callable[[Path], None], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    aside = out.rename(saving._aside(out))
    (aside / "mine.doc").write_text("mine")
    look(out)
    assert (aside / "mine.doc").read_text() == "mine" and not out.exists()
    (aside / "mine.doc").unlink()
    look(out)
    assert (out / "a.txt").read_text() == "old" and not aside.exists()


def test_a_folder_whose_contents_are_recorded_is_removed(tmp_path: Path) -> None:
    write(tmp_path / "out")
    remove_own(tmp_path / "out")
    assert not list(tmp_path.iterdir())


@POSIX
def test_a_file_never_takes_the_place_of_a_pipe_or_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OutputError, match="isn't replaced"), whole_file(tmp_path / name):
            raise AssertionError("not reached")
    assert (tmp_path / "pipe").is_fifo()


@POSIX
@pytest.mark.timeout(60)
def test_a_pipe_or_link_named_as_a_temporary_is_left_alone(tmp_path: Path) -> None:
    names = [tmp_path / f".goodnet-{number:032x}.partial" for number in range(4)]
    os.mkfifo(names[0])
    names[1].symlink_to(names[0])
    names[2].mkdir()
    names[3].touch()
    for name in (names[0], *names[2:]):
        os.utime(name, (1, 1))
    with whole_file(tmp_path / "a") as temporary:
        temporary.touch()
    assert sorted(tmp_path.iterdir()) == sorted([*names[:2], tmp_path / "a"])
    with pytest.raises(OSError, match="symbolic links"):
        is_left_behind(names[1])


def test_recording_is_of_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    record(tmp_path)
    assert first_foreign(tmp_path) is None
    (tmp_path / "a").write_text("2")
    assert first_foreign(tmp_path) == tmp_path / "a"


def test_a_file_larger_than_any_result_is_a_person_s_and_isn_t_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be all hole, and have terabytes."""
    (tmp_path / "a").write_text("12")
    record(tmp_path)
    assert first_foreign(tmp_path) is first_changed(tmp_path, ["a"]) is None
    monkeypatch.setattr("engine.files.manifest._MOST_RECORDED_BYTES", 1)
    monkeypatch.setattr("engine.files.manifest.sha256_of", lambda *_: pytest.fail("read"))
    assert first_foreign(tmp_path) == first_changed(tmp_path, ["a"]) == tmp_path / "a"
