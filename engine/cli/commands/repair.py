"""repair: a B' trained on clean images instead of pruned."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.options import (
    add_guard,
    add_inputs,
    add_json,
    add_layer,
    add_missing_labels,
    add_seed,
    input_files,
)
from engine.cli.printing import complain, rate_text, say, say_json, warn
from engine.cli.progress_line import ProgressLine
from engine.cli.result_tables import say_assessment, say_evaluations, say_guard
from engine.files.saving import check_writable
from engine.records.repaired_pair import repaired_json, save_repaired
from engine.runs.opening.inputs import open_inputs
from engine.runs.repair import DEFAULT_METHOD, METHODS, repair

SUMMARY = "train a B' on clean images instead of pruning, and save it with B as a pair"


def add_options(parser: argparse.ArgumentParser) -> None:
    """MODEL --clean VALID --out DIR and what the training and the measuring may be told"""
    add_inputs(parser)
    parser.add_argument("--out", metavar="DIR", required=True,
                        help="write the pair's folder here; an earlier pair's folder is replaced if nothing in it was "
                        "added or changed")
    parser.add_argument("--method", choices=METHODS, default=DEFAULT_METHOD,
                        help="how B' is trained: a copy of B taught by B on changed images (distillation), a copy "
                        "taught to answer as if reconstructed triggers weren't there (unlearning), or B pruned and "
                        "trained again (fine-pruning) (default: %(default)s)")
    add_layer(parser, when="with fine-pruning: ")
    parser.add_argument("--channels", metavar="NUMBER", type=int,
                        help="with fine-pruning: how many channels are pruned (default: nine tenths)")
    parser.add_argument("--alone", action="store_true",
                        help="B' answers alone, without B having to agree: that costs less clean accuracy, and nothing "
                        "but a guard flags a picture")
    add_missing_labels(parser)
    add_guard(parser, sparing=True)
    add_seed(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Train a B' on clean data, save it with B as a pair and say what the pair is worth."""
    out = Path(options.out)
    files = input_files(options)
    check_writable(out, files.paths)
    with ProgressLine() as show:
        opened = open_inputs(files, progress=show)
        trained, pair = repair(
            opened, options.method, channels=options.channels, guard=options.guard, false_alarms=options.false_alarms,
            alone=options.alone, seed=options.seed, allow_missing_labels=options.allow_missing_labels, progress=show)
        left_out = save_repaired(pair, out)
        options.saved = True
    for sentence in left_out:
        complain(sentence)
    if options.json:
        say_json(repaired_json(pair))
        return
    say(f"{trained.method}: {trained.steps} steps, the state after step {trained.kept_step} kept; on the images held "
        f"aside B {rate_text(trained.before)}, B' {rate_text(trained.after)}")
    say_evaluations(pair.evaluations)
    say_guard(pair.goodnet)
    if pair.assessment:
        say_assessment(pair.assessment)
    if pair.warning:
        warn(pair.warning)
    say()
    say(f"Saved in {out}")
    if pair.without_guard:
        say(pair.without_guard)
