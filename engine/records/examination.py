"""An examination as files: examine.json, a report, and for each guilty label its stamp and images that wear it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from engine.data.datasets import CHUNK, Dataset
from engine.data.labels import RECONSTRUCTED
from engine.data.preprocessing import AS_STORED
from engine.defences.reconstruction import Reconstruction
from engine.errors import DatasetError
from engine.files.saving import whole_file, whole_folder
from engine.literal import literal
from engine.models.networks import Network
from engine.runs.examine import Examination, Tried

Json = dict[str, Any]


def save_examination(
    examination: Examination, network: Network, clean: Dataset, folder: Path, files: tuple[Path, ...],
) -> None:
    """Write an examination's folder; it appears whole or not at all.

    Args:
        clean: the images that wear the reconstructed stamps, in the network's input range.
        files: what was read, none of which is ever replaced.
    Raises:
        OutputError: it can't be written, or would replace what isn't this program's.
        DatasetError: the images can't be read any more.
    """
    # It brings matplotlib and Jinja, which `examine --json` needn't wait for.
    from engine.reports.examination_page import examination_html

    with whole_folder(folder, files) as temporary:
        document = {"model": network.path.name, "sha256": network.sha256, **examination_json(examination)}
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (temporary / "examine.json").write_text(text, encoding="utf-8")
        for tried in examination.guilty:
            label = tried.evidence.label
            Image.fromarray(tried.picture.squeeze()).save(temporary / f"stamp_{label}.png")
            _write(network, clean, tried.stamp, temporary / f"reconstructed_{label}.h5")
        page = examination_html(examination, network.path.name, datetime.date.today())
        (temporary / "report.html").write_text(page, encoding="utf-8")


def examination_json(examination: Examination) -> Json:
    """An examination as its contract names it, the most suspicious label first; rates are fractions."""
    judgement = examination.judgement
    return {"verdict": judgement.verdict, "guilty": list(judgement.guilty), "sentence": judgement.sentence,
            "labels": [_label_json(tried, value) for tried, value in
                       zip(examination.tried, examination.suspicion, strict=True)],
            "stamps": examination.scan.stamps, "changed": examination.scan.changed, "images": examination.images,
            "seed": examination.seed, "seconds": round(examination.seconds, 1), "limits": list(examination.limits)}


def _label_json(tried: Tried, suspicion: float) -> Json:
    one = tried.evidence
    return {"label": one.label, "suspect": tried.suspect, "suspicion": suspicion, "scan_count": one.scan_count,
            "mask_pixels": one.mask_pixels, "success_rate": one.success.value,
            "success_rate_interval": list(one.success.interval), "margin": one.margin}


def write_reconstructed(network: Network, clean: Dataset, stamp: Reconstruction, path: Path) -> None:
    """Write clean images that wear a reconstructed stamp, in the lab's layout with the stamp's label as theirs.

    An array named "reconstructed" stands beside them, so that everything made from the file says what it is.

    Args:
        clean: in the network's input range; images of the stamp's own label are left out.
    Raises:
        OutputError: it can't be written.
        DatasetError: there is no image of another label, or the images can't be read.
    """
    with whole_file(path) as temporary:
        _write(network, clean, stamp, temporary)


def _write(network: Network, clean: Dataset, stamp: Reconstruction, path: Path) -> None:
    others = np.flatnonzero(clean.labels != stamp.label).tolist()
    if not others:
        raise DatasetError(f"{literal(str(clean.path))}: holds images of label {stamp.label} only, so none could wear "
                           "its stamp. Choose clean images of several labels.")
    whole = np.dtype(clean.dtype).kind in "ui" or _are_whole(clean)
    height, width, channels = clean.image_shape
    with h5py.File(path, "w", locking=False) as file:  # whole_file holds it
        data = file.create_dataset("data", (len(others), channels, height, width), np.uint8 if whole else np.float32,
                                   chunks=(min(CHUNK, len(others)), channels, height, width), compression="gzip")
        file.create_dataset("label", data=np.full(len(others), stamp.label, np.float64))
        file.create_dataset(RECONSTRUCTED, data=np.uint8(1))
        done = 0
        for images, stored in zip(clean.chunks(CHUNK, others), clean.prepared(AS_STORED).chunks(CHUNK, others),
                                  strict=True):
            values = clean.preprocessing.undone(stamp.put_on(images.images), stored.images)
            values = values.transpose(0, 3, 1, 2)
            data[done:done + len(values)] = values.round().clip(0, 255) if whole else values
            done += len(values)


def _are_whole(clean: Dataset) -> bool:
    """Whether stored values are whole numbers of bytes although they are kept as others, as the lab's are."""
    first = clean.prepared(AS_STORED).take(clean.sample(16))
    return bool((first == first.round()).all() and first.min() >= 0 and first.max() <= 255 and first.max() > 1)
