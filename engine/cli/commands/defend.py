"""defend: examine a network, make every defence, and save the best."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.assessment import percent
from engine.cli.options import add_inputs, add_json, add_layer, add_seed, input_files, rate
from engine.cli.printing import complain, rate_text, say, say_json, say_table, warn
from engine.cli.progress_line import ProgressLine
from engine.cli.result_tables import say_names, say_unreached
from engine.files.saving import check_writable
from engine.guards.calibration import DEFAULT_FALSE_ALARMS
from engine.records.defended import defended_json, save_defended
from engine.runs.defend import Defended, defend
from engine.runs.opening.inputs import open_inputs
from engine.runs.prune import PruningRequest

SUMMARY = "examine a network, make every defence, and save the best as one GoodNet"


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL --clean VALID [--test TEST] [--poisoned POISONED ...] --out DIR [--json]"""
    add_inputs(parser)
    parser.add_argument("--out", metavar="DIR", required=True,
                        help="write the chosen GoodNet, the examination, defend.json and a report into this folder; an "
                        "earlier one is replaced if nothing in it was added or changed")
    parser.add_argument("--false-alarms", metavar="RATE", type=rate, default=DEFAULT_FALSE_ALARMS,
                        help="share of clean images that a guard may flag (default: %(default)s)")
    add_layer(parser)
    add_seed(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Defend a network and say what was chosen and what it holds against."""
    files, out = input_files(options), Path(options.out)
    check_writable(out, files.paths)
    request = PruningRequest(**vars(files), false_alarms=options.false_alarms)
    with ProgressLine() as show:
        opened = open_inputs(request, progress=show)
        found = defend(opened, request, options.seed, progress=show)
        left_out = save_defended(found, opened, out)
        options.saved = True
    for sentence in left_out:
        complain(sentence)
    if options.json:
        say_json(defended_json(found))
        return
    _say(found)
    say()
    say(f"Saved in {out}")
    if found.without_guard:
        say(found.without_guard)


def _say(found: Defended) -> None:
    row, judgement = found.chosen, found.examination.judgement
    say(judgement.headline.capitalize())
    say(judgement.sentence)
    targets = (attack.target for attack in row.attacks if attack.target is not None)
    say_names((*judgement.guilty, *judgement.standing_out, *targets), found.run.model.classes)
    say()
    say(f"Chosen: {row.name}")
    on = "images that it wasn't chosen by" if found.apart else "images that it was chosen by"
    say(f"On {row.clean.total:,} clean {on} its accuracy is {rate_text(row.clean)}; with B alone it is "
        f"{rate_text(row.clean_before)}.")
    for attack in row.attacks:
        say(f"On {attack.success.total:,} images of {attack.title} attack success is {rate_text(attack.success)}; with "
            f"B alone it is {rate_text(attack.before)}.")
    for caution in found.cautions:
        warn(caution)
    for sentence in found.holds_against or ("Nothing here was measured to be stopped.",):
        say(sentence)
    say()
    names = [attack.title for attack in row.attacks]
    say_table(["defence", "clean accuracy", "false alarms", *(f"attack success, {name}" for name in names)],
              [[row.name, rate_text(row.clean), percent(row.false_alarms.value),
                *(rate_text(attack.success) for attack in row.attacks)] for row in found.candidates])
    say_unreached(found.run)
    say()
    say("Nobody has tried:")
    for sentence in found.not_tried:
        say(sentence)
