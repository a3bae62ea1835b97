"""Damaged files of every format, thousands each: every one ends in an engine error or a correct result.

    python -m tests.support.fuzz [--count 2000] [--seed 1] [FORMAT ...]

Each batch is read by a process of its own, which may take 10 s for a file and 2 GB of memory; what kills it, and
whatever it raises that isn't an engine error, is a failure, and the file is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from tests.support import mutations

# Its reader has 10 seconds for a file, and the rest of the program some on top.
SECONDS, MEMORY = 15, 2 << 30
_BATCH = 250
_BUILD_EVERY = 10

Mutate = Callable[[bytes, random.Random], bytes]
Read = Callable[[Path, int], None]


@dataclass(frozen=True)
class Format:
    """A kind of file: a sound one, how it is damaged, and what is done with it."""

    sample: Callable[[], bytes]
    mutate: Mutate
    read: Read
    name: str


def _read_model(path: Path, number: int) -> None:
    """Check it; build every tenth of those that pass, because building takes its time."""
    from engine.models.architecture import describe_model
    from engine.models.networks import open_network
    describe_model(path)
    if number % _BUILD_EVERY == 0:
        open_network(path)


def _read_data(path: Path, _: int) -> None:
    import numpy as np

    from engine.data.datasets import open_dataset
    from engine.looking.inspection import describe_dataset, open_any_dataset
    describe_dataset(open_any_dataset(path))
    dataset = open_dataset(path, (12, 10, 3), 7)
    seen = 0
    for chunk in dataset.chunks(128):
        assert chunk.images.shape[1:] == (12, 10, 3) and np.isfinite(chunk.images).all()
        assert ((chunk.labels >= 0) & (chunk.labels < 7)).all()
        seen += len(chunk.labels)
    assert seen == len(dataset)


def _read_picture(path: Path, _: int) -> None:
    from engine.files.pictures import load_picture
    assert load_picture(path, (12, 10, 3)).shape == (12, 10, 3)


def _read_pair(path: Path, number: int) -> None:
    from engine.goodnets.saved import _notes, open_goodnet
    notes = _notes(path)
    assert notes.get("scale", "none") in ("none", "255")
    if number % _BUILD_EVERY == 0:
        for name in ("b.keras", "b_prime.keras"):
            path.with_name(name).write_bytes(_plain_model())
        open_goodnet([path.parent])


def _read_guard(path: Path, _: int) -> None:
    from engine.guards.guard_files import open_guard
    assert open_guard(path).labels > 0


def _read_order(path: Path, _: int) -> None:
    from engine.pruning.ranking import given_order

    class NineChannels:
        def prunable_layers(self) -> dict[str, int]:
            return {"c": 9}

        def call_of(self, layer: str) -> NineChannels:
            return self

        name = "c"

    order = given_order(NineChannels(), "c", path).order  # type: ignore[arg-type]
    assert sorted(order) == list(range(9))


def _read_run(path: Path, _: int) -> None:
    from engine.records.reopening import reopen_run
    path.with_name("guard.npz").write_bytes(FORMATS["guard.npz"].sample())
    run = reopen_run(path.parent)
    assert len(run.curve.validation.correct) == len(run.ranking.order) + 1


def _cached(make: Callable[[Path], Path]) -> Callable[[], bytes]:
    """A sound file, made once by another process: TensorFlow doesn't survive a fork once it has computed."""
    found: list[bytes] = []

    def sample() -> bytes:
        if not found:
            with tempfile.TemporaryDirectory() as folder:
                maker = os.fork()
                if not maker:
                    (Path(folder) / "made").write_text(str(make(Path(folder))))
                    os._exit(0)
                os.waitpid(maker, 0)
                found.append(Path((Path(folder) / "made").read_text()).read_bytes())
        return found[0]

    return sample


def _model(ending: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import logging

        from tests.support.networks import build
        logging.disable(logging.WARNING)
        build("nested")[0].save(folder / f"m.{ending}")
        return folder / f"m.{ending}"

    return make


_plain_model = _cached(_model("keras"))


def _model_latest(folder: Path) -> Path:
    """The same model in the newest layout of HDF5."""
    import h5py
    _model("h5")(folder)
    with h5py.File(folder / "m.h5") as old, h5py.File(folder / "latest.h5", "w", libver="latest") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        for key in old:
            old.copy(key, new)
    return folder / "latest.h5"


def _weights(folder: Path) -> Path:
    """DeepID's weights in the layout of Keras 2, with few labels."""
    import h5py
    import numpy as np
    shapes = {"conv_1": (4, 4, 3, 20), "conv_2": (3, 3, 20, 40), "conv_3": (3, 3, 40, 60), "conv_4": (2, 2, 60, 80),
              "fc_1": (1200, 160), "fc_2": (960, 160), "output": (160, 9)}
    names = ["input", "conv_1", "pool_1", "conv_2", "pool_2", "conv_3", "pool_3", "conv_4", "flatten_1", "flatten_2",
             "fc_1", "fc_2", "add_1", "activation_1", "output"]
    with h5py.File(folder / "w.h5", "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
        for name in names:
            group = file.create_group(name)
            parts = ["kernel:0", "bias:0"] if name in shapes else []
            group.attrs["weight_names"] = np.array([f"{name}/{part}".encode() for part in parts])
            for part in parts:
                group[f"{name}/{part}"] = np.ones(shapes[name] if part == "kernel:0" else shapes[name][-1:], np.float16)
    return folder / "w.h5"


def _data(**how: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import h5py
        import numpy as np

        from tests.support.networks import random_images
        with h5py.File(folder / "d.h5", "w") as file:
            file.create_dataset("data", data=random_images(60).transpose(0, 3, 1, 2).astype(np.uint8), **how)
            file["label"] = (np.arange(60) % 7).astype(np.float32)
        return folder / "d.h5"

    return make


def _data_latest(folder: Path) -> Path:
    """The newest layout of HDF5: other indexes of groups and blocks, checksums, compression by a plugin."""
    import h5py
    import hdf5plugin
    import numpy as np

    from tests.support.networks import random_images
    with h5py.File(folder / "d.h5", "w", libver="latest", track_order=True) as file:
        file.create_dataset("data", data=random_images(60).astype(np.float32), chunks=(16, 6, 10, 3),
                            maxshape=(None, None, 10, 3), fletcher32=True, **hdf5plugin.Blosc2())
        file.create_dataset("label", data=np.arange(60) % 7, chunks=(16,), **hdf5plugin.LZ4())
        notes = file.create_group("notes")
        for number in range(30):
            notes.attrs[f"note {number}"] = "word" * number
        for number in range(7):
            notes.create_group(f"group {number}").create_group("inside")
    return folder / "d.h5"


def _npz(folder: Path) -> Path:
    import numpy as np

    from tests.support.networks import random_images
    np.savez(folder / "d.npz", data=random_images(30).astype(np.float32), label=np.arange(30) % 7)
    return folder / "d.npz"


def _picture(ending: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import numpy as np
        from PIL import Image

        from tests.support.networks import random_images
        image = Image.fromarray(random_images(1, shape=(40, 30, 3))[0].astype(np.uint8))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(folder / f"p.{ending}", exif=exif, optimize=True)
        return folder / f"p.{ending}"

    return make


def _pair_notes(folder: Path) -> Path:
    path = folder / "goodnet.json"
    path.write_text(json.dumps({
        "schema": 1, "flag_label": 7, "scale": "255", "x": 2.0, "layer": "pruned", "channels_pruned": 2,
        "pruned_channels": [1, 3], "drop_points": 2.5, "b": {"name": "b.keras", "sha256": "00"}}))
    return path


def _guard(folder: Path) -> Path:
    import numpy as np

    from engine.guards.calibration import Calibration, Guard
    from engine.guards.guard_files import save_guard
    from engine.guards.transplant import Donors
    from engine.rates import Rate
    from tests.support.networks import random_images
    donors = Donors(random_images(4), np.arange(4))
    save_guard(Guard("transplant", 0.5, 7, (12, 10, 3), Calibration(0.02, 60, Rate(1, 60), 0), donors,
                     np.array([[0, 4], [4, 8]]), 0.9), folder / "guard.npz")
    return folder / "guard.npz"


def _run_json(folder: Path) -> Path:
    from engine.records.run_files import run_json, write_text
    from engine.runs.rows import rows_of
    from tests.support.runs import made_up_run
    run = made_up_run(channels=9)
    write_text(folder / "run.json", json.dumps(run_json(run, rows_of(run))))
    return folder / "run.json"


FORMATS: dict[str, Format] = {
    "keras": Format(_plain_model, mutations.mutated_archive, _read_model, "m.keras"),
    "h5": Format(_cached(_model("h5")), mutations.mutated_bytes, _read_model, "m.h5"),
    "h5-latest": Format(_cached(_model_latest), mutations.mutated_bytes, _read_model, "m.h5"),
    "weights": Format(_cached(_weights), mutations.mutated_bytes, _read_model, "w.h5"),
    "hdf5": Format(_cached(_data()), mutations.mutated_bytes, _read_data, "d.h5"),
    "gzip": Format(_cached(_data(compression="gzip", chunks=(16, 1, 6, 10), shuffle=True)), mutations.mutated_bytes,
                   _read_data, "d.h5"),
    "hdf5-latest": Format(_cached(_data_latest), mutations.mutated_bytes, _read_data, "d.h5"),
    "npz": Format(_cached(_npz), mutations.mutated_archive, _read_data, "d.npz"),
    "png": Format(_cached(_picture("png")), mutations.mutated_bytes, _read_picture, "p.png"),
    "jpeg": Format(_cached(_picture("jpg")), mutations.mutated_bytes, _read_picture, "p.jpg"),
    "goodnet.json": Format(_cached(_pair_notes), mutations.mutated_json, _read_pair, "goodnet.json"),
    "guard.npz": Format(_cached(_guard), mutations.mutated_archive, _read_guard, "guard.npz"),
    "order": Format(_cached(_run_json), mutations.mutated_json, _read_order, "run.json"),
    "run.json": Format(_cached(_run_json), mutations.mutated_json, _read_run, "run.json"),
    # By their structure: one value at a bound, in an otherwise sound file.
    "keras-keys": Format(_plain_model, mutations.one_bound_in_archive, _read_model, "m.keras"),
    "keras-headers": Format(_plain_model, mutations.one_header_field, _read_model, "m.keras"),
    "npz-headers": Format(_cached(_npz), mutations.one_header_field, _read_data, "d.npz"),
    "guard-headers": Format(_cached(_guard), mutations.one_header_field, _read_guard, "guard.npz"),
    "goodnet.json-keys": Format(_cached(_pair_notes), mutations.one_bound, _read_pair, "goodnet.json"),
    "run.json-keys": Format(_cached(_run_json), mutations.one_bound, _read_run, "run.json"),
}


def fuzz(name: str, count: int, seed: int, keep: Path) -> Counter[str]:
    """Try damaged files of one format; counts of "refused", "ended its reader", "opened" and of each kind of failure.

    Args:
        keep: where files that made a reader fail are put.
    """
    if FORMATS[name].read in (_read_model, _read_pair):
        from engine import backend
        backend.load()
        _plain_model()
    for needed in {name, "guard.npz"}:
        FORMATS[needed].sample()
    outcomes: Counter[str] = Counter()
    number = 0
    while number < count:
        number = _batch(name, number, min(number + _BATCH, count), seed, keep, outcomes)
    return outcomes


def _batch(name: str, first: int, last: int, seed: int, keep: Path, outcomes: Counter[str]) -> int:
    """Read files first to last - 1 in a process of its own; the number of the file to go on with."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    worker = os.fork()
    if not worker:
        os.close(reading)
        _work(name, range(first, last), seed, writing)
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = stream.read().split("\n")
    _, status = os.waitpid(worker, 0)
    done = [line.split("\t", 1) for line in lines if "\t" in line]
    for number, outcome in done:
        outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith("FAILED"):
            _keep(name, int(number), seed, keep, outcome)
    if status == 0:
        return last
    fatal = first + len(done)
    outcome = f"FAILED (killed by signal {status & 127} or left with {status >> 8})"
    outcomes[outcome] += 1
    _keep(name, fatal, seed, keep, outcome)
    return fatal + 1


def _work(name: str, numbers: range, seed: int, pipe: int) -> None:
    """The worker process: one line a file, then the end."""
    warnings.simplefilter("ignore")
    for channel in (1, 2):  # decompressors of C complain on both
        os.dup2(os.open(os.devnull, os.O_WRONLY), channel)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FORMATS[name].name
        for number in numbers:
            path.write_bytes(damaged(name, number, seed))
            signal.alarm(SECONDS)
            outcome = _outcome(name, path, number)
            signal.alarm(0)
            os.write(pipe, f"{number}\t{outcome}\n".encode())
    os._exit(0)


def _outcome(name: str, path: Path, number: int) -> str:
    try:
        FORMATS[name].read(path, number)
    except EngineError as error:
        sentence = str(error)
        sound = sentence.endswith((".", "?")) and "\n" not in sentence and len(sentence) < 2000
        ended = any(words in sentence for words in (": crashed what reads it", ": gave nothing for", "processor time"))
        return "ended its reader" if sound and ended else "refused" if sound else f"FAILED (no sentence): {sentence!r}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"FAILED ({type(error).__name__} in {Path(place.filename).name}:{place.lineno}): {str(error)!r}"
    return "opened"


def damaged(name: str, number: int, seed: int) -> bytes:
    """The n-th damaged file of a format."""
    dice = random.Random(f"{name} {seed} {number}")
    return FORMATS[name].mutate(FORMATS[name].sample(), dice)


def _keep(name: str, number: int, seed: int, keep: Path, outcome: str) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    target = keep / f"{name}-{seed}-{number}-{FORMATS[name].name}"
    target.write_bytes(damaged(name, number, seed))
    print(f"{target}: {outcome[:300]}", flush=True)


def main() -> int:
    """Fuzz the formats asked for, or all; the exit status is 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("formats", nargs="*", choices=[[], *FORMATS], metavar="FORMAT")
    for name, default in (("--count", 2000), ("--seed", 1)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "goodnet-fuzz")
    options = parser.parse_args()
    failed = False
    for name in options.formats or FORMATS:
        started = time.monotonic()
        outcomes = fuzz(name, options.count, options.seed, options.keep)
        failed |= any(outcome.startswith("FAILED") for outcome in outcomes)
        told = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(outcomes.items()))
        print(f"{name:<14} {sum(outcomes.values()):>6,} files: {told}; {time.monotonic() - started:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
