"""One defence on one network: made from validation pictures, measured on test pictures and poisoned ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.ours import Case, Method
from benchmarks.zoo.guards import opened
from engine.defences.comparison import compare
from engine.errors import EngineError
from engine.rates import Rate


@dataclass(frozen=True)
class Record:
    """What was measured; `failed` is a sentence where the defence couldn't be made, and then there are no rates.

    Attributes:
        before, after: clean accuracy of B and with the defence; flagged: clean pictures given no label.
        attacks: of each poisoned set the attack success of B and with the defence.
        seconds: what making it took, by the clock.
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
    """What a file holds, a JSON object a line; nothing where there is no file yet."""
    if not path.exists():
        return []
    return [record_of(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(zoo: Path, facts: dict[str, Any], methods: list[Method]) -> Iterator[Record]:
    """Make and measure each method on one network of the zoo."""
    known = opened(zoo, facts)
    case = Case(known, zoo / f"{facts['name']}.keras", zoo / f"{facts['world']}-validation.h5")
    about = (facts["name"], facts["kind"], facts["family"], facts["half"])
    for method in methods:
        try:
            defence = method.make(case)
        except EngineError as error:
            nothing = Rate(0, 0)
            yield Record(*about, method.name, nothing, nothing, nothing, (), 0.0, str(error))
            continue
        row, = compare(known.network, [defence], [], known.test, known.poisoned).rows
        yield Record(*about, method.name, row.clean_before, row.clean, row.false_alarms,
                     tuple((attack.before, attack.success) for attack in row.attacks), round(defence.seconds, 1))


def _pair(rate: Rate) -> list[int]:
    return [rate.count, rate.total]
