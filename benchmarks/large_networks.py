"""`make bench-large`: large networks at 224 x 224 against one forward pass of all images and against the plain loop.

Each network has random weights and is measured in a process of its own; labels are its own answers. Written to
LARGE_NETWORKS.md beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measures import peak_megabytes, reader_megabytes
from engine import backend
from engine.errors import Cancelled
from engine.models.networks import Network, open_network
from engine.progress import CancelSource, Progress
from engine.runs.prune import PruningRequest, run_pruning

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().with_name("LARGE_NETWORKS.md")
NETWORKS = ("ResNet18", "ResNet50", "MobileNetV2", "Xception", "DenseNet121")
SIDE, IMAGES, PLAIN_STEPS = 224, 240, 2
STEP_SECONDS, FORWARDS, MOST_MB = 0.005, 1.5, 1500

Found = dict[str, Any]


def main() -> None:
    """Measure each network and write the table, or measure one and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(options.networks[0], options.images, Path(folder))))
        return
    report = "\n".join(_table([_in_own_process(name, options.images) for name in options.networks]))
    RESULTS.write_text(report + "\n", encoding="utf-8")
    print(report)


def measure(name: str, count: int, folder: Path) -> Found:
    """One network's figures, times in seconds of the clock."""
    model, images = folder / f"{name}.keras", _images(count)
    build(name, images[:16]).save(model)
    network = open_network(model)
    np.savez(folder / "clean.npz", data=images, label=network.predict_labels(images.astype(np.float32)))
    forward = _seconds(lambda: network.predict(images.astype(np.float32)))
    request = PruningRequest(model, folder / "clean.npz", scale="none")
    reports: list[tuple[float, str]] = [(time.perf_counter(), "")]
    curves: list[float] = []
    run = run_pruning(request, progress=lambda p: reports.append((time.perf_counter(), p.what)),
                      partial=lambda _: curves.append(time.perf_counter()))
    began, ended = next(at for at, what in reports if what.startswith("Ranking")), time.perf_counter()
    times = [*(at for at, _ in reports), ended]
    steps = len(run.ranking.order)
    found = {"name": name, "layer": run.ranking.layer, "steps": steps, "forward": forward, "seconds": ended - began,
             "opening": began - times[0], "first_curve": curves[0] - times[0],
             "silent": max(b - a for a, b in itertools.pairwise(times) if b > began),
             "peak_mb": peak_megabytes() + reader_megabytes()}
    found["cancel"] = max(_cancelled_after(request, share) for share in (0.2, 0.5, 0.8))
    found["plain"] = plain_loop(network, run.ranking.layer, run.ranking.order[:PLAIN_STEPS - 1], images, steps)
    return found


def build(name: str, images: np.ndarray) -> Any:
    """A network of keras.applications, or a ResNet-18, with random weights and no label that is always the answer."""
    _, keras = backend.load()
    keras.utils.set_random_seed(0)
    model = resnet18() if name == "ResNet18" else getattr(keras.applications, name)(weights=None)
    last = model.layers[-1]
    features = keras.Model(model.inputs, last.input).predict(images.astype(np.float32), verbose=0)
    kernel, bias = last.get_weights()
    spread = kernel / max(1e-6, float((features @ kernel).std()))
    last.set_weights([spread, bias - (features @ spread).mean(axis=0)])
    return model


def resnet18() -> Any:
    """He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, table 1, for 224 x 224."""
    _, keras = backend.load()
    layers = keras.layers

    def conv(x: Any, filters: int, size: int, stride: int) -> Any:
        x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    def block(x: Any, filters: int, stride: int) -> Any:
        body = conv(layers.ReLU()(conv(x, filters, 3, stride)), filters, 3, 1)
        shortcut = x if stride == 1 and x.shape[-1] == filters else conv(x, filters, 1, stride)
        return layers.ReLU()(layers.Add()([body, shortcut]))

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU()(conv(layers.Rescaling(1 / 127.5, offset=-1)(image), 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for filters in (64, 128, 256, 512):
        x = block(block(x, filters, 1 if filters == 64 else 2), filters, 1)
    return keras.Model(image, layers.Dense(1000, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def plain_loop(network: Network, layer: str, order: Iterable[int], images: np.ndarray, steps: int) -> float:
    """Seconds of the plain loop over all steps: each prunes a copy and predicts everything; a few are measured."""
    times = [_seconds(lambda: network.model.predict(images, batch_size=32, verbose=0))]
    channels: list[int] = []
    for channel in order:
        channels.append(int(channel))
        pruned = network.pruned(layer, channels).model
        pruned.predict(images[:32], verbose=0)
        times.append(_seconds(lambda model=pruned: model.predict(images, batch_size=32, verbose=0)))
    return float(np.mean(times)) * (steps + 1)


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
    return 0.0  # it had ended before


def _images(count: int) -> np.ndarray:
    coarse = np.random.default_rng(0).uniform(0, 255, (count, SIDE // 8, SIDE // 8, 3))
    return coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _in_own_process(name: str, images: int) -> Found:
    output = subprocess.run([sys.executable, "-m", "benchmarks.large_networks", name, "--images", str(images), "--one"],
                            cwd=PROJECT, capture_output=True, text=True, check=False)
    if output.returncode:
        sys.exit(f"{name} failed:\n{output.stderr}")
    print(output.stdout.splitlines()[-1], file=sys.stderr)
    return {**json.loads(output.stdout.splitlines()[-1]), "images": images}


def _table(runs: list[Found]) -> list[str]:
    heads = ("network", "layer, channels", "one forward pass", "ranking and all steps",
             f"allowed: {FORWARDS} passes and {1000 * STEP_SECONDS:g} ms a step", "first curve after Run",
             "longest without a report", "longest until cancelled", "peak memory, MB", "against the plain loop")
    rows = [(r["name"], f"{r['layer']}, {r['steps']}", f"{r['forward']:.1f} s", f"{r['seconds']:.1f} s",
             f"{FORWARDS * r['forward'] + STEP_SECONDS * r['steps']:.1f} s", f"{r['first_curve']:.1f} s",
             f"{r['silent']:.1f} s", f"{r['cancel']:.1f} s", f"{r['peak_mb']:.0f}",
             f"{r['plain']:.0f} s: {r['plain'] / r['seconds']:.0f} times faster") for r in runs]
    return [
        "# Large networks", "",
        f"By `make bench-large` on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores: {runs[0]['images']} images of "
        f"{SIDE} x {SIDE}, random weights, values fed as stored. The plain loop's time is that of {PLAIN_STEPS} of its "
        "steps, extrapolated to all. Ranking and all steps: from the first image on, TensorFlow's tracing included, "
        f"opening and building the network not. Memory: at most {MOST_MB:,} MB asked.", "",
        *("| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows))]


if __name__ == "__main__":
    main()
