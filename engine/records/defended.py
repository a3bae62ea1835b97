"""A defended network as files: the chosen GoodNet's folder, what it was chosen from, and a report."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from engine.defences.comparison import ComparisonRow
from engine.files.saving import whole_folder
from engine.goodnets.saved import DEFENDED, IN_DEFENDED
from engine.models.networks import Network
from engine.records.examination import INSIDE, examination_json, made_with, write_examination
from engine.records.json_of import Json, write_json
from engine.records.repaired_pair import write_repaired
from engine.runs.defend import Defended
from engine.runs.opening.inputs import Opened
from engine.runs.reconstructed import to_wear


def save_defended(
    defended: Defended, opened: Opened, folder: Path, spared: Iterable[Path] = (),
) -> tuple[str, ...]:
    """Write `goodnet/`, `examination/`, defend.json and report.html; the folder appears whole or not at all.

    Args:
        spared: what is never replaced, besides what was read.
    Returns:
        What was left out, a sentence each.
    Raises:
        OutputError: it can't be written, or would replace what isn't this program's or what was read.
    """
    # It brings matplotlib and Jinja, which a cancelled run needn't wait for.
    from engine.reports.pages.defended import defended_html

    network: Network = opened.network
    inputs = (network.path, *(s.dataset.path for s in opened.files), *spared)
    with whole_folder(folder, inputs) as temporary:
        (temporary / IN_DEFENDED).mkdir()
        left_out = write_repaired(defended.pair, temporary / IN_DEFENDED)
        (temporary / INSIDE).mkdir()
        making, measuring = opened.to_make_and_measure()
        write_examination(defended.examination, network,
                          to_wear(defended.examination.judgement.guilty, measuring, making), temporary / INSIDE,
                          opened.of("validation")[0].path.name,
                          made_with=made_with(opened, clean_sha256=defended.run.datasets[0].sha256))
        write_json(temporary / DEFENDED, defended_json(defended))
        page = defended_html(defended, network.path.name, datetime.date.today())
        (temporary / "report.html").write_text(page, encoding="utf-8")
    return left_out


def defended_json(defended: Defended) -> Json:
    """What was chosen and from what, as its contract names it; rates are fractions."""
    return {"chosen": defended.chosen.name,
            "measured": {**_candidate(defended.chosen, defended.estimated), "images": defended.chosen.clean.total,
                         "clean_accuracy_before": defended.chosen.clean_before.value,
                         "chosen_by_other_images": defended.apart},
            "candidates": [_candidate(row, defended.estimated) for row in defended.candidates],
            "holds_against": list(defended.holds_against), "not_tried": list(defended.not_tried),
            "cautions": list(defended.cautions), "examination": examination_json(defended.examination),
            "seconds": round(defended.seconds, 1)}


def _candidate(row: ComparisonRow, estimated: bool) -> Json:
    return {"name": row.name, "clean_accuracy": row.clean.value, "false_alarm_rate": row.false_alarms.value,
            "attack_success_rate": {attack.name: attack.success.value for attack in row.attacks},
            "detection_rate": {attack.name: attack.detection.value for attack in row.attacks},
            "reconstructed": {attack.name: attack.reconstructed for attack in row.attacks},
            "estimated": estimated, "seconds": round(row.seconds, 1)}
