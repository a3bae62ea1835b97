"""What is saved is on the disk before it takes the place of what was there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.files import saving
from engine.files.saving import whole_file, whole_folder


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inode of each file or folder that the system was told to write, in that order."""
    found: list[int] = []
    really = os.fsync

    def note(descriptor: int) -> None:
        found.append(os.fstat(descriptor).st_ino)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_a_file_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, flushed: list[int], monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, replace = tmp_path / "mine.goodnet", Path.replace
    target.write_text("before", encoding="utf-8")

    def checked(path: Path, to: Path) -> Path:
        assert flushed == [path.stat().st_ino]
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", checked)
    with whole_file(target) as temporary:
        temporary.write_text("after", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "after"
    assert flushed[1:] == ([tmp_path.stat().st_ino] if os.name != "nt" else [])
    flushed.clear()
    monkeypatch.undo()
    with whole_file(target, lasting=False) as temporary:
        temporary.write_text("a picture", encoding="utf-8")
    assert not flushed


@pytest.mark.skipif(os.name == "nt", reason="folders aren't flushed there")
@pytest.mark.parametrize("again", [False, True])
def test_all_of_a_folder_is_on_the_disk_before_the_one_before_goes(
    again: bool, tmp_path: Path, flushed: list[int],
) -> None:
    target = tmp_path / "run"
    for content in ("first", "second")[:1 + again]:
        flushed.clear()
        with whole_folder(target) as temporary:
            (temporary / "pair").mkdir()
            (temporary / "pair" / "b.keras").write_text(content, encoding="utf-8")
            (temporary / "run.json").write_text(content, encoding="utf-8")
    inside = [path.stat().st_ino for path in (*target.rglob("*"), target)]
    assert len(inside) >= 6, "with manifests"
    assert flushed[-1] == tmp_path.stat().st_ino and set(inside) == set(flushed[:-1])


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "kept" / "mine.goodnet", tmp_path / "mine.goodnet"
    real.parent.mkdir()
    real.write_text("before", encoding="utf-8")
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("links can't be made here")
    with whole_file(link) as temporary:
        temporary.write_text("after", encoding="utf-8")
    assert link.is_symlink() and real.read_text(encoding="utf-8") == "after"


@pytest.mark.parametrize("swapped", [True, False])
def test_ctrl_c_in_the_middle_leaves_the_folder_that_was_there(
    swapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even one into which somebody put a file meanwhile, which is found only then."""
    target = tmp_path / "run"
    with whole_folder(target) as temporary:
        (temporary / "run.json").write_text("first", encoding="utf-8")
    if not swapped:
        monkeypatch.setattr(saving, "_exchanged", lambda *_: False)
    looked, first_foreign = list[Path](), saving.manifest.first_foreign

    def interrupted(folder: Path) -> Path | None:
        looked.append(folder)
        if len(looked) < 3:  # twice before anything is moved
            return first_foreign(folder)
        (folder / "mine.txt").write_text("mine", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(saving.manifest, "first_foreign", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_folder(target) as temporary:
        (temporary / "run.json").write_text("second", encoding="utf-8")
    assert (target / "run.json").read_text(encoding="utf-8") == "first"
    assert (target / "mine.txt").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
