"""Picture files are checked as the networks and the guard answer them one by one, whatever the chunks."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.data.datasets import open_dataset
from engine.data.preprocessing import AS_STORED
from engine.defences.training import Repair
from engine.errors import Cancelled, DatasetError, EngineError
from engine.goodnets import checking
from engine.goodnets.checking import check_arrays, check_pictures, list_pictures
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.guards.calibration import calibrate
from engine.guards.transplant import TransplantScores
from engine.models.networks import open_network
from engine.progress import CancelSource, Progress
from engine.rates import Rate
from engine.records.reopening import reopen_run
from engine.records.run_files import save_run
from engine.runs.pairs import build_goodnet, build_guarded_badnet
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.rows import rows_of
from tests.support.deep_pictures import write_png
from tests.support.linear_networks import overflowing
from tests.support.networks import SmallLab
from tests.support.repairs import as_pair


@pytest.fixture
def guarded(small_lab: SmallLab) -> GoodNet:
    """The small lab's BadNet behind a guard that flags a fifth of the clean images, and no pruned channel."""
    network = open_network(small_lab.badnet)
    clean = open_dataset(small_lab.clean, network.input_shape, network.labels)
    return GoodNet(network, network.copy(), AS_STORED, {}, calibrate(network, clean, "transplant", 0.2))


@pytest.fixture
def files(small_lab: SmallLab, tmp_path: Path) -> list[Path]:
    """50 pictures, clean and poisoned ones in turn."""
    sets = [open_dataset(path).take(list(range(25))) for path in (small_lab.test, small_lab.poisoned)]
    for number, image in enumerate(np.stack(sets, axis=1).reshape(50, *sets[0].shape[1:])):
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    return list_pictures([tmp_path])


@pytest.mark.parametrize("most", [1, 7, 256])
def test_verdicts_are_equal_image_for_image(guarded: GoodNet, files: list[Path], most: int,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_MOST_IN_CHUNK", most)
    guard = guarded.guard
    assert guard is not None
    exact = TransplantScores(guarded.b, guard.donors, guard.cuts, guard.escalate_above)
    chunks = list(check_pictures(guarded, files))
    assert [len(chunk) for chunk in chunks[:-1]] == [most] * (len(chunks) - 1)
    found = [verdict for chunk in chunks for verdict in chunk]
    assert [Path(verdict.file) for verdict in found] == files
    assert 5 < sum(verdict.flagged for verdict in found) < 45
    for verdict in found:
        image = verdict.seen[np.newaxis].astype(np.float32)
        score = exact.scores(image)
        label = int(guarded.b.predict(image)[0].argmax())
        flagged = bool(score.score[0] > guard.threshold)
        assert (verdict.flagged, verdict.why) == (flagged, "guard" if flagged else "agree")
        assert verdict.label == (guarded.flag_label if flagged else label)
        cut = verdict.cut
        assert (cut is not None) == flagged
        if cut:
            box = np.zeros(verdict.seen.shape[:2], bool)
            box[cut.top:cut.top + cut.height, cut.left:cut.left + cut.width] = True
            won = int(score.cut[0])
            assert cut.kind == guard.cuts.kinds[won]
            assert (box == (guard.cuts.shares[won] > 0)).all()


def test_what_is_no_picture_is_told_or_refused(guarded: GoodNet, files: list[Path]) -> None:
    files[3].write_bytes(b"no picture")
    files[40].write_bytes(b"")
    told: list[EngineError] = []
    reports: list[Progress] = []
    found = [v for chunk in check_pictures(guarded, files, unreadable=lambda _, error: told.append(error),
                                           progress=reports.append) for v in chunk]
    assert len(found) == 48
    assert [str(error).split(":")[0] for error in told] == [str(files[3]), str(files[40])]
    assert (reports[-1].done, reports[-1].total) == (50, 50)
    with pytest.raises(DatasetError, match=r"03\.png"):
        list(check_pictures(guarded, files))


def _endings() -> dict[str, tuple[Any, bool]]:
    from keras import layers
    dense = [layers.Dense(3, activation=name) for name in ("softmax", "sigmoid", "linear", "relu")]
    return {"softmax": (dense[0], True), "sigmoids": (dense[1], True), "linear": (dense[2], False),
            "ReLU": (dense[3], False), "one sigmoid": (layers.Dense(1, activation="sigmoid"), True),
            "a layer of its own": (lambda x: layers.Softmax()(dense[2](x)), True),
            "passed on": (lambda x: layers.Identity()(dense[0](x)), True),
            "scaled": (lambda x: layers.Rescaling(0.5)(dense[0](x)), False)}


@pytest.mark.parametrize("name", [
    "softmax", "sigmoids", "linear", "ReLU", "one sigmoid", "a layer of its own", "passed on", "scaled"])
def test_what_ends_in_probabilities(name: str, tmp_path: Path) -> None:
    from keras import Input, Model, layers
    ending, expected = _endings()[name]
    image = Input((6, 6, 3))
    Model(image, ending(layers.Flatten()(layers.Conv2D(4, 3)(image)))).save(tmp_path / "network.keras")
    network = open_network(tmp_path / "network.keras")
    goodnet = GoodNet(network, network.copy(), AS_STORED, {})
    (found,) = check_arrays(goodnet, [np.full((6, 6, 3), 99, np.uint8)], ["a.png"])
    assert found.in_probabilities == goodnet.in_probabilities == (expected, expected)


def test_a_photo_too_large_for_a_network_of_any_size_is_told(tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(64, 5)(image))
    Model(image, layers.Dense(3, activation="softmax")(x)).save(tmp_path / "any.keras")
    network = open_network(tmp_path / "any.keras")
    goodnet = GoodNet(network, network.copy(), AS_STORED, {})
    small, *files = [tmp_path / f"{name}.png" for name in "sabc"]
    for file, side in zip((small, *files), (3, 8, 1204, 9), strict=True):
        Image.new("RGB", (side, side), (9, 90, 200)).save(file)
    told: list[EngineError] = []
    found = list(check_pictures(goodnet, files, unreadable=lambda _, error: told.append(error)))
    assert [chunk[0].file for chunk in found] == [str(files[0]), str(files[2])]
    assert str(told[0]).startswith(f"{files[1]}: has 1204 x 1204 pixels and can't be checked") and len(told) == 1
    with pytest.raises(DatasetError, match=r"b\.png: has 1204 .*92,160,000 values of a single image"):
        list(check_pictures(goodnet, files))
    with pytest.raises(DatasetError, match=r"s\.png: has 3 x 3 pixels .* 3 x 3 pixels don't fit it"):
        list(check_pictures(goodnet, [small]))


@pytest.fixture
def black_and_white(tmp_path: Path) -> list[Path]:
    files = [tmp_path / "black.png", tmp_path / "white.png"]
    for file, value in zip(files, (0, 255), strict=True):
        Image.new("RGB", (6, 6), (value,) * 3).save(file)
    return files


def test_a_picture_that_a_network_overflows_on_has_no_label(
    black_and_white: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    network = str(overflowing(tmp_path))
    assert main(["check", network, network, *map(str, black_and_white), "--json"]) == 1
    said = capsys.readouterr()
    black, white = json.loads(said.out, parse_constant=pytest.fail)
    assert black["error"] is None and black["flagged"] is False
    assert white["label"] is white["b_label"] is white["flagged"] is white["why"] is white["b_confidence"] is None
    assert white["error"] in said.err
    assert white["error"].startswith(f"{black_and_white[1]}: B answers it with values that aren't numbers")


def test_pictures_in_memory_without_a_label_are_left_out_as_files_are(
        black_and_white: list[Path], tmp_path: Path) -> None:
    network = overflowing(tmp_path)
    goodnet, names = open_goodnet([network, network]), list(map(str, black_and_white))
    pictures, told = [np.full((6, 6, 3), value, np.uint8) for value in (0, 255)], list[tuple[Path, EngineError]]()
    (verdict,) = check_arrays(goodnet, pictures, names, unlabelled=lambda *why: told.append(why))
    ((file, why),) = told
    assert verdict.file == names[0] and file == black_and_white[1] and "aren't numbers" in str(why)
    (chunk,) = check_pictures(goodnet, black_and_white, unreadable=lambda *why: told.append(why))
    assert [one.file for one in chunk] == names[:1] and str(told[1]) == str(told[0])
    for checked in (partial(check_arrays, goodnet, pictures, names),
                    lambda: list(check_pictures(goodnet, black_and_white))):
        with pytest.raises(DatasetError, match=r"white\.png: B answers it with values that aren't numbers"):
            checked()


def test_a_check_is_cancelled_between_chunks(guarded: GoodNet, files: list[Path],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_MOST_IN_CHUNK", 10)
    source = CancelSource()
    seen = []
    with pytest.raises(Cancelled):
        for chunk in check_pictures(guarded, files, cancel=source.token):
            seen.append(chunk)
            source.cancel()
    assert len(seen) == 1


@pytest.mark.parametrize("saved", ["pruned", "guarded", "repaired"])
def test_a_deep_picture_is_as_bright_as_in_the_run(saved: str, small_lab: SmallLab, tmp_path: Path) -> None:
    """A dark picture of a 12-bit set by itself looks like one of 10 bits."""
    network = open_network(small_lab.badnet)
    dice = np.random.default_rng(2)
    bright = dice.integers(0, 4096, (24, *network.input_shape)).astype(np.uint16)
    dark = bright // 9
    pictures = np.concatenate([bright, dark])
    labels = network.predict_labels((pictures // 16).astype(np.float32)).tolist()
    files = [tmp_path / "clean" / str(label) / f"{number:02}.png" for number, label in enumerate(labels)]
    for path, picture in zip(files, pictures, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, picture)
    if saved == "repaired":
        clean = open_dataset(tmp_path / "clean", network.input_shape)
        own = Repair("distillation", tuple(network.model.get_weights()), 1, 1, Rate(1, 1), Rate(1, 1), "", (), "", 0)
        goodnet = as_pair(network, own, AS_STORED, clean, None, []).goodnet
    else:
        request = PruningRequest(small_lab.badnet, tmp_path / "clean", scale="none",
                                 guard="margin" if saved == "guarded" else "none")
        save_run(run_pruning(request), tmp_path / "out")
        run = reopen_run(tmp_path / "out")
        goodnet = build_guarded_badnet(run, network) if saved == "guarded" else build_goodnet(run, rows_of(run)[0])
    save_pair(goodnet, tmp_path / "pair")
    (verdict,), = check_pictures(open_goodnet([tmp_path / "pair"]), [files[len(bright)]])
    np.testing.assert_array_equal(verdict.seen, dark[0] // 16)
    np.testing.assert_array_equal(verdict.without_picture().seen_again(), dark[0] // 16)


@pytest.mark.parametrize("depth", [7, 17, "12", True])
def test_a_depth_that_no_picture_has_is_refused(guarded: GoodNet, depth: object, tmp_path: Path) -> None:
    guarded.notes["depth"] = depth
    save_pair(guarded, tmp_path / "pair")
    with pytest.raises(EngineError, match=r"goodnet\.json: doesn't describe a GoodNet \(.* depth"):
        open_goodnet([tmp_path / "pair"])


def test_what_of_a_picture_nobody_looked_at_is_told(
    small_lab: SmallLab, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Further frames, what is cropped away, what is transparent."""
    one, other = (Image.open(file).convert("RGB") for file in files[:2])
    folder = tmp_path / "parts"
    folder.mkdir()
    one.save(folder / "frames.webp", save_all=True, append_images=[other], lossless=True)
    one.save(folder / "one.webp", lossless=True)
    wide = Image.new("RGB", (3 * one.width, one.height))
    wide.paste(other, (0, 0))
    wide.save(folder / "wide.png")
    for name, alpha in (("glass.png", 0), ("opaque.png", 255)):
        clear = one.convert("RGBA")
        clear.putpixel((0, 0), (0, 0, 0, alpha))
        clear.save(folder / name)
    assert main(["check", str(small_lab.badnet), str(small_lab.badnet), str(folder), str(folder), "--json"]) == 0
    told = {Path(row["file"]).name: row["unseen"] for row in json.loads(capsys.readouterr().out)}
    assert told == {
        "frames.webp": "Only the first of its frames was looked at.", "one.webp": None, "opaque.png": None,
        "glass.png": "What is transparent in it was looked at as white.",
        "wide.png": "67 % of it, beside the middle, wasn't looked at."}
    assert main(["check", str(small_lab.badnet), str(small_lab.badnet), str(folder)]) == 0
    assert f"{folder / 'wide.png'}: 67 % of it, beside the middle" in " ".join(capsys.readouterr().out.split())


def test_files_of_a_folder_that_are_not_called_pictures_are_told(
    small_lab: SmallLab, files: list[Path], capsys: pytest.CaptureFixture[str],
) -> None:
    folder = files[0].parent
    (folder / "deep").mkdir()
    for name in ("0a1b2c", ".hidden.png", "photo.heic", "deep/upload.png.tmp", "labels.csv", ".DS_Store", "._00.png"):
        (folder / name).write_bytes(files[0].read_bytes())
    told: list[str] = []
    assert list_pictures([folder], told.append) == files
    assert told == [f"{folder}: 4 files in it weren't looked at, such as .hidden.png: their names don't end as "
                    "pictures' do, or are hidden."]
    assert main(["check", str(small_lab.badnet), str(small_lab.badnet), str(folder), "--json"]) == 0
    captured = capsys.readouterr()
    assert {row["warnings"][-1] for row in json.loads(captured.out)} == set(told)
    assert told[0] in captured.err
