"""The records as Markdown: a row a family and kind of picture, a column a method."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.measured import Record
from benchmarks.zoo.plan import HALVES
from engine.rates import Rate

# What issue and README call held: at most so much attack success, in per cent, at so many points lost.
MOST_ATTACK, MOST_LOST = 5.0, 3.0
_HEAD = """# Other people's defences on the zoo's networks

By `python -m benchmarks.peers --table`. Every defence was made from a network's clean validation pictures alone (384
faces, 480 signs) and measured on its test pictures and on these with the trigger. A cell says how many points of clean
accuracy were lost / attack success in per cent, with its 95 % interval in brackets; networks of one family and half are
taken together, of two backdoors the worse counts; an empty cell wasn't measured. **Bold**: at most 5 % attack success
at no more than 3 points; "held" counts such families. Each method's module in `benchmarks/peers/methods` says where it
departs from its paper: all that train are shortened to about a minute of processor time, and learn from the pictures as
they are, where NAD's and ANP's own programs crop, flip and (NAD) cut out; a longer run or more varied pictures may do
better.
"""


def tables(records: Sequence[Record], methods: Sequence[str]) -> str:
    """One table a half and kind of picture, and how often each method held."""
    parts = [_HEAD.strip()]
    for half, title in HALVES.items():
        for kind in ("faces", "signs"):
            of = [record for record in records if record.half == half and record.kind == kind]
            if of:
                parts.append(f"## {kind}, {title[0].lower()}{title[1:]}\n\n{table(of, methods)}")
    return "\n\n".join(parts) + "\n"


def table(records: Sequence[Record], methods: Sequence[str]) -> str:
    """Cells are points of clean accuracy lost / attack success in % with its 95 % interval, seeds taken together."""
    families = sorted({record.family for record in records})
    shown = [method for method in methods if any(record.method == method for record in records)]
    lines = [f"| family | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    for family in families:
        cells = [cell([r for r in records if (r.family, r.method) == (family, method)]) for method in shown]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    held = [holding([r for r in records if r.method == method]) for method in shown]
    return "\n".join([*lines, f"| **held** | {' | '.join(held)} |"])


def cell(records: Sequence[Record]) -> str:
    """Of one family and method."""
    if not records:
        return ""
    made = [record for record in records if not record.failed]
    if not made:
        return "not made"
    lost, attack = points_lost(made), pooled([record.attack for record in made])
    low, high = attack.interval
    text = f"{lost:.1f} / {100 * attack.value:.1f} ({100 * low:.0f}-{100 * high:.0f})"
    return f"**{text}**" if held(made) else text


def points_lost(records: Sequence[Record]) -> float:
    """Points of clean accuracy, all pictures together."""
    before, after = (pooled([getattr(record, name) for record in records]) for name in ("before", "after"))
    return round(100 * (before.value - after.value), 9)


def held(records: Sequence[Record]) -> bool:
    """Whether a method stops the attack at a bearable cost, seeds taken together."""
    attack = pooled([record.attack for record in records])
    return 100 * attack.value <= MOST_ATTACK and points_lost(records) <= MOST_LOST


def holding(records: Sequence[Record]) -> str:
    """In how many families a method held, of those it was tried on."""
    families = sorted({record.family for record in records})
    good = 0
    for family in families:
        of = [record for record in records if record.family == family and not record.failed]
        good += bool(of) and held(of)
    return f"{good} of {len(families)}" if families else ""


def pooled(rates: Sequence[Rate]) -> Rate:
    """Counts of several sets together."""
    return Rate(sum(rate.count for rate in rates), sum(rate.total for rate in rates))
