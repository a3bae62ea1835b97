"""Words as screens and spreadsheets are given them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from engine.defences.comparison import Comparison
from engine.errors import DatasetError, EngineError
from engine.literal import csv_cell, literal
from engine.records.tables import write_comparison_csv
from tests.support.comparisons import row


@pytest.mark.parametrize(("text", "shown"), [
    ("\x1b[31mred", "\\x1b[31mred"), ("a\nb\r\tc", "a\\nb\\r\\tc"), ("\u202eabc", "\\u202eabc"), ("\ud800", "\\ud800"),
    ("\u200b\ufeff\u2028", "\\u200b\\ufeff\\u2028"), ("<b> ü 模型 🙂 %", "<b> ü 模型 🙂 %"), ("\x9b1m", "\\x9b1m")])
def test_what_a_screen_would_obey_is_spelled_out(text: str, shown: str) -> None:
    assert literal(text) == shown
    for kind in (EngineError, DatasetError):
        assert str(kind(f"{text}: can't be read.")) == f"{shown}: can't be read."


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x.png", "@SUM(A1)"])
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(("text", "cell"), [
    ("x;=HYPERLINK(1).png", "x;'=HYPERLINK(1).png"), ("a\t +1; \t@x", "a\t' +1; \t'@x"), (" -1", "' -1"),
    ("\t=1", "'\t'=1"), ("\r=1", "'\r'=1"), ("\tx", "'\tx"),
    ("two\nlines\r\n=1", "two\nlines\r\n'=1"), ("\uff1d1+1", "'\uff1d1+1"), ("x;\uff0d1", "x;'\uff0d1")])
def test_what_would_be_computed_where_other_signs_part_cells_is_text(text: str, cell: str) -> None:
    """In languages with decimal commas Excel parts cells at semicolons, and quotes in mid-line count for nothing."""
    assert csv_cell(text) == cell


@pytest.mark.parametrize("value", [-1, -0.5, 1e-9, True, None, "", "a=b", "0 Anna", "B'", "pruned, X = 30", "a; b=c-d"])
def test_numbers_and_words_stay(value: object) -> None:
    assert csv_cell(value) is value or csv_cell(value) == value


def test_halves_of_characters_can_be_written() -> None:
    csv_cell("\ud800\udcff").encode()
    assert csv_cell("p\udcfe.png") != csv_cell("p\udcff.png"), "two files are two"


def test_a_table_of_defences_holds_no_formula(tmp_path: Path) -> None:
    evil = row("=HYPERLINK(1)", "@none", 40, None, seconds=-0.5)
    write_comparison_csv(Comparison((evil,)), tmp_path / "t.csv")
    cells = list(csv.reader(io.StringIO((tmp_path / "t.csv").read_text(encoding="utf-8"))))[1]
    assert cells[:2] == ["'=HYPERLINK(1)", "'@none"] and cells[2] == "0.5" and "-0.5" in cells
