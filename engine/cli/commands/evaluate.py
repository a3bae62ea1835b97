"""evaluate: what a GoodNet is worth on data sets."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.cli.options import add_classes, add_json, add_measured_on, add_preprocess
from engine.cli.printing import complain, say, say_json, warn
from engine.cli.progress_line import ProgressLine
from engine.cli.result_tables import say_evaluations, say_guard
from engine.data.classes import places_among, read_classes
from engine.data.datasets import Dataset, notices_of, open_dataset
from engine.data.preprocessing import AUTO, preprocessing
from engine.data.stored_values import refuse_unlike, stored_alike, unlike_largest
from engine.data.targets import by_target, told_apart, unshown_targets
from engine.goodnets.evaluation import Evaluation, evaluate
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet
from engine.guards.calibration import Guard
from engine.records.json_of import finite, rate_json
from engine.runs.doubts.measured import doubts_measured
from engine.runs.feeding import find_feeding
from engine.runs.labelling import find_labelling

SUMMARY = "measure a GoodNet on clean and poisoned images"


def add_options(parser: argparse.ArgumentParser) -> None:
    """GOODNET --test TEST [--poisoned POISONED ...] [--preprocess NAME] [--json]"""
    parser.add_argument("goodnet", metavar="GOODNET", nargs="+",
                        help="a pair's folder, a one-file GoodNet, or the two files B and B_PRIME")
    add_measured_on(parser, test_required=True)
    add_preprocess(parser, "of two files B and B_PRIME, which don't say it themselves, ")
    add_classes(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Measure a GoodNet on data sets."""
    if len(options.goodnet) > 2:
        options.usage_error(f"{len(options.goodnet)} paths were given for GOODNET; it is a folder, one file, or the "
                            "two files B and B_PRIME")
    goodnet = open_goodnet([Path(p) for p in options.goodnet],
                           None if options.scale == AUTO else preprocessing(options.scale))
    if goodnet.warning:
        complain(goodnet.warning)
    by_itself = len(options.goodnet) == 2 and options.scale == AUTO
    goodnet, (clean, *sets), told, doubts = _opened(
        [options.test, *options.poisoned], goodnet, options.classes, by_itself)
    with ProgressLine() as show:
        test = evaluate(goodnet, clean, progress=show)
        poisoned = [evaluate(goodnet, dataset, poisoned=True, progress=show) for dataset in sets]
        found = doubts_measured(goodnet, [clean, *sets], [test, *poisoned], progress=show)
    measured = [doubt.sentence for doubt in found]
    if options.json:
        warnings = [*goodnet.warnings, *doubts, *measured]
        say_json(_evaluation_json(goodnet, test, poisoned) | {"preprocess": goodnet.preprocessing.name,
                                                              "warnings": warnings})
    else:
        for sentence in (*told, *doubts):
            say(sentence)
        for sentence in measured:
            warn(sentence)
        say_evaluations([test, *poisoned])
        say_guard(goodnet)


def _opened(
    paths: list[str], goodnet: GoodNet, classes: str | None, find: bool,
) -> tuple[GoodNet, list[Dataset], Sequence[str], Sequence[str]]:
    """The GoodNet, where wanted with the preprocessing that was found on the first data set, and the sets as it sees
    them, poisoned ones by target; how that was found, and what is doubtful, in sentences."""
    stored = [open_dataset(Path(path), goodnet.input_shape) for path in paths]
    own = f"the clean images of {goodnet.b.path.absolute().parent.name}"
    if "stored" in goodnet.notes:
        for dataset in stored:
            refuse_unlike(dataset, goodnet.stored, own)
    else:
        stored_alike(stored)
    known = read_classes(Path(classes)) if classes else goodnet.classes
    unlike = _unlike(classes, known, goodnet.classes or goodnet.b.classes) if classes else ""
    labelling = find_labelling(goodnet.b, known, stored[0], stored[1:], None if find else goodnet.preprocessing)
    labelled = [labelling.of(dataset, goodnet.b.labels) for dataset in stored]
    found = labelling.feeding or find_feeding(goodnet.b, labelled[0]) if find else None
    if found:
        goodnet = dataclasses.replace(goodnet, preprocessing=found.best)
    clean, *given = (dataset.prepared(goodnet.preprocessing) for dataset in labelled)
    sets = [part for dataset in told_apart(given) for part in by_target(dataset, goodnet.b.labels, [clean])]
    doubts = list(filter(None, (unlike, found.doubt if found else "", labelling.notice, labelling.doubt,
                                unlike_largest(stored),
                                unshown_targets(sets, [clean]), *notices_of([clean, *given], [(own, goodnet.depth)]))))
    return goodnet, [clean, *sets], [found.sentence] if found else [], doubts


def _unlike(path: str, given: Sequence[str], own: Sequence[str]) -> str:
    """That a class list isn't that of the GoodNet, a sentence; nothing where it is, or nothing is known of names."""
    wrong = next((label for label, place in enumerate(places_among(given, own)) if place != label), None)
    if wrong is None or wrong >= len(own):  # a list that doesn't fit the network is refused where labels are found
        return ""
    return (f"{path}: calls label {wrong} {given[wrong]}, but the GoodNet was made with a list that calls it "
            f"{own[wrong]}. Images are counted by the file's names; leave --classes out to count by the GoodNet's own.")


def _evaluation_json(goodnet: GoodNet, test: Evaluation, poisoned: list[Evaluation]) -> dict[str, Any]:
    return {
        "test": {"name": test.name, "images": test.images, **rate_json("goodnet_accuracy", test.correct),
                 **rate_json("false_alarm_rate", test.flagged)},
        "poisoned": [{"name": p.name, "images": p.images, "target": p.target, **rate_json("goodnet_asr", p.correct),
                      **rate_json("detection_rate", p.flagged), "reconstructed": p.reconstructed} for p in poisoned],
        "guarded": _guarded_json(goodnet.guard, goodnet.guard_name, test, poisoned) if goodnet.guard else None,
    }


def _guarded_json(
    guard: Guard, name: str, test: Evaluation, poisoned: list[Evaluation],
) -> dict[str, Any]:
    first = poisoned[0] if poisoned else None
    each = [{"name": p.name, "target": p.target, **rate_json("attack_success_rate", p.guarded_correct),
             **rate_json("detection_rate", p.guarded_flagged), "reconstructed": p.reconstructed} for p in poisoned]
    return {"guard": guard.kind, "name": name, "threshold": finite(guard.threshold),
            "false_alarms_asked": guard.calibration.false_alarms,
            **rate_json("clean_accuracy", test.guarded_correct),
            **rate_json("attack_success_rate", first.guarded_correct if first else None),
            **rate_json("false_alarm_rate", test.guarded_flagged),
            **rate_json("detection_rate", first.guarded_flagged if first else None), "poisoned": each}
