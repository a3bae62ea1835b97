"""Tokens that hang together, and work of several threads that one of them reports."""

from __future__ import annotations

import threading

import pytest

from engine.errors import Cancelled
from engine.progress import CancelSource, Heartbeat, Meter, Progress


def test_a_token_counts_as_set_when_the_one_beside_it_is() -> None:
    outer = CancelSource()
    inner = CancelSource(outer.token)
    assert not inner.token.is_cancelled
    outer.cancel()
    with pytest.raises(Cancelled):
        inner.token.raise_if_cancelled()


def test_a_token_that_is_set_leaves_the_one_beside_it() -> None:
    outer = CancelSource()
    inner = CancelSource(outer.token)
    inner.cancel()
    assert inner.token.is_cancelled and not outer.token.is_cancelled


def test_a_step_that_takes_long_is_heard_of_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []
    now = [100.0]
    monkeypatch.setattr("engine.progress.time.monotonic", lambda: now[0])
    heard = Heartbeat("Learning", 3, seen.append)
    assert seen.pop() == Progress("Learning", 0, 3)
    heard.report(1)
    for _ in range(30):  # three seconds, in tenths that a clock can tell apart
        now[0] += 0.1
        heard.beat()
    assert set(seen) == {Progress("Learning", 1, 3)} and 5 <= len(seen) - 1 <= 6
    heard.report(2)
    heard.beat()
    assert seen[-1] == Progress("Learning", 2, 3) and seen.count(seen[-1]) == 1


def test_parts_of_an_image_add_up_to_it() -> None:
    seen: list[Progress] = []
    meter = Meter("Counting", 4, seen.append)

    def work() -> None:
        for _ in range(7):
            meter.add(1 / 7)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meter.report()
    assert seen == [Progress("Counting", 4, 4)]


def test_what_was_told_never_goes_back() -> None:
    seen: list[Progress] = []
    meter = Meter("Counting", 10, seen.append)
    meter.add(5.5)
    meter.report()
    meter.report(3)
    meter.report(8)
    meter.add(20)
    meter.report()
    assert [p.done for p in seen] == [5, 8, 10]
