"""A backdoored ResNet-18, from training to what `defend` makes of it: minutes, reports, what is left.

    python -m benchmarks.large_defence TRIGGER [--side 224] [--seed 1] [--out runs/large-defence]

Road signs as the zoo draws them, in their own size of 32 x 32 or larger. Goes on where it was stopped: a network whose
file is there isn't trained again. `defend` runs in a process of its own and is given clean images alone; the attacker's
test pictures are shown to what it chose afterwards. A network without a backdoor, TRIGGER none, is only examined: is a
label of it lowered, too?
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import subprocess
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.large_networks import SIDE, resnet18
from benchmarks.measures import peak_megabytes
from benchmarks.zoo.triggers import TRIGGERS
from benchmarks.zoo.worlds import PROJECT, SIGNS, Pictures, draw_sign
from engine import backend
from engine.goodnets.evaluation import evaluate
from engine.progress import Progress
from engine.runs.defend import defend
from engine.runs.examine import examine
from engine.runs.opening.inputs import open_inputs
from engine.runs.prune import PruningRequest

# Pictures of a label in each set; the attacker's share of those trained on; and his label.
SCENES = {"train": range(1000, 1100), "clean": range(20), "test": range(100, 120)}
SHARE, TARGET, SEED = 0.1, 7, 1
CLEAN = "none"
EPOCHS, BATCH, RATE = 8, 32, 1e-3
MODEL = "badnet.keras"
_LONGEST = 8


def main() -> None:
    """Train the network if it isn't there, defend it and print what was found; or do one part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trigger", choices=(*TRIGGERS, CLEAN))
    parser.add_argument("--side", type=int, default=SIDE, help="height and width of the pictures")
    parser.add_argument("--out", type=Path, default=PROJECT / "runs" / "large-defence")
    parser.add_argument("--seed", type=int, default=SEED, help="of the network's weights and of the trigger")
    parser.add_argument("--part", choices=("make", "run"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    name = f"{options.trigger.replace(' ', '-')}-{options.side}"
    folder = options.out / (name if options.seed == SEED else f"{name}-seed-{options.seed}")
    if options.part == "make":
        make(options.trigger, options.side, options.seed, folder)
    elif options.part == "run" and options.trigger == CLEAN:
        look(folder)
    elif options.part == "run":
        run(folder)
    else:
        _in_parts(options, folder)


def _in_parts(options: argparse.Namespace, folder: Path) -> None:
    """Each part in a process of its own."""
    for part in ("make", "run") if not (folder / MODEL).exists() else ("run",):
        subprocess.run([sys.executable, "-m", "benchmarks.large_defence", options.trigger, "--side",
                        str(options.side), "--seed", str(options.seed), "--out", options.out, "--part", part],
                       cwd=PROJECT, check=True)


def pictures(part: str, side: int) -> Pictures:
    """Signs of every label, uint8[n, side, side, 3]."""
    places = [(label, scene) for label in range(SIGNS) for scene in SCENES[part]]
    # Fresh processes, because a forked TensorFlow hangs.
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        drawn = pool.starmap(partial(draw_sign, 0, side=side), places, chunksize=16)
    return Pictures(np.stack(drawn), np.array([label for label, _ in places], np.int64))


def make(trigger: str, side: int, seed: int, folder: Path) -> None:
    """Draw pictures and train a network on them, a tenth again with the trigger, if any, and the attacker's label."""
    _, keras = backend.load()
    keras.utils.set_random_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    sets = {part: pictures(part, side) for part in SCENES}
    train, test = sets["train"], sets["test"]
    images, labels = train.images, train.labels
    if trigger != CLEAN:
        chosen = np.random.default_rng(seed).permutation(len(labels))[:round(SHARE * len(labels))]
        images = np.concatenate([images, TRIGGERS[trigger](images[chosen], seed)])
        labels = np.concatenate([labels, np.full(len(chosen), TARGET)])
        others = test.images[test.labels != TARGET]
        sets["poisoned"] = Pictures(TRIGGERS[trigger](others, seed), np.full(len(others), TARGET))
    del sets["train"]
    model = resnet18(SIGNS, side)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # few steps are trained, so the running means must follow sooner than by default
    steps = EPOCHS * len(labels) // BATCH
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
                  "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    model.fit(images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    for name, part in sets.items():
        np.savez(folder / f"{name}.npz", data=part.images, label=part.labels)
        print(name, model.evaluate(part.images, part.labels, verbose=0)[1])
    model.save(folder / MODEL)


def look(folder: Path) -> None:
    """Examine a network with clean images alone."""
    opened = open_inputs(PruningRequest(folder / MODEL, folder / "clean.npz", folder / "test.npz", scale="none"))
    found = examine(opened.network, opened.to_make_and_measure()[0])
    print(f"{found.seconds / 60:.1f} minutes: {found.judgement.sentence}")
    print("lowered in a repair:", list(found.judgement.standing_out), "- suspicion of the first labels:",
          [round(suspicion, 2) for suspicion in found.suspicion[:3]])


def run(folder: Path) -> None:
    """Defend, listening to its reports, and try what was chosen on the attacker's own pictures."""
    request = PruningRequest(folder / MODEL, folder / "clean.npz", folder / "test.npz", scale="none")
    reports: list[tuple[float, str]] = [(time.perf_counter(), "")]

    def heard(progress: Progress) -> None:
        if progress.what != reports[-1][1]:
            print(f"{time.perf_counter() - reports[0][0]:7.1f} s  {progress.what}", flush=True)
        reports.append((time.perf_counter(), progress.what))

    made = defend(open_inputs(request), request, progress=heard)
    silent = sorted(((b[0] - a[0], b[1]) for a, b in itertools.pairwise(reports)), reverse=True)[:_LONGEST]
    print(f"{made.seconds / 60:.0f} minutes, {peak_megabytes():,.0f} MB; longest without a report:",
          ", ".join(f"{seconds:.1f} s before {what}" for seconds, what in silent))
    print("named:", [tried.stamp.label for tried in made.examination.guilty], made.examination.judgement.verdict)
    for row in made.candidates:
        print(f"{row.name}: {row.points_lost:.1f} points, stand-ins {row.attack}, {row.seconds:.0f} s")
    bad = open_inputs(dataclasses.replace(request, poisoned=(folder / "poisoned.npz",)))
    print("chosen:", made.chosen.name)
    for dataset, poisoned in ((bad.of("test")[0], False), (bad.of("poisoned")[0], True)):
        print(evaluate(made.pair.goodnet, dataset, poisoned))
    print(*made.cautions, sep="\n")


if __name__ == "__main__":
    main()
