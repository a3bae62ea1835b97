"""The command line on good input: what it prints, what it writes, and Ctrl-C."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import AT_FAULT, DONE, INTERRUPTED, main
from engine.cli.parser import build_parser
from engine.cli.progress_line import ProgressLine
from engine.progress import Progress
from engine.runs.prune import PruningRequest
from tests.support.networks import (
    LABELS,
    TARGET,
    Array,
    SmallLab,
    build,
    plain_loop,
    random_images,
    save_lab_file,
    stored,
)
from tests.support.places import PROJECT


@pytest.fixture(scope="module")
def saved(small_lab: SmallLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with everything."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(small_lab.prune("--out", folder)) == DONE
    return folder


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constants)


def _no_constants(name: str) -> None:
    raise AssertionError(f"{name} isn't JSON")


def expected_rates(lab: SmallLab, order: list[int]) -> dict[str, Array]:
    """The rates of run.json by a plain loop: for each set [correct by B', by the GoodNet, labelled N] x steps."""
    sets = {path.stem: stored(path) for path in (lab.clean, lab.test, lab.poisoned)}
    model, layer = build("plain")
    everything = plain_loop(model, layer, order, np.concatenate([images for images, _ in sets.values()]))
    rates, start = {}, 0
    for name, (_, truth) in sets.items():
        labels = everything[:, start:start + len(truth)]
        start += len(truth)
        agreeing, right = labels == labels[0], labels == truth
        rates[name] = np.array([right.mean(axis=1), (right & agreeing).mean(axis=1), (~agreeing).mean(axis=1)])
    return rates


def test_a_run_s_folder_is_complete(saved: Path) -> None:
    names = {str(p.relative_to(saved)) for p in saved.rglob("*")}
    assert {"run.json", "curve.csv", "curve.png", "curve.svg"} <= names
    for row in read_json(saved / "run.json")["goodnets"]:
        for name in ("b.keras", "b_prime.keras", "goodnet.keras", "goodnet.onnx", "goodnet.json",
                     f"repaired_{row['x']:g}.h5", f"repaired_{row['x']:g}.onnx"):
            assert str(Path(row["path"], name)) in names
    assert not list(saved.parent.glob(".*"))


def test_run_json_holds_the_plain_loop_s_rates(saved: Path, small_lab: SmallLab) -> None:
    document = read_json(saved / "run.json")
    rates = expected_rates(small_lab, document["pruning_order"])
    curve = document["curve"]
    assert document["schema"] == 1
    assert curve["channels_pruned"] == list(range(10))
    for role, name in (("validation", "clean"), ("test", "test")):
        keys = ("b_prime_accuracy", "goodnet_accuracy", "false_alarm_rate")
        for key, expected in zip(keys, rates[name], strict=True):
            assert curve[role][key] == pytest.approx(expected.tolist(), abs=1e-12), (role, key)
    (poisoned,) = curve["poisoned"]
    assert (poisoned["name"], poisoned["images"], poisoned["target"]) == ("poisoned", 40, TARGET)
    for key, expected in zip(("b_prime_asr", "goodnet_asr", "detection_rate"), rates["poisoned"], strict=True):
        assert poisoned[key] == pytest.approx(expected.tolist(), abs=1e-12), key
    assert poisoned["b_prime_asr"][0] == 1.0
    assert curve["validation"]["b_prime_accuracy"][0] == pytest.approx(0.9)


def test_run_json_s_goodnets_are_steps_of_the_curve(saved: Path, small_lab: SmallLab) -> None:
    document = read_json(saved / "run.json")
    curve = document["curve"]
    accuracy = curve["validation"]["b_prime_accuracy"]
    assert [row["x"] for row in document["goodnets"]] == [2, 4, 10, 30]
    for row in document["goodnets"]:
        step = row["channels_pruned"]
        lost = [100 * (accuracy[0] - a) for a in accuracy]
        assert step == next(k for k, loss in enumerate(lost) if loss >= row["x"] - 1e-9)
        assert row["drop_points"] == pytest.approx(lost[step])
        assert row["drop_relative_percent"] == pytest.approx(lost[step] / accuracy[0])
        assert row["clean_accuracy"] == curve["test"]["goodnet_accuracy"][step]
        assert row["false_alarm_rate"] == curve["test"]["false_alarm_rate"][step]
        assert row["attack_success_rate"] == curve["poisoned"][0]["goodnet_asr"][step]
        assert row["detection_rate"] == curve["poisoned"][0]["detection_rate"][step]
        low, high = row["clean_accuracy_interval"]
        assert low <= row["clean_accuracy"] <= high
        assert row["guarded"] is None


def test_run_json_says_what_was_run_on_what(saved: Path, small_lab: SmallLab) -> None:
    document = read_json(saved / "run.json")
    model = document["model"]
    assert model["sha256"] == hashlib.sha256(small_lab.badnet.read_bytes()).hexdigest()
    assert (model["layer"], model["channels"], model["labels"], model["scale"]) == ("pruned", 9, LABELS, "none")
    assert [d["role"] for d in document["datasets"]] == ["validation", "test", "poisoned"]
    files = (small_lab.clean, small_lab.test, small_lab.poisoned)
    for described, path in zip(document["datasets"], files, strict=True):
        assert described["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(document["pruning_order"]) == list(range(9))
    means = np.array(document["mean_activation"])
    assert document["pruning_order"] == np.argsort(means, kind="stable").tolist()


def test_curve_csv_repeats_run_json(saved: Path) -> None:
    document = read_json(saved / "run.json")
    with (saved / "curve.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    curve = document["curve"]
    assert [int(row["channels_pruned"]) for row in rows] == curve["channels_pruned"]
    assert [row["channel"] for row in rows] == ["", *map(str, document["pruning_order"])]
    for column, values in (("validation_goodnet_accuracy", curve["validation"]["goodnet_accuracy"]),
                           ("test_false_alarm_rate", curve["test"]["false_alarm_rate"]),
                           ("poisoned_1_goodnet_asr", curve["poisoned"][0]["goodnet_asr"])):
        assert [float(row[column]) for row in rows] == values


def test_the_figures_are_pictures(saved: Path) -> None:
    with Image.open(saved / "curve.png") as picture:
        assert min(picture.size) > 400
    assert "<svg" in (saved / "curve.svg").read_text(encoding="utf-8")


def test_two_runs_are_the_same_to_the_last_bit(saved: Path, small_lab: SmallLab, tmp_path: Path) -> None:
    assert main(small_lab.prune("--out", tmp_path / "again")) == DONE
    first, second = read_json(saved / "run.json"), read_json(tmp_path / "again" / "run.json")
    for key in ("pruning_order", "mean_activation", "curve", "goodnets"):
        assert first[key] == second[key]


def test_a_run_replaces_an_earlier_one_whole(saved: Path, small_lab: SmallLab, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "run")
    assert main(small_lab.prune("--drop", "4", "--out", tmp_path / "run")) == DONE
    assert [p.name for p in (tmp_path / "run").glob("goodnet-*")] == ["goodnet-x4"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_the_table_for_people(small_lab: SmallLab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(small_lab.prune("--drop", "4", "99")) == DONE
    said = capsys.readouterr()
    assert said.err == ""
    assert "clean accuracy 90.00 %" in said.out
    assert "X = 99 is never reached" in said.out
    assert "At X = 4" in said.out


def test_the_order_can_be_given(saved: Path, small_lab: SmallLab, tmp_path: Path) -> None:
    order = list(reversed(read_json(saved / "run.json")["pruning_order"]))
    path = tmp_path / "order.json"
    path.write_text(json.dumps(order))
    assert main(small_lab.prune("--order", path, "--drop", "4", "--out", tmp_path / "out")) == DONE
    document = read_json(tmp_path / "out" / "run.json")
    assert document["pruning_order"] == order
    assert document["mean_activation"] == read_json(saved / "run.json")["mean_activation"]
    clean = document["curve"]["validation"]["b_prime_accuracy"]
    assert clean == pytest.approx(expected_rates(small_lab, order)["clean"][0].tolist(), abs=1e-12)


def test_an_order_of_another_network_is_told(saved: Path, small_lab: SmallLab, tmp_path: Path) -> None:
    document, path = read_json(saved / "run.json"), tmp_path / "run.json"
    for sha256, told in ((document["model"]["sha256"], False), ("0" * 64, True)):
        path.write_text(json.dumps(document | {"model": document["model"] | {"sha256": sha256}}))
        assert main(small_lab.prune("--order", path, "--drop", "4", "--out", tmp_path / "out")) == DONE
        warned = " ".join(read_json(tmp_path / "out" / "run.json")["warnings"])
        assert ("run.json holds the pruning order of another network" in warned) == told


def test_evaluate_prints_the_curve_s_figures(
    saved: Path, small_lab: SmallLab, capsys: pytest.CaptureFixture[str],
) -> None:
    row = read_json(saved / "run.json")["goodnets"][1]
    pair = saved / row["path"]
    data = ["--test", str(small_lab.test), "--poisoned", str(small_lab.poisoned), "--json"]
    for goodnet in ([pair], [pair / "goodnet.keras"], [small_lab.badnet, pair / "repaired_4.h5"]):
        assert main(["evaluate", *map(str, goodnet), *data]) == DONE
        found = json.loads(capsys.readouterr().out)
        assert found["test"]["images"] == 60
        assert found["test"]["goodnet_accuracy"] == row["clean_accuracy"]
        assert found["test"]["goodnet_accuracy_interval"] == row["clean_accuracy_interval"]
        assert found["test"]["false_alarm_rate"] == row["false_alarm_rate"]
        (poisoned,) = found["poisoned"]
        assert (poisoned["name"], poisoned["images"], poisoned["target"]) == ("poisoned", 40, TARGET)
        assert poisoned["goodnet_asr"] == row["attack_success_rate"]
        assert poisoned["detection_rate"] == row["detection_rate"]


def test_check_answers_as_the_two_networks(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    import keras
    pair = saved / "goodnet-x30"
    images = stored(small_lab.poisoned)[0]
    for number, image in enumerate(images):
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    networks = [keras.models.load_model(path) for path in (small_lab.badnet, pair / "b_prime.keras")]
    b, b_prime = (network.predict(images, verbose=0) for network in networks)
    assert main(["check", str(pair), str(tmp_path), "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert [Path(v["file"]).name for v in found] == [f"{number:02}.png" for number in range(40)]
    assert [v["b_label"] for v in found] == b.argmax(axis=1).tolist()
    assert [v["b_prime_label"] for v in found] == b_prime.argmax(axis=1).tolist()
    np.testing.assert_allclose([v["b_confidence"] for v in found], b.max(axis=1), rtol=1e-4)
    for verdict in found:
        same = verdict["b_label"] == verdict["b_prime_label"]
        assert verdict["flagged"] is (not same)
        assert verdict["label"] == (verdict["b_label"] if same else LABELS)
        assert verdict["why"] == ("agree" if same else "disagree")
    assert 0 < sum(v["flagged"] for v in found) < 40
    assert main(["check", str(pair), str(tmp_path), "--csv"]) == DONE
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["label"] for row in rows] == [str(v["label"]) for v in found]


def test_a_damaged_picture_is_named_and_the_others_are_answered(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    for number, image in enumerate(stored(small_lab.poisoned)[0][:4]):
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{number}.png")
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:80])
    command = ["check", str(saved / "goodnet-x30"), str(tmp_path)]
    assert main([*command, "--json"]) == AT_FAULT
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert [Path(row["file"]).name for row in rows] == ["0.png", "1.png", "2.png", "3.png"]
    assert [row["label"] is None for row in rows] == [bool(row["error"]) for row in rows] == [False, True, False, False]
    assert len({frozenset(row) for row in rows}) == 1
    assert rows[1]["error"].startswith(f"{damaged}: ") and f"goodnet: {rows[1]['error']}" in said.err
    assert main([*command, "--csv"]) == AT_FAULT
    said = capsys.readouterr()
    assert [row["label"] for row in csv.DictReader(io.StringIO(said.out))] == [
        "" if row["error"] else str(row["label"]) for row in rows]
    assert str(damaged) in said.err
    assert main(command) == AT_FAULT
    said = capsys.readouterr()
    assert "1.png  can't be checked" in said.out and "of 3 flagged as backdoored; 1 can't be checked" in said.out
    for picture in tmp_path.glob("*.png"):
        picture.write_bytes(b"no picture")
    assert main(command) == AT_FAULT
    said = capsys.readouterr()
    assert not said.out and "None of the 4 pictures can be checked" in said.err


def test_scale_is_found_out(small_lab: SmallLab, tmp_path: Path) -> None:
    """A network that wants 0 to 1, and images stored as 0 to 255."""
    import keras
    inner, _ = build("plain")
    image = keras.Input(inner.input_shape[1:])
    model = keras.Model(image, inner(keras.layers.Rescaling(255.0)(image)))
    model.save(tmp_path / "unit.keras")
    arguments = small_lab.prune("--drop", "10", "--out", tmp_path / "out")
    arguments[1] = str(tmp_path / "unit.keras")
    assert main(arguments) == DONE
    document = read_json(tmp_path / "out" / "run.json")
    assert document["model"]["scale"] == "255"
    assert document["curve"]["validation"]["b_prime_accuracy"][0] == pytest.approx(0.9)
    # Fed as stored by choice, the same network is lost.
    assert main([*arguments[:-1], str(tmp_path / "raw"), "--scale", "none"]) == DONE
    raw = read_json(tmp_path / "raw" / "run.json")
    assert raw["model"]["scale"] == "none"
    assert raw["curve"]["validation"]["b_prime_accuracy"][0] < 0.6


def test_inspect_says_what_a_file_is(small_lab: SmallLab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(small_lab.badnet), "--json"]) == DONE
    model = json.loads(capsys.readouterr().out)
    assert (model["kind"], model["labels"], model["default_layer"]) == ("model", LABELS, "pruned")
    assert main(["inspect", str(small_lab.clean), "--json"]) == DONE
    data = json.loads(capsys.readouterr().out)
    assert (data["kind"], data["images"], data["image_shape"]) == ("dataset", 80, [12, 10, 3])
    assert data["stored_shape"] == [3, 12, 10] and data["dtype"] == "uint8"


def test_defaults_of_the_command_line_are_those_of_a_request() -> None:
    options = build_parser().parse_args(["prune", "model.h5", "--clean", "clean.h5"])
    request = PruningRequest(Path("model.h5"), Path("clean.h5"))
    for name in ("layer", "rank_at", "order", "drop_mode", "stop", "scale", "test"):
        assert getattr(options, name) == getattr(request, name), name
    assert tuple(options.drop) == request.drops
    assert tuple(options.poisoned) == request.poisoned


def test_ctrl_c_while_saving_leaves_nothing(
    small_lab: SmallLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(_: ProgressLine, progress: Progress) -> None:
        if progress.what.startswith("Saving") and progress.done:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressLine, "__call__", interrupt)
    assert main(small_lab.prune("--out", tmp_path / "deep" / "out")) == INTERRUPTED
    assert capsys.readouterr().out == ""
    assert not [p for p in tmp_path.rglob("*") if p.is_file() or p.name != "deep"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal and SIGINT")
def test_ctrl_c_in_the_middle_of_a_sweep(small_lab: SmallLab, tmp_path: Path) -> None:
    """Progress is shown on a terminal only, so standard error is one; Ctrl-C comes with the sweep's first report."""
    images, labels = stored(small_lab.clean)
    many = save_lab_file(tmp_path / "many.h5", np.tile(images, (2500, 1, 1, 1)), np.tile(labels, 2500))
    terminal, stderr = os.openpty()
    # Tests that run in the background may ignore SIGINT, and what they start would ignore it too.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test",
         str(many), "--out", str(tmp_path / "out")], cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=stderr,
        env={**os.environ, "TERM": "xterm"})
    signal.signal(signal.SIGINT, usual)
    os.close(stderr)
    said = b""
    while b"Counting" not in said:
        said += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    with process, contextlib.suppress(OSError):  # Linux ends a terminal that nobody holds with an error
        while os.read(terminal, 4096):
            pass
    took = time.monotonic() - sent
    os.close(terminal)
    assert process.returncode == 130
    assert took < 60  # it ends by itself, and not only once the sweep is through
    assert [p.name for p in tmp_path.iterdir()] == ["many.h5"]


def test_images_of_a_folder_are_a_data_set(small_lab: SmallLab, tmp_path: Path) -> None:
    images = random_images(20, seed=9)
    model, _ = build("plain")
    for number, (image, label) in enumerate(zip(images, model.predict(images, verbose=0).argmax(axis=1), strict=True)):
        folder = tmp_path / "faces" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{number}.png")
    faces, out = str(tmp_path / "faces"), tmp_path / "out"
    assert main(["prune", str(small_lab.badnet), "--clean", faces, "--drop", "2", "--out", str(out)]) == DONE
    validation = read_json(out / "run.json")["curve"]["validation"]
    assert (validation["images"], validation["b_prime_accuracy"][0]) == (20, 1.0)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("name", "content"), [
    ("thesis.doc", b"years of work"), ("goodnet-x4/notes.txt", b"mine"), ("run.json", b"{}"),
    ("mine/deep.txt", b"mine"), ("manifest.json", b'{"files": {}}')])
def test_what_a_person_put_or_changed_in_a_run_is_never_lost(
    name: str, content: bytes, saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / name).write_bytes(content)
    before = snapshot(tmp_path)
    assert main(small_lab.prune("--drop", "4", "--out", tmp_path / "run")) == AT_FAULT
    said = capsys.readouterr().err
    assert "Move that elsewhere" in said and (name.split("/")[0] in said or name == "manifest.json")
    assert snapshot(tmp_path) == before and [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_only_looks_like_a_run_keeps_the_thesis(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "thesis.doc").write_text("years of work")
    for command in ("prune", "repair"):
        arguments = [command, str(small_lab.badnet), "--clean", str(small_lab.clean), "--out", str(tmp_path)]
        assert main(arguments) == AT_FAULT
        assert "run.json, which this program didn't write" in capsys.readouterr().err
    assert snapshot(tmp_path) == {"run.json": b"{}", "thesis.doc": b"years of work"}


@pytest.mark.parametrize("inside", ["m.keras", "goodnet-x4/b.keras", "goodnet-x4/b_prime.keras"])
def test_a_run_never_replaces_the_model_that_it_reads(
    inside: str, saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(saved, tmp_path / "out")
    model = tmp_path / "out" / inside
    if not model.exists():
        shutil.copy(small_lab.badnet, model)
    before = snapshot(tmp_path)
    arguments = ["prune", str(model), "--clean", str(small_lab.clean), "--out", str(tmp_path / "out")]
    assert main(arguments) == AT_FAULT
    assert model.name in capsys.readouterr().err
    assert snapshot(tmp_path) == before
