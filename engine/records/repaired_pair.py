"""What a pair is worth, as JSON; a repaired one as a folder: the pair's files, and that in evaluation.json."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.files.saving import whole_folder
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.saved import write_pair
from engine.guards.calibration import Guard
from engine.records.json_of import calibration_json, finite, rate_json, write_json
from engine.runs.pairs import MeasuredPair
from engine.runs.repair import RepairedPair


def save_repaired(pair: RepairedPair, folder: Path, spared: Iterable[Path] = ()) -> tuple[str, ...]:
    """Write the pair's folder with evaluation.json beside its files; it appears whole or not at all.

    Args:
        spared: what is never replaced, besides the network's own file.
    Returns:
        What was left out, a sentence each.
    Raises:
        OutputError: it can't be written, or would replace what isn't this program's or what is spared.
    """
    with whole_folder(folder, (pair.goodnet.b.path, *spared)) as temporary:
        return write_repaired(pair, temporary)


def write_repaired(pair: RepairedPair, folder: Path) -> tuple[str, ...]:
    """The files of save_repaired in a folder that exists; returns what was left out."""
    left_out = write_pair(pair.goodnet, folder, pair.pictures)
    write_json(folder / "evaluation.json", repaired_json(pair))
    return left_out


def repaired_json(pair: RepairedPair) -> dict[str, Any]:
    """What a repaired pair is worth, as evaluation.json holds it; rates are fractions."""
    def one(e: Evaluation) -> dict[str, Any]:
        right, flagged = ("asr", "detection_rate") if e.poisoned else ("accuracy", "false_alarm_rate")
        return {**_set_json(e), **({**rate_json(f"guarded_{right}", e.guarded_correct),
                                    **rate_json(f"guarded_{flagged}", e.guarded_flagged)} if e.guarded_correct else {})}

    clean, *poisoned = pair.evaluations
    guard = pair.goodnet.guard
    judged = pair.assessment
    return {"method": pair.method, "warning": pair.warning, "level": judged.level if judged else None,
            "assessment": judged.sentence if judged else None, "test": one(clean),
            "guard": {"name": pair.goodnet.guard_name, "threshold": finite(guard.threshold),
                      **calibration_json(guard)} if guard else None,
            "poisoned": [one(e) for e in poisoned]}


def measured_json(pair: MeasuredPair) -> dict[str, Any]:
    """What a saved pair is worth on data sets, as `evaluate --json` gives it; rates are fractions."""
    goodnet, (test, *poisoned) = pair.goodnet, pair.evaluations
    without_target = {key: value for key, value in _set_json(test).items() if key != "target"}
    return {"test": without_target, "poisoned": [_set_json(e) for e in poisoned],
            "guarded": _guarded_json(goodnet.guard, goodnet.guard_name, test, poisoned) if goodnet.guard else None,
            "preprocess": goodnet.preprocessing.name, "warnings": [*goodnet.warnings, *pair.doubts, *pair.measured]}


def _set_json(e: Evaluation) -> dict[str, Any]:
    right, flagged = ("asr", "detection_rate") if e.poisoned else ("accuracy", "false_alarm_rate")
    return {"name": e.name, "images": e.images, "target": e.target, **rate_json(f"goodnet_{right}", e.correct),
            **rate_json(flagged, e.flagged), **({"reconstructed": e.reconstructed} if e.poisoned else {})}


def _guarded_json(guard: Guard, name: str, test: Evaluation, poisoned: list[Evaluation]) -> dict[str, Any]:
    first = poisoned[0] if poisoned else None
    each = [{"name": p.name, "target": p.target, **rate_json("attack_success_rate", p.guarded_correct),
             **rate_json("detection_rate", p.guarded_flagged), "reconstructed": p.reconstructed} for p in poisoned]
    return {"guard": guard.kind, "name": name, "threshold": finite(guard.threshold),
            "false_alarms_asked": guard.calibration.false_alarms,
            **rate_json("clean_accuracy", test.guarded_correct),
            **rate_json("attack_success_rate", first.guarded_correct if first else None),
            **rate_json("false_alarm_rate", test.guarded_flagged),
            **rate_json("detection_rate", first.guarded_flagged if first else None), "poisoned": each}
