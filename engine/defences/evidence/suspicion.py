"""From evidence on some labels of a network to a verdict: is one of them an attacker's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from engine.assessment import listed, percent
from engine.defences.evidence.filters import DEFAULT_FILTERS, FILTERS_BY_CHANCE, told_by_colours
from engine.defences.evidence.universal import CHANCE, DEFAULT_UNIVERSAL
from engine.rates import Rate

Verdict = Literal["backdoor likely", "suspicious", "nothing found"]
# What a label may stand out by: scan, smallest stamp and margin; universal stamps; colour filters.
Kind = Literal["small stamps", "random stamps", "colour filters"]

# Suspicion from which on a label is named, and from which on a network is called suspicious; and how much more it takes
# to name a further label, or two that stand out together, which happens in networks without a backdoor too. Fixed on
# one half of the zoo of networks whose truth is known, for a sum that was chosen with a look at both halves:
# `python -m benchmarks.zoo.examined`.
LIKELY, SUSPICIOUS, TOGETHER = 1.9, 1.6, 1.0
# From here on scan, mask and margin name a label without others' help; a clean network of "fix", trained anew, came to
# 2.13. Below, as many universal stamps must lead to it as are heard at all: 24 led to that one, 101 to an attacker's
# that came to 2.12. The other attackers' on "fix" came from 2.34 on.
_BY_ITSELF = 2.2
# A label beside a named one, or two together where nobody is named, stand out, unnamed, from this suspicion on:
# innocent labels of the half "fix" came to 1.94 beside a named one, to 1.17 in clean networks.
BESIDE = 2.1
# What scan, mask and margin weigh; and how far one of them may set a label apart from the second, so that none
# of them decides alone.
_WEIGHTS, _FARTHEST = np.array([1.0, 3.0, 1.0]), 1.5
# What universal stamps weigh, and colour filters; each by themselves, because a large trigger shows there and nowhere
# else, as a change of colours does.
_UNIVERSAL = 1.54
# Universal stamps alone name a label where one in so many of those tried leads to it; where a third as many do and its
# smallest stamp is that much smaller than the other labels' in the middle, too; or where it is that much smaller than
# any other's. In small clean networks that average over positions a label stood out by 37 to 102 of 16,000 stamps with
# a smallest stamp 1.02 to 2 times the others'; one whose pictures show a plain star by 33 to 41 with 0.5 to 0.7 times
# the others' in the middle, but none smaller than the smallest. Attackers' came from 71 on with 0.4 to 0.8 times.
_EVIDENT, _SMALLER = 1 / 100, 0.85
_KINDS: tuple[Kind, ...] = get_args(Kind)
# Of a label that stands out as attackers' do, but isn't named.
_LESS: dict[Kind | None, str] = {
    "random stamps": "stands out by random stamps, but no small stamp leads to it as to labels of attackers",
    "colour filters": "stands out by colour filters, but no clean image of it shows whether its own colours lead "
                      "there, too"}
_UNMEASURED = ("No verdict: no label stands out, but on networks of this kind it was never measured whether an "
               "attacker's would. That clears nobody.")


@dataclass(frozen=True)
class Evidence:
    """What was found on one label.

    Attributes:
        scan_count: images that random stamps moved there.
        mask_pixels: size of the smallest stamp that draws images there; success: the share of images it draws.
        margin: the widest by which any input sets it above all other labels.
        universal: random stamps that draw nearly all images there; filters: colour filters that do.
        own_colours: what share of other images the colours of the label's own clean images draw there, where filters
            lead to it beyond chance; None if it has hardly any clean images, or they don't.
    """

    label: int
    scan_count: int
    mask_pixels: float
    success: Rate
    margin: float
    universal: int
    filters: int = 0
    own_colours: float | None = None

    @property
    def told_by_colours(self) -> bool:
        """Whether colours alone make a picture one of this label, so that filters prove no attacker."""
        return told_by_colours(self.own_colours)

    @property
    def proving_filters(self) -> int:
        """The colour filters that the label's own colours don't explain."""
        return 0 if self.told_by_colours else self.filters


@dataclass(frozen=True)
class Judgement:
    """A verdict, with what it rests on.

    Attributes:
        guilty: the labels that an attacker sends images to, as far as the evidence goes.
        suspicion: of each label tried, how far it stands out; from LIKELY on it is named, unless it hardly does so
            and random stamps don't lead there, too, does so by a few universal stamps alone, by colour filters while
            nothing shows its own colours, or only where another is set aside.
        sentence: the verdict and its reasons in words.
        decided: False where nothing can be concluded, so that "suspicious" stands only for "not cleared".
        standing_out: the labels that stand out as attackers' do, guilty or not named, because the rule wasn't measured
            on such networks, because they stand out beside others only, or by too little besides random changes: what
            is done against them costs little where it is wrong.
    """

    verdict: Verdict
    guilty: tuple[int, ...]
    suspicion: tuple[float, ...]
    sentence: str
    decided: bool = True
    standing_out: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """The verdict as people read it; "no verdict" where nothing can be concluded."""
        return self.verdict if self.decided else "no verdict"

    @property
    def headline(self) -> str:
        """The verdict with the labels named, such as "backdoor likely: label 0"."""
        return f"{self.words}: label {', '.join(map(str, self.guilty))}" if self.guilty else self.words


def judge(evidence: Sequence[Evidence], changed: int, doubt: str = "", *, measured: bool = True,
          tried: int = DEFAULT_UNIVERSAL, filters: int = DEFAULT_FILTERS) -> Judgement:
    """Weigh each label's evidence against that of the other labels of the same network.

    Args:
        evidence: of at least two labels; every value finite.
        changed: images that the scan's stamps moved to any label.
        doubt: a sentence on why the images can't be trusted; with one nobody is named and nobody is cleared.
        measured: whether the rule was measured on networks of this kind; if not, nobody is named and nobody cleared.
        tried: how many universal stamps; filters: how many colour filters, if any.
    """
    suspicion, guilty, beside, kind = _weighed(evidence, CHANCE * tried, _EVIDENT * tried,
                                               FILTERS_BY_CHANCE * max(filters, 1))
    far = [i for i in np.flatnonzero(suspicion >= LIKELY).tolist() if i not in (*guilty, *beside)]
    if guilty:
        beside, far = [*beside, *far], []
    quiet = not guilty and float(suspicion.max()) < SUSPICIOUS
    doubt = doubt or (_UNMEASURED if quiet and not measured else "")
    certain: Verdict = "backdoor likely" if guilty and measured else "nothing found" if quiet else "suspicious"
    verdict: Verdict = "suspicious" if doubt else certain
    named = tuple(evidence[i].label for i in guilty) if verdict == "backdoor likely" else ()
    first = guilty[0] if guilty else max(beside or range(len(suspicion)), key=suspicion.__getitem__)
    sentence = doubt or _in_words(verdict, named, [evidence[i].label for i in beside], evidence, first, changed,
                                  stands_out=bool(guilty), measured=measured,
                                  far=kind if first in far else None)
    standing_out = () if doubt else tuple(evidence[i].label for i in (*guilty, *beside, *far))
    return Judgement(verdict, named, tuple(suspicion.tolist()), sentence, decided=not doubt, standing_out=standing_out)


def _weighed(
    evidence: Sequence[Evidence], chance: float, evident: float, by_chance: float,
) -> tuple[npt.NDArray[np.float64], list[int], list[int], Kind]:
    """How far each label stands out, the places of those that are named, and of those that stand out beside them; and
    by what what stands out most does so.

    A label stands out as those of small triggers do, as those of large ones, or as those of changed colours.

    Args:
        chance: universal stamps added to each label's; evident: from so many on they need no further evidence.
        by_chance: colour filters added to each label's.
    """
    small = np.stack([np.log([one.scan_count + 1.0 for one in evidence]),
                      -np.log([max(one.mask_pixels, 1.0) for one in evidence]),
                      np.log([max(one.margin, 1.0) for one in evidence])])
    large = np.log([[one.universal + chance for one in evidence]])
    colours = np.log([[one.proving_filters + by_chance for one in evidence]])
    kinds: tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | float], ...] = (
        (_WEIGHTS[:, np.newaxis] * small, _WEIGHTS[:, np.newaxis] * _FARTHEST),
        (_UNIVERSAL * large, np.inf), (_UNIVERSAL * colours, np.inf))
    found = [_standing_out(*kind) for kind in kinds]
    ahead = np.array([lead for lead, _ in found])
    suspicion = ahead.max(axis=0)
    everyone, out = range(len(evidence)), {*found[0][1], *found[1][1]}
    # Of two that are named each is weighed without the other, which hides it.
    sure = [i for i in found[0][1] if evidence[i].universal >= evident / 3
            or _ahead(*kinds[0], [other for other in found[0][1] if other != i])[i] >= _BY_ITSELF]
    masks = [one.mask_pixels for one in evidence]
    smallest = min((mask for i, mask in enumerate(masks) if i not in out), default=np.inf)
    enough = [i for i, one in enumerate(evidence) if one.universal >= evident or masks[i] <= _SMALLER * smallest
              or (one.universal >= evident / 3 and masks[i] <= _SMALLER * float(np.median(masks[:i] + masks[i + 1:])))]
    # Nobody is named by filters while more lead to a label of which nothing shows whether its own colours do.
    unknown = max((one.filters for one in evidence if one.own_colours is None), default=0)
    known = [i for i, one in enumerate(evidence) if one.own_colours is not None and one.filters >= unknown]
    guilty = list(dict.fromkeys(i for (_, named), may in zip(found, (sure, enough, known), strict=True)
                                for i in named if i in may))
    told = [(hidden, apart) for kind, may in zip(kinds, (everyone, enough, everyone), strict=True)
            for hidden, apart in [_next(*kind, guilty)]
            if hidden and apart.min() >= BESIDE and set(hidden) <= set(may)]
    if not guilty:  # pairs of different kinds were never held against each other
        told = sorted(told, key=lambda one: float(one[1].min()))[-1:]
    for hidden, apart in told:
        suspicion[hidden] = np.maximum(suspicion[hidden], apart)
    beside = list(dict.fromkeys(i for hidden, _ in told for i in hidden))
    return suspicion, guilty, beside, _KINDS[int(ahead.max(axis=1).argmax())]


def _standing_out(
    kinds: npt.NDArray[np.float64], farthest: npt.NDArray[np.float64] | float,
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """How far each label is ahead by some kinds of evidence, and the places of those that are named by them.

    A named label is left out when the others are weighed again, because it would hide a second one, and of two that
    hide each other each is weighed as if the other weren't there.

    Args:
        kinds, farthest: see _ahead.
    """
    suspicion, guilty = _ahead(kinds, farthest, []), list[int]()
    if suspicion.max() >= LIKELY:
        guilty.append(int(suspicion.argmax()))
    while True:
        hidden, apart = _next(kinds, farthest, guilty)
        if not hidden or not apart.min() >= LIKELY + TOGETHER:
            return suspicion, guilty
        suspicion[hidden] = apart
        guilty += hidden


def _next(
    kinds: npt.NDArray[np.float64], farthest: npt.NDArray[np.float64] | float, guilty: Sequence[int],
) -> tuple[list[int], npt.NDArray[np.float64]]:
    """The place of the label that comes next after those named, or of the two that come first together, and how far
    each is ahead of the others; none where too few are left."""
    more = 1 if guilty else 2
    # Two more must be left to hold each one against: of three labels no two can stand out together.
    if len(guilty) + more > kinds.shape[1] - 2:
        return [], np.empty(0)
    further = np.argsort(-_ahead(kinds, farthest, guilty), kind="stable")
    hidden = [int(i) for i in further if i not in guilty][:more]
    return hidden, _ahead(kinds, farthest, [*guilty, *hidden])[hidden]


def _ahead(
    kinds: npt.NDArray[np.float64], farthest: npt.NDArray[np.float64] | float, apart: Sequence[int],
) -> npt.NDArray[np.float64]:
    """How far each label is ahead of the best of the others, some kinds of evidence weighed together.

    Args:
        kinds: float64[kinds, labels], the logarithm of each kind of evidence, weighed.
        farthest: how far one kind may set a label apart from the second, for each kind [kinds, 1] or for all.
        apart: places of labels that the others, and each other, aren't held against.
    """
    lead = np.zeros(kinds.shape[1])
    for i in range(len(lead)):
        weighed = kinds[:, [i, *(j for j in range(len(lead)) if j != i and j not in apart)]]
        second = np.sort(weighed, axis=1)[:, -2:-1]
        total = (weighed - second).clip(-farthest, farthest).sum(axis=0)
        lead[i] = total[0] - total[1:].max()
    return lead


def _in_words(
    verdict: Verdict, guilty: Sequence[int], beside: Sequence[int], evidence: Sequence[Evidence], first: int,
    changed: int, *, stands_out: bool, measured: bool, far: Kind | None,
) -> str:
    one, further = evidence[first], [e for i, e in enumerate(evidence) if i != first]
    together = () if stands_out else beside
    # Small and large triggers may be all there is.
    others = [e for e in further if e.label not in (*guilty, *together)] or further
    masks, other = sorted(e.mask_pixels for e in others), "label that isn't named" if guilty[1:] else \
        "label but these" if together else "other label"
    most_filters = max(e.proving_filters for e in others)
    filters = (f"{one.filters:,} colour filters draw nearly every image there (to any {other} at most "
               f"{most_filters:,}), ") if one.filters or most_filters else ""
    facts = (f"A stamp of {one.mask_pixels:.0f} pixels draws {percent(one.success.value)} of clean images to label "
             f"{one.label} (others take {masks[0]:.0f} at the least and {float(np.median(masks)):.0f} in the middle), "
             f"random stamps moved {one.scan_count:,} of {changed:,} images there (to any {other} at most "
             f"{max(e.scan_count for e in others):,}), {one.universal:,} stamps move nearly every image there "
             f"(to any {other} at most {max(e.universal for e in others):,}), {filters}and an input can set its output "
             f"before the softmax {one.margin:.0f} ahead of all other labels (any {other} at most "
             f"{max(e.margin for e in others):.0f}).")
    aside = "" if together or not beside else \
        f" With {listed(guilty or [one.label])} left aside, {listed(beside)} stand{'s' * (len(beside) == 1)} out, too"
    if verdict == "backdoor likely":
        also = listed(guilty[1:]).capitalize() if guilty[1:] else ""
        more = f" {also} stand{'s' * (len(guilty) == 2)} out so, too." if also else ""
        if aside:
            more += f"{aside}, but not far enough to be named."
        return f"Label {one.label} stands out as labels of attackers do. {facts}{more}"
    if stands_out or (verdict == "suspicious" and not measured):
        who = f"{listed(together).capitalize()} stand out together" if together else f"Label {one.label} stands out"
        return f"{who}, but whether that means an attacker was never measured here. {facts}{aside}{'.' * bool(aside)}"
    if together:
        return (f"{listed(together).capitalize()} stand out together from all others, as those of two backdoors do "
                f"that hide each other, but not far enough to be named. {facts}")
    if verdict == "suspicious":
        less = _LESS.get(far, "stands out, but less than labels of attackers mostly do")
        return f"Label {one.label} {less}. {facts}"
    return ("No label stands out as those of attackers mostly do. That is no proof that there is no backdoor. The "
            f"first: {facts[0].lower()}{facts[1:]}")
