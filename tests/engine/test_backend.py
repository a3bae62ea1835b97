"""TensorFlow is loaded without keeping Python from everybody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import PROJECT

MAPPED = """
import sys
from pathlib import Path
from engine import backend
backend._map_libraries()
print("tensorflow" in sys.modules, "libtensorflow_cc" in Path("/proc/self/maps").read_text())
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux shows what is mapped")
def test_the_libraries_are_there_before_python_imports_them() -> None:
    done = subprocess.run([sys.executable, "-c", MAPPED], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


PYPLOT = """
import sys
from engine import backend
backend.load()
print("matplotlib.pyplot" in sys.modules)
import matplotlib.pyplot
print(matplotlib.pyplot.figure().number)
"""


def test_keras_goes_without_pyplot_and_others_have_it() -> None:
    done = subprocess.run([sys.executable, "-c", PYPLOT], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "1"]


COLLECTED = """
import gc
from engine import backend
runs = []
gc.callbacks.append(lambda phase, of: runs.append(phase))
del runs[:]
backend.load()
print(len(runs), gc.isenabled(), gc.get_freeze_count() > 100_000)
gc.disable()
backend.load()
print(gc.isenabled())
"""


def test_no_garbage_is_collected_while_it_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", COLLECTED], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "True", "False"]


def test_loading_is_quiet() -> None:
    done = subprocess.run([sys.executable, "-c", "from engine import backend; print(backend.device()[:3])"],
                          cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("CPU", "GPU") and done.stderr == ""
