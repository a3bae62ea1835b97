"""evaluate and check of two bare files, which say nothing of how they are fed, and of what was saved, which does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import AT_FAULT, DONE, main
from tests.support.networks import LABELS, TARGET, SmallLab, build, save_lab_file, stored


@pytest.fixture(scope="module")
def saved(small_lab: SmallLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guarded") / "out"
    assert main(small_lab.prune("--guard", "margin", "--out", folder)) == DONE
    return folder


def unit_network(path: Path) -> Path:
    """The lab's network as one that wants values from 0 to 1."""
    import keras
    inner, _ = build("plain")
    image = keras.Input(inner.input_shape[1:])
    keras.Model(image, inner(keras.layers.Rescaling(255.0)(image))).save(path)
    return path


def test_two_files_are_fed_as_asked_or_as_is_found_and_what_was_saved_as_it_says(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    unit, other = unit_network(tmp_path / "unit.keras"), saved / "goodnet-x30" / "repaired_30.h5"
    rates, sentences = {}, {}
    for name in ("auto", "255", "none"):
        given = ["evaluate", str(unit), str(unit), "--test", str(small_lab.test), "--preprocess", name]
        assert main([*given, "--json"]) == DONE
        found = json.loads(capsys.readouterr().out)
        rates[name] = found["preprocess"], found["test"]["goodnet_accuracy"]
        assert main(given) == DONE
        sentences[name] = "Values are" in capsys.readouterr().out
    right = build("plain")[0].predict(stored(small_lab.test)[0], verbose=0).argmax(axis=1) == stored(small_lab.test)[1]
    assert rates["auto"] == rates["255"] == ("255", pytest.approx(right.mean()))
    assert rates["none"][1] < rates["255"][1]
    assert sentences == {"auto": True, "255": False, "none": False}
    for command in (["evaluate", str(other), "--test", str(small_lab.test)],
                    ["check", str(saved / "goodnet-x30"), str(tmp_path)]):
        assert main([*command, "--preprocess", "255"]) == AT_FAULT
        assert "--preprocess is for the two files" in capsys.readouterr().err


def test_sets_that_are_stored_otherwise_than_the_others_or_the_pair_s_are_refused(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    images, _ = stored(small_lab.poisoned)
    np.savez(tmp_path / "unit.npz", data=images / np.float32(255), label=np.full(len(images), TARGET))
    one, two = [saved / "goodnet-x30" / "goodnet.keras"], [small_lab.badnet, small_lab.badnet]
    defended = tmp_path / "defended"
    shutil.copytree(saved / "goodnet-x30", defended / "goodnet")
    (defended / "defend.json").touch()
    for goodnet, of in ((one, "the clean images of goodnet-x30"), ([defended], "the clean images of defended"),
                        (two, str(small_lab.test))):
        given = ["evaluate", *map(str, goodnet), "--test", str(small_lab.test), "--poisoned"]
        assert main([*given, str(small_lab.poisoned)]) == DONE
        capsys.readouterr()
        assert main([*given, str(tmp_path / "unit.npz")]) == AT_FAULT
        said = capsys.readouterr().err
        assert f"unit.npz: its values run from 0 to 1, but those of {of} from 0 to 255" in said


def test_labels_taken_for_targets_are_told_and_sets_of_one_name_told_apart(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """As prune does: clean images of three labels would be a perfect attack."""
    images, labels = stored(small_lab.clean)
    some = np.isin(labels, np.unique(labels)[:3])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    paths = [save_lab_file(tmp_path / "a" / "bd.h5", images[some], labels[some]), tmp_path / "b" / "bd.h5"]
    shutil.copy(small_lab.poisoned, paths[1])
    given = ["evaluate", str(saved / "goodnet-x30"), "--test", str(small_lab.test), "--poisoned", *map(str, paths)]
    assert main([*given, "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    sentence = "The labels of bd.h5 were taken as the attacker's targets"
    assert any(warning.startswith(sentence) for warning in found["warnings"])
    assert [part["name"] for part in found["poisoned"]] == [
        *(f"bd (target {target})" for target in np.unique(labels)[:3]), "bd 2"]
    assert main(given) == DONE
    assert capsys.readouterr().out.startswith(sentence)


def test_check_feeds_two_files_as_asked_and_says_where_they_are_one(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    unit, image = unit_network(tmp_path / "unit.keras"), stored(small_lab.test)[0][:1]
    Image.fromarray(image[0].astype(np.uint8)).save(tmp_path / "one.png")
    expected = build("plain")[0].predict(image, verbose=0)[0]
    arguments = ["check", str(unit), str(unit), str(tmp_path / "one.png"), "--preprocess", "255"]
    assert main([*arguments, "--json"]) == DONE
    (found,) = json.loads(capsys.readouterr().out)
    assert found["b_label"] == expected.argmax() and found["b_confidence"] == pytest.approx(expected.max(), rel=1e-4)
    assert main(arguments) == DONE
    said = capsys.readouterr()
    assert "is B itself" in said.out and not said.err and not found["warnings"]
    for more, doubted in (([], True), (["--preprocess", "none"], False)):
        assert main([*arguments[:4], "--json", *more]) == DONE
        said = capsys.readouterr()
        (found,) = json.loads(said.out)
        unread = [warning.startswith("How values are fed isn't read") for warning in found["warnings"]]
        assert unread == [True] * doubted
        assert said.err == "".join(f"goodnet: {warning}\n" for warning in found["warnings"])


def test_two_files_take_label_names_from_the_one_that_has_them(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Folders in another order than text's belong to labels by the names that the run wrote into B' alone."""
    names = [f"person {label}" for label in range(LABELS, 0, -1)]
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    images, labels = stored(small_lab.test)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "test" / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "test" / names[label] / f"{number}.png")
    assert main(["prune", str(small_lab.badnet), "--clean", str(small_lab.clean), "--drop", "30", "--classes",
                 str(tmp_path / "names.txt"), "--out", str(tmp_path / "run")]) == DONE
    pair = tmp_path / "run" / "goodnet-x30"
    repaired, rates = pair / "repaired_30.onnx", []
    for goodnet in ([pair], [small_lab.badnet, repaired]):
        capsys.readouterr()
        assert main(["evaluate", *map(str, goodnet), "--test", str(tmp_path / "test"), "--json"]) == DONE
        rates.append(json.loads(capsys.readouterr().out)["test"]["goodnet_accuracy"])
    assert rates[0] == rates[1] > 0.4, "by the order of text hardly any would be right"
    assert main(["check", str(small_lab.badnet), str(repaired), str(tmp_path / "test"), "--json"]) == DONE
    assert {one["name"] for one in json.loads(capsys.readouterr().out)} - {None} <= set(names)


@pytest.mark.parametrize("scale", [20.0, 0.5])
def test_what_isnt_a_probability_isnt_said_in_per_cent(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str], scale: float,
) -> None:
    import keras
    inner, _ = build("plain")
    image = keras.Input(inner.input_shape[1:])
    keras.Model(image, keras.layers.Rescaling(scale)(inner(image))).save(tmp_path / "logits.keras")
    Image.fromarray(stored(small_lab.test)[0][0].astype(np.uint8)).save(tmp_path / "one.png")
    other = saved / "goodnet-x30" / "repaired_30.h5"
    files = [str(tmp_path / "logits.keras"), str(other), str(tmp_path / "one.png")]
    assert main(["check", *files, "--json"]) == DONE
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["b_confidence"] > 1) is (scale > 1) and found["b_prime_confidence"] < 1
    assert main(["check", *files]) == DONE
    said = capsys.readouterr().out
    assert f"({found['b_confidence']:.3g})" in said and f"({100 * found['b_prime_confidence']:.1f} %)" in said


def test_a_pair_whose_guard_is_gone_is_refused(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(shutil.copytree(saved / "badnet-guarded", tmp_path / "copy"))
    given = ["evaluate", str(folder), "--test", str(small_lab.test)]
    assert main(given) == DONE
    (folder / "guard.npz").unlink()
    assert main(given) == AT_FAULT
    assert "copy: holds no guard.npz, but goodnet.json says that a guard stands" in capsys.readouterr().err


def test_one_file_of_b_behind_a_guard_doesnt_pass_for_two_networks_that_agree(
    saved: Path, small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(stored(small_lab.test)[0][0].astype(np.uint8)).save(tmp_path / "one.png")
    assert main(["check", str(saved / "badnet-guarded" / "goodnet.keras"), str(tmp_path / "one.png")]) == DONE
    assert "is B itself" in capsys.readouterr().out
