"""compare: finished runs beside each other."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.options import add_json
from engine.cli.printing import say, say_json, say_table
from engine.cli.result_tables import SUMMARY_HEADINGS, summary_cells
from engine.files.saving import check_writable
from engine.records.side_by_side import SideBySide, open_side_by_side, save_side_by_side, side_by_side_json

SUMMARY = "set finished runs beside each other and say in what they differ; computes nothing again"


def add_options(parser: argparse.ArgumentParser) -> None:
    """RUN RUN ... [--json] [--out DIR]"""
    parser.add_argument("run_1", metavar="RUN", help="a run's folder, as prune --out wrote it")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the folders of one or more further runs")
    parser.add_argument("--out", metavar="DIR",
                        help="write compare.json, the curves over each other as pictures and a report here; an "
                        "earlier comparison's folder is replaced if nothing in it was added or changed")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Compare finished runs."""
    out = Path(options.out) if options.out else None
    folders = [Path(folder) for folder in (options.run_1, *options.runs)]
    if out:
        check_writable(out, folders)
    found = open_side_by_side(folders)
    if out:
        save_side_by_side(found, out)
        options.saved = True
    if options.json:
        say_json(side_by_side_json(found))
        return
    _say(found)
    if out:
        say()
        say(f"Saved in {out}")


def _say(found: SideBySide) -> None:
    rows = zip(found.names, found.runs, strict=True)
    say_table(["run", "model", *SUMMARY_HEADINGS],
              [[name, run.model.path.name, *summary_cells(run)] for name, run in rows], left=3)
    say()
    if found.differences:
        say_table(["what differs", *found.names], [[d.what, *d.texts] for d in found.differences],
                  left=1 + len(found.names))
    else:
        say("The runs are the same in their files, options, order, curves and best defence.")
    for sentence in found.cautions:
        say()
        say(sentence, style="yellow")
