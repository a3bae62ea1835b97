"""evaluate: what a GoodNet is worth on data sets."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.options import add_classes, add_json, add_measured_on, add_preprocess, fed
from engine.cli.printing import complain, say, say_json, warn
from engine.cli.progress_line import ProgressLine
from engine.cli.result_tables import say_evaluations, say_guard
from engine.data.preprocessing import AUTO
from engine.goodnets.saved import open_goodnet
from engine.records.repaired_pair import measured_json
from engine.runs.pairs import measure

SUMMARY = "measure a GoodNet on clean and poisoned images"


def add_options(parser: argparse.ArgumentParser) -> None:
    """GOODNET --test TEST [--poisoned POISONED ...] [--preprocess NAME] [--json]"""
    parser.add_argument("goodnet", metavar="GOODNET", nargs="+",
                        help="one GoodNet: a pair's folder, a one-file GoodNet, or the two files B and B_PRIME")
    add_measured_on(parser, test_required=True)
    add_preprocess(parser, "of two files B and B_PRIME, from which it isn't read, ")
    add_classes(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Measure a GoodNet on data sets."""
    if len(options.goodnet) > 2:
        options.usage_error(f"{len(options.goodnet)} paths were given for GOODNET; it is a folder, one file, or the "
                            "two files B and B_PRIME")
    goodnet = open_goodnet([Path(p) for p in options.goodnet], fed(options))
    if goodnet.warning:
        complain(goodnet.warning)
    by_itself = len(options.goodnet) == 2 and options.scale == AUTO
    with ProgressLine() as show:
        pair = measure(goodnet, Path(options.test), [Path(path) for path in options.poisoned],
                       Path(options.classes) if options.classes else None, by_itself, progress=show)
    if options.json:
        say_json(measured_json(pair))
        return
    for sentence in filter(None, (pair.found, *pair.doubts)):
        say(sentence)
    for sentence in pair.measured:
        warn(sentence)
    say_evaluations(pair.evaluations)
    say_guard(pair.goodnet)
