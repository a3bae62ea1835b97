"""What a run, a comparison of defences and a measured GoodNet look like as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine import backend
from engine.assessment import Assessment, Figures, Level, percent, titled, with_target
from engine.cli.printing import rate_text, say, say_table, warn
from engine.data.classes import other_name_of
from engine.data.preprocessing import preprocessing
from engine.defences.comparison import Comparison
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.pair import GoodNet
from engine.guards.guarded_curve import GuardedCurve
from engine.literal import literal
from engine.pruning.thresholds import rule_text
from engine.rates import Rate
from engine.reports.headline import Headline, headline, measured_text, threshold_text
from engine.reports.run_differences import b_beside, best_of, worst_attack
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, price_text, rows_of

SUMMARY_HEADINGS = ("best defence", "B: clean", "B: attack", "best: clean", "best: attack")
_STYLES: dict[Level, str] = {"repaired": "green", "protected": "green", "costly": "yellow", "weakened": "yellow",
                             "failed": "red"}


def say_run(run: PruningRun) -> None:
    """A finished run: first what is doubtful about its input, then what to take home, then all figures."""
    model, curve, rows = run.model, run.curve, rows_of(run)
    best = headline(run, rows)
    if best:
        _say_headline(best)
    dead = int((run.ranking.mean_activation == 0).sum())
    say(f"{model.path.name}: {model.labels} labels, {model.channels} channels of {model.layer} pruned in order"
        + (f" ({dead} never active)" if dead else ""))
    if model.labelling:
        say(model.labelling)
    say(f"values {preprocessing(model.scale).words}; on {curve.clean.name} "
        f"({curve.clean.images} images), B alone: clean accuracy {rate_text(curve.clean.b_prime_rate(0))}"
        + "".join(f"; attack success on {p.name} {rate_text(p.b_prime_rate(0))}" for p in curve.poisoned))
    say(rule_text(run.request.drop_mode, run.request.stop))
    say()
    names, unit = [p.title for p in curve.poisoned], "points" if run.request.drop_mode == "points" else "per cent"
    say_table(["pair", "pruned", f"drop, {unit}", *_headings(names)],
              [[f"X = {row.x:g}", str(row.channels_pruned), f"{row.lost:.2f}", *_figures(row)] for row in rows])
    if run.guarded:
        say()
        _say_guarded(run.guarded, rows)
    say()
    for row in rows:
        say_assessment(row.assessment)
    if price_text(rows):
        say(price_text(rows))
    say_unreached(run)
    say(f"{run.seconds:.1f} s on {run.device} with TensorFlow {backend.load()[0].__version__}")


def say_unreached(run: PruningRun) -> None:
    """Thresholds of a run that no step reaches, so that no pair stands for them."""
    reached = {row.x for row in rows_of(run)}
    for x in run.request.drops:
        if x not in reached:
            say(f"X = {x:g} is never reached: no pruning step loses that much accuracy.")


def summary_cells(run: PruningRun) -> list[str]:
    """A run in one row of a table, see SUMMARY_HEADINGS; attack success is the highest over its poisoned sets."""
    best = best_of(run)
    return [best.name if best else "-", percent(b_beside(best, run).value),
            _percent(worst_attack(run.curve.poisoned, 0)), rate_text(best.clean if best else None),
            rate_text(best.attack if best else None)]


def say_comparison(comparison: Comparison) -> None:
    """All defences side by side."""
    names = [attack.title for attack in comparison.rows[0].attacks] if comparison.rows else []
    say_table(["defence", "guard", "clean accuracy", *_of_each("attack success", names), "robust", "seconds"],
              [[row.defence, row.guard, rate_text(row.clean), *_attacks(row),
                _percent(row.robust), f"{row.seconds:.1f}"] for row in comparison.rows], left=2)
    if comparison.warning:
        warn(comparison.warning)


def say_evaluations(found: Sequence[Evaluation]) -> None:
    """What a GoodNet is worth on each set, and behind its guard."""
    say_table(["set", "images", *_headings([])], [row for e in found for row in _evaluation_rows(e)])


def say_assessment(found: Assessment) -> None:
    """What figures mean."""
    say(found.sentence, _STYLES.get(found.level, ""))


def say_names(labels: Iterable[int], names: Sequence[str]) -> None:
    """What labels are called besides their numbers, each once, where somebody says."""
    for label in dict.fromkeys(labels):
        if name := other_name_of(label, names):
            say(f"Label {label} is {name}.")


def say_guard(goodnet: GoodNet) -> None:
    """Which guard stands before a GoodNet and what it was set to, where there is one."""
    if goodnet.guard:
        say(threshold_text(goodnet.guard, goodnet.guard_name))


def _say_headline(best: Headline) -> None:
    for warning in best.warnings:
        warn(warning)
    say(f"{best.figures.replace('→', '->')}.", f"bold {_STYLES.get(best.level, '')}".strip())
    say(best.sentence.replace("→", "->"))  # not every terminal has arrows
    say(best.recommendation)
    say()


def _say_guarded(curve: GuardedCurve, rows: Sequence[GoodNetRow]) -> None:
    calibration, names = curve.guard.calibration, [p.title for p in curve.poisoned]
    say(f"behind the {curve.guard.kind} guard ({calibration.images} calibration images, "
        f"{percent(calibration.false_alarms)} false alarms asked for)")
    steps = [("B", 0), *((f"X = {row.x:g}", row.channels_pruned) for row in rows)]
    say_table(["behind the guard", "pruned", *_headings(names)],
              [[name, str(step), *_figures(curve.figures_at(step))] for name, step in steps])
    for note in filter(None, (curve.guard.note(), measured_text(curve))):
        say(note)


def _evaluation_rows(e: Evaluation) -> list[list[str]]:
    def row(name: str, correct: Rate, flagged: Rate) -> list[str]:
        rates = (None, correct, None, flagged) if e.poisoned else (correct, None, flagged, None)
        return [name, str(e.images), *map(rate_text, rates[:2]), *map(_percent, rates[2:])]

    name = titled(with_target(e.name, e.target), e.reconstructed) if e.poisoned else e.name
    rows = [row(name, e.correct, e.flagged)]
    if e.guarded_correct and e.guarded_flagged:
        rows.append(row(f"{name}, behind the guard", e.guarded_correct, e.guarded_flagged))
    return rows


def _headings(names: Sequence[str]) -> list[str]:
    return ["clean accuracy", *_of_each("attack success", names), "false alarms", *_of_each("detection", names)]


def _of_each(heading: str, names: Sequence[str]) -> list[str]:
    """A column for each poisoned set, or one where there is none or only one."""
    return [f"{heading}, {literal(name)}" for name in names] if len(names) > 1 else [heading]


def _figures(figures: Figures) -> list[str]:
    return [rate_text(figures.clean), *_attacks(figures), _percent(figures.false_alarms),
            *([_percent(attack.detection) for attack in figures.attacks] or ["-"])]


def _attacks(figures: Figures) -> list[str]:
    return [rate_text(attack.success) for attack in figures.attacks] or ["-"]


def _percent(rate: Rate | None) -> str:
    return percent(rate.value) if rate else "-"
