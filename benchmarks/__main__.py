"""`make bench`: every measurement in one run, as one table, written to RESULTS.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from benchmarks import lab_size

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().with_name("RESULTS.md")
SCALING_FIGURE = RESULTS.with_name("scaling.svg")
IMAGE_FACTORS = (1, 2, 4, 8)
CHANNELS = (60, 128, 256, 512)
REPEATS = 3

Found = dict[str, Any]


def main() -> None:
    """Measure and print the table; with all of the plain loop write it, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain-steps", default="", help="measure only so many of the plain loop's steps")
    parser.add_argument("--folder", help="keep the data made here, to measure again faster")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        data = lab_size.make(folder, PROJECT)
        report = "\n".join([*_heading(data), *_speed(folder, options.plain_steps), *_scaling(folder)])
    if not options.plain_steps:
        RESULTS.write_text(report + "\n", encoding="utf-8")
    print(report)


def measure(name: str, folder: Path, argument: str = "", repeats: int = 1) -> Found:
    """The fastest of some runs, each in a process of its own."""
    return min(_runs(name, folder, argument, repeats), key=_seconds)


def _runs(name: str, folder: Path, argument: str = "", repeats: int = 1) -> list[Found]:
    runs = []
    for _ in range(repeats):
        output = subprocess.run([sys.executable, "-m", "benchmarks.measures", name, str(folder), argument],
                                cwd=PROJECT, capture_output=True, text=True, check=False)
        if output.returncode:
            sys.exit(f"{name} failed:\n{output.stderr}")
        runs.append(json.loads(output.stdout.splitlines()[-1]))
        print(f"{name} {argument}: {runs[-1]['seconds']:.2f} s", file=sys.stderr)
    return runs


def _seconds(run: Found) -> float:
    return float(run["seconds"])


def _heading(data: lab_size.LabSize) -> list[str]:
    # TensorFlow comes in a package tensorflow-cpu or tensorflow; of NumPy's module Python 3.10 can't tell the package.
    packages = (packages_distributions()["tensorflow"][0], "keras", "numpy", "h5py")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return [
        "# Measured speed and memory", "",
        f"By `make bench` on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores ({_processor()}), "
        f"{platform.system()}, Python {platform.python_version()}, {versions}.",
        f"Data: {lab_size.VALIDATION_IMAGES:,} validation and {lab_size.TEST_IMAGES:,} test images, clean and "
        f"poisoned, made from {data.source}. Every run is a process of its own; ratios are within this one call. "
        f"The validation curve's row is the middle one of {2 * REPEATS + 1} runs before and after the plain loop.", "",
    ]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        return names[0] if names else platform.machine()
    return platform.processor() or platform.machine()


def _speed(folder: Path, plain_steps: str) -> list[str]:
    before = _runs("validation_curve", folder, repeats=REPEATS)
    plain = measure("plain_loop", folder, plain_steps)
    # The middle one of runs before and behind the plain loop, for a machine doesn't stay equally fast for minutes.
    fast = sorted([*before, *_runs("validation_curve", folder, repeats=REPEATS + 1)], key=_seconds)[REPEATS]
    same = max(abs(a - b) for a, b in zip(fast["accuracy"], plain["accuracy"], strict=False))
    four, ten = measure("four_sets", folder), measure("ten_times", folder)
    check, inspect = measure("image_check", folder), _inspect(folder)
    steps = f"{plain['measured_steps']} of 61 steps measured, " if plain["measured_steps"] != 61 else ""
    rows = [
        ("plain loop, 61 predictions of the validation set", f"{plain['seconds']:.1f} s", f"{steps}1",
         plain["peak_mb"]),
        ("ranking and 61 steps of the validation set", f"{fast['seconds']:.2f} s",
         f"{plain['seconds'] / fast['seconds']:.0f} times faster", fast["peak_mb"]),
        ("  largest difference of an accuracy from the plain loop's", f"{same:.2g}", "", None),
        ("all four sets, every step, clean and poisoned", f"{four['seconds']:.2f} s",
         f"{4.22 * plain['seconds'] / four['seconds']:.0f} times faster than the plain loop's time for as many images",
         four["peak_mb"]),
        ("  their first curve after Run", f"{four['first_curve']:.2f} s", "", None),
        ("validation file ten times as large", f"{ten['seconds']:.2f} s",
         f"{ten['seconds'] / fast['seconds']:.1f} times the time, "
         f"{ten['peak_mb'] / fast['peak_mb']:.2f} times the memory",
         ten["peak_mb"]),
        ("one picture checked, after the first", f"{1000 * check['single_median']:.1f} ms",
         f"worst of 50: {1000 * check['single_worst']:.1f} ms", None),
        ("folder of 1,000 pictures checked without a guard, reading included", f"{check['seconds']:.2f} s",
         f"{check['pictures'] / check['seconds']:.0f} pictures a second", None),
        ("  behind the transplant guard", f"{check['guarded_seconds']:.2f} s",
         f"{check['pictures'] / check['guarded_seconds']:.0f} pictures a second", check["peak_mb"]),
        ("`python -m engine inspect` on the model", f"{inspect:.2f} s", "without TensorFlow", None),
        *_reader_rows(folder),
        ("Python and TensorFlow alone", "", "", fast["loaded_mb"]),
    ]
    return _table(("what", "time", "ratio", "peak memory, MB"),
                  [(a, b, c, f"{d:.0f}" if d else "") for a, b, c, d in rows])


def _reader_rows(folder: Path) -> list[tuple[str, str, str, float | None]]:
    found = measure("quarantine", folder)
    return [
        ("first look at a data set, which starts the reader's process", f"{found['first_look']:.2f} s", "", None),
        ("  a further one", f"{1000 * found['look']:.1f} ms",
         f"{1000 * found['look_here']:.1f} ms by the same parser without that process", None),
        ("the test set read through the reader's process", f"{found['seconds']:.2f} s",
         f"{found['seconds_here']:.2f} s without it; its own memory:", found["reader_mb"]),
    ]


def _inspect(folder: Path) -> float:
    model = lab_size.make(folder, PROJECT).model
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "engine", "inspect", str(model)], cwd=PROJECT, check=True,
                       capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def _scaling(folder: Path) -> list[str]:
    images = [measure("scaled_images", folder, str(n), 2) for n in IMAGE_FACTORS]
    channels = [measure("scaled_channels", folder, str(n), 2) for n in CHANNELS]
    _draw(images, channels)
    return [
        "", "## Cost against size", "",
        "![Time against images and against channels](scaling.svg)", "",
        *_table(("images", "time", "time an image", "peak memory, MB"), [
            (f"{r['images']:,}", f"{r['seconds']:.2f} s", f"{1e6 * r['seconds'] / r['images']:.0f} us",
             f"{r['peak_mb']:.0f}") for r in images]), "",
        *_table(("channels", "time", "time a step", "peak memory, MB"), [
            (str(r["channels"]), f"{r['seconds']:.2f} s", f"{1e3 * r['seconds'] / (r['channels'] + 1):.1f} ms",
             f"{r['peak_mb']:.0f}") for r in channels]),
    ]


def _draw(images: list[Found], channels: list[Found]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([r["images"] for r in images], [r["seconds"] for r in images], "o-")
    left.set(xlabel="Images", ylabel="Seconds", ylim=0, xlim=0)
    right.plot([r["channels"] for r in channels], [1e3 * r["seconds"] / (r["channels"] + 1) for r in channels], "o-")
    right.set(xlabel="Channels", ylabel="Milliseconds a step", ylim=0, xlim=0)
    figure.savefig(SCALING_FIGURE, metadata={"Date": None})


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows)]


if __name__ == "__main__":
    main()
