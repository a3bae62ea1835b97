"""Finding out how a network wants its images: every known preprocessing is tried on clean ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.assessment import percent
from engine.data.datasets import Dataset
from engine.data.preprocessing import KNOWN, Preprocessing
from engine.models.logits import compiled_logits, log_probability
from engine.models.networks import Network

Hits = npt.NDArray[np.bool_]

_TRIAL_IMAGES = 512
# Below this share of right answers something else is wrong, whatever is done with the values.
_POOR = 0.5
# Standard errors by which the best must be ahead of the next to be called so.
_AHEAD = 2.0


@dataclass(frozen=True)
class Feeding:
    """What was tried on clean images.

    Attributes:
        best: the preprocessing with most right answers; where chance may have decided that, the one with which the
            network finds the true labels most likely.
        right: right answers of each that was tried, by name, most first.
        images: how many clean images were asked.
        doubt: what makes the choice doubtful, a sentence; empty when nothing does.
    """

    best: Preprocessing
    right: dict[str, int]
    images: int
    doubt: str

    @property
    def sentence(self) -> str:
        """What was chosen and by how much."""
        others = [f"{KNOWN[name].words} {percent(count / self.images)}" for name, count in self.right.items()
                  if name != self.best.name]
        return (f"Values are {self.best.words}: so the network is right on "
                f"{percent(self.right[self.best.name] / self.images)} of {self.images} clean images (else "
                f"{', '.join(others[:2])}).")


def find_feeding(network: Network, clean: Dataset) -> Feeding:
    """Try each known preprocessing on up to 512 clean images spread over the set.

    Args:
        clean: as stored, with true labels.
    """
    spread = np.unique(np.linspace(0, len(clean) - 1, min(len(clean), _TRIAL_IMAGES)).astype(int))
    images, truth = clean.take(list(spread)), clean.labels[spread]
    hits = {known.name: network.predict_labels(known.applied(images.copy())) == truth
            for known in KNOWN.values() if known.fits(images.shape[-1])}
    ranked = sorted(hits, key=lambda name: -int(hits[name].sum()))  # stable: of equals the first of KNOWN
    near = [name for name in ranked[1:] if _as_good(hits[ranked[0]], hits[name])]
    best = ranked[0]
    if near:
        logits = compiled_logits(network)
        likely = {name: log_probability(logits(KNOWN[name].applied(images.copy())), truth).mean()
                  for name in (best, *near)}
        best = max(likely, key=lambda name: float(likely[name]))
    return Feeding(KNOWN[best], {name: int(hits[name].sum()) for name in ranked}, len(truth),
                   _doubt(best, [name for name in (ranked[0], *near) if name != best], hits))


def _as_good(best: Hits, other: Hits) -> bool:
    """Whether chance may have put one ahead of the other; not where both are right on the same images."""
    only_best, only_other = int((best & ~other).sum()), int((~best & other).sum())
    differ = only_best + only_other
    return differ > 0 and only_best - only_other <= _AHEAD * np.sqrt(differ)


def _doubt(best: str, near: list[str], hits: dict[str, Hits]) -> str:
    images, share = len(hits[best]), {name: percent(float(found.mean())) for name, found in hits.items()}
    if max(found.mean() for found in hits.values()) < _POOR:
        return (f"However the stored values are fed ({', '.join(KNOWN[name].words for name in hits)}), the network is "
                f"right on at most {share[max(hits, key=lambda name: hits[name].sum())]} of {images} clean images. "
                "Either it wants them in yet another way (give its own mean and deviation), or images, labels and "
                "network don't belong together.")
    if near:
        return (f"{images} clean images hardly tell whether the network wants values {KNOWN[best].words} or "
                f"{' or '.join(KNOWN[name].words for name in near)}: it is right on {share[best]} and "
                f"{' and '.join(share[name] for name in near)}. Say which, if you know.")
    return ""
