"""Whether a network's answers are numbers at all: finite weights may overflow on images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from engine.data.datasets import Dataset
from engine.models.networks import Network
from engine.progress import CancelToken
from engine.runs.doubts.plausibility import Doubt

_TRIAL_IMAGES = 16


def overflowing(network: Network, sets: Iterable[Dataset], cancel: CancelToken, called: str = "B") -> Iterator[Doubt]:
    """That answers on some images aren't finite: they have no label, and are counted as label 0.

    Args:
        sets: in the network's input range; a few images of each, quick to read, are tried.
        called: what the network is called.
    Raises:
        Cancelled: the token was set.
    """
    for dataset in sets:
        tried = dataset.take(dataset.sample(_TRIAL_IMAGES))
        broken = int((~np.isfinite(network.predict(tried, cancel).max(axis=1))).sum())
        if broken:
            yield Doubt(f"{called} answers {broken} of {len(tried)} images tried in {dataset.name} with values that "
                        "aren't numbers (NaN or infinite), which count as label 0. Check how values are fed, and that "
                        "the network's file is undamaged.", True)
