"""Which runs are one and the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gui.session.belonging import identity
from tests.support.runs import made_up_run


def test_a_copy_of_a_model_whose_run_took_as_long_is_a_run_of_its_own() -> None:
    run = made_up_run()
    copied = dataclasses.replace(run, model=dataclasses.replace(run.model, path=Path("copy.keras")))
    elsewhere = Path("/elsewhere") / run.model.path.name
    moved = dataclasses.replace(run, model=dataclasses.replace(run.model, path=elsewhere))
    assert identity(run) != identity(copied) and identity(run) == identity(moved)
