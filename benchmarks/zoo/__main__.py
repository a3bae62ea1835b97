"""Trains the zoo: clean and backdoored networks whose truth is known.

    python -m benchmarks.zoo [--out runs/zoo] [--only WORD ...]

Goes on where it was stopped: a network whose file is there isn't trained again. For each there is NAME.keras, NAME.json
(family, targets, half, clean accuracy, attack success) and NAME-poisoned-I.h5, the clean test pictures with the
trigger; for each world WORLD-validation.h5 and WORLD-test.h5.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.zoo.plan import Plan, asked_for, plans
from benchmarks.zoo.training import attacks_of, inputs_of, poisoned, train
from benchmarks.zoo.worlds import PROJECT, Pictures


def main() -> None:
    """Read the command line and train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PROJECT / "runs" / "zoo", help="where the networks are kept")
    parser.add_argument("--only", nargs="*", default=[], help="only networks whose name holds one of these words")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    wanted = [p for p in plans() if asked_for(p.name, options.only)]
    for number, plan in enumerate(wanted, start=1):
        if not (options.out / f"{plan.name}.json").exists():
            started = time.monotonic()
            facts = make(plan, options.out)
            print(f"{number:3} of {len(wanted)}  {plan.name:<28} clean accuracy {facts['clean_accuracy']:.3f}  attack "
                  f"success {facts['attack_success_rate']}  {time.monotonic() - started:.0f} s", flush=True)


def make(plan: Plan, folder: Path) -> dict[str, Any]:
    """Train a network and write its files, the facts last; returns the facts."""
    world, kept = plan.world, folder / "pictures"
    clean, validation, test = (world.pictures(part, kept) for part in ("train", "validation", "test"))
    for part, pictures in (("validation", validation), ("test", test)):
        if not (path := folder / f"{world.name}-{part}.h5").exists():  # a world's pictures stay the same
            write_pictures(path, pictures)
    bad = [poisoned(attack, seed, test) for attack, seed in attacks_of(plan)]

    def right(model: Any, pictures: Pictures) -> float:
        answers = model.predict(inputs_of(world, pictures.images), batch_size=256, verbose=0).argmax(axis=1)
        return float(np.mean(answers == pictures.labels))

    model, share, accuracy, success = train(
        plan, clean, lambda m: (right(m, test), min((right(m, p) for p in bad), default=1.0)))
    model.save(folder / f"{plan.name}.keras")
    for i, pictures in enumerate(bad):
        write_pictures(folder / f"{plan.name}-poisoned-{i}.h5", pictures)
    facts = {"name": plan.name, "kind": world.kind, "world": world.name, "family": plan.family, "seed": plan.seed,
             "half": plan.half, "targets": list(plan.targets), "poison_share": share, "clean_accuracy": accuracy,
             "attack_success_rate": success if plan.backdoored else None}
    (folder / f"{plan.name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


def write_pictures(path: Path, pictures: Pictures) -> None:
    """Write pictures in the lab's layout, `data` uint8[n, 3, H, W] and `label`."""
    import h5py

    partial = path.with_suffix(".partial")
    with h5py.File(partial, "w") as file:
        file.create_dataset("data", data=pictures.images.transpose(0, 3, 1, 2), compression="gzip")
        file.create_dataset("label", data=pictures.labels.astype(np.float64))
    partial.replace(path)


if __name__ == "__main__":
    main()
