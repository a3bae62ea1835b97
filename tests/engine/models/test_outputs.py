"""A model with several outputs: they are named, and the one that is chosen answers as Keras or ONNX says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from engine.data.preprocessing import AS_STORED
from engine.errors import LayerNotFound, ModelError, SeveralOutputs
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import open_goodnet, save_pair
from engine.models.architecture import describe_model
from engine.models.networks import open_network
from tests.support.networks import random_images

if TYPE_CHECKING:
    import keras

SHAPE = (16, 16, 3)
IMAGES = random_images(20, seed=5, shape=SHAPE)


def two_heads(way: str = "list") -> keras.Model:
    """Animals behind two convolutions, colours behind the first, and a map that tells no labels."""
    from keras import Input, Model, layers
    image = Input(SHAPE)
    first = layers.Conv2D(6, 3, activation="relu", name="first")(image)
    last = layers.Conv2D(8, 3, activation="relu", name="last")(first)
    colour = layers.Dense(3, name="colour")(layers.GlobalAveragePooling2D()(first))
    animal = layers.Dense(5, name="animal")(layers.GlobalAveragePooling2D()(last))
    heads = {"list": [colour, last, animal], "named": {"z": colour, "m": last, "a": animal}}[way]
    return Model(image, heads)


@pytest.mark.parametrize("way", ["list", "named"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_the_chosen_output_answers_as_keras_says(way: str, ending: str, tmp_path: Path) -> None:
    model, path = two_heads(way), tmp_path / f"heads{ending}"
    model.save(path)
    with pytest.raises(SeveralOutputs, match=r"has 3 outputs, .*animal \(5\).* --output NAME") as said:
        open_network(path)
    shapes = dict(said.value.outputs)
    assert shapes == {"colour": (3,), "last": (12, 12, 8), "animal": (5,)}
    assert list(shapes) == (["colour", "last", "animal"] if way == "list" else ["animal", "last", "colour"])
    answers = model.predict(IMAGES, verbose=0)
    wanted = {"colour": answers["z"], "animal": answers["a"]} if way == "named" else \
        dict(zip(("colour", "last", "animal"), answers, strict=True))
    for name, layers, labels in (("animal", {"first": 6, "last": 8}, 5), ("colour", {"first": 6}, 3)):
        network, found = open_network(path, name), describe_model(path, name)
        np.testing.assert_allclose(network.predict(IMAGES), wanted[name], atol=1e-4)
        assert network.prunable_layers() == layers and network.labels == found.labels == labels
        assert network.default_layer() == found.default_layer
        assert [layer.name for layer in found.layers if layer.channels] == list(layers)
        assert (found.outputs, found.output) == (tuple(shapes), name)
    with pytest.raises(ModelError, match=r"answers with shape"):
        open_network(path, "last")
    with pytest.raises(ModelError, match=r"no output called 'dog'. It has "):
        describe_model(path, "dog")


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("behind", [True, False])
def test_of_a_model_inside_a_model_the_first_output_alone_is_used(behind: bool, ending: str, tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image, path = Input(SHAPE), tmp_path / f"nested{ending}"
    inner = two_heads()
    colour, _, animal = inner(image)
    (again := Model(image, layers.Dense(2)(colour) if behind else colour)).save(path)
    np.testing.assert_allclose(open_network(path).predict(IMAGES), again.predict(IMAGES, verbose=0), atol=1e-3)
    Model(image, layers.Dense(2)(animal) if behind else animal).save(path)
    for reading in (open_network, describe_model):
        with pytest.raises(ModelError, match=f"'{inner.name}' is used for another output than its first"):
            reading(path)


def test_a_pair_of_the_chosen_output_has_that_one_alone(tmp_path: Path) -> None:
    two_heads().save(tmp_path / "heads.keras")
    network = open_network(tmp_path / "heads.keras", "animal")
    pair = GoodNet(network, network.pruned("last", [0, 3]), AS_STORED, {})
    save_pair(pair, tmp_path / "pair", IMAGES)
    again = open_goodnet([tmp_path / "pair"])
    np.testing.assert_array_equal(again.answer(IMAGES).labels, pair.answer(IMAGES).labels)
    assert (tmp_path / "pair" / "goodnet.onnx").is_file()


def test_a_single_output_needs_no_choice(tmp_path: Path) -> None:
    from keras import Model
    model = two_heads()
    Model(model.input, model.outputs[2]).save(tmp_path / "one.keras")
    assert open_network(tmp_path / "one.keras").labels == 5
    with pytest.raises(ModelError, match=r"no output called 'animal'\. It has a single one"):
        open_network(tmp_path / "one.keras", "animal")


def test_of_many_outputs_or_layers_the_first_are_named(tmp_path: Path) -> None:
    from keras import Input, Model, layers
    image = Input(SHAPE)
    maps = [layers.Conv2D(2, 3, name=f"conv_{n}")(image) for n in range(20)]
    heads = [layers.Dense(3, name=f"head_{n}")(layers.Flatten()(found)) for n, found in enumerate(maps)]
    Model(image, heads).save(tmp_path / "heads.keras")
    Model(image, layers.Add()(heads)).save(tmp_path / "one.keras")
    with pytest.raises(SeveralOutputs, match=r"has 20 outputs, head_0 \(3\), .*head_7 \(3\) and 12 more, and one"):
        describe_model(tmp_path / "heads.keras")
    with pytest.raises(ModelError, match=r"no output called 'dog'\. It has head_0, .*head_7 and 12 more\.$"):
        describe_model(tmp_path / "heads.keras", "dog")
    with pytest.raises(LayerNotFound, match=r"It has: conv_19, .*conv_12 and 12 more\.$"):
        open_network(tmp_path / "one.keras").call_of("dog")


def onnx_heads(path: Path) -> Path:
    """As two_heads, in ONNX, with an operator that isn't known on the way to one of them."""
    rng = np.random.default_rng(3)
    weights = {"conv": (4, 3, 3, 3), "animal.weight": (5, 4), "colour.weight": (3, 4)}
    nodes = [helper.make_node("Conv", ["image", "conv"], ["map"]), helper.make_node("Relu", ["map"], ["positive"]),
             helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
             helper.make_node("Flatten", ["mean"], ["flat"]),
             helper.make_node("Gemm", ["flat", "colour.weight"], ["colour"], transB=1),
             helper.make_node("Gemm", ["flat", "animal.weight"], ["animal"], transB=1),
             helper.make_node("Sinh", ["colour"], ["odd"])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
               for name, size in (("odd", 3), ("animal", 5), ("colour", 3))]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    graph = helper.make_graph(nodes, "heads", [image], outputs,
                              [numpy_helper.from_array(rng.normal(0, 0.1, size).astype(np.float32), name)
                                        for name, size in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_an_output_of_an_onnx_file_is_chosen(tmp_path: Path) -> None:
    path = onnx_heads(tmp_path / "heads.onnx")
    with pytest.raises(SeveralOutputs, match=r"has 3 outputs, odd \(3\), animal \(5\), colour \(3\)"):
        describe_model(path)
    reference = ReferenceEvaluator(str(path))
    for name in ("animal", "colour"):
        network = open_network(path, name)
        wanted = [reference.run([name], {"image": image.transpose(2, 0, 1)[np.newaxis]})[0][0] for image in IMAGES]
        np.testing.assert_allclose(network.predict(IMAGES), wanted, rtol=1e-4, atol=1e-3)
        assert describe_model(path, name).labels == network.labels
    with pytest.raises(ModelError, match="uses the operator Sinh"):
        open_network(path, "odd")
