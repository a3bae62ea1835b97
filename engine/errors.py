"""What can go wrong, as sentences for a person: what file, what was found, what was expected, what to do."""

from __future__ import annotations

from engine.literal import literal


class EngineError(Exception):
    """The input or the machine is at fault; the message is one complete sentence or two, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(literal(message))


class ModelError(EngineError):
    """A model file can't be opened, isn't safe to open, or isn't an image classifier."""


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


def in_short(error: BaseException) -> str:
    """What another library says of an error, made fit for a sentence: its first line, 160 letters at most."""
    said = str(error).strip()
    if len(said) > 1 and said[0] == said[-1] and said[0] in "'\"":  # a KeyError quotes what it says
        said = said[1:-1].strip()
    return said.splitlines()[0][:160] if said else type(error).__name__
