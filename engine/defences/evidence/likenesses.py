"""What comes nearest to an attacker's trigger, as far as a network gives it away: for a repair to unlearn.

Not one guilty label's stamp but the smallest of all suspects: a verdict may be wrong, and an innocent label's stamp
does little harm. And random stamps and colour filters that draw nearly all images to one label: of a large trigger,
and of one that changes colours, they are the better likeness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.data.datasets import Dataset
from engine.defences.evidence.filters import (
    DEFAULT_FILTERS,
    FEWER_FILTERS,
    FILTERS_BY_CHANCE,
    drawn_by_own_colours,
    find_filters,
    told_by_colours,
)
from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.defences.evidence.universal import CHANCE, UniversalStamp, counted, find_universal, suspected
from engine.defences.evidence.warps import drawn_by_warps
from engine.defences.scan import scan
from engine.models.networks import Images, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

# Labels that stamps are reconstructed for, and how many of the stamps are unlearnt.
SUSPECTS, SMALLEST = 8, 3
STAMPS, UNIVERSAL = 6000, 8000
# Of a large network.
FEWER_SUSPECTS, FEWER_STAMPS, FEWER_UNIVERSAL = 4, 3000, 2000
# A stamp so much larger than the smallest is hardly an attacker's, and hides what tells a picture's true label:
# learning that spoils a network. So do universal stamps, unless so many more lead to their label than to the next.
MUCH_LARGER, LEAD = 2.0, 2.5
# So many more colour filters name a label in an examination, too.
_FILTERS_LEAD = 3.43
# A distortion that draws nearly as many images as the one that draws most is unlearnt, too; one that draws so many is
# more than chance: on 20 networks of the zoo's half "fix" only an attacker's warp did.
_NEARLY, _NEARLY_ALL = 0.75, 0.9
# Among fewer labels none stands out.
_FEWEST_SUSPECTS = 3
# So many images are shown through a colour filter where filters betray a label.
_FILTERED = 1 / 3
# A stamp is shown at this to all of its strength, because the attacker's own is never quite the same.
_LEAST_STRENGTH = 0.5


@dataclass(frozen=True, eq=False)
class Likenesses:
    """Reconstructed stamps and, if there are any, universal ones.

    Attributes:
        suspects: the labels that a trigger was looked for, the most suspicious first.
        drawn: what share of the others' images a smooth distortion draws to each of them.
        led_to: the label that universal stamps lead to beyond chance, if there is one.
        standing_out: labels that an examination found to stand out as attackers' do.
        filters: colour filters of the one label that they lead to beyond chance, if there is one.
    """

    smallest: Sequence[Reconstruction]
    universal: Sequence[UniversalStamp]
    suspects: Sequence[int] = ()
    drawn: Mapping[int, float] = field(default_factory=dict)
    led_to: Sequence[int] = ()
    standing_out: Sequence[int] = ()
    filters: Sequence[UniversalStamp] = ()

    @property
    def warped(self) -> list[int]:
        """The suspect that a distortion draws most images to, and those with nearly as many."""
        return self._drawn(_NEARLY * max(self.drawn.values(), default=0.0))

    @property
    def betrayed(self) -> list[int]:
        """Labels that a likeness leads to so much more easily than to any other that it is hardly chance: that of
        universal stamps, of colour filters, of a stamp not half as large as any other, and of the one distortion that
        draws nearly all images; and those that stand out in an examination."""
        if len(self.suspects) < _FEWEST_SUSPECTS:
            return sorted(self.standing_out)
        found = [set(self.led_to), {one.label for one in self.filters}, {stamp.label for stamp in self.smallest},
                 set(self._drawn(_NEARLY_ALL))]
        return sorted({*self.standing_out}.union(*(labels for labels in found if len(labels) == 1)))

    def _drawn(self, least: float) -> list[int]:
        return [label for label, share in self.drawn.items() if share >= least]

    def put_on(self, images: Images, rng: np.random.Generator) -> Images:
        """Each of float32[n, H, W, C] with one of the stamps: half with a universal one, where there is any, the others
        with a reconstructed one at half to all of its strength; a third with a colour filter instead, if there is any.
        """
        shown = images.copy()
        for i, strength in enumerate(rng.uniform(_LEAST_STRENGTH, 1, len(images)).astype(np.float32)):
            if self.filters and rng.random() < _FILTERED:
                shown[i] = self.filters[int(rng.integers(len(self.filters)))].put_on(images[i])
            elif self.universal and rng.random() < 0.5:
                shown[i] = self.universal[int(rng.integers(len(self.universal)))].put_on(images[i])
            else:
                stamp = self.smallest[int(rng.integers(len(self.smallest)))]
                shown[i] += strength * (stamp.put_on(images[i]) - images[i])
        return shown


def find_likenesses(
    network: Network, clean: Dataset, images: Images, seed: int = 0, *, standing_out: Sequence[int] = (),
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Likenesses:
    """Look for a network's triggers: for labels that stand out in an examination, those that most universal stamps lead
    to and the scan's first.

    Args:
        clean: clean images in the network's input range, for the scan.
        images: those of them that stamps are found on, float32[n, H, W, C].
        standing_out: see Likenesses.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    most, stamps, more, filters = (FEWER_SUSPECTS, FEWER_STAMPS, FEWER_UNIVERSAL, FEWER_FILTERS) \
        if network.is_large else (SUSPECTS, STAMPS, UNIVERSAL, DEFAULT_FILTERS)
    universal = find_universal(network, images, more, seed, progress=progress, cancel=cancel).stamps
    coloured = _proving(network, images, filters * (not clean.preprocessing.per_image), seed, progress, cancel)
    found = scan(network, clean, stamps, seed, progress=progress, cancel=cancel)
    # A network that no random stamp moves is tried with labels other than what it answers first.
    suspects = suspected(counted(universal, network.labels), found, most) or \
        np.setdiff1d(np.arange(network.labels), network.predict_labels(images[:1], cancel)).tolist()[:most]
    betrayed = [*standing_out, *(one.label for one in coloured[:1])]
    suspects = list(dict.fromkeys([*betrayed, *suspects]))[:max(most, len(betrayed))]
    tried = reconstruct(network, images, suspects, seed, progress=progress, cancel=cancel)
    drawn = drawn_by_warps(network, images, suspects, seed, progress=progress, cancel=cancel)
    led_to = sorted({stamp.label for stamp in outstanding(universal, CHANCE * more)})
    return Likenesses(smallest(tried), outstanding(universal), suspects, drawn, led_to, standing_out, coloured)


def _proving(
    network: Network, images: Images, filters: int, seed: int, progress: ProgressCallback, cancel: CancelToken,
) -> list[UniversalStamp]:
    """Colour filters of the one label that they lead to, if its own colours don't lead there, too."""
    found = find_filters(network, images, filters, seed, progress=progress, cancel=cancel).stamps
    first = outstanding(found, FILTERS_BY_CHANCE * filters, _FILTERS_LEAD)
    own = network.predict_labels(images, cancel) if first else np.empty(0, np.int64)
    told = [drawn_by_own_colours(network, images, own, own, one.label, seed, cancel=cancel) for one in first[:1]]
    return [] if any(map(told_by_colours, told)) else first


def smallest(stamps: Sequence[Reconstruction]) -> list[Reconstruction]:
    """The smallest three, without those that are more than twice as large as the first."""
    rising = sorted(stamps, key=lambda stamp: stamp.mask_pixels)
    return [stamp for stamp in rising[:SMALLEST] if stamp.mask_pixels <= MUCH_LARGER * rising[0].mask_pixels]


def outstanding(
    stamps: Sequence[UniversalStamp], chance: float = 0.0, lead: float = LEAD,
) -> list[UniversalStamp]:
    """Those of the label that most lead to, if that many more do than to the next; else none.

    Args:
        chance: how many are added to both counts; lead: how many times the next one's the first must be.
    """
    counts = [*Counter(stamp.label for stamp in stamps).most_common(2), (-1, 0), (-1, 0)]
    (label, first), (_, second) = counts[:2]
    return [stamp for stamp in stamps if stamp.label == label] if first + chance >= lead * (second + chance) else []
