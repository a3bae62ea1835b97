"""misread: which clean images a network gets wrong."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from engine.cli.options import add_inputs, add_json, input_files
from engine.cli.printing import say, say_json, say_table, to_standard_output
from engine.cli.progress_line import ProgressLine
from engine.data.classes import called, name_of
from engine.literal import csv_cell
from engine.looking.misread import Misread, find_misread
from engine.records.run_files import rate_json
from engine.runs.inputs import open_inputs

SUMMARY = "list the clean images that a network answers with another label than theirs"

_FIELDS = ("image", "file", "label", "label_name", "answer", "answer_name")
_SHOWN = 50


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL --clean VALID [--preprocess NAME] [--classes FILE] [--json | --csv]"""
    add_inputs(parser, measured=False)
    shape = parser.add_mutually_exclusive_group()
    add_json(shape)
    shape.add_argument("--csv", action="store_true", help="print a CSV table with one row an image")


def run(options: argparse.Namespace) -> None:
    """Print which clean images a network gets wrong."""
    with ProgressLine() as show:
        opened = open_inputs(input_files(options), progress=show)
        found = find_misread(opened.network, opened.of("validation")[0], progress=show)
    names = opened.labelling.classes
    doubts = [*opened.notices, *filter(None, [found.doubt])]
    if options.json:
        say_json({"name": found.name, "images": found.wrong.total, **rate_json("misread", found.wrong),
                  "preprocess": opened.preprocessing.name, "wrong": list(_rows(found, names)), "warnings": doubts})
    elif options.csv:
        writer = csv.DictWriter(sys.stdout, _FIELDS)
        with to_standard_output():
            writer.writeheader()
            writer.writerows({key: csv_cell(cell) for key, cell in row.items()} for row in _rows(found, names))
    else:
        _say(found, names, doubts)


def _say(found: Misread, names: Sequence[str], doubts: list[str]) -> None:
    for doubt in doubts:
        say(f"Warning: {doubt}", style="yellow")
    rows = [[str(row["image"]), *([row["file"]] if found.files else []), called(row["label"], names),
             called(row["answer"], names)] for row in _rows(found, names)]
    say_table(["image", *(["file"] if found.files else []), "its label", "B says"], rows[:_SHOWN], left=4)
    if len(rows) > _SHOWN:
        say(f"and {len(rows) - _SHOWN:,} more, which --csv and --json list")
    say(found.sentence)


def _rows(found: Misread, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for i, number in enumerate(found.numbers.tolist()):
        label, answer = int(found.labels[i]), int(found.answers[i])
        yield {"image": number, "file": str(found.files[i]) if found.files else None, "label": label,
               "label_name": name_of(label, names), "answer": answer, "answer_name": name_of(answer, names)}
