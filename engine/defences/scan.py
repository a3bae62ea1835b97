"""The scan: towards which label does a network let itself be pushed by patches, with no poisoned image at hand?

It ranks suspects. It proves nothing: a network without a backdoor also has a label in first place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from engine.assessment import overflow_text
from engine.data.datasets import Dataset
from engine.defences.stamps import Answering, Stamp, ValueRange, as_picture, random_stamp, stamped_labels, value_range
from engine.errors import DatasetError
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress
from engine.rates import Rate

DEFAULT_STAMPS = 20_000

# Images the stamps are put on, kept in memory; more make no difference to the counts.
_MOST_IMAGES = 1000
_BATCH = 256
_CANDIDATES = 48
_TRIAL_IMAGES = 40
_EXAMPLES = 6
# How many times the second count the first must be to be called ahead. Measured at 20,000 stamps: 2.0 and 3.4 on
# two backdoored networks, 1.6 on a network without a backdoor, so this tells where to look and nothing more.
_AHEAD = 2.0


@dataclass(frozen=True)
class Suspect:
    """A label and how many stamped images changed to it."""

    label: int
    count: int


@dataclass(frozen=True, eq=False)
class StampExample:
    """A stamp that drew images to the top suspect.

    Attributes:
        drawn: of further images with another label, how many the same stamp draws to the suspect.
        picture: uint8[H, W, C], the image it was found on, stamped.
    """

    stamp: Stamp
    drawn: Rate
    picture: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Scan:
    """What a scan found.

    Attributes:
        stamps: stamps tried, one image each; changed: how many changed the label.
        suspects: labels that any image changed to, most first; of equals the lower label first.
        examples: the stamps that work best on the first suspect, best first.
        sentence: what that means, in words: suspects, no verdict.
        overflowed: stamps with which an image's answer isn't finite, so that it has no label to change to.
    """

    stamps: int
    changed: int
    suspects: tuple[Suspect, ...]
    examples: tuple[StampExample, ...]
    sentence: str
    overflowed: int = 0


@dataclass(frozen=True, eq=False)
class _Change:
    stamp: Stamp
    image: int
    label: int


def scan(
    network: Network, clean: Dataset, stamps: int = DEFAULT_STAMPS, seed: int = 0, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Scan:
    """Put random patches on random clean images and count the labels that images change to.

    Args:
        network: B, the network to look into.
        clean: clean images in the network's input range; up to 1,000 of them, as far as memory holds them, are
            used. Their labels aren't.
        stamps: how many patches to try.
    Raises:
        DatasetError: there are no images, they can't be read, or the network has no answer to some.
        Cancelled: the token was set; nothing is kept.
    """
    if not len(clean):
        raise DatasetError(f"{clean.path}: holds no images; a scan needs clean images to put patches on.")
    rng = np.random.default_rng(seed)
    images = clean.take(rng.permutation(len(clean))[:min(_MOST_IMAGES, clean.most_at_once)].tolist())
    heard = Heartbeat("Scanning with stamps", stamps, progress)
    answer = partial(network.predict_labels, cancel=cancel, did=heard.beat)
    own, values = answer(images), value_range(images)
    refuse_unanswered(network, clean, own)
    changes: list[_Change] = []
    for start in range(0, stamps, _BATCH):
        cancel.raise_if_cancelled()
        count = min(_BATCH, stamps - start)
        changes += _changes_of(answer, images, own, values, count, rng)
        heard.report(start + count)
    every, changes = len(changes), [change for change in changes if change.label >= 0]
    overflowed = every - len(changes)
    suspects = () if overflowed else ranked(np.array([c.label for c in changes], np.int64))
    examples: tuple[StampExample, ...] = ()
    if suspects:
        drawing = [c for c in changes if c.label == suspects[0].label]
        examples = _best_examples(answer, images, own, values, drawing, rng)
    return Scan(stamps, len(changes), suspects, examples, in_words(stamps, len(changes), suspects, overflowed),
                overflowed)


def refuse_unanswered(network: Network, clean: Dataset, own: Labels) -> None:
    """Refuse to look for an attacker where a network's answers are no numbers.

    Args:
        own: its answers to some clean images, int64[n]; -1 where it has none.
    Raises:
        DatasetError: some are missing.
    """
    if broken := int((own < 0).sum()):
        raise DatasetError(f"{network.path}: {overflow_text('the network', broken, len(own), clean.name)}")


def ranked(labels: Labels) -> tuple[Suspect, ...]:
    """Count labels int64[n] that stamped images changed to, most frequent first."""
    found, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(Suspect(int(found[i]), int(counts[i])) for i in order)


def in_words(stamps: int, changed: int, suspects: tuple[Suspect, ...], overflowed: int = 0) -> str:
    """One or two sentences that name suspects and no culprit; none of these where answers aren't finite."""
    if overflowed:
        return (f"On {overflowed:,} of {stamps:,} stamped images the network's answers aren't numbers (NaN or "
                "infinite), which trained networks don't give. So this scan suspects no label and clears none. Check "
                "how values are fed, and that the network's file is undamaged.")
    if not suspects:
        return (f"None of {stamps:,} stamps changed an image's label: this scan found no suspect. That is no proof "
                "of a network without a backdoor; its trigger may be unlike these stamps.")
    first, second = suspects[0], suspects[1].count if len(suspects) > 1 else 0
    drew = (f"Of {changed:,} images that a stamp changed, {first.count:,} changed to label {first.label} and "
            f"{second:,} to the next.")
    doubt = "Some label is always first, in a network without a backdoor too: this is a suspect, not a verdict."
    # Counts wander by about their square root, so a lead must also be larger than that.
    if first.count >= _AHEAD * second and first.count - second > 3 * math.sqrt(first.count + second):
        return f"{drew} Label {first.label} is well ahead of the others, so look at its stamps first. {doubt}"
    return f"{drew} No label stands out clearly. {doubt}"


def _changes_of(
    answer: Answering, images: Images, own: Labels, values: ValueRange, count: int, rng: np.random.Generator,
) -> list[_Change]:
    """Try `count` stamps on one random image each."""
    which = rng.integers(len(images), size=count)
    shape = (images.shape[1], images.shape[2], images.shape[3])
    stamps = [random_stamp(rng, shape, values) for _ in range(count)]
    labels = stamped_labels(answer, images, which, [(stamp,) for stamp in stamps])
    return [_Change(stamps[i], int(which[i]), int(labels[i])) for i in np.flatnonzero(labels != own[which])]


def _best_examples(
    answer: Answering, images: Images, own: Labels, values: ValueRange, drawing: list[_Change],
    rng: np.random.Generator,
) -> tuple[StampExample, ...]:
    """Try stamps again on up to 40 other images each and keep the 6 that draw most to the label."""
    label = drawing[0].label
    examples = []
    for i in rng.permutation(len(drawing))[:_CANDIDATES]:
        change = drawing[i]
        others = np.flatnonzero((own != label) & (np.arange(len(own)) != change.image))
        stamped = images[rng.permutation(others)[:_TRIAL_IMAGES]]
        change.stamp.put_on(stamped)
        drawn = Rate(int((answer(stamped) == label).sum()), len(stamped))
        seen = images[change.image].copy()
        change.stamp.put_on(seen)
        examples.append(StampExample(change.stamp, drawn, as_picture(seen, values)))
    return tuple(sorted(examples, key=lambda e: -e.drawn.count)[:_EXAMPLES])
