"""What the system grants the reader: a crash, a bomb or a circle in a file ends there."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

resource: ModuleType | None
try:
    import resource
except ImportError:
    resource = None

MEMORY = 2 << 30
SECONDS = 10
_OPEN_FILES = 256


def limit_this_process() -> None:
    """Hold this process, the reader, to its memory, its open files and to writing nothing.

    On Windows the program does that from outside, see `hold`; macOS knows no limit of memory that it keeps.
    """
    if resource is None:
        return
    for name, most in (("RLIMIT_AS", MEMORY), ("RLIMIT_NOFILE", _OPEN_FILES), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        with suppress(ValueError, OSError):  # where the system has granted less already, that holds
            resource.setrlimit(getattr(resource, name), (most, most))


def grant_time() -> None:
    """Let this process compute for another 10 seconds; the system ends it after that."""
    if resource is not None:
        with suppress(ValueError, OSError):
            most = resource.getrlimit(resource.RLIMIT_CPU)[1]
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + SECONDS, most))


def is_worn_out() -> bool:
    """Whether a file that failed has left so much in this process's memory that the next one would lack it."""
    pages = Path("/proc/self/statm")  # elsewhere than on Linux there is no limit that it would lack it by
    return resource is not None and pages.exists() \
        and int(pages.read_text().split()[0]) * resource.getpagesize() > MEMORY // 2


def hold(process: subprocess.Popen[bytes]) -> Any:
    """On Windows, put a process into a job that limits its memory, forbids it others, and ends with this one.

    Returns:
        The job, to be kept as long as the process is wanted; None elsewhere.
    """
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    class Basic(ctypes.Structure):
        _fields_ = [("process_time", ctypes.c_int64), ("job_time", ctypes.c_int64), ("flags", wintypes.DWORD),
                    ("least_set", ctypes.c_size_t), ("most_set", ctypes.c_size_t), ("processes", wintypes.DWORD),
                    ("affinity", ctypes.c_size_t), ("priority", wintypes.DWORD), ("scheduling", wintypes.DWORD)]

    class Extended(ctypes.Structure):
        _fields_ = [("basic", Basic), ("counters", ctypes.c_uint64 * 6), ("process_memory", ctypes.c_size_t),
                    ("job_memory", ctypes.c_size_t), ("peak_process", ctypes.c_size_t), ("peak_job", ctypes.c_size_t)]

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = wintypes.HANDLE
    kernel.SetInformationJobObject.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
    kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
    kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    active_processes, process_memory, end_with_job, extended_information = 0x8, 0x100, 0x2000, 9
    wanted = Extended(process_memory=MEMORY)
    wanted.basic.flags, wanted.basic.processes = active_processes | process_memory | end_with_job, 1
    job = kernel.CreateJobObjectW(None, None)
    kernel.SetInformationJobObject(job, extended_information, ctypes.byref(wanted), ctypes.sizeof(wanted))
    kernel.AssignProcessToJobObject(job, int(process._handle))
    return _Job(kernel, job)


class _Job:
    """A handle of Windows that is closed when nobody holds it any longer."""

    def __init__(self, kernel: Any, handle: int) -> None:
        self._kernel, self._handle = kernel, handle

    def __del__(self) -> None:
        self._kernel.CloseHandle(self._handle)
