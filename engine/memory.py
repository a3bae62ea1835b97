"""How much memory this process may still take, asked before something that would be killed for want of it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Where the limit of a container stands, and in which line of which file what it holds (without files kept at hand).
_CONTAINERS = (("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.stat", "anon"),
               ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.stat", "total_rss"))


def free_memory() -> int | None:
    """Bytes that a process can still fill before the system or its container ends it; None where nobody says."""
    return min(_free(), default=None)


def free_addresses() -> int | None:
    """Bytes that this process may still ask for under its own limit (ulimit -v); None without one."""
    with suppress(ImportError, OSError, ValueError, LookupError):
        import resource
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            return int(limit) - _number(Path("/proc/self/status"), "VmSize:") * 1024
    return None


def _free() -> Iterator[int]:
    if sys.platform == "win32":
        yield _free_on_windows()
        return
    memory = Path("/proc/meminfo")
    with suppress(OSError, ValueError, LookupError):
        yield (_number(memory, "MemAvailable:") + _number(memory, "SwapFree:")) * 1024
    for limit, held, line in _CONTAINERS:
        with suppress(OSError, ValueError, LookupError):  # no such container, or "max"
            yield int(Path(limit).read_text()) - _number(Path(held), line)


def _number(file: Path, name: str) -> int:
    """The number behind a name in a file of the system's, in the unit it has there."""
    words = (line.split() for line in file.read_text().splitlines())
    return {line[0]: int(line[1]) for line in words if line[:1] == [name]}[name]


def _free_on_windows() -> int:
    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong),
                    *((name, ctypes.c_ulonglong) for name in
                      ("total", "free", "total_paged", "free_paged", "total_virtual", "free_virtual", "extended"))]

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.free_paged)
