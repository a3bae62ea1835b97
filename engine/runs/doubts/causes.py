"""The likely cause of a doubt: common slips are undone on a few images, and the one that makes B right is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from engine.assessment import percent
from engine.data.datasets import Dataset, Images, Labels
from engine.data.preprocessing import AS_STORED, Preprocessing
from engine.data.stored_values import known_for
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.pruning.sweep import SweepSet
from engine.runs.doubts.plausibility import Doubt

_TRIAL_IMAGES = 256
# So much better must B be with a slip undone, and so often right, that the slip is called likely; where it is as often
# right with it, it must be better by fewer images.
_BETTER, _GOOD, _SOMEWHAT_BETTER = 0.3, 0.5, 0.1
_FEWEST_PER_LABEL, _FITTING = 3, 0.7
# And so seldom may chance alone have done as much in any of the tries.
_BY_CHANCE = 0.05
# By how much labels are too high, and what a person is told then.
_LABEL_SLIPS = {0: "", 1: "every label is one too high; save the set again with labels that count from 0.",
                -1: "every label is one too low; save the set again with labels that count from 0."}
_NAME_THEM = "Give the class list in the network's order (--classes FILE, or Label names in the window)."
_RENUMBER_THEM = "Save the set again with the network's numbers."


def explained(doubts: Iterable[Doubt], network: Network, sets: Sequence[SweepSet], progress: ProgressCallback,
              cancel: CancelToken, called: str = "B") -> tuple[Doubt, ...]:
    """Doubts with their likely causes, where a common slip explains them.

    Args:
        network: B; sets: those of the curve that is doubted, in its order; called: what it is called.
    Raises:
        Cancelled: the token was set.
    """
    found = []
    for doubt in doubts:
        cancel.raise_if_cancelled()
        if doubt.unexplained is not None:
            asked = sets[doubt.unexplained]
            likely = likely_target if asked.role == "poisoned" else likely_cause
            cause = likely(network, asked.dataset, progress, cancel, called)
            if doubt.slip and not cause:
                continue
            doubt = doubt.because(cause)
        found.append(doubt)
    return tuple(found)


def likely_cause(network: Network, dataset: Dataset, progress: ProgressCallback = ignore_progress,
                 cancel: CancelToken = NEVER_CANCELLED, called: str = "B") -> str:
    """Why B answers a clean set badly, as far as a common slip explains it.

    Args:
        dataset: prepared as the network is thought to want it; called: as explained's.
    Returns:
        One or two sentences, or nothing where no slip explains it.
    Raises:
        Cancelled: the token was set.
    """
    where = _asked(dataset, network)
    truth = dataset.labels[where]
    answers: dict[str, Labels] = {}
    for cause, images in (tries := _tries(dataset, where)).items():
        progress(Progress("Looking for a likely cause", len(answers), len(tries)))
        answers[cause] = network.predict_labels(images(), cancel)
    before = answers[""] == truth
    # Labels can't all be too high where one of them is 0 already.
    slips = {shift: slip for shift, slip in _LABEL_SLIPS.items()
             if dataset.labels.min() - shift >= 0 and dataset.labels.max() - shift < network.labels}
    found = [(labels == truth - shift, f"{slip} {cause}".strip())
             for cause, labels in answers.items() for shift, slip in slips.items()]
    best, told = max(found, key=lambda tried: int(tried[0].sum()))
    right, was = float(best.mean()), float(before.mean())
    wanted = was + _SOMEWHAT_BETTER if was >= _GOOD else max(_GOOD, was + _BETTER)
    if right >= wanted and _surely(int((best & ~before).sum()), int((before & ~best).sum()), len(found)):
        return f"Likely cause: {told} {called} is then right on {percent(right)} of {len(where)} images tried."
    # Wrong labels make a wrong choice of preprocessing, too, so each is looked at.
    order = next(filter(None, (_of_order(labels, truth, called, len(answers), was >= _GOOD)
                               for labels in answers.values())), "")
    remedy = _NAME_THEM if dataset.label_names else _RENUMBER_THEM
    return f"{order} {remedy}" if order else ""


def likely_target(network: Network, poisoned: Dataset, progress: ProgressCallback = ignore_progress,
                  cancel: CancelToken = NEVER_CANCELLED, called: str = "B") -> str:
    """Whether B answers one other label on most of a poisoned set that doesn't show a backdoor.

    Raises:
        Cancelled: the token was set.
    """
    progress(Progress("Looking for a likely cause", 0, 1))
    where = _asked(poisoned, network)
    numbers, counts = np.unique(network.predict_labels(poisoned.take(where), cancel), return_counts=True)
    most, times = int(numbers[counts.argmax()]), int(counts.max())
    if most < 0 or not _surely(times, len(where) - times) or (poisoned.labels == most).all():
        return ""
    return (f"Likely cause: the wrong target. {called} answers label {most} on {percent(times / len(where))} of "
            f"{len(where)} images tried. If they wear a trigger, {most} is the target, and they must be labelled so; "
            f"pictures of label {most} itself show no attack.")


def _asked(dataset: Dataset, network: Network) -> list[int]:
    """Numbers of the images to try, spread over the set, as a sorted one shows few labels in a piece."""
    return dataset.spread(min(_TRIAL_IMAGES, 2 * network.quick, dataset.most_at_once))


def _surely(for_it: int, against: int, tries: int = 1) -> bool:
    """Whether so many images for something and so many against it, each as likely by chance, hardly come about in any
    of some tries: a sign test."""
    total = for_it + against
    as_far = sum(math.comb(total, more) for more in range(for_it, total + 1))
    return tries * as_far < _BY_CHANCE * (1 << total)


def _tries(dataset: Dataset, where: Sequence[int]) -> dict[str, Callable[[], Images]]:
    """Images as they are and with slips undone, by what is then the cause."""
    stored = dataset.prepared(AS_STORED).take(where)
    images = _fed(dataset.preprocessing, stored)
    tries: dict[str, Callable[[], Images]] = {"": lambda: images}
    for known in known_for(stored).values():
        if known != dataset.preprocessing:
            tries[f"The network wants values {known.words}."] = partial(_fed, known, stored)
    if images.shape[3] == 3:
        tries["Red and blue are exchanged; save the images as RGB."] = lambda: np.ascontiguousarray(images[..., ::-1])
    if images.shape[1] == images.shape[2]:
        tries["The images lie on their side, rows stored as columns."] = \
            lambda: np.ascontiguousarray(images.swapaxes(1, 2))
    return tries


def _fed(known: Preprocessing, stored: Images) -> Images:
    return known.applied(stored.copy())


def _of_order(answers: Labels, truth: Labels, called: str, tries: int, mostly_right: bool) -> str:
    """Whether B answers each label's images with one label, another one for each: then only the names differ. Where it
    is mostly right, they must have exchanged them; to answer one label with another that isn't there is a mistake."""
    mapped: dict[int, int] = {}
    fitting = judged = 0
    for label in np.unique(truth):
        own = answers[truth == label]
        if len(own) >= _FEWEST_PER_LABEL:
            numbers, counts = np.unique(own, return_counts=True)
            mapped[int(label)] = int(numbers[counts.argmax()])
            fitting, judged = fitting + int(counts.max()), judged + len(own)
    renamed = [label for label, answer in mapped.items() if label != answer]
    if mostly_right and {*renamed} != {mapped[label] for label in renamed}:
        return ""
    if not renamed or -1 in mapped.values() or len(set(mapped.values())) < len(mapped) or fitting < _FITTING * judged \
            or not _surely(fitting, judged - fitting, tries):
        return ""
    example = renamed[0]
    return ("Likely cause: the labels are numbered in another order than the network's, as of folders sorted by name. "
            f"{called} answers images of label {example} with label {mapped[example]}.")
