"""check: pictures, one by one."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.cli.options import add_fed, add_json, add_names, fed
from engine.cli.printing import complain, say, say_csv, say_json, say_table
from engine.cli.progress_line import ProgressLine
from engine.data.classes import called, name_of, read_classes
from engine.data.preprocessing import Preprocessing
from engine.errors import EngineError
from engine.files.existing import is_file
from engine.goodnets.checking import FIELDS, Verdict, check_pictures, fields_of, list_pictures
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet
from engine.models.reading import SUFFIXES
from engine.runs.opening.labelling import check_count

SUMMARY = "check pictures with a GoodNet, one by one"

# So many pictures that were looked at in part are named.
_NAMED = 5
_AS_STORED = ("How values are fed isn't read from two files of networks: these are fed as stored. Networks of "
              "PyTorch mostly want 255, imagenet or a mean and deviation (--preprocess; \"none\" if this is right).")


def add_options(parser: argparse.ArgumentParser) -> None:
    """GOODNET IMAGE_OR_FOLDER ... [--classes FILE] [--preprocess NAME] [--json | --csv]"""
    parser.add_argument("paths", metavar="GOODNET IMAGE_OR_FOLDER", nargs="+",
                        help="first the GoodNet (a pair's folder, one file, or the two files B and B_PRIME), then "
                        "pictures or folders of them")
    add_names(parser, "those that the GoodNet was made with, if any")
    add_fed(parser, "of two files B and B_PRIME, how the values of pictures are fed to them")
    shape = parser.add_mutually_exclusive_group()
    add_json(shape)
    shape.add_argument("--csv", action="store_true", help="print a CSV table with one row a picture")


def run(options: argparse.Namespace) -> None:
    """Check pictures with a GoodNet."""
    if len(options.paths) < 2:
        options.usage_error(f"{options.paths[0]}: no pictures were named after it; name pictures or folders of them")
    goodnet, pictures = _split([Path(p) for p in options.paths], fed(options))
    names = _names(goodnet, options.classes)
    passed_over: list[str] = []
    files, answers = list_pictures(pictures, passed_over.append), dict[str, Verdict | EngineError]()
    with ProgressLine() as show:
        for chunk in check_pictures(goodnet, files, progress=show,
                                    unreadable=lambda file, error: answers.update({str(file): error})):
            answers.update({verdict.file: verdict.without_picture() for verdict in chunk})
    errors = [answer for answer in answers.values() if isinstance(answer, EngineError)]
    if errors and len(errors) == len(answers):
        none = f" None of the {len(errors):,} pictures can be checked." if len(errors) > 1 else ""
        raise EngineError(f"{errors[0]}{none}")
    warnings = [*goodnet.warnings, *passed_over]
    for warning in warnings:
        complain(warning)
    _say(options, [(str(file), answers[str(file)]) for file in files], warnings, names)
    if errors:
        *others, last = errors
        for error in others:
            complain(str(error))
        raise last


def _say(options: argparse.Namespace, found: Sequence[tuple[str, Verdict | EngineError]], warnings: Sequence[str],
         names: Sequence[str]) -> None:
    """Print what is said of each picture, or that it can't be read."""
    if options.json:
        say_json([_fields(file, v, names) | _box_json(v) | {"warnings": warnings} for file, v in found])
    elif options.csv:
        say_csv((*FIELDS, "name") if names else FIELDS, (_fields(file, v, names) for file, v in found))
    else:
        say_table(["picture", "answer", "B says", "B' says"],
                  [[file, "can't be checked", "-", "-"] if isinstance(v, EngineError) else
                   [file, f"backdoored (label {v.label})" if v.flagged else f"label {called(v.label, names)}",
                    "is not in this file" if v.b_missing else _says(v.b_label, v.b_confidence_text, names),
                    "is B itself" if v.b_alone else _says(v.b_prime_label, v.b_prime_confidence_text, names)]
                   for file, v in found], left=4)
        verdicts = [v for _, v in found if isinstance(v, Verdict)]
        left = f"; {len(found) - len(verdicts)} can't be checked" if len(verdicts) < len(found) else ""
        say(f"{sum(v.flagged for v in verdicts)} of {len(verdicts)} flagged as backdoored{left}")
        in_part = [v for v in verdicts if v.unseen]
        for verdict in in_part[:_NAMED]:
            say(f"{verdict.file}: {verdict.unseen}")
        if in_part[_NAMED:]:
            say(f"So it is with parts of {len(in_part) - _NAMED:,} pictures more; --json and --csv tell of each.")


def _split(paths: list[Path], fed: Preprocessing | None) -> tuple[GoodNet, list[Path]]:
    """GOODNET is one path, or two model files; what follows are pictures."""
    two = len(paths) > 2 and all(is_file(p) and p.suffix.lower() in SUFFIXES for p in paths[:2])
    if not two:
        return open_goodnet(paths[:1], fed), paths[1:]
    goodnet = open_goodnet(paths[:2], fed)
    return goodnet if fed else dataclasses.replace(goodnet, warning=_AS_STORED), paths[2:]


def _names(goodnet: GoodNet, given: str | None) -> tuple[str, ...]:
    """What a GoodNet's labels are called, as a file says or as it was made; none where neither is known."""
    if not given:
        return goodnet.classes
    names = read_classes(Path(given))
    check_count(goodnet.b.path, goodnet.flag_label, names, Path(given))
    return names


def _says(label: int, confidence: str, names: Sequence[str]) -> str:
    return f"{called(label, names)} ({confidence})"


def _fields(file: str, found: Verdict | EngineError, names: Sequence[str]) -> dict[str, Any]:
    """What is said of a picture, and what its label is called; of one that can't be read only why."""
    if isinstance(found, EngineError):
        return dict.fromkeys((*FIELDS, "name")) | {"file": file, "error": str(found)}
    return fields_of(found) | {"name": name_of(found.label, names), "error": None}


def _box_json(found: Verdict | EngineError) -> dict[str, Any]:
    """Where the guard's cut lies in the picture as seen, in pixels: left, top, width, height."""
    cut = found.cut if isinstance(found, Verdict) else None
    return {"cut_box": [cut.left, cut.top, cut.width, cut.height] if cut else None}
