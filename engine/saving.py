"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import OutputError


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Write to a temporary sibling that takes the target's place when the block ends well.

    Raises:
        OutputError: the folder can't be written or the disk is full.
    """
    temporary = _sibling(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise _explained(target, error) from error
    finally:
        with suppress(OSError):  # it may never have been made, or its folder be gone or unwritable
            temporary.unlink()


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Fill a temporary sibling folder that takes the target's place when the block ends well.

    A folder that is there already is moved aside first and removed last, so at each moment either it or its
    replacement is whole.

    Raises:
        OutputError: the parent can't be written, the disk is full, or the target is a file.
    """
    target = target.absolute()
    temporary, aside = _sibling(target), _sibling(target)
    try:
        if target.exists() and not target.is_dir():
            raise OutputError(f"{target}: is a file; a folder was expected. Choose another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if target.exists():
            target.replace(aside)
        try:
            temporary.replace(target)
        except OSError:
            if aside.exists():
                aside.replace(target)
            raise
    except OSError as error:
        raise _explained(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def check_writable(target: Path) -> None:
    """Find out before the work that a result can be written at its end.

    Raises:
        OutputError: the folder can't be made or written, or is a file.
    """
    parent = target.absolute().parent
    while not parent.exists():
        parent = parent.parent
    probe = parent / f".{uuid.uuid4().hex}.partial"
    try:
        if target.exists() and not target.is_dir():
            raise OutputError(f"{target}: is a file; a folder was expected. Choose another name.")
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise _explained(target, error) from error


def _sibling(target: Path) -> Path:
    # A name of its own length, because the target's may already be as long as the file system allows.
    return target.parent / f".{uuid.uuid4().hex}.partial"


def _explained(target: Path, error: OSError) -> OutputError:
    return OutputError(f"{target}: can't be written ({error.strerror or error}). "
                       "Choose a folder you may write to, on a disk with room.")
