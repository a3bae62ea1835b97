"""Chunks come in order, the next one is read meanwhile, and errors come in the place of what they kept away."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.parallel import read_ahead

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
