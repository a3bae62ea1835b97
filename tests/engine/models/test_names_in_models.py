"""Names of labels that lie in a model's own file: read as data, used where there is one for each label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.cli.commands import inspect as inspecting
from engine.data.classes import names_in
from engine.looking.inspection import description_json
from engine.models.architecture import describe_model
from engine.models.networks import Network, open_network
from tests.engine.runs.opening.test_labelling import colours_network
from tests.support.noted_models import archive_with, h5_with, onnx_with

ANIMALS = ("fox", "dog", "cat", "bird")


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colours_network(tmp_path_factory.mktemp("names") / "model.keras", 4)


@pytest.mark.parametrize("notes", [
    {"names": "{0: 'fox', 1: 'dog', 2: 'cat', 3: 'bird'}", "task": "classify"},
    {"classes": '["fox", "dog", "cat", "bird"]'}, {"labels": "fox,dog, cat , bird"},
    {"class_names": "fox\ndog\ncat\nbird\n"}, {"id2label": '{"3": "bird", "2": "cat", "1": "dog", "0": "fox"}'},
    {"Names": "('fox', 'dog', 'cat', 'bird')"},
    {"names": "{'dog': 1, 'fox': 0, 'bird': 3, 'cat': 2}"},
    {"names": "fox", "classes": "4", "labels": "fox,dog,cat,bird"}], ids=str)
def test_names_in_an_onnx_file(notes: dict[str, str], keras_file: Path, tmp_path: Path) -> None:
    path = onnx_with(tmp_path, keras_file, **notes)
    assert describe_model(path).classes == open_network(path).classes == ANIMALS


@pytest.mark.parametrize("note", [
    np.array(ANIMALS, object), np.array(ANIMALS, "S4"), json.dumps(ANIMALS), "fox,dog,cat,bird"], ids=str)
def test_names_in_an_attribute_of_hdf5(note: Any, keras_file: Path, tmp_path: Path) -> None:
    path = h5_with(tmp_path, keras_file, class_names=note)
    assert describe_model(path).classes == open_network(path).classes == ANIMALS


@pytest.mark.parametrize("places", [("metadata.json",), ("config.json",), ("config.json", "config")])
@pytest.mark.parametrize("note", [list(ANIMALS), {str(i): name for i, name in enumerate(ANIMALS)}], ids=str)
def test_names_in_an_archive(note: Any, places: tuple[str, ...], keras_file: Path, tmp_path: Path) -> None:
    path = archive_with(tmp_path, keras_file, *places, class_names=note)
    assert describe_model(path).classes == open_network(path).classes == ANIMALS


def test_names_count_only_where_there_is_one_for_each_label(keras_file: Path, tmp_path: Path) -> None:
    assert describe_model(keras_file).classes == open_network(keras_file).classes == ()
    path = onnx_with(tmp_path, keras_file, names="{0: 'fox', 1: 'dog', 2: 'cat'}")
    assert describe_model(path).classes == open_network(path).classes == ()
    path = h5_with(tmp_path, keras_file, class_names="fox,dog,cat,bird,cow")
    assert describe_model(path).classes == open_network(path).classes == ()


@pytest.mark.parametrize("note", [
    "", "7", "fox", "fox,fox", "[", "{0: 'fox', 2: 'dog'}", "{0: 'fox', 1: 7}", "['fox', ['dog']]", "[1, 2]",
    "{'fox': 'dog'}", "{0: 'fox', 'a': 'dog'}", "__import__('os').system('true')", "[__import__('os').name, 'dog']",
    "['fox', open('/etc/passwd').read()]", "[" * 100_000, "{" + "-" * 100_000 + "1: 'fox', 1: 'dog'}",
    "a,b" + "c" * 300, '["fox", "\\ud800"]', "x,y" * (1 << 20), "{[1]: 'fox'}", "[*['a', 'b']]", b"fox,dog",
    7, None, [7, 8], {"a": "b"}, ["fox", ""], {"0": ["n015"], "1": []}], ids=lambda note: str(note)[:40])
def test_what_is_no_list_of_names(note: Any) -> None:
    assert names_in({"names": note}) == []


def test_strange_notes_spoil_no_model(keras_file: Path, tmp_path: Path) -> None:
    """Deep brackets, numbers, words that aren't text: the networks open all the same, without names."""
    no_text = np.array([b"\xff", b"\xfe", b"c", b"d"])
    for number, note in enumerate((no_text, b"\xff,\xfe,c,d", 7.0, np.arange(4), "[" * 50_000)):
        (folder := tmp_path / str(number)).mkdir()
        assert isinstance(network := open_network(h5_with(folder, keras_file, names=note)), Network)
        assert network.classes == ()
    path = onnx_with(tmp_path, keras_file, names="[" * 50_000, classes="{" * 50_000, labels="-" * 50_000)
    assert open_network(path).classes == ()


def test_inspect_says_the_names(keras_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_with(tmp_path, keras_file, names=json.dumps(["fox\x1b[31m", *ANIMALS[1:]]))
    found = describe_model(path)
    assert description_json(found)["class_names"] == ["fox\x1b[31m", *ANIMALS[1:]]
    inspecting._say_model(found)
    assert "The file names its labels: fox\\x1b[31m, dog, cat, bird\n" in capsys.readouterr().out
