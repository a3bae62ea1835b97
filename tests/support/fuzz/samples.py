"""Sound files of every format, small ones, to be damaged."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Sample = Callable[[], bytes]
# In a data set of another program's.
PICTURES = 12


def cached(make: Callable[[Path], Path]) -> Sample:
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


def model(ending: str) -> Callable[[Path], Path]:
    """A network with a nested one, as Keras writes it."""
    def make(folder: Path) -> Path:
        import logging

        from tests.support.networks import build
        logging.disable(logging.WARNING)
        build("nested")[0].save(folder / f"m.{ending}")
        return folder / f"m.{ending}"

    return make


def small_model(ending: str) -> Callable[[Path], Path]:
    """A network with as few layers as there are kinds of structures in its file: these are what is damaged."""
    def make(folder: Path) -> Path:
        import logging

        import keras
        logging.disable(logging.WARNING)
        layers = keras.layers
        keras.Sequential([keras.Input((12, 10, 3)), layers.Conv2D(4, 3, name="c"), layers.GlobalAveragePooling2D(),
                          layers.Dense(7, activation="softmax")]).save(folder / f"m.{ending}")
        return folder / f"m.{ending}"

    return make


plain_model = cached(model("keras"))


def model_latest(folder: Path) -> Path:
    """The small model in the newest layout of HDF5."""
    import h5py
    small_model("h5")(folder)
    with h5py.File(folder / "m.h5") as old, h5py.File(folder / "latest.h5", "w", libver="latest") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        for key in old:
            old.copy(key, new)
    return folder / "latest.h5"


def weights(folder: Path) -> Path:
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


def data(**how: object) -> Callable[[Path], Path]:
    """Images and labels in the lab's layout, stored as h5py is told."""
    def make(folder: Path) -> Path:
        import h5py
        import numpy as np

        from tests.support.networks import random_images
        with h5py.File(folder / "d.h5", "w") as file:
            file.create_dataset("data", data=random_images(60).transpose(0, 3, 1, 2).astype(np.uint8), **how)
            file["label"] = (np.arange(60) % 7).astype(np.float32)
        return folder / "d.h5"

    return make


def data_latest(folder: Path) -> Path:
    """The newest layout of HDF5: other indexes of groups and blocks, checksums, compression by a plugin."""
    import h5py
    import hdf5plugin
    import numpy as np

    from tests.support.networks import random_images
    with h5py.File(folder / "d.h5", "w", libver="latest", track_order=True) as file:
        file.create_dataset("data", data=random_images(60).astype(np.float32), chunks=(16, 6, 10, 3),
                            maxshape=(None, None, 10, 3), fletcher32=True, **hdf5plugin.Blosc())
        file.create_dataset("label", data=np.arange(60) % 7, chunks=(16,), **hdf5plugin.LZ4())
        notes = file.create_group("notes")
        for number in range(30):
            notes.attrs[f"note {number}"] = "word" * number
        for number in range(7):
            notes.create_group(f"group {number}").create_group("inside")
    return folder / "d.h5"


def npz(folder: Path) -> Path:
    """Images and labels as NumPy saves them."""
    import numpy as np

    from tests.support.networks import random_images
    np.savez(folder / "d.npz", data=random_images(30).astype(np.float32), label=np.arange(30) % 7)
    return folder / "d.npz"


def picture(ending: str) -> Callable[[Path], Path]:
    """A small picture that its EXIF data turns, in the formats that have such."""
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


def pair_notes(folder: Path) -> Path:
    """What is written beside a saved pair."""
    path = folder / "goodnet.json"
    path.write_text(json.dumps({
        "schema": 1, "flag_label": 7, "scale": "255", "x": 2.0, "layer": "pruned", "channels_pruned": 2,
        "pruned_channels": [1, 3], "drop_points": 2.5, "b": {"name": "b.keras", "sha256": "00"}}))
    return path


def guard(folder: Path) -> Path:
    """A guard by transplant."""
    import numpy as np

    from engine.guards.calibration import Calibration, Guard
    from engine.guards.cuts import cuts_of
    from engine.guards.guard_files import save_guard
    from engine.guards.transplant import Donors
    from engine.rates import Rate
    from tests.support.networks import random_images
    donors = Donors(random_images(4), np.arange(4))
    save_guard(Guard("transplant", 0.5, 7, (12, 10, 3), Calibration(0.02, 60, Rate(1, 60), 0), donors,
                     cuts_of(12, 10), 0.9), folder / "guard.npz")
    return folder / "guard.npz"


def run(folder: Path) -> Path:
    """A run behind a guard."""
    from engine.records.json_of import write_text
    from engine.records.run_files import run_json
    from engine.runs.rows import rows_of
    from tests.support.runs import made_up_run
    run = made_up_run(channels=9)
    write_text(folder / "run.json", json.dumps(run_json(run, rows_of(run))))
    return folder / "run.json"


def project(folder: Path) -> Path:
    """A project whose files aren't there."""
    from engine.records.project import LastResult, make_project, save_project
    from engine.runs.prune import PruningRequest
    for name in ("m.keras", "clean.h5", "poisoned.h5", "order.json"):
        (folder / name).write_text(name)
    request = PruningRequest(folder / "m.keras", folder / "clean.h5", None, (folder / "poisoned.h5",),
                             order=folder / "order.json", classes=("stop", "give way"))
    save_project(make_project(request, LastResult("m.keras", "X = 2", 0.9, 0.1)), folder / "p.goodnet")
    return folder / "p.goodnet"


def manifest(folder: Path) -> Path:
    """What a folder's files were when they were written."""
    from engine.files.manifest import MANIFEST, record
    for number in range(5):
        (folder / f"file {number}").write_text(str(number))
    record(folder)
    return folder / MANIFEST


def examination(name: str) -> Callable[[Path], Path]:
    """One of the files of a saved examination."""
    def make(folder: Path) -> Path:
        from types import SimpleNamespace

        from engine.records.examination import write_examination
        from tests.support import examinations
        network: Any = SimpleNamespace(path=folder / "m.keras", sha256="ab" * 32)
        clean: Any = SimpleNamespace(path=folder / "clean.h5")
        write_examination(examinations.examination(guilty=()), network, clean, folder)
        return folder / name

    return make


def names(ending: str) -> Callable[[Path], Path]:
    """Names of labels."""
    def make(folder: Path) -> Path:
        words, path = [f"label {number}" for number in range(7)], folder / f"names.{ending}"
        path.write_text(json.dumps({str(n): ["n0", word] for n, word in enumerate(words)}) if ending == "json"
                        else "\n".join(words))
        return path

    return make


def foreign(name: str, write: Callable[[Path, Any, list[int]], object], side: int = 0) -> Callable[[Path], Path]:
    """A data set of another program's: twelve pictures of 12 x 10, or of `side` x `side`, and their labels.

    Args:
        write: is given where to, the pictures uint8[12, H, W, 3], and the labels.
    """
    def make(folder: Path) -> Path:
        import numpy as np

        from tests.support.networks import random_images
        pictures = random_images(PICTURES, shape=(side or 12, side or 10, 3)).astype(np.uint8)
        write(folder / name, pictures, [number % 7 for number in range(PICTURES)])
        return folder / name

    return make


def write_mat(path: Path, pictures: Any, labels: list[int], *, packed: bool = False) -> None:
    """As SVHN has them, with a word and a cell beside."""
    import numpy as np
    from scipy import io
    io.savemat(path, {"X": pictures.transpose(1, 2, 3, 0), "y": np.array(labels)[:, None], "note": "text",
                      "cell": np.array([1, "a"], object)}, do_compression=packed)


def write_npy(path: Path, _: Any, values: Any) -> None:
    """An array in a file of its own."""
    import numpy as np
    np.save(path, values)


def write_table(path: Path, _: Any, labels: list[int]) -> None:
    """A table of the pictures 0.png, 1.png, and so on."""
    path.write_text("\n".join(["file,label", *(f"{number}.png,{label}" for number, label in enumerate(labels))]))
