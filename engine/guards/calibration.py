"""Guards: calibrated checks that stand before a network and flag backdoored inputs one by one.

A guard is plain values: it is calibrated once on clean data, saved as guard.npz, and put to work `on` a network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.errors import DatasetError, ModelError
from engine.guards.alarms import Alarms, alarms_of
from engine.guards.cuts import DEFAULT_KINDS, Cuts, cuts_of, no_cuts
from engine.guards.margin import MarginScores
from engine.guards.suspects import Striking, Suspects, also_striking, drawn_away, find_striking, striking_text
from engine.guards.thresholds import conformal_threshold, fewest_images, refuse_unscored
from engine.guards.transplant import DONOR_POOL, CutScores, Donors, TransplantScores, choose_donors, no_donors
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Did, Heartbeat, ProgressCallback, ignore_done, ignore_progress
from engine.rates import Rate

Kind = Literal["transplant", "margin"]

DEFAULT_FALSE_ALARMS = 0.02
# Before a repaired network, which stops most by itself, a guard may spare nearly all clean images: it costs such a copy
# next to nothing. The transplant guard that does is called so.
SPARING, SPARING_GUARD = 0.005, "sparing"
# Less than one false alarm in a million images is nothing that images can show.
LOWEST_FALSE_ALARMS = 1e-6
MOST_CALIBRATION_IMAGES = 1000
MOST_HELD_BACK_IMAGES = 2000
# A quarter of fewer clean images is too few to measure anything on, so all calibrate and none is held back.
FEWEST_TO_HOLD_BACK = 160
ESCALATED_SHARE = 0.25
# Calibration images, spread evenly, that tell what is usual for a kind of cut.
MOST_STANDARD_IMAGES = 256

_CHUNK = 64
_TOGETHER = 256
_NONE: Labels = np.empty(0, np.int64)
_NO_SCORES: npt.NDArray[np.float64] = np.empty(0)
# B answers about so many images for each that a guard is asked about.
_ANSWERS = 20


class Scores(Protocol):
    """What the transplant's and the margin's arithmetic have in common."""

    def scores(self, images: Images, cancel: CancelToken = ..., above: float = ..., did: Did = ...) -> CutScores:
        """Score float32[n, H, W, C] in the network's input range; only scores above `above` need be exact."""
        ...


@dataclass(frozen=True)
class Calibration:
    """How a guard came to its threshold.

    Attributes:
        false_alarms: the rate asked for, 0 to 1.
        images: clean images whose scores set the threshold, without donors and what may carry a trigger.
        held_back: flagged of the clean images that took no part; Rate(0, 0) where too few were given to hold any back.
        seed: of the shuffle that told donors, calibration and held-back images apart.
    """

    false_alarms: float
    images: int
    held_back: Rate
    seed: int


@dataclass(frozen=True, eq=False)
class Guard:
    """A calibrated guard; an image is flagged when its score is above `threshold`.

    Attributes:
        kind: "transplant" or "margin".
        threshold: infinite when there were too few images to calibrate: then nothing is flagged.
        labels: N of the network it was calibrated on; image_shape: (H, W, C) of its images.
        donors: float32[D, H, W, C] and int64[D]; none for the margin guard.
        cuts: what is put into donors, standardised; none for the margin guard.
        escalate_above: see TransplantScores; 0 for the margin guard.
        doubt: about the images it was given to calibrate on, a sentence.
        striking: those of them that may carry a trigger and bear the attacker's label.
        left_out: all that nothing should be made from: these and others of their label that weren't looked at.
        alarms: what it flags of the rest. All four are told when it is made; its file has none, a run's record two.
    """

    kind: Kind
    threshold: float
    labels: int
    image_shape: tuple[int, int, int]
    calibration: Calibration
    donors: Donors
    cuts: Cuts
    escalate_above: float
    doubt: str = ""
    striking: Suspects | None = None
    left_out: tuple[int, ...] = ()
    alarms: Alarms | None = None

    @property
    def sleeps(self) -> bool:
        """Whether nothing that it can see reaches above its threshold."""
        return self.threshold >= (self.cuts.highest if self.kind == "transplant" else math.inf)

    def note(self, name: str = "This guard") -> str:
        """What a person must know about the calibration of what goes by this name; empty when all is well."""
        wanted = self.calibration.false_alarms
        if self.sleeps:
            return f"{name} flags nothing: " + (
                "no picture's score can be above the threshold that it is set to." if self.threshold < math.inf else
                f"{self.calibration.images} calibration images are too few for a false-alarm rate of {100 * wanted:g} "
                f"%; at least {fewest_images(wanted)} are needed.")
        if not self.calibration.held_back.total:
            return ("No clean images were held back to measure what the guard really flags: that takes at least "
                    f"{FEWEST_TO_HOLD_BACK} of them, and three quarters enough for the threshold.")
        return ""

    def scores_like(self, other: Guard) -> bool:
        """Whether both give every image the same score: they were calibrated together."""
        return (self.kind, self.escalate_above) == (other.kind, other.escalate_above) and \
            self.donors is other.donors and self.cuts is other.cuts

    def on(self, network: Network) -> StandingGuard:
        """Put the guard before a network.

        Raises:
            ModelError: the guard was calibrated on a network of another size.
        """
        return StandingGuard(self, network)


@dataclass(frozen=True, eq=False)
class GuardAnswer:
    """What a guard says of n images.

    Attributes:
        flagged: bool[n].
        cut: int64[n], which of the guard's `cuts` won, whether flagged or not; -1 for the margin guard.
        score: float64[n], exact where it is above the threshold; elsewhere the exact one is at most this.
    """

    flagged: npt.NDArray[np.bool_]
    cut: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]


class StandingGuard:
    """A guard before a network, ready to answer."""

    def __init__(self, guard: Guard, network: Network) -> None:
        fits = all(w in (None, s) for w, s in zip(network.input_shape, guard.image_shape, strict=True))
        if network.labels != guard.labels or not fits:
            raise ModelError(f"{network.path}: takes {network.input_shape} and has {network.labels} labels, but its "
                             f"guard was calibrated for {guard.image_shape} and {guard.labels} labels. "
                             "Calibrate a guard on this network.")
        self.guard = guard
        self._scores = _scores_of(guard, network)

    def scores(self, images: Images, cancel: CancelToken = NEVER_CANCELLED) -> npt.NDArray[np.float64]:
        """The scores float64[n] of float32[n, H, W, C] in the network's input range; higher is more suspect."""
        return self._scores.scores(images, cancel).score

    def answer(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> GuardAnswer:
        """Flag images float32[n, H, W, C] in the network's input range.

        Args:
            did: is told as its network answers.
        Raises:
            Cancelled: the token was set.
        """
        found = self._scores.scores(images, cancel, self.guard.threshold, did)
        # Where the network has no answer to a mix there is no score, and nothing that clears the picture.
        return GuardAnswer(~(found.score <= self.guard.threshold), found.cut, found.score)


def calibrate(
    network: Network, clean: Dataset, kind: Kind = "transplant", false_alarms: float = DEFAULT_FALSE_ALARMS,
    seed: int = 0, *, kinds: Sequence[str] = DEFAULT_KINDS, progress: ProgressCallback = ignore_progress,
    cancel: CancelToken = NEVER_CANCELLED,
) -> Guard:
    """Calibrate a guard on clean data to a false-alarm rate.

    The images are shuffled by the seed. Of 160 or more, three quarters but at most 1,000 calibrate and up to 2,000 of
    the rest measure the realised false-alarm rate; of fewer, or where three quarters are too few for the rate asked
    for, all calibrate. The transplant guard takes its donors (up to 16, at most a fifth) out of the calibrating part;
    they set no threshold, because to the guard they aren't new images. Images that may carry a trigger set none either.

    Args:
        network: B.
        clean: N clean images with true labels, in the network's input range.
        false_alarms: the share of clean images that may be flagged, above 0 and below 1.
        kinds: what the transplant guard cuts, of `cuts.KINDS`.
    Raises:
        DatasetError: no images, or (transplant) fewer than two labels answered correctly, or none but donors.
        ValueError: the rate isn't between 0 and 1.
        Cancelled: the token was set; nothing is kept.
    """
    return calibrate_both(network, clean, kind, false_alarms, false_alarms, seed, kinds=kinds, progress=progress,
                          cancel=cancel)[0]


def calibrate_both(
    network: Network, clean: Dataset, kind: Kind, false_alarms: float, sparing: float = SPARING, seed: int = 0, *,
    kinds: Sequence[str] = DEFAULT_KINDS, progress: ProgressCallback = ignore_progress,
    cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[Guard, Guard]:
    """A guard as by `calibrate`, and the same with a threshold that flags fewer clean images, for no further work.

    Args:
        sparing: the second one's rate; higher, up to `false_alarms`, where the images are too few to show it.
    """
    if not 0 < false_alarms < 1:
        raise ValueError(f"a false-alarm rate lies between 0 and 1, not at {false_alarms}")
    if not len(clean):
        raise DatasetError(f"{clean.path}: holds no images; a guard is calibrated on clean images.")
    calibrating, held_back = _split(len(clean), seed, false_alarms)
    answers = _answers(network, clean, np.concatenate([calibrating, held_back]), progress, cancel)
    calibrating = calibrating[~drawn_away(calibrating, answers, clean.labels, network.labels)]

    def scored(without: Labels) -> _Scored:
        return _scored(network, clean, kind, kinds, calibrating[~np.isin(calibrating, without)], held_back, answers,
                       progress, cancel)

    found, left_out, suspects, doubt = scored(_NONE), _NONE, None, ""
    striking = find_striking(found.scores, found.by_kind, answers[found.numbers], network.labels) \
        if kind == "transplant" else None
    own = _of_striking(network, clean, found, striking, answers, progress, cancel) if striking else _NONE
    right = calibrating[answers[calibrating] == clean.labels[calibrating]]  # of two labels at least, for donors
    if striking and len(np.unique(clean.labels[right[~np.isin(right, own)]])) > 1:
        label, left_out, sure = striking.label, own, int(np.isin(found.numbers[striking.rows], own).sum())
        of = int(((answers == label) & (clean.labels == label)).sum())
        found, doubt = scored(left_out), striking_text(clean.name, label, of, sure, len(left_out) - sure)
        suspects = Suspects(label, tuple(left_out.tolist()))
        # Nobody knows how many more there are among those that weren't asked about.
        left_out = np.union1d(left_out, np.flatnonzero((answers < 0) & (clean.labels == label)))

    def at(rate: float) -> Guard:
        flagged = found.scores > (threshold := conformal_threshold(found.scores[:found.count], rate))
        realised, kept = Rate(int(flagged[found.count:].sum()), len(held_back)), ~np.isin(found.numbers, left_out)
        alarms = alarms_of(clean.name, flagged[kept], clean.labels[found.numbers[kept]], network.labels)
        return dataclasses.replace(found.guard, threshold=threshold, doubt=doubt, striking=suspects, alarms=alarms,
                                   left_out=tuple(left_out.tolist()),
                                   calibration=Calibration(rate, found.count, realised, seed))

    return at(false_alarms), at(min(false_alarms, max(sparing, 1 / (found.count + 1))))


@dataclass(frozen=True, eq=False)
class _Scored:
    """A guard without a threshold, and its scores float64[n] of images by their numbers int64[n]: of so many that set
    one, then of those held back; of the standard ones, which come first, those by each kind, too, float64[m, kinds]."""

    guard: Guard
    count: int
    numbers: Labels
    scores: npt.NDArray[np.float64]
    by_kind: npt.NDArray[np.float64]


def _scored(
    network: Network, clean: Dataset, kind: Kind, kinds: Sequence[str], calibrating: Labels, held_back: Labels,
    answers: Labels, progress: ProgressCallback, cancel: CancelToken,
) -> _Scored:
    donors, cuts = no_donors(clean.image_shape), no_cuts(*clean.image_shape[:2])
    if kind == "transplant":
        donors, taken = choose_donors(clean, calibrating, answers[calibrating] == clean.labels[calibrating])
        calibrating = np.array([i for i in calibrating.tolist() if i not in taken], np.int64)
        if not len(calibrating):
            raise DatasetError(f"{clean.path}: its {len(clean)} images are all donors of the transplant guard, so none "
                               "is left to calibrate it on. Choose more clean images.")
    count, escalate_above, known, by_kind = len(calibrating), 0.0, _NO_SCORES, _NO_SCORES
    standard = np.sort(calibrating)[::max(1, -(-count // MOST_STANDARD_IMAGES))] if kind == "transplant" else _NONE
    rest = np.setdiff1d(calibrating, standard)
    asked = len(held_back) + (count if kind == "margin" else len(standard) + 2 * len(rest))
    work = _Work(clean, at_once(network, _CHUNK), Heartbeat("Calibrating the guard", asked, progress), cancel)
    if kind == "transplant":
        cuts = cuts_of(*clean.image_shape[:2], kinds)
        cuts, escalate_above, known, by_kind = _scales(network, donors, cuts, work, standard, rest)
    guard = Guard(kind, math.inf, network.labels, clean.image_shape, Calibration(0.0, count, Rate(0, 0), 0), donors,
                  cuts, escalate_above)
    # The threshold is set on scores of the whole cascade, so it holds for what the guard really computes.
    scores = _scores_of(guard, network)
    every = np.concatenate([known, work.scores(scores, rest), work.scores(scores, held_back)])
    refuse_unscored(network.path, every)
    return _Scored(guard, count, np.concatenate([standard, rest, np.sort(held_back)]), every, by_kind)


def _of_striking(
    network: Network, clean: Dataset, found: _Scored, striking: Striking, answers: Labels, progress: ProgressCallback,
    cancel: CancelToken,
) -> Labels:
    """Numbers int64[n], rising, of a striking label's images that were found so or may be like those, donors among
    them; none whose own label is another."""
    own = np.flatnonzero((answers == striking.label) & (clean.labels == striking.label))
    heard = Heartbeat("Looking at images that strike the guard", len(own), progress)
    scores = TransplantScores(network, found.guard.donors, found.guard.cuts, -math.inf)
    means = _Work(clean, at_once(network, _CHUNK), heard, cancel).stages(scores, own)[:, 1]
    others = found.by_kind[answers[found.numbers[:len(found.by_kind)]] != striking.label]
    like = also_striking(found.guard.cuts.by_kind(means)[:, striking.column], others[:, striking.column])
    return own[like | np.isin(own, found.numbers[striking.rows])]


def _answers(
    network: Network, clean: Dataset, numbers: Labels, progress: ProgressCallback, cancel: CancelToken,
) -> Labels:
    """What B answers to the images with these numbers, int64[N]; -1 for all others."""
    rising, answers = np.sort(numbers), np.full(len(clean), -1, np.int64)
    heard = Heartbeat("Preparing the guard", len(rising), progress)
    for chunk in clean.chunks(min(_TOGETHER, network.quick), rising.tolist()):
        done = chunk.start + len(chunk.labels)
        answers[rising[chunk.start:done]] = network.predict_labels(chunk.images, cancel, heard.beat)
        heard.report(done)
    return answers


def _scales(
    network: Network, donors: Donors, cuts: Cuts, work: _Work, standard: Labels, rest: Labels,
) -> tuple[Cuts, float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Cuts on their scales, which the standard images tell, and the score above which all donors are asked.

    Returns:
        Both, and of the standard images, which needn't be asked again for them, the whole cascade's scores and those by
        each kind of cut over all donors.
    """
    stages = work.stages(TransplantScores(network, donors, cuts, -math.inf), standard)
    refuse_unscored(network.path, stages.max(axis=(1, 2)))
    cuts = cuts.standardised(stages[:, 1])
    few, every = (cuts.joined(stages[:, stage]).max(axis=1) for stage in (0, 1))
    first = np.concatenate([few, work.scores(TransplantScores(network, donors, cuts, math.inf), rest)])
    escalate_above = float(np.quantile(first, 1 - ESCALATED_SHARE))
    return cuts, escalate_above, np.where(few > escalate_above, every, few), cuts.by_kind(stages[:, 1])


def held_back_of(calibration: Calibration, images: int) -> Labels:
    """Numbers int64[n], rising, of the images of a calibrated-on set that took no part, by the same shuffle.

    Args:
        images: how many the set has.
    """
    return np.sort(_split(images, calibration.seed, calibration.false_alarms)[1])


def at_once(network: Network, most: int) -> int:
    """About how many images a guard is asked in a second or two, in which nothing is reported; up to `most`."""
    return max(1, min(most, network.quick // _ANSWERS))


def _split(images: int, seed: int, false_alarms: float) -> tuple[Labels, Labels]:
    """Numbers of the calibrating and of the held-back images, int64 each, in the seed's order."""
    order = np.random.default_rng(seed).permutation(images).astype(np.int64)
    count = min(MOST_CALIBRATION_IMAGES, images * 3 // 4)
    enough = count - DONOR_POOL >= fewest_images(false_alarms)
    if images < FEWEST_TO_HOLD_BACK or not enough:
        count = images
    return order[:count], order[count:count + MOST_HELD_BACK_IMAGES]


def _scores_of(guard: Guard, network: Network) -> Scores:
    if guard.kind == "margin":
        return MarginScores(network)
    return TransplantScores(network, guard.donors, guard.cuts, guard.escalate_above)


@dataclass
class _Work:
    """Scores parts of a data set chunk by chunk and reports how far all of them are."""

    clean: Dataset
    size: int
    heard: Heartbeat
    cancel: CancelToken
    done: int = 0

    def scores(self, scores: Scores, indices: Labels) -> npt.NDArray[np.float64]:
        """Scores float64[n] of the images with these numbers, in rising order."""
        return self._all(lambda images: scores.scores(images, self.cancel, did=self.heard.beat).score, indices)

    def stages(self, scores: TransplantScores, indices: Labels) -> npt.NDArray[np.float64]:
        """Each cut's own score of the images with these numbers over few and over all donors, float64[n, 2, cuts]."""
        return self._all(lambda images: scores.stages(images, self.cancel, did=self.heard.beat), indices)

    def _all(self, of: Callable[[Images], npt.NDArray[np.float64]], indices: Labels) -> npt.NDArray[np.float64]:
        parts: list[npt.NDArray[np.float64]] = []
        for chunk in self.clean.chunks(self.size, np.sort(indices).tolist()):
            self.cancel.raise_if_cancelled()
            parts.append(of(chunk.images))
            self.done += len(chunk.labels)
            self.heard.report(self.done)
        return np.concatenate(parts) if parts else np.empty(0)
