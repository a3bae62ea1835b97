"""examine: is there a backdoor? An answer from clean images alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.options import Repeatable, add_inputs, add_json, add_seed, input_files
from engine.cli.printing import say, say_json, say_table, warn
from engine.cli.progress_line import ProgressLine
from engine.cli.result_tables import say_names
from engine.data.classes import called
from engine.files.saving import check_writable
from engine.records.examination import examination_json, made_with, save_examination
from engine.runs.examine import Examination, examine
from engine.runs.opening.inputs import Opened, open_inputs
from engine.runs.reconstructed import to_wear

SUMMARY = "ask whether a network has a backdoor; needs no poisoned image"

_SHOWN_LABELS = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL --clean VALID [--labels LABEL ...] [--out DIR] [--json]"""
    add_inputs(parser, measured=False)
    parser.add_argument("--test", metavar="TEST", help="clean images that wear what was reconstructed, in --out "
                        "(default: the validation images)")
    parser.add_argument("--labels", metavar="LABEL", type=int, nargs="+", action=Repeatable, default=[],
                        help="labels to look at besides the first that random stamps move images to")
    parser.add_argument("--out", metavar="DIR",
                        help="write examine.json, a report, and of each guilty label its stamp and images wearing it "
                        "into this folder; an earlier examination's folder is replaced if nothing in it was added or "
                        "changed")
    add_seed(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Examine a network, print the verdict and write its evidence."""
    files = input_files(options)
    if options.out:
        check_writable(Path(options.out), files.paths)
    opened = open_inputs(files)
    made = made_with(opened) if options.out else None  # before the work: files may change
    with ProgressLine() as show:
        found = examine(opened.network, opened.of("validation")[0], options.seed, options.labels,
                        notices=opened.notices, progress=show)
    try:  # what was found isn't unsaid where it can't be saved, nor lost where nobody reads on
        if options.json:
            say_json(examination_json(found))
        else:
            _say(found, opened)
    finally:
        if options.out:
            clean = to_wear(found.judgement.guilty, opened.clean, opened.of("validation")[0])
            save_examination(found, opened.network, clean, Path(options.out), files.paths, files.validation.name,
                             made_with=made)
            options.saved = True
    if options.out and not options.json:
        say(f"Saved in {options.out}")


def _say(found: Examination, opened: Opened) -> None:
    for notice in opened.notices:
        warn(notice)
    say(found.judgement.headline.capitalize())
    say(found.judgement.sentence)
    names = opened.labelling.classes
    say_names((*found.judgement.guilty, *found.judgement.standing_out), names)
    say()
    say_table(["label", "suspicion", "smallest stamp", "draws", "stamps moved", "move nearly all", "filters do",
               "widest margin"],
              [[called(tried.evidence.label, names), f"{tried.suspicion:.2f}", f"{tried.evidence.mask_pixels:.1f} px",
                f"{tried.evidence.success.value:.0%}", f"{tried.evidence.scan_count:,}",
                f"{tried.evidence.universal:,}", f"{tried.evidence.filters:,}", f"{tried.evidence.margin:.1f}"]
               for tried in found.tried[:_SHOWN_LABELS]], left=0)
    say()
    for limit in found.limits[len(opened.notices):]:
        say(limit)
