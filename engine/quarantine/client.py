"""The program's side of the quarantine: one reader process, and the way to ask it."""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from engine.errors import DatasetError, EngineError, ModelError, NoModel
from engine.places import program_folder
from engine.quarantine import limits
from engine.quarantine.wire import (
    CLOSE,
    Area,
    Array,
    BrokenWireError,
    ClosedWireError,
    SilentWireError,
    Spec,
    bytes_of,
    pieces,
    receive,
    send,
    spec_of,
    wait_for,
)

Checked = TypeVar("Checked")
Check = Callable[[Any, list[Array]], Checked]
Read = Callable[[Sequence[Any], Spec], Array]

# The packed program is its own reader when this is its first argument.
FLAG = "--reader"
SILENCE_SECONDS = 10.0
# Python and its libraries come from the disk, and no stranger's file is open yet.
_START_SECONDS = 60.0
_MOST_LETTERS = 2000
# A second of a busy machine with a slow disk.
_SLOWEST_BYTES = 10_000_000
# How often a reader that computes may let the time of silence pass. The system gives it ten seconds of computing.
_MOST_WAITS = 12
_ERRORS: dict[object, type[EngineError]] = {
    kind.__name__: kind for kind in (EngineError, DatasetError, ModelError, NoModel)}
# What checks of an answer raise, all of which show that the reader broke the rules.
_LIES = (BrokenWireError, ValueError, TypeError, KeyError, MemoryError)
# NumPy's threads take addresses; so does pyarrow's own allocator, a gigabyte, half of what the reader may have.
_FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
_START = "import sys; sys.path[:] = {path!r}; from engine.reader import main; sys.exit(main())"


class Quarantine:
    """A reader process that is started at the first need and again whenever it died.

    Args:
        command: what to start, the program's own reader by default.
        silence: seconds without a word after which a reader is given up.
    """

    def __init__(self, command: Sequence[str] | None = None, silence: float = SILENCE_SECONDS) -> None:
        self._command, self._silence = command, silence
        self._numbers = itertools.count(1)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._reader: _Reader | None = None
        self._asking = 0  # the thread that asked last
        # Filled without the lock, because a stream may be given up by the garbage collector in the middle of a request.
        self._given_up: deque[int] = deque()

    def start(self) -> None:
        """Have a reader begin to start, which takes as long as other things to be loaded; who asks first waits for it.

        Raises:
            EngineError: it can't be started.
        """
        with self._lock:
            self._running()

    def ask(
        self, path: Path, action: str, arguments: dict[str, Any], check: Check[Checked], *,
        most: int, error: type[EngineError], stream: int | None = None, patience: float = 0.0,
    ) -> Checked:
        """Have a file read.

        Args:
            action, arguments: which of the reader's parsers, and what it is given besides the path.
            check: makes a result of the answer's JSON values and arrays; what it raises of TypeError, ValueError,
                KeyError and BrokenWireError shows that the reader lies.
            most: bytes that the answer's arrays may have together.
            stream: the number of a file that is kept open.
            patience: seconds that the reader may be silent for beyond the usual ones, for a large file read in one go.
        Raises:
            EngineError: what the parser found, or, of class `error`, that the reader didn't come back from the file.
        """
        request = {"action": action, "path": str(path), "arguments": arguments, "stream": stream,
                   "folder": _folder_of(path)}
        with self._lock:
            self._asking = threading.get_ident()
            reader = self._running()
            try:
                with reader.exchange():
                    send(reader.request, request)
                    answer = self._answer(reader, most, self._silence + patience)
                    result = None if isinstance(answer, EngineError) else check(*answer)
            except _LIES as found:
                raise error(f"{path}: {_what_happened(found, reader, self._silence + patience)}. "
                            "Copy the file again from its source, or don't use it.") from found
        self._close_given_up()
        if isinstance(answer, EngineError):
            raise answer
        return result  # type: ignore[return-value]  # None only with an error

    @contextmanager
    def stream(
        self, path: Path, action: str, arguments: dict[str, Any], *, error: type[EngineError], patience: float = 0.0,
    ) -> Iterator[Read]:
        """Keep a file open in the reader.

        Gives a function that has a part read: which part, in the parser's terms, and the array it must be.

        Raises:
            EngineError: as ask.
        """
        number = next(self._numbers)

        def read(part: Sequence[Any], spec: Spec) -> Array:
            return self.ask(path, action, {**arguments, "part": list(part)}, _only(spec), most=bytes_of(spec),
                            error=error, stream=number, patience=patience)

        try:
            yield read
        finally:
            self._given_up.append(number)
            self._close_given_up()

    def interrupt(self, spare: Collection[int] = ()) -> None:
        """End a reader that is busy, for somebody who won't wait; its thread gets the error. Any thread may.

        Args:
            spare: threads, as threading.get_ident numbers them, whose requests go on: others wait for these.
        """
        reader = self._reader
        if reader and self._lock.locked() and self._asking not in spare:
            reader.process.kill()

    def close(self) -> None:
        """End the reader; the next question starts one."""
        with self._lock:
            if self._reader:
                self._reader.end()

    def leave_to_parent(self) -> None:
        """In a forked process: let go of the parent's reader without ending it."""
        if self._reader:
            self._reader.let_go()
        self._begin()

    @property
    def process_id(self) -> int | None:
        """The number of the reader's process, None while there is none."""
        return self._reader.process.pid if self._reader and self._reader.is_running else None

    def _running(self) -> _Reader:
        if self._reader is None or not self._reader.is_running:
            if self._reader:
                self._reader.end()
            self._given_up.clear()
            self._reader = _Reader(self._command or own_command())
        return self._reader

    def _close_given_up(self) -> None:
        """Have files closed that nobody reads any longer; if another thread is asking, it does that afterwards."""
        while self._given_up and self._lock.acquire(blocking=False):
            try:
                while self._given_up:
                    request = {"action": CLOSE, "stream": self._given_up.popleft()}
                    if self._reader and self._reader.is_running:
                        with suppress(*_LIES), self._reader.exchange():
                            send(self._reader.request, request)
                            self._answer(self._reader, 0, self._silence)
            finally:
                self._lock.release()

    def _answer(self, reader: _Reader, most: int, silence: float) -> tuple[Any, list[Array]] | EngineError:
        reader.wait(silence)
        head = receive(reader.answer, silence)
        if "error" in head:
            if head["last"]:
                reader.end()
            kind, sentence = head["error"]
            if not isinstance(sentence, str):
                raise BrokenWireError("an error without a sentence")
            return _ERRORS[kind]("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}"
                                         for c in sentence[:_MOST_LETTERS]))
        specs = [spec_of(value) for value in head["arrays"]]
        if sum(map(bytes_of, specs)) > most:
            raise BrokenWireError("more than was asked for")
        arrays = [np.empty(shape, dtype) for dtype, shape in specs]
        for number, piece in enumerate(pieces(arrays)):
            if number:  # the first one comes with the announcement
                send(reader.request, {})
                receive(reader.answer, self._silence)
            reader.area.copy_to(piece)
        return head["value"], arrays


class _Reader:
    """A running reader and this side's ends of what leads to it."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            _fill_standard_streams()
            self.area = Area()
            try:
                self.process = _started(command, self.area)
            except OSError:
                self.area.close()
                raise
        except OSError as error:
            raise EngineError(f"The part of the program that opens files can't be started ({error.strerror or error}). "
                              "Close other programs and try again.") from error
        assert self.process.stdin and self.process.stdout
        self.request, self.answer = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._job = limits.hold(self.process)
        self._ready = False
        with self._starting():
            send(self.request, {"area": self.area.name})

    def _get_ready(self) -> None:
        """Wait until it has started."""
        if not self._ready:
            with self._starting():
                self.wait(_START_SECONDS)
                receive(self.answer, _START_SECONDS)
            self._ready = True

    @contextmanager
    def _starting(self) -> Iterator[None]:
        try:
            yield
        except BrokenWireError as error:
            self.end()
            raise EngineError(f"The part of the program that opens files can't be started ({error}). "
                              "There may be too little memory: close other programs and try again.") from error

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait(self, silence: float) -> None:
        """Wait for the beginning of an answer; who computes for it isn't silent, on a machine with much else to do."""
        for _ in range(_MOST_WAITS - 1):
            before = self.ticks()
            with suppress(SilentWireError):
                return wait_for(self.answer, silence)
            if self.ticks() == before:
                raise SilentWireError("it does nothing")
        wait_for(self.answer, silence)

    def ticks(self) -> int:
        """The processor time that it has used, in hundredths of a second; 0 where the system doesn't say."""
        try:
            told = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return int(told[11]) + int(told[12])
        except (OSError, IndexError):
            return 0

    def end(self) -> None:
        """Close the pipes and kill; nothing of the process is left, and it has nothing to put in order."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()
        self.process.kill()
        self.process.wait()
        self.area.close()

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """A request and its answer; whatever interrupts them ends the reader, whose answer the next one would get."""
        whole = False
        try:
            self._get_ready()
            yield
            whole = True
        finally:
            if not whole:
                self.end()

    def how_it_ended(self) -> str:
        """What the file did to the reader, in words."""
        if self.process.returncode == -getattr(signal, "SIGXCPU", signal.NSIG):  # Windows has none
            return f"takes more than {limits.SECONDS} seconds of processor time to read"
        return "crashed what reads it"

    def let_go(self) -> None:
        """Close this process's copies of the ends, and forget the process, which is another one's child."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()
        self.area.close()
        self.process.returncode = 0


def _fill_standard_streams() -> None:
    """Where this process was started with standard streams closed, what is opened next would take their numbers, and
    the reader's own streams would take its place there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _started(command: Sequence[str], area: Area) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        cwd=program_folder(), pass_fds=area.handles, env={**os.environ, **_FRUGAL},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0))


def own_command() -> list[str]:
    """What starts the program's reader: this Python with the same packages and nothing else, or the packed program."""
    if getattr(sys, "frozen", False):
        return [sys.executable, FLAG]
    return [_python(), "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _START.format(path=sys.path)]


def _python() -> str:
    """This Python itself: on Windows an environment's python.exe starts it as a second process, and the limits, which
    allow one, would hold the wrong one of the two."""
    return getattr(sys, "_base_executable", sys.executable) if sys.platform == "win32" else sys.executable


def patience_for(*files: Path) -> float:
    """Seconds that the reader may be silent for beyond the usual ones while it reads whole files.

    Raises:
        OSError: a file is gone.
    """
    return sum(file.stat().st_size for file in files) / _SLOWEST_BYTES


def _what_happened(found: Exception, reader: _Reader, silence: float) -> str:
    if isinstance(found, SilentWireError):
        return f"gave nothing for {silence:.3g} seconds; it is damaged, made to do harm, or on a slow disk"
    if isinstance(found, ClosedWireError):
        return f"{reader.how_it_ended()}; it is damaged or made to do harm"
    return "gave something else than it announced when it was read; it is made to do harm"


def _folder_of(path: Path) -> str:
    """Where a relative path begins, which may be elsewhere by now than when the reader was started."""
    with suppress(OSError):
        return "" if path.is_absolute() else str(Path.cwd())
    return ""


def _only(spec: Spec) -> Check[Array]:
    """The check that an answer is one array of a certain type and shape."""
    def check(_: Any, arrays: list[Array]) -> Array:
        (array,) = arrays
        if (array.dtype, array.shape) != spec:
            raise BrokenWireError("another array than was asked for")
        return array

    return check


READER = Quarantine()
atexit.register(READER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=READER.leave_to_parent)
