"""What a path is said to be that can't even be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gui.session.recognition import look_at, sets_in
from tests.support.locked import locked_folder

LONG = "a" * 300


@pytest.mark.parametrize("name", [LONG, f"{LONG}.json", f"{LONG}.h5"])
def test_a_name_that_is_too_long_is_told(name: str, tmp_path: Path) -> None:
    found = look_at(tmp_path / name)
    assert found.kind is None and LONG in str(found.error)
    assert sets_in(tmp_path / name) == [tmp_path / name]


@pytest.mark.parametrize("inside", ["", "pair", "a.txt"])
def test_a_folder_that_may_not_be_entered_is_told(
    inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = look_at(locked_folder(tmp_path / "locked", monkeypatch) / inside)
    assert found.kind is None and "locked" in str(found.error)


def test_what_defend_saved_is_a_goodnet_though_pictures_lie_beside_it(tmp_path: Path) -> None:
    for name in ("goodnet", "examination"):
        (tmp_path / name).mkdir()
    (tmp_path / "goodnet" / "b_prime.keras").touch()
    Image.new("RGB", (4, 4)).save(tmp_path / "examination" / "stamp_0.png")
    assert look_at(tmp_path).kind == "goodnet"
