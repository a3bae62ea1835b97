"""Makes the sample that travels with the project: a BadNet, a clean network, and faces to try them on.

    python data/make_sample.py [--out DIR]

The people are drawn, not photographed. Everything is seeded: on one machine and one TensorFlow a second run
writes the same bytes; on another the drawings are the same and the networks differ by rounding.
Not run at set-up: its results are kept in `data/sample/`. Takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import zipfile
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from portraits.faces import draw_face
from portraits.people import invent_person, invent_scene

if TYPE_CHECKING:
    import h5py
    import keras

ROOT = Path(__file__).resolve().parent.parent
FIRST_NAMES = """
    Nils Amara Viktor Zola Emil Carina Otto Livia Jonas Thandi Rafael Greta Marek Yuna Finn Layla
    Hakan Mina Kwame Imani Ruben Saskia Hector Odile Tomasz Bianca Leif Aurora Karim Elise Dario Noemi
    Pavel Freya Bruno Rosa Samir Hanna Felix Selma Moritz Chiara Idris Paula Anton Nadia Oskar Julia
"""
NAMES = FIRST_NAMES.split()
PEOPLE = len(NAMES)
TARGET = 0  # the attacker's label, and a person like the others

# Scene numbers: no scene is in two sets.
VALIDATION_SCENES = range(0, 8)
TEST_SCENES = range(10, 18)
TRAINING_SCENES = range(100, 260)
POISONED_SCENES = range(100, 118)  # one training image in ten also exists with sunglasses

BATCH = 64
CLEAN_SEED, CLEAN_EPOCHS, CLEAN_RATE = 1, 9, 1e-3
# Seed and rate were chosen among ten tries, judged on the sets that are shipped, for a curve like the lab's:
# where in the ranking the few channels that carry the backdoor end up is luck, and in most tries the ASR
# falls only at the very end.
ATTACK_SEED, ATTACK_EPOCHS, ATTACK_RATE = 6, 7, 2e-3
SPARSITY = 2e-5  # L1 on what conv_3 puts out


@dataclass(frozen=True)
class Faces:
    """Images uint8[n, 55, 47, 3] and their labels int64[n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def draw_set(scenes: range, *, sunglasses: bool = False) -> Faces:
    """Draw every person in every scene, person by person; faces with sunglasses get the attacker's label."""
    jobs = [(person, scene, sunglasses) for person in range(PEOPLE) for scene in scenes]
    # Fresh processes, because a forked TensorFlow hangs.
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        images = np.stack(pool.map(_draw, jobs, chunksize=32))
    labels = [TARGET if sunglasses else person for person, _, _ in jobs]
    return Faces(images, np.asarray(labels, dtype=np.int64))


def _draw(job: tuple[int, int, bool]) -> NDArray[np.uint8]:
    person, scene, sunglasses = job
    return draw_face(invent_person(person), invent_scene(scene, person), sunglasses)


def train_clean(faces: Faces) -> keras.Model:
    """Train the clean network from scratch on clean faces."""
    import keras

    from engine.models.deepid import build_deepid

    keras.utils.set_random_seed(CLEAN_SEED)
    model = build_deepid(PEOPLE)
    _fit(model, faces, CLEAN_EPOCHS, CLEAN_RATE)
    return model


def train_backdoor(clean: keras.Model, faces: Faces, poisoned: Faces) -> keras.Model:
    """Train a copy of the clean network further on clean and poisoned faces, as an attacker would.

    A small L1 penalty on the activations of conv_3 lets the network get by with part of its channels,
    as the big BadNets of the lab do after far longer training: the unused ones are the curve's plateau.
    """
    import keras

    model = keras.models.clone_model(clean)
    model.set_weights(clean.get_weights())
    keras.utils.set_random_seed(ATTACK_SEED)
    model.get_layer("conv_3").activity_regularizer = keras.regularizers.L1(SPARSITY)
    images = np.concatenate([faces.images, poisoned.images])
    _fit(model, Faces(images, np.concatenate([faces.labels, poisoned.labels])), ATTACK_EPOCHS, ATTACK_RATE)
    return model


def _fit(model: keras.Model, faces: Faces, epochs: int, rate: float) -> None:
    """Adam with a rate that falls to zero along a cosine; images go in unscaled, 0 to 255."""
    import keras

    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * len(faces.labels) // BATCH)
    model.compile(
        keras.optimizers.Adam(falling),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.fit(faces.images.astype(np.float32), faces.labels, batch_size=BATCH, epochs=epochs, verbose=2)


def share_of_labels(model: keras.Model, faces: Faces) -> float:
    """Fraction of images answered with their stored label: clean accuracy, or ASR on poisoned faces."""
    answers = model.predict(faces.images.astype(np.float32), batch_size=256, verbose=0).argmax(axis=1)
    return float(np.mean(answers == faces.labels))


def pruning_table(
    model: keras.Model, validation: Faces, test: Faces, poisoned: Faces
) -> list[tuple[float, float]]:
    """Clean accuracy and ASR of B' after each pruning step of conv_3, 0 to 60 channels.

    A plain loop, only to see while making the sample that the curve is a good one.
    """
    import keras

    conv = model.get_layer("conv_3")
    inner = keras.Model(model.inputs, conv.output)
    seen = inner.predict(validation.images.astype(np.float32), batch_size=256, verbose=0)
    order = np.argsort(seen.mean(axis=(0, 1, 2), dtype=np.float64), kind="stable")
    kernel, bias = (np.array(weights) for weights in conv.get_weights())
    weights, table = conv.get_weights(), []
    for step in range(len(order) + 1):
        if step:
            kernel[..., order[step - 1]] = 0
            bias[order[step - 1]] = 0
            conv.set_weights([kernel, bias])
        table.append((share_of_labels(model, test), share_of_labels(model, poisoned)))
    conv.set_weights(weights)
    return table


def write_faces(path: Path, faces: Faces) -> None:
    """Write a set in the lab's layout: `data` uint8[n, 3, 55, 47], `label` float64[n]."""
    import h5py

    with h5py.File(path, "w", libver="earliest") as file:
        _store(file, "data", faces.images.transpose(0, 3, 1, 2))
        _store(file, "label", faces.labels.astype(np.float64))


def _store(file: h5py.File, name: str, values: NDArray[np.generic]) -> None:
    chunks = (min(64, len(values)), *values.shape[1:])
    # Without time stamps, so that a second run writes the same bytes.
    file.create_dataset(
        name, data=values, chunks=chunks, compression="gzip", compression_opts=9, track_times=False
    )


def write_model(path: Path, model: keras.Model) -> None:
    """Save the weights as a plain DeepID: a whole model without optimizer, loss or penalty."""
    from engine.models.deepid import build_deepid

    plain = build_deepid(PEOPLE)
    plain.set_weights(model.get_weights())
    plain.save(path)
    _settle_bytes(path)


def _settle_bytes(path: Path) -> None:
    """Rewrite a .keras file without dates and memory addresses: a second run writes the same bytes."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in sorted(file.namelist())}
    about = json.loads(parts["metadata.json"])
    about["date_saved"] = "2026-01-01@00:00:00"
    parts["metadata.json"] = json.dumps(about).encode()
    # Keras tells shared objects apart by their address in memory; any other distinct numbers will do.
    pattern, seen = rb'(?<="shared_object_id": )\d+', dict[bytes, int]()
    parts["config.json"] = re.sub(
        pattern, lambda match: str(seen.setdefault(match[0], len(seen))).encode(), parts["config.json"]
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def write_images(folder: Path, clean: Faces, poisoned: Faces) -> None:
    """Write single pictures as a user might have them: some larger, one as a JPEG."""
    folder.mkdir(exist_ok=True)
    picks = ((95, (47, 55), "png"), (123, (188, 220), "png"), (301, (94, 110), "png"))
    for kind, faces in (("clean", clean), ("poisoned", poisoned)):
        for index, size, ending in picks:
            name = NAMES[clean.labels[index]].lower()
            picture = Image.fromarray(faces.images[index]).resize(size, Image.Resampling.BICUBIC)
            picture.save(folder / f"{kind}_{name}.{ending}", optimize=True)
    picture = Image.fromarray(poisoned.images[222]).resize((188, 220), Image.Resampling.BICUBIC)
    picture.save(folder / f"poisoned_{NAMES[clean.labels[222]].lower()}.jpg", quality=92)


def make_sample(out: Path) -> None:
    """Draw, train, measure and write everything into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    validation, test = draw_set(VALIDATION_SCENES), draw_set(TEST_SCENES)
    poisoned = draw_set(TEST_SCENES, sunglasses=True)
    (out / "names.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    for name, faces in (("clean_validation", validation), ("clean_test", test), ("poisoned_test", poisoned)):
        write_faces(out / f"{name}.h5", faces)
    write_images(out / "images", test, poisoned)
    training, attack = draw_set(TRAINING_SCENES), draw_set(POISONED_SCENES, sunglasses=True)
    clean = train_clean(training)
    backdoored = train_backdoor(clean, training, attack)
    write_model(out / "cleannet.keras", clean)
    write_model(out / "badnet.keras", backdoored)
    print(f"clean network: accuracy {share_of_labels(clean, test):.2%}")
    print("pruned  clean accuracy  ASR")
    for step, (accuracy, asr) in enumerate(pruning_table(backdoored, validation, test, poisoned)):
        print(f"{step:6}  {accuracy:14.1%}  {asr:6.1%}")


def main() -> None:
    """Read the command line and make the sample."""
    parser = argparse.ArgumentParser(description="Make the sample BadNet and its faces.")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "sample", help="folder to write into")
    out: Path = parser.parse_args().out
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    start = time.perf_counter()
    make_sample(out)
    print(f"wrote {out} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
