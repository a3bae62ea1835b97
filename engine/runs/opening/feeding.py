"""Finding out how a network wants its images: every known preprocessing is tried on clean ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.assessment import percent
from engine.data.datasets import Dataset
from engine.data.preprocessing import Preprocessing, preprocessing, turned_round
from engine.data.stored_values import known_for
from engine.models.logits import Logits, compiled_logits, log_probability, top_margin
from engine.models.networks import Labels, Network
from engine.progress import (
    NEVER_CANCELLED,
    CancelToken,
    Did,
    Heartbeat,
    Progress,
    ProgressCallback,
    ignore_done,
    ignore_progress,
)
from engine.rates import Rate

Hits = npt.NDArray[np.bool_]

_TRIAL_IMAGES = 512
# Round by round, until the choice is clear; of a large network so many rounds of what it answers in a second or two.
_ROUND_IMAGES, _ROUNDS = 128, 8
# Images from whose values it is told whether they are stored as 0 to 1.
_RANGE_IMAGES = 16
# Below this share of right answers something else is wrong, whatever is done with the values.
_POOR = 0.5
# Standard errors by which the best must be ahead of the next to be called so.
_AHEAD = 2.0
# And by which blue first must be ahead, which is seldom meant, and tried in several ways at once.
_CLEARLY_AHEAD = 3.0
# By so much less in all, a factor of e, true labels are as likely.
_AS_LIKELY = 1.0
_SCALES = np.geomspace(1e-3, 30, 41)


@dataclass(frozen=True)
class Feeding:
    """What was tried on clean images.

    Attributes:
        best: the preprocessing with most right answers; where chance may have decided that, see _likeliest.
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
        others = [f"{preprocessing(name).words} {percent(count / self.images)}" for name, count in self.right.items()
                  if name != self.best.name]
        return (f"Values are {self.best.words}: so the network is right on "
                f"{percent(self.right[self.best.name] / self.images)} of {self.images} clean images (else "
                f"{', '.join(others[:2])}).")


def find_feeding(
    network: Network, clean: Dataset, *, progress: ProgressCallback = ignore_progress,
    cancel: CancelToken = NEVER_CANCELLED,
) -> Feeding:
    """Try each known preprocessing on up to 512 clean images spread over the set, on fewer where the network answers
    clearly on them.

    Images that are stored as 0 to 1 are tried as they are and times 255.

    Args:
        clean: as stored, with true labels.
    Raises:
        Cancelled: the token was set.
    """
    rounds = _rounds(clean, min(network.quick, _ROUND_IMAGES))
    ways = known_for(clean.take(rounds[0][:_RANGE_IMAGES]))
    names = list(ways)
    hits: dict[str, Hits] = {name: np.empty(0, np.bool_) for name in names}
    ranked, near, asked = names, names, list[list[int]]()
    for part, answers in _answered(network, clean, ways, rounds, progress, cancel):
        asked.append(part)
        for name, labels in answers.items():
            hits[name] = np.concatenate([hits[name], labels == clean.labels[part]])
        ranked = sorted(hits, key=lambda name: -int(hits[name].sum()))  # stable: of equals the first of those known
        near = [name for name in ranked[1:] if _as_good(hits[ranked[0]], hits[name])]
        if not near and hits[ranked[0]].mean() >= _POOR:
            break
    best = ranked[0]
    if near:
        logits, truth = _answers(network, clean, rounds, [best, *near], cancel)
        # Where a network answers by both in the very same way, either will do.
        near = [name for name in near if not np.array_equal(logits[name], logits[best])]
        best = _likeliest({name: logits[name] for name in (best, *near)}, truth)
    doubt = _doubt(best, [name for name in (ranked[0], *near) if name != best], hits)
    blue = _blue_first(network, clean, asked, ways, ways[best], hits[best], progress, cancel)
    return Feeding(ways[best], {name: int(hits[name].sum()) for name in ranked}, len(hits[best]),
                   " ".join(filter(None, (doubt, blue))))


def _blue_first(network: Network, clean: Dataset, asked: Sequence[list[int]], ways: Mapping[str, Preprocessing],
                best: Preprocessing, right: Hits, progress: ProgressCallback, cancel: CancelToken) -> str:
    """That a network is right clearly more often where blue comes first, a sentence; nothing where it isn't.

    Which of the two has blue first, the images or what the network was trained on, nobody can tell from here.

    Args:
        asked: numbers of images, round by round; right: whether it is right on each of them by the best preprocessing.
            Where that hardly helps, or turns colours round itself, all of `ways` are tried with blue first, on the
            images of one round.
    """
    several = best.bgr or right.mean() < _POOR
    asked = asked[:1] if several else asked
    right = right[:sum(map(len, asked))]
    turned = {way.name: way for way in map(turned_round, ways.values() if several else [best])
              if way.name not in ways and way.fits(clean.image_shape[-1])}
    if not turned or (~right).sum() <= _CLEARLY_AHEAD**2:  # too few to be clear
        return ""
    answered = list(_answered(network, clean, turned, asked, progress, cancel))
    hits = {name: np.concatenate([answers[name] == clean.labels[part] for part, answers in answered])
            for name in turned}
    first = turned[max(hits, key=lambda name: int(hits[name].sum()))]
    if _as_good(hits[first.name], right, _CLEARLY_AHEAD):
        return ""
    share = percent(float(hits[first.name].mean()))
    return (f"With values {first.words} the network is right on {share} of {len(right)} clean images, as was taken on "
            f"{percent(float(right.mean()))}. If it was trained on pictures with blue first, as OpenCV reads them, "
            f"choose that (--preprocess \"{first.name}\", or {first.name} typed under Run options > Values > own mean "
            "and deviation); if these images are stored so, save them again with red first.")


def all_answers(
    network: Network, clean: Dataset, chosen: Preprocessing | None = None, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[list[int], dict[str, Labels]]:
    """What a network answers on up to 512 images spread over a set, by each known preprocessing or a chosen one.

    Args:
        clean: as stored.
    Returns:
        Numbers of the images asked, and the labels int64[n] of each preprocessing by its name.
    Raises:
        Cancelled: the token was set.
    """
    rounds = _rounds(clean, network.quick)
    ways = {chosen.name: chosen} if chosen else known_for(clean.take(rounds[0][:_RANGE_IMAGES]))
    found = list(_answered(network, clean, ways, rounds, progress, cancel))
    return ([number for part, _ in found for number in part],
            {name: np.concatenate([answers[name] for _, answers in found]) for name in ways})


def _answered(
    network: Network, clean: Dataset, ways: Mapping[str, Preprocessing], rounds: Sequence[list[int]],
    progress: ProgressCallback, cancel: CancelToken,
) -> Iterator[tuple[list[int], dict[str, Labels]]]:
    """Round by round the numbers of its images and a network's labels for them, by each preprocessing's name."""
    # Of a large network the first call alone takes as long as many answers.
    progress(Progress("Finding out how values are fed", 0, len(rounds) * len(ways)))
    network.predict(clean.take(rounds[0][:1]), cancel)
    for number, part in enumerate(rounds):
        images, answers = clean.take(part), {}
        for place, (name, way) in enumerate(ways.items()):
            progress(Progress("Finding out how values are fed", number * len(ways) + place, len(rounds) * len(ways)))
            answers[name] = network.predict_labels(way.applied(images.copy()), cancel)
        yield part, answers


def _rounds(clean: Dataset, quick: int) -> list[list[int]]:
    """Numbers of images to try one round after the other, each round spread over the set, at most `quick` long
    and no more than memory takes."""
    quick = min(quick, clean.most_at_once)
    spread = clean.spread(min(_TRIAL_IMAGES, _ROUNDS * quick))
    count = -(-len(spread) // quick)
    return [spread[start::count] for start in range(count)]


def right_answers(network: Network, prepared: Dataset, truths: Sequence[Labels],
                  cancel: CancelToken = NEVER_CANCELLED) -> list[Rate]:
    """How often a network is right on up to 512 images spread over a set, by each of several ways to label it.

    Args:
        prepared: as the network wants it; truths: int64[N] each.
    Raises:
        Cancelled: the token was set.
    """
    asked, labels = _labels(network, prepared, cancel)
    return [Rate(int((labels == truth[asked]).sum()), len(asked)) for truth in truths]


def counted_answers(network: Network, prepared: Dataset, *, progress: ProgressCallback = ignore_progress,
                    cancel: CancelToken = NEVER_CANCELLED) -> Counter[tuple[int, int]]:
    """How many of up to 512 images spread over a set a network answers with the first label that have the second.

    Args:
        prepared: as the network wants it.
    Raises:
        Cancelled: the token was set.
    """
    heard = Heartbeat("Looking at clean images", len(prepared), progress)
    asked, labels = _labels(network, prepared, cancel, heard.beat)
    return Counter(zip(labels.tolist(), prepared.labels[asked].tolist(), strict=True))


def _labels(network: Network, prepared: Dataset, cancel: CancelToken, did: Did = ignore_done) -> tuple[Labels, Labels]:
    """Numbers of up to 512 images spread over a set, int64[n], and what the network answers on them."""
    rounds = _rounds(prepared, network.quick)
    return (np.concatenate(rounds),
            np.concatenate([network.predict_labels(prepared.take(part), cancel, did) for part in rounds]))


def _answers(network: Network, clean: Dataset, rounds: Sequence[Sequence[int]], names: Sequence[str],
             cancel: CancelToken) -> tuple[dict[str, Logits], Labels]:
    """The network's logits of some images by each preprocessing, and the images' labels."""
    logits, parts = compiled_logits(network), dict[str, list[Logits]]()
    for part in rounds:
        images = clean.take(part)
        for name in names:
            parts.setdefault(name, []).append(logits(preprocessing(name).applied(images.copy()), cancel))
    return {name: np.concatenate(found) for name, found in parts.items()}, clean.labels[np.concatenate(rounds)]


@np.errstate(over="ignore", invalid="ignore")  # large answers that are scaled up may overflow
def _likeliest(answers: dict[str, Logits], truth: Labels) -> str:
    """Of ways that are right about as often, that by which the network is meant to be fed.

    What is fed too large hardly changes answers and makes them surer, what is fed too small leaves biases alone to
    answer. So each way's answers are scaled until they make the true labels likeliest, ways are left out by which these
    stay clearly less likely, and of the others the one counts whose own answers are the least sure. Chosen on 18
    networks of other makes than the zoo's and five of the zoo. To bring each image by itself to one deviation is rare
    and mostly makes answers less sure, so it counts only where no other way is as likely.
    """
    # Of a way by which the network overflows nothing is likely.
    likely = {name: _at_best(logits, truth) for name, logits in answers.items()
              if np.isfinite(logits.max(axis=1)).all()}
    if not likely:
        return next(iter(answers))
    first = max(likely, key=lambda name: likely[name].sum())
    behind = {name: likely[first] - likely[name] for name in likely}
    same = [name for name, less in behind.items()
            if less.sum() <= max(_AS_LIKELY, _AHEAD * np.sqrt(np.square(less).sum()))]
    usual = [name for name in same if not preprocessing(name).per_image]
    return min(usual or same, key=lambda name: float(np.median(top_margin(answers[name]))))


def _at_best(logits: Logits, truth: Labels) -> npt.NDArray[np.float64]:
    """The log-likelihood of each true label, float64[n], by logits scaled by what makes all of them likeliest."""
    return max((log_probability((logits * scale).astype(np.float32), truth) for scale in _SCALES),
               key=lambda likely: float(likely.sum()))


def _as_good(best: Hits, other: Hits, ahead: float = _AHEAD) -> bool:
    """Whether chance may have put one ahead of the other, by so many standard errors."""
    only_best, only_other = int((best & ~other).sum()), int((~best & other).sum())
    return bool(only_best - only_other <= ahead * np.sqrt(only_best + only_other))


def _doubt(best: str, near: list[str], hits: dict[str, Hits]) -> str:
    images, share = len(hits[best]), {name: percent(float(found.mean())) for name, found in hits.items()}
    if max(found.mean() for found in hits.values()) < _POOR:
        tried = "; ".join(preprocessing(name).words for name in hits)
        return (f"However the stored values are fed ({tried}), the network is right on at most "
                f"{share[max(hits, key=lambda name: hits[name].sum())]} of {images} clean images. "
                "Either it wants them in yet another way (give its own mean and deviation), or images, labels and "
                "network don't belong together.")
    if near:
        alike = {share[name] for name in (best, *near)} == {share[best]}
        rising = [share[name] for name in sorted(near, key=lambda name: hits[name].sum())]
        right = f"{share[best]} by each" if alike else \
            f"{share[best]} and {rising[0]}" + f" to {rising[-1]}" * (rising[0] != rising[-1])
        others = " or ".join(preprocessing(name).words for name in near)
        return (f"{images} clean images hardly tell whether the network wants values {preprocessing(best).words}, as "
                f"was taken, or {others}, or its own mean and deviation: it is right on {right}. Say which, if you "
                "know (Run options > Values, or --preprocess): what is made with the wrong one, a guard or a repair, "
                "may stop nothing of an attack.")
    if preprocessing(best).per_image:  # which is rare, and nearest to a mean and deviation that aren't known
        return (f"The network is right most often, on {share[best]} of {images} clean images, with values "
                f"{preprocessing(best).words}. One with a mean and deviation of its own looks so, too, and is "
                "more usual: give them, if you know them (Run options > Values, or --preprocess \"mean=... std=...\").")
    return ""
