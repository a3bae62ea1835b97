"""What is wrong with the input of a run, so that its figures would comfort somebody they shouldn't.

Pure functions over counts, labels and hashes. A doubt about implausible input stops every verdict "repaired" and
"protected"; the others only say what the figures don't cover.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from engine.assessment import HARMLESS_ATTACK, astray, percent
from engine.data.datasets import Labels
from engine.data.fingerprints import Hashes
from engine.pruning.sweep import PruningCurve, Role, SetCounts

# Of what lies between guessing and always being right, so little is hardly better than chance.
_HARDLY_BETTER = 0.15
_FAR_WORSE_POINTS = 15.0
# B is right on less than this share of the clean images: it may be a poor network, or labels or values are another's.
_POOR = 0.9
_FEWEST_IMAGES = 20
# From this share on, images of one label, or images that two sets share, decide the figures.
_NEARLY_ALL, _NOT_A_FEW = 0.95, 0.01
# The target label is called flooded when it has such a share and so many times the average label's images.
_FLOODED_SHARE, _FLOODED_TIMES = 0.2, 5
# B answers the target on less than this share of the images: most of them can't carry its trigger.
WEAK_ATTACK = 0.5
_FEW_LABELS = 0.5
# So many labels without an image are named.
_NAMED = 4
# Of 4 labels and more, one that more than half of the images show decides what is normal. Measured: a guard set to 2 %
# on images of 10 labels of which 85 % showed one flagged 18 % of a set that shows each as often.
_MOST, _FEWEST_LABELS = 0.5, 4
_MANY_COPIES = 0.1
_ROLES: dict[Role, str] = {"validation": "the validation set", "test": "the test set", "poisoned": "the poisoned set"}


@dataclass(frozen=True)
class Doubt:
    """A sentence on the input.

    Attributes:
        implausible: it stops verdicts.
        unexplained: the number of the curve's set on which a likely cause can be looked for; None where none can.
        slip: with a cause it stops verdicts, without one it is none: a network may be no better than that.
    """

    sentence: str
    implausible: bool
    unexplained: int | None = None
    slip: bool = False

    def because(self, cause: str) -> Doubt:
        """With the likely cause, a sentence, where one was found."""
        return dataclasses.replace(self, sentence=f"{self.sentence} {cause}".strip(),
                                   implausible=self.implausible or (self.slip and bool(cause)))


@dataclass(frozen=True, eq=False)
class SetSeen:
    """What is known of a set besides its counts: name, role, its labels int64[n] and its images' hashes uint64[n]."""

    name: str
    role: Role
    labels: Labels
    hashes: Hashes


def doubts_of(
    curve: PruningCurve, labels: int, sets: Sequence[SetSeen] = (), called: str = "B",
) -> tuple[Doubt, ...]:
    """Everything that is doubtful, what stops a verdict first.

    Args:
        curve: counts of all steps; only step 0, B, is looked at.
        labels: number of labels of the network.
        sets: the curve's sets in its order; without them only the counts are looked at.
        called: what the network is called.
    """
    guessed = any(hardly_better_than_chance(c, labels) for c in curve.sets if c.role != "poisoned")
    # Of a network that guesses on clean images nothing can be said on poisoned ones.
    about_poisoned = () if guessed else _about_poisoned_counts(curve, called)
    found = [*_about_clean_counts(curve, labels, called), *about_poisoned, *_about_few(curve),
             *_about_labels(sets, labels), *_about_shared(sets, curve), *_about_copies(sets)]
    return tuple(sorted(found, key=lambda doubt: not doubt.implausible))


def _about_clean_counts(curve: PruningCurve, labels: int, called: str) -> Iterator[Doubt]:
    """B hardly better than chance on a clean set, far worse on one than on the other, or poor on both."""
    clean = [curve.validation, *([curve.test] if curve.test else [])]
    bad = [c for c in clean if hardly_better_than_chance(c, labels)]
    if bad:
        told = " and ".join(f"{percent(c.b_prime_rate(0).value)} of {_named(c, clean)}" for c in bad)
        yield Doubt(f"{called} answers only {told} right, hardly more than by chance ({percent(1 / labels)}): either "
                    "these labels or values aren't what this network was trained on, or it isn't the network.", True,
                    clean.index(bad[0]))
        return
    if curve.validation.b_prime_rate(0).value < _POOR:
        yield Doubt(f"{called} answers only {percent(curve.validation.b_prime_rate(0).value)} of "
                    f"{curve.validation.name} right.", False, 0, slip=True)
    yield from (Doubt(told, False) for c in clean if (told := astray(c.name, c.answers, labels, c.total)))
    if curve.test:
        better, worse = sorted(clean, key=lambda c: -c.b_prime_rate(0).value)
        high, low = better.b_prime_rate(0), worse.b_prime_rate(0)
        if 100 * (high.value - low.value) > _FAR_WORSE_POINTS and low.interval[1] < high.interval[0]:
            yield Doubt(f"{called} answers {percent(high.value)} of {_named(better, clean)} right but only "
                        f"{percent(low.value)} of {_named(worse, clean)}: the two sets aren't alike, so one of them "
                        "isn't what it should be.", True, clean.index(worse))


def _named(one: SetCounts | SetSeen, among: Sequence[SetCounts | SetSeen]) -> str:
    """A set's name, with its role where another one is called the same, as of a/test and b/test."""
    alike = sum(other.name == one.name for other in among) > 1
    return f"{one.name} ({_ROLES[one.role]})" if alike else one.name


def hardly_better_than_chance(clean: SetCounts, labels: int) -> bool:
    """Whether B is right on a clean set hardly more often than somebody who guesses among all labels."""
    chance = 1 / labels
    return clean.b_prime_rate(0).value - chance < _HARDLY_BETTER * (1 - chance)


def _about_poisoned_counts(curve: PruningCurve, called: str) -> Iterator[Doubt]:
    """Sets whose target B seldom answers: they show no attack, or only some of their images carry the trigger. Of a
    trigger that was computed from B nobody chose the target, and all images carry it: it is only a poor one. As only a
    file says that it was, a set of another strength must be there before anything follows."""
    strong = any(c.role == "poisoned" and c.b_prime_rate(0).value >= WEAK_ATTACK for c in curve.sets)
    for number, counts in enumerate(curve.sets):
        before, asked = counts.b_prime_rate(0).value, None if counts.reconstructed else number
        if counts.role != "poisoned":
            continue
        if before <= HARMLESS_ATTACK:
            yield Doubt(f"{counts.name} shows no backdoor: {called} answers {_wanted('its label', counts.target)} on "
                        f"{percent(before)} of these images, so it says nothing about any defence.", False, asked)
        elif before < WEAK_ATTACK:
            why = ("the trigger computed from the network hardly works" if counts.reconstructed else
                   "most of its images don't carry a trigger that works")
            yield Doubt(f"{called} answers {_wanted('the target', counts.target)} on only {percent(before)} of "
                        f"{counts.name}: {why}, and a defence looks better on them than it is.",
                        not (counts.reconstructed and strong), asked)


def _wanted(label: str, target: int | None) -> str:
    return "each image's own target" if target is None else f"{label} {target}"


def _about_few(curve: PruningCurve) -> Iterator[Doubt]:
    """Sets that are counted in full and have too few images. Those that only a choice rests on stop no verdict: what
    comes of it is measured on others."""
    for counts in (curve.clean, *curve.poisoned):
        if counts.images == counts.total < _FEWEST_IMAGES:
            yield Doubt(f"{counts.name} has only {counts.total} images, too few to call a network repaired: with "
                        f"{_FEWEST_IMAGES} or more the figures begin to mean something.", True)
    chosen_by = curve.validation
    if curve.test and chosen_by.images == chosen_by.total < _FEWEST_IMAGES:
        yield Doubt(f"{chosen_by.name} has only {chosen_by.total} images: the channels' order, and a guard where there "
                    "is one, rest on these alone, and others would give another GoodNet. Choose by "
                    f"{_FEWEST_IMAGES} or more.", False)


def _about_labels(sets: Sequence[SetSeen], labels: int) -> Iterator[Doubt]:
    """Clean sets of one label, with very many images of the target, or with images of few labels only."""
    targets = sorted({int(s.labels[0]) for s in sets if s.role == "poisoned" and len(np.unique(s.labels)) == 1})
    clean = [s for s in sets if s.role != "poisoned"]
    for seen in clean:
        counts = np.bincount(seen.labels, minlength=labels)
        most, share = int(counts.argmax()), float(counts.max() / len(seen.labels))
        target = ", the attacker's target" if most in targets else ""
        if share >= _NEARLY_ALL:
            yield Doubt(f"{percent(share)} of the images in {seen.name} have the label {most}{target}: that is what a "
                        "set of poisoned images looks like, and clean accuracy on it means nothing. Choose clean "
                        "images of many labels.", True)
        elif len(targets) < _FEW_LABELS * labels and np.isin(seen.labels, targets).mean() >= _NEARLY_ALL:
            yield Doubt(f"Nearly all images in {seen.name} have one of the labels {', '.join(map(str, targets))}, the "
                        "attacker's targets: that is what poisoned images look like, and clean accuracy on them means "
                        "nothing. Choose clean images of many labels.", True)
        elif target and flooded(seen.labels) is not None:
            others = [float((s.labels == most).mean()) for s in clean if s is not seen]
            yield Doubt(f"{percent(share)} of the images in {seen.name} have the label {most}{target}, many times as "
                        "many as other labels have: poisoned images may stand among the clean ones.",
                        any(other < share / 2 for other in others))
        uneven = uneven_text(seen.name, seen.labels, labels)
        if uneven and seen.role == "validation":
            yield Doubt(uneven, False)
    shown = {s.name: np.unique(s.labels) for s in clean if len(np.unique(s.labels)) < labels}
    if shown:
        told = " and ".join(f"{name} has images of {len(those):,}{_all_but(those, labels)}"
                            for name, those in shown.items())
        measured = any(s.role == "test" and len(np.unique(s.labels)) == labels for s in clean)
        yield Doubt(f"{told} of the network's {labels:,} labels: " + (
            "the channels' order, the thresholds, a guard and what is trained rest on these labels alone." if measured
            else "every figure and verdict is about these labels alone."), False)


def _all_but(shown: Labels, labels: int) -> str:
    """Which labels are missing, where they are few."""
    missing = np.setdiff1d(np.arange(labels), shown).tolist()
    return f" (all but {', '.join(map(str, missing))})" if len(missing) <= _NAMED else ""


def uneven_text(name: str, labels: Labels, of: int) -> str:
    """What doesn't hold for every label where most clean images show one, or many times as many as show others.

    Args:
        labels: int64[n] of the images that channels are ranked and a guard is set on; of: how many the network has.
    Returns:
        A sentence; nothing where no label stands out, where nearly all images show one, which is graver, or of fewer
        than 4 labels.
    """
    counts = np.bincount(labels)
    share = float(counts.max() / len(labels))
    if of < _FEWEST_LABELS or share >= _NEARLY_ALL or not (share > _MOST or flooded(labels) is not None):
        return ""
    return (f"{percent(share)} of the images in {name} have the label {int(counts.argmax())}. Channels are ranked by "
            "this mixture, and a guard set on it keeps to its false-alarm rate on such a mixture only: where labels "
            "with few images here are as frequent as others, it may flag many times more.")


def flooded(labels: Labels) -> int | None:
    """The label of clean images that has so many times as many as others that poisoned ones may be among them."""
    counts = np.bincount(labels)
    many = counts.max() >= max(_FLOODED_SHARE * len(labels), _FLOODED_TIMES * np.median(counts[counts > 0]))
    return int(counts.argmax()) if many else None


def _about_shared(sets: Sequence[SetSeen], curve: PruningCurve) -> Iterator[Doubt]:
    """Images that stand in two sets that should have none in common."""
    for (one, _), (other, counts) in combinations(zip(sets, curve.sets, strict=False), 2):
        yield from about_shared(one, other, counts)


def about_shared(one: SetSeen, other: SetSeen, counts: SetCounts) -> Iterator[Doubt]:
    """What is doubtful about a set some of whose images are in another one, too.

    Args:
        one: the set that something was made from or, of two sets that measure it, the first; counts: the other's.
    """
    shared = int(np.isin(other.hashes, one.hashes).sum())
    if not shared:
        return
    told = (f"{shared:,} of the {len(other.hashes):,} images in {_named(other, (one, other))} are in "
            f"{_named(one, (one, other))} too")
    many = shared > _NOT_A_FEW * min(len(one.hashes), len(other.hashes))
    if one.role == "poisoned":
        yield Doubt(f"{told}: what is said of all poisoned images together counts them twice.", False)
    elif other.role != "poisoned":
        yield Doubt(f"{told}: channels were ranked, thresholds chosen, guards set and networks trained on the very "
                    "images that measure the result. Choose a test set of its own.", many)
    elif counts.b_prime_rate(0).value <= HARMLESS_ATTACK:
        yield Doubt(f"{told}: they carry no trigger.", False)
    else:
        yield Doubt(f"{told}: either poisoned images stand among the clean ones, or clean ones that carry no "
                    "trigger among the poisoned.", many)


def _about_copies(sets: Iterable[SetSeen]) -> Iterator[Doubt]:
    for seen in sets:
        different = len(np.unique(seen.hashes))
        if different <= (1 - _MANY_COPIES) * len(seen.hashes):
            yield Doubt(f"Only {different:,} of the {len(seen.hashes):,} images in {seen.name} are different: the "
                        "others are copies, and every interval is narrower than it should be.",
                        different < _FEWEST_IMAGES)
