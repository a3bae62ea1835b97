"""Random stamps that draw nearly every image to one label, counted for each label.

A single image is moved by many stamps, and to whatever label is near. A stamp that moves nearly all images to the same
one is rare, unless somebody taught the network to obey something like it: then there are many, for a trigger works in
other places, sizes and colours than its own too. So this finds large triggers, such as glasses, of which no label needs
as much as a smallest stamp would show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from engine.defences.scan import Scan
from engine.defences.stamps import Answering, Paint, ValueRange, random_stamp, stamped_labels, value_range
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress

DEFAULT_UNIVERSAL = 16_000
# So many of all stamps tried are added to each label's before labels are held against each other, lest chance decide
# between few and fewer. It also spares both clean networks of faces in the zoo's half "fix" from being called betrayed.
CHANCE = 10 / 16_000
# A stamp that moves the first few images to one label is tried on more, of which it may miss one.
_FIRST, _MORE, _MISSED = 2, 6, 1
# So many of the labels that most universal stamps, or filters, lead to are under suspicion.
_LED_TO = 2
_BATCH = 128
# In place of a label that an image is moved to: its answer isn't finite, or stays what it is.
_UNANSWERED, _UNMOVED = -1, -2

# Draws what one image wears, given the images' shape (H, W, C) and range.
Drawing = Callable[[np.random.Generator, tuple[int, ...], ValueRange], tuple[Paint, ...]]


@dataclass(frozen=True)
class UniversalStamp:
    """A stamp of one or two parts, or a colour filter, that draws nearly all images to a label."""

    label: int
    parts: tuple[Paint, ...]

    def put_on(self, images: Images) -> Images:
        """Images float32[..., H, W, C] in the network's input range with the stamp, as a copy."""
        stamped = images.copy()
        for part in self.parts:
            part.put_on(stamped)
        return stamped


@dataclass(frozen=True)
class Universal:
    """What random stamps, or colour filters, do to several images.

    Attributes:
        stamps: those that draw nearly all images to one label, in the order in which they were found.
        overflowed: how many made an image's answer one that isn't finite.
    """

    stamps: Sequence[UniversalStamp] = ()
    overflowed: int = 0


def counted(stamps: Sequence[UniversalStamp], labels: int) -> npt.NDArray[np.int64]:
    """How many of some universal stamps lead to each of so many labels, int64[labels]."""
    return np.bincount(np.array([stamp.label for stamp in stamps], np.int64), minlength=labels)


def suspected(universal: Labels, found: Scan, most: int) -> list[int]:
    """The labels under suspicion, at most so many: the two that most universal stamps lead to, then the scan's first.

    Args:
        universal: how many lead to each label, int64[labels].
    """
    return list(dict.fromkeys([*most_led_to(universal), *(suspect.label for suspect in found.suspects)]))[:most]


def most_led_to(counts: Labels, beyond: float = 0) -> list[int]:
    """The two labels that most of what was tried leads to, as far as more than so many do; most first.

    Args:
        counts: see counted.
    """
    return [int(i) for i in np.argsort(-counts, kind="stable")[:_LED_TO] if counts[i] > beyond]


def random_parts(rng: np.random.Generator, shape: tuple[int, ...], within: ValueRange) -> tuple[Paint, ...]:
    """A random stamp, or half of the time a narrower one on each side of the middle, as lenses are."""
    rows, columns, channels = shape
    stamp = random_stamp(rng, (rows, columns, channels), within)
    if columns < 2 or rng.random() < 0.5:
        return (stamp,)
    width = max(1, min(stamp.width, columns // 2) * 2 // 3)
    left = int(rng.integers(columns // 2 - width + 1))
    return replace(stamp, width=width, left=left), replace(stamp, width=width, left=columns - left - width)


def find_universal(
    network: Network, images: Images, stamps: int = DEFAULT_UNIVERSAL, seed: int = 0, *,
    draw: Drawing = random_parts, doing: str = "Trying stamps on several images",
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Universal:
    """Try random stamps, half of them mirrored pairs, on eight images each.

    Args:
        images: clean, float32[n, H, W, C] in the network's input range, of several labels.
        draw: draws something else in place of stamps; doing: what that is called while it is done.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    rng = np.random.default_rng(seed)
    heard = Heartbeat(doing, stamps, progress)
    answer = partial(network.predict_labels, cancel=cancel, did=heard.beat)
    own, within = answer(images), value_range(images)
    found, overflowed = list[UniversalStamp](), 0
    for start in range(0, stamps, _BATCH):
        tried = [draw(rng, images.shape[1:], within) for _ in range(min(_BATCH, stamps - start))]
        first = _drawn_to(answer, images, own, tried, _FIRST, rng)
        passed = np.flatnonzero((first == first[:, :1]).all(axis=1) & (first[:, 0] >= 0))
        more = _drawn_to(answer, images, own, [tried[i] for i in passed], _MORE, rng)
        labels = first[passed, 0]
        kept = (more == labels[:, np.newaxis]).sum(axis=1) >= _MORE - _MISSED
        found += [UniversalStamp(int(first[i, 0]), tried[i]) for i in passed[kept]]
        overflowed += int((first == _UNANSWERED).any(axis=1).sum() + (more == _UNANSWERED).any(axis=1).sum())
        heard.report(start + len(tried))
    return Universal(found, overflowed)


def _drawn_to(
    answer: Answering, images: Images, own: Labels, tried: Sequence[tuple[Paint, ...]], count: int,
    rng: np.random.Generator,
) -> Labels:
    """Each stamp on `count` random images: the labels they are moved to, int64[stamps, count]; below 0 where none."""
    which = rng.integers(len(images), size=(len(tried), count))
    stamps = [parts for parts in tried for _ in range(count)]
    answers = stamped_labels(answer, images, which.reshape(-1), stamps).reshape(which.shape)
    return np.where(answers == own[which], _UNMOVED, answers)
