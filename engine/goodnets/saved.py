"""A pair as files: its folder, the one file that plain Keras loads, and both back again."""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import backend
from engine.data.preprocessing import AS_STORED, Preprocessing, preprocessing
from engine.data.sources.depth import is_depth
from engine.data.stored_values import AROUND_ZERO, BYTES, FINER, PREPARED, RANGES, UNIT, WORDS
from engine.errors import EngineError
from engine.files.existing import is_file, is_folder
from engine.files.manifest import first_changed, first_missing
from engine.files.own import read_own
from engine.files.saving import link_or_copy, recover, whole_folder
from engine.goodnets.legacy_h5 import fits_keras2, save_keras2_h5
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.guards.guard_files import open_guard, save_guard
from engine.models.networks import Images, Network, build_model, open_network
from engine.models.preprocessing_layers import preprocessed, preprocessing_of
from engine.models.reading import read_model_file
from engine.models.to_onnx.files import write_onnx

GUARD_FILE = "guard.npz"
# What a pair answers with.
_PAIR_FILES = ("b.keras", "b_prime.keras", "goodnet.json", GUARD_FILE)
# The input of a one-file GoodNet says by its name in which range pictures are stored, if not from 0 to 255.
_IMAGES = {BYTES: "image_0_to_255", UNIT: "image_0_to_1", AROUND_ZERO: "image_around_0", PREPARED: "image_prepared",
           FINER: "image_finer"}
# A one-file GoodNet says by its own name whether a guard stands before the pair in its folder.
_NAME, _WITHOUT_GUARD = "goodnet", "goodnet_without_its_guard"
# The pair's folder in what Defend saves, and the file beside it that tells such a folder from any other.
IN_DEFENDED, DEFENDED = "goodnet", "defend.json"
FILES_WITHOUT_GUARD = ("The guard works from the pair's folder alone: goodnet.keras and goodnet.onnx are the pair "
                       "without it.")
# Pieces of work in which a pair is written, none of them much longer than another.
PIECES = 5
# Noise that files are tried with where there are no pictures; its side for a network that takes any.
_PICTURES, _SIDE = 8, 64


def one_file_model(goodnet: GoodNet) -> Any:
    """The pair as one Keras model of built-in layers and operations; of B' alone where it answers alone.

    Returns:
        A model from images in the file's own range to float32[n, N + 1], one-hot at the GoodNet's label. Of a pair
        with a guard it is the pair alone, and its name says so.
    """
    _, keras = backend.load()
    ops = keras.ops
    image = keras.Input(goodnet.b.input_shape, name=_IMAGES[goodnet.stored])
    prepared = preprocessed(image, goodnet.preprocessing)
    answers = []
    asked = [("b", goodnet.b)] * (not goodnet.b_prime_alone) + [("b_prime", goodnet.b_prime)]
    for name, network in asked:
        # The same layers under another name; one tensor in, one out, where old files have lists of one.
        part = keras.Model(network.model.inputs[0], network.model.outputs[0], name=name)
        answers.append(ops.argmax(part(prepared), axis=-1))
    label = answers[0] if goodnet.b_prime_alone else ops.where(ops.equal(*answers), answers[0], goodnet.flag_label)
    name = _WITHOUT_GUARD if goodnet.guard else _NAME
    return keras.Model(image, ops.one_hot(label, goodnet.flag_label + 1), name=name)


def save_pair(
    goodnet: GoodNet, folder: Path, pictures: Images | None = None, same_b: Path | None = None,
    spared: Iterable[Path] = (),
) -> tuple[str, ...]:
    """Write b.keras, b_prime.keras, goodnet.keras and .onnx, repaired_X.h5 and .onnx, goodnet.json and guard.npz.

    The `.h5` is left out for a network that Keras 2 has no words for or computes otherwise, an `.onnx` for one that
    ONNX has none for or that answers otherwise there; both of B' where it is B itself, since nothing is repaired there.
    The folder appears whole.
    The files goodnet.keras and goodnet.onnx are the pair alone: neither has a layer for a guard.

    Args:
        pictures: float32[n, H, W, C] as stored, that the `.onnx` files are tried with; noise where there are none.
        same_b: a pair's folder of this very B, saved a moment ago, with which this one shares the file b.keras.
        spared: what is never replaced, besides the networks' own files.
    Returns:
        A sentence for each `.onnx` that was left out.
    Raises:
        OutputError: it can't be written, or would replace what isn't this program's or the networks' own files.
    """
    with whole_folder(folder, (goodnet.b.path, goodnet.b_prime.path, *spared)) as temporary:
        return write_pair(goodnet, temporary, pictures, same_b)


def write_pair(
    goodnet: GoodNet, folder: Path, pictures: Images | None = None, same_b: Path | None = None,
    before_each: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """The files of save_pair in a folder that exists.

    Args:
        before_each: called before each of the PIECES that the work falls into, and may raise what ends it.
    """
    before_each()
    if same_b:
        link_or_copy(same_b / "b.keras", folder / "b.keras")
    else:
        goodnet.b.model.save(folder / "b.keras")
    before_each()
    goodnet.b_prime.model.save(folder / "b_prime.keras")
    before_each()
    whole = one_file_model(goodnet)
    whole.save(folder / "goodnet.keras")
    if goodnet.classes:
        _note_classes(folder / "goodnet.keras", goodnet.classes)
    repaired = folder / repaired_name(goodnet.notes.get("x"))
    if not goodnet.b_alone and fits_keras2(goodnet.b_prime):
        save_keras2_h5(goodnet.b_prime, repaired)
    pictures = _noise(goodnet.b) if pictures is None else pictures
    prepared = goodnet.preprocessing.applied(pictures.copy())
    before_each()
    of_pair = write_onnx(Network(whole, goodnet.b.path), folder / "goodnet.onnx", pictures,
                         _onnx_notes(goodnet, AS_STORED) | {"flagged_label": str(goodnet.flag_label)}
                         | ({"guard": FILES_WITHOUT_GUARD} if goodnet.guard else {}))
    before_each()
    of_b_prime = "" if goodnet.b_alone else write_onnx(
        goodnet.b_prime, folder / f"{repaired.stem}.onnx", prepared, _onnx_notes(goodnet, goodnet.preprocessing))
    left_out = tuple(filter(None, (of_pair, of_b_prime)))
    notes = {"schema": 1, "flag_label": goodnet.flag_label, "scale": goodnet.preprocessing.name,
             "left_out": list(left_out), **({"guard_note": FILES_WITHOUT_GUARD} if goodnet.guard else {}),
             **goodnet.notes, "guard": goodnet.guard_name,
             "false_alarms_asked": goodnet.guard.calibration.false_alarms if goodnet.guard else None}
    (folder / "goodnet.json").write_text(json.dumps(notes, indent=1), encoding="utf-8")
    if goodnet.guard:
        save_guard(goodnet.guard, folder / GUARD_FILE)
    return left_out


def _note_classes(path: Path, classes: Sequence[str]) -> None:
    """Write the names of labels into a Keras file's own notes, which Keras leaves alone and opening it reads."""
    noted = path.with_name("noted.keras")
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(noted, "w") as target:
        for member in plain.infolist():
            if member.filename == "metadata.json":
                notes = json.loads(plain.read(member))
                target.writestr(copy.copy(member), json.dumps(notes | {"class_names": list(classes)}))
                continue
            with plain.open(member) as source, target.open(copy.copy(member), "w") as place:
                shutil.copyfileobj(source, place)
    noted.replace(path)


def _onnx_notes(goodnet: GoodNet, fed: Preprocessing) -> dict[str, str]:
    """What an ONNX file says of itself: how it takes pictures and, where that is known, what its labels are called."""
    names = {"names": json.dumps(goodnet.classes)} if goodnet.classes else {}
    return {"layout": "NHWC", "values": f"stored {WORDS[goodnet.stored]}, {fed.words}", **names}


def _noise(network: Network) -> Images:
    shape = [side or _SIDE for side in network.input_shape]
    return np.random.default_rng(0).integers(0, 256, (_PICTURES, *shape)).astype(np.float32)


def repaired_name(x: float | None) -> str:
    """The file of B' alone, as the lab names it; without a threshold, as of a trained B', just "repaired.h5"."""
    return "repaired.h5" if x is None else f"repaired_{x:g}.h5"


def open_goodnet(paths: Sequence[Path], fed: Preprocessing | None = None) -> GoodNet:
    """Open a saved pair's folder, or one that Defend saved it in, a one-file GoodNet, or the two files of B and B'.

    Args:
        fed: what is done with stored values before the files of B and B' see them, which say nothing of it: nothing if
            none is given. What this program saved carries its own.
    Raises:
        EngineError: the paths aren't a GoodNet, its networks can't be opened or don't match, a part of it is missing,
            or it carries a preprocessing and one is given.
    """
    if len(paths) == 2:
        folder = next(filter(is_folder, paths), None)
        if folder:
            raise EngineError(f"{folder}: is a folder; two paths are the files of B and B'. Give one GoodNet at a "
                              "time, or the two files.")
        b, b_prime = open_network(paths[0]), open_network(paths[1])
        return GoodNet(b, b_prime, fed or AS_STORED, _notes_of_pair(b, b_prime))
    if fed is not None:
        raise EngineError(f"{paths[0]}: carries how values are fed to it, so --preprocess is for the two files of B "
                          "and B' only. Leave it out.")
    if len(paths) != 1:
        raise EngineError(f"{len(paths)} paths were given; a GoodNet is a folder, one file, or the files of B and B'.")
    path = paths[0]
    recover(path)
    if is_folder(path):
        return _open_pair(pair_in(path))
    return _open_one_file(path)


def pair_in(folder: Path) -> Path:
    """Where a pair's files lie: in a folder itself, or in that of the pair which Defend saved in it."""
    inside = folder / IN_DEFENDED
    saved_there = is_file(folder / DEFENDED) and is_file(inside / "b_prime.keras")
    return inside if saved_there and not is_file(folder / "b_prime.keras") else folder


def known_by(folder: Path) -> Path:
    """The folder that a saved pair is known by, for the one its files lie in: that of Defend, or itself."""
    around = folder.absolute().parent
    return around if pair_in(around) == folder.absolute() else folder.absolute()


def _open_pair(folder: Path) -> GoodNet:
    for name in ("b.keras", "b_prime.keras"):
        if not is_file(folder / name):
            raise EngineError(f"{folder}: holds no {name}, so it isn't a saved GoodNet pair. "
                              "Choose a folder such as goodnet-x2 of a run.")
    _refuse_changed(folder)
    notes = _notes(folder / "goodnet.json") if is_file(folder / "goodnet.json") else {}
    guard = open_guard(folder / GUARD_FILE) if is_file(folder / GUARD_FILE) else None
    if guard is None and notes.get("guard", "none") != "none":
        raise EngineError(f"{folder}: holds no {GUARD_FILE}, but goodnet.json says that a guard stands before this "
                          "pair. Without it the pair is another one; copy the whole folder again.")
    missing = first_missing(folder, _PAIR_FILES)
    if missing:
        raise EngineError(f"{folder}: holds no {missing.name}, but manifest.json says that there was one. Without it "
                          "the pair is another one; copy the whole folder again.")
    b, b_prime = open_network(folder / "b.keras"), open_network(folder / "b_prime.keras")
    return GoodNet(b, b_prime, preprocessing(notes.get("scale", "none")), notes, guard)


def _notes_of_pair(b: Network, b_prime: Network) -> dict[str, Any]:
    """What is known of a pair without notes: whether B' is B itself, so that they agree says nothing."""
    own, other = b.model.get_weights(), b_prime.model.get_weights()
    same = len(own) == len(other) and all(map(np.array_equal, own, other))
    return {"pruned_channels": []} if same else {}


def _refuse_changed(folder: Path) -> None:
    """B's file is one for all pairs of a run, so who edits it in place changes pairs that nobody looks at."""
    try:
        changed = first_changed(folder, _PAIR_FILES)
    except OSError as error:
        raise EngineError(f"{folder}: can't be read ({error.strerror or error}). Copy the pair again from its "
                          "source.") from error
    if changed:
        raise EngineError(f"{changed}: was changed after this pair was saved, so what its run found out doesn't hold "
                          "for it. The pairs of a run share the file of B. Save the pair again, or open b.keras and "
                          "b_prime.keras as two files.")


def _notes(path: Path) -> dict[str, Any]:
    def check(notes: Any) -> dict[str, Any]:
        preprocessing(notes.get("scale", "none"))
        if not all(isinstance(name, str) for name in notes.get("classes", ())):
            raise ValueError("its classes aren't names")
        if notes.get("stored", BYTES) not in RANGES:
            raise ValueError("its clean images are stored in no known range")
        if not is_depth(notes.get("depth")):
            raise ValueError("its clean images have a depth that no picture has")
        if notes.get(ANSWERS, B_PRIME) != B_PRIME:
            raise ValueError(f"who answers is neither left open nor {B_PRIME}")
        if not isinstance(notes.get("x"), int | float | None):
            raise ValueError("its threshold isn't a number")
        return dict(notes)

    return read_own(path, check, "doesn't describe a GoodNet", "Save the pair again.")


def _without_guard(whole: Any, path: Path) -> str:
    """That a one-file GoodNet's folder has a guard, a sentence; empty where none is known of.

    Of an older file, whose name says nothing, a guard that lies beside it tells.
    """
    if whole.name != _WITHOUT_GUARD and not is_file(path.parent / GUARD_FILE):
        return ""
    return (f"{path}: is the pair without its guard, which a Keras file can't hold. Open the folder that it was saved "
            "in instead, to have pictures checked by the guard.")


def _open_one_file(path: Path) -> GoodNet:
    file = read_model_file(path)
    whole = build_model(file)
    parts = {name: next((layer for layer in whole.layers if layer.name == name), None) for name in ("b", "b_prime")}
    # In files of earlier versions it is called "image" whatever the range, or of 0 to 255 alone.
    stored = {name: stored for stored, name in _IMAGES.items()}.get(whole.layers[0].name)
    notes = {**({"stored": stored} if stored else {}), "classes": list(file.classes)}
    warning = _without_guard(whole, path)
    if parts["b"] is None and hasattr(parts["b_prime"], "outputs"):
        alone = Network(parts["b_prime"], path)
        return GoodNet(alone, alone, preprocessing_of(whole.layers), {**notes, ANSWERS: B_PRIME}, warning=warning)
    if not all(hasattr(part, "outputs") for part in parts.values()):
        raise EngineError(f"{path}: isn't a GoodNet (its two networks 'b' and 'b_prime' weren't found). Choose a "
                          "pair's folder or goodnet.keras, or give the files of B and B' together.")
    b, b_prime = (Network(part, path) for part in parts.values())
    known = {**notes, **_notes_of_pair(b, b_prime)}
    return GoodNet(b, b_prime, preprocessing_of(whole.layers), known, warning=warning)
