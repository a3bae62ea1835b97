"""Words from a file made fit to be shown: what a screen or a spreadsheet would obey is spelled out."""

from __future__ import annotations

import unicodedata
from typing import Any

# Control and format characters (escape sequences, reversed writing), halves of characters, line and paragraph ends.
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# A cell that begins so is a formula to spreadsheets, or brings one into the next cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def literal(text: str) -> str:
    """Text on one line, in which what a screen would obey or hide is spelled out, such as \\x1b."""
    return "".join(c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _NOT_SHOWN else c
                   for c in text)


def csv_cell(value: Any) -> Any:
    """A value for a CSV table: text that a spreadsheet would compute gets an apostrophe before it; numbers stay."""
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode()
    return f"'{text}" if text.startswith(_FORMULA) else text
