"""Sub-folders belong to a network's labels by name: what can't be matched is a question, and no attack hides in it."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.data.classes import read_classes
from engine.data.datasets import open_dataset
from engine.data.preprocessing import AS_STORED
from engine.defences.evidence.reconstruction import Reconstruction
from engine.defences.training import Repair
from engine.errors import EngineError
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.models.networks import Network, open_network
from engine.rates import Rate
from engine.records.reopening import reopen_run
from engine.records.run_files import save_run
from engine.runs.opening.inputs import open_inputs
from engine.runs.opening.labelling import Trial, labelling_by_name, try_orders
from engine.runs.pairs import build_goodnet, open_for
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.reconstructed import write_reconstructed
from engine.runs.repair import TRAINED as METHODS
from engine.runs.rows import rows_of
from tests.support.foreign_sets import write_parquet
from tests.support.noted_models import archive_with

ANIMALS = ("bird", "cat", "dog", "fox")
SHAPE = (16, 16, 3)


def colours_network(path: Path, labels: int, shape: tuple[int, int, int] = SHAPE) -> Path:
    """A network that calls a picture by its red value: label k for 256 k / labels and up; one small convolution."""
    import keras

    image = keras.Input(shape)
    x = keras.layers.Conv2D(2, 3, name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.MaxPooling2D(2)(x))
    model = keras.Model(image, keras.layers.Dense(labels, activation="softmax")(x))
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[1, 1, 0] = 1
    centre = (np.arange(labels) + 0.5) * 256 / labels
    # The label whose centre is nearest to r has the largest 2 c r - c^2, here of two equal channels.
    dense = np.stack([centre, centre]).astype(np.float32) / 400
    model.set_weights([kernel, np.zeros(2, np.float32), dense, (-centre**2 / 400).astype(np.float32)])
    model.save(path)
    return path


def folder_of(path: Path, values: dict[str, int], count: int = 5, first: int = 0) -> Path:
    """Pictures of one red value in sub-folders, in a corner of which stands their number, from the first on."""
    for name, red in values.items():
        (path / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.zeros(SHAPE, np.uint8)
            pixels[..., 0] = red
            pixels[0, 0, 1:] = divmod(first + i, 256)
            Image.fromarray(pixels).save(path / name / f"{i}.png")
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    return colours_network(tmp_path / "net" / "model.keras", 4)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "clean", {name: 32 + 64 * i for i, name in enumerate(ANIMALS)})


def run_on(model: Path, clean: Path, poisoned: Path, **more: object) -> PruningRequest:
    return PruningRequest(model, clean, poisoned=(poisoned,), layer="conv", scale="none", **more)  # type: ignore[arg-type]


def test_a_poisoned_folder_of_one_class_is_that_class_and_not_label_0(model: Path, clean: Path, tmp_path: Path) -> None:
    """Pictures that the network calls 2, in a folder "dog": attack success is 100 %, not 0 %."""
    poisoned = folder_of(tmp_path / "poisoned", {"dog": 32 + 64 * 2}, 8)
    run = run_pruning(run_on(model, clean, poisoned))
    assert run.curve.poisoned[0].target == 2
    assert run.curve.poisoned[0].goodnet_rate(0).value == 1
    assert run.model.classes == ANIMALS
    assert run.curve.validation.b_prime_rate(0).value == 1


def test_a_name_that_is_no_class_is_a_question(model: Path, clean: Path, tmp_path: Path) -> None:
    poisoned = folder_of(tmp_path / "poisoned", {"dgo": 160})
    with pytest.raises(EngineError, match=r"'dgo' is none of the clean images' classes .*bird, cat, dog, fox"):
        open_inputs(run_on(model, clean, poisoned))


@pytest.mark.parametrize(("folders", "listed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_an_accent_is_the_same_however_it_is_written(folders: str, listed: str, model: Path, tmp_path: Path) -> None:
    """macOS writes it as a letter of its own."""
    names = ("bird", "cat", "dog", "\u00e9lan")
    clean = folder_of(tmp_path / "clean", {unicodedata.normalize(folders, name): value
                                           for name, value in zip(names[::-1], (224, 160, 96, 32), strict=True)})
    (tmp_path / "list.txt").write_text("\n".join(unicodedata.normalize(listed, name) for name in names), "utf-8")
    opened = open_inputs(PruningRequest(model, clean, classes=read_classes(tmp_path / "list.txt"), scale="none"))
    validation, = opened.of("validation")
    np.testing.assert_array_equal(opened.network.predict_labels(validation.take(range(20))), validation.labels)


def test_a_missing_class_is_a_question_and_shifts_nothing(model: Path, tmp_path: Path) -> None:
    clean = folder_of(tmp_path / "clean", {name: 32 + 64 * i for i, name in enumerate(ANIMALS) if name != "bird"})
    with pytest.raises(EngineError, match=r"3 sub-folders \(cat, dog, fox\).* 4 labels.*--classes"):
        open_inputs(PruningRequest(model, clean, layer="conv", scale="none"))
    opened = open_inputs(PruningRequest(model, clean, layer="conv", scale="none", classes=ANIMALS))
    assert sorted(set(opened.sets[0].dataset.labels)) == [1, 2, 3]
    run = run_pruning(PruningRequest(model, clean, layer="conv", scale="none", classes=ANIMALS))
    assert run.curve.validation.b_prime_rate(0).value == 1


def test_a_list_beside_the_model_counts(model: Path, tmp_path: Path) -> None:
    """In an order that isn't the alphabet's."""
    (model.parent / "names.txt").write_text("fox\ndog\ncat\nbird\n", encoding="utf-8")
    clean = folder_of(tmp_path / "clean", {"fox": 32, "dog": 96, "cat": 160, "bird": 224})
    opened = open_inputs(PruningRequest(model, clean, layer="conv", scale="none"))
    assert opened.labelling.classes == ("fox", "dog", "cat", "bird")
    assert "names.txt" in opened.labelling.notice
    assert run_pruning(PruningRequest(model, clean, layer="conv")).curve.validation.b_prime_rate(0).value == 1


@pytest.mark.timeout(60)  # minutes, where each name is looked for among all
def test_a_label_for_each_image_beside_the_pictures_is_no_list_of_names(clean: Path, model: Path) -> None:
    (clean / "labels.txt").write_text("7\n5\n" * 250_000, encoding="utf-8")
    opened = open_inputs(PruningRequest(model, clean, layer="conv", scale="none"))
    assert opened.labelling.classes == ANIMALS
    with pytest.raises(EngineError, match=r"labels\.txt: isn't a class list.*the name '5' twice"):
        read_classes(clean / "labels.txt")


def test_text_labels_of_a_file_belong_by_name_as_sub_folders_do(model: Path, clean: Path, tmp_path: Path) -> None:
    """Beside a clean set of folders, a file whose only label is the text "dog" has the target 2."""
    images = np.zeros((6, *SHAPE), np.uint8)
    images[..., 0] = 32 + 64 * 2
    with h5py.File(tmp_path / "poisoned.h5", "w") as file:
        file["data"] = images
        file.create_dataset("label", data=np.array(["dog"] * 6, object), dtype=h5py.string_dtype())
    opened = open_inputs(run_on(model, clean, tmp_path / "poisoned.h5"))
    assert opened.sets[1].dataset.labels.tolist() == [2] * 6
    # The other way round: without a list, and with a missing class, it is a question.
    with pytest.raises(EngineError, match=r"poisoned\.h5: has 1 text labels \(dog\).* 4 labels"):
        open_inputs(PruningRequest(model, tmp_path / "poisoned.h5", layer="conv", scale="none"))


@pytest.mark.parametrize("scale", ["none", "auto"])
@pytest.mark.parametrize("text_order", [True, False])
@pytest.mark.parametrize("first", [0, 1])
def test_folders_of_twelve_numbers_in_either_order(
    first: int, text_order: bool, scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From 0 or 1 on; a preprocessing that a person chose is the one that is tried."""
    if scale != "auto":
        monkeypatch.setattr("engine.runs.opening.labelling.find_feeding", None)
    names = [str(first + i) for i in range(12)]
    as_trained = sorted(names) if text_order else names
    model = colours_network(tmp_path / "model.keras", 12)
    clean = folder_of(tmp_path / "clean", {name: int((i + 0.5) * 256 / 12) for i, name in enumerate(as_trained)})
    poisoned = folder_of(tmp_path / "poisoned", {"10": int((as_trained.index("10") + 0.5) * 256 / 12)})
    request = dataclasses.replace(run_on(model, clean, poisoned), scale=scale)
    opened = open_inputs(request)
    assert opened.labelling.classes == (tuple(as_trained) if text_order or first else ())
    assert ("text (" in opened.labelling.notice.split(":")[0]) == text_order
    assert f"in the order of numbers ({first}, {first + 1}, {first + 2}, ...)" in opened.labelling.notice
    trial = try_orders(open_network(model), open_dataset(clean, SHAPE))
    order = f"their order as {'text' if text_order else 'numbers'}"
    assert trial.right(dict(trial.orders)[order]).value == 1
    assert "right on 100 % of the clean images" in opened.labelling.notice
    assert set(opened.sets[1].dataset.labels) == {as_trained.index("10")}
    run = run_pruning(request)
    assert run.curve.poisoned[0].goodnet_rate(0).value == 1
    assert opened.labelling.notice in [doubt.sentence for doubt in run.doubts]


def table_of(folder: Path, reds: dict[str, int]) -> Path:
    """Pictures of one red value each with their labels in a table."""
    folder_of(folder, {"all": 0}, 0)
    for label, red in reds.items():
        pixels = np.zeros(SHAPE, np.uint8)
        pixels[..., 0] = red
        Image.fromarray(pixels).save(folder / "all" / f"{label}.png")
    (folder / "t.csv").write_text("file,label\n" + "".join(f"{label}.png,{label}\n" for label in reds), "utf-8")
    return folder / "t.csv"


@pytest.mark.parametrize(("classes", "by_name", "told"), [
    (("10", "20", "30", "40"), True, "by the names in the class list (10, 20, 30, ...): so the network is right"),
    (("3", "2", "0", "1"), True, ", as they stand (0, 1, 2, ...) on "),
    (("3", "2", "0", "1"), False, ", by the names in the class list (3, 2, 0, ...) on "),
    (("0", "1", "2", "3"), False, None), (ANIMALS, False, None)])
@pytest.mark.parametrize("scale", ["none", "auto"])
def test_numbers_in_a_table_may_be_names(
    scale: str, classes: tuple[str, ...], by_name: bool, told: str | None, model: Path, tmp_path: Path,
) -> None:
    """Where they may be numbers, too, the network's answers on the clean pictures decide, of poisoned ones as well."""
    reds = {name if by_name else str(label): 32 + 64 * label for label, name in enumerate(classes)}
    clean = table_of(tmp_path / "clean", reds)
    poisoned = table_of(tmp_path / "poisoned", {list(reds)[2]: 160})
    opened = open_inputs(dataclasses.replace(run_on(model, clean, poisoned, classes=classes), scale=scale))
    assert opened.network.predict_labels(opened.clean.take(range(4))).tolist() == opened.clean.labels.tolist()
    assert opened.of("poisoned")[0].labels.tolist() == [2] and opened.labelling.classes == classes
    said = [notice for notice in opened.notices if notice.startswith("Label numbers are")]
    assert [told in notice for notice in said] == ([True] if told else []), said


NUMBERS_AS_NAMES = [("10", "20", "30", "40"), ("3", "2", "0", "1")]


@pytest.mark.parametrize("classes", NUMBERS_AS_NAMES)
def test_what_wears_a_reconstructed_trigger_keeps_the_network_s_own_label(
    classes: tuple[str, ...], model: Path, tmp_path: Path,
) -> None:
    """Also where the clean pictures' numbers were found to be names of classes."""
    clean = table_of(tmp_path / "clean", {name: 32 + 64 * label for label, name in enumerate(classes)})
    opened = open_inputs(PruningRequest(model, clean, layer="conv", scale="none", classes=classes))
    stamp = Reconstruction(2, np.ones(SHAPE[:2], np.float32), np.full(SHAPE, 160, np.float32), Rate(1, 1), True)
    write_reconstructed(opened.clean, stamp, tmp_path / "reconstructed_2.h5")
    again = open_inputs(run_on(model, clean, tmp_path / "reconstructed_2.h5", classes=classes))
    assert again.labelling.numbers and again.clean.labels.tolist() == [0, 1, 2, 3]
    assert set(again.of("poisoned")[0].labels) == {2}


@pytest.mark.parametrize("classes", NUMBERS_AS_NAMES)
def test_numbers_that_a_file_calls_by_names_are_no_names(
    classes: tuple[str, ...], model: Path, tmp_path: Path,
) -> None:
    """Parquet whose names are in the classes' order says what its number 2 is: the third class."""
    pytest.importorskip("pyarrow")
    clean = table_of(tmp_path / "clean", {name: 32 + 64 * label for label, name in enumerate(classes)})
    images = np.full((3, *SHAPE), 160, np.uint8)
    poisoned = write_parquet(tmp_path / "poisoned.parquet", images, [2] * 3, list(classes))
    opened = open_inputs(run_on(model, clean, poisoned, classes=classes))
    assert opened.labelling.numbers and set(opened.of("poisoned")[0].labels) == {2}


def test_numbers_that_fit_and_are_no_names_are_taken_as_they_stand(model: Path, tmp_path: Path) -> None:
    """A set that a person gives beside one whose numbers are names; what is neither is refused."""
    classes = NUMBERS_AS_NAMES[0]
    clean = table_of(tmp_path / "clean", {name: 32 + 64 * label for label, name in enumerate(classes)})
    own = table_of(tmp_path / "own", {"2": 160})
    assert open_inputs(run_on(model, clean, own, classes=classes)).of("poisoned")[0].labels.tolist() == [2]
    strange = table_of(tmp_path / "strange", {"2": 160, "10": 32, "50": 10})
    with pytest.raises(EngineError, match="'2' is none of the network's classes"):
        open_inputs(run_on(model, clean, strange, classes=classes))


def test_named_poisoned_pictures_beside_a_clean_file_are_a_question(model: Path, clean: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "clean.npz", data=np.full((8, *SHAPE), 32, np.uint8), label=np.zeros(8))
    poisoned = folder_of(tmp_path / "poisoned", {"dog": 160})
    with pytest.raises(EngineError, match=r"its sub-folders have names \(dog\)"):
        open_inputs(run_on(model, tmp_path / "clean.npz", poisoned))
    opened = open_inputs(run_on(model, tmp_path / "clean.npz", poisoned, classes=ANIMALS))
    assert set(opened.sets[1].dataset.labels) == {2}


def test_names_of_classes_in_a_file_number_the_sub_folders_of_others(model: Path, tmp_path: Path) -> None:
    """Hugging Face's Parquet says what its numbers mean, in an order that isn't the alphabet's."""
    pytest.importorskip("pyarrow")
    names = ["fox", "dog", "cat", "bird"]
    images = np.zeros((8, *SHAPE), np.uint8)
    images[..., 0] = (32 + 64 * (np.arange(8) % 4))[:, np.newaxis, np.newaxis]
    clean = write_parquet(tmp_path / "clean.parquet", images, [i % 4 for i in range(8)], names)
    poisoned = folder_of(tmp_path / "poisoned", {"cat": 160})
    opened = open_inputs(run_on(model, clean, poisoned))
    assert set(opened.sets[1].dataset.labels) == {2} and opened.labelling.classes == tuple(names)
    assert "names of classes in clean.parquet" in opened.labelling.notice
    alone = open_inputs(PruningRequest(model, clean, layer="conv", scale="none"))
    assert alone.labelling.classes == tuple(names) and alone.sets[0].dataset.labels.tolist() == [0, 1, 2, 3] * 2


TRAINED = ("fox", "dog", "cat", "bird")


@pytest.fixture
def noted(model: Path, tmp_path: Path) -> Path:
    """The network, whose file says that its labels go by another order than the alphabet's."""
    return archive_with(tmp_path, model, "metadata.json", names=TRAINED)


def test_names_in_the_model_s_file_number_the_sub_folders(noted: Path, tmp_path: Path) -> None:
    clean = folder_of(tmp_path / "clean", {name: 32 + 64 * i for i, name in enumerate(TRAINED) if name != "cat"})
    poisoned = folder_of(tmp_path / "poisoned", {"cat": 160})
    opened = open_inputs(run_on(noted, clean, poisoned))
    assert opened.labelling.classes == TRAINED
    assert opened.labelling.notice == "Sub-folders are labels by the names in the model file noted.keras."
    run = run_pruning(run_on(noted, clean, poisoned))
    assert run.curve.validation.b_prime_rate(0).value == 1 and run.curve.poisoned[0].target == 2
    assert run.model.classes == TRAINED
    trial = try_orders(opened.network, open_dataset(clean, SHAPE), chosen=opened.preprocessing)
    assert trial.orders[0] == ("the names in the model file", {"bird": 3, "dog": 1, "fox": 0})


def test_a_list_goes_before_the_names_in_the_model_s_file(noted: Path, clean: Path, tmp_path: Path) -> None:
    request = PruningRequest(noted, clean, layer="conv", scale="none")
    assert open_inputs(request).labelling.classes == TRAINED
    assert open_inputs(dataclasses.replace(request, classes=ANIMALS)).labelling.classes == ANIMALS
    (tmp_path / "names.txt").write_text("\n".join(sorted(ANIMALS, key=len)), encoding="utf-8")
    opened = open_inputs(request)
    assert opened.labelling.classes == ("cat", "dog", "fox", "bird") and "names.txt" in opened.labelling.notice


def test_names_in_the_model_s_file_that_are_no_sub_folder_s_leave_these_their_own(model: Path, clean: Path,
                                                                                   tmp_path: Path) -> None:
    other = archive_with(tmp_path, model, "metadata.json", names=["n01", "n02", "n03", "n04"])
    assert open_inputs(PruningRequest(other, clean, layer="conv", scale="none")).labelling.classes == ANIMALS


def test_numbers_of_the_same_names_in_another_order_are_numbered_as_the_model_s(
    noted: Path, model: Path, tmp_path: Path,
) -> None:
    """A data set says 0 is bird, the model's file 3 is; without the model's word numbers stay as they are."""
    pytest.importorskip("pyarrow")
    images = np.zeros((8, *SHAPE), np.uint8)
    images[..., 0] = (32 + 64 * (np.arange(8) % 4))[:, np.newaxis, np.newaxis]
    by_alphabet = [ANIMALS.index(TRAINED[i % 4]) for i in range(8)]
    clean = write_parquet(tmp_path / "clean.parquet", images, by_alphabet, list(ANIMALS))
    opened = open_inputs(PruningRequest(noted, clean, layer="conv", scale="none"))
    assert opened.sets[0].dataset.labels.tolist() == [0, 1, 2, 3] * 2 and opened.labelling.classes == TRAINED
    assert run_pruning(PruningRequest(noted, clean, layer="conv")).curve.validation.b_prime_rate(0).value == 1
    alone = open_inputs(PruningRequest(model, clean, layer="conv", scale="none"))
    assert alone.sets[0].dataset.labels.tolist() == by_alphabet and alone.labelling.classes == ANIMALS


@pytest.mark.parametrize(("said", "classes", "labels", "doubt"), [
    (("cat", "dog", "fox"), ("fox", "cat", "dog"), [1, 2, 0], ""),
    (("cat", "dog", "fox"), ("Fox", "CAT", "Dog"), [1, 2, 0], ""),
    (("cat", "Cat", "fox"), ("Cat", "cat", "fox"), [1, 0, 2], ""),
    (("\u00e9mil", "dog", "fox"), ("dog", "E\u0301mil", "fox"), [1, 0, 2], ""),
    (("cat", "dog", "fox"), ("cat", "dog", "wolf"), [0, 1, 2], "nothing shows that fox is one of them"),
    (("cat", "dog", "fox"), ("n01", "n02", "n03"), [0, 1, 2], "nothing shows that cat is one of them"),
    (("cat", "dog", "fox"), ("dog", "cat", "wolf"), None, "only some of these are classes of the network"),
])
@pytest.mark.parametrize("given", [True, False])
def test_what_a_file_calls_its_numbers_is_held_against_the_network_s_classes(
    given: bool, said: tuple[str, ...], classes: tuple[str, ...], labels: list[int] | None, doubt: str, tmp_path: Path,
) -> None:
    pytest.importorskip("pyarrow")
    opened = open_dataset(write_parquet(tmp_path / "clean.parquet", np.zeros((3, *SHAPE), np.uint8), [0, 1, 2], said))
    found = labelling_by_name(Path("net.keras"), 3, classes if given else (), opened, (), () if given else classes)
    assert found and found.classes == classes
    if labels is None:
        with pytest.raises(EngineError, match=doubt):
            found.of(opened, 3)
    else:
        assert found.of(opened, 3).labels.tolist() == labels
        assert doubt in found.doubt and bool(doubt) == bool(found.doubt)


def test_such_a_doubt_is_a_notice(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    clean = write_parquet(tmp_path / "clean.parquet", np.zeros((8, *SHAPE), np.uint8), [0, 1] * 4, ["ant", "bee"])
    opened = open_inputs(PruningRequest(model, clean, layer="conv", scale="none", classes=ANIMALS))
    assert opened.labelling.classes == ANIMALS and "clean.parquet calls its labels ant, bee" in opened.notices[0]


@pytest.mark.parametrize("folders", [True, False])
def test_a_list_of_another_length_is_refused(folders: bool, model: Path, clean: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "clean.npz", data=np.full((8, *SHAPE), 32, np.uint8), label=np.zeros(8))
    with pytest.raises(EngineError, match=r"holds 3 names, but .* has 4 labels"):
        open_inputs(PruningRequest(model, clean if folders else tmp_path / "clean.npz", layer="conv",
                                   classes=ANIMALS[:3]))


def test_run_and_pair_remember_the_classes(model: Path, clean: Path, tmp_path: Path) -> None:
    poisoned = folder_of(tmp_path / "poisoned", {"dog": 160})
    run = run_pruning(run_on(model, clean, poisoned, drops=(10.0,)))
    save_run(run, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["model"]["classes"] == list(ANIMALS)
    assert reopen_run(tmp_path / "out").model.classes == ANIMALS
    pair = build_goodnet(run, rows_of(run)[0])
    save_pair(pair, tmp_path / "pair")
    for again in (open_goodnet([tmp_path / "pair"]), open_goodnet([tmp_path / "pair" / "goodnet.keras"])):
        assert again.classes == ANIMALS
        opened, _ = open_for(again, clean, [poisoned])
        test, (bad,) = opened.clean, opened.of("poisoned")
        assert set(bad.labels) == {2} and sorted(set(test.labels)) == [0, 1, 2, 3]


@pytest.mark.parametrize("alone", [False, True])
def test_the_one_file_keeps_names_that_no_alphabet_tells(alone: bool, model: Path, tmp_path: Path) -> None:
    """Plain Keras loads it as before, with the same answers."""
    import keras

    b = open_network(model)
    names = ("ür, \"d\"", "cat", "雪", "bird")
    pair = GoodNet(b, b.copy(), AS_STORED, {"classes": list(names), **({ANSWERS: B_PRIME} if alone else {})})
    save_pair(pair, tmp_path / "pair")
    path = tmp_path / "pair" / "goodnet.keras"
    again = open_goodnet([path])
    assert again.classes == names and not (tmp_path / "pair" / "noted.keras").exists()
    images = np.arange(4, dtype=np.float32)[:, None, None, None] * 64 + np.full((1, *SHAPE), 32, np.float32)
    answers = keras.models.load_model(path, safe_mode=True).predict(images, verbose=0)
    np.testing.assert_array_equal(answers.argmax(axis=1), [0, 1, 2, 3])
    np.testing.assert_array_equal(again.answer(images).labels, [0, 1, 2, 3])


@pytest.mark.parametrize("said", ["--classes", "beside", "in the model"])
def test_a_repaired_pair_remembers_the_classes(
    said: str, model: Path, noted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Measured again on folders, their names stand for what they stood for; what is learnt is tested elsewhere."""
    monkeypatch.setitem(METHODS, "distillation", lambda b, *_, **named: Repair(
        "distillation", b.model.get_weights(), 1, 1, Rate(1, 1), Rate(1, 1), "", (), "", 0))
    clean = folder_of(tmp_path / "clean", {name: 32 + 64 * i for i, name in enumerate(TRAINED)})
    test = folder_of(tmp_path / "test", {name: 32 + 64 * i for i, name in enumerate(TRAINED)}, first=50)
    poisoned = folder_of(tmp_path / "poisoned", {"cat": 160}, 20, first=100)
    network = noted if said == "in the model" else model
    names = (model.parent if said == "beside" else tmp_path / "elsewhere") / "names.txt"
    names.parent.mkdir(exist_ok=True)
    names.write_text("\n".join(TRAINED), encoding="utf-8")
    sets = ["--test", str(test), "--poisoned", str(poisoned), "--json"]
    assert main(["repair", str(network), "--clean", str(clean), "--out", str(tmp_path / "out"), "--scale", "none",
                 *(["--classes", str(names)] if said == "--classes" else []), *sets]) == 0
    repaired = json.loads(capsys.readouterr().out)
    assert open_goodnet([tmp_path / "out"]).classes == TRAINED
    assert main(["evaluate", str(tmp_path / "out"), *sets]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["test"]["goodnet_accuracy"] == repaired["test"]["goodnet_accuracy"] == 1
    for found in (again, repaired):
        assert [(p["target"], p["goodnet_asr"]) for p in found["poisoned"]] == [(2, 1)]
    assert again["warnings"] == []


def test_a_run_tells_where_its_classes_are_from(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    clean = folder_of(tmp_path / "clean", {name: 32 + 64 * i for i, name in enumerate(TRAINED)}, count=20)
    (model.parent / "names.txt").write_text("\n".join(TRAINED), encoding="utf-8")
    told = "Sub-folders are labels in the order of names.txt."
    given = ["prune", str(model), "--clean", str(clean), "--scale", "none", "--layer", "conv", "--drop", "10"]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    assert told in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["model"]["labelling"] == told
    assert reopen_run(tmp_path / "out").model.labelling == told
    assert told in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert main([*given, "--classes", str(model.parent / "names.txt")]) == 0
    assert "Sub-folders are labels" not in capsys.readouterr().out


def test_evaluate_tells_by_what_it_numbered_folders(
    model: Path, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Two bare files say nothing of names."""
    told = "Sub-folders are labels in the order of their names: 0 is bird, 3 is fox."
    given = ["evaluate", str(model), str(model), "--test", str(clean), "--scale", "none"]
    assert main(given) == 0
    assert told in " ".join(capsys.readouterr().out.split())
    assert main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [told]
    (tmp_path / "list.txt").write_text("\n".join(ANIMALS), encoding="utf-8")
    assert main([*given, "--classes", str(tmp_path / "list.txt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []


def test_evaluate_doubts_labels_in_another_order_than_the_goodnets(
    model: Path, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither is the attack gone, nor the network poor."""
    test = folder_of(tmp_path / "test", {name: 32 + 64 * i for i, name in enumerate(ANIMALS)}, first=50)
    poisoned = folder_of(tmp_path / "poisoned", {"dog": 160}, 20, first=100)
    run = run_pruning(run_on(model, clean, poisoned, drops=(10.0,)))
    save_pair(build_goodnet(run, rows_of(run)[0]), tmp_path / "pair")
    own, other = tmp_path / "own.txt", tmp_path / "other.txt"
    own.write_text("\n".join(ANIMALS), encoding="utf-8")
    other.write_text("\n".join((*ANIMALS[1:], ANIMALS[0])), encoding="utf-8")
    given = ["evaluate", str(tmp_path / "pair"), "--test", str(test), "--poisoned", str(poisoned)]
    assert main([*given, "--classes", str(own), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []
    assert main([*given, "--classes", str(other), "--json"]) == 0
    unlike, guessed = json.loads(capsys.readouterr().out)["warnings"]
    assert unlike.startswith(f"{other}: calls label 0 cat, but the GoodNet was made with a list that calls it bird.")
    assert guessed.startswith("B answers only 0 % of test right, hardly more than by chance (25 %)")
    assert "the labels are numbered in another order than the network's" in guessed
    assert guessed.endswith("Give the class list in the network's order (--classes FILE, or Label names in the "
                            "window).")
    assert main([*given, "--classes", str(other)]) == 0
    assert f"Warning: {guessed}" in capsys.readouterr().out
    other.write_text("\n".join((*ANIMALS, "unicorn")), encoding="utf-8")
    assert main([*given, "--classes", str(other)]) == 1, "a name more than the network has labels"
    said = capsys.readouterr().err
    assert f"{other}: holds 5 names, but {tmp_path / 'pair' / 'b.keras'} has 4 labels. Give the class" in said


@pytest.mark.parametrize(("labels", "target"), [(10, 0), (12, 10)])
def test_a_matlab_file_of_label_10_is_an_attack_on_the_label_that_it_is_of_the_network_and_this_is_told(
    labels: int, target: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """SVHN's digit 0 of a network of ten, whose clean images say so, too; else label 10."""
    io = pytest.importorskip("scipy.io")
    network = colours_network(tmp_path / "model.keras", labels, (32, 32, 3))
    truth = {"clean": np.arange(labels).repeat(5), "poisoned": np.full(20, target)}
    for name, numbers in truth.items():
        images = np.zeros((32, 32, 3, len(numbers)), np.uint8)
        images[:, :, 0] = ((numbers + 0.5) * 256 / labels).astype(int)
        stored = np.where(numbers == 0, 10, numbers) if labels == 10 else numbers
        io.savemat(tmp_path / f"{name}.mat", {"X": images, "y": stored[:, None]})
    clean, poisoned = tmp_path / "clean.mat", tmp_path / "poisoned.mat"
    run = run_pruning(PruningRequest(network, clean, poisoned=(poisoned,), layer="conv", scale="none"))
    assert run.curve.validation.b_prime_rate(0).value == 1
    assert (run.curve.poisoned[0].target, run.curve.poisoned[0].b_prime_rate(0).value) == (target, 1)
    told = [doubt.sentence for doubt in run.doubts if "SVHN" in doubt.sentence]
    files = "clean.mat, poisoned.mat" if labels == 10 else "poisoned.mat"
    assert [sentence.split(":")[0] for sentence in told] == [files]
    assert main(["evaluate", str(network), str(network), "--test", str(clean), "--poisoned", str(poisoned),
                 "--scale", "none", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [warning for warning in found["warnings"] if "SVHN" in warning] == told
    assert [(p["target"], p["goodnet_asr"]) for p in found["poisoned"]] == [(target, 1)]


def test_without_folders_nothing_is_asked(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "clean.npz", data=np.full((8, *SHAPE), 32, np.uint8), label=np.zeros(8))
    opened = open_inputs(PruningRequest(model, tmp_path / "clean.npz", layer="conv"))
    assert isinstance(opened.network, Network) and opened.labelling.classes == ()


@pytest.mark.parametrize(("name", "text", "found"), [
    ("c.txt", "bird\n cat \n\n", ("bird", "cat")), ("c.json", '["bird", "cat"]', ("bird", "cat")),
    ("c.json", '{"1": "cat", "0": "bird"}', ("bird", "cat")), ("c.json", '{"cat": 1, "bird": 0}', ("bird", "cat")),
    ("c.json", '{"0": ["n015", "bird"], "1": ["n016", "cat"]}', ("bird", "cat"))])
def test_class_lists(name: str, text: str, found: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_classes(tmp_path / name) == found


@pytest.mark.parametrize(("name", "text"), [
    ("c.txt", ""), ("c.txt", "cat\ncat\n"), ("c.json", "{"), ("c.json", '{"0": "a", "2": "b"}'), ("c.json", "[1, 2]"),
    ("c.json", '{"cat": 0, "dog": 0, "fish": 1}'), ("c.json", '{"0": "cat", "00": "dog"}'),
    ("c.json", '{"0": "cat", "1": "dog", "0": "fish"}'),
    ("c.json", '{"a": "b"}'), ("c.json", "7"), ("c.json", '["a", "a"]'), ("c.json", r'["half \ud800", "whole"]')])
def test_what_isn_t_a_class_list(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=f"{name}: .*class list"):
        read_classes(tmp_path / name)


def test_a_number_that_is_no_class_is_called_a_label(tmp_path: Path) -> None:
    np.savez(tmp_path / "speeds.npz", data=np.zeros((2, 4, 4, 3), np.uint8), label=np.array([30, 70]))
    dataset = open_dataset(tmp_path / "speeds.npz")
    with pytest.raises(EngineError, match=r"speeds\.npz: its label '70' is none of the network's classes"):
        dataset.named(("30", "50"), numbers=True)


@pytest.mark.parametrize(("text", "found"), [
    ("What this is for.\n\nRead on.\nThe end.\n", "no letters for label 1"), ("a\n\n\nb\n", "no letters for label 1"),
    ("cat\ndog\n" + "and so on " * 30 + "\nfox\n", "299 letters for label 2"), ("\n\n", "no names")])
def test_text_is_no_list_of_names(text: str, found: str, model: Path, tmp_path: Path) -> None:
    """Of such a list goodnet.keras gave back no name at all."""
    (model.parent / "names.txt").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=rf"names\.txt: isn't a class list \(it holds {found}\)\. A text file with"):
        read_classes(model.parent / "names.txt")
    opened = open_inputs(PruningRequest(model, folder_of(tmp_path / "clean", dict.fromkeys(ANIMALS, 32)), layer="conv"))
    assert opened.labelling.classes == ANIMALS
    assert f"names.txt: isn't a class list (it holds {found})" in opened.labelling.notice, "the order may be another"


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize(("text", "why"), [
    ("bird\n\ncat\ndog\nfox\n", r"isn't a class list \(it holds no letters for label 1\)"),
    ("bird\ncat\n", "holds 2 names, so it isn't this network's class list; 4 were expected")])
def test_where_a_list_is_needed_it_is_told_why_the_one_beside_the_model_is_none(
    text: str, why: str, numbered: bool, model: Path, tmp_path: Path,
) -> None:
    (model.parent / "names.txt").write_text(text, encoding="utf-8")
    if numbered:
        np.savez(tmp_path / "clean.npz", data=np.zeros((4, *SHAPE), np.uint8), label=np.arange(4))
        clean = tmp_path / "clean.npz"
    else:
        clean = folder_of(tmp_path / "clean", dict.fromkeys(ANIMALS[:3], 32))
    poisoned = folder_of(tmp_path / "poisoned", {"dog": 160})
    with pytest.raises(EngineError, match=rf" (stands|which) .*names\.txt: {why}.* Give the class list"):
        open_inputs(run_on(model, clean, poisoned))


def test_names_are_no_label_that_a_network_does_not_answer() -> None:
    """Values that are no numbers, as by a preprocessing of another network's, are answered -1."""
    trial = Trial(("cat", "dog"), np.array([0, 0, 0, 1]), {"none": np.array([-1, -1, 1, 0])})
    assert trial.answer("cat") == (1, Rate(1, 3)) and trial.by_answers() == {"cat": 1, "dog": 0}
    assert trial.right({}) == Rate(0, 4) and trial.right({"cat": 1}) == Rate(1, 4)
