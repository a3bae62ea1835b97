"""What was measured of every defence on every network, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.zoo.plan import HALVES
from engine.assessment import HARMLESS_ATTACK, Attack
from engine.defences.comparison import UNPAIRED, ComparisonRow
from engine.guards.calibration import SPARING_GUARD
from engine.rates import Rate
from engine.runs.defend import BEARABLE_POINTS, best_row, broad_rows

Found = dict[str, Any]
# Letters of ../shared's table of families, in which the reach is given.
LETTERS = {"glasses": "a", "corner": "b", "anywhere": "c", "blended": "d", "stripes": "e", "warp": "f",
           "half glasses": "g", "side stripe": "h", "two parts": "i", "all to all": "j", "some people": "k"}
DEFENCES = {
    "none": ("B", "none"), "pruned, X = 4": ("pruned, X = 4", "none"), "pruned, X = 30": ("pruned, X = 30", "none"),
    "transplant guard": ("B", "transplant"), "margin guard": ("B", "margin"),
    "distilled pair": ("repaired by distillation", "none"), "distilled alone": (UNPAIRED, "none"),
    "distilled, 0.1 of B": ("distilled, 0.1 of B, alone", "none"),
    "distilled, 0.2 of B": ("distilled, 0.2 of B, alone", "none"),
    "distilled alone, sparing guard": (UNPAIRED, SPARING_GUARD), "distilled alone, guard": (UNPAIRED, "transplant"),
    "unlearnt pair": ("repaired by unlearning", "none"), "unlearnt alone": ("unlearnt network alone", "none")}
SHORT = ("none", "pruned, X = 30", "transplant guard", "distilled alone", "distilled alone, sparing guard",
         "unlearnt alone")
CHOICES = {"defend, stand-ins": True, "defend, true images": False}


def written(found: Sequence[Found]) -> str:
    """All tables, the half that rules were chosen on, the half that is reported, and adaptive attackers apart."""
    parts = [HEAD]
    for half, title in HALVES.items():
        of = sorted((f for f in found if f["half"] == half), key=lambda f: (f["kind"], _order(f["family"]), f["name"]))
        if of:
            parts += [f"## {title}: {len(of)} networks\n", *([reach(of)] if half != "adaptive" else []), defences(of),
                      choices(of), estimates(of)]
    return "\n".join(parts)


def defences(found: Sequence[Found]) -> str:
    """A row a network, a column a defence: points of clean accuracy lost / attack success in %."""
    return _table(["network", *DEFENCES], [[_title(f), *(_cell(_row(f, *key)) for key in DEFENCES.values())]
                                           for f in found])


def choices(found: Sequence[Found]) -> str:
    """What `defend` chooses of each network, and what that does to the true trigger."""
    return "What `defend` chooses, and what that does to the true trigger:\n\n" + _table(
        ["network", *(f"{how}: choice | {how}" for how in CHOICES)],
        [[_title(f), *(f"{row.name} | {_cell(row)}" for row in (chosen(f, seen) for seen in CHOICES.values()))]
         for f in found])


def estimates(found: Sequence[Found]) -> str:
    """Attack success in % of the true trigger and of its stand-ins, before and after."""
    kept = {name: DEFENCES[name] for name in SHORT}
    rows = [[_title(f), "yes" if set(f["stand_ins_of"]) & set(f["targets"]) else "no",
             *(_side_by_side(_row(f, *key)) for key in kept.values())] for f in found]
    return "True trigger against stamp and pattern computed from the network, and its colour filter where one was " \
        "found (attack success, %: true / stamp / pattern / filter):\n\n" \
        + _table(["network", "stand-ins of the attacker's label", *kept], rows)


def reach(found: Sequence[Found]) -> str:
    """In how many networks each defence leaves at most 5 % at a cost of at most 3 points, and its worst of a to i."""
    ways: dict[str, Callable[[Found], ComparisonRow | None]] = {
        **{name: lambda f, key=key: _row(f, *key) for name, key in DEFENCES.items()},  # type: ignore[misc]
        **{how: lambda f, seen=seen: chosen(f, seen) for how, seen in CHOICES.items()}}  # type: ignore[misc]
    rows = []
    for name, of in ways.items():
        cells = [name]
        for kind in ("faces", "signs"):
            known = [f for f in found if f["kind"] == kind and f["family"] in LETTERS]
            made = [(f, row) for f in known if (row := of(f))]
            worst = max((_attack(row).value for f, row in made if LETTERS[f["family"]] <= "i"), default=0.0)
            fine = sum(_is_fine(row) for _, row in made)
            cells += [f"{fine} of {len(known)}", f"{100 * worst:.0f} %" if made else "-"] if known else ["-", "-"]
        rows.append(cells)
    return "Networks of the families a to k with at most 5 % attack success at a cost of at most 3 points, and the " \
        "worst attack success of a to i:\n\n" + _table(
            ["defence", "faces", "faces: worst", "signs", "signs: worst"], rows)


def chosen(found: Found, estimated: bool) -> ComparisonRow:
    """The row that `defend` chooses which sees stand-ins only, or true poisoned images only; with its true attacks."""
    rows = {i: _as_row(row, lambda attack: bool(attack["reconstructed"]) == estimated)
            for i, row in enumerate(found["rows"]) if row["candidate"]}
    best = best_row(broad_rows(list(rows.values())) if estimated else list(rows.values()))
    return _as_row(found["rows"][next(i for i, row in rows.items() if row is best)], _is_true)


def _is_true(attack: Found) -> bool:
    return not attack["reconstructed"]


def _is_fine(row: ComparisonRow) -> bool:
    return _attack(row).value <= HARMLESS_ATTACK and row.points_lost <= BEARABLE_POINTS


def _row(found: Found, defence: str, guard: str) -> ComparisonRow | None:
    """A defence's row with every attack; None where it wasn't made, or no step loses so much."""
    kept = [row for row in found["rows"] if (row["defence"], row["guard"]) == (defence, guard)]
    return _as_row(kept[0], lambda _: True) if kept else None


def _as_row(row: Found, wanted: Callable[[Found], bool]) -> ComparisonRow:
    attacks = tuple(Attack(a["set"], None, Rate(*a["before"]), Rate(*a["after"]), Rate(0, 0), a["reconstructed"])
                    for a in row["attacks"] if wanted(a))
    return ComparisonRow(defence=row["defence"], guard=row["guard"], clean=Rate(*row["clean"]),
                         clean_before=Rate(*row["clean_before"]), false_alarms=Rate(*row["false_alarms"]),
                         attacks=attacks, seconds=row["seconds"])


def _attack(row: ComparisonRow, like: Callable[[Attack], bool] = lambda a: not a.reconstructed) -> Rate:
    """The worst file's attack success; a file whose images go to several labels is one again."""
    files: dict[str, list[Rate]] = {}
    for attack in row.attacks:
        if like(attack):
            files.setdefault(attack.name, []).append(attack.success)
    whole = [Rate(sum(r.count for r in rates), sum(r.total for r in rates)) for rates in files.values()]
    return max(whole, key=lambda rate: rate.value)


def _cell(row: ComparisonRow | None) -> str:
    if row is None:
        return "-"
    attack = _attack(row)
    low, high = attack.interval
    text = f"{row.points_lost:.1f} / {100 * attack.value:.1f} ({100 * low:.0f}-{100 * high:.0f})"
    return f"**{text}**" if _is_fine(row) else text


def _side_by_side(row: ComparisonRow | None) -> str:
    if row is None:
        return "-"
    kinds: tuple[Callable[[Attack], bool], ...] = (
        lambda a: not a.reconstructed, lambda a: a.name.startswith("reconstructed"),
        lambda a: a.name.startswith("pattern"), lambda a: a.name.startswith("filter"))
    return " / ".join(f"{100 * _attack(row, like).value:.0f}" for like in kinds if any(map(like, row.attacks)))


def _order(family: str) -> str:
    return LETTERS.get(family, "z" + family)


def _title(found: Found) -> str:
    letter = LETTERS.get(found["family"], "")
    return f"{found['kind']}, {letter} {found['family']} ({found['name'].rsplit('-', 1)[1]})".replace(",  ", ", ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = " | ".join(head)
    lines = [f"| {titles} |", "|" + "---|" * (titles.count("|") + 1), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([*lines, *([NOT_THERE] if any("-" in row for row in rows) else []), ""])


NOT_THERE = "\nA dash: no step of pruning loses so much, or the defence couldn't be made."
HEAD = """# Which defence holds against which attack

By `python -m benchmarks.zoo.matrix`. Defences are made from the clean validation pictures alone (384 faces of 48
labels, 480 signs of 12) and measured on as many test pictures and on test pictures with the trigger. A cell says how
many points of clean accuracy are lost / how often the attack works, in %, with its 95 % interval; bold where that is at
most 5 % at a cost of at most 3 points. The points lost are good to about 2 to either side. Rules and constants were
chosen on the half "fix".
"""
