"""Words made fit to be shown: what a screen or a spreadsheet would obey is spelled out."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Control and format characters (escape sequences, reversed writing), halves of characters, line and paragraph ends.
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# A cell that begins so is a formula to spreadsheets, or brings one into the next cell. Where semicolons or tabs part
# cells, quotes of one that isn't the first count for nothing, so a cell begins behind each and behind a line's end.
_FORMULA = re.compile("(?:^|(?<=[;\t\r\n]))(?=[^\\S\t\r\n]*[-=+@\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH EQUALS SIGN}"
                      "\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}])|^(?=[\t\r])")
_LONGEST_NAME = 40


def literal(text: str) -> str:
    """Text on one line, in which what a screen would obey or hide is spelled out, such as \\x1b."""
    return "".join(c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _NOT_SHOWN else c
                   for c in text)


def csv_cell(value: Any) -> Any:
    """A value for a CSV table: text, or a part of it, that a spreadsheet would compute gets an apostrophe before it;
    numbers stay."""
    if not isinstance(value, str):
        return value
    return _FORMULA.sub("'", value.encode("utf-8", "backslashreplace").decode())


def unbroken(text: str) -> str:
    """A sentence in which no line ends between a number and its per cent sign."""
    return text.replace(" %", "\u00a0%")


def short_name(name: str) -> str:
    """A file's name for a sentence, without its middle where it is long: names of one kind differ at both ends."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half - 1]}…{name[-half:]}"
