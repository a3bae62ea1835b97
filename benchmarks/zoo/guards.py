"""Measures which cuts the transplant guard should try, family by family, on the zoo's networks.

    python -m benchmarks.zoo.guards [--out runs/zoo] [--half fix|report|adaptive] [--only WORD ...]

Every kind of cut is answered once a picture; what several together are worth follows from the same figures. For each
network: clean accuracy lost in points and attack success in per cent behind the guard, set to 2 % false alarms.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo.plan import HALVES, asked_for
from benchmarks.zoo.worlds import PROJECT

CHOICES = (("rows",), ("rows", "blend"), ("rows", "outer", "blend"), ("rows", "columns", "blend"), ("grid", "blend"),
           ("rows", "grid", "blend"), ("rows", "columns", "outer", "blend"))
FALSE_ALARMS = 0.02
# Pictures of each set, from its beginning: enough for a rate to about one in a hundred.
MOST = 400


@dataclass(frozen=True, eq=False)
class Known:
    """A network's data sets and what is known of it."""

    name: str
    network: Any
    validation: Any
    test: Any
    poisoned: tuple[Any, ...]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PROJECT / "runs" / "zoo", help="where the networks are kept")
    parser.add_argument("--half", choices=[*HALVES], default="fix")
    parser.add_argument("--only", nargs="*", default=[], help="only networks whose name holds one of these words")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"{'points lost / attack success %':<26}" + "".join(f"{'+'.join(kinds):>28}" for kinds in CHOICES))
    for path in sorted(options.out.glob("*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        wanted = asked_for(path.stem, options.only)
        if facts["half"] == options.half and facts["targets"] and wanted:
            found = measured(opened(options.out, facts))
            cells = (f"{lost:.1f} / {' '.join(f'{a:.1f}' for a in attacks)}" for lost, *attacks in found)
            print(f"{path.stem:<26}" + "".join(f"{cell:>28}" for cell in cells), flush=True)


def opened(folder: Path, facts: dict[str, Any]) -> Known:
    """A network of the zoo with its pictures, as its plan says they are fed."""
    from engine.data.datasets import open_dataset
    from engine.data.preprocessing import preprocessing
    from engine.models.networks import open_network

    network = open_network(folder / f"{facts['name']}.keras")
    feeding = preprocessing("255" if facts["kind"] == "signs" else "none")

    def dataset(name: str) -> Any:
        return open_dataset(folder / name, network.input_shape, network.labels).prepared(feeding)

    poisoned = sorted(path.name for path in folder.glob(f"{facts['name']}-poisoned-*.h5"))
    return Known(facts["name"], network, dataset(f"{facts['world']}-validation.h5"),
                 dataset(f"{facts['world']}-test.h5"), tuple(map(dataset, poisoned)))


def measured(known: Known) -> list[list[float]]:
    """For each choice of cuts the points of clean accuracy lost and, for each poisoned set, attack success in %."""
    from engine.guards.calibration import calibrate
    from engine.models.networks import largest

    network = known.network
    found = []
    sets = [known.test, *known.poisoned]
    images = [dataset.take(range(min(MOST, len(dataset)))) for dataset in sets]
    right = [largest(network.predict(i)) == d.labels[:len(i)] for i, d in zip(images, sets, strict=True)]
    for kinds in CHOICES:
        guard = calibrate(network, known.validation, false_alarms=FALSE_ALARMS, kinds=kinds).on(network)
        kept = [100 * float((~guard.answer(i).flagged & r).mean()) for i, r in zip(images, right, strict=True)]
        found.append([100 * float(right[0].mean()) - kept[0], *kept[1:]])
    return found


if __name__ == "__main__":
    main()
