"""How results reach standard output: as JSON, as lines, and as tables that fit the terminal.

Text from files is printed literally: nothing in it is markup, and control characters are shown instead of obeyed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from engine.literal import literal
from engine.rates import Rate

if TYPE_CHECKING:
    from rich.console import Console

# A file or a pipe doesn't wrap lines, so nothing is wrapped for it.
_UNBOUNDED = 1 << 20
# Words can be read in a column of so many letters.
_FOLDED = 8


def say(text: str = "", style: str = "") -> None:
    """Print one line, whole at any width of the terminal.

    Args:
        style: a colour of rich's, for terminals that show colours.
    """
    if not style:
        print(literal(text))
        return
    from rich.text import Text
    _console().print(Text(literal(text), style), soft_wrap=True)


def complain(text: str) -> None:
    """Print one line on standard error, headed with the program's name."""
    print(f"goodnet: {literal(text)}", file=sys.stderr)


def say_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> None:
    """Print a table: words fold where the terminal is narrow; in a file or a pipe each row is one line.

    Args:
        left: how many columns, from the first, hold words; the others hold figures and are set flush right.
    """
    from rich.table import Table
    from rich.text import Text
    table, rows, console = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0)), list(rows), _console()
    least = [max(len(word) for cell in column for word in cell.split(" ")) if number >= left else _FOLDED
             for number, column in enumerate(zip(headings, *rows, strict=True))]
    if console.width < sum(least) + 2 * len(least):
        console.width = _UNBOUNDED  # the terminal's own wrapping keeps what rich would cut off
    for number, heading in enumerate(headings):
        table.add_column(Text(heading, "bold"), justify="left" if number < left else "right", overflow="fold",
                         min_width=None if number < left else least[number])
    for row in rows:
        table.add_row(*(Text(literal(cell)) for cell in row))
    console.print(table)


def say_json(value: Any) -> None:
    """Print a value as JSON for scripts."""
    print(json.dumps(value, indent=1))


def rate_text(rate: Rate | None) -> str:
    """A rate as per cent with its 95 % interval, a dash where there is none."""
    if rate is None:
        return "-"
    low, high = rate.interval
    return f"{100 * rate.value:.2f} % [{100 * low:.1f}-{100 * high:.1f}]"


def _console() -> Console:
    from rich.console import Console
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _UNBOUNDED, markup=False, highlight=False)
