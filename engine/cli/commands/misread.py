"""misread: which clean images a network gets wrong, and which of them strike a guard."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.cli.options import add_inputs, add_json, input_files
from engine.cli.printing import say, say_csv, say_json, say_table, warn
from engine.cli.progress_line import ProgressLine
from engine.data.classes import called, name_of
from engine.data.datasets import Dataset
from engine.guards.calibration import MOST_CALIBRATION_IMAGES, MOST_HELD_BACK_IMAGES, Guard, calibrate
from engine.looking.misread import Misread, files_of, find_misread
from engine.records.json_of import rate_json
from engine.runs.opening.inputs import open_inputs

SUMMARY = "list the clean images that a network answers with another label than theirs"

_FIELDS = ("image", "file", "label", "label_name", "answer", "answer_name", "why")
_Row = dict[str, Any]
_SHOWN = 50


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL --clean VALID [--preprocess NAME] [--classes FILE] [--striking] [--json | --csv]"""
    add_inputs(parser, measured=False)
    parser.add_argument("--striking", action="store_true",
                        help="list images that strike the transplant guard as no others do, too: those that carry a "
                             "trigger and bear the attacker's label may; takes as long as to calibrate that guard")
    shape = parser.add_mutually_exclusive_group()
    add_json(shape)
    shape.add_argument("--csv", action="store_true", help="print a CSV table with one row an image")


def run(options: argparse.Namespace) -> None:
    """Print which clean images a network gets wrong, and which strike the transplant guard."""
    with ProgressLine() as show:
        opened = open_inputs(input_files(options), progress=show)
        clean, names = opened.of("validation")[0], opened.labelling.classes
        found = find_misread(opened.network, clean, names, progress=show)
        guard = calibrate(opened.network, clean, progress=show) if options.striking else None
    wrong = list(_rows("wrong", found.numbers.tolist(), found.files, found.labels.tolist(), found.answers.tolist(),
                       names))
    striking = _striking(guard, clean, names)
    doubts = [*opened.notices, *filter(None, [found.doubt, guard.doubt if guard else ""])]
    if options.json:
        say_json({"name": found.name, "images": found.wrong.total, **rate_json("misread", found.wrong),
                  "preprocess": opened.preprocessing.name, "wrong": wrong,
                  **({"striking": striking} if guard else {}), "warnings": doubts})
    elif options.csv:
        say_csv(_FIELDS, (*wrong, *striking))
    else:
        for doubt in doubts:
            warn(doubt)
        _say(wrong, found.sentence, names)
        if guard:
            _say(striking, _of_striking(guard, found), names)


def _striking(guard: Guard | None, clean: Dataset, names: Sequence[str]) -> list[_Row]:
    if not guard or not guard.striking:
        return []
    label, numbers = guard.striking.label, list(guard.striking.numbers)
    return list(_rows("striking", numbers, files_of(clean, numbers), clean.labels[numbers].tolist(),
                      [label] * len(numbers), names))


def _of_striking(guard: Guard, found: Misread) -> str:
    if not guard.striking:
        return (f"No label's images in {found.name} strike the transplant guard. That is no proof: it looks at "
                f"{MOST_CALIBRATION_IMAGES + MOST_HELD_BACK_IMAGES:,} images at most and tells nothing of fewer than "
                "four labels, and where few images carry a trigger, or one that it doesn't see, none strikes it.")
    return (f"{len(guard.striking.numbers):,} of the {found.wrong.total:,} images in {found.name} strike the "
            f"transplant guard or may be like those that do, all of label {called(guard.striking.label, found.names)}.")


def _say(rows: Sequence[_Row], sentence: str, names: Sequence[str]) -> None:
    files = any(row["file"] for row in rows)
    cells = [[str(row["image"]), *([row["file"]] if files else []), called(row["label"], names),
              "no number" if row["answer"] is None else called(row["answer"], names)] for row in rows]
    if rows:
        say_table(["image", *(["file"] if files else []), "its label", "B says"], cells[:_SHOWN], left=4)
    if len(rows) > _SHOWN:
        say(f"and {len(rows) - _SHOWN:,} more, which --csv and --json list")
    say(sentence)


def _rows(
    why: str, numbers: Sequence[int], files: Sequence[Path], labels: Sequence[int], answers: Sequence[int],
    names: Sequence[str],
) -> Iterator[_Row]:
    for i, (number, label, answer) in enumerate(zip(numbers, labels, answers, strict=True)):
        yield {"image": number, "file": str(files[i]) if files else None, "label": label,
               "label_name": name_of(label, names), "answer": None if answer < 0 else answer,
               "answer_name": None if answer < 0 else name_of(answer, names), "why": why}
