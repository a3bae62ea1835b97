"""The one place where TensorFlow is loaded, quietly and at first need."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import platform
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from engine import memory
from engine.errors import EngineError

# Loaded and ready, it holds 480 MB more than Python did before, and has asked for 1,300 (2.21, two cores).
_NEEDED_BYTES, _NEEDED_ADDRESSES = 500 << 20, 1400 << 20
_NAMING = threading.Lock()
_BOLD = re.compile(r"\x1b\[\d*m")  # as Keras prints what it says
# How lines begin that say nothing of an error.
_PREFACES = (" ", "\t", "Graph execution error", "Detected at node", "Exception encountered")


def is_loaded() -> bool:
    """Whether TensorFlow is in this process already; asking doesn't load it."""
    return "tensorflow" in sys.modules and "keras" in sys.modules


def load() -> tuple[ModuleType, ModuleType]:
    """Load TensorFlow and Keras, seconds the first time and nothing after.

    Returns:
        The modules (tensorflow, keras).
    Raises:
        EngineError: TensorFlow isn't installed, can't run on this processor or lacks memory.
    """
    if not is_loaded():
        _check_memory()
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        with nullcontext() if is_loaded() else _once():
            _map_libraries()
            import keras
            import tensorflow

            tensorflow.config.list_physical_devices()
    except ImportError as error:
        raise EngineError(
            f"TensorFlow can't be loaded ({error}). Install the packages of requirements.txt, "
            "for instance with 'make venv'."
        ) from error
    return tensorflow, keras


def model_between(inputs: Iterable[Any], outputs: Iterable[Any], layers: Iterable[Any]) -> Any:
    """A Keras model between symbolic tensors, which answers with a list where there are several outputs, else a tensor.

    Keras makes none of two layers of one name, as an outer and a nested "rescaling" often are, so while it is made each
    of `layers` has a name of its own; no layer's name has a slash in it.
    """
    _, keras = load()
    answers = list(outputs)
    with _NAMING:
        kept = [(layer, layer.name) for layer in {id(layer): layer for layer in layers}.values()]
        several = Counter(name for _, name in kept)
        try:
            for number, (layer, name) in enumerate(kept):
                layer.name = f"{name}/{number}" if several[name] > 1 else name
            return keras.Model(list(inputs), answers if len(answers) > 1 else answers[0])
        finally:
            for layer, name in kept:
                layer.name = name


def _check_memory() -> None:
    """Where it runs out while TensorFlow is loaded, the system ends the process without a word."""
    for free, needed in ((memory.free_memory(), _NEEDED_BYTES), (memory.free_addresses(), _NEEDED_ADDRESSES)):
        if free is not None and free < needed:
            raise EngineError(f"TensorFlow needs {needed >> 20:,} MB of memory to start; {max(0, free) >> 20:,} MB are "
                              "free. Close other programs, or allow this one more.")


def _map_libraries() -> None:
    """Have the system load TensorFlow's libraries, 800 MB, before Python does.

    Python keeps its lock while it imports a module of C, and a window would stand still for a third of a second. The
    same call made as one of a C function leaves the lock to others. Functions are found at their first call: most are
    never called, and finding all takes a fifteenth of a second. Where it fails, importing says why.
    """
    package = None if is_loaded() or sys.platform != "linux" else find_spec("tensorflow")
    if package is None or package.origin is None:
        return
    system = ctypes.CDLL(None)
    system.dlopen.argtypes, system.dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        library = Path(package.origin).with_name(name)
        if library.is_file():
            system.dlopen(os.fsencode(library), os.RTLD_LAZY)


@contextmanager
def uncollected() -> Iterator[None]:
    """Import a large package with no garbage collected meanwhile.

    Looking through all that TensorFlow's import makes takes half a second and would stop a window several times, for up
    to a sixth of a second; with matplotlib's it is a fifteenth. Nor are modules, which stay until the end, looked
    through at collections afterwards.
    """
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if wanted:
            gc.enable()


@contextmanager
def _once() -> Iterator[None]:
    with _quiet_stderr(), uncollected(), _without_pyplot():
        yield


@contextmanager
def _without_pyplot() -> Iterator[None]:
    """Keras imports it, half a second's work, for galleries that nobody here asks for, and does without if it can't."""
    name = "matplotlib.pyplot"
    wanted = name in sys.modules
    if not wanted:
        sys.modules[name] = None  # type: ignore[assignment]  # by which Python says that there is none
    try:
        yield
    finally:
        if not wanted:
            del sys.modules[name]


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """TensorFlow's C++ parts greet on file descriptor 2 before any log level can reach them."""
    try:
        kept = os.dup(2)
    except OSError:  # a windowed program may have no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def device() -> str:
    """What TensorFlow computes on, in words: the first GPU's name, else 'CPU'."""
    tensorflow, _ = load()
    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    details = tensorflow.config.experimental.get_device_details(gpus[0])
    return f"GPU ({details.get('device_name', gpus[0].name)})"


def versions() -> dict[str, str]:
    """Of everything that counts are made with, by its name."""
    from importlib.metadata import PackageNotFoundError, version  # brings what e-mail needs, and nothing else does
    found = {"python": platform.python_version(), "platform": platform.platform(),
             **{name: version(name) for name in ("keras", "numpy", "h5py")}, "tensorflow": "unknown"}
    for name in ("tensorflow-cpu", "tensorflow"):
        with suppress(PackageNotFoundError):
            found["tensorflow"] = version(name)
    return found


def reason(message: str) -> str:
    """What an error of TensorFlow's or Keras's means, without the traceback that it writes before."""
    said = [line for line in _BOLD.sub("", message).splitlines() if line and not line.startswith(_PREFACES)]
    return said[0][:200] if said else "it doesn't say why"
