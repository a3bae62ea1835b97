"""What a person takes home from a run: which defence is best, what it does, and what to do.

The window, the report and the command line all show this headline, and the guide lists its recommendations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.assessment import (
    ESTIMATE,
    RANK,
    Attack,
    Figures,
    Level,
    as_far_as,
    assess,
    percent,
    shows_attack,
    titled,
    with_target,
    worth_naming,
)
from engine.defences.comparison import BADNET, ComparisonRow
from engine.guards.calibration import Guard
from engine.guards.guarded_curve import GuardedCurve
from engine.rates import Rate
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, badnet_row

_ANEW = "a network trained anew on data that you trust is better"
RECOMMENDATIONS: dict[Level, str] = {
    "repaired": "Don't deploy B itself. What took its place here can be used where the few per cent that may be left "
                f"of the attack are bearable; {_ANEW}.",
    "protected": "Don't deploy it without the guard. Behind the guard it can be used where the few per cent that may "
                 f"be left of the attack are bearable; {_ANEW}.",
    "costly": f"Don't deploy it: the attack can be stopped, but at the price of too much clean accuracy; {_ANEW}.",
    "weakened": f"Don't deploy it: the attack is weakened, not stopped; {_ANEW}.",
    "failed": f"Don't deploy it: nothing tried here stops the attack; {_ANEW}.",
    "unknown": "Don't take this for a clean bill: these images don't measure what a defence does to an attack.",
}
IMPLAUSIBLE = "Mend what the warning names and run again: while the input is implausible, no success is one."

_MEANINGS: dict[Level, str] = {
    "repaired": "repaired",
    "protected": "protected",
    "costly": "the attack is stopped, but at more accuracy than it is worth",
    "weakened": "the attack is weakened, not stopped",
    "failed": "the best there is here, and it does not stop the attack",
    "unknown": "without poisoned images nobody can say whether the backdoor is gone",
}


@dataclass(frozen=True)
class Headline:
    """The best of a run's defences.

    Attributes:
        row: the GoodNet; None for B behind the guard alone, for what was only compared, or where nothing is best.
        level: of its assessment, for an icon.
        figures: such as "Attack success 100 % → 0 %, clean accuracy 95 % → 95 %".
        sentence: what does that and what it means.
        name: what does it, such as "B behind the margin guard"; "B" where there is nothing to stop or no verdict.
        clean, attack: its clean accuracy and attack success on the worst set, None without poisoned images.
        clean_before: that of B alone on the same clean images, which may be some of the run's.
        recommendation: what to do.
        warnings: what is doubtful about the input, to be shown first.
        compared: the comparison's row where the best was only compared.
        guarded: whether a guard stands before it.
    """

    row: GoodNetRow | None
    level: Level
    figures: str
    sentence: str
    name: str
    clean: Rate
    clean_before: Rate
    attack: Rate | None
    recommendation: str = ""
    warnings: tuple[str, ...] = ()
    compared: ComparisonRow | None = None
    guarded: bool = False

    @property
    def short(self) -> str:
        """Its name where there is little room."""
        name = self.compared.name if self.compared else self.name.removeprefix("The ")
        return name[0].upper() + name[1:]


@dataclass(frozen=True)
class _Candidate:
    """A defence's figures; `row` is the GoodNet's, None for B behind the guard alone and for what was only compared."""

    row: GoodNetRow | None
    name: str
    figures: Figures
    level: Level
    guarded: bool
    compared: ComparisonRow | None = None


def headline(run: PruningRun, rows: Iterable[GoodNetRow]) -> Headline | None:
    """The best of B behind the guard, all rows, plain and guarded, and what the run was compared with; a guard that
    flags nothing is no defence.

    The best has the best assessment; of equals, the least sum of attack success and loss of clean accuracy; of equals,
    the one that comes first, where B behind the guard comes before all GoodNets. The worst poisoned set counts.

    Args:
        rows: a run's GoodNets, as engine.runs.rows makes them.
    Returns:
        None when there is nothing to choose from and nothing to warn of.
    """
    best = min(_candidates(run, rows), key=_harm, default=None)
    alone, warnings = run.curve.figures_at(0), tuple(doubt.sentence for doubt in run.doubts)

    def no_verdict(figures: str, sentence: str, recommendation: str) -> Headline:
        return Headline(None, "unknown", figures, sentence, BADNET, alone.clean, alone.clean_before, alone.attack,
                        recommendation, warnings)

    if not run.plausible:
        return no_verdict("The input is implausible, so there is no verdict",
                          "No figure that was counted is a comfort.", IMPLAUSIBLE)
    if alone.attack and not shows_attack(alone.attacks):
        return no_verdict("These poisoned images don't show a backdoor in this network",
                          f"B itself answers the target label on {percent(alone.attack.value)} of them, so there is "
                          "nothing here that a defence could stop.", RECOMMENDATIONS["unknown"])
    if best:
        return Headline(best.row, best.level, _figures(best.figures), _sentence(best, run), best.name,
                        best.figures.clean, best.figures.clean_before, best.figures.attack,
                        RECOMMENDATIONS[best.level], warnings, best.compared, best.guarded)
    return no_verdict("There is no GoodNet to judge", "No pruning step loses as much as was asked for.",
                      RECOMMENDATIONS["unknown"]) if warnings else None


@dataclass(frozen=True)
class Recommendation:
    """The best row of a comparison.

    Attributes:
        figures: as Headline's; sentence: what to do, the same for the same level everywhere.
    """

    row: ComparisonRow
    level: Level
    figures: str
    sentence: str


def recommendation(run: PruningRun) -> Recommendation | None:
    """What to keep of a run's comparison, chosen as the headline is.

    Returns:
        None where there is no comparison, or no attack that it could have stopped, or the input is implausible.
    """
    shown = run.curve.figures_at(0)
    if not run.comparison or not run.plausible or not shown.attack or not shows_attack(shown.attacks):
        return None
    best = min(_compared(run), key=_harm, default=None)
    if not best or not best.compared:
        return None
    return Recommendation(best.compared, best.level, _figures(best.figures), RECOMMENDATIONS[best.level])


def calibration_text(curve: GuardedCurve) -> str:
    """How a guard came to its threshold, what it really flags, and on what it was measured, in words."""
    return " ".join(filter(None, (threshold_text(curve.guard), measured_text(curve))))


def threshold_text(guard: Guard, name: str = "") -> str:
    """How a guard came to its threshold and what it really flags, in words.

    Args:
        name: what it is called where that isn't its kind.
    """
    facts = guard.calibration
    name = f"{(name or guard.kind).capitalize()} guard"
    if guard.sleeps:
        return guard.note(f"The {name.lower()}")
    asked = (f"{name}: set on {facts.images:,} clean images to flag at most {percent(facts.false_alarms)} of clean "
             "images.")
    if note := guard.note():
        return f"{asked} {note}"
    low, high = facts.held_back.interval
    return (f"{asked} Of {facts.held_back.total:,} clean images held back it flagged {percent(facts.held_back.value)} "
            f"({percent(low)} to {percent(high)} at 95 % confidence).")


def measured_text(curve: GuardedCurve) -> str:
    """Which clean images the figures behind a guard rest on, where that isn't a test set."""
    images = f"{curve.clean.images:,} validation images"
    if curve.measured_on == "images held back":
        return f"Clean figures behind the guard are from {images} that were held back when it was set."
    if curve.measured_on == "calibration images":
        return f"Clean figures behind the guard are from {images} most of which set its threshold, which flatters it."
    return ""


def _candidates(run: PruningRun, rows: Iterable[GoodNetRow]) -> Iterator[_Candidate]:
    guard = f"behind the {run.guarded.guard.kind} guard" if run.guarded else ""
    badnet, awake = badnet_row(run), run.guarded is not None and not run.guarded.guard.sleeps
    if awake and badnet and badnet.guarded and badnet.guarded_assessment:
        yield _Candidate(None, f"B {guard}", badnet.guarded, badnet.guarded_assessment.level, True)
    for row in rows:
        name = f"The GoodNet at X = {row.x:g}"
        yield _Candidate(row, name, row, row.assessment.level, False)
        if awake and row.guarded and row.guarded_assessment:
            yield _Candidate(row, f"{name} {guard}", row.guarded, row.guarded_assessment.level, True)
    yield from _compared(run)


def _compared(run: PruningRun) -> Iterator[_Candidate]:
    """The rows of a run's comparison but the first, which is B without a defence."""
    for row in run.comparison.rows[1:] if run.comparison else ():
        guarded = row.guard != "none"
        judged = assess(row.name, row, changed=row.changed, guarded=guarded, plausible=run.plausible)
        yield _Candidate(None, f"In the comparison, {row.name}", row, judged.level, guarded, row)


def _harm(candidate: _Candidate) -> tuple[int, float]:
    """What is left of the attack and what was lost of clean accuracy, each on its own images, within the level."""
    attack = candidate.figures.attack.value if candidate.figures.attack else 0.0
    # Sums of the same two rates must compare as equal.
    return RANK[candidate.level], round(100 * attack + candidate.figures.points_lost, 7)


def _figures(of: Figures) -> str:
    clean = f"lean accuracy {_change(of.clean_before.value, of.clean.value)}"
    if of.worst is None:
        return f"C{clean}"
    where = f" on {of.worst.title}" if worth_naming([attack.reconstructed for attack in of.attacks]) else ""
    return f"Attack success{where} {_change(of.worst.before.value, of.worst.success.value)}, c{clean}"


def _sentence(best: _Candidate, run: PruningRun) -> str:
    attacks, guarded = best.figures.attacks, run.guarded
    parts = [f"{best.name}: {_MEANINGS[best.level]}"]
    if attacks and best.level in ("repaired", "protected", "costly"):
        parts[0] += f", {as_far_as(attacks)}"
    if len(attacks) > 1:
        parts.append("Attack success on each set: " + ", ".join(map(_told, attacks)))
    if any(attack.reconstructed for attack in attacks):
        parts.append(ESTIMATE)
    if best.compared:
        parts += filter(None, [run.comparison.warning.rstrip(".") if run.comparison else ""])
    elif guarded and best.guarded and measured_text(guarded):
        parts.append(measured_text(guarded).rstrip("."))
    return ". ".join(parts) + "."


def _told(attack: Attack) -> str:
    name = titled(with_target(attack.name, attack.target), attack.reconstructed)
    return f"{name} {_change(attack.before.value, attack.success.value)}"


def _change(before: float, after: float) -> str:
    return f"{percent(before)} → {percent(after)}"
