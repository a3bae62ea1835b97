"""The images that a network gets wrong are those that a plain loop finds, by number, file and label."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import backend
from engine.__main__ import main
from engine.data.datasets import Dataset, open_dataset
from engine.data.subsets import subset
from engine.looking.misread import find_misread
from engine.models.networks import Network, open_network
from engine.progress import Cancelled, CancelSource
from tests.support.networks import SmallLab, save_lab_file


def answers_of(path: Path, images: np.ndarray) -> np.ndarray:
    """What Keras itself answers, an image at a time."""
    _, keras = backend.load()
    model = keras.models.load_model(path)
    return np.array([int(model.predict(image[np.newaxis], verbose=0).argmax()) for image in images])


def opened(small_lab: SmallLab, path: Path) -> tuple[Network, Dataset]:
    network = open_network(small_lab.badnet)
    return network, open_dataset(path, network.input_shape, network.labels)


def mislabelled(small_lab: SmallLab, path: Path, wrong: list[int]) -> tuple[Path, np.ndarray, np.ndarray]:
    """Forty images labelled as the network answers them, but for some, which are labelled one more."""
    images = open_dataset(small_lab.clean).take(range(40))
    answers = answers_of(small_lab.badnet, images)
    labels = answers.copy()
    labels[wrong] = (labels[wrong] + 1) % open_network(small_lab.badnet).labels
    return save_lab_file(path, images, labels), labels, answers


def test_they_are_those_of_a_plain_loop(small_lab: SmallLab, tmp_path: Path) -> None:
    path, labels, answers = mislabelled(small_lab, tmp_path / "clean.h5", [0, 7, 8, 39])
    found = find_misread(*opened(small_lab, path))
    assert found.numbers.tolist() == [0, 7, 8, 39] and list(found.files) == []
    assert found.labels.tolist() == labels[[0, 7, 8, 39]].tolist()
    assert found.answers.tolist() == answers[[0, 7, 8, 39]].tolist()
    assert (found.wrong.count, found.wrong.total) == (4, 40)
    assert found.sentence.startswith("B gets 4 of the 40 images in clean wrong (10 %)")


def test_a_network_that_is_always_right_gets_none_wrong(small_lab: SmallLab, tmp_path: Path) -> None:
    path, _, _ = mislabelled(small_lab, tmp_path / "clean.h5", [])
    found = find_misread(*opened(small_lab, path))
    assert len(found.numbers) == 0 and not found.doubt
    assert found.sentence == "B gets 0 of the 40 images in clean wrong (0 %)."


def test_a_cancelled_search_ends(small_lab: SmallLab) -> None:
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        find_misread(*opened(small_lab, small_lab.clean), cancel=source.token)


@pytest.fixture
def folder(small_lab: SmallLab, tmp_path: Path) -> Path:
    """Six pictures in the sub-folders of the labels that the network answers, and two in another one's."""
    images = open_dataset(small_lab.clean).take(range(8))
    labels = answers_of(small_lab.badnet, images)
    labels[[2, 5]] = (labels[[2, 5]] + 1) % open_network(small_lab.badnet).labels
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = tmp_path / "pictures" / str(label) / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(place)
    return tmp_path / "pictures"


def test_of_a_folder_they_are_called_by_their_files(small_lab: SmallLab, folder: Path) -> None:
    network, dataset = opened(small_lab, folder)
    found = find_misread(network, dataset)
    assert sorted(file.name for file in found.files) == ["2.png", "5.png"]
    assert [int(file.parent.name) for file in found.files] == found.labels.tolist()
    assert [dataset.pictures[i] for i in found.numbers] == list(found.files)
    part = subset(dataset, found.numbers.tolist())
    assert list(part.pictures) == list(found.files) and len(find_misread(network, part).files) == 2


def test_the_command_prints_them(small_lab: SmallLab, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = find_misread(*opened(small_lab, folder))
    arguments = ["misread", str(small_lab.badnet), "--clean", str(folder), "--preprocess", "none"]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["images"], printed["misread"], printed["preprocess"]) == (8, 0.25, "none")
    rows = [(row["image"], row["file"], row["label"], row["answer"]) for row in printed["wrong"]]
    assert rows == list(zip(found.numbers.tolist(), map(str, found.files), found.labels.tolist(),
                            found.answers.tolist(), strict=True))
    assert main([*arguments, "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(int(row["image"]), row["file"], int(row["label"]), int(row["answer"])) for row in table] == rows
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:3]] == [list(map(str, row)) for row in rows]
    assert lines[-1].startswith("B gets 2 of the 8 images in pictures wrong (25 %)")


def test_the_command_says_where_most_of_them_lead(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Images with a trigger among the clean ones, labelled with what they show."""
    clean, poisoned = open_dataset(small_lab.clean), open_dataset(small_lab.poisoned)
    count = 60
    images = np.concatenate([clean.take(range(count)), poisoned.take(range(14))])
    others = (poisoned.labels[:14] + 1) % 7
    path = save_lab_file(tmp_path / "mixed.h5", images, np.concatenate([clean.labels[:count], others]))
    arguments = ["misread", str(small_lab.badnet), "--clean", str(path), "--preprocess", "none"]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    target = int(poisoned.labels[0])
    led = [row["image"] for row in printed["wrong"] if row["image"] >= count and row["answer"] == target]
    assert len(led) > 7
    assert f"with label {target}: images that carry a trigger look so" in printed["warnings"][-1]
    labels = range(open_network(small_lab.badnet).labels)
    (tmp_path / "list.txt").write_text("\n".join(f"person {label}" for label in labels))
    assert main([*arguments, "--classes", str(tmp_path / "list.txt")]) == 0
    assert capsys.readouterr().out.endswith(f" of them with label {target} (person {target}).\n")
    assert main(arguments) == 0
    assert "Look at them (misread lists them" in capsys.readouterr().out.replace("\n", " ")
