"""One defence on one network: made from validation pictures, measured on test pictures and poisoned ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo.guards import opened
from benchmarks.zoo.plan import Plan
from engine.defences.comparison import Defence, compare
from engine.defences.further import Further, defended
from engine.errors import EngineError
from engine.guards.calibration import Guard
from engine.rates import Rate


@dataclass(frozen=True)
class Record:
    """What was measured; `failed` is a sentence where the defence couldn't be made, and then there are no rates.

    Attributes:
        before, after: clean accuracy of B and with the defence; flagged: clean pictures given no label.
        attacks: of each poisoned set the attack success of B and with the defence.
        seconds: of the processor that making it took; by the clock it may be any multiple on a machine in use.
    """

    network: str
    kind: str
    family: str
    half: str
    method: str
    before: Rate
    after: Rate
    flagged: Rate
    attacks: tuple[tuple[Rate, Rate], ...]
    seconds: float
    failed: str = ""

    @property
    def lost(self) -> float:
        """Points of clean accuracy."""
        return 100 * (self.before.value - self.after.value)

    @property
    def attack(self) -> Rate:
        """Attack success of the worst poisoned set, with the defence."""
        return max((after for _, after in self.attacks), key=lambda rate: rate.value)

    def as_json(self) -> dict[str, Any]:
        """Plain values; a rate is [count, total]."""
        rates = {name: _pair(getattr(self, name)) for name in ("before", "after", "flagged")}
        return {**vars(self), **rates, "attacks": [[_pair(b), _pair(a)] for b, a in self.attacks]}


def record_of(kept: dict[str, Any]) -> Record:
    """What `as_json` made, back."""
    rates = {name: Rate(*kept[name]) for name in ("before", "after", "flagged")}
    attacks = tuple((Rate(*before), Rate(*after)) for before, after in kept["attacks"])
    return Record(**{**kept, **rates, "attacks": attacks})


def kept_records(path: Path) -> list[Record]:
    """What a file holds, a JSON object a line; nothing where there is no file yet.

    Of what two runs side by side measured both, the last counts.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [record_of(json.loads(line)) for line in lines]
    return list({(record.network, record.method): record for record in records}.values())


def measure(zoo: Path, plan: Plan, methods: Sequence[Further]) -> Iterator[Record]:
    """Make and measure each method on one network of the zoo."""
    known = opened(zoo, plan)
    about = (plan.name, plan.world.kind, plan.family, plan.half)
    for method in methods:
        started = time.process_time()
        try:
            made = defended(method, known.network, known.validation)
        except EngineError as error:
            nothing = Rate(0, 0)
            yield Record(*about, method.name, nothing, nothing, nothing, (), 0.0, str(error))
            continue
        seconds = round(time.process_time() - started, 1)
        network, guard = (None, made) if isinstance(made, Guard) else (made, None)
        defence = Defence(method.name, network, seconds, paired=False, guard=guard)
        row, = compare(known.network, [defence], [], known.test, known.poisoned).rows
        yield Record(*about, method.name, row.clean_before, row.clean, row.false_alarms,
                     tuple((attack.before, attack.success) for attack in row.attacks), seconds)


def _pair(rate: Rate) -> list[int]:
    return [rate.count, rate.total]
