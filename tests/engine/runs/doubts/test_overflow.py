"""A network of finite weights whose answers aren't numbers: it is doubted, and NumPy doesn't complain in its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import DONE, main
from engine.assessment import astray
from engine.guards.suspects import find_striking
from engine.models.networks import open_network
from tests.support.linear_networks import overflowing

WORDS = "images tried in {} with values that aren't numbers (NaN or infinite): these have no label,"


def a_set(path: Path, *, brightest: int = 255, labels: int = 3) -> Path:
    """30 pictures; the network overflows on all but black ones."""
    images = np.random.default_rng(len(path.name)).integers(0, brightest, (30, 6, 6, 3), endpoint=True).astype(np.uint8)
    np.savez(path, data=images, label=np.arange(30) % labels)
    return path


def a_sound_network(folder: Path) -> Path:
    """The same, but that answers all pictures."""
    from keras.models import load_model
    model = load_model(overflowing(folder))
    layer = model.get_layer("pruned")
    layer.set_weights([weights * 0 for weights in layer.get_weights()])
    model.save(folder / "sound.keras")
    return folder / "sound.keras"


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("scale", ["none", "auto"])
def test_answers_that_are_no_numbers_stop_every_verdict(
        scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = overflowing(tmp_path)
    clean, test = a_set(tmp_path / "clean.npz"), a_set(tmp_path / "test.npz", brightest=0)
    assert main(["prune", str(network), "--clean", str(clean), "--test", str(test), "--poisoned",
                 str(a_set(tmp_path / "bad.npz", labels=1)), "--preprocess", scale, "--json"]) == DONE
    run = json.loads(capsys.readouterr().out)
    assert run["warnings"][0].startswith(f"B answers 16 of 16 {WORDS.format('clean')}")
    told = [sentence for sentence in run["implausible_input"] if "aren't numbers" in sentence]
    assert run["model"]["scale"] == "none", "no way to feed them is better than the first"
    (_, about_bad) = told  # black pictures are answered
    assert about_bad.startswith(f"B answers 16 of 16 {WORDS.format('bad')}")
    assert not {row["level"] for row in run["goodnets"]} & {"repaired", "protected", "costly"}


def test_each_of_several_poisoned_sets_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, black = (a_set(tmp_path / f"{name}.npz", brightest=0, labels=labels)
                    for name, labels in (("clean", 3), ("black", 1)))
    bright = a_set(tmp_path / "bright.npz", labels=1)
    assert main(["prune", str(overflowing(tmp_path)), "--clean", str(clean), "--poisoned", str(black), "--poisoned",
                 str(bright), "--preprocess", "none", "--json"]) == DONE
    doubts = json.loads(capsys.readouterr().out)["implausible_input"]
    (told,) = (sentence for sentence in doubts if "aren't numbers" in sentence)
    assert told.startswith(f"B answers 16 of 16 {WORDS.format('bright')}")


@pytest.mark.parametrize("broken, named", [(["B"], "B"), (["B'"], "B'"), (["B", "B'"], "B")])
def test_answers_of_a_saved_pair_that_are_no_numbers_are_told(
        broken: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a B' that is B itself nothing is said twice."""
    pair = [str((overflowing if called in broken else a_sound_network)(tmp_path)) for called in ("B", "B'")]
    test, bad = a_set(tmp_path / "test.npz", brightest=0), a_set(tmp_path / "bad.npz", labels=1)
    assert main(["evaluate", *pair, "--test", str(test), "--poisoned", str(bad), "--preprocess", "none",
                 "--json"]) == DONE
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    (told,) = (sentence for sentence in warnings if "aren't numbers" in sentence)
    assert told.startswith(f"{named} answers 16 of 16 {WORDS.format('bad')}")


def test_what_is_no_number_has_no_label(tmp_path: Path) -> None:
    pictures = np.stack([np.full((6, 6, 3), value, np.float32) for value in (0, 255, 0)])
    assert open_network(overflowing(tmp_path, black=2)).predict_labels(pictures).tolist() == [2, -1, 2]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("command", ["examine", "scan", "defend", "repair"])
def test_nobody_is_looked_for_among_answers_that_are_no_numbers(
        command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some pictures are answered, and all of them right."""
    with np.load(a_set(tmp_path / "clean.npz")) as stored:
        images, labels = stored["data"], stored["label"]
    images[labels == 2] = np.arange(10)[:, np.newaxis, np.newaxis, np.newaxis] > 9
    np.savez(tmp_path / "clean.npz", data=np.concatenate([images, images]), label=np.concatenate([labels, labels]))
    network = overflowing(tmp_path, black=2)
    out = [] if command == "scan" else ["--out", str(tmp_path / "out")]
    assert main([command, str(network), "--clean", str(tmp_path / "clean.npz"), "--preprocess", "none", *out]) == 1
    said = capsys.readouterr()
    assert f"{network}: the network answers" in said.err and WORDS.format("clean") in said.err
    assert not said.out and not (tmp_path / "out").exists()


def test_images_without_an_answer_are_misread_as_no_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = a_set(tmp_path / "clean.npz")
    (tmp_path / "names.txt").write_text("cat\ndog\neel\n")
    arguments = ["misread", str(overflowing(tmp_path)), "--clean", str(clean), "--preprocess", "none", "--classes",
                 str(tmp_path / "names.txt")]
    assert main([*arguments, "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["misread"] == 1 and {(row["answer"], row["answer_name"]) for row in found["wrong"]} == {(None, None)}
    assert found["warnings"][-1].startswith(f"B answers 30 of 30 {WORDS.format('clean')}")
    assert main(arguments) == DONE
    said = capsys.readouterr().out
    assert "B gets 30 of the 30 images in clean wrong (100 %)." in said and said.count("no number") == 30
    assert WORDS.format("clean") in said


def test_what_is_no_label_is_none_that_triggers_lead_to() -> None:
    """Neither of images that B gets wrong, nor of those that a guard scores highest."""
    answers = {(0, 0): 90, (1, 1): 80, (-1, 1): 20, (2, 1): 1}
    assert astray("set", answers, 4, 191) == "" != astray("set", {**answers, (2, 1): 21}, 4, 211)
    labels = np.arange(400) % 8
    scores = np.where(labels == 0, 9.0, np.random.default_rng(0).random(400))
    assert (found := find_striking(scores, scores[:, np.newaxis], labels, 8)) and found.label == 0
    assert find_striking(scores, scores[:, np.newaxis], np.where(labels == 0, -1, labels), 8) is None
