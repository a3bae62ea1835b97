"""Who feeds whom in a checked configuration, with shapes and weights worked out before anything is built."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import ModelError
from engine.models import vocabulary
from engine.models.config import Config
from engine.models.costs.inside import MOST_OF_AN_IMAGE, values_inside
from engine.models.shapes import Shape, array_shape, output_shape, weight_count

# A layer's name, which of its uses, and which of its outputs there.
Source = tuple[str, int, int]

# A nested model is opened up wherever it is used, and can be used by another such model, even one that adds no node. A
# use of many tensors counts as many, for each is written down.
MOST_NODES = 20_000
MOST_AXES = 8
MOST_OUTPUTS = 100
_IMAGE_AXES = 3


def layer_name(layer: Config) -> str:
    """What a checked layer is called among those beside it."""
    return str(layer.get("name") or layer["config"].get("name") or layer["class_name"])


def unused_name(plain: str, taken: dict[str, int]) -> str:
    """A name, with a number behind it if it is taken already; it is taken from now on.

    Args:
        taken: names, each with the last number that was put behind it, so that equal ones aren't counted anew.
    """
    found, number = plain, taken.get(plain, 0)
    while found in taken:
        number += 1
        found = f"{plain}_{number}"
    taken[plain] = number
    taken.setdefault(found, 0)
    return found


@dataclass
class Node:
    """One use of a layer: `parents` are indices of the nodes that feed it, `shape` that of one image's output."""

    name: str
    kind: str
    config: Config
    parents: list[int]
    shape: Shape | None
    weights: int = 0


def nodes_of(config: Config, path: Path) -> list[Node]:
    """The nodes of a model, nested ones opened up, each behind those that feed it.

    Raises:
        ModelError: its layers don't fit together, or a picture between two of them would be absurdly large.
    """
    nodes: list[Node] = []
    _Graph(nodes, path).add_model(config, None, "")
    return nodes


def outputs_of(config: Config, path: Path) -> dict[str, Shape | None]:
    """The outputs of a functional model by the names of their layers, in the order in which Keras has them, each with
    the shape of what it gives for one image.

    Raises:
        ModelError: as nodes_of; or an output isn't there, or there are too many.
    """
    nodes: list[Node] = []
    graph, names = _Graph(nodes, path), dict[str, int]()
    graph.add_model(config, None, "")
    return {unused_name(name, names): nodes[answer].shape for name, answer in graph.answers}


def nodes_to(config: Config, path: Path, output: int) -> list[Node]:
    """The nodes of a functional model that lead to one of its outputs, itself last.

    Args:
        output: its place among outputs_of.
    Raises:
        ModelError: as outputs_of.
    """
    nodes: list[Node] = []
    graph = _Graph(nodes, path)
    graph.add_model(config, None, "")
    return _leading_to(nodes, graph.answers[output][1])


def _leading_to(nodes: Sequence[Node], answer: int) -> list[Node]:
    """Those of some nodes that one depends on, and itself, with the places of their parents among them."""
    wanted, waiting = {answer}, [answer]
    while waiting:
        parents = set(nodes[waiting.pop()].parents) - wanted
        wanted |= parents
        waiting += parents
    place = {old: new for new, old in enumerate(sorted(wanted))}
    return [replace(nodes[old], parents=[place[parent] for parent in nodes[old].parents]) for old in place]


def check_weights(nodes: Sequence[Node], stored: int, path: Path) -> None:
    """Refuse a configuration that needs more weights than its file holds, before they are allocated.

    Args:
        stored: numbers that the file holds.
    Raises:
        ModelError: it needs more.
    """
    largest: dict[int, Node] = {}  # of each layer, which may have no name, the use that needs most
    for node in nodes:
        if node.weights >= largest.get(id(node.config), node).weights:
            largest[id(node.config)] = node
    needed = sum(node.weights for node in largest.values())
    if needed > stored:
        most = max(largest.values(), key=lambda node: node.weights)
        raise ModelError(
            f"{path}: its layers need {needed:,} weights ('{most.name[:100]}' alone {most.weights:,}), "
            f"but the file holds {stored:,}; refused, because it is damaged or made to exhaust memory. "
            "Save the model again.")


@dataclass(frozen=True)
class _Call:
    """What feeds one use of a layer, and what an operation is called with besides: settings, and shapes of arrays."""

    sources: list[Source]
    literals: list[Any]
    constants: list[Shape]


class _Graph:
    """Nodes under construction."""

    def __init__(self, nodes: list[Node], path: Path) -> None:
        self._nodes, self._path, self._uses = nodes, path, 0
        self._known: dict[int, tuple[list[list[_Call]], list[Source]]] = {}  # what was read of models, by their ids
        self.answers: list[tuple[str, int]] = []  # the model's outputs, each by its layer's name

    def add_model(self, model: Config, outer: int | None, prefix: str) -> int:
        """Append a model's layers; the index of the node that is its output."""
        layers = model["config"]["layers"]
        if outer is not None and sum(layer["class_name"] == "InputLayer" for layer in layers) > 1:
            self._refuse(prefix, "has several inputs; a model inside a model may have one only")
        if not layers:
            self._refuse(prefix, "has no layers")
        if model["class_name"] == "Sequential":
            previous = outer
            for layer in layers:
                previous = self._add(layer, [] if previous is None else [previous], outer, prefix)
            assert previous is not None
            return previous
        if id(model) not in self._known:  # once, however often it is used
            given = model["config"]["output_layers"]
            # Keras has named outputs in the order of their names.
            answers = _sources([given[name] for name in sorted(given)] if isinstance(given, dict) else given)
            self._known[id(model)] = [_calls(layer) for layer in layers], answers
        calls, answers = self._known[id(model)]
        uses = self._add_graph(layers, calls, outer, prefix)
        if not answers or not all(_is_there(uses, answer) for answer in answers):
            self._refuse(prefix, "doesn't say which of its layers answers")
        if len(answers) > MOST_OUTPUTS:
            self._refuse(prefix or model["config"]["name"],
                         f"has {len(answers):,} outputs; at most {MOST_OUTPUTS} were expected")
        if outer is None:
            self.answers = [(answer[0], self._picked(uses, answer)) for answer in answers]
        return self._picked(uses, answers[0])

    def _add_graph(self, layers: list[Config], calls: list[list[_Call]], outer: int | None,
                   prefix: str) -> dict[str, list[int]]:
        """Append layers as soon as what feeds them is there, in the rounds in which Keras does; the nodes of each."""
        uses: dict[str, list[int]] = {}
        ready, waiting = [(0, place) for place in range(len(layers))], dict[tuple[str, int], list[int]]()
        left = [list(reversed(of_layer)) for of_layer in calls]
        missing = [iter(of_layer[0].sources) for of_layer in calls]
        while ready:
            turn, place = heapq.heappop(ready)
            layer, name = layers[place], layer_name(layers[place])
            while left[place]:
                source = next((source for source in missing[place] if not _is_there(uses, source)), None)
                if source is not None:
                    waiting.setdefault(source[:2], []).append(place)
                    break
                call = left[place].pop()
                parents = [self._picked(uses, source) for source in call.sources]
                found = uses.setdefault(name, [])
                known = len(found)
                self._use(found, layer, self._add(layer, parents, outer, prefix, call))
                missing[place] = iter(left[place][-1].sources if left[place] else ())
                for use in range(known, len(found)):
                    for other in waiting.pop((name, use), ()):
                        heapq.heappush(ready, (turn + (other <= place), other))
        late = next((place for place in range(len(layers)) if left[place]), None)
        if late is not None:
            self._refuse(prefix + layer_name(layers[late]), "is fed by a layer that isn't there, or by itself")
        return uses

    def _use(self, found: list[int], layer: Config, node: int) -> None:
        """Write down one more use of a layer; Keras counts those of a nested model from 1."""
        if layer["class_name"] == "Functional":
            if not found:
                found.append(node)
            elif self._nodes[found[0]].shape != self._nodes[node].shape:
                self._refuse(layer_name(layer), "is used for pictures of several sizes")
        found.append(node)

    def _picked(self, uses: dict[str, list[int]], source: Source) -> int:
        layer, use, output = source
        if output != 0:
            self._refuse(layer, "is used for another output than its first; a model inside a model may have one only")
        return uses[layer][use]

    def _add(self, layer: Config, parents: list[int], outer: int | None, prefix: str,
             call: _Call | None = None) -> int:
        """Append one use of a layer; the index of its output."""
        kind, config, name = layer["class_name"], layer["config"], prefix + layer_name(layer)
        self._uses += max(1, len(parents))
        if self._uses > MOST_NODES:
            self._refuse(name, f"is one of more than {MOST_NODES:,} uses of layers")
        if kind == "InputLayer":
            declared = config.get("batch_shape") or config.get("batch_input_shape")
            shape = tuple(declared[1:]) if isinstance(declared, list) else None
            if outer is None:
                return self._append(Node(name, kind, config, [], shape))
            if not _agree(shape, self._nodes[outer].shape):
                self._refuse(name, f"takes inputs of another shape than the {self._nodes[outer].shape} it is given")
            return outer
        if kind in vocabulary.CONTAINERS:
            return self.add_model(layer, parents[0] if parents else None, f"{name}/")
        if vocabulary.is_operation(layer.get("module")):
            kind, config = f"keras.ops.{kind}", {**config, "literals": call.literals if call else []}
        inputs = [self._nodes[parent].shape for parent in parents]
        beside = call.constants if call else []
        node = Node(name, kind, config, parents, output_shape(kind, config, [*inputs, *beside]))
        inside = 0
        try:
            if node.shape is not None:
                inside = values_inside(kind, config, [shape or () for shape in inputs])
            node.weights = weight_count(kind, config, inputs[0] or ()) if inputs else 0
        except ValueError:
            node.shape = None
        if inside > MOST_OF_AN_IMAGE:
            self._refuse(name, f"would make {inside:,} values of one image inside it, which would exhaust memory")
        return self._append(node)

    def _append(self, node: Node) -> int:
        if node.shape is None or len(node.shape) > MOST_AXES \
                or any((n is not None and type(n) is not int) or n == 0 for n in node.shape):
            if node.parents or node.kind == "InputLayer":
                self._refuse(node.name, "has settings from which no size of its output follows")
            self._refuse(node.name, "isn't fed by an input layer, so the size of its input isn't known")
        if math.prod(n or 1 for n in node.shape or ()) > MOST_OF_AN_IMAGE:
            self._refuse(node.name, f"would make {node.shape} values of one image, which would exhaust memory")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _refuse(self, where: str, what: str) -> NoReturn:
        raise ModelError(f"{self._path}: '{where[:200]}' {what}; refused. Save the model again with Keras.")


def _calls(layer: Config) -> list[_Call]:
    """All uses of a layer; an input layer is used once and fed by nothing."""
    return [_Call(_sources(call), _literals(call), _constants(call))
            for call in layer.get("inbound_nodes") or []] or [_Call([], [], [])]


def _arguments(call: Any) -> list[Any]:
    args = call.get("args") if isinstance(call, dict) else None
    return args if isinstance(args, list) else []


def _literals(call: Any) -> list[Any]:
    """What an operation is called with behind its first tensor, where those are numbers."""
    return [value for value in _arguments(call)[1:] if not isinstance(value, dict)]


def _constants(call: Any) -> list[Shape]:
    """Shapes of the arrays and lists that an operation is called with, without a batch axis."""
    named = call.get("kwargs") if isinstance(call, dict) else None
    given = [value["config"].get("value") if _is_a(value, "__tensor__") else value
             for value in [*_arguments(call), *(named.values() if isinstance(named, dict) else ())]]
    shapes = [array_shape(value) for value in given if isinstance(value, list) and not _sources(value)]
    return [shape[1:] if len(shape) == _IMAGE_AXES + 1 and shape[0] == 1 else shape for shape in shapes]


def _is_a(value: Any, kind: str) -> bool:
    """Whether this is an object of a kind, with its settings."""
    return isinstance(value, dict) and value.get("class_name") == kind and isinstance(value.get("config"), dict)


def _sources(node: Any) -> list[Source]:
    """All tensors that an inbound node refers to, in the words of Keras 2 or 3."""
    if isinstance(node, dict):
        if _is_a(node, "__keras_tensor__"):
            return _sources(node["config"].get("keras_history"))
        return [source for value in node.values() for source in _sources(value)]
    if isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and type(node[1]) is int:
            return [(node[0], node[1], node[2])]
        return [source for value in node for source in _sources(value)]
    return []


def _is_there(uses: dict[str, list[int]], source: Source) -> bool:
    return 0 <= source[1] < len(uses.get(source[0], ()))


def _agree(declared: Shape | None, given: Shape | None) -> bool:
    return declared is not None and given is not None and len(declared) == len(given) and all(
        a is None or a == b for a, b in zip(declared, given, strict=True))
