"""Measures all defences on the lab's real BadNet and prints one table.

    python -m benchmarks.defences --lab3 FOLDER [--seed 0]

Calibrates, trains and ranks on clean faces 0 to 99, tests on faces 100 to 179, clean and with the trigger. Then
repeats the transplant guard on five random splits by row (the faces are stored as 9 rows of 20 people). Attack success
counts all poisoned images, also the 4 of the 80 that really show the target person.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from engine.assessment import percent
from engine.data.datasets import Dataset, open_dataset
from engine.data.subsets import subset
from engine.defences.comparison import Comparison, Defence, GuardDefence, compare
from engine.defences.distillation import distil
from engine.defences.fine_pruning import fine_prune
from engine.defences.scan import scan
from engine.defences.training import repaired_network
from engine.guards.calibration import Guard, calibrate
from engine.models.networks import Network, open_network
from engine.pruning.ranking import rank_channels
from engine.rates import Rate
from engine.runs.opening.feeding import find_feeding

PEOPLE, ROWS, CALIBRATION_ROWS = 20, 9, 5
SPLITS = 5
# Pruned as deep as the attack needs to fall, see the README of the lab's files.
CHANNELS_PRUNED = 54

Made = TypeVar("Made")


def main() -> None:
    """Run the whole measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab3", type=Path, required=True, help="the folder with bd_weights.h5 and the faces")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    network = open_network(options.lab3 / "bd_weights.h5")
    clean = open_dataset(options.lab3 / "clean_faces.h5", network.input_shape, network.labels)
    feeding = find_feeding(network, clean).best
    clean = clean.prepared(feeding)
    poisoned = open_dataset(options.lab3 / "poisoned_faces.h5", network.input_shape, network.labels).prepared(feeding)

    print(table(compare_all(network, clean, poisoned, options.seed)))
    print()
    print(splits_text(network, clean, poisoned, options.seed))
    print()
    print(speed_text(network, clean, poisoned, options.seed))
    seconds, found = timed(lambda: scan(network, clean, seed=options.seed))
    print(f"scan: {seconds:.1f} s. {found.sentence}")


def compare_all(network: Network, clean: Dataset, poisoned: Dataset, seed: int) -> Comparison:
    """Make every defence from faces 0 to 99 and compare them on the rest."""
    first, rest = range(100), range(100, len(clean))
    known, test = subset(clean, first), subset(clean, rest)
    layer = network.default_layer()
    rank_seconds, ranking = timed(lambda: rank_channels(network, layer, known))
    channels = ranking.order[:CHANNELS_PRUNED].tolist()
    tune_seconds, tuned = timed(lambda: fine_prune(network, known, layer, channels, seed=seed,
                                                   allow_missing_labels=True))
    repair_seconds, repair = timed(lambda: distil(network, known, seed=seed, allow_missing_labels=True))
    defences = [
        Defence("B alone", None, 0),
        Defence("pruned GoodNet", network.pruned(layer, channels), rank_seconds),
        Defence("fine-pruned GoodNet", repaired_network(network, tuned), rank_seconds + tune_seconds),
        Defence("repaired GoodNet", repaired_network(network, repair), repair_seconds),
        Defence("repaired, without B", repaired_network(network, repair), repair_seconds, paired=False),
    ]
    guards = [_timed_guard(network, known, "transplant", seed), _timed_guard(network, known, "margin", seed)]
    return compare(network, defences, guards, test, [subset(poisoned, rest)], [test.labels])


def splits_text(network: Network, clean: Dataset, poisoned: Dataset, seed: int) -> str:
    """The transplant guard on five random splits by row."""
    lines, losses, attacks = ["B behind the transplant guard, random splits by row:"], [], []
    row_of = np.arange(len(clean)) // PEOPLE
    rng = np.random.default_rng(seed)
    for _ in range(SPLITS):
        rows = rng.permutation(ROWS)
        known = np.flatnonzero(np.isin(row_of, rows[:CALIBRATION_ROWS]))
        test = np.flatnonzero(np.isin(row_of, rows[CALIBRATION_ROWS:]))
        guards = [_timed_guard(network, subset(clean, known.tolist()), "transplant", seed)]
        plain, guarded = compare(network, [Defence("B", None, 0)], guards, subset(clean, test.tolist()),
                                 [subset(poisoned, test.tolist())]).rows
        assert guarded.attack is not None
        losses.append(100 * (plain.clean.value - guarded.clean.value))
        attacks.append(100 * guarded.attack.value)
        lines.append(f"  rows {sorted(rows[:CALIBRATION_ROWS].tolist())} calibrate: clean accuracy "
                     f"{percent(plain.clean.value)} -> {percent(guarded.clean.value)}, "
                     f"attack success {percent(guarded.attack.value)}")
    lines.append(f"  mean loss of clean accuracy {np.mean(losses):.2f} points, mean attack success "
                 f"{np.mean(attacks):.2f} %")
    return "\n".join(lines)


def speed_text(network: Network, clean: Dataset, poisoned: Dataset, seed: int) -> str:
    """Images a second of the transplant guard, in one call with all images."""
    guard = calibrate(network, clean, seed=seed).on(network)
    everything = range(len(clean))
    sets = {"clean": clean.take(everything), "poisoned": poisoned.take(everything)}
    guard.scores(sets["clean"])  # builds the graph
    speeds = {name: len(images) / timed(partial(guard.scores, images))[0] for name, images in sets.items()}
    return "transplant guard: " + ", ".join(f"{speed:.0f} {name} images a second" for name, speed in speeds.items())


def table(comparison: Comparison) -> str:
    """The comparison for people, rates in per cent with their 95 % interval."""
    lines = [f"{'defence':<21}{'guard':<11}{'clean accuracy':>20}{'attack success':>20}{'robust accuracy':>20}"
             f"{'false alarms':>20}{'detection':>20}{'seconds':>9}"]
    for row in comparison.rows:
        rates = (row.clean, row.attack, row.robust, row.false_alarms, row.detection)
        lines.append(f"{row.defence:<21}{row.guard:<11}" + "".join(f"{_rate(r):>20}" for r in rates)
                     + f"{row.seconds:>9.1f}")
    return "\n".join(lines)


def timed(make: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds and result of a call."""
    start = time.perf_counter()
    made = make()
    return time.perf_counter() - start, made


def _timed_guard(network: Network, known: Dataset, kind: str, seed: int) -> GuardDefence:
    seconds, guard = timed(lambda: calibrate(network, known, "margin" if kind == "margin" else "transplant", seed=seed))
    made: Guard = guard
    return GuardDefence(made, seconds)


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "-"
    low, high = rate.interval
    return f"{100 * rate.value:.1f} [{100 * low:.1f}-{100 * high:.1f}]"


if __name__ == "__main__":
    main()
