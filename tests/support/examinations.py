"""An examination with evidence written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.defences.evidence.suspicion import Evidence, Judgement, Verdict
from engine.defences.scan import Scan, StampExample, Suspect, in_words
from engine.defences.stamps import Stamp
from engine.rates import Rate
from engine.runs.examine import BLIND, Examination, Tried

HEIGHT, WIDTH = 11, 9
SCANNED = (Suspect(7, 1200), Suspect(3, 300), Suspect(12, 5))
LIMITS = (*BLIND, "Only 44 clean images were there; 100 or more are better.")


def example(drawn: int, value: int) -> StampExample:
    """A random stamp's picture, grey all over."""
    return StampExample(Stamp("rectangle", 0, 0, 2, 2, (1.0, 0.0, 0.0)), Rate(drawn, 40),
                        np.full((HEIGHT, WIDTH, 3), value, np.uint8))


def scanned(*suspects: Suspect) -> Scan:
    """A scan with these suspects and, if there are any, two stamps."""
    changed = sum(s.count for s in suspects)
    examples = (example(40, 10), example(31, 200)) if suspects else ()
    return Scan(20_000, changed, suspects, examples, in_words(20_000, changed, suspects))


def tried(label: int, pixels: int, suspect: bool, suspicion: float = 0.0) -> Tried:
    """A label whose stamp covers so many pixels; pictures of it are grey in the label's own shade."""
    mask = np.zeros(HEIGHT * WIDTH, np.float32)
    mask[:pixels] = 1
    stamp = Reconstruction(label, mask.reshape(HEIGHT, WIDTH), np.ones((HEIGHT, WIDTH, 3), np.float32), Rate(39, 40),
                           True)
    counts = {s.label: s.count for s in SCANNED}
    shade = np.full((HEIGHT, WIDTH, 3), 10 * label, np.uint8)
    return Tried(Evidence(label, counts.get(label, 0), stamp.mask_pixels, stamp.success, 20.0 - pixels / 10, 3 * label),
                 suspect, suspicion, stamp, shade, np.stack([shade + np.uint8(1 + i) for i in range(3)]))


def examination(verdict: Verdict = "backdoor likely", guilty: Sequence[int] = (3,),
                decided: bool = True) -> Examination:
    """Label 3 has the smallest stamp, though the scan's first suspect is label 7; 15 and 18 are references."""
    suspicion = {"backdoor likely": 3.25, "suspicious": 1.75, "nothing found": 0.25}[verdict], -0.5, -0.75, -1.0, -2.0
    labels = tuple(tried(label, pixels, suspect, lead) for (label, pixels, suspect), lead in zip(
        ((3, 5, True), (7, 40, True), (12, 44, True), (15, 50, False), (18, 61, False)), suspicion, strict=True))
    judgement = Judgement(verdict, tuple(guilty), suspicion, "Label 3: a stamp of 5 pixels draws 97.5 % of clean "
                          "images there.", decided)
    return Examination(judgement, labels, scanned(*SCANNED), LIMITS, 44, 0, 12.5)


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Have examinations take seconds: what they find is worth little, but every part of them is run."""
    patch.setattr("engine.runs.examine.reconstruct", partial(reconstruct, steps=12))
    patch.setattr("engine.defences.evidence.reconstruction.HOPELESS_AFTER", 6)
    patch.setattr("engine.defences.evidence.margins._STEPS", 3)
    patch.setattr("engine.runs.examine.DEFAULT_STAMPS", 400)
    patch.setattr("engine.runs.examine.DEFAULT_UNIVERSAL", 256)
    patch.setattr("engine.runs.examine.DEFAULT_FILTERS", 400)
