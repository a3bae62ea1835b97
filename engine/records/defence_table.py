"""What defences and an examination found, as CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.assessment import Attack
from engine.defences.comparison import Comparison, ComparisonRow
from engine.literal import csv_cell
from engine.rates import Rate
from engine.runs.examine import Examination

# Columns and what they are called in ComparisonRow; of several poisoned sets the one on which the attack works most.
_RATES = {"clean_accuracy": "clean", "attack_success": "attack", "robust_accuracy": "robust",
          "false_alarms": "false_alarms", "detection": "detection"}


def write_comparison_csv(comparison: Comparison, path: Path) -> None:
    """A row for each defence and guard; rates are fractions with the ends of their 95 % intervals, empty if unknown."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["defence", "guard", *(f"{name}{end}" for name in _RATES for end in ("", "_low", "_high")),
                         "seconds", *(f"attack_success_{place}" for place, _ in enumerate(_several(comparison), 1))])
        for row in comparison.rows:
            each = [attack.success.value for attack in row.attacks] if _several(comparison) else []
            writer.writerow([csv_cell(row.defence), csv_cell(row.guard), *_rates(row), round(row.seconds, 3), *each])


def _several(comparison: Comparison) -> tuple[Attack, ...]:
    """The poisoned sets where there are several, which then have a column each."""
    attacks = comparison.rows[0].attacks if comparison.rows else ()
    return attacks if len(attacks) > 1 else ()


def write_examination_csv(found: Examination, names: Sequence[str], path: Path) -> None:
    """A row for each label tried, most suspicious first; `names` of labels, empty where there are none."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["label", "name", "guilty", "suspect", "suspicion", "scan_count", "mask_pixels",
                         "success_rate", "success_rate_low", "success_rate_high", "margin", "universal_stamps"])
        for tried in found.tried:
            one = tried.evidence
            name = names[one.label] if one.label < len(names) else ""
            writer.writerow([one.label, csv_cell(name), one.label in found.judgement.guilty, tried.suspect,
                             tried.suspicion, one.scan_count, one.mask_pixels, one.success.value,
                             *one.success.interval, one.margin, one.universal])


def _rates(row: ComparisonRow) -> Iterator[float | str]:
    for attribute in _RATES.values():
        rate: Rate | None = getattr(row, attribute)
        yield from (rate.value, *rate.interval) if rate else ("", "", "")
