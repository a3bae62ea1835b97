"""Work in turns leaves the window time between any two pieces, whoever asked for them."""

from __future__ import annotations

import shiboken6
from PySide6.QtCore import QObject, QTimer
from pytestqt.qtbot import QtBot

from gui.widgets.turns import in_turns


def test_pieces_of_several_owners_come_in_order_each_in_a_turn_of_its_own(qtbot: QtBot) -> None:
    turns, done = [0], list[tuple[str, int]]()
    beat = QTimer(interval=0)
    beat.timeout.connect(lambda: turns.append(turns[-1] + 1))
    beat.start()
    owners = [QObject() for _ in range(4)]
    for name, owner in zip("abcd", owners, strict=True):
        in_turns(owner, *(lambda piece=f"{name}{number}": done.append((piece, turns[-1])) for number in (1, 2)))
    shiboken6.delete(owners[1])
    qtbot.waitUntil(lambda: len(done) == 6)
    beat.stop()
    assert [piece for piece, _ in done] == ["a1", "a2", "c1", "c2", "d1", "d2"]
    assert len({turn for _, turn in done}) == 6
