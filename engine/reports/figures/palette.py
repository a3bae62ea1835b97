"""The colours of figures, apart from what draws them: importing this loads no matplotlib."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours of a figure, #rrggbb; sets are told apart by line style as well."""

    ground: str
    text: str
    muted: str
    grid: str
    clean: str
    attack: tuple[str, ...]


PRINT = Palette(ground="#ffffff", text="#1b1f24", muted="#57606a", grid="#d0d7de", clean="#0072b2",
                attack=("#c04a00", "#9a4a80", "#8a6100", "#1f78a8"))
