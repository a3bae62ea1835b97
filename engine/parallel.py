"""A few chunks at a time on this machine's cores, results in order, memory bounded; reading one chunk ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")
_END: Any = object()

# TensorFlow spreads its own work over all cores; three threads keep them busy while one or two are in Python.
THREADS = min(3, 1 + (os.cpu_count() or 1))


def in_parallel(function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
    """Call a function on each tuple of arguments in threads and give the results in the order of the arguments.

    Arguments are read as they are needed, one ahead of the threads. The first error ends it.
    """
    # NumPy's matrix products are small here: threads of their own would only get in each other's way.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(THREADS, "chunk") as pool:
        running: deque[Future[Result]] = deque()
        try:
            for argument in arguments:
                running.append(pool.submit(function, *argument))
                if len(running) > THREADS:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def read_ahead(chunks: Iterable[Result]) -> Iterator[Result]:
    """Give chunks in their order while a thread reads the next one. An error comes in place of its chunk."""
    coming = iter(chunks)
    with ThreadPoolExecutor(1, "ahead") as pool:
        following = pool.submit(next, coming, _END)
        while (chunk := following.result()) is not _END:
            following = pool.submit(next, coming, _END)
            yield chunk
