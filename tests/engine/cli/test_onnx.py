"""An ONNX network through the commands, as any other model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import main
from engine.models.networks import open_network
from tests.support.networks import plain_loop
from tests.support.places import PROJECT

FOLDER = PROJECT / "tests" / "data" / "onnx"


def pictures(folder: Path, name: str) -> Path:
    """A data set of the pictures that were shown to a network, two of three with its own answers for labels."""
    with np.load(FOLDER / "answers.npz") as found:
        labels = found[name].argmax(axis=1)
        labels[::3] = (labels[::3] + 1) % 7
        np.savez(folder / "valid.npz", data=found["pictures"], label=labels)
    return folder / "valid.npz"


@pytest.mark.parametrize("name", ["resnet-script13", "mobilenet_v3-dynamo", "shufflenet-dynamo18", "convnext-dynamo"])
def test_prune_counts_as_a_plain_loop_and_the_pair_is_evaluated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    model, valid, out = FOLDER / f"{name}.onnx", pictures(tmp_path, name), tmp_path / "run"
    assert main(["prune", str(model), "--clean", str(valid), "--preprocess", "255", "--drop", "10",
                 "--out", str(out)]) == 0
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    with np.load(valid) as data:
        images, labels = data["data"].astype(np.float32) / 255, data["label"]
    plain = plain_loop(open_network(model).model, run["model"]["layer"], run["pruning_order"], images)
    accuracy = (plain == labels).mean(axis=1)
    np.testing.assert_allclose(run["curve"]["validation"]["b_prime_accuracy"], accuracy, atol=1e-12)
    agreed = ((plain == labels) & (plain == plain[0])).mean(axis=1)
    np.testing.assert_allclose(run["curve"]["validation"]["goodnet_accuracy"], agreed, atol=1e-12)

    pruned = run["goodnets"][0]["channels_pruned"]
    for goodnet in (out / "goodnet-x10", out / "goodnet-x10" / "goodnet.keras"):
        capsys.readouterr()
        assert main(["evaluate", str(goodnet), "--test", str(valid), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["test"]["goodnet_accuracy"] == pytest.approx(agreed[pruned])
    for written in (out / "goodnet-x10").glob("*.h5"):  # where Keras 2 has words for the network
        assert open_network(written).predict_labels(images).tolist() == plain[pruned].tolist()


def test_inspect_says_what_it_is_and_which_layers_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(FOLDER / "resnet-dynamo.onnx"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["format"], found["labels"], found["input_shape"]) == (
        "model", "ONNX (.onnx)", 7, [32, 32, 3])
    layers = {layer["name"]: layer["channels"] for layer in found["layers"]}
    assert layers["3.body.2.0"] == 12 and found["default_layer"] == "3.body.2.0" and found["findings"] == []
    assert main(["inspect", str(FOLDER / "densenet-dynamo.onnx")]) == 0
    joined = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("cat_3 "))
    assert joined.split() == ["cat_3", "Concatenate", "4", "x", "4", "x", "16", "pruned", "by", "default"]


def test_a_file_that_can_t_be_opened_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x0a nonsense")
    assert main(["inspect", str(tmp_path / "net.onnx")]) == 1
    said = capsys.readouterr().err
    assert "net.onnx" in said and "Traceback" not in said
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    assert main(["inspect", str(folder)]) == 1
    assert "is a SavedModel folder" in capsys.readouterr().err
