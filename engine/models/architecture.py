"""A model's layers and shapes worked out from its configuration alone, without TensorFlow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelError
from engine.models.config import Config
from engine.models.deepid import INPUT_SHAPE
from engine.models.layer_graph import Node, check_weights, nodes_of, nodes_to
from engine.models.prunable.channels import channels_of
from engine.models.prunable.default_layer import default_layer
from engine.models.reading import ModelFile, read_model_file
from engine.models.shapes import Shape, output_shape

# Layers that are put behind a single sigmoid.
LABEL_0, BOTH_LABELS = "label_0", "both_labels"


@dataclass(frozen=True)
class LayerDescription:
    """One layer: `shape` of one image's output (None where it isn't known), `channels` if it can be pruned."""

    name: str
    kind: str
    shape: Shape | None
    channels: int | None


@dataclass(frozen=True)
class ModelDescription:
    """What can be said of a model file without running it; `default_note` says where the default layer isn't the last
    map's, and why; `outputs` are the names of several, and `output` the one that was chosen; `classes` are what the
    file calls its labels, none where it doesn't say so for each."""

    path: Path
    format: str
    sha256: str
    parameters: int
    input_shape: Shape | None
    labels: int | None
    layers: tuple[LayerDescription, ...]
    default_layer: str | None
    default_note: str = ""
    outputs: tuple[str, ...] = ()
    output: str | None = None
    classes: tuple[str, ...] = ()


def describe_model(path: Path, output: str | None = None) -> ModelDescription:
    """Describe a model file's layers, shapes and the layer pruned by default.

    Args:
        output: of a model with several outputs the name of the one that tells the labels.
    Raises:
        ModelError: the file isn't a model or isn't safe to open.
        SeveralOutputs: it has several outputs, and none is named.
    """
    file = read_model_file(path, output)
    nodes = checked_nodes(file)
    uses = Counter(node.name for node in nodes)
    layers = tuple(
        LayerDescription(n.name, n.kind.removeprefix("keras.ops."), n.shape,
                         channels_of(n) if uses[n.name] == 1 else None) for n in nodes)
    final = nodes[-1].shape if nodes else None
    labels = final[0] if final and len(final) == 1 else None
    default = default_layer(nodes, [layer.name for layer in layers if layer.channels])
    return ModelDescription(
        path, file.format, file.sha256, file.parameters, nodes[0].shape if nodes else None,
        labels, layers, default.name, default.note, file.outputs, output,
        file.classes if len(file.classes) == labels else ())


def checked_nodes(file: ModelFile) -> list[Node]:
    """The nodes of a model file, found to need no more weights and memory than the file can mean.

    Raises:
        ModelError: it would.
    """
    if file.config is None:
        return _deepid_nodes(file)
    nodes = nodes_of(file.config, file.path)
    check_weights(nodes, file.parameters, file.path)
    if file.outputs and file.weights is None:
        nodes = nodes_to(file.config, file.path, file.output)
    inputs = sum(node.kind == "InputLayer" for node in nodes)
    if inputs != 1:
        raise ModelError(f"{file.path}: has {inputs} inputs; an image classifier with one was expected.")
    return nodes + _other_label(nodes)


def _other_label(nodes: list[Node]) -> list[Node]:
    """What `networks` puts behind a single sigmoid, so that two labels are told apart."""
    last = nodes[-1]
    if last.shape != (1,) or last.config.get("activation") != "sigmoid":
        return []
    return [Node(LABEL_0, "Rescaling", {}, [len(nodes) - 1], (1,)),
            Node(BOTH_LABELS, "Concatenate", {}, [len(nodes) - 1, len(nodes)], (2,))]


def _deepid_nodes(file: ModelFile) -> list[Node]:
    """DeepID's layers as `deepid.build_deepid` builds them; a test holds the two together."""
    def conv(filters: int, size: int) -> Config:
        return {"filters": filters, "kernel_size": [size, size], "activation": "relu"}

    layers: list[tuple[str, str, Config, list[str]]] = [("input", "InputLayer", {}, [])]
    last = "input"
    for n, (filters, size) in enumerate(((20, 4), (40, 3), (60, 3)), start=1):
        layers.append((f"conv_{n}", "Conv2D", conv(filters, size), [last]))
        last = f"pool_{n}"
        layers.append((last, "MaxPooling2D", {"pool_size": [2, 2]}, [f"conv_{n}"]))
    layers += [
        ("conv_4", "Conv2D", conv(80, 2), ["pool_3"]), ("flatten_1", "Flatten", {}, ["pool_3"]),
        ("flatten_2", "Flatten", {}, ["conv_4"]), ("fc_1", "Dense", {"units": 160}, ["flatten_1"]),
        ("fc_2", "Dense", {"units": 160}, ["flatten_2"]), ("add_1", "Add", {}, ["fc_1", "fc_2"]),
        ("activation_1", "Activation", {"activation": "relu"}, ["add_1"]),
        ("output", "Dense", {"units": file.deepid_labels}, ["activation_1"]),
    ]
    nodes: list[Node] = []
    index: dict[str, int] = {}
    for name, kind, config, parents in layers:
        fed_by = [index[p] for p in parents]
        shape = output_shape(kind, config, [nodes[p].shape for p in fed_by]) if nodes else INPUT_SHAPE
        nodes.append(Node(name, kind, config, fed_by, shape))
        index[name] = len(nodes) - 1
    return nodes
