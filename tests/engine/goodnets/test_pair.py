"""B and B' as a pair: its label, its files, and its figures on data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.data.datasets import open_dataset
from engine.data.preprocessing import AS_STORED, preprocessing
from engine.data.stored_values import RANGES
from engine.errors import Cancelled, EngineError
from engine.goodnets.checking import check_arrays
from engine.goodnets.evaluation import evaluate
from engine.goodnets.legacy_h5 import save_keras2_h5
from engine.goodnets.pair import ANSWERS, B_PRIME, GoodNet
from engine.goodnets.saved import one_file_model, open_goodnet, save_pair
from engine.guards.calibration import calibrate
from engine.models import networks
from engine.models.costs import computing
from engine.models.networks import Network, in_batches, open_network
from engine.progress import CancelSource
from tests.support.networks import (
    HEIGHT,
    LABELS,
    NETWORKS,
    WIDTH,
    Array,
    SmallLab,
    build,
    plain_loop,
    random_images,
    save_lab_file,
)

IMAGES = random_images(60, seed=12)
PRUNED = [0, 2, 3, 5]


def pair_of(name: str, scale: str = "none") -> tuple[GoodNet, Array, Array]:
    """A pair and the labels that its two networks give IMAGES, by Keras alone."""
    model, layer = build(name)
    network = Network(model, Path("b.keras"))
    goodnet = GoodNet(network, network.pruned(layer, PRUNED), preprocessing(scale), {"x": 5.0})
    reference, _ = build(name)
    scaled = IMAGES if scale == "none" else IMAGES * np.float32(1 / 255)
    labels = plain_loop(reference, layer, PRUNED, scaled)
    return goodnet, labels[0], labels[-1]


@pytest.mark.parametrize("name", ["plain", "nested", "tied answers"])
def test_the_pair_answers_where_both_agree(name: str) -> None:
    goodnet, b, b_prime = pair_of(name)
    answers = goodnet.answer(IMAGES)
    np.testing.assert_array_equal(answers.b_labels, b)
    np.testing.assert_array_equal(answers.b_prime_labels, b_prime)
    np.testing.assert_array_equal(answers.labels, np.where(b == b_prime, b, goodnet.flag_label))
    np.testing.assert_array_equal(answers.flagged, b != b_prime)
    assert goodnet.flag_label == goodnet.b.labels


@pytest.mark.parametrize(("name", "scale"), [
    ("plain", "none"), ("plain", "255"), ("sequential", "255"), ("nested", "none"), ("several consumers", "none")])
def test_the_one_file_goodnet_takes_the_file_s_own_range(name: str, scale: str, tmp_path: Path) -> None:
    """Plain Keras in safe mode loads it; N + 1 values a row, the largest at the pair's label."""
    import keras
    goodnet, b, b_prime = pair_of(name, scale)
    one_file_model(goodnet).save(tmp_path / "goodnet.keras")
    loaded = keras.models.load_model(tmp_path / "goodnet.keras", safe_mode=True)
    answers = loaded.predict(IMAGES, verbose=0)
    assert answers.shape == (60, LABELS + 1)
    np.testing.assert_array_equal(answers.argmax(axis=1), np.where(b == b_prime, b, LABELS))
    again = open_goodnet([tmp_path / "goodnet.keras"])
    assert again.preprocessing.name == scale
    verdicts = check_arrays(again, list(IMAGES.astype(np.uint8)), [str(n) for n in range(60)])
    assert [v.label for v in verdicts] == answers.argmax(axis=1).tolist()


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("stored", RANGES)
def test_the_one_file_goodnet_knows_in_which_range_pictures_were_stored(
        stored: str, alone: bool, tmp_path: Path) -> None:
    goodnet, *_ = pair_of("plain", "255")
    goodnet.notes.update({"stored": stored}, **({ANSWERS: B_PRIME} if alone else {}))
    one_file_model(goodnet).save(tmp_path / "goodnet.keras")
    assert open_goodnet([tmp_path / "goodnet.keras"]).stored == stored


@pytest.mark.parametrize("names", [("b", "b_prime"), ("other", "b_prime")])
def test_layers_that_are_only_called_like_a_goodnets_networks_are_none(names: tuple[str, str], tmp_path: Path) -> None:
    import keras
    image = keras.Input((9, 6, 3))
    x = keras.layers.Flatten()(image)
    for name in names:
        x = keras.layers.Dense(3, name=name)(x)
    keras.Model(image, x).save(tmp_path / "named.keras")
    with pytest.raises(EngineError, match=r"named\.keras: isn't a GoodNet"):
        open_goodnet([tmp_path / "named.keras"])


@pytest.mark.parametrize("name", NETWORKS)
def test_repaired_h5_is_b_prime_to_keras_and_to_us(name: str, tmp_path: Path) -> None:
    import keras
    goodnet, _, b_prime = pair_of(name)
    path = tmp_path / "repaired.h5"
    save_keras2_h5(goodnet.b_prime, path)
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
        assert file.attrs["keras_version"].startswith("2.")
        assert set(file["model_weights"].attrs["layer_names"]) == {n.encode() for n in file["model_weights"]}
    assert "batch_shape" not in json.dumps(config) and "module" not in json.dumps(config)
    answers = keras.models.load_model(path, compile=False).predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(np.asarray(answers[0] if isinstance(answers, list) else answers).argmax(axis=1),
                                  b_prime)
    again = open_network(path)
    np.testing.assert_array_equal(again.predict_labels(IMAGES), b_prime)
    for ours, loaded in zip(goodnet.b_prime.model.get_weights(), again.model.get_weights(), strict=True):
        assert ours.tobytes() == loaded.tobytes()


@pytest.mark.filterwarnings("ignore:Argument `alpha` is deprecated")
def test_a_leaky_relu_is_written_in_keras_2_s_word(tmp_path: Path) -> None:
    import keras
    image = keras.Input((8, 8, 3))
    x = keras.layers.LeakyReLU(0.1)(keras.layers.Conv2D(4, 3)(image))
    x = keras.layers.ReLU(negative_slope=0.2)(keras.layers.Conv2D(4, 3)(x))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    path = tmp_path / "repaired.h5"
    save_keras2_h5(Network(model, Path("b.keras"), ""), path)
    with h5py.File(path) as file:
        written = json.loads(file.attrs["model_config"])["config"]["layers"]
    leaky, relu = (written[number]["config"] for number in (2, 4))
    assert (leaky["alpha"], relu["negative_slope"]) == (0.1, 0.2) and "negative_slope" not in leaky
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    for again in (keras.models.load_model(path, compile=False), open_network(path).model):
        np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))


@pytest.mark.parametrize("functional", [True, False])
def test_a_model_inside_another_is_written_as_both_kerases_read_it(functional: bool, tmp_path: Path) -> None:
    import keras
    ours = keras.layers
    image = keras.Input((8, 8, 3))
    base = keras.Model(image, ours.SpatialDropout2D(0.1)(ours.Conv2D(4, 3)(ours.CenterCrop(6, 6)(image))), name="base")
    inside = [ours.RandomFlip(), ours.RandomRotation(0.1), ours.RandomZoom(0.1), ours.RandomTranslation(0.1, 0.1),
              ours.RandomContrast(0.1), base, ours.Flatten(), ours.Dense(3)]
    model = keras.Sequential([image, *inside])
    if functional:
        x = image
        for layer in inside:
            x = layer(x)
        model = keras.Model(image, x)
    path = tmp_path / "repaired.h5"
    save_keras2_h5(Network(model, Path("b.keras"), ""), path)
    with h5py.File(path) as file:
        written = json.loads(file.attrs["model_config"])["config"]["layers"]
    within = next(layer["config"]["layers"] for layer in written if layer["config"]["name"] == "base")
    settings = {layer["class_name"]: set(layer["config"]) for layer in [*within, *written]}
    new = {kind for kind, keys in settings.items() if {"data_format", "value_range"} & keys}
    assert new == {"Conv2D", "Flatten"} and len(settings) > 10  # these two took it in Keras 2
    images = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    for again in (keras.models.load_model(path, compile=False), open_network(path).model):
        np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))


def test_a_network_of_many_long_names_is_saved_as_keras_reads_it(tmp_path: Path) -> None:
    import keras
    x = image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    for number in range(700):
        x = keras.layers.ReLU(name=f"features_{'denselayer_' * 8}{number}")(x)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    save_keras2_h5(Network(model, Path("b.keras"), ""), tmp_path / "repaired.h5")
    images = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    loaded = keras.models.load_model(tmp_path / "repaired.h5", compile=False)
    for again in (loaded, open_network(tmp_path / "repaired.h5").model):
        for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
            assert one.tobytes() == other.tobytes()
        np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))


def test_a_saved_pair_is_whole_and_opens_again(tmp_path: Path) -> None:
    goodnet, b, b_prime = pair_of("plain", "255")
    before = [w.copy() for network in (goodnet.b, goodnet.b_prime) for w in network.model.get_weights()]
    save_pair(goodnet, tmp_path / "pair")
    assert {p.name for p in (tmp_path / "pair").iterdir()} == {
        "b.keras", "b_prime.keras", "goodnet.keras", "goodnet.onnx", "goodnet.json", "manifest.json", "repaired_5.h5",
        "repaired_5.onnx"}
    assert [p.name for p in tmp_path.iterdir()] == ["pair"]
    again = open_goodnet([tmp_path / "pair"])
    assert (again.preprocessing.name, again.notes["x"], again.notes["flag_label"]) == ("255", 5.0, LABELS)
    answers = again.answer(IMAGES * np.float32(1 / 255))
    np.testing.assert_array_equal(answers.labels, np.where(b == b_prime, b, LABELS))
    after = [w for network in (goodnet.b, goodnet.b_prime) for w in network.model.get_weights()]
    assert all(old.tobytes() == new.tobytes() for old, new in zip(before, after, strict=True))


def test_a_b_that_was_edited_in_one_pair_is_seen_in_every_pair_that_shares_it(tmp_path: Path) -> None:
    goodnet, _, _ = pair_of("plain")
    save_pair(goodnet, tmp_path / "x2")
    save_pair(goodnet, tmp_path / "x5", same_b=tmp_path / "x2")
    other, _ = build("plain", seed=9)
    other.save(tmp_path / "other.keras")
    with (tmp_path / "x2" / "b.keras").open("r+b") as stream:  # in place, as a tool that knows nothing of links does
        stream.truncate(stream.write((tmp_path / "other.keras").read_bytes()))
    for folder in (tmp_path / "x2", tmp_path / "x5"):
        with pytest.raises(EngineError, match=r"b\.keras: was changed after this pair was saved"):
            open_goodnet([folder])
        assert open_goodnet([folder / "b.keras", folder / "b_prime.keras"]).b.labels == LABELS


@pytest.mark.parametrize("name", ["b_prime.keras", "goodnet.json"])
def test_so_is_every_other_file_of_a_pair(name: str, tmp_path: Path) -> None:
    save_pair(pair_of("plain")[0], tmp_path / "pair")
    with (tmp_path / "pair" / name).open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(EngineError, match=rf"{name}: was changed after"):
        open_goodnet([tmp_path / "pair"])


@pytest.mark.parametrize("gone", [["goodnet.json"], ["goodnet.json", "guard.npz"]])
def test_a_pair_copied_in_part_isn_t_taken_for_another_one(
    gone: list[str], small_lab: SmallLab, tmp_path: Path,
) -> None:
    """Without its notes it would be fed otherwise, and without both it would have no guard."""
    b = open_network(small_lab.badnet)
    guard = calibrate(b, open_dataset(small_lab.clean, b.input_shape), "margin", 0.1)
    save_pair(GoodNet(b, b.copy(), preprocessing("255"), {}, guard), tmp_path / "pair")
    for name in gone:
        (tmp_path / "pair" / name).unlink()
    with pytest.raises(EngineError, match=r"pair: holds no goodnet\.json, but manifest\.json says"):
        open_goodnet([tmp_path / "pair"])
    (tmp_path / "pair" / "manifest.json").unlink()  # nobody can tell any more
    assert open_goodnet([tmp_path / "pair"]).preprocessing.name == "none"


def test_evaluation_counts_image_for_image(tmp_path: Path) -> None:
    goodnet, b, b_prime = pair_of("plain")
    truth = np.where(np.arange(60) % 3 == 0, (b + 1) % LABELS, b)
    dataset = open_dataset(save_lab_file(tmp_path / "d.h5", IMAGES, truth), goodnet.b.input_shape)
    found = evaluate(goodnet, dataset)
    assert (found.correct.count, found.correct.total) == (((b == b_prime) & (b == truth)).sum(), 60)
    assert (found.flagged.count, found.flagged.total) == ((b != b_prime).sum(), 60)
    assert 0 < found.flagged.count < 60
    source = CancelSource()
    source.cancel()
    with pytest.raises(Cancelled):
        evaluate(goodnet, dataset, cancel=source.token)


def test_a_pair_for_any_size_is_evaluated_as_many_at_a_time_as_one_of_the_set_s_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    from keras import Input, Model, layers
    image = Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(image))
    network = Network(Model(image, layers.Dense(3)(x)), Path("any.keras"))
    goodnet = GoodNet(network, network.pruned("conv", [0]), AS_STORED, {})
    labels = goodnet.answer(IMAGES).labels
    np.savez(tmp_path / "set.npz", data=IMAGES, label=labels)
    taken: list[int] = []

    def spied(run: Any, images: Any, size: int, *more: Any) -> Any:
        taken.append(size)
        return in_batches(run, images, size, *more)

    monkeypatch.setattr(networks, "in_batches", spied)
    monkeypatch.setattr(computing, "MOST_TENSOR_VALUES", 4 * HEIGHT * WIDTH * 8)
    found = evaluate(goodnet, open_dataset(tmp_path / "set.npz", goodnet.input_shape))
    assert set(taken) == {8} and network.batch == 256
    assert found.correct.count + found.flagged.count == len(IMAGES)


@pytest.mark.parametrize("notes", ["{", "[]", '{"scale": "7"}', ""])
def test_notes_that_describe_nothing(notes: str, small_lab: SmallLab, tmp_path: Path) -> None:
    for name in ("b.keras", "b_prime.keras"):
        (tmp_path / name).write_bytes(small_lab.badnet.read_bytes())
    (tmp_path / "goodnet.json").write_text(notes)
    with pytest.raises(EngineError, match=r"goodnet\.json: "):
        open_goodnet([tmp_path])


@pytest.mark.parametrize("paths", [[], [Path("a"), Path("b"), Path("c")]])
def test_a_goodnet_is_one_or_two_paths(paths: list[Any]) -> None:
    with pytest.raises(EngineError, match=f"{len(paths)} paths"):
        open_goodnet(paths)


def test_two_folders_are_no_pair(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"is a folder; two paths are the files of B and B'\. Give one GoodNet"):
        open_goodnet([tmp_path, tmp_path])


@pytest.mark.parametrize(("notes", "alone"), [
    ({"method": "guard"}, True), ({"x": 0.0, "pruned_channels": []}, True), ({"x": 2.0, "pruned_channels": [3]}, False),
    ({"method": "distillation", "pruned_channels": []}, False), ({}, False),
])
def test_b_beside_itself_is_told(small_lab: SmallLab, notes: dict[str, object], alone: bool) -> None:
    b = open_network(small_lab.badnet)
    pair = GoodNet(b, b.copy(), preprocessing("none"), notes)
    assert pair.b_alone is alone
    found = check_arrays(pair, [np.zeros(b.input_shape, np.uint8)], ["black"])  # type: ignore[arg-type]
    assert [verdict.b_alone for verdict in found] == [alone]
