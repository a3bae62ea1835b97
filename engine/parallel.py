"""A few chunks at a time on this machine's cores, results in order, memory bounded; reading one chunk ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from engine.progress import NEVER_CANCELLED, CancelSource, CancelToken

Result = TypeVar("Result")
_END: Any = object()

# TensorFlow spreads its own work over all cores; three threads keep them busy while one or two are in Python.
THREADS = min(3, 1 + (os.cpu_count() or 1))
_BEAT_SECONDS = 0.5


def in_parallel(
    function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], *, cancel: CancelToken = NEVER_CANCELLED,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Call a function on each tuple of arguments in threads and give the results in the order of the arguments.

    Arguments are read as they are needed, one ahead of the threads. The first error ends it.

    Args:
        function: takes a token behind its arguments, which is set as soon as nobody waits for the result any more.
        cancel: read while results are waited for.
        beat: called twice a second while results are waited for.
    Raises:
        Cancelled: the token was set.
    """
    ended = CancelSource(cancel)

    def result(future: Future[Result]) -> Result:
        while not wait([future], _BEAT_SECONDS).done:
            beat()
            cancel.raise_if_cancelled()
        return future.result()

    # NumPy's matrix products are small here: threads of their own would only get in each other's way.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(THREADS, "chunk") as pool:
        running: deque[Future[Result]] = deque()
        try:
            for argument in arguments:
                running.append(pool.submit(function, *argument, ended.token))
                if len(running) > THREADS:
                    yield result(running.popleft())
            while running:
                yield result(running.popleft())
        finally:
            ended.cancel()
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
