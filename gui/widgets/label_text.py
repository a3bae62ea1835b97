"""Labels as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def label_text(label: int, names: Sequence[str]) -> str:
    """A label with its name, where there is one: "17 Mina"."""
    return f"{label} {names[label]}" if label < len(names) else str(label)
