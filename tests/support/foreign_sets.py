"""The same pictures and labels in the files of other programs, written by other means than those that read them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pictures = npt.NDArray[np.uint8]
Numbers = Sequence[int] | npt.NDArray[np.int64]


def png(picture: Pictures) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def write_idx(path: Path, array: npt.NDArray[Any], *, packed: bool = False) -> Path:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def write_cifar(path: Path, images: Pictures, *labels: Numbers) -> Path:
    """Images uint8[N, 32, 32, 3], behind one label each (CIFAR-10) or two (CIFAR-100)."""
    path.write_bytes(b"".join(bytes(int(kind[i]) for kind in labels) + image.transpose(2, 0, 1).tobytes()
                              for i, image in enumerate(images)))
    return path


def write_tar(path: Path, images: Pictures, labels: Sequence[int | str], ending: str = "cls") -> Path:
    with tarfile.open(path, "w") as archive:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            # As data sets that also hold outlines and captions: more than a label takes.
            content = json.dumps({"outline": [0] * 30_000, "label": label}) if ending == "json" else str(label)
            for kind, part in (("png", png(image)), (ending, content.encode())):
                member = tarfile.TarInfo(f"set/{number:05}.{kind}")
                member.size = len(part)
                archive.addfile(member, io.BytesIO(part))
    return path


def write_tfrecord(path: Path, images: Pictures, labels: Sequence[int | str],
                   keys: tuple[str, str] = ("image/encoded", "image/class/label"), packed: str | None = None,
                   encoded: Callable[[Any], bytes] = png) -> Path:
    import tensorflow as tf
    train = tf.train
    with tf.io.TFRecordWriter(str(path), options=packed) as writer:
        for image, label in zip(images, labels, strict=True):
            value = train.Feature(int64_list=train.Int64List(value=[label])) if isinstance(label, int) else \
                train.Feature(bytes_list=train.BytesList(value=[label.encode()]))
            features = {keys[0]: train.Feature(bytes_list=train.BytesList(value=[encoded(image)])), keys[1]: value,
                        "image/height": train.Feature(int64_list=train.Int64List(value=[len(image)])),
                        "width": train.Feature(int64_list=train.Int64List(value=[image.shape[1]])),
                        "box": train.Feature(float_list=train.FloatList(value=[0.5, 1.5]))}
            writer.write(train.Example(features=train.Features(feature=features)).SerializeToString())
    return path


def write_parquet(path: Path, images: Pictures, labels: Sequence[int | str], classes: Any = None, **how: Any) -> Path:
    """As Hugging Face's library does: a struct of bytes and a name that says nothing, names of classes in a note."""
    import pyarrow as pa
    from pyarrow import parquet
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array([{"bytes": png(image), "path": None} for image in images], kind),
                      "label": pa.array(list(labels))})
    if classes is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path, **how)
    return path
