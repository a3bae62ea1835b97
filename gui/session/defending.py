"""What a session can do about a backdoor besides pruning: scan, comparison, repair."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.defences.comparison import Comparison
from engine.runs.prune import PruningRun
from gui.messages import Message
from gui.session.chosen import Inputs
from gui.session.session import Session
from gui.session.tasks import Repaired


class Defending(QObject):
    """Goes on from a Session's run. All methods return at once; what they start ends in signals.

    A scan is forgotten when another network or other clean images are chosen, a comparison when another run ends.
    """

    scan_changed = Signal(object)  # Scan or None
    comparison_changed = Signal(object)  # Comparison or None

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._scanned: tuple[Path | None, ...] = ()
        session.inputs_changed.connect(self._forget_scan)
        session.run_changed.connect(self._show_comparison)

    def scan(self) -> None:
        """Look for labels that random stamps draw clean images to."""
        session = self._session
        if session.inputs.ready:
            request = session.inputs.request(session.options)
            session.submit(partial(session.bench.scan, request), self.scan_changed.emit)

    def compare(self, allow_missing_labels: bool) -> None:
        """Make and measure every defence for the finished run, with the thresholds as they are now."""
        session, run = self._session, self._session.run_to_save

        def compared(found: Comparison) -> None:
            if session.run:
                session.run = dataclasses.replace(session.run, comparison=found)
            self.comparison_changed.emit(found)

        if run:
            session.submit(partial(session.bench.compare, run, allow_missing_labels), compared)

    def repair(self, allow_missing_labels: bool, folder: Path) -> None:
        """Train a repaired copy of the finished run's network and save it with B in `folder`."""
        session = self._session

        def saved(repaired: Repaired) -> None:
            session.message.emit(Message(repaired.sentence, folder=repaired.folder))

        if session.run:
            session.submit(
                partial(session.bench.repair, session.run.request, allow_missing_labels, folder), saved)

    def _forget_scan(self, inputs: Inputs) -> None:
        now = tuple(item.path if item else None for item in (inputs.model, inputs.validation))
        if now != self._scanned:
            self._scanned = now
            self.scan_changed.emit(None)

    def _show_comparison(self, run: PruningRun) -> None:
        self.comparison_changed.emit(run.comparison)
