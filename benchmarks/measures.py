"""What is measured, each in a process of its own: `python -m benchmarks.measures NAME FOLDER [ARGUMENT]`.

Prints one JSON object; peak memory is the process's own, TensorFlow included, and its reader's, which opens files.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import lab_size
from engine import backend
from engine.quarantine.client import READER
from engine.runs.prune import PruningRequest, run_pruning

PROJECT = Path(__file__).resolve().parent.parent
_READ_TOGETHER = 256
Measure = Callable[[lab_size.LabSize, str], dict[str, Any]]


def peak_megabytes() -> float:
    """The process's largest resident memory so far, in MB of 10**6 bytes; nan where the system doesn't say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def reader_megabytes() -> float:
    """The same of the process that opens strangers' files; nan where the system doesn't say, 0 while there is none."""
    status = Path(f"/proc/{READER.process_id}/status")
    if READER.process_id is None or not status.exists():
        return 0.0 if READER.process_id is None else float("nan")
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 / 1e6


def plain_loop(data: lab_size.LabSize, steps: str) -> dict[str, Any]:
    """The notebook's way: for each pruned channel, set the weights and predict everything again."""
    import h5py

    from engine.models.networks import open_network

    network = open_network(data.model)
    layer, model = network.default_layer(), network.copy().model
    conv = model.get_layer(layer)
    with h5py.File(data.validation) as file:
        images = file["data"][()].transpose(0, 2, 3, 1).astype(np.float32)
        labels = file["label"][()]
    _, keras = backend.load()
    ranked = keras.Model(model.input, conv.output).predict(images, verbose=0).mean(axis=(0, 1, 2))
    order = np.argsort(ranked, kind="stable")
    count = int(steps or len(order) + 1)
    accuracy = []
    started = time.perf_counter()
    answers = model.predict(images, verbose=0).argmax(axis=1)
    accuracy.append(float((answers == labels).mean()))
    for channel in order[:count - 1]:
        kernel, bias = conv.get_weights()
        kernel[..., channel], bias[channel] = 0, 0
        conv.set_weights([kernel, bias])
        pruned = model.predict(images, verbose=0).argmax(axis=1)
        accuracy.append(float((pruned == labels).mean()))
    seconds = time.perf_counter() - started
    return {"seconds": seconds / count * (len(order) + 1), "measured_steps": count, "accuracy": accuracy}


def validation_curve(data: lab_size.LabSize, _: str) -> dict[str, Any]:
    """Ranking and 61 steps on the validation set, files opened included; TensorFlow is loaded before."""
    return _run(PruningRequest(data.model, data.validation, scale="none"), watched=False)


def four_sets(data: lab_size.LabSize, _: str) -> dict[str, Any]:
    """All four sets, every step, clean and poisoned, in one run."""
    return _run(PruningRequest(data.model, data.validation, data.test, (data.poisoned_validation, data.poisoned_test),
                               scale="none"))


def ten_times(data: lab_size.LabSize, _: str) -> dict[str, Any]:
    """The validation curve of a file ten times as large."""
    large = data.validation.with_name("validation_x10.h5")
    lab_size.repeat(data.validation, large, 10 * lab_size.VALIDATION_IMAGES, seed=4)
    return _run(PruningRequest(data.model, large, scale="none"))


def scaled_images(data: lab_size.LabSize, factor: str) -> dict[str, Any]:
    """The validation curve of 1,443 images times a factor."""
    images = lab_size.VALIDATION_IMAGES // 8 * int(factor)
    part = data.validation.with_name(f"validation_{images}.h5")
    lab_size.repeat(data.validation, part, images, seed=5)
    return {**_run(PruningRequest(data.model, part, scale="none")), "images": images}


def scaled_channels(data: lab_size.LabSize, channels: str) -> dict[str, Any]:
    """The validation curve on 1,443 images of a DeepID with more channels in conv_3 and random weights."""
    _, keras = backend.load()
    from keras import layers

    keras.utils.set_random_seed(0)
    image = layers.Input((55, 47, 3))
    x = image
    for number, (count, size) in enumerate(((20, 4), (40, 3), (int(channels), 3)), start=1):
        x = layers.Conv2D(count, size, activation="relu", name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(2)(x)
    deep = layers.Dense(160)(layers.Flatten()(layers.Conv2D(80, 2, activation="relu")(x)))
    x = layers.ReLU()(layers.Add()([layers.Dense(160)(layers.Flatten()(x)), deep]))
    model = keras.Model(image, layers.Dense(1283, activation="softmax")(x))
    path = data.validation.with_name(f"random_{channels}.keras")
    model.save(path)
    part = data.validation.with_name("validation_1443.h5")
    lab_size.repeat(data.validation, part, 1443, seed=5)
    return {**_run(PruningRequest(path, part, layer="conv_3", scale="none")), "channels": int(channels)}


def image_check(data: lab_size.LabSize, _: str) -> dict[str, Any]:
    """One picture after the first, and a folder of 1,000 without a guard and behind one, reading included."""
    from PIL import Image

    from engine.data.datasets import open_dataset
    from engine.data.preprocessing import AS_STORED
    from engine.goodnets.checking import check_pictures, list_pictures
    from engine.goodnets.pair import GoodNet
    from engine.guards.calibration import calibrate
    from engine.models.networks import open_network

    folder = data.validation.with_name("pictures")
    if not folder.exists():
        folder.mkdir()
        for i, image in enumerate(open_dataset(data.validation).take(range(1000))):
            Image.fromarray(image.astype(np.uint8)).save(folder / f"{i:04}.png")
    b = open_network(data.model)
    goodnet = GoodNet(b, b.pruned(b.default_layer(), range(45)), AS_STORED, {})
    files = list_pictures([folder])
    list(check_pictures(goodnet, files[:1]))
    single = []
    for file in files[:50]:
        started = time.perf_counter()
        list(check_pictures(goodnet, [file]))
        single.append(time.perf_counter() - started)
    guard = calibrate(b, open_dataset(data.validation, b.input_shape, b.labels), "transplant")
    seconds = []
    for checked_by in (goodnet, dataclasses.replace(goodnet, guard=guard)):
        list(check_pictures(checked_by, files[:200]))
        started = time.perf_counter()
        list(check_pictures(checked_by, files))
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds[0], "guarded_seconds": seconds[1], "single_median": float(np.median(single)),
            "single_worst": max(single), "pictures": len(files)}


def quarantine(data: lab_size.LabSize, _: str) -> dict[str, Any]:
    """A set looked at and read through the reader's process, and by the same parsers in this process."""
    from engine.data import array_files
    from engine.data.sources.readers import Hdf5Reader

    def here() -> None:
        found, _ = array_files.describe_hdf5(data.test)
        rows = array_files.hdf5_rows(data.test)
        next(rows)
        _read(lambda start, stop: rows.send([start, stop]), found["data"][1][0])

    def through() -> None:
        reader = Hdf5Reader(data.test)
        with reader.open() as read:
            _read(read, reader.shape[0])

    looks = [_seconds(lambda: Hdf5Reader(data.test)) for _ in range(20)]
    looks_here = [_seconds(lambda: array_files.describe_hdf5(data.test)) for _ in range(20)]
    reads = [(_seconds(through), _seconds(here)) for _ in range(5)]
    return {"first_look": looks[0], "look": float(np.median(looks[1:])), "look_here": float(np.median(looks_here[1:])),
            "seconds": min(seconds for seconds, _ in reads), "seconds_here": min(seconds for _, seconds in reads),
            "reader_mb": reader_megabytes()}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _read(read: Callable[[int, int], object], images: int) -> None:
    for start in range(0, images, _READ_TOGETHER):
        read(start, min(start + _READ_TOGETHER, images))


MEASURES: dict[str, Measure] = {
    function.__name__: function for function in (
        plain_loop, validation_curve, four_sets, ten_times, scaled_images, scaled_channels, image_check,
        quarantine)}


def _run(request: PruningRequest, watched: bool = True) -> dict[str, Any]:
    """Run, with early curves as the window asks for them, or without as the command line does."""
    first: list[float] = []
    started = time.perf_counter()

    def partial(_: object) -> None:
        if not first:
            first.append(time.perf_counter() - started)

    run = run_pruning(request, partial=partial if watched else None)
    seconds = time.perf_counter() - started
    curve = run.curve.validation
    return {"seconds": seconds, "first_curve": first[0] if first else None,
            "accuracy": (curve.correct / curve.images).tolist()}


def main() -> None:
    """Measure one thing and print it."""
    name, folder, argument = sys.argv[1], Path(sys.argv[2]), (*sys.argv[3:], "")[0]
    data = lab_size.make(folder, PROJECT)
    backend.load()
    loaded = peak_megabytes()
    found = MEASURES[name](data, argument)
    print(json.dumps({**found, "peak_mb": peak_megabytes() + reader_megabytes(), "loaded_mb": loaded}))


if __name__ == "__main__":
    main()
