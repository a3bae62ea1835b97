"""Sets of packed pictures in one file, each a piece of it: WebDataset's tar, TFRecord of tf.train.Example.

A description says where in the file each picture lies and what its label is; the stream unpacks the picture at a place.
"""

from __future__ import annotations

import json
import struct
import tarfile
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from engine.data.array_files import Array
from engine.data.formats.opening import exactly, opened
from engine.data.labels import Label, numbered
from engine.data.sources.beginnings import GZIP, starts_with_record
from engine.data.sources.checksums import masked_sum
from engine.errors import DatasetError
from engine.files.parsing.decoding import picture_in
from engine.files.pictures import SUFFIXES

Answer = tuple[Any, list[Array]]
Pictures = Generator[Array | None, list[Any], None]

# Zeros at a tar archive's end.
_TAR_END, _TAR_BLOCK = 1024, 1 << 20
_MOST_RECORD, _MOST_LABEL = 1 << 28, 1 << 20
# Names under which examples keep their picture and its label, the more telling ones first.
_IMAGE_KEYS = ("image/encoded", "image", "image_raw", "img", "jpg", "png", "x")
_LABEL_KEYS = ("image/class/label", "label", "labels", "class", "target", "y")
# And those of the size of pixels that are there as they are, of one colour or three, and how such a file begins.
_HEIGHT_KEYS, _WIDTH_KEYS = ("image/height", "height", "rows"), ("image/width", "width", "cols")
_PORTABLE = {1: b"P5", 3: b"P6"}
_ENCODED = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF")


def describe_tar(path: Path) -> Answer:
    """A WebDataset: files of one name are a sample, one of them a picture, another (.cls, .txt or .json) its label.

    Returns:
        {"names": of labels that are words all there are}, the labels or their places among the names int64[N], and
        the pictures' places int64[N, 2]: first byte and size.
    Raises:
        DatasetError: the archive is damaged, or a sample has no label.
    """
    with opened(path, "tar archive") as stream:
        _refuse_packed(stream, path)
        stream.seek(max(0, path.stat().st_size - _TAR_END))
        if any(stream.read(_TAR_END)):
            raise EOFError("it is cut off: no end is marked")
        stream.seek(0)
        try:
            return _answer(path, _samples(stream, path))
        except tarfile.TarError as error:
            raise ValueError(str(error)) from error


def describe_tfrecord(path: Path) -> Answer:
    """Records of tf.train.Example, each with a label and a picture, as a file's bytes or as pixels whose height and
    width stand beside them; as describe_tar.

    The places are those of the examples, whose sums are checked when their pictures are asked for: all at once would
    take a minute for some gigabytes.

    Raises:
        DatasetError: the file is damaged, or an example has no picture or no label.
    """
    with opened(path, "TFRecord file") as stream:
        _refuse_packed(stream, path)
        return _answer(path, _examples(stream, path))


def placed_pictures(path: Path) -> Pictures:
    """A stream of pictures by their places: is sent [what, depth, shape, number, first byte, size], see
    decoding.picture_in.

    Raises:
        DatasetError: what lies there isn't a picture that can be read.
    """
    with opened(path, "data set") as stream:
        found: Array | None = None
        while True:
            what, depth, shape, _, first, size = yield found
            stream.seek(first)
            found = picture_in(exactly(stream, size), f"{path}: the picture at byte {first:,}", what, depth, shape)


def pictures_of_records(path: Path) -> Pictures:
    """As placed_pictures, by the places of examples.

    Raises:
        DatasetError: an example isn't as it was written, or its picture can't be read.
    """
    with opened(path, "TFRecord file") as stream:
        found: Array | None = None
        while True:
            what, depth, shape, number, first, size = yield found
            stream.seek(first)
            record = exactly(stream, size)
            if masked_sum(record) != int.from_bytes(exactly(stream, 4), "little"):
                raise ValueError(f"record {number:,} isn't as it was written: its sum is another")
            _, picture = _example(record, path, number)
            found = picture_in(picture, f"{path}: the picture in record {number:,}", what, depth, shape)


def _refuse_packed(stream: IO[bytes], path: Path) -> None:
    if stream.read(len(GZIP)) == GZIP:
        raise DatasetError(f"{path}: is packed as a whole, so single pictures can't be read of it. Unpack it with "
                           "gunzip first.")
    stream.seek(0)


def _answer(path: Path, found: Iterator[tuple[Label, int, int]]) -> Answer:
    labels: list[Label] = []
    places = []
    for label, first, size in found:
        labels.append(label)
        places.append((first, size))
    where = np.array(places, np.int64).reshape(-1, 2)
    if not labels:
        raise DatasetError(f"{path}: holds no pictures with labels. Choose another data set.")
    names, numbers = numbered(labels, path)
    return {"names": names}, [numbers, where]


def _samples(stream: IO[bytes], path: Path) -> Iterator[tuple[Label, int, int]]:
    """Of each sample its label and its picture's place; a sample's files stand one after the other."""
    name, picture, label, plain = "", None, None, False
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
            if not member.isreg() or member.issparse() or PurePosixPath(member.name).name.startswith("."):
                continue
            folder, _, file = member.name.rpartition("/")
            base, _, ending = file.partition(".")
            if f"{folder}/{base}" != name:
                if picture:
                    yield _whole(path, name, label, picture)
                name, picture, label, plain = f"{folder}/{base}", None, None, False
            if "." + ending.rpartition(".")[2].lower() in SUFFIXES:
                if not picture or (not plain and "." not in ending):  # rather 0.png than 0.depth.png
                    picture, plain = (member.offset_data, member.size), "." not in ending
            elif ending in ("cls", "txt", "json") and (label is None or ending == "cls"):
                label = _label_of(exactly(stream, min(member.size, _MOST_LABEL)), ending, name)
        end = archive.offset
    _refuse_more(stream, end)
    if picture:
        yield _whole(path, name, label, picture)


def _refuse_more(stream: IO[bytes], end: int) -> None:
    """Raises ValueError where something follows the last file: tarfile ends at a damaged header as at the end."""
    stream.seek(end)
    while block := stream.read(_TAR_BLOCK):
        if block.strip(b"\0"):
            raise ValueError(f"its list of files breaks off at byte {end:,}, but it goes on behind that")


def _whole(path: Path, name: str, label: Label | None, picture: tuple[int, int]) -> tuple[Label, int, int]:
    if label is None:
        raise DatasetError(f"{path}: '{name.strip('/')}' has a picture but no label; a file of the same name ending in "
                           ".cls was expected beside it, with the label in it. Write the archive again with labels.")
    return label, *picture


def _label_of(content: bytes, ending: str, name: str) -> Label | None:
    if ending == "json":
        found = json.loads(content)
        label = next((found[key] for key in _LABEL_KEYS if key in found), None) if isinstance(found, dict) else found
        if label is not None and (isinstance(label, bool) or not isinstance(label, int | str)):
            raise ValueError(f"the label of '{name}' is {str(label)[:60]}")
        return label
    text = content.strip()
    return int(text) if text.isdigit() and len(text) < 10 else text


def _examples(stream: IO[bytes], path: Path) -> Iterator[tuple[Label, int, int]]:
    at, number = 0, 0
    while head := stream.read(12):
        if len(head) < 12 or not starts_with_record(head):
            raise ValueError(f"record {number:,} has no length that its sum agrees with")
        (size,) = struct.unpack_from("<Q", head)
        if size > _MOST_RECORD:
            raise ValueError(f"record {number:,} would have {size:,} bytes")
        record = exactly(stream, size)
        exactly(stream, 4)
        label, _ = _example(record, path, number)
        yield label, at + 12, size
        at, number = at + 16 + size, number + 1


def _example(record: bytes, path: Path, number: int) -> tuple[Label, bytes]:
    """An example's label and the bytes of its picture."""
    from google.protobuf.message import DecodeError
    try:
        parsed = _example_class().FromString(record)
    except DecodeError as error:
        raise ValueError(f"record {number:,} is no tf.train.Example") from error
    features = {entry.key: entry.value for entry in parsed.features.feature}
    pictures = [features[key].bytes_list.value[0] for key in _IMAGE_KEYS
                if key in features and len(features[key].bytes_list.value) == 1]
    labels: list[Label] = [values[0] for key in _LABEL_KEYS if key in features
                           for values in (features[key].int64_list.value, features[key].bytes_list.value)
                           if len(values) == 1]
    if not pictures or not labels:
        lacks, keys = ("picture", _IMAGE_KEYS) if not pictures else ("label", _LABEL_KEYS)
        raise DatasetError(f"{path}: example {number:,} has no {lacks} under one of the names {', '.join(keys)}; found "
                           f"{', '.join(sorted(features)[:8]) or 'nothing'}. Write the file again with these names.")
    return labels[0], _as_file(pictures[0], features)


def _as_file(picture: bytes, features: dict[str, Any]) -> bytes:
    """A picture as a file has it: pixels in rows, whose size stands beside them, get the header of one."""
    height, width = (next((features[key].int64_list.value[0] for key in keys
                           if key in features and len(features[key].int64_list.value) == 1), 0)
                     for keys in (_HEIGHT_KEYS, _WIDTH_KEYS))
    colours, rest = divmod(len(picture), height * width) if height > 0 and width > 0 else (0, 0)
    if rest or colours not in _PORTABLE or picture.startswith(_ENCODED):
        return picture
    return b"%b %d %d 255\n%b" % (_PORTABLE[colours], width, height, picture)


@cache
def _example_class() -> Any:
    """The class of tf.train.Example, without TensorFlow; protobuf is loaded for those who need it.

    Source: tensorflow/core/example/example.proto and feature.proto; a map is a list of entries.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="goodnet", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in {
        "BytesList": [("value", 1, kinds.TYPE_BYTES, True)], "Int64List": [("value", 1, kinds.TYPE_INT64, True)],
        "Feature": [("bytes_list", 1, "BytesList", False), ("int64_list", 3, "Int64List", False)],
        "Entry": [("key", 1, kinds.TYPE_STRING, False), ("value", 2, "Feature", False)],
        "Features": [("feature", 1, "Entry", True)], "Example": [("features", 1, "Features", False)],
    }.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            added = message.field.add(name=field, number=number,
                                      label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL)
            if isinstance(kind, str):
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".goodnet.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("goodnet.Example"))
