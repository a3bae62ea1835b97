"""Opening a model runs nothing of it and allocates nothing absurd: what hostile files try, and that it fails."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.errors import EngineError, ModelError
from engine.models import networks
from engine.models.architecture import describe_model
from engine.models.logits import compiled_logits
from engine.models.networks import open_network
from tests.support.hostile_files import (
    CODE,
    CODE_ATTACKS,
    FOREIGN,
    LAMBDA_MAKER,
    SIZE_ATTACKS,
    Config,
    Spoil,
    archive_with,
    layer,
    plain_model,
    spoilt_archive,
    spoilt_h5,
)
from tests.support.networks import build, random_images


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test when Keras is asked to build anything."""
    def fail(*_: object) -> None:
        raise AssertionError("Keras was asked to build a model that must be refused first")
    monkeypatch.setattr(networks, "_build", fail)


def refused(path: Path) -> str:
    """The sentence with which a file is refused, the same with and without TensorFlow."""
    sentences = []
    for look in (describe_model, open_network):
        with pytest.raises(ModelError) as found:
            look(path)
        sentences.append(str(found.value))
    assert sentences[0] == sentences[1]
    assert str(path) in sentences[0] and sentences[0].endswith(".") and len(sentences[0]) < 1000
    return sentences[0]


@pytest.fixture(scope="module")
def lambdas(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files whose payload plain Keras has just been seen to run, and where the payload writes."""
    folder = tmp_path_factory.mktemp("lambda")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LAMBDA_MAKER, folder / "evil", folder / "payload"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "evil", folder / "payload"


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_payload_that_plain_keras_runs_is_not_run(ending: str, lambdas: tuple[Path, Path]) -> None:
    path, payload = lambdas
    assert "carries program code" in refused(path.with_suffix(f".{ending}"))
    assert not payload.exists()


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("write", [spoilt_archive, spoilt_h5])
@pytest.mark.parametrize("name", CODE_ATTACKS)
def test_what_would_run_code_is_refused(name: str, write: Callable[[Path, Spoil], Path], tmp_path: Path) -> None:
    refused(write(tmp_path / "evil.model", CODE_ATTACKS[name]))
    assert [path.name for path in tmp_path.iterdir()] == ["evil.model"]


# Why some of them are refused, where there would be a further reason.
SAID = dict.fromkeys(("an echo", "an echo of nothing", "a long chain backwards"), "more than 20,000 uses of layers") | {
    "a thousand outputs": "has 1,000 outputs; at most 100"}


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("name", SIZE_ATTACKS)
def test_what_would_exhaust_memory_is_refused(name: str, tmp_path: Path) -> None:
    started = time.process_time()
    assert SAID.get(name, "") in refused(spoilt_archive(tmp_path / "evil.keras", SIZE_ATTACKS[name]))
    assert time.process_time() - started < 10


NAMES = ["conv 3", "conv\u200b3", "conv\ud8003", "<img src='/dev/zero'>", "conv\n3", "conv\x1b[31m", "\u202econv",
         "a/b", "../../x", "conv\0", "=1+1", "\ufeffconv", "", " "]


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_layer_whose_name_nothing_can_be_computed_under_is_refused(name: str, nested: bool, tmp_path: Path) -> None:
    def spoil(config: Config) -> None:
        found = layer(config, "Functional" if nested else "Dense")
        found["name"] = found["config"]["name"] = name

    said = refused(spoilt_archive(tmp_path / "m.keras", spoil))
    assert ("under which TensorFlow can't compute" in said or not name) and said.isprintable()


def test_the_whole_models_name_is_nobodys_matter(tmp_path: Path) -> None:
    def spoil(config: Config) -> None:
        config["config"]["name"] = "my <b>model</b>\u200b"

    network = open_network(spoilt_archive(tmp_path / "m.keras", spoil))
    assert network.model.name == "model" and network.predict(random_images(2)).shape == (2, 7)


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("value", [10**400, -(10**400), 2.0**1023 * 2, -(2**31) - 1, "\ud800"], ids=ascii)
def test_values_beyond_all_bounds_are_refused(value: object, tmp_path: Path) -> None:
    for key in ("units", "name", "something", "activation", "dtype"):
        def spoil(config: Config, key: str = key) -> None:
            layer(config, "Dense")["config"][key] = value

        refused(spoilt_archive(tmp_path / "m.keras", spoil))


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("kind", [["Dense"], {"Dense": 1}, 1, None], ids=str)
def test_a_class_that_is_no_word_is_no_known_layer(kind: object, tmp_path: Path) -> None:
    spoilt = spoilt_archive(tmp_path / "m.keras", lambda config: layer(config, "Dense").update(class_name=kind))
    assert "which isn't a known Keras layer" in refused(spoilt)


@pytest.mark.usefixtures("nothing_is_built")
def test_a_layer_of_keras_that_is_not_computed_here_is_no_program_code(tmp_path: Path) -> None:
    spoilt = spoilt_archive(tmp_path / "m.keras", lambda config: layer(config, "Dense").update(class_name="LSTM"))
    said = refused(spoilt)
    assert "is of the class 'LSTM' of 'keras.layers', which isn't among those that are computed here" in said
    assert "program code" not in said


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("setting", [{"\ud800": 1}, {"something": {"\ud800": 1}}], ids=ascii)
def test_a_setting_whose_name_isnt_text_is_refused(setting: dict[str, object], tmp_path: Path) -> None:
    refused(spoilt_archive(tmp_path / "m.keras", lambda config: layer(config, "Dense")["config"].update(setting)))


def test_what_only_training_needs_is_never_built(tmp_path: Path) -> None:
    def spoil(config: Config) -> None:
        config["compile_config"] = {"optimizer": FOREIGN, "loss": CODE}
        config["build_config"] = {"input_shape": [10 ** 9, 10 ** 9]}
        layer(config, "Dense")["build_config"] = {"input_shape": [None, 10 ** 9], "other": CODE}
        layer(config, "Dense")["shared_object_id"] = 1
        layer(config, "Functional")["compile_config"] = {"optimizer": FOREIGN}
        layer(config, "Dense")["config"].update(kernel_initializer="orthogonal", kernel_constraint="non_neg")
        layer(config, "Dense")["config"].update(bias_regularizer={
            "module": "keras.regularizers", "class_name": "L2", "config": {"l2": 1.0}, "registered_name": None})

    images = random_images(5)
    expected = build("nested")[0].predict(images, verbose=0)
    network = open_network(spoilt_archive(tmp_path / "m.keras", spoil))
    np.testing.assert_allclose(network.predict(images), expected, rtol=1e-4, atol=1e-6)
    dense = network.model.layers[-1]
    assert type(dense.kernel_initializer).__name__ == "Zeros"
    assert (dense.kernel_constraint, dense.bias_regularizer) == (None, None)


def test_a_fixed_batch_size_and_whole_number_inputs_are_no_hindrance(tmp_path: Path) -> None:
    def spoil(config: Config) -> None:
        layer(config, "InputLayer")["config"].update(batch_shape=[4, 12, 10, 3], dtype="uint8")

    images = random_images(5)
    found = open_network(spoilt_archive(tmp_path / "m.keras", spoil)).predict(images)
    np.testing.assert_allclose(found, build("nested")[0].predict(images, verbose=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["Model.KERAS", "model", "a.weights.h5", "модель 模型 ü.keras", "n" * 240 + ".keras"])
def test_a_name_doesn_t_matter(name: str, tmp_path: Path) -> None:
    path = archive_with(tmp_path / name, plain_model()[1])
    assert open_network(path).labels == describe_model(path).labels == 7


@pytest.mark.parametrize("name", ["Model.H5", "model", "a.weights.h5", "old.hdf5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_nor_does_that_of_an_h5_file(name: str, tmp_path: Path) -> None:
    build("plain")[0].save(tmp_path / "m.h5")
    path = (tmp_path / "m.h5").rename(tmp_path / name)
    assert open_network(path).labels == 7


@pytest.mark.usefixtures("nothing_is_built")
def test_a_second_input_is_a_sentence(tmp_path: Path) -> None:
    """There is no layer through which everything passes, so none to prune could be found."""
    from keras import Input, Model, layers
    images = [Input((8, 8, 3)), Input((8, 8, 3))]
    x = layers.Add()([layers.Conv2D(4, 3)(image) for image in images])
    Model(images, layers.Dense(5)(layers.GlobalAveragePooling2D()(x))).save(tmp_path / "m.keras")
    assert "has 2 inputs; an image classifier with one was expected" in refused(tmp_path / "m.keras")


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize("text", [
    "", "[]", "null", '"Lambda"', "{", "[" * 100_000, '{"class_name": "Functional", "config": ' * 50_000, "\ud800",
    '{"class_name": "Functional", "config": {"layers": [' * 40 + "]}}" * 40], ids=lambda text: text[:20])
def test_configurations_that_are_none(text: str, tmp_path: Path) -> None:
    path = archive_with(tmp_path / "m.keras", {}, config__json=text.encode("utf-8", "surrogatepass"))
    refused(path)


def _bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("metadata.json", b" " * (80 << 20), zipfile.ZIP_DEFLATED)


def _twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("config.json", archive.read("config.json"))


def _outside(name: str) -> Callable[[zipfile.ZipFile], None]:
    return lambda archive: archive.writestr(name, "x")


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("add", "words"), [
    (_bomb, "would unpack to"), (_twice, "two members of one name"), (_outside("../evil"), "points outside"),
    (_outside("/etc/evil"), "points outside"), (_outside("a\\..\\..\\evil"), "points outside"),
    (_outside("C:evil"), "points outside"), (_outside("assets/x"), "isn't part of"),
    (_outside("model.weights.npz"), "isn't part of")])
def test_archives(add: Callable[[zipfile.ZipFile], None], words: str, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(plain_model()[0])
    with zipfile.ZipFile(path, "a") as archive:
        add(archive)
    assert words in refused(path)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(plain_model()[0])
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\x01\x02", at + 4)
    (tmp_path / "m.keras").write_bytes(content)
    assert "encrypted" in refused(tmp_path / "m.keras")


def hostile_weights(path: Path, spoil: Callable[[h5py.File, Path], None]) -> Path:
    """The harmless archive's weights, changed, in a whole-model .h5 of their own layout."""
    def nothing(_: Config) -> None:
        pass

    spoilt_h5(path, nothing)
    with h5py.File(path, "a") as file:
        spoil(file, path.with_name("other.h5"))
    return path


def _external(file: h5py.File, other: Path) -> None:
    file["model_weights/b"] = h5py.ExternalLink(str(other), "/secret")


def _soft(file: h5py.File, _: Path) -> None:
    file["model_weights/b"] = h5py.SoftLink("/model_weights/a")


def _stored_elsewhere(file: h5py.File, other: Path) -> None:
    file["model_weights"].create_dataset("b", (8,), np.float32, external=[(str(other), 0, 32)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((8,), np.float32)
    layout[:] = h5py.VirtualSource(str(other), "secret", (8,))
    file["model_weights"].create_virtual_dataset("b", layout)


def _declared(file: h5py.File, _: Path) -> None:
    file["model_weights"].create_dataset("b", (10 ** 9,), np.float32, chunks=(1000,), compression="gzip")


def _squeezed(file: h5py.File, _: Path) -> None:
    file["model_weights"].create_dataset("b", data=np.zeros(30_000_000, np.float32), chunks=(1_000_000,),
                                         compression="gzip")


def _squeezed_apart(file: h5py.File, _: Path) -> None:
    """Each array is small enough by itself."""
    for name in "bc":
        file["model_weights"].create_dataset(name, data=np.zeros(10_000_000, np.float32), chunks=(1_000_000,),
                                             compression="gzip")


def _words(file: h5py.File, _: Path) -> None:
    file["model_weights"].create_dataset("b", data=["a", "b"], dtype=h5py.string_dtype())


def _references(file: h5py.File, _: Path) -> None:
    file["model_weights"].create_dataset("b", data=[file["model_weights"].ref], dtype=h5py.ref_dtype)


def _one_long_name_often(file: h5py.File, _: Path) -> None:
    file["model_weights"].attrs["weight_names0"] = np.array(["a" * 50_000] * 3000, h5py.string_dtype())


def _names_as_numbers(file: h5py.File, _: Path) -> None:
    file["model_weights"].attrs["layer_names"] = np.arange(3)


def _configurations(file: h5py.File, _: Path) -> None:
    text = file.attrs["model_config"]
    del file.attrs["model_config"]
    file.attrs["model_config"] = np.array([text] * 3, h5py.string_dtype())


def _a_number(file: h5py.File, _: Path) -> None:
    del file.attrs["model_config"]
    file.attrs["model_config"] = 5


def _bytes_instead_of_text(file: h5py.File, _: Path) -> None:
    """With a type of that kind one damaged byte away from text, HDF5 crashed in the reading."""
    text = np.empty((), object)
    text[()] = np.frombuffer(file.attrs["model_config"].encode(), np.uint8)
    del file.attrs["model_config"]
    file.attrs.create("model_config", text, (), h5py.vlen_dtype(np.uint8))


def _a_reference(file: h5py.File, _: Path) -> None:
    file["model_weights"].attrs.create("backend", file.ref, dtype=h5py.ref_dtype)


def _no_weights(file: h5py.File, _: Path) -> None:
    del file["model_weights"]


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize(("spoil", "words"), [
    (_external, "external link"), (_soft, "soft link"), (_stored_elsewhere, "in other files"),
    (_virtual, "in other files"), (_declared, "declares"), (_squeezed, "declares"),
    (_squeezed_apart, "m.h5: declares 20,"), (_words, "not numbers"),
    (_references, "not numbers"), (_one_long_name_often, "isn't one of names"),
    (_names_as_numbers, "isn't one of names"),
    (_bytes_instead_of_text, "isn't one of words"), (_a_reference, "isn't one of words"),
    (_configurations, "isn't text"), (_a_number, "isn't text"), (_no_weights, "without its weights")])
def test_hdf5_files(spoil: Callable[[h5py.File, Path], None], words: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(8, np.float32)
    assert words in refused(hostile_weights(tmp_path / "m.h5", spoil))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_hard_links_in_a_circle_end(tmp_path: Path) -> None:
    build("plain")[0].save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        group = file.create_group("a")
        group["itself"] = group
        group["top"] = file["/"]
    assert open_network(tmp_path / "m.h5").labels == 7


def test_groups_a_thousand_deep_are_refused(tmp_path: Path) -> None:
    def spoil(file: h5py.File, _: Path) -> None:
        group = file
        for _ in range(1000):
            group = group.create_group("g")

    assert "nested too deeply" in refused(hostile_weights(tmp_path / "m.h5", spoil))


@pytest.mark.usefixtures("nothing_is_built")
def test_a_file_that_changes_between_the_look_and_the_loading_is_refused(tmp_path: Path) -> None:
    path = archive_with(tmp_path / "m.keras", plain_model()[1])
    file = networks.read_model_file(path)
    with pytest.raises(ModelError, match="was changed while"), networks.weights_file(file):
        archive_with(path, copy.deepcopy(plain_model()[1]), metadata__json=b"{ }")


def test_what_keras_sees_only_when_it_computes_is_a_sentence() -> None:
    from keras import Input, Model, layers
    image = Input((8, 8, 3))
    network = networks.Network(Model(image, layers.Dense(2, "softmax")(layers.Flatten()(layers.Rescaling(1.0)(image)))),
                               Path("m"))
    network.model.layers[1].scale = [1.0] * 5
    for run in (network.predict, compiled_logits(network), networks.compiled(network.model)):
        with pytest.raises(EngineError, match=r"can't compute the network '.*' \(Dimensions must be equal.*\. Check"):
            run(random_images(1, shape=(8, 8, 3)))
    with pytest.raises(EngineError, match=r"can't compute the network"):
        networks.compiled(network.model, at_once=True)


def test_a_failure_inside_tensorflow_is_a_sentence() -> None:
    """A network for pictures of any size meets one that is smaller than its kernel."""
    from keras import Input, Model, layers
    image = Input((None, None, 3))
    network = Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(2, 5)(image)))
    with pytest.raises(EngineError, match=r"can't compute the network .*negative.*\. Check") as found:
        networks.compiled(network)(random_images(1, shape=(3, 3, 3)))
    assert "\n" not in str(found.value) and "Graph execution" not in str(found.value)
