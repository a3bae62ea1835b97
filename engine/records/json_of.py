"""What was measured, as JSON: rates, sets, curves, guards and defences. The keys are a contract; add, never rename."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from engine.assessment import Attack, Figures
from engine.defences.comparison import Comparison, ComparisonRow
from engine.defences.scan import Scan
from engine.guards.calibration import Guard
from engine.guards.guarded_curve import GuardedCurve
from engine.pruning.sweep import PruningCurve, SetCounts
from engine.rates import Rate

Json = dict[str, Any]


def comparison_json(comparison: Comparison) -> list[Json]:
    """All defences side by side, a row each, plain and behind guards."""
    def one(row: ComparisonRow) -> Json:
        first = row.attacks[0] if row.attacks else None
        return {"defence": row.defence, "guard": row.guard, "paired": row.paired, **figures_json(row),
                **rate_json("robust_accuracy", first.robust if first else None),
                **rate_json("badnet_clean_accuracy", row.clean_before), "seconds": round(row.seconds, 3),
                "images": row.clean.total, "poisoned_images": first.success.total if first else None}

    return [one(row) for row in comparison.rows]


def curve_json(curve: PruningCurve) -> Json:
    """The curve's rates, one entry a step."""
    return {"channels_pruned": list(range(len(curve.order) + 1)), "validation": clean_json(curve.validation),
            "test": clean_json(curve.test) if curve.test else None,
            "poisoned": [poisoned_json(counts) for counts in curve.poisoned]}


def clean_json(counts: SetCounts) -> Json:
    """A clean set's rates, one entry a step; rate times images is the count."""
    steps = range(len(counts.correct))
    return {"name": counts.name, "images": counts.images,
            "b_prime_accuracy": [counts.b_prime_rate(k).value for k in steps],
            "goodnet_accuracy": [counts.goodnet_rate(k).value for k in steps],
            "false_alarm_rate": [counts.flagged_rate(k).value for k in steps]}


def poisoned_json(counts: SetCounts) -> Json:
    """A poisoned set's rates, one entry a step; rate times images is the count."""
    steps = range(len(counts.correct))
    return {"name": counts.name, "images": counts.images, "target": counts.target,
            "b_prime_asr": [counts.b_prime_rate(k).value for k in steps],
            "goodnet_asr": [counts.goodnet_rate(k).value for k in steps],
            "detection_rate": [counts.flagged_rate(k).value for k in steps], "reconstructed": counts.reconstructed}


def badnet_json(curve: PruningCurve) -> Json:
    """B alone, on the sets that the GoodNets' figures are from."""
    return {**rate_json("clean_accuracy", curve.clean.b_prime_rate(0)),
            **rate_json("attack_success_rate", curve.poisoned[0].b_prime_rate(0) if curve.poisoned else None),
            "poisoned": [attack_json(counts.attack_at(0)) for counts in curve.poisoned]}


def guarded_json(curve: GuardedCurve, step: int) -> Json:
    """Figures behind a guard; the threshold is null where too few images were there to set one."""
    return {"guard": curve.guard.kind, "threshold": finite(curve.guard.threshold),
            **figures_json(curve.figures_at(step))}


def figures_json(figures: Figures) -> Json:
    """What a defence costs and stops: attack and detection of the first poisoned set, then of all in order."""
    first = figures.attacks[0] if figures.attacks else None
    return {**rate_json("clean_accuracy", figures.clean),
            **rate_json("attack_success_rate", first.success if first else None),
            **rate_json("false_alarm_rate", figures.false_alarms),
            **rate_json("detection_rate", first.detection if first else None),
            "poisoned": [attack_json(attack) for attack in figures.attacks]}


def attack_json(attack: Attack) -> Json:
    """What one poisoned set says of a defence."""
    return {"name": attack.name, "target": attack.target, "images": attack.success.total,
            **rate_json("attack_success_rate", attack.success), **rate_json("detection_rate", attack.detection),
            **rate_json("badnet_attack_success_rate", attack.before), "reconstructed": attack.reconstructed,
            **(rate_json("robust_accuracy", attack.robust) if attack.robust else {})}


def calibration_json(guard: Guard) -> Json:
    """How a guard was calibrated."""
    calibration = guard.calibration
    return {"kind": guard.kind, "false_alarms_asked": calibration.false_alarms,
            "calibration_images": calibration.images, "seed": calibration.seed, "note": guard.note(),
            **rate_json("held_back_false_alarm_rate", calibration.held_back)}


def scan_json(found: Scan) -> Json:
    """A scan as its contract names it, most suspect first."""
    return {"stamps": found.stamps, "changed": found.changed, "overflowed": found.overflowed,
            "sentence": found.sentence,
            "suspects": [{"rank": rank, "label": s.label, "count": s.count}
                         for rank, s in enumerate(found.suspects, start=1)]}


def rate_json(name: str, rate: Rate | None) -> Json:
    """A rate and its interval under two keys, null where it isn't known."""
    if rate is None or not rate.total:
        return {name: None, f"{name}_interval": None}
    return {name: finite(rate.value), f"{name}_interval": list(rate.interval)}


def json_text(document: Json) -> str:
    """A document as all JSON files are written: letters of ASCII alone, no nan."""
    return json.dumps(document, indent=1, allow_nan=False)


def write_json(path: Path, document: Json) -> None:
    """Write a document as JSON, with a final newline."""
    write_text(path, json_text(document))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with a final newline."""
    # On Linux a file's name may hold bytes that are no text; they stay unreadable, the rest is written.
    path.write_text(text + "\n", encoding="utf-8", errors="replace")


def finite(value: float) -> float | None:
    """JSON has no nan."""
    return None if not math.isfinite(value) else float(np.float64(value))
