"""Which layer is pruned where nobody chooses one; the one rule for what is described and what is opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.models.layer_graph import Node

_GLOBAL_POOLING = frozenset({"GlobalAveragePooling2D", "GlobalMaxPooling2D", "keras.ops.Mean", "keras.ops.Max"})
_ELEMENTWISE = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "CustomScaleLayer"})
# What makes new channels of those it is given.
_MIXING = frozenset({"Conv2D", "SeparableConv2D", "Conv2DTranspose", "Dense"})


@dataclass(frozen=True)
class DefaultLayer:
    """Its name, None where there is none, and a sentence where its channels aren't those of the last map."""

    name: str | None
    note: str = ""


def default_layer(nodes: Sequence[Node], prunable: Collection[str]) -> DefaultLayer:
    """The last layer with channels through which everything passes on its way to the last map before the labels.

    From where the maps end (pooled as a whole, or flattened) the way goes back. At a sum or product of maps it follows
    the branch with the most layers, whose channels are the map's: a residual's body, not the shortcut around it. Maps
    joined of several branches are pruned together, all channels of them; where that can't be, the way goes on where all
    branches begin, for each has only some of the channels. What has the labels for channels isn't meant.

    Args:
        nodes: of a network, each behind those that feed it, the one that answers last.
        prunable: names of the layers that can be pruned.
    """
    if not prunable:
        return DefaultLayer(None)
    above, depths = _dominators(nodes), _depths(nodes)
    at: int | None = _end_of_maps(nodes, above)
    labels = (nodes[-1].shape or (None,))[-1]
    joined = ""
    while at is not None:
        node = nodes[at]
        if node.name in prunable and not ((node.shape or (None,))[-1] == labels and _is_answer(nodes, at)):
            return DefaultLayer(node.name, joined and
                                f"The last map is joined at '{joined}' from several branches, whose channels can't be "
                                f"pruned together; '{node.name}' is the last layer that everything passes through.")
        branches = [parent for parent in node.parents if nodes[parent].shape == node.shape]
        if len(node.parents) < 2:
            at = node.parents[0] if node.parents else None
        elif _is_map(node) and node.kind.removeprefix("keras.ops.") in _ELEMENTWISE and branches:
            at = max(branches, key=lambda parent: depths[parent])
        else:
            joined = joined or (node.name if _is_map(node) else "")
            at = above[at]
    return DefaultLayer(next(node.name for node in reversed(nodes) if node.name in prunable))


def _dominators(nodes: Sequence[Node]) -> list[int | None]:
    """For each node the last one that lies on every way to it; None for the first."""
    above: list[int | None] = []
    for node in nodes:
        found: int | None = node.parents[0] if node.parents else None
        for other in node.parents[1:]:
            while found is not None and found != other:
                if other > found:
                    other = above[other]  # type: ignore[assignment]  # the input is above everything
                else:
                    found = above[found]
        above.append(found)
    return above


def _depths(nodes: Sequence[Node]) -> list[int]:
    """How many layers lie on the longest way to each node."""
    depths: list[int] = []
    for node in nodes:
        depths.append(1 + max((depths[parent] for parent in node.parents), default=0))
    return depths


def _end_of_maps(nodes: Sequence[Node], above: Sequence[int | None]) -> int:
    """The first node on every way to the answer behind which there are no maps any more."""
    end, at = len(nodes) - 1, above[-1]
    while at is not None:
        if len(nodes[at].shape or ()) < 3 or nodes[at].kind in _GLOBAL_POOLING:
            end = at
        at = above[at]
    return end


def _is_map(node: Node) -> bool:
    return node.shape is not None and len(node.shape) == 3


def _is_answer(nodes: Sequence[Node], start: int) -> bool:
    """Whether nothing behind a node makes other channels of its own."""
    behind = {start}
    for at in range(start + 1, len(nodes)):
        if behind.intersection(nodes[at].parents):
            behind.add(at)
            if nodes[at].kind in _MIXING:
                return False
    return True
