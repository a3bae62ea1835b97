"""This project's own defences on the same networks, as `benchmarks.zoo.matrix` measured them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.peers.measured import Record
from benchmarks.zoo.matrix_tables import DEFENCES, chosen
from benchmarks.zoo.plan import kept, trained
from engine.rates import Rate

OURS = ("pruned, X = 4", "distilled alone", "unlearnt alone", "transplant guard")
# What is chosen by somebody who has only triggers computed from the network to measure with.
CHOICE = "what defend picks"


def our_records(zoo: Path) -> list[Record]:
    """Of every network in a folder that has been defended, see `benchmarks.zoo.matrix`."""
    found = (kept(zoo / f"{plan.name}-defended.json", zoo / f"{plan.name}.keras") for plan in trained(zoo))
    return [record for network in found if network for record in records_of(network)]


def records_of(found: dict[str, Any]) -> list[Record]:
    """Of one network; what wasn't made of it is left out."""
    choice = chosen(found, estimated=True)
    wanted = {DEFENCES[name]: name for name in OURS}
    made = []
    for row in found["rows"]:
        key = (row["defence"], row["guard"])
        made += [_record(found, row, name) for name in ([wanted[key]] if key in wanted else [])]
        made += [_record(found, row, CHOICE)] if key == (choice.defence, choice.guard) else []
    return made


def _record(found: dict[str, Any], row: dict[str, Any], name: str) -> Record:
    files: dict[str, list[tuple[Rate, Rate]]] = defaultdict(list)
    for attack in row["attacks"]:
        if not attack["reconstructed"]:
            files[attack["set"]].append((Rate(*attack["before"]), Rate(*attack["after"])))
    # A file whose pictures go to several labels is one again.
    attacks = tuple((_together([b for b, _ in rates]), _together([a for _, a in rates])) for rates in files.values())
    return Record(found["name"], found["kind"], found["family"], found["half"], name, Rate(*row["clean_before"]),
                  Rate(*row["clean"]), Rate(*row["false_alarms"]), attacks, row["seconds"])


def _together(rates: list[Rate]) -> Rate:
    return Rate(sum(rate.count for rate in rates), sum(rate.total for rate in rates))
