"""Rates and labels as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from PySide6.QtGui import Qt

from engine.data.classes import other_name_of
from engine.literal import literal
from engine.rates import Rate

_LONGEST_NAME = 40


def rate_text(rate: Rate | None) -> str:
    """Such as "39.44 %"; a dash when nothing is known."""
    return "–" if rate is None or math.isnan(rate.value) else f"{100 * rate.value:.2f} %"


def interval_text(rate: Rate | None) -> str:
    """The 95 % interval in per cent, such as "32.6–46.7"; empty when nothing is known."""
    if rate is None or not rate.total:
        return ""
    low, high = rate.interval
    return f"{100 * low:.1f}–{100 * high:.1f}"


def label_text(label: int, names: Sequence[str]) -> str:
    """A label with its name, where there is one besides its number: "17 Mina"."""
    name = other_name_of(label, names)
    return str(label) if name is None else f"{label} {literal(name)}"


def label_and_name(label: int, names: Sequence[str]) -> str:
    """A label with its name in brackets, where there is one besides its number, for a sentence: "17 (Mina)".

    Long names are cut.
    """
    name = other_name_of(label, names)
    if name is None:
        return str(label)
    name = literal(name)
    return f"{label} ({name if len(name) <= _LONGEST_NAME else f'{name[:_LONGEST_NAME - 1]}…'})"


def plain(text: str) -> str:
    """Words as they are, with what a screen would obey or hide spelled out; line ends are the program's own."""
    return "\n".join(map(literal, text.split("\n")))


def as_tip(text: str) -> str:
    """A tooltip that shows its text as it is, even where a file's name in it looks like markup."""
    text = plain(text)
    if not Qt.mightBeRichText(text):
        return text
    return f"<span>{escape(text, quote=False)}</span>".replace("\n", "<br>")  # which is markup for certain


def waiting(empty: str, then: str) -> str:
    """What an empty view says while something runs, in place of what to press.

    Args:
        empty: what it says else, whose first paragraph tells that there is nothing; then: what comes afterwards.
    """
    nothing, _, _ = empty.partition("\n")
    return f"{nothing}\n\nWait for what is running; how far it is stands at the lower left. {then}"
