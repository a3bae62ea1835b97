"""Files and folders of any kind, each handed to the job that takes its kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QTimer

from engine.data.sources.shards import joined
from gui.messages import Message
from gui.session.queue import Job
from gui.session.recognition import Found, Kind, look_at, sets_in
from gui.session.session import Session
from gui.session.worker import TaskContext

Taker = Callable[[Sequence[Found]], None]

# What takes no longer than this to look at needs no word.
_PATIENCE_MS = 500


class Opening(QObject):
    """Finds out what paths are; whoever can use a kind of file says so by `takes`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._takers: dict[Kind, Taker] = {}
        self._looked_at, self._told = "", False
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._patience.timeout.connect(self._tell)

    def takes(self, kind: Kind, taker: Taker) -> None:
        """Have files of a kind handed to `taker`, all of its kinds that were opened together at once."""
        self._takers[kind] = taker

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open files and folders of any kind, each as what it turns out to be."""
        if paths:
            self._looked_at = paths[0].name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
            self._told |= self._session.state.busy  # or of files before these something is said still
            self._session.tell_waiting(f"Opening {self._looked_at}")
            self._patience.start()
            self._session.add(Job(partial(look_at_all, list(paths)), self._hand_over, failed=self._fail))

    def _tell(self) -> None:
        """A file may keep its reader busy for long; nobody should think that it was overlooked."""
        if not self._session.state.busy:
            self._told = True
            self._session.message.emit(Message(f"Looking at {self._looked_at}…"))

    def _end(self) -> None:
        self._patience.stop()
        if self._told:
            self._told = False
            self._session.message.emit(Message(""))

    def _fail(self, error: Exception) -> None:
        self._end()
        self._session.tell(error)

    def _hand_over(self, found: list[Found]) -> None:
        self._end()
        for taker in dict.fromkeys(self._takers.values()):
            taken = [item for item in found if item.kind and self._takers.get(item.kind) == taker]
            if taken:
                taker(taken)
        errors = [item.error for item in found if item.error is not None]
        if errors:
            self._session.tell(*errors)


def look_at_all(paths: Sequence[Path], context: TaskContext) -> list[Found]:
    """Find out what each path is; files that are one set in pieces are one, and of a folder with several data sets
    those are meant that are to be opened."""
    found = []
    for path in joined(paths):
        context.cancel.raise_if_cancelled()
        parts = sets_in(path)
        found += [dataclasses.replace(look_at(part), part_of=None if parts == [path] else path) for part in parts]
    return found
