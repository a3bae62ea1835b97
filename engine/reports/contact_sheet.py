"""A few of a run's images as small pictures for its report, clean ones beside the same ones with the trigger."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.data.datasets import Images, open_dataset
from engine.data.spread import spread_over
from engine.data.stored_values import BYTES, FINER, PREPARED, as_pictures, stored_range
from engine.errors import EngineError
from engine.files.pictures import Picture
from engine.runs.opening.inputs import DatasetSummary
from engine.runs.prune import PruningRun

PICTURES = 6
# Of a network with large inputs; in a report nobody looks closer.
_LARGEST_SIDE = 128


@dataclass(frozen=True)
class Strip:
    """Pictures of one data set as data: URIs of PNG files."""

    name: str
    role: str
    pictures: tuple[str, ...]


def contact_strips(run: PruningRun) -> tuple[Strip, ...]:
    """Up to 6 images, spread over the set, of the clean set and of every poisoned one.

    Sets of equal length are shown at the same places: usually they are the same images without and with the trigger.

    Returns:
        The clean set first, the test set if there is one. A set that can't be read any more is left out.
    """
    poisoned = [d for d in run.datasets if d.role == "poisoned"]
    clean = [d for d in run.datasets if d.role != "poisoned"]
    # The clean set that the poisoned one was made from has its length; else the one that figures are reported on.
    same = [d for d in clean if poisoned and d.images == poisoned[0].images]
    shown = [(same or clean)[-1], *poisoned]
    shortest = min(d.images for d in shown)
    places = spread_over(shortest, PICTURES)
    strips = (_strip(run, dataset, places) for dataset in shown)
    return tuple(strip for strip in strips if strip is not None)


def as_pixels(images: Images, stored: str) -> Picture:
    """Images float32[n, H, W, C] as uint8 to look at; of a range that nothing tells the ends of, from their darkest
    value to their brightest.

    Args:
        stored: the range of their set, one of engine.data.stored_values.RANGES.
    """
    if stored not in (PREPARED, FINER):
        return as_pictures(images, stored)
    low, high = float(images.min()), float(images.max())
    return as_pictures((images - low) * np.float32(255 / max(high - low, 1e-9)), BYTES)


def png_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """A picture uint8[H, W, 3 or 1] as the data: URI of a PNG of at most 128 pixels a side."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _strip(run: PruningRun, summary: DatasetSummary, places: list[int]) -> Strip | None:
    try:
        dataset = open_dataset(summary.path, run.model.input_shape, run.model.labels)
        pixels = as_pixels(dataset.take(places), stored_range(dataset) or run.model.stored)
    except (EngineError, OSError, IndexError):  # removed or replaced since the run: the figures stand without it
        return None
    return Strip(summary.name, summary.role, tuple(png_uri(image) for image in pixels))
