"""From evidence on some labels of a network to a verdict: is one of them an attacker's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.assessment import percent
from engine.rates import Rate

Verdict = Literal["backdoor likely", "suspicious", "nothing found"]

# Suspicion at which a label is named, and from which on a network is called suspicious. Fixed on one half of the zoo of
# networks whose truth is known and measured on the other: see benchmarks/zoo.
LIKELY, SUSPICIOUS = 2.0, 1.0


@dataclass(frozen=True)
class Evidence:
    """What was found on one label.

    Attributes:
        scan_count: images that random stamps moved there.
        mask_pixels: size of the smallest stamp that draws images there; success: the share of images it draws.
        margin: the widest by which any input sets it above all other labels.
    """

    label: int
    scan_count: int
    mask_pixels: float
    success: Rate
    margin: float


@dataclass(frozen=True)
class Judgement:
    """A verdict, with what it rests on.

    Attributes:
        guilty: the labels that an attacker sends images to, as far as the evidence goes.
        suspicion: of each label tried, how far it stands out; from LIKELY on it is named.
        sentence: the verdict and its reasons in words.
    """

    verdict: Verdict
    guilty: tuple[int, ...]
    suspicion: tuple[float, ...]
    sentence: str


def judge(evidence: Sequence[Evidence], changed: int) -> Judgement:
    """Weigh each label's evidence against that of the other labels of the same network.

    Args:
        changed: images that the scan's stamps moved to any label.
    """
    suspicion = _suspicion(evidence)
    guilty = tuple(one.label for one, value in zip(evidence, suspicion, strict=True) if value >= LIKELY)
    highest = float(suspicion.max())
    verdict: Verdict = "backdoor likely" if guilty else "suspicious" if highest >= SUSPICIOUS else "nothing found"
    return Judgement(verdict, guilty, tuple(suspicion.tolist()),
                     _in_words(verdict, evidence, suspicion, changed))


def _suspicion(evidence: Sequence[Evidence]) -> npt.NDArray[np.float64]:
    """How far each label stands out from the others tried."""
    counts = np.log([one.scan_count + 1.0 for one in evidence])
    masks = -np.log([one.mask_pixels for one in evidence])
    margins = np.log([max(one.margin, 1e-6) for one in evidence])
    return sum((_ahead(values) for values in (counts, masks, margins)), np.zeros(len(evidence)))


def _ahead(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far each value is above the highest of the others; below 0 for all but one."""
    return np.array([value - np.delete(values, i).max() for i, value in enumerate(values)])


def _in_words(verdict: Verdict, evidence: Sequence[Evidence], suspicion: npt.NDArray[np.float64], changed: int) -> str:
    first = evidence[int(suspicion.argmax())]
    others = [one for one in evidence if one.label != first.label]
    facts = (f"Label {first.label}: a stamp of {first.mask_pixels:.0f} pixels draws {percent(first.success.value)} of "
             f"clean images there (other labels: {np.median([o.mask_pixels for o in others]):.0f} in the middle, "
             f"{min(o.mask_pixels for o in others):.0f} at the least), random stamps moved {first.scan_count:,} of "
             f"{changed:,} images there (next: {max(o.scan_count for o in others):,}), and it can be brought "
             f"{first.margin:.0f} ahead of all other labels (next: {max(o.margin for o in others):.0f}).")
    if verdict == "backdoor likely":
        return f"A backdoor is likely. {facts}"
    if verdict == "suspicious":
        return f"Suspicious, but no verdict: a label stands out less than in backdoored networks. {facts}"
    return f"Nothing found: no label stands out. That is no proof of a network without a backdoor. {facts}"
