"""Images in a clean set that may carry a trigger: a guard that is set on them lets the attack pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.assessment import drawn_to
from engine.models.networks import Labels

# Each other image among those with the highest scores takes away what three of the label's own bring; what is left must
# be so many images and such a share of all. On 40 sets without any that holds for no label; on 26 to which scores of
# images with a trigger were added it holds on 19 where these are 5 % of all, and on 23 where they are 10 %.
_OTHERS_COUNT, _FEWEST, _SHARE, _FEWEST_LABELS, _HIGH = 3, 10, 0.03, 4, 0.8


def drawn_away(numbers: Labels, answers: Labels, truth: Labels, labels: int) -> npt.NDArray[np.bool_]:
    """Which images are wrong with the one label that most wrong answers lead to, bool[n] of these numbers int64[n].

    None where B is wrong on most, for then labels or values are more likely another network's.

    Args:
        answers: of all images what B answers, int64[N], -1 where nobody asked; truth: their labels; labels: how many B
            has.
    """
    told, true = answers[answers >= 0], truth[answers >= 0]
    label = drawn_to(Counter(told[told != true].tolist()), labels)
    if label is None or (told == true).mean() < 0.5:
        return np.zeros(len(numbers), np.bool_)
    drawn: npt.NDArray[np.bool_] = (answers[numbers] == label) & (truth[numbers] != label)
    return drawn


@dataclass(frozen=True, eq=False)
class Striking:
    """A label that far more of the highest scores belong to than by chance, and which images these are, bool[n]."""

    label: int
    rows: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Suspects:
    """Images of a set, by their numbers in rising order, that B answers with one label and that strike a guard."""

    label: int
    numbers: tuple[int, ...]


def striking_text(name: str, label: int, count: int, further: int) -> str:
    """What a person must know of a set of this name, so many images of which were found striking, and so many more of
    their label less so."""
    more = f" and on {further:,} more of that label that stand out less" if further else ""
    return (f"{count:,} images in {name} that are answered with label {label} strike the transplant guard as no others "
            f"do: images that carry a trigger and bear the attacker's label look so. No guard is set on them{more}, so "
            "that it flags more of that label's clean images than was asked for, and where others of that label are "
            "left no repair learns from them. Look at them (misread --striking lists them, the File menu shows those "
            "of a run with this guard) and take out what isn't clean.")


def find_striking(scores: npt.NDArray[np.float64], answers: Labels, labels: int) -> Striking | None:
    """Look for images that carry a trigger and bear the attacker's label, on which B is right.

    Their parts take that label along into nearly any picture, so they score higher than nearly all others.

    Args:
        scores: the transplant guard's, float64[n]; answers: B's labels, int64[n]; labels: how many B has.
    Returns:
        None where no label stands out.
    """
    order, best = np.argsort(-scores, kind="stable"), (0, -1, 0)
    for label in np.unique(answers):
        own = answers[order] == label
        gained = np.cumsum(np.where(own, 1, -_OTHERS_COUNT))
        if own.mean() <= 0.5 and gained.max() > best[0]:
            best = int(gained.max()), int(label), int(gained.argmax()) + 1
    gain, label, reach = best
    if labels < _FEWEST_LABELS or gain < max(_FEWEST, _SHARE * len(scores)):
        return None
    rows = np.zeros(len(scores), np.bool_)
    rows[order[:reach]] = answers[order[:reach]] == label
    return Striking(label, rows)


def also_striking(scores: npt.NDArray[np.float64], answers: Labels, label: int) -> npt.NDArray[np.bool_]:
    """Which further images of a label that was found striking go with the others, bool[n]: those that score higher than
    four fifths of other labels' images, for a few that stay are enough to teach a repair the backdoor.

    Args:
        scores, answers: as find_striking's.
    """
    own: npt.NDArray[np.bool_] = answers == label
    return own if own.all() else own & (scores > np.quantile(scores[~own], _HIGH))
