"""What a run, a comparison of defences and a measured GoodNet look like as text."""

from __future__ import annotations

from collections.abc import Sequence

from engine import backend
from engine.assessment import Level, percent
from engine.cli.printing import rate_text, say, say_table
from engine.data.preprocessing import preprocessing
from engine.defences.comparison import Comparison
from engine.goodnets.evaluation import Evaluation
from engine.guards.guarded_curve import GuardedCurve, figures_at
from engine.rates import Rate
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, rows_of

_STYLES: dict[Level, str] = {"repaired": "green", "costly": "yellow", "weakened": "yellow", "failed": "red"}
_FIGURES = ("clean accuracy", "attack success", "false alarms", "detection")


def say_run(run: PruningRun) -> None:
    """A finished run."""
    model, curve, rows = run.model, run.curve, rows_of(run)
    dead = int((run.ranking.mean_activation == 0).sum())
    say(f"{model.path.name}: {model.labels} labels, {model.channels} channels of {model.layer} pruned in order"
        + (f" ({dead} never active)" if dead else ""))
    say(f"values {preprocessing(model.scale).words}; on {curve.clean.name} "
        f"({curve.clean.images} images), B alone: clean accuracy {rate_text(curve.clean.b_prime_rate(0))}"
        + "".join(f"; attack success on {p.name} {rate_text(p.b_prime_rate(0))}" for p in curve.poisoned[:1]))
    say()
    say_table(["X", "pruned", "drop, points", *_FIGURES],
              [[f"{row.x:g}", str(row.channels_pruned), f"{row.drop_points:.2f}",
                *_figures(row.clean, row.attack, row.false_alarms, row.detection)] for row in rows], left=0)
    if run.guarded:
        say()
        _say_guarded(run.guarded, rows)
    say()
    for row in rows:
        say(row.assessment.sentence, _STYLES.get(row.assessment.level, ""))
    for x in run.request.drops:
        if x not in {row.x for row in rows}:
            say(f"X = {x:g} is never reached: no pruning step loses that much accuracy.")
    say(f"{run.seconds:.1f} s on {run.device} with TensorFlow {backend.load()[0].__version__}")


def say_comparison(comparison: Comparison) -> None:
    """All defences side by side."""
    say_table(["defence", "guard", "clean accuracy", "attack success", "robust", "seconds"],
              [[row.defence, row.guard, rate_text(row.clean_accuracy), rate_text(row.attack_success),
                _percent(row.robust_accuracy), f"{row.seconds:.1f}"] for row in comparison.rows], left=2)


def say_evaluations(found: Sequence[Evaluation]) -> None:
    """What a GoodNet is worth on each set, and behind its guard."""
    say_table(["set", "images", *_FIGURES], [row for e in found for row in _evaluation_rows(e)])


def _say_guarded(curve: GuardedCurve, rows: Sequence[GoodNetRow]) -> None:
    calibration = curve.guard.calibration
    say(f"behind the {curve.guard.kind} guard ({calibration.images} calibration images, "
        f"{percent(calibration.false_alarms)} false alarms asked for)")
    steps = [("B", 0), *((f"{row.x:g}", row.channels_pruned) for row in rows)]
    found = [(name, step, figures_at(curve, step)) for name, step in steps]
    say_table(["X", "pruned", *_FIGURES],
              [[name, str(step), *_figures(f.clean, f.attack, f.false_alarms, f.detection)]
               for name, step, f in found], left=0)
    if curve.guard.note:
        say(curve.guard.note)


def _evaluation_rows(e: Evaluation) -> list[list[str]]:
    def row(name: str, correct: Rate, flagged: Rate) -> list[str]:
        figures = _figures(correct, None, flagged, None) if e.target is None else _figures(None, correct, None, flagged)
        return [name, str(e.images), *figures]

    name = e.name if e.target is None else f"{e.name} (target {e.target})"
    rows = [row(name, e.correct, e.flagged)]
    if e.guarded_correct and e.guarded_flagged:
        rows.append(row(f"{name}, behind the guard", e.guarded_correct, e.guarded_flagged))
    return rows


def _figures(clean: Rate | None, attack: Rate | None, alarms: Rate | None, detection: Rate | None) -> list[str]:
    return [rate_text(clean), rate_text(attack), _percent(alarms), _percent(detection)]


def _percent(rate: Rate | None) -> str:
    return percent(rate.value) if rate else "-"
