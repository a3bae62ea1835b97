"""What networks saw of checked pictures: as much as memory should hold; the rest is read again when it's looked at."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from engine.files.pictures import Picture
from engine.goodnets.checking import PictureMark, Verdict

MOST_BYTES = 64 << 20
# No more rows than these are on a screen; what was scrolled away needn't be read any more.
_MOST_WANTED = 100


class SeenPictures(QObject):
    """The pictures of verdicts; those looked at last are kept, one at a time of the others is asked for.

    Signals: `wanted(Verdict)` asks whoever reads files for a picture; `came(Verdict, Picture)` says that it is there,
    or with None that it can't be had any more.
    """

    wanted = Signal(object)
    came = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # In both the one that was asked for last stands last.
        self._kept: dict[Verdict, Picture] = {}
        self._wanted: dict[Verdict, None] = {}
        self._reading: Verdict | None = None
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        """How much memory the pictures take that a file has, too."""
        return self._bytes

    def take(self, verdicts: Sequence[Verdict], pictures: Sequence[Picture]) -> None:
        """Keep pictures of new verdicts while there is room; what is on show stays, and that are the first ones."""
        for verdict, picture in zip(verdicts, pictures, strict=True):
            if self._bytes + picture.nbytes <= MOST_BYTES:
                self._keep(verdict, picture)

    def of(self, verdict: Verdict) -> Picture | None:
        """A verdict's picture; None while it is being read, after which `came` is emitted."""
        if not isinstance(verdict.seen, PictureMark):
            return verdict.seen
        picture = self._kept.pop(verdict, None)
        if picture is not None:
            self._kept[verdict] = picture
        elif verdict is not self._reading:
            self._wanted.pop(verdict, None)
            self._wanted[verdict] = None
            if len(self._wanted) > _MOST_WANTED:
                del self._wanted[next(iter(self._wanted))]
            self._ask()
        return picture

    def answer(self, verdict: Verdict, picture: Picture | None) -> None:
        """Take a picture that was wanted; None where it can't be had."""
        if verdict is not self._reading:
            return  # all was cleared meanwhile
        self._reading = None
        if picture is not None:
            self._keep(verdict, picture)
            while self._bytes > MOST_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        self.came.emit(verdict, picture)
        self._ask()

    def clear(self) -> None:
        """Forget all pictures."""
        self._kept.clear()
        self._wanted.clear()
        self._reading, self._bytes = None, 0

    def _keep(self, verdict: Verdict, picture: Picture) -> None:
        self._kept[verdict] = picture
        self._bytes += picture.nbytes

    def _ask(self) -> None:
        if self._reading is None and self._wanted:
            self._reading, _ = self._wanted.popitem()
            self.wanted.emit(self._reading)
