"""A repaired pair as a folder: the pair's files, and what it is worth in evaluation.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.files.saving import whole_folder
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.saved import write_pair
from engine.records.json_of import calibration_json, finite, rate_json
from engine.runs.repair import RepairedPair


def save_repaired(pair: RepairedPair, folder: Path) -> tuple[str, ...]:
    """Write the pair's folder with evaluation.json beside its files; it appears whole or not at all.

    Returns:
        What was left out, a sentence each.
    Raises:
        OutputError: it can't be written.
    """
    with whole_folder(folder, (pair.goodnet.b.path,)) as temporary:
        return write_repaired(pair, temporary)


def write_repaired(pair: RepairedPair, folder: Path) -> tuple[str, ...]:
    """The files of save_repaired in a folder that exists; returns what was left out."""
    left_out = write_pair(pair.goodnet, folder, pair.pictures)
    (folder / "evaluation.json").write_text(json.dumps(repaired_json(pair), indent=1) + "\n", encoding="utf-8")
    return left_out


def repaired_json(pair: RepairedPair) -> dict[str, Any]:
    """What a repaired pair is worth, as evaluation.json holds it; rates are fractions."""
    def one(e: Evaluation) -> dict[str, Any]:
        clean = not e.poisoned
        flagged = "false_alarm_rate" if clean else "detection_rate"
        return {"name": e.name, "images": e.images, "target": e.target,
                **rate_json("goodnet_accuracy" if clean else "goodnet_asr", e.correct), **rate_json(flagged, e.flagged),
                **({} if clean else {"reconstructed": e.reconstructed}),
                **({**rate_json("guarded_accuracy" if clean else "guarded_asr", e.guarded_correct),
                    **rate_json(f"guarded_{flagged}", e.guarded_flagged)} if e.guarded_correct else {})}

    clean, *poisoned = pair.evaluations
    guard = pair.goodnet.guard
    judged = pair.assessment
    return {"method": pair.method, "warning": pair.warning, "level": judged.level if judged else None,
            "assessment": judged.sentence if judged else None, "test": one(clean),
            "guard": {"name": pair.goodnet.guard_name, "threshold": finite(guard.threshold),
                      **calibration_json(guard)} if guard else None,
            "poisoned": [one(e) for e in poisoned]}
