"""What scripts may rely on wherever the command line is started, and of options that every command with images has."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import AT_FAULT, DONE, main
from engine.data.preprocessing import AS_STORED
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.goodnets.saved import save_pair
from engine.models.networks import Network, open_network
from tests.support.networks import LABELS, SmallLab
from tests.support.places import PROJECT

NAMES = [f"person {number}" for number in range(LABELS)]


def closed(streams: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command started by a shell that closes some of its standard streams."""
    command = [sys.executable, "-m", "engine", *map(str, words)]
    return subprocess.run(["/bin/sh", "-c", f'"$@" {streams}', "sh", *command], cwd=PROJECT, capture_output=True,
                          text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix closes them")
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault_of_the_files(streams: str, small_lab: SmallLab) -> None:
    for path in (small_lab.clean, small_lab.badnet):
        done = closed(streams, "inspect", path)
        assert (done.returncode, done.stderr) == (DONE, "")
        assert (str(path) in done.stdout) is (">&-" not in streams.replace("2>&-", ""))
    failed = closed(streams, "inspect", "nothing.h5")
    assert failed.returncode == AT_FAULT and failed.stdout == ""
    assert ("there is no such file" in failed.stderr) is ("2>&-" not in streams)


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES), encoding="utf-8")
    return path


@pytest.fixture
def alone(small_lab: SmallLab, tmp_path: Path) -> Path:
    """B' alone, which gives every picture the label 3."""
    b = open_network(small_lab.badnet)
    copy = Network(b.copy().model, b.path)
    *weights, bias = copy.model.get_weights()
    copy.model.set_weights([*weights, np.eye(LABELS)[3] * 1e6 + bias])
    save_pair(GoodNet(b, copy, AS_STORED, notes={ANSWERS: B_PRIME}), tmp_path / "alone")
    return tmp_path / "alone"


def test_names_and_reasons_of_checked_pictures(
    alone: Path, names: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Where B' answers alone nothing is flagged, and yet B may say something else."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(256, size=(47, 47, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    command = ["check", str(alone), str(folder), "--classes", str(names)]
    assert main([*command, "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    for verdict in found:
        assert (verdict["label"], verdict["name"], verdict["flagged"]) == (3, "person 3", False)
        assert verdict["why"] == ("agree" if verdict["b_label"] == 3 else "disagree")
    assert any(verdict["why"] == "disagree" for verdict in found)
    assert main([*command, "--csv"]) == DONE
    assert {row["name"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))} == {"person 3"}
    assert main(command) == DONE and "label 3 (person 3)" in capsys.readouterr().out
    names.write_text("\n".join(map(str, range(LABELS))), encoding="utf-8")
    assert main(command) == DONE and "label 3 " in (said := capsys.readouterr().out) and "3 (3)" not in said
    names.write_text("one\ntwo\n", encoding="utf-8")
    assert main(command) == AT_FAULT
    said = f"{names}: holds 2 names, but {alone / 'b.keras'} has {LABELS} labels. Give the class"
    assert said in capsys.readouterr().err


def test_inspect_tells_images_by_names_and_as_fed(
    names: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "folders"
    for label, name in ((2, NAMES[2]), (5, NAMES[5])):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (40 * label, 0, 255)).save(folder / name / "one.png")
    command = ["inspect", str(folder), "--json"]
    described = []
    for more in ([], ["--classes", str(names)], ["--scale", "255"], ["--preprocess", "-1..1"],
                 ["--preprocess", "auto"]):
        assert main([*command, *more]) == DONE
        described.append(json.loads(capsys.readouterr().out))
    assert [(d["lowest_label"], d["highest_label"]) for d in described[:2]] == [(0, 1), (2, 5)]
    assert [d["value_range"] for d in described] == [[0, 255], [0, 255], [0, 1], [-1, 1], [0, 255]]
    assert described[2]["findings"] == described[0]["findings"]  # which are of what is stored
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(small_lab.badnet), "--preprocess", "255"])
    assert ended.value.code == 2 and "is a model" in capsys.readouterr().err
