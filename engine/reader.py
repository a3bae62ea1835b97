"""The reader: the process that opens strangers' files. See engine.quarantine for why and how.

It is started by `engine.quarantine.client`, never by a person.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.data import array_files
from engine.data.formats import arrays, listed, matlab, places
from engine.errors import EngineError
from engine.files.parsing import decoding
from engine.models import model_files
from engine.quarantine import limits
from engine.quarantine.wire import CLOSE, Array, BrokenWireError, attached, pieces, receive, send, spec_json

Answer = tuple[Any, list[Array]]
Stream = Generator[Array | None, list[Any], None]


def parse_onnx(path: Path) -> Answer:
    """As from_onnx.parsing.parse_onnx, loaded when it is needed: it takes ten megabytes that few files need."""
    from engine.models.from_onnx import parsing
    return parsing.parse_onnx(path)


def describe_parquet(path: Path) -> Answer:
    """As formats.parquet.describe_parquet, loaded when it is needed: few have what it takes."""
    from engine.data.formats import parquet
    return parquet.describe_parquet(path)


def parquet_pictures(path: Path) -> Stream:
    """As formats.parquet.parquet_pictures, loaded when it is needed."""
    from engine.data.formats import parquet
    return parquet.parquet_pictures(path)


LOOKS: dict[str, Callable[..., Answer]] = {
    "describe hdf5": array_files.describe_hdf5, "describe npz": array_files.describe_npz,
    "members of npz": array_files.npz_members, "describe model": model_files.describe_model,
    "describe pair": arrays.describe_pair, "describe cifar": arrays.describe_cifar, "describe mat": matlab.describe_mat,
    "describe tar": places.describe_tar, "describe tfrecord": places.describe_tfrecord,
    "describe parquet": describe_parquet, "describe csv": listed.describe_csv, "onnx graph": parse_onnx,
    "picture": decoding.decode_picture, "look at picture": decoding.look_at_picture,
}
STREAMS: dict[str, Callable[..., Stream]] = {
    "rows of hdf5": array_files.hdf5_rows, "rows of npz": array_files.npz_rows, "weights": model_files.weights,
    "rows of pair": arrays.pair_rows, "rows of cifar": arrays.cifar_rows, "rows of mat": matlab.mat_rows,
    "pictures of tar": places.placed_pictures, "pictures of tfrecord": places.pictures_of_records,
    "pictures of parquet": parquet_pictures,
}


def main() -> int:
    """Serve until the program closes its end of the pipe.

    Returns:
        The exit status.
    """
    request, answer = _own_ends()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which closes the pipe
    with suppress(BrokenWireError):
        area = attached(receive(request)["area"])
        limits.limit_this_process()
        send(answer, {"ready": True})
        serve(request, answer, area)
    return 0


def serve(request: int, answer: int, area: mmap.mmap) -> None:
    """Answer requests one after the other.

    Raises:
        BrokenWireError: the program is gone.
    """
    streams: dict[int, Stream] = {}
    while True:
        asked = receive(request)
        limits.grant_time()
        try:
            value, arrays = _answer(asked, streams)
        except EngineError as error:
            _close(streams, asked["stream"])
            send(answer, {"error": [type(error).__name__, str(error)], "last": limits.is_worn_out()})
            continue
        arrays = [np.asarray(array, order="C") for array in arrays]
        frame = {"value": value, "arrays": [spec_json(array) for array in arrays]}
        for piece in pieces(arrays):
            if not frame:  # the piece before is still being copied
                receive(request)
            area[:len(piece)] = piece
            send(answer, frame)
            frame = {}
        if frame:
            send(answer, frame)


def _answer(asked: dict[str, Any], streams: dict[int, Stream]) -> Answer:
    number = asked["stream"]
    if asked["action"] == CLOSE:
        _close(streams, number)
        return None, []
    path, arguments = Path(asked["path"]), asked["arguments"]
    if asked["folder"]:
        os.chdir(asked["folder"])
    if number is None:
        return LOOKS[asked["action"]](path, **arguments)
    part = arguments.pop("part")
    if number not in streams:
        stream = STREAMS[asked["action"]](path, **arguments)
        next(stream)
        streams[number] = stream
    array = streams[number].send(part)
    assert array is not None
    return None, [array]


def _close(streams: dict[int, Stream], number: int | None) -> None:
    with suppress(EngineError):  # a damaged file may resist its closing
        if number in streams:
            streams.pop(number).close()


def _own_ends() -> tuple[int, int]:
    """The two pipes under numbers of their own: libraries write what they please to standard output."""
    request, answer = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    if sys.platform == "win32":
        import msvcrt
        for pipe in (request, answer):
            msvcrt.setmode(pipe, os.O_BINARY)
    return request, answer
