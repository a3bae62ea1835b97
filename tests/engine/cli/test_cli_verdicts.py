"""The command line says first what is doubtful, counts every poisoned set, and recommends what the report does."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.goodnets import checking
from engine.goodnets.checking import Verdict, check_pictures
from engine.reports.headline import IMPLAUSIBLE
from tests.support.networks import LABELS, TARGET, SmallLab, save_lab_file, stored


@pytest.fixture
def harmless(small_lab: SmallLab, tmp_path: Path) -> Path:
    """Clean test images that the network answers with other labels, labelled with the target."""
    with h5py.File(small_lab.test) as file:
        images, labels = file["data"][()].transpose(0, 2, 3, 1), file["label"][()]
    others = images[(labels != TARGET) & (np.arange(len(labels)) % 10 != 0)]
    return save_lab_file(tmp_path / "harmless.h5", others, np.full(len(others), TARGET))


def said_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_check_keeps_no_picture_but_of_those_at_hand(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number, image in enumerate(stored(small_lab.test)[0][:12]):
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    pictures: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def watched(*given: Any, **options: Any) -> Iterator[list[Verdict]]:
        for chunk in check_pictures(*given, **options):
            pictures.extend(weakref.ref(verdict.seen) for verdict in chunk)
            yield chunk
            alive.append(sum(picture() is not None for picture in pictures))

    monkeypatch.setattr(checking, "_MOST_IN_CHUNK", 1)
    monkeypatch.setattr("engine.cli.commands.check.check_pictures", watched)
    said_of(["check", str(small_lab.badnet), str(small_lab.badnet), str(tmp_path)], capsys)
    assert len(alive) == 12 and max(alive) <= 2


def test_every_poisoned_set_is_printed_and_saved(
    small_lab: SmallLab, harmless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    command = ["prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
               "--poisoned", str(harmless), str(small_lab.poisoned), "--guard", "margin", "--false-alarms", "0.1",
               "--out", str(out)]
    said = said_of(command, capsys)
    assert said.startswith("Warning: harmless shows no backdoor")
    assert "attack success, harmless" in said and "attack success, poisoned" in said
    document = json.loads((out / "run.json").read_text(encoding="utf-8"))
    curve = document["curve"]["poisoned"]
    for row in document["goodnets"]:
        step = row["channels_pruned"]
        assert [p["attack_success_rate"] for p in row["poisoned"]] == [c["goodnet_asr"][step] for c in curve]
        assert [p["detection_rate"] for p in row["poisoned"]] == [c["detection_rate"][step] for c in curve]
        assert row["level"] == level_by_hand(row, document["badnet"]["clean_accuracy"])
    guarded = document["badnet_guarded"]
    assert [p["name"] for p in guarded["poisoned"]] == ["harmless", "poisoned"]
    evaluated = json.loads(said_of(["evaluate", str(out / "badnet-guarded"), "--test", str(small_lab.test),
                                    "--poisoned", str(harmless), str(small_lab.poisoned), "--json"], capsys))
    for saved, again in zip(guarded["poisoned"], evaluated["guarded"]["poisoned"], strict=True):
        keys = ("name", "target", "attack_success_rate", "detection_rate", "reconstructed")
        assert [saved[key] for key in keys] == [again[key] for key in keys]


def level_by_hand(row: dict[str, Any], before: float) -> str:
    """The worst set decides: 5 % is harmless, and 5 points of clean accuracy are bearable."""
    worst = max(poisoned["attack_success_rate"] for poisoned in row["poisoned"])
    if worst > 0.05:
        return "failed" if worst > 0.5 else "weakened"
    return "costly" if before - row["clean_accuracy"] > 0.05 else "repaired"


def test_implausible_input_is_said_before_anything_else(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    with h5py.File(small_lab.clean) as file:
        images, labels = file["data"][()].transpose(0, 2, 3, 1), file["label"][()]
    known = labels + 1 < LABELS
    shifted = save_lab_file(tmp_path / "shifted.h5", images[known], labels[known] + 1)
    out = tmp_path / "out"
    said = said_of(["prune", str(small_lab.badnet), "--clean", str(shifted), "--poisoned", str(small_lab.poisoned),
                    "--scale", "none", "--out", str(out)], capsys)
    first = said.splitlines()[0]
    assert first.startswith("Warning: B answers only ") and "every label is one too high" in first
    assert IMPLAUSIBLE in said and said.index(IMPLAUSIBLE) < said.index("X = ")
    document = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert document["warnings"][0] == document["implausible_input"][0] == first.removeprefix("Warning: ")
    assert not {row["level"] for row in document["goodnets"]} & {"repaired", "protected", "costly"}
    report = " ".join((out / "report.html").read_text(encoding="utf-8").split())
    assert report.index("every label is one too high") < report.index("Mend what the warning names")


def test_evaluate_looks_at_its_sets_as_a_run_does(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Poisoned images as the test set, one file as both, copies, and the very images that the GoodNet was made from."""
    said_of(["prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--drop", "5", "--scale", "none",
             "--out", str(tmp_path / "out")], capsys)
    images, labels = stored(small_lab.test)
    copies = save_lab_file(tmp_path / "copies.h5", np.repeat(images, 3, axis=0), np.repeat(labels, 3))

    def doubted(test: Path, *poisoned: Path) -> str:
        given = ["--poisoned", *map(str, poisoned)] if poisoned else []
        document = json.loads(said_of(["evaluate", str(tmp_path / "out" / "goodnet-x5"), "--test", str(test), *given,
                                       "--json"], capsys))
        return " ".join(document["warnings"])

    assert doubted(small_lab.test, small_lab.poisoned) == ""
    of_one_label = f"100 % of the images in poisoned have the label {TARGET}"
    assert of_one_label in doubted(small_lab.poisoned)
    assert "40 of the 40 images in poisoned (the poisoned set) are in poisoned (the test set) too" in \
        (both := doubted(small_lab.poisoned, small_lab.poisoned)) and of_one_label in both
    assert "Only 60 of the 180 images in copies are different" in doubted(copies)
    moved = tmp_path / "moved.h5"
    moved.write_bytes(small_lab.clean.read_bytes())
    assert "moved is the set that this GoodNet was made from" in doubted(moved)
