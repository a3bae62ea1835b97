"""Measures which cuts the transplant guard should try, family by family, on the zoo's networks.

    python -m benchmarks.zoo.guards [--zoo runs/zoo] [--half fix|report|adaptive] [--only WORD ...]

For each network and each choice of cuts: clean accuracy lost in points and attack success in per cent behind the
guard, set to 2 % false alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.plan import HALVES, Plan, command_line, trained
from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import preprocessing
from engine.guards.calibration import calibrate
from engine.models.networks import Network, largest, open_network

CHOICES = (("rows",), ("rows", "blend"), ("rows", "blend", "tone"), ("rows", "outer", "blend"),
           ("rows", "columns", "blend"), ("grid", "blend"), ("rows", "grid", "blend"),
           ("rows", "columns", "outer", "blend"))
FALSE_ALARMS = 0.02


@dataclass(frozen=True, eq=False)
class Known:
    """A network and its data sets."""

    network: Network
    validation: Dataset
    test: Dataset
    poisoned: tuple[Dataset, ...]


def main() -> None:
    """Read the command line, measure, print."""
    parser = command_line(__doc__)
    parser.add_argument("--half", choices=[*HALVES], default="fix")
    options = parser.parse_args()
    print(f"{'points lost / attack success %':<26}" + "".join(f"{'+'.join(kinds):>28}" for kinds in CHOICES))
    for plan in trained(options.zoo, options.only):
        if plan.half == options.half and plan.backdoored:
            found = measured(opened(options.zoo, plan))
            cells = (f"{lost:.1f} / {' '.join(f'{a:.1f}' for a in attacks)}" for lost, *attacks in found)
            print(f"{plan.name:<26}" + "".join(f"{cell:>28}" for cell in cells), flush=True)


def opened(zoo: Path, plan: Plan) -> Known:
    """A network of the zoo with its pictures, as its plan says they are fed."""
    network, feeding = open_network(zoo / f"{plan.name}.keras"), preprocessing(plan.world.feeding)

    def dataset(path: Path) -> Dataset:
        return open_dataset(path, network.input_shape, network.labels).prepared(feeding)

    return Known(network, dataset(zoo / f"{plan.world.name}-validation.h5"),
                 dataset(zoo / f"{plan.world.name}-test.h5"),
                 tuple(map(dataset, sorted(zoo.glob(f"{plan.name}-poisoned-*.h5")))))


def measured(known: Known) -> list[list[float]]:
    """For each choice of cuts the points of clean accuracy lost and, for each poisoned set, attack success in %."""
    network = known.network
    found = []
    sets = [known.test, *known.poisoned]
    images = [dataset.take(range(len(dataset))) for dataset in sets]
    right = [largest(network.predict(i)) == d.labels for i, d in zip(images, sets, strict=True)]
    for kinds in CHOICES:
        guard = calibrate(network, known.validation, false_alarms=FALSE_ALARMS, kinds=kinds).on(network)
        kept = [100 * float((~guard.answer(i).flagged & r).mean()) for i, r in zip(images, right, strict=True)]
        found.append([100 * float(right[0].mean()) - kept[0], *kept[1:]])
    return found


if __name__ == "__main__":
    main()
