"""Too little memory for TensorFlow is a sentence, before its import would end the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine import backend, memory
from engine.errors import EngineError
from tests.support.places import PROJECT

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))
from engine.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_under_a_limit_of_memory_the_command_line_says_so() -> None:
    sample = PROJECT / "data" / "sample"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "scan", sample / "badnet.keras", "--clean", sample / "clean_validation.h5"],
        cwd=PROJECT, capture_output=True, text=True, check=False, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 1 and "TensorFlow needs 1,400 MB of memory to start" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("which", ["free_memory", "free_addresses"])
def test_what_is_free_is_said(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "is_loaded", lambda: False)
    monkeypatch.setattr(memory, which, lambda: 300 << 20)
    with pytest.raises(EngineError, match=r"300 MB are free. Close other programs"):
        backend.load()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_the_system_says_how_much_is_free() -> None:
    found = memory.free_memory()
    assert found is not None and 0 < found < 1 << 50
