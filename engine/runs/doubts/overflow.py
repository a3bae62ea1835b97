"""Whether a network's answers are numbers at all: finite weights may overflow on images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.assessment import overflow_text
from engine.data.datasets import Dataset
from engine.models.networks import Network
from engine.progress import CancelToken
from engine.runs.doubts.plausibility import Doubt

_TRIAL_IMAGES = 16


def overflowing(network: Network, sets: Iterable[Dataset], cancel: CancelToken, called: str = "B") -> Iterator[Doubt]:
    """That answers on some images aren't finite, so that they have no label.

    Args:
        sets: in the network's input range; a few images of each, quick to read, are tried.
        called: what the network is called.
    Raises:
        Cancelled: the token was set.
    """
    for dataset in sets:
        tried = dataset.take(dataset.sample(_TRIAL_IMAGES))
        broken = int((network.predict_labels(tried, cancel) < 0).sum())
        if broken:
            yield Doubt(overflow_text(called, broken, len(tried), dataset.name), True)
