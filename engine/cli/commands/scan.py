"""scan: which labels random stamps draw images to."""

from __future__ import annotations

import argparse

from engine.cli.options import add_inputs, add_json, add_seed, count, input_files
from engine.cli.printing import say, say_json, say_table, warn
from engine.cli.progress_line import ProgressLine
from engine.defences.scan import DEFAULT_STAMPS, scan
from engine.records.json_of import scan_json
from engine.runs.opening.inputs import open_inputs

SUMMARY = "ask which labels random stamps draw images to; needs no poisoned image"

_SHOWN_SUSPECTS = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL --clean VALID [--stamps N] [--json]"""
    add_inputs(parser, measured=False)
    add_seed(parser)
    parser.add_argument("--stamps", metavar="NUMBER", type=count, default=DEFAULT_STAMPS,
                        help="random patches to try; more take longer and tell more (default: %(default)s)")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Print which labels random stamps draw images to."""
    with ProgressLine() as show:
        opened = open_inputs(input_files(options), progress=show)
        found = scan(opened.network, opened.of("validation")[0], options.stamps, options.seed, progress=show)
    if options.json:
        say_json(scan_json(found) | {"warnings": list(opened.notices)})
        return
    for notice in opened.notices:
        warn(notice)
    say_table(["rank", "label", "count"],
              [[str(rank), str(suspect.label), str(suspect.count)]
               for rank, suspect in enumerate(found.suspects[:_SHOWN_SUSPECTS], start=1)], left=0)
    say(found.sentence)
