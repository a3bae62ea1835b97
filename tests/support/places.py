"""Where the project and the lab's real files are."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
LAB3 = PROJECT.parent / "shared" / "lab3"
