"""What can go wrong, as sentences for a person: what file, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.literal import literal

_MOST_NAMED = 8


class EngineError(Exception):
    """The input or the machine is at fault; the message is one complete sentence or two, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(literal(message))


class ModelError(EngineError):
    """A model file can't be opened, isn't safe to open, or isn't an image classifier."""


class SeveralOutputs(ModelError):
    """A model has several outputs and nobody said which one tells the labels.

    Attributes:
        outputs: each one's name, and the shape of what it gives for one image; None where that isn't known.
    """

    def __init__(self, path: Path, outputs: Sequence[tuple[str, Sequence[int | None] | None]]) -> None:
        self.outputs = tuple(outputs)
        shown = named([f"{name} ({' x '.join(str(side or 'any') for side in shape)})" if shape else name
                       for name, shape in self.outputs])
        super().__init__(f"{path}: has {len(self.outputs)} outputs, {shown}, and one is needed that "
                         "tells the labels. Say which: --output NAME on the command line; the window asks.")


class NoModel(ModelError):
    """A file that may hold a model holds none; it may be a data set."""


class LayerNotFound(ModelError):
    """The network has no prunable layer of that name."""


class DatasetError(EngineError):
    """A data set or picture can't be read or doesn't fit the network."""


class UnfitError(DatasetError):
    """A data set can be read, but its images have another shape than the network takes."""


class OutputError(EngineError):
    """A result can't be written where it was asked for."""


class Cancelled(Exception):
    """The person asked to stop. Not an error: nothing is kept and nothing is wrong."""


def named(names: Sequence[str]) -> str:
    """Names for a sentence; of many, the first ones."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def in_short(error: BaseException) -> str:
    """What another library says of an error, made fit for a sentence: its first line, 160 letters at most."""
    said = str(error).strip()
    if len(said) > 1 and said[0] == said[-1] and said[0] in "'\"":  # a KeyError quotes what it says
        said = said[1:-1].strip()
    return said.splitlines()[0][:160] if said else type(error).__name__
