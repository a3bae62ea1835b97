"""Input that is at fault: exit 1, one line that names the file, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from engine.__main__ import AT_FAULT, main
from engine.cli.commands import check
from tests.support.locked import locked_folder
from tests.support.networks import HEIGHT, LABELS, WIDTH, Array, SmallLab, build, random_images
from tests.support.places import PROJECT

IMAGES = random_images(6)
NUMBERS = np.arange(6) % LABELS
LONG = "a" * 300


@dataclass
class Bench:
    """Where a case puts its bad file."""

    lab: SmallLab
    folder: Path

    def model(self, path: Path) -> tuple[list[str], Path]:
        return ["prune", str(path), "--clean", str(self.lab.clean), "--out", str(self.folder / "out")], path

    def clean(self, path: Path) -> tuple[list[str], Path]:
        return ["prune", str(self.lab.badnet), "--clean", str(path), "--out", str(self.folder / "out")], path

    def poisoned(self, path: Path) -> tuple[list[str], Path]:
        return [*self.lab.prune(), "--poisoned", str(path), "--out", str(self.folder / "out")], path

    def order(self, text: str) -> tuple[list[str], Path]:
        path = self.write("order.json", text)
        return self.lab.prune("--order", path, "--out", self.folder / "out"), path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def hdf5(self, name: str = "bad.h5", **arrays: Array) -> Path:
        with h5py.File(self.folder / name, "w") as file:
            for key, array in arrays.items():
                file[key] = array
        return self.folder / name

    def half(self, path: Path) -> Path:
        content = path.read_bytes()
        return self.write(f"half_{path.name}", content[:len(content) // 2])

    def archive(self, **members: str) -> Path:
        path = self.folder / "bad.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "."), content)
        return path

    def inside(self, name: str, content: str | bytes = "") -> Path:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        self.write(name, content)
        return self.folder / Path(name).parts[0]


Case = Callable[[Bench], tuple[list[str], Path]]


def _nan(bench: Bench) -> tuple[list[str], Path]:
    images = IMAGES.copy()
    images[3, 2, 2, 1] = np.nan
    return bench.clean(bench.hdf5(data=images, label=NUMBERS))


def _lambda_model(bench: Bench) -> tuple[list[str], Path]:
    import keras
    model = keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), keras.layers.Conv2D(3, 3),
                              keras.layers.Lambda(lambda x: x), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(bench.folder / "lambda.keras")
    return bench.model(bench.folder / "lambda.keras")


def _no_convolution(bench: Bench) -> tuple[list[str], Path]:
    import keras
    model = keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), keras.layers.Flatten(), keras.layers.Dense(LABELS)])
    model.save(bench.folder / "dense.keras")
    return bench.model(bench.folder / "dense.keras")


def _mismatched_pair(bench: Bench) -> tuple[list[str], Path]:
    import keras
    other = keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), keras.layers.Flatten(), keras.layers.Dense(LABELS + 1)])
    other.save(bench.folder / "other.keras")
    arguments = ["evaluate", str(bench.lab.badnet), str(bench.folder / "other.keras"), "--test", str(bench.lab.test)]
    return arguments, bench.folder / "other.keras"


def _external_link(bench: Bench) -> tuple[list[str], Path]:
    path = bench.hdf5(label=NUMBERS)
    with h5py.File(path, "a") as file:
        file["data"] = h5py.ExternalLink(str(bench.lab.clean), "/data")
    return bench.clean(path)


def _declares_too_much(bench: Bench) -> tuple[list[str], Path]:
    path = bench.hdf5(label=np.zeros(10**6))
    with h5py.File(path, "a") as file:
        file.create_dataset("data", (10**6, HEIGHT, WIDTH, 3), np.uint8, chunks=(1, HEIGHT, WIDTH, 3))
    return bench.clean(path)


def _check(bench: Bench, picture: Path) -> tuple[list[str], Path]:
    return ["check", str(bench.lab.badnet), str(bench.lab.badnet), str(picture)], picture


def _pickled(bench: Bench) -> tuple[list[str], Path]:
    path = bench.folder / "pickled.npz"
    np.savez(path, data=np.array([{}] * 6, dtype=object), label=NUMBERS)
    return bench.clean(path)


def _compressed_half(bench: Bench) -> tuple[list[str], Path]:
    path = bench.folder / "whole.npz"
    np.savez_compressed(path, data=IMAGES, label=NUMBERS)
    return bench.clean(bench.half(path))


CASES: dict[str, Case] = {
    "model: no such file": lambda b: b.model(b.folder / "none.h5"),
    "model: a text file": lambda b: b.model(b.write("model.h5", "this is no model")),
    "model: empty file": lambda b: b.model(b.write("model.keras", b"")),
    "model: a folder": lambda b: b.model(b.inside("model/x.txt")),
    "model: cut off": lambda b: b.model(b.half(b.lab.badnet)),
    "model: a data set": lambda b: b.model(b.lab.clean),
    "model: archive without members": lambda b: b.model(b.archive(readme__txt="")),
    "model: archive without configuration": lambda b: b.model(b.archive(metadata__json="{}")),
    "model: archive with a configuration of nothing": lambda b: b.model(
        b.archive(config__json="{", model__weights__h5="")),
    "model: carries program code": _lambda_model,
    "model: no convolution": _no_convolution,
    "model: weights of another network": lambda b: b.model(_weights_only(b)),
    "data: no such file": lambda b: b.clean(b.folder / "none.h5"),
    "data: a text file": lambda b: b.clean(b.write("data.h5", "faces, faces")),
    "data: a model": lambda b: b.clean(b.lab.badnet),
    "data: empty file": lambda b: b.clean(b.write("data.h5", b"")),
    "data: HDF5 cut off": lambda b: b.clean(b.half(b.lab.clean)),
    "data: missing keys": lambda b: b.clean(b.hdf5(pictures=IMAGES, label=NUMBERS)),
    "data: no labels": lambda b: b.clean(b.hdf5(data=IMAGES)),
    "data: groups for arrays": lambda b: b.clean(_groups(b)),
    "data: shape of another network": lambda b: b.clean(b.hdf5(data=IMAGES[:, 1:], label=NUMBERS)),
    "data: not images": lambda b: b.clean(b.hdf5(data=NUMBERS, label=NUMBERS)),
    "data: text for images": lambda b: b.clean(b.hdf5(data=np.full((6, HEIGHT, WIDTH, 3), b"a"), label=NUMBERS)),
    "data: label too high": lambda b: b.clean(b.hdf5(data=IMAGES, label=NUMBERS + LABELS)),
    "data: negative label": lambda b: b.clean(b.hdf5(data=IMAGES, label=NUMBERS - 1)),
    "data: labels not whole": lambda b: b.clean(b.hdf5(data=IMAGES, label=NUMBERS + 0.5)),
    "data: label not a number": lambda b: b.clean(b.hdf5(data=IMAGES, label=np.full(6, np.nan))),
    "data: fewer labels than images": lambda b: b.clean(b.hdf5(data=IMAGES, label=NUMBERS[:5])),
    "data: two labels an image": lambda b: b.clean(b.hdf5(data=IMAGES, label=np.ones((6, LABELS)))),
    "data: NaN": _nan,
    "data: no images": lambda b: b.clean(b.hdf5(data=IMAGES[:0], label=NUMBERS[:0])),
    "data: link to another file": _external_link,
    "data: declares more than it holds": _declares_too_much,
    "data: pickled objects": _pickled,
    "data: npz cut off": _compressed_half,
    "data: folder without pictures": lambda b: b.clean(b.inside("faces/0/readme.txt")),
    "data: folder with a broken picture": lambda b: b.clean(b.inside("faces/0/a.png", "not a png")),
    "poisoned: several targets": lambda b: b.poisoned(b.lab.clean),
    "poisoned: no such file": lambda b: b.poisoned(b.folder / "none.h5"),
    "order: not JSON": lambda b: b.order("0, 1, 2"),
    "order: a channel missing": lambda b: b.order("[0, 1, 2]"),
    "order: a channel twice": lambda b: b.order(json.dumps([0, *range(8)])),
    "order: no order": lambda b: b.order("{}"),
    "layer: no such layer": lambda b: (b.lab.prune("--layer", "conv_9"), b.lab.badnet),
    "out: a file": lambda b: _out(b, b.write("out", "keep me")),
    "out: below a file": lambda b: _out(b, b.write("file", "keep me") / "out"),
    "out: somebody else's folder": lambda b: _out(b, b.inside("mine/letter.txt", "keep me")),
    "goodnet: an empty folder": lambda b: (["evaluate", str(b.inside("pair/x.txt")), "--test", str(b.lab.test)],
                                           b.folder / "pair"),
    "goodnet: a single network": lambda b: (["evaluate", str(b.lab.badnet), "--test", str(b.lab.test)], b.lab.badnet),
    "goodnet: networks that don't match": _mismatched_pair,
    "check: no such picture": lambda b: _check(b, b.folder / "none.png"),
    "check: not a picture": lambda b: _check(b, b.write("face.png", "no picture")),
    "check: folder without pictures": lambda b: _check(b, b.inside("faces/readme.txt")),
    "inspect: no such file": lambda b: (["inspect", str(b.folder / "none.h5")], b.folder / "none.h5"),
    "inspect: a text file": lambda b: (["inspect", str(b.write("notes.txt", "hello"))], b.folder / "notes.txt"),
    "inspect: a name too long": lambda b: (["inspect", str(b.folder / LONG)], b.folder / LONG),
    "inspect: a name too long, of PyTorch's": lambda b: (["inspect", f"{b.folder / LONG}.pt"], b.folder / LONG),
    "goodnet: a name too long": lambda b: (["evaluate", str(b.folder / LONG), "--test", str(b.lab.test)],
                                           b.folder / LONG),
    "check: a name too long": lambda b: _check(b, b.folder / LONG),
    "check: GoodNet with a name too long": lambda b: (["check", str(b.folder / LONG), "a", "b"], b.folder / LONG),
}


def _out(bench: Bench, out: Path) -> tuple[list[str], Path]:
    return bench.lab.prune("--out", out), out


def _weights_only(bench: Bench) -> Path:
    model, _ = build("plain")
    path = bench.hdf5("weights.h5")
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = [layer.name for layer in model.layers]
    return path


def _groups(bench: Bench) -> Path:
    path = bench.hdf5(label=NUMBERS)
    with h5py.File(path, "a") as file:
        file.create_group("data")
    return path


def _everything_in(folder: Path) -> dict[str, Any]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("name", CASES)
def test_one_sentence_and_nothing_written(
    name: str, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, culprit = CASES[name](Bench(small_lab, tmp_path))
    before = _everything_in(tmp_path)
    capsys.readouterr()
    assert main(arguments) == AT_FAULT
    said = capsys.readouterr()
    assert said.out == ""
    _check_one_sentence(said.err, culprit)
    assert _everything_in(tmp_path) == before


@pytest.mark.parametrize("name", ["data: NaN", "model: cut off", "out: below a file"])
def test_the_same_as_a_process(name: str, small_lab: SmallLab, tmp_path: Path) -> None:
    arguments, culprit = CASES[name](Bench(small_lab, tmp_path))
    before = _everything_in(tmp_path)
    done = subprocess.run([sys.executable, "-m", "engine", *arguments], cwd=PROJECT, capture_output=True, text=True,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    _check_one_sentence(done.stderr, culprit)
    assert _everything_in(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_a_folder_that_may_not_be_written(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    tmp_path.chmod(0o500)
    # Root may write everywhere but where there is nothing to write to.
    out = (tmp_path if os.geteuid() else Path("/proc")) / "goodnet"
    try:
        assert main(small_lab.prune("--out", out)) == AT_FAULT
    finally:
        tmp_path.chmod(0o700)
    _check_one_sentence(capsys.readouterr().err, out)


@pytest.mark.parametrize("words", [
    ["inspect", "{}/b.keras"], ["check", "{}/pair", "a.png"], ["check", "{}/b.h5", "{}/b2.h5", "a.png"],
    ["check", "pair", "{}"], ["check", "pair", "{}/a.png"], ["evaluate", "{}/pair", "--test", "t.h5"],
    ["prune", "{}/b.keras", "--clean", "c.h5"], ["prune", "b.pt", "--clean", "{}/c.h5"],
    ["compare", "{}/run", "{}/run"], ["prune", "--project", "{}/p.goodnet"]], ids=" ".join)
def test_a_folder_that_may_not_be_entered(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "pair" in words:
        monkeypatch.setattr(check, "open_goodnet", lambda *_: SimpleNamespace(warnings=(), classes=()))
    locked = locked_folder(tmp_path / "locked", monkeypatch)
    assert main([word.format(locked) for word in words]) == AT_FAULT
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said


@pytest.mark.parametrize("arguments", [[], ["prune"], ["prune", "m.h5"], ["prune", "m.h5", "--clean", "c.h5", "--drop",
                         "101"], ["prune", "m.h5", "--clean", "c.h5", "--scale", "3"], ["defend", "m.h5"],
                         ["check", "pair"], ["evaluate", "a", "b", "c", "--test", "t.h5"],
                         *([command, "m.h5", "--clean", "c.h5", "--out", "o", "--seed", "-1"]
                           for command in ("examine", "repair", "defend")),
                         ["scan", "m.h5", "--clean", "c.h5", "--seed", "-1"], ["compare", "a", ""],
                         *(["prune", "m.h5", "--clean", "c.h5", option, ""]
                           for option in ("--out", "--test", "--poisoned", "--order", "--layer"))])
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


def _check_one_sentence(said: str, culprit: Path) -> None:
    assert said.count("\n") == 1 and said.endswith((".\n", "?\n")), said
    assert said.startswith("goodnet: ")
    assert culprit.name in said
    assert "Traceback" not in said
