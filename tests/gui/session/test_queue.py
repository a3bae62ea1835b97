"""The engine is loaded without stopping the window."""

from __future__ import annotations

import subprocess
import sys

from tests.support.places import PROJECT

COLLECTED = """
import gc
from gui.session.queue import load_engine
full = []
gc.callbacks.append(lambda phase, of: full.append(phase) if of["generation"] == 2 else None)
print(load_engine(None), len(full), gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


def test_no_garbage_is_collected_while_the_engine_loads() -> None:
    done = subprocess.run([sys.executable, "-c", COLLECTED], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-3:] == ["0", "True", "True"]
