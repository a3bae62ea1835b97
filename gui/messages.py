"""The one place where an exception becomes words for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import EngineError
from gui.log import log_path

Kind = Literal["info", "error"]
_MOST_TOLD = 3  # of exceptions in one message: hundreds of files may be dropped at once


@dataclass(frozen=True)
class Action:
    """What a person may want to do about a message: the button's text, and what it does."""

    text: str
    do: Callable[[], object]


@dataclass(frozen=True)
class Message:
    """Something to tell a person: one or two sentences, the folder it is about, and what can be done about it.

    Errors, messages about folders and those that are `lasting` are shown in full. One that is lasting stays until it is
    dismissed, taken up or another one is shown in full, all others until a person waits for something, too.
    """

    text: str
    kind: Kind = "info"
    folder: Path | None = None
    action: Action | None = None
    lasting: bool = False


def words(error: BaseException) -> str:
    """What a person reads about an exception: the engine's own sentence, or where to find the details."""
    if isinstance(error, EngineError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There isn't enough memory for this. Close other programs and try again."
    return (f"Something went wrong that shouldn't have ({type(error).__name__}); nothing was changed. "
            f"Details are in the log: {log_path()}")


def words_of_all(errors: Sequence[BaseException]) -> str:
    """What a person reads about the first few of several exceptions, after how many there are: a message's end may be
    cut off."""
    several = [f"{len(errors):,} couldn't be opened."] if len(errors) > 1 else []
    return " ".join((*several, *map(words, errors[:_MOST_TOLD])))
