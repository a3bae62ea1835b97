"""Chunks come in order, the next one is read meanwhile, and errors come in the place of what they kept away."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.errors import Cancelled
from engine.parallel import in_parallel, read_ahead
from engine.progress import CancelSource, CancelToken

PATIENCE_S = 20


def test_the_next_chunk_is_read_while_one_is_worked_on() -> None:
    begun = [threading.Event() for _ in range(4)]

    def chunks() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    seen = []
    for number in read_ahead(chunks()):
        if number < 3:
            assert begun[number + 1].wait(PATIENCE_S)
        assert not any(event.is_set() for event in begun[number + 2:]), "no more than one chunk waits"
        seen.append(number)
    assert seen == [0, 1, 2, 3]
    assert list(read_ahead([])) == []


def test_an_error_comes_after_the_chunks_before_it() -> None:
    def chunks() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    seen = []
    with pytest.raises(ValueError, match="the third"):
        for number in read_ahead(chunks()):
            seen.append(number)
    assert seen == [1, 2]


def test_no_thread_outlives_who_stops_early() -> None:
    before = threading.active_count()
    for _ in read_ahead(range(5)):
        break
    assert threading.active_count() == before


def test_results_come_in_order_and_only_a_few_wait() -> None:
    read = []

    def numbers() -> Iterator[tuple[int]]:
        for number in range(20):
            read.append(number)
            yield (number,)

    seen = []
    for square in in_parallel(lambda number, ended: number * number, numbers()):
        assert len(read) - len(seen) <= 6
        seen.append(square)
    assert seen == [n * n for n in range(20)]


def test_who_waits_for_a_long_result_is_told_of_time_and_can_cancel() -> None:
    """The function ends only when its token is set, and the token only after the second beat."""
    source, beats, ended = CancelSource(), [], []

    def endless(token: CancelToken) -> None:
        while not token.is_cancelled:
            threading.Event().wait(0.01)
        ended.append(True)

    def beat() -> None:
        beats.append(True)
        if len(beats) == 2:
            source.cancel()

    with pytest.raises(Cancelled):
        list(in_parallel(endless, [()], cancel=source.token, beat=beat))
    assert len(beats) == 2 and ended == [True]


def test_what_runs_is_told_that_nobody_waits_any_more() -> None:
    begun, told = threading.Event(), []

    def work(fails: bool, token: CancelToken) -> None:
        if fails:
            assert begun.wait(PATIENCE_S)
            raise ValueError("the first")
        begun.set()
        while not token.is_cancelled:
            threading.Event().wait(0.01)
        told.append(True)

    with pytest.raises(ValueError, match="the first"):
        list(in_parallel(work, [(True,), (False,)]))
    assert told == [True]
