"""All defences as a CSV table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from engine.defences.comparison import Comparison, ComparisonRow
from engine.rates import Rate

_RATES = ("clean_accuracy", "attack_success", "robust_accuracy", "false_alarms", "detection")


def write_comparison_csv(comparison: Comparison, path: Path) -> None:
    """A row for each defence and guard; rates are fractions with the ends of their 95 % intervals, empty if unknown."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["defence", "guard", *(f"{name}{end}" for name in _RATES for end in ("", "_low", "_high")),
                         "seconds"])
        for row in comparison.rows:
            writer.writerow([row.defence, row.guard, *_rates(row), round(row.seconds, 3)])


def _rates(row: ComparisonRow) -> Iterator[float | str]:
    for name in _RATES:
        rate: Rate | None = getattr(row, name)
        yield from (rate.value, *rate.interval) if rate else ("", "", "")
