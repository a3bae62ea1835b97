"""Where the tests find real data."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
LAB3 = PROJECT.parent / "shared" / "lab3"


@pytest.fixture(scope="session")
def lab3() -> Path:
    """The folder of the lab's real BadNet and faces; skips where it is absent."""
    if not (LAB3 / "bd_weights.h5").is_file():
        pytest.skip("the lab's real files aren't at ../shared/lab3")
    return LAB3
