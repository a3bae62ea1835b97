"""scan on the command line: the engine's counts, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import main
from engine.data.datasets import open_dataset
from engine.defences.scan import scan
from engine.models.networks import open_network
from tests.support.networks import SmallLab, save_lab_file


def test_scan_prints_what_the_engine_counts(small_lab: SmallLab, capsys: pytest.CaptureFixture[str]) -> None:
    network = open_network(small_lab.badnet)
    found = scan(network, open_dataset(small_lab.clean, network.input_shape, network.labels), 400, 3)
    arguments = ["scan", str(small_lab.badnet), "--clean", str(small_lab.clean), "--stamps", "400", "--seed", "3",
                 "--preprocess", "none"]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["stamps"] == 400 and printed["changed"] == found.changed
    assert [(s["rank"], s["label"], s["count"]) for s in printed["suspects"]] == \
        [(i, s.label, s.count) for i, s in enumerate(found.suspects, start=1)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    first = found.suspects[0]
    assert ["1", str(first.label), str(first.count)] in [line.split() for line in lines]
    assert found.sentence in " ".join(lines)


def test_scan_says_what_is_doubtful_about_its_input(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Labels drawn by chance tell nothing of how values are fed, and the scan's counts follow from that."""
    images = open_dataset(small_lab.clean).take(range(60))
    wrong = save_lab_file(tmp_path / "wrong.h5", images, np.random.default_rng(0).integers(0, 7, 60))
    arguments = ["scan", str(small_lab.badnet), "--clean", str(wrong), "--stamps", "50"]
    assert main(arguments) == 0
    assert "Warning: However the stored values are fed" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert "However the stored values are fed" in json.loads(capsys.readouterr().out)["warnings"][0]
