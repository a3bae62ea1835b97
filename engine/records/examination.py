"""An examination as files: examine.json, a report, and for each guilty label its stamp and images that wear it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from PIL import Image

from engine.data.datasets import Dataset
from engine.files.saving import whole_folder
from engine.models.networks import Network
from engine.runs.examine import Examination, Tried
from engine.runs.reconstructed import write_reconstructed

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
    with whole_folder(folder, files) as temporary:
        write_examination(examination, network, clean, temporary)


def write_examination(examination: Examination, network: Network, clean: Dataset, folder: Path) -> None:
    """The files of save_examination in a folder that exists."""
    # It brings matplotlib and Jinja, which `examine --json` needn't wait for.
    from engine.reports.examination_page import examination_html

    document = {"model": network.path.name, "sha256": network.sha256, **examination_json(examination)}
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    (folder / "examine.json").write_text(text, encoding="utf-8")
    for tried in examination.guilty:
        label = tried.evidence.label
        Image.fromarray(tried.picture.squeeze()).save(folder / f"stamp_{label}.png")
        write_reconstructed(clean, tried.stamp, folder / f"reconstructed_{label}.h5")
    page = examination_html(examination, network.path.name, datetime.date.today())
    (folder / "report.html").write_text(page, encoding="utf-8")


def examination_json(examination: Examination) -> Json:
    """An examination as its contract names it, the most suspicious label first; rates are fractions."""
    judgement = examination.judgement
    return {"verdict": judgement.verdict, "guilty": list(judgement.guilty), "sentence": judgement.sentence,
            "labels": [_label_json(tried) for tried in examination.tried],
            "stamps": examination.scan.stamps, "changed": examination.scan.changed, "images": examination.images,
            "seed": examination.seed, "seconds": round(examination.seconds, 1), "limits": list(examination.limits)}


def _label_json(tried: Tried) -> Json:
    one = tried.evidence
    return {"label": one.label, "suspect": tried.suspect, "suspicion": tried.suspicion, "scan_count": one.scan_count,
            "mask_pixels": one.mask_pixels, "success_rate": one.success.value,
            "success_rate_interval": list(one.success.interval), "margin": one.margin,
            "universal_stamps": one.universal}
