"""What a run, its defences and an examination found, as CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.assessment import Attack
from engine.data.classes import name_of
from engine.defences.comparison import Comparison, ComparisonRow
from engine.literal import csv_cell
from engine.pruning.sweep import PruningCurve
from engine.rates import Rate
from engine.records.json_of import curve_json
from engine.runs.examine import Examination, Tried

# Columns and what they are called in ComparisonRow; of several poisoned sets the one on which the attack works most.
_RATES = {"clean_accuracy": "clean", "attack_success": "attack", "robust_accuracy": "robust",
          "false_alarms": "false_alarms", "detection": "detection"}


def write_csv(path: Path, headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table in UTF-8; text in it that a spreadsheet would compute is made plain."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(map(csv_cell, row) for row in (headings, *rows))


def write_curve_csv(curve: PruningCurve, path: Path) -> None:
    """One row a step, one column a rate; rates are fractions."""
    columns: dict[str, Iterable[Any]] = {"channels_pruned": range(len(curve.order) + 1)}
    columns["channel"] = ["", *curve.order.tolist()]
    document = curve_json(curve)
    for role in ("validation", "test"):
        for key in ("b_prime_accuracy", "goodnet_accuracy", "false_alarm_rate"):
            if document[role]:
                columns[f"{role}_{key}"] = document[role][key]
    for number, counts in enumerate(document["poisoned"], start=1):
        for key in ("b_prime_asr", "goodnet_asr", "detection_rate"):
            columns[f"poisoned_{number}_{key}"] = counts[key]
    write_csv(path, columns, zip(*columns.values(), strict=True))


def write_comparison_csv(comparison: Comparison, path: Path) -> None:
    """A row for each defence and guard; rates are fractions with the ends of their 95 % intervals, empty if unknown."""
    several = _several(comparison)
    write_csv(path, ["defence", "guard", *(f"{name}{end}" for name in _RATES for end in ("", "_low", "_high")),
                     "seconds", *(f"attack_success_{place}" for place, _ in enumerate(several, 1))],
              ([row.defence, row.guard, *_rates(row), round(row.seconds, 3),
                *(attack.success.value for attack in row.attacks if several)] for row in comparison.rows))


def _several(comparison: Comparison) -> tuple[Attack, ...]:
    """The poisoned sets where there are several, which then have a column each."""
    attacks = comparison.rows[0].attacks if comparison.rows else ()
    return attacks if len(attacks) > 1 else ()


def write_examination_csv(found: Examination, names: Sequence[str], path: Path) -> None:
    """A row for each label tried, most suspicious first; `names` of labels, empty where there are none."""
    def row(tried: Tried) -> list[Any]:
        one = tried.evidence
        return [one.label, name_of(one.label, names) or "", one.label in found.judgement.guilty,
                tried.suspect, tried.suspicion, one.scan_count, one.mask_pixels, one.success.value,
                *one.success.interval, one.margin, one.universal, one.filters]

    write_csv(path, ["label", "name", "guilty", "suspect", "suspicion", "scan_count", "mask_pixels", "success_rate",
                     "success_rate_low", "success_rate_high", "margin", "universal_stamps", "colour_filters"],
              map(row, found.tried))


def _rates(row: ComparisonRow) -> Iterator[float | str]:
    for attribute in _RATES.values():
        rate: Rate | None = getattr(row, attribute)
        yield from (rate.value, *rate.interval) if rate else ("", "", "")
