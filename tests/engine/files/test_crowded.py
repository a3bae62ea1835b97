"""Folders of millions of things are listed one after the other, and no further than a person could mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.data.sources import listings
from engine.data.sources.listings import labelled_pictures, sub_folders
from engine.errors import DatasetError
from engine.files import manifest, pictures
from engine.files.pictures import has_pictures, pictures_in
from engine.files.saving import named_so, whole_folder
from engine.goodnets import checking
from engine.goodnets.checking import list_pictures
from gui.session.recognition import look_at

LIMIT = 20


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pictures, listings, checking):
        monkeypatch.setattr(module, "MOST_ENTRIES", LIMIT)


def crowd(folder: Path, count: int, name: str = "{}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / name.format(number)).write_bytes(b"")
    return folder


def crowd_of_folders(folder: Path, count: int) -> Path:
    for number in range(count):
        (folder / f"{number:03}").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("look", [pictures_in, sub_folders, labelled_pictures, lambda path: list_pictures([path])])
@pytest.mark.parametrize("fill", [crowd, crowd_of_folders])
def test_a_crowded_folder_is_a_sentence(
    fill: Callable[[Path, int], Path], look: Callable[[Path], object], tmp_path: Path,
) -> None:
    folder = fill(tmp_path / "crowd", LIMIT + 1)
    with pytest.raises(DatasetError, match=r"crowd: holds more than 20 files and folders, .*folder of their own\."):
        look(folder)


def test_so_is_one_dropped_on_the_window(tmp_path: Path) -> None:
    found = look_at(crowd(tmp_path / "crowd", LIMIT + 1, "{}.txt"))
    assert found.kind is None and "holds more than 20" in str(found.error)


def test_so_are_many_folders_with_few_pictures_each(tmp_path: Path) -> None:
    for label in range(3):
        crowd(tmp_path / "set" / str(label), 8)
    with pytest.raises(DatasetError, match=r"set: holds more than 20 pictures"):
        labelled_pictures(tmp_path / "set")
    for label in range(3):
        crowd_of_folders(tmp_path / "deep" / str(label), 8)
    with pytest.raises(DatasetError, match=r"deep: has more than 20 folders inside"):
        list_pictures([tmp_path / "deep"])


def test_what_fits_is_listed_as_before(tmp_path: Path) -> None:
    folder = crowd(tmp_path / "set" / "b", LIMIT)
    crowd(tmp_path / "set" / "a" / "deep", 2)
    (tmp_path / "set" / "c").symlink_to(folder, target_is_directory=True)
    (folder / "0.png").rename(folder / ".hidden.png")
    names = sorted(f"{number}.png" for number in range(1, LIMIT))
    assert [path.name for path in pictures_in(folder)] == names and has_pictures(folder)
    assert sub_folders(tmp_path / "set") == ("a", "b", "c")
    assert [path.relative_to(tmp_path / "set").as_posix() for path in list_pictures([tmp_path / "set"])] == [
        "a/deep/0.png", "a/deep/1.png", *(f"b/{name}" for name in names), *(f"c/{name}" for name in names)]


def test_a_folder_without_end_is_left_after_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lists it whole never comes back."""
    (entry,) = os.scandir(crowd(tmp_path / "crowd", 1))
    seen = 0

    @contextmanager
    def endless(_: object) -> Iterator[Iterator[os.DirEntry[str]]]:
        def again() -> Iterator[os.DirEntry[str]]:
            nonlocal seen
            while True:
                seen += 1
                assert seen < 10 * LIMIT
                yield entry
        yield again()

    monkeypatch.setattr(os, "scandir", endless)
    with pytest.raises(DatasetError, match="holds more than 20"):
        pictures_in(tmp_path / "crowd")
    seen = 0
    assert has_pictures(tmp_path / "crowd") and seen == 1


def test_a_result_of_thousands_of_files_is_nobody_s_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_MOST_ENTRIES", LIMIT)
    with whole_folder(tmp_path / "out") as folder:
        crowd(folder, LIMIT - 1)
    assert manifest.first_foreign(tmp_path / "out") is None
    with whole_folder(tmp_path / "more") as folder:
        crowd(folder, LIMIT)
    assert manifest.first_foreign(tmp_path / "more") == tmp_path / "more" / "0.png"


def test_names_are_sought_in_a_folder_that_is_there_or_not(tmp_path: Path) -> None:
    crowd(tmp_path, 3)
    (path, match), *others = named_so(tmp_path, re.compile(r"(1)\.png"))
    assert path == tmp_path / "1.png" and match[1] == "1" and not others
    assert named_so(tmp_path / "nowhere", re.compile(".*")) == []
