"""STRIP: a picture whose label survives whatever is laid over it wears a trigger.

Source: Gao, Xu, Wang, Chen, Ranasinghe, Nepal, STRIP: A Defence Against Trojan Attacks on Deep Neural Networks, ACSAC
2019, sections 4 and 5: 100 clean pictures are added to the one in question, values clipped, and the entropy (base 2) of
the answers is averaged; low means backdoored, and the threshold lets an asked share of clean pictures fall below.
Departs: 50 pictures in place of 100; the threshold is the order statistic of clean pictures that weren't laid over any
(2 %, as this project's own guards), not the quantile of a fitted normal distribution: a tail that isn't normal costs
more or catches nothing.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.peers.methods.student import SEED
from engine.data.datasets import Dataset
from engine.defences.further import Further
from engine.defences.stamps import ValueRange, value_range
from engine.guards.calibration import (
    DEFAULT_FALSE_ALARMS,
    Calibration,
    Guard,
    GuardAnswer,
    StandingGuard,
)
from engine.guards.cuts import no_cuts
from engine.guards.thresholds import conformal_threshold
from engine.guards.transplant import CutScores, Donors
from engine.models.logits import compiled_logits, log_softmax
from engine.models.networks import Images, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done
from engine.rates import Rate

OVERLAYS = 50
# Pictures whose overlaid copies are answered together.
_TOGETHER = 16


class EntropyScores:
    """Scores pictures on one network: minus the mean entropy over all overlays, so that higher is more suspect."""

    def __init__(self, network: Network, overlays: Images, values: ValueRange) -> None:
        self._logits, self._overlays, self._values = compiled_logits(network), overlays, values

    def scores(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, above: float = -math.inf,
               did: Did = ignore_done) -> CutScores:
        """Of float32[n, H, W, C]; all are exact, whatever `above`."""
        found = [np.empty(0)]
        for start in range(0, len(images), _TOGETHER):
            cancel.raise_if_cancelled()
            part = images[start:start + _TOGETHER]
            laid = superposed(part[:, np.newaxis], self._overlays, self._values)
            answers = np.exp(log_softmax(self._logits(laid.reshape(-1, *part.shape[1:]), cancel, did)))
            found.append(-entropy(answers).reshape(len(part), -1).mean(axis=1))
        return CutScores(np.concatenate(found), np.full(len(images), -1, np.int64))


@dataclass(frozen=True, eq=False)
class Strip(Guard):
    """A guard whose donors are laid over the picture."""

    values: ValueRange = (0.0, 1.0)

    def on(self, network: Network) -> StandingGuard:
        """Put it before a network."""
        return _Standing(self, network)


class _Standing(StandingGuard):
    def __init__(self, guard: Strip, network: Network) -> None:
        self.guard = guard
        self._scores = EntropyScores(network, guard.donors.images, guard.values)

    def answer(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> GuardAnswer:
        """Flag what is above the threshold."""
        found = self._scores.scores(images, cancel, did=did)
        return GuardAnswer(found.score > self.guard.threshold, found.cut, found.score)


def strip(network: Network, clean: Dataset) -> Guard:
    """STRIP before B: some clean images are laid over others, which set the threshold."""
    order = np.random.default_rng(SEED).permutation(len(clean))
    count = min(OVERLAYS, len(clean) // 2)
    overlays, rest = (clean.take(part.tolist()) for part in (order[:count], order[count:]))
    guard = Strip(
        kind="margin", threshold=math.inf, labels=network.labels, image_shape=clean.image_shape,
        calibration=Calibration(DEFAULT_FALSE_ALARMS, len(rest), Rate(0, 0), SEED),
        donors=Donors(overlays, clean.labels[order[:count]]), cuts=no_cuts(*clean.image_shape[:2]), escalate_above=0.0,
        values=value_range(rest))
    threshold = conformal_threshold(guard.on(network).scores(rest), DEFAULT_FALSE_ALARMS)
    return dataclasses.replace(guard, threshold=threshold)


def superposed(images: Images, overlays: Images, values: ValueRange) -> Images:
    """Pictures with others added, both counted from the lowest value, clipped at the highest."""
    laid: Images = (images + overlays - np.float32(values[0])).clip(*values)
    return laid


def entropy(answers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Bits of each row's probabilities."""
    shares = answers.astype(np.float64)
    bits: npt.NDArray[np.float64] = -(shares * np.log2(np.maximum(shares, 1e-300))).sum(axis=1)
    return bits


STRIP = Further("STRIP", (), strip)
