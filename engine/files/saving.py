"""Files and folders that appear whole or not at all, whenever the program or the machine stops.

A folder is replaced only where this program wrote everything in it, see `manifest`. Everything is written to a hidden
sibling, `.goodnet-*.partial`, that takes the target's place in one step. What a killed program leaves of it is removed
by the next one that saves there; a sibling in use is known by its lock.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.errors import OutputError
from engine.files import manifest

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:
    fcntl = None

_PARTIAL = ".goodnet-", ".partial"
_OURS = re.compile(r"\.goodnet-[0-9a-f]{32}\.partial")
_PREVIOUS = ".previous"
_LONGEST_NAME = 255
_YOUNG_SECONDS, _OLD_SECONDS = 10, 24 * 3600
_AT_CURRENT_FOLDER, _EXCHANGE = -100, 2


@contextmanager
def whole_file(target: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Write to a temporary sibling that takes the target's place when the block ends well.

    Args:
        lasting: whether it is on the disk before it takes that place, for which a slow disk needs long.
    Raises:
        OutputError: the folder can't be written, the disk is full, or the target is no regular file.
    """
    target = Path(os.path.realpath(target))  # of a link to a file, the file is replaced
    temporary = _sibling(target)
    try:
        if target.exists() and not target.is_file():
            raise OutputError(f"{target}: is a folder, pipe or device, so it isn't replaced. Choose another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy(target.parent)
        temporary.touch()
        with locked(temporary):
            yield temporary
        if lasting:
            _to_disk(temporary)
        temporary.replace(target)
        if lasting:
            _to_disk(target.parent)
    except OSError as error:
        raise _explained(target, error) from error
    finally:
        with suppress(OSError):  # it may never have been made, or its folder be gone or unwritable
            temporary.unlink()


@contextmanager
def whole_folder(target: Path, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Fill a temporary sibling folder that takes the target's place when the block ends well, with its manifests.

    What was there is replaced only if this program wrote all of it and none of `inputs` lies inside. At each moment
    either the folder that was there before or its replacement is whole: on Linux under its name, elsewhere for the
    blink of an eye under a hidden one, from where `recover` brings it back.

    Raises:
        OutputError: the parent can't be written, the disk is full, the target is a file or may not be replaced.
    """
    target = Path(os.path.realpath(target))  # of a link to a folder, the folder is replaced
    temporary = _sibling(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        _check_replaceable(target, inputs)
        _tidy(target.parent)
        temporary.mkdir()
        with locked(temporary):
            yield temporary
            manifest.record(temporary)
            for written in (*temporary.rglob("*"), temporary):
                _to_disk(written)
            _check_replaceable(target, inputs)
            _take_place(temporary, target)
    except OSError as error:
        raise _explained(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Enduring(FileIO):
    """A file that takes everything and remembers what couldn't be written."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                left = left[super().write(left):]
        except OSError as error:
            self.failure = self.failure or error
        return size


@contextmanager
def for_hdf5(path: Path) -> Iterator[FileIO]:
    """A file for h5py to write: on a full disk the HDF5 library would end in other errors, and then in a crash.

    Raises:
        OSError: something couldn't be written; only at the end.
    """
    with _Enduring(path, "w+") as stream:
        try:
            yield stream
        finally:
            if stream.failure:
                raise stream.failure


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that stays as it is a second name, and so no second place on the disk.

    Either name alone is the whole file: moved, packed or copied elsewhere it needs no other. Where the file system has
    no hard links, or the names lie on two of them, it is a copy.

    Raises:
        OSError: it can't be copied either.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def recover(target: Path) -> None:
    """Bring back a folder whose replacement was cut short between moving it aside and taking its place.

    One that was cut short after that is completed: the old folder goes. Where nothing can be written, or somebody else
    wrote into a folder of such a name, nothing happens.
    """
    aside = _aside(target.absolute())
    with suppress(OSError):
        if not aside.is_dir() or manifest.first_foreign(aside):
            return
        if target.exists():
            _remove(aside)
        else:
            aside.replace(target)


def check_writable(target: Path, inputs: Iterable[Path] = ()) -> None:
    """Find out before the work that a result can be written at its end.

    Args:
        inputs: what the result is made from; it is never replaced.
    Raises:
        OutputError: the folder can't be made or written, is a file or may not be replaced.
    """
    try:
        parent = target.absolute().parent
        while not parent.exists():
            parent = parent.parent
        probe = _sibling(parent / target.name)
        probe.mkdir()
        probe.rmdir()
        recover(target)
        _check_replaceable(target, inputs)
    except OSError as error:
        raise _explained(target, error) from error


def remove_own(folder: Path) -> None:
    """Remove a folder in which everything was written by this program; any other stays as it is."""
    with suppress(OSError):
        if manifest.first_foreign(folder) is None:
            _remove(folder)


def _check_replaceable(target: Path, inputs: Iterable[Path]) -> None:
    """Raises OutputError, naming the file that would be lost."""
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"{target}: is a file; a folder was expected. Choose another name.")
    for path in inputs:
        if _lies_inside(path, target):
            raise OutputError(f"{target}: holds {path.name}, which results are made from, so it isn't replaced. "
                              "Choose another folder.")
    foreign = _first_foreign(target)
    if foreign:
        raise _held_back(target, foreign.relative_to(target))


def _first_foreign(target: Path) -> Path | None:
    """As manifest.first_foreign; looks again when another window has replaced the folder meanwhile."""
    while target.exists():
        with suppress(FileNotFoundError):
            before = target.stat()
            found = manifest.first_foreign(target)
            after = target.stat()
            if found is None or (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns):
                return found
    return None


def _lies_inside(path: Path, folder: Path) -> bool:
    real = Path(os.path.realpath(path))
    with suppress(OSError):  # on a share that is gone, or where this person may not look
        return real.exists() and any(place.samefile(folder) for place in (real, *real.parents))
    return real.is_relative_to(os.path.realpath(folder))


def _to_disk(path: Path) -> None:
    """Have the system write what it still holds back of a file or folder, so that a power cut leaves it whole."""
    if path.is_dir():
        if os.name != "nt":  # where folders can't be opened
            with suppress(OSError):  # nor can they be written by themselves on some shares
                _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)  # Windows writes only what may be changed


def _flush(path: Path, how: int) -> None:
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _held_back(target: Path, name: Path) -> OutputError:
    return OutputError(f"{target}: holds {name}, which this program didn't write there or which was changed since, "
                       "so it isn't replaced. Move that elsewhere, or choose a new folder.")


def _take_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.replace(target)
        _to_disk(target.parent)
        return
    swapped = _exchanged(temporary, target)
    old = temporary if swapped else _aside(target)
    try:
        if not swapped:
            target.replace(old)
        late = manifest.first_foreign(old)  # put there since it was looked at; nobody finds the folder any more
        if late:
            raise _held_back(target, late.relative_to(old))
        if not swapped:
            temporary.replace(target)
    except BaseException:  # Ctrl-C, too: what was there would go with the temporary
        if swapped:
            _exchanged(temporary, target)
        elif not target.exists():
            old.replace(target)
        raise
    _to_disk(target.parent)  # before the folder that was there goes
    if not swapped:
        _remove(old)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders swap names in one step, where the system can do that."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):  # a C library older than 2018
        return False
    failed: int = swap(_AT_CURRENT_FOLDER, os.fsencode(one), _AT_CURRENT_FOLDER, os.fsencode(other), _EXCHANGE)
    return failed == 0  # some network file systems can't


def _remove(folder: Path) -> None:
    """Give a whole folder a name that nothing is recovered from before it is taken apart."""
    doomed = _sibling(folder)
    with suppress(OSError):  # another window may have removed it already
        folder.replace(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Show other processes that a temporary is in use; the lock ends with this process, however that ends."""
    if fcntl is None:  # Windows doesn't let others remove what is open
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_left_behind(path: Path, process: int | None = None) -> bool:
    """Whether a temporary is nobody's: not locked, and neither so young nor of a process so alive that it may yet be.

    Raises:
        OSError: it is gone, or may not be looked at.
    """
    age = time.time() - path.stat().st_mtime
    if fcntl is None or (age < _YOUNG_SECONDS and not _has_ended(process)):
        return age > _OLD_SECONDS
    # Whatever has taken its place meanwhile: no pipe is waited for, no link followed.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # locked, however long it is worked on
        return False
    except OSError:  # a file system without locks
        return age > _OLD_SECONDS
    finally:
        os.close(handle)
    return True


def _has_ended(process: int | None) -> bool:
    if process is None:
        return False
    try:
        os.kill(process, 0)  # asks only
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _tidy(parent: Path) -> None:
    """Remove temporaries that a killed program left behind."""
    for path, _ in named_so(parent, _OURS):
        with suppress(OSError):
            kind = path.lstat().st_mode
            if (stat.S_ISREG(kind) or stat.S_ISDIR(kind)) and is_left_behind(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def named_so(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    """What lies in a folder under names of a pattern; it may hold millions of others, or not be readable."""
    with suppress(OSError), os.scandir(folder) as listed:
        return [(folder / entry.name, match) for entry in listed if (match := pattern.fullmatch(entry.name))]
    return []


def _sibling(target: Path) -> Path:
    # A name of its own length, because the target's may already be as long as the file system allows.
    return target.parent / f"{_PARTIAL[0]}{uuid.uuid4().hex}{_PARTIAL[1]}"


def _aside(target: Path) -> Path:
    name = f".{target.name}{_PREVIOUS}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()}{_PREVIOUS}"
    return target.parent / name


def _explained(target: Path, error: OSError) -> OutputError:
    return OutputError(f"{target}: can't be written ({error.strerror or error}). "
                       "Choose a folder you may write to, on a disk with room.")
