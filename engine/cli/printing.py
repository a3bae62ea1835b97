"""How results reach standard output: as JSON, as lines, and as tables that fit the terminal.

Text from files is printed literally: nothing in it is markup, and control characters are shown instead of obeyed.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.errors import OutputError
from engine.literal import csv_cell, literal

if TYPE_CHECKING:
    from rich.console import Console

    from engine.rates import Rate

# A file or a pipe doesn't wrap lines, so nothing is wrapped for it.
_UNBOUNDED = 1 << 20
# Words can be read in a column of so many letters.
_FOLDED = 8


@contextmanager
def to_standard_output() -> Iterator[None]:
    """Around whatever prints results.

    Raises:
        OutputError: they can't be written, as on a full disk.
        BrokenPipeError: whoever read them left.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # what is held back would be tried again at exit
        raise OutputError(f"standard output: the result can't be written ({error.strerror or error}). Send it to a "
                          "place with room.") from error


def say(text: str = "", style: str = "") -> None:
    """Print one line, whole at any width of the terminal.

    Args:
        style: a colour of rich's, for terminals that show colours.
    """
    if not style:
        _print(literal(text))
        return
    from rich.text import Text
    with to_standard_output():
        _console().print(Text(literal(text), style), soft_wrap=True)


def warn(sentence: str) -> None:
    """Print what is doubtful about a result, among the results."""
    say(f"Warning: {sentence}", "yellow")


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
    table, console = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0)), _console()
    headings, *rows = ([literal(cell) for cell in row] for row in (headings, *rows))
    least = [max(len(word) for cell in column for word in cell.split(" ")) if number >= left else _FOLDED
             for number, column in enumerate(zip(headings, *rows, strict=True))]
    if console.width < sum(least) + 2 * len(least):
        console.width = _UNBOUNDED  # the terminal's own wrapping keeps what rich would cut off
    for number, heading in enumerate(headings):
        table.add_column(Text(heading, "bold"), justify="left" if number < left else "right", overflow="fold",
                         min_width=None if number < left else least[number])
    for row in rows:
        table.add_row(*map(Text, row))
    with to_standard_output():
        console.print(table)


def say_json(value: Any) -> None:
    """Print a value as JSON for scripts."""
    _print(json.dumps(value, indent=1, allow_nan=False))


def say_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as CSV for scripts and spreadsheets; what a row has besides these fields is left out."""
    shown = sys.stdout.isatty()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(newline="")  # a row brings its own end, which Windows' output would lengthen
        if not shown:  # names of files that a code page lacks would be no file's, and scripts read UTF-8
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    writer = csv.DictWriter(sys.stdout, fields, extrasaction="ignore")

    def cell_of(value: Any) -> Any:
        cell = csv_cell(value)
        return literal(cell) if shown and isinstance(cell, str) else cell  # a terminal obeys, a file or script doesn't

    with to_standard_output():
        writer.writeheader()
        writer.writerows({key: cell_of(cell) for key, cell in row.items()} for row in rows)


def end_output() -> None:
    """Hand on what Python holds back of standard output, while there is somebody to tell that it can't be written."""
    with to_standard_output():
        print(end="", flush=True)


def rate_text(rate: Rate | None) -> str:
    """A rate as per cent with its 95 % interval, a dash where there is none."""
    if rate is None:
        return "-"
    low, high = rate.interval
    return f"{100 * rate.value:.2f} % [{100 * low:.1f}-{100 * high:.1f}]"


def _print(text: str) -> None:
    with to_standard_output():
        print(text)


def _console() -> Console:
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # which ends every command alike; rich would leave with exit status 1

    return Ours(file=sys.stdout, width=None if sys.stdout.isatty() else _UNBOUNDED, markup=False, highlight=False)
