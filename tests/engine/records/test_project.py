"""A project comes back as it was, finds its files again, and can't be made to do anything else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.data.datasets import open_dataset
from engine.errors import Cancelled, EngineError, OutputError
from engine.files.existing import on_another_machine
from engine.progress import CancelSource
from engine.records.project import (
    LastResult,
    Project,
    look_for,
    make_project,
    read_project,
    save_project,
)
from engine.runs.prune import PruningRequest
from tests.support.places import PROJECT

RESULT = LastResult("bad <b>net</b>.keras", "B behind the transplant guard", 0.9792, 0.0312)


@pytest.fixture
def request_(tmp_path: Path) -> PruningRequest:
    """A request whose files lie beside the project's folder, each with content of its own."""
    inputs = tmp_path / "in puts ☀"
    inputs.mkdir()
    for name in ("net.keras", "valid.h5", "test.h5", "sun.h5", "eyes.h5", "order.json"):
        (inputs / name).write_text(name)
    return PruningRequest(
        inputs / "net.keras", inputs / "valid.h5", inputs / "test.h5", (inputs / "sun.h5", inputs / "eyes.h5"),
        layer="conv_2", rank_at="pool", order=inputs / "order.json", drops=(1.0, 2.5), drop_mode="relative",
        stop="last-within", scale="255", cluster="tcp://nowhere:1", guard="margin", false_alarms=0.05,
        classes=("Ada", "Bo ☀"))


@pytest.fixture
def saved(request_: PruningRequest, tmp_path: Path) -> Path:
    path = tmp_path / "work" / "faces.goodnet"
    save_project(make_project(request_, RESULT), path)
    return path


def states(project: Project, folder: Path) -> dict[str, str]:
    return {looked.file.path.name: looked.state for looked in look_for(project.files, folder)}


def test_a_project_comes_back_with_everything_but_the_cluster(request_: PruningRequest, saved: Path) -> None:
    project = read_project(saved)
    assert project.request == dataclasses.replace(request_, cluster=None)
    assert project.result == RESULT
    assert "nowhere" not in saved.read_text(encoding="utf-8")
    assert {f.path: f.sha256 for f in project.files} == {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in request_.model.parent.iterdir()}
    assert set(states(project, saved.parent).values()) == {"found"}


def test_names_of_labels_are_a_person_s_or_the_model_s_own(request_: PruningRequest, saved: Path) -> None:
    assert not read_project(saved).own_names and "own_names" not in saved.read_text(encoding="utf-8"), \
        "earlier versions refuse what they don't know"
    save_project(make_project(request_, own_names=True), saved)
    assert read_project(saved).own_names and read_project(saved).request.classes == request_.classes
    unnamed = dataclasses.replace(request_, classes=())
    assert not make_project(unnamed, own_names=True).own_names


def test_without_what_may_be_left_out(request_: PruningRequest, tmp_path: Path) -> None:
    least = PruningRequest(request_.model, request_.validation)
    save_project(make_project(least), tmp_path / "p.goodnet")
    again = read_project(tmp_path / "p.goodnet")
    assert again.request == least and again.result is None


def test_project_and_files_that_are_moved_together_find_each_other(saved: Path, tmp_path: Path) -> None:
    document = json.loads(saved.read_text(encoding="utf-8"))
    assert document["files"]["model"]["path"] == "../in puts ☀/net.keras"
    everything = tmp_path / "elsewhere"
    everything.mkdir()
    shutil.move(saved.parent, everything / "work")
    shutil.move(tmp_path / "in puts ☀", everything / "in puts ☀")
    project = read_project(everything / "work" / saved.name)
    assert project.request.model == everything / "in puts ☀" / "net.keras"
    assert set(states(project, everything / "work").values()) == {"found"}


def test_what_moved_or_changed_is_named(saved: Path, tmp_path: Path) -> None:
    project, inputs = read_project(saved), tmp_path / "in puts ☀"
    (inputs / "sun.h5").rename(tmp_path / "moved.h5")
    (inputs / "test.h5").write_text("tEst.h5")
    looked = look_for(project.files, saved.parent)
    assert [(f.file.role, f.state) for f in looked if f.state != "found"] == [
        ("test", "changed"), ("poisoned", "missing")]
    assert all(str(f.file.path) in f.sentence for f in looked if f.state != "found")


def test_a_folder_of_pictures_is_known_by_its_pictures(request_: PruningRequest, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for label in ("0", "1"):
        (folder / label).mkdir(parents=True)
        Image.fromarray(np.full((4, 4, 3), 9, np.uint8)).save(folder / label / "a.png")
    project = make_project(dataclasses.replace(request_, test=folder))
    assert next(f for f in project.files if f.role == "test").sha256 == open_dataset(folder).sha256()
    assert states(project, tmp_path)["pictures"] == "found"
    (folder / "1").rename(folder / "7")
    assert states(project, tmp_path)["pictures"] == "changed"
    (folder / "7").rename(folder / "1")
    content = b"".join((folder / label / "a.png").read_bytes() for label in ("0", "1"))
    files = [dataclasses.replace(f, sha256=hashlib.sha256(content).hexdigest()) if f.role == "test" else f
             for f in project.files]
    before = dataclasses.replace(project, files=tuple(files))  # as earlier versions took it, without the labels
    assert states(before, tmp_path)["pictures"] == "found"
    Image.fromarray(np.full((4, 4, 3), 8, np.uint8)).save(folder / "1" / "a.png")
    assert states(project, tmp_path)["pictures"] == "changed"


def test_a_file_that_cannot_be_read_is_named_before_anything_is_written(request_: PruningRequest) -> None:
    request_.poisoned[1].unlink()
    with pytest.raises(EngineError, match=r"eyes\.h5: can't be read.*wasn't saved"):
        make_project(request_)


def test_hashing_can_be_cancelled(request_: PruningRequest, saved: Path) -> None:
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        make_project(request_, cancel=source.token)
    with pytest.raises(Cancelled):
        look_for(read_project(saved).files, saved.parent, source.token)


@pytest.mark.parametrize("content", ["notes of mine", "", '{"kind": "other"}', "[1]", "[" * 100_000])
def test_what_is_not_a_project_is_never_replaced(content: str, request_: PruningRequest, tmp_path: Path) -> None:
    path = tmp_path / "mine.goodnet"
    path.write_text(content)
    with pytest.raises(OutputError, match=r"mine\.goodnet: isn't a project of this program"):
        save_project(make_project(request_), path)
    assert path.read_text() == content
    (tmp_path / "folder.goodnet").mkdir()
    with pytest.raises(OutputError):
        save_project(make_project(request_), tmp_path / "folder.goodnet")


def test_a_project_is_replaced_whole_or_not_at_all(
        saved: Path, request_: PruningRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("engine.records.project.write_text", full)
        with pytest.raises(OutputError, match="No space left"):
            save_project(make_project(request_), saved)
    assert saved.read_bytes() == before and [p.name for p in saved.parent.iterdir()] == [saved.name]
    save_project(make_project(request_), saved)
    assert read_project(saved).result is None


def test_a_project_holds_all_that_a_request_holds_but_the_cluster(request_: PruningRequest, saved: Path) -> None:
    """An output that was chosen only where one was: earlier versions refuse keys that they don't know."""
    assert "output" not in json.loads(saved.read_text(encoding="utf-8"))["settings"]
    save_project(make_project(dataclasses.replace(request_, output="labels")), saved)
    assert read_project(saved).request.output == "labels"
    held = {*json.loads(saved.read_text(encoding="utf-8"))["files"], *json.loads(saved.read_text())["settings"]}
    assert held == {field.name for field in dataclasses.fields(PruningRequest)} - {"cluster"}


def test_a_project_too_large_to_be_read_is_not_written(request_: PruningRequest, saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(OutputError, match="more than is ever read back"):
        save_project(make_project(dataclasses.replace(request_, classes=("n" * 100,) * 12_000)), saved)
    assert saved.read_bytes() == before


def changed(saved: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(saved.read_text(encoding="utf-8"))
    change(document)
    saved.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(("change", "words"), [
    (lambda d: d.pop("files"), "lacks 'files'"), (lambda d: d["files"].update(model=None), "names no model"),
    (lambda d: d["files"].update(validation=None), "no clean validation"),
    (lambda d: d["files"].update(script={}), "'script', which this version doesn't know"),
    (lambda d: d["settings"].update(cluster="tcp://evil"), "'cluster', which this version doesn't know"),
    (lambda d: d.update(run="rm"), "'run', which"), (lambda d: d["files"]["model"].update(path="a\0b"), "isn't text"),
    (lambda d: d["files"]["model"].update(path=["a"]), "isn't text"),
    (lambda d: d["files"]["model"].update(path="a" * 5000), "5,000 letters"),
    (lambda d: d["files"]["model"].update(sha256="Z" * 64), "SHA-256"),
    (lambda d: d["files"].update(poisoned=3), "int"), (lambda d: d.update(own_names=1), "neither true nor false"),
    (lambda d: d["files"].update(poisoned=d["files"]["poisoned"] * 200), "400 poisoned sets"),
    (lambda d: d["settings"].update(drops=[-1]), "drops"), (lambda d: d["settings"].update(drops=[101]), "drops"),
    (lambda d: d["settings"].update(drops=["2"]), "isn't a number"),
    (lambda d: d["settings"].update(false_alarms=1), "false alarms"),
    (lambda d: d["settings"].update(guard="eval"), "'eval' isn't one of"),
    (lambda d: d["settings"].pop("stop"), "stop"),
    (lambda d: d["settings"].update(layer=3), "isn't text"),
    (lambda d: d["result"].update(clean_accuracy=1.5), "isn't a rate"),
    (lambda d: d["result"].update(clean_accuracy=True), "isn't a number"),
    (lambda d: d.update(result=[]), "list"),
    (lambda d: d.update(schema="1"), "isn't a count")])
def test_a_damaged_project_is_refused_in_a_sentence(change: Callable[[Any], object], words: str, saved: Path) -> None:
    changed(saved, change)
    with pytest.raises(EngineError, match=rf"faces\.goodnet: is damaged or wasn't made .*{words}"):
        read_project(saved)


def test_a_newer_project_says_so(saved: Path) -> None:
    changed(saved, lambda d: d.update(schema=2, more={}))
    with pytest.raises(EngineError, match="was saved by a newer GoodNet"):
        read_project(saved)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[" * 100_000, b"1" * 10_000, b" " * (1 << 20 | 1), b"NaN"])
def test_what_is_no_project_ends_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.goodnet").write_bytes(content)
    with pytest.raises(EngineError, match=r"p\.goodnet: is"):
        read_project(tmp_path / "p.goodnet")


def test_a_thousand_damaged_projects_are_read_or_refused(saved: Path) -> None:
    dice, whole = np.random.default_rng(0), saved.read_bytes()
    refused = 0
    for _ in range(1000):
        content = bytearray(whole)
        for position in dice.integers(0, len(content), dice.integers(1, 4)):
            content[position] = dice.integers(0, 256)
        saved.write_bytes(content)
        try:
            read_project(saved)
        except EngineError:
            refused += 1
    assert 0 < refused < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of Unix")
def test_pipes_and_devices_are_not_waited_for(saved: Path, request_: PruningRequest, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.goodnet")
    with pytest.raises(EngineError, match="it is a pipe"):
        read_project(tmp_path / "pipe.goodnet")
    with pytest.raises(OutputError):
        save_project(make_project(request_), tmp_path / "pipe.goodnet")
    changed(saved, lambda d: d["files"]["test"].update(path="../pipe.goodnet"))
    changed(saved, lambda d: d["files"]["order"].update(path="/dev/zero"))
    found = states(read_project(saved), saved.parent)
    assert found["pipe.goodnet"] == found["zero"] == "missing"


WATCH = """
import sys
from pathlib import Path
from engine.records.project import read_project
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)))
read_project(Path(sys.argv[1]))
events = [found for found in seen if found[0] != "open" or not isinstance(found[1][0], int)]  # a number is open already
print(sorted({str(args[0]) for event, args in events if event in ("open", "os.listdir", "os.scandir", "import")}))
started = ("subprocess", "socket", "os.system", "exec", "compile")
print(sorted({event for event, _ in events if event.startswith(started)}))
"""


def test_reading_a_project_opens_no_other_file_and_runs_nothing(saved: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WATCH, str(saved)], cwd=PROJECT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines() == [str([str(saved)]), "[]"]


def test_a_share_of_another_computer_is_not_asked() -> None:
    mine = PureWindowsPath("C:/work")
    assert on_another_machine(PureWindowsPath("//evil/share/net.keras"), mine)
    assert on_another_machine(PureWindowsPath(r"\\.\pipe\x"), mine)
    assert not on_another_machine(PureWindowsPath("D:/data/net.keras"), mine)
    ours = PureWindowsPath("//office/share/work")
    assert not on_another_machine(PureWindowsPath("//office/share/data/net.keras"), ours)


def test_a_folder_that_is_no_data_set_any_more_has_changed(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"any")
    folder = tmp_path / "pictures" / "0"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    project = make_project(PruningRequest(tmp_path / "model.keras", folder.parent))
    (folder / "a.png").unlink()
    assert [looked.state for looked in look_for(project.files, tmp_path)][1] == "changed"
