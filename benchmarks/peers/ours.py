"""This project's own defences as the peers are measured: made from the validation pictures alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.guards import Known
from engine.defences.comparison import BADNET, UNPAIRED, Defence
from engine.defences.distillation import distil
from engine.defences.further import Further, defended
from engine.defences.training import repaired_network
from engine.guards.calibration import Guard, calibrate
from engine.runs.defend import defend
from engine.runs.inputs import open_inputs
from engine.runs.pairs import build_goodnet
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.rows import rows_of

# Points of clean accuracy at which pruning stops.
PRUNED_AT = 4.0


@dataclass(frozen=True, eq=False)
class Case:
    """A network of the zoo and the files it was opened from."""

    known: Known
    model: Path
    validation: Path

    @property
    def request(self) -> PruningRequest:
        """What a person asks who has neither a test set nor poisoned pictures."""
        return PruningRequest(self.model, self.validation, scale=self.known.validation.preprocessing.name,
                              drops=(PRUNED_AT,))


@dataclass(frozen=True, eq=False)
class Method:
    """A defence under its name in the table; `make` makes it of a case."""

    name: str
    make: Callable[[Case], Defence]


def as_method(further: Further) -> Method:
    """A plug-in's kind of defence."""
    def make(case: Case) -> Defence:
        started = time.monotonic()
        made = defended(further, case.known.network, case.known.validation)
        network, guard = (None, made) if isinstance(made, Guard) else (made, None)
        return Defence(further.name, network, time.monotonic() - started, paired=False, guard=guard)

    return Method(further.name, make)


def _pruned(case: Case) -> Defence:
    started = time.monotonic()
    run = run_pruning(case.request)
    goodnet = build_goodnet(run, rows_of(run)[0], case.known.network)
    return Defence("pruned", goodnet.b_prime, time.monotonic() - started)


def _distilled(case: Case) -> Defence:
    started = time.monotonic()
    repair = distil(case.known.network, case.known.validation)
    return Defence(UNPAIRED, repaired_network(case.known.network, repair), time.monotonic() - started, paired=False)


def _guarded(case: Case) -> Defence:
    started = time.monotonic()
    guard = calibrate(case.known.network, case.known.validation)
    return Defence(BADNET, None, time.monotonic() - started, guard=guard)


def _defended(case: Case) -> Defence:
    started = time.monotonic()
    goodnet = defend(open_inputs(case.request), case.request).pair.goodnet
    return Defence("defend", goodnet.b_prime, time.monotonic() - started, paired=not goodnet.b_prime_alone,
                   guard=goodnet.guard)


OURS = (Method("pruned pair, X = 4", _pruned), Method("distilled alone", _distilled),
        Method("transplant guard", _guarded), Method("what defend picks", _defended))
