"""`make bench-large`: large networks at 224 x 224 against one forward pass of all images and against the plain loop.

Each network has random weights; labels are its own answers. Written to LARGE_NETWORKS.md beside this file, above what
was measured by hand there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measures import peak_megabytes, reader_megabytes
from engine import backend
from engine.errors import Cancelled
from engine.models.networks import open_network
from engine.progress import CancelSource, Progress
from engine.runs.prune import PruningRequest, run_pruning

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().with_name("LARGE_NETWORKS.md")
NETWORKS = ("ResNet18", "ResNet50", "MobileNetV2", "Xception", "DenseNet121")
_SMALL_SIDE = 64
SIDE, IMAGES, PLAIN_STEPS, TOGETHER = 224, 240, 2, 32
STEP_SECONDS, FORWARDS, MOST_MB = 0.005, 1.5, 1500
BY_HAND = "## By hand"
MODEL, CLEAN = "model.keras", "clean.npz"

Found = dict[str, Any]


def main() -> None:
    """Measure each network, of all write the table; or do one part of it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.networks[0], options.images, options.folder)))
        return
    report = "\n".join(_table([_measured(name, options.images) for name in options.networks]))
    if (tuple(options.networks), options.images) == (NETWORKS, IMAGES):
        _, heading, by_hand = RESULTS.read_text(encoding="utf-8").partition(BY_HAND)
        RESULTS.write_text(f"{report}\n" + (f"\n{heading}{by_hand}" if heading else ""), encoding="utf-8")
    print(report)


def make(name: str, count: int, folder: Path) -> Found:
    """The network's file and images that are labelled with its own answers."""
    images = _images(count)
    model = build(name, images[:16])
    model.save(folder / MODEL)
    answers = model.predict(images, batch_size=TOGETHER, verbose=0).argmax(axis=1)
    np.savez(folder / CLEAN, data=images, label=answers)
    return {"name": name, "images": count, "answers": len(np.unique(answers))}


def run(_: str, __: int, folder: Path) -> Found:
    """What a whole run takes and when it is heard of, in seconds of the clock; nothing else is in the process."""
    request = _request(folder)
    reports: list[tuple[float, str]] = [(time.perf_counter(), "")]
    curves: list[float] = []
    run = run_pruning(request, progress=lambda p: reports.append((time.perf_counter(), p.what)),
                      partial=lambda _: curves.append(time.perf_counter()))
    ended, opened = time.perf_counter(), max(at for at, what in reports if what == "Opening files")
    times = [*(at for at, _ in reports), ended]
    return {"layer": run.ranking.layer, "steps": len(run.ranking.order), "seconds": ended - times[0],
            "first_curve": curves[0] - times[0], "opening": opened - times[0],
            "silent": max(b - a for a, b in itertools.pairwise(times)),
            "peak_mb": peak_megabytes() + reader_megabytes()}


def cancel(_: str, __: int, folder: Path) -> Found:
    """How long a run goes on after it was cancelled while it ranked, at most."""
    return {"cancel": max(_cancelled_after(_request(folder), share) for share in (0.2, 0.5, 0.8))}


def plain(_: str, __: int, folder: Path) -> Found:
    """One forward pass of all images by Keras, warm, the faster of two; and the plain loop."""
    network, images = open_network(folder / MODEL), np.load(folder / CLEAN)["data"]
    forward = min(_predicting(network.model, images), _predicting(network.model, images))
    layer = network.default_layer()
    steps = network.prunable_layers()[layer]
    pruned = [_predicting(network.pruned(layer, range(step)).model, images) for step in range(1, PLAIN_STEPS + 1)]
    return {"forward": forward, "plain": forward + float(np.mean(pruned)) * steps}


PARTS: dict[str, Callable[[str, int, Path], Found]] = {f.__name__: f for f in (make, run, cancel, plain)}


def build(name: str, images: npt.NDArray[np.uint8]) -> Any:
    """A network of keras.applications, or a ResNet-18, with random weights.

    Its normalisations fit the images, as training leaves them, and its labels differ from one image to the next.
    """
    _, keras = backend.load()
    keras.utils.set_random_seed(0)
    applications = keras.applications
    model = resnet18() if name == "ResNet18" else getattr(applications, name)(weights=None, input_shape=(SIDE, SIDE, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # the next pass's statistics are taken as they are
    model(images.astype(np.float32), training=True)
    last = model.layers[-1]
    features = keras.Model(model.inputs, last.input).predict(images.astype(np.float32), verbose=0)
    kernel, bias = last.get_weights()
    spread = kernel / float((features @ kernel).std(axis=0).mean())
    last.set_weights([spread, bias - (features @ spread).mean(axis=0)])
    return model


def resnet18(labels: int = 1000, side: int = SIDE) -> Any:
    """He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, table 1, for 224 x 224.

    For pictures of at most 64 x 64 it begins with a 3 x 3 convolution and no pooling, as is usual for CIFAR's.
    """
    _, keras = backend.load()
    layers = keras.layers

    def conv(x: Any, filters: int, size: int, stride: int) -> Any:
        x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    def block(x: Any, filters: int, stride: int) -> Any:
        body = conv(layers.ReLU()(conv(x, filters, 3, stride)), filters, 3, 1)
        shortcut = x if stride == 1 and x.shape[-1] == filters else conv(x, filters, 1, stride)
        return layers.ReLU()(layers.Add()([body, shortcut]))

    image = keras.Input((side, side, 3))
    size, stride = (3, 1) if side <= _SMALL_SIDE else (7, 2)
    x = layers.ReLU()(conv(layers.Rescaling(1 / 127.5, offset=-1)(image), 64, size, stride))
    if side > _SMALL_SIDE:
        x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for filters in (64, 128, 256, 512):
        x = block(block(x, filters, 1 if filters == 64 else 2), filters, 1)
    return keras.Model(image, layers.Dense(labels, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def _cancelled_after(request: PruningRequest, share: float) -> float:
    """How long the run goes on once another thread cancels it, `share` of the way through its ranking."""
    source, asked = CancelSource(), []

    def cancel() -> None:
        asked.append(time.perf_counter())
        source.cancel()

    def watch(progress: Progress) -> None:
        if not asked and progress.what.startswith("Ranking") and progress.done >= share * progress.total:
            asked.append(0)
            threading.Timer(0.05, cancel).start()

    try:
        run_pruning(request, progress=watch, cancel=source.token)
    except Cancelled:
        return time.perf_counter() - asked[-1]
    sys.exit("The run ended before it was cancelled; measure with more images.")


def _images(count: int) -> npt.NDArray[np.uint8]:
    coarse = np.random.default_rng(0).uniform(0, 255, (count, SIDE // 8, SIDE // 8, 3))
    images: npt.NDArray[np.uint8] = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    return images


def _request(folder: Path) -> PruningRequest:
    return PruningRequest(folder / MODEL, folder / CLEAN, scale="none")


def _predicting(model: Any, images: npt.NDArray[np.uint8]) -> float:
    model.predict(images[:TOGETHER], batch_size=TOGETHER, verbose=0)  # what is traced isn't counted
    started = time.perf_counter()
    model.predict(images, batch_size=TOGETHER, verbose=0)
    return time.perf_counter() - started


def _measured(name: str, images: int) -> Found:
    """All parts of one network, each in a process of its own."""
    found: Found = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            output = subprocess.run(
                [sys.executable, "-m", "benchmarks.large_networks", name, "--images", str(images), "--part", part,
                 "--folder", folder], cwd=PROJECT, capture_output=True, text=True, check=False)
            if output.returncode:
                sys.exit(f"{name}, {part}, failed:\n{output.stderr}")
            found |= json.loads(output.stdout.splitlines()[-1])
    print(json.dumps(found), file=sys.stderr)
    return found


def _table(runs: list[Found]) -> list[str]:
    heads = ("network", "layer, channels", "one forward pass", "ranking and all steps",
             f"allowed: {FORWARDS} passes and {1000 * STEP_SECONDS:g} ms a step", "the whole run",
             "its first curve after", "longest without a report", "longest until cancelled, while ranking",
             "peak memory", "plain loop")
    rows = [(r["name"], f"{r['layer']}, {r['steps']:,}", f"{r['forward']:.1f} s",
             f"{r['seconds'] - r['opening']:.1f} s", f"{FORWARDS * r['forward'] + STEP_SECONDS * r['steps']:.1f} s",
             f"{r['seconds']:.1f} s", f"{r['first_curve']:.1f} s", f"{r['silent']:.1f} s", f"{r['cancel']:.1f} s",
             f"{r['peak_mb']:,.0f} MB", f"{r['plain']:,.0f} s: {r['plain'] / r['seconds']:.0f} times as long")
            for r in runs]
    words = (
        f"By `make bench-large` on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores: {runs[0]['images']} images of "
        f"{SIDE} x {SIDE}, random weights, values fed as stored, each part in a process of its own. One forward pass "
        f"is Keras's own `predict` in batches of {TOGETHER}, warm, the faster of two. Ranking and all steps: all that "
        "the run does once its files are open, TensorFlow's tracing included. The whole run begins before TensorFlow "
        f"is imported. Memory is the run's process and its reader's at their largest; at most {MOST_MB:,} MB are "
        "asked, a report every 2 s, and an end within 1 s of being cancelled, which is tried while it ranks. The plain "
        f"loop prunes a copy and predicts all images once a step; {PLAIN_STEPS} steps were measured warm and "
        "extrapolated to all.")
    return ["# Large networks", "", *textwrap.wrap(words, 128), "",
            *("| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows))]


if __name__ == "__main__":
    main()
