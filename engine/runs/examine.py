"""Is there a backdoor? The scan, reconstructed stamps and widest margins of some labels, and a verdict on them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.assessment import astray, percent
from engine.data.datasets import Dataset
from engine.data.fingerprints import hashes_of
from engine.defences.evidence.filters import (
    DEFAULT_FILTERS,
    FEWER_FILTERS,
    FILTERS_BY_CHANCE,
    ColourFilter,
    best_filter,
    drawn_by_own_colours,
    find_filters,
    told_by_colours,
)
from engine.defences.evidence.margins import widest_margins
from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.defences.evidence.suspicion import Evidence, Judgement, judge
from engine.defences.evidence.universal import (
    DEFAULT_UNIVERSAL,
    UniversalStamp,
    counted,
    find_universal,
    most_led_to,
    suspected,
)
from engine.defences.scan import DEFAULT_STAMPS, Scan, refuse_unanswered, scan
from engine.defences.stamps import as_picture, value_range
from engine.errors import DatasetError, EngineError
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress
from engine.runs.doubts.plausibility import flooded

# The second are for large networks.
SUSPECTS, FEWER_SUSPECTS = 8, 4
REFERENCES, FEWER_REFERENCES = 16, 6
FEWER_STAMPS, FEWER_UNIVERSAL = 4_000, 2_000
# A network of so few labels has them all tried.
_FEW_LABELS = 24
# The verdict's rule was measured on pictures of 32 x 32 and 55 x 47 and of ten labels or more, by small networks. On
# much larger ones, and where a label has few others to be held against, it names nobody: of six labels an innocent one
# of a clean network stood out by scan, stamp and universal stamps as an attacker's does. So did a label of one of three
# clean networks like MobileNet's, by 897 of 16,000 universal stamps to the next label's 89, and an innocent one beside
# the attacker's of another.
_MOST_PIXELS, _FEWEST_LABELS = 10_000, 10
_BY_CHANNEL = ("DepthwiseConv2D", "SeparableConv2D")
FEWEST_IMAGES, ENOUGH_IMAGES = 20, 100
_MOST_IMAGES = 1000
_FACES = 4
_NO_COLOURS = None, None
_POOR_ACCURACY, _FOUND = 0.5, 0.5
# An answer to more than this share of the images is what a trigger gives, unless as many have that label or as many
# answers are right.
_NEARLY_ALL, _MOST = 0.9, 0.8

# What was measured on the zoo, see benchmarks/zoo/RESULTS.md.
MEASURED = (
    "Of 22 networks known to have no backdoor none was accused, and 5 were called suspicious. Trained anew, one of 13 "
    "of them was accused by an older rule, as were three of other makes; this one accused none of four more. Of "
    "backdoored networks, small patches were named in 15 of 16, glasses in 8 of 8, pictures blended "
    "over the whole and warps in 3 of 4 each, stripes in 2 of 4, bars in 1 of 4, two parts in none; of 8 with colour "
    "filters all, but of another make a cast wasn't; of 20 with two backdoors both labels were told in 14, one in 3 "
    "and none in 3.")
BLIND = (
    "\"Nothing found\" is no proof: an examination can't see triggers that work on certain people only or send each "
    "label to another, nor whatever an attacker built who knew it. Stripes, bars at a side, triggers in two "
    "parts, casts of colour and two backdoors at once, which can hide each other, often escape it; poisoned images of "
    "the target alone weren't counted.", MEASURED)


_UNFILTERED = ("Colour filters weren't tried: each picture is brought to mean 0 and deviation 1 by itself, which takes "
               "much of a filter away.")


@dataclass(frozen=True, eq=False)
class Tried:
    """A label that was tried, and what was found on it.

    Attributes:
        suspect: among the scan's first; the others are references drawn by the seed.
        suspicion: how far it stands out, see Judgement.
        stamp: the smallest that draws clean images there.
        picture: uint8[H, W, C], the stamp alone, black where the image shows through.
        faces: uint8[n, H, W, C], clean images that wear it; with a filter every other one has the filter's colours.
        filter: a colour filter that draws clean images there, where those that do are more than chance and the colours
            of its own clean images don't.
    """

    evidence: Evidence
    suspect: bool
    suspicion: float
    stamp: Reconstruction
    picture: npt.NDArray[np.uint8]
    faces: npt.NDArray[np.uint8]
    filter: ColourFilter | None = None

    @property
    def triggers(self) -> dict[str, Reconstruction | UniversalStamp]:
        """What draws clean images there: the stamp ("reconstructed") and, where there is one, the "filter"."""
        filtered = {"filter": UniversalStamp(self.evidence.label, (self.filter,))} if self.filter else {}
        return {"reconstructed": self.stamp, **filtered}


@dataclass(frozen=True, eq=False)
class Examination:
    """What an examination found, and on what.

    Attributes:
        judgement: the verdict, the guilty labels and the sentence that says what it rests on.
        tried: every label that was tried, the most suspicious first.
        limits: what it can't see and what made it weaker, a sentence each.
        images: clean images used; seconds: how long it took.
    """

    judgement: Judgement
    tried: tuple[Tried, ...]
    scan: Scan
    limits: tuple[str, ...]
    images: int
    seed: int
    seconds: float

    @property
    def suspicion(self) -> tuple[float, ...]:
        """Of each label tried, in their order."""
        return tuple(tried.suspicion for tried in self.tried)

    @property
    def guilty(self) -> tuple[Tried, ...]:
        """The labels named."""
        return tuple(tried for tried in self.tried if tried.evidence.label in self.judgement.guilty)

    @property
    def foremost(self) -> tuple[Tried, ...]:
        """The labels named or standing out as attackers' do; where there is none, the most suspicious."""
        out = {*self.judgement.guilty, *self.judgement.standing_out}
        return tuple(tried for tried in self.tried if tried.evidence.label in out) or self.tried[:1]


def examine(
    network: Network, clean: Dataset, seed: int = 0, labels: Sequence[int] = (), *,
    scanned: Callable[[Scan], None] = lambda _: None, notices: Sequence[str] = (),
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Examination:
    """Look for a backdoor with clean images alone.

    Args:
        clean: clean images in the network's input range, with true labels; up to 1,000 are used.
        labels: to be tried besides those chosen.
        scanned: is told the scan's outcome, the first evidence, as soon as it is there.
        notices: what is doubtful about the input, see Opened.notices; it stands first among the limits.
    Raises:
        DatasetError: too few images, images that can't be clean ones, or that the network has no answer to.
        EngineError: the network has no label of such a number.
        Cancelled: the token was set; nothing is kept.
    """
    started = time.monotonic()
    rng = np.random.default_rng(seed)
    images, truth, different = _clean_images(clean, rng)
    heard = Heartbeat("Looking at clean images", len(images), progress)
    own = network.predict_labels(images, cancel, heard.beat)
    refuse_unanswered(network, clean, own)
    _check(network, clean, own, truth, labels)
    stamps, more, filters = (FEWER_STAMPS, FEWER_UNIVERSAL, FEWER_FILTERS) if network.is_large else \
        (DEFAULT_STAMPS, DEFAULT_UNIVERSAL, DEFAULT_FILTERS)
    found = scan(network, clean, stamps, seed, progress=progress, cancel=cancel)
    scanned(found)
    stamped = find_universal(network, images, more, seed, progress=progress, cancel=cancel)
    filters *= not clean.preprocessing.per_image  # which takes much of a filter away again
    recoloured = find_filters(network, images, filters, seed, progress=progress, cancel=cancel)
    universal, coloured = (counted(worn.stamps, network.labels) for worn in (stamped, recoloured))
    by_colours = _by_colours(network, images, own, truth, recoloured.stamps, FILTERS_BY_CHANCE * filters, seed, cancel)
    suspects, references = chosen_labels(network, found, universal, [*by_colours, *labels], rng)
    wanted = [*suspects, *references]
    smallest = reconstruct(network, images, wanted, seed, progress=progress, cancel=cancel)
    margins = widest_margins(network, images, wanted, seed, progress=progress, cancel=cancel)
    evidence = _evidence(found, smallest, margins, universal, coloured, by_colours)
    overflowed = any(one.overflowed for one in (found, stamped, recoloured))
    judgement = judge(evidence, found.changed, _doubt(own, truth, overflowed, smallest, margins), tried=more,
                      filters=filters, measured=not _unmeasured(network, images))
    tried = [_tried(one, one.label in suspects, suspicion, stamp, by_colours.get(one.label, _NO_COLOURS)[0], images,
                    own)
             for one, suspicion, stamp in zip(evidence, judgement.suspicion, smallest, strict=True)]
    led = astray(clean.name, Counter(zip(own.tolist(), truth.tolist(), strict=True)), network.labels, len(clean))
    limits = (*notices, *filter(None, [led, *map(_hidden_by_colours, evidence), _UNFILTERED * (not filters)]),
              *_limits(network, images, own, truth, different, len(references)))
    return Examination(judgement, tuple(sorted(tried, key=lambda one: -one.suspicion)), found, limits, len(images),
                       seed, time.monotonic() - started)


def _by_colours(
    network: Network, images: Images, own: Labels, truth: Labels, found: Sequence[UniversalStamp], by_chance: float,
    seed: int, cancel: CancelToken,
) -> dict[int, tuple[ColourFilter | None, float | None]]:
    """Of the two labels that most colour filters lead to, if more than chance leads there, a filter and what share of
    other images their own colours draw there: then without the filter, if these explain it."""
    told: dict[int, tuple[ColourFilter | None, float | None]] = {}
    for label in most_led_to(counted(found, network.labels), by_chance):
        drawn = drawn_by_own_colours(network, images, own, truth, label, seed, cancel=cancel)
        told[label] = (None if told_by_colours(drawn) else
                       best_filter(network, images, own, found, label, cancel=cancel)), drawn
    return told


def _evidence(
    found: Scan, smallest: Sequence[Reconstruction], margins: npt.NDArray[np.float64], universal: Labels,
    coloured: Labels, by_colours: dict[int, tuple[ColourFilter | None, float | None]],
) -> list[Evidence]:
    counts = {suspect.label: suspect.count for suspect in found.suspects}
    return [Evidence(stamp.label, counts.get(stamp.label, 0), stamp.mask_pixels, stamp.success, float(margin),
                     int(universal[stamp.label]), int(coloured[stamp.label]),
                     by_colours.get(stamp.label, _NO_COLOURS)[1])
            for stamp, margin in zip(smallest, np.nan_to_num(margins, posinf=0, neginf=0), strict=True)]


def chosen_labels(
    network: Network, found: Scan, universal: Labels, also: Sequence[int], rng: np.random.Generator,
) -> tuple[list[int], list[int]]:
    """The labels to try: the two that most universal stamps lead to and the scan's first, with those asked for; and
    others to compare them with."""
    most = FEWER_SUSPECTS if network.is_large else SUSPECTS
    suspects = list(dict.fromkeys([*suspected(universal, found, most), *also]))
    rest = np.setdiff1d(np.arange(network.labels), suspects)
    if network.is_large:
        return suspects, sorted(rng.permutation(rest)[:FEWER_REFERENCES].tolist())
    references = rest if network.labels < _FEW_LABELS else rng.permutation(rest)[:REFERENCES]
    return suspects, sorted(references.tolist())


def _unmeasured(network: Network, images: Images) -> str:
    """How a network is unlike those that the verdict was measured on; nothing where it isn't."""
    if network.labels < _FEWEST_LABELS:
        return "of so few labels"
    if network.is_large:
        return "as large as this"
    if images.shape[1] * images.shape[2] > _MOST_PIXELS:
        return "with pictures as large as these"
    layers = [call.layer for call in network.calls]
    apart = any(type(layer).__name__ in _BY_CHANNEL or (type(layer).__name__ == "Conv2D" and layer.groups > 1)
                for layer in layers)
    return "with convolutions that keep channels apart, as this has," if apart else ""


def _clean_images(clean: Dataset, rng: np.random.Generator) -> tuple[Images, Labels, int]:
    """Up to 1,000 images that memory holds, drawn by chance, with their labels, and how many of them are different."""
    if len(clean) < FEWEST_IMAGES:
        raise DatasetError(f"{clean.path}: holds {len(clean)} images; an examination needs at least {FEWEST_IMAGES} "
                           f"clean ones, and {ENOUGH_IMAGES} or more to be relied on.")
    where = sorted(rng.permutation(len(clean))[:min(_MOST_IMAGES, clean.most_at_once)].tolist())
    images = clean.take(where)
    different = len(np.unique(hashes_of(images)))
    if different < FEWEST_IMAGES:
        raise DatasetError(f"{clean.path}: holds {different} different images, the others are copies of them; an "
                           f"examination needs at least {FEWEST_IMAGES}, and {ENOUGH_IMAGES} or more to be relied on.")
    return images, clean.labels[where], different


def _check(network: Network, clean: Dataset, own: Labels, truth: Labels, labels: Sequence[int]) -> None:
    for label in labels:
        if not 0 <= label < network.labels:
            raise EngineError(f"{network.path}: has no label {label}; its labels are 0 to {network.labels - 1}.")
    answers, counts = np.unique(own, return_counts=True)
    share = float((truth == answers[counts.argmax()]).mean())
    # Poisoned images are all labelled with the target, so one label alone is no honest share.
    honest = share < 1 and len(answers) > 1 and max(share, float((own == truth).mean())) >= _NEARLY_ALL
    if counts.max() > _NEARLY_ALL * len(own) and not honest:
        raise DatasetError(f"{clean.path}: the network answers {counts.max()} of {len(own)} of these images with label "
                           f"{answers[counts.argmax()]}. They can't be clean images of several labels; are they "
                           "poisoned ones, or not what this network was trained on?")


def _doubt(own: Labels, truth: Labels, overflowed: bool, smallest: Sequence[Reconstruction],
           margins: npt.NDArray[np.float64]) -> str:
    """Why nothing should be concluded from these images; empty where nothing speaks against them."""
    accuracy = float((own == truth).mean())
    if accuracy < _POOR_ACCURACY:
        return (f"No verdict: the network is right on {percent(accuracy)} of these images only, so they are hardly "
                "what it was trained on, or are prepared or labelled in another way, or the network is a poor one.")
    if overflowed or not np.isfinite(margins).all():
        return ("No verdict: on some inputs what the network computes grows beyond all numbers, which trained networks "
                "don't do, so its labels can't be held against each other.")
    # Even a label without a backdoor has a stamp, as large as half of the picture.
    if max((stamp.success.value for stamp in smallest if stamp.found), default=0) < _FOUND:
        return ("No verdict: no stamp was found for any label that was tried, so there is nothing to compare. The "
                "network's answers hardly change with its pictures, or its values are prepared in another way.")
    return ""


def _limits(
    network: Network, images: Images, own: Labels, truth: Labels, different: int, references: int,
) -> tuple[str, ...]:
    said = list(BLIND)
    many = int(np.bincount(truth).argmax())
    share = float((truth == many).mean())
    answered = float((own == many).mean())
    if share >= _NEARLY_ALL or (share >= _MOST and answered >= _NEARLY_ALL) or flooded(truth) is not None:
        said.insert(0, f"{percent(share)} of the clean images have the label {many}, many times as many as other "
                       "labels have. If poisoned images stand among them, their trigger looks like a part of clean "
                       "images and isn't found.")
    if unlike := _unmeasured(network, images):
        said.insert(0, f"No network {unlike} was among those that the verdict was measured on. So it names nobody "
                       "and clears nobody: \"suspicious\" is the most it says.")
    if different < ENOUGH_IMAGES:
        copied = "" if different == len(images) else ", the others are copies of them"
        said.append(f"Only {different} clean images were there{copied}; {ENOUGH_IMAGES} or more are better.")
    if network.is_large:
        said.append(f"The network is large, so fewer stamps were tried, and {references} labels to compare the "
                    "suspects with.")
    return tuple(said)


def _hidden_by_colours(one: Evidence) -> str:
    """That nobody can tell whether an attacker's filter leads to a label, too; empty where none does."""
    if not one.told_by_colours:
        return ""
    return (f"Colour filters draw nearly every image to label {one.label}, but so do the colours of its own clean "
            f"images ({percent(one.own_colours or 0)} of others). Whether an attacker's filter leads there can't be "
            "told.")


def _tried(
    one: Evidence, suspect: bool, suspicion: float, stamp: Reconstruction, colours: ColourFilter | None,
    images: Images, own: Labels,
) -> Tried:
    """A label with the stamp on black, and a few clean images of other labels with it and with its filter in turns."""
    within = value_range(images)
    black = np.full_like(stamp.pattern, within[0])[np.newaxis]
    seen = images[own != stamp.label][:_FACES]
    alone = as_picture(stamp.put_on(black)[0], within)
    tried = Tried(one, suspect, suspicion, stamp, alone, alone[:0], colours)
    worn = zip(*(trigger.put_on(seen) for trigger in tried.triggers.values()), strict=True)
    return replace(tried, faces=np.stack([as_picture(image, within) for turn in worn for image in turn]))
