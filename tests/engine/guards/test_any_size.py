"""A transplant guard before a network that takes images of any size: it puts them into its own, which have one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import AT_FAULT, DONE, main
from engine.errors import DatasetError
from engine.files.pictures import load_picture
from engine.goodnets.checking import check_pictures
from engine.goodnets.saved import open_goodnet
from engine.guards.guarded_curve import GuardChoice
from engine.runs.all_defences import compare_defences
from engine.runs.opening.inputs import open_inputs
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.repair import repair
from tests.support.networks import Array, random_images

SIDE, OTHER = 24, 36


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four labels: red, green, blue and white."""
    from keras import Input, Model, layers

    image = Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    made = Model(image, layers.Dense(4, activation="softmax")(x))
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[1, 1] = [[1, 0, 0, 0.6], [0, 1, 0, 0.6], [0, 0, 1, 0.6]]
    made.set_weights([kernel, np.zeros(4), np.eye(4) / 20, np.zeros(4)])
    made.save(path := tmp_path_factory.mktemp("model") / "any.keras")
    return path


def images_of(side: int, count: int) -> tuple[Array, Array]:
    """Noise, dim in all colours but the label's; bright in all for the last."""
    images, labels = random_images(count, side, (side, side, 3)), np.arange(count) % 4
    bright = np.concatenate([np.eye(3, dtype=bool), np.ones((1, 3), bool)])[labels][:, np.newaxis, np.newaxis]
    return np.where(bright, 200 + images / 5, images / 4).astype(np.uint8), labels


def data_set(path: Path, side: int, count: int = 60) -> Path:
    images, labels = images_of(side, count)
    np.savez(path, data=images, label=labels)
    return path


@pytest.fixture(scope="module")
def pair(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    clean = data_set(folder / "clean.npz", SIDE)
    assert main(["prune", str(model), "--clean", str(clean), "--guard", "transplant", "--false-alarms", "0.1",
                 "--drop", "10", "--scale", "none", "--out", str(folder / "run")]) == DONE
    return folder / "run" / "badnet-guarded"


def test_a_picture_of_another_size_is_brought_to_that_of_the_guard(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(images_of(OTHER, 1)[0][0]).resize((90, 60)).save(tmp_path / "photo.png")
    assert main(["check", str(pair), str(tmp_path / "photo.png"), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)[0]["b_label"] == 0
    (verdict,), = check_pictures(open_goodnet([pair]), [tmp_path / "photo.png"])
    np.testing.assert_array_equal(verdict.seen, load_picture(tmp_path / "photo.png", (SIDE, SIDE, 3)))
    np.testing.assert_array_equal(verdict.without_picture().seen_again(), verdict.seen)


def test_a_set_of_another_size_is_refused_and_a_folder_of_pictures_brought_to_it(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    other = data_set(tmp_path / "other.npz", OTHER)
    assert main(["evaluate", str(pair), "--test", str(other)]) == AT_FAULT
    assert f"{other}: its images have the shape 36 x 36 x 3; 24 x 24 x 3 was expected" in capsys.readouterr().err
    for number, (picture, label) in enumerate(zip(*images_of(OTHER, 12), strict=True)):
        (tmp_path / "folder" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "folder" / str(label) / f"{number}.png")
    assert main(["evaluate", str(pair), "--test", str(tmp_path / "folder"), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["test"]["goodnet_accuracy"] == 1


@pytest.mark.parametrize("guard", ["none", "margin", "transplant"])
def test_sets_that_differ_in_size_are_refused_where_parts_are_put_into_others(
    guard: GuardChoice, model: Path, tmp_path: Path,
) -> None:
    clean, test = data_set(tmp_path / "clean.npz", SIDE), data_set(tmp_path / "test.npz", OTHER)
    request = PruningRequest(model, clean, test, scale="none", drops=(10.0,), guard=guard, false_alarms=0.1)
    sentence = r"test\.npz: its images have 36 x 36 pixels and those of .*clean\.npz 24 x 24; a transplant guard"
    if guard == "transplant":
        counted: list[object] = []
        with pytest.raises(DatasetError, match=sentence):
            run_pruning(request, partial=counted.append)
        assert not counted
        return
    run = run_pruning(request)
    assert run.curve.clean.b_prime_rate(0).value == 1
    with pytest.raises(DatasetError, match=sentence):
        compare_defences(run, trained=False)


def test_a_repair_behind_such_a_guard_is_refused_likewise(model: Path, tmp_path: Path) -> None:
    clean, test = data_set(tmp_path / "clean.npz", SIDE), data_set(tmp_path / "test.npz", OTHER)
    opened = open_inputs(PruningRequest(model, clean, test, scale="none"))
    with pytest.raises(DatasetError, match=r"test\.npz: its images have 36 x 36 pixels"):
        repair(opened, "fine-pruning", channels=1, guard="sparing")
    _, pair = repair(opened, "fine-pruning", channels=1, guard="none")
    assert pair.evaluations


@pytest.mark.parametrize("command", [["repair", "--guard", "transplant"], ["defend"]])
def test_that_is_asked_before_anything_is_trained_or_examined(
    command: list[str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for work in ("engine.runs.repair.repair_by", "engine.runs.defend.examine"):
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("the work began"))
    clean, test = data_set(tmp_path / "clean.npz", SIDE), data_set(tmp_path / "test.npz", OTHER)
    assert main([command[0], str(model), *command[1:], "--clean", str(clean), "--test", str(test), "--scale", "none",
                 "--out", str(tmp_path / "out")]) == AT_FAULT
    assert "test.npz: its images have 36 x 36 pixels" in capsys.readouterr().err
