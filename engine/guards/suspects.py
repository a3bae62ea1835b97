"""Images in a clean set that may carry a trigger: a guard that is set on them lets the attack pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.assessment import drawn_to
from engine.models.networks import Labels

# Each other image among those with the highest scores takes away what three of the label's own bring; and more than
# three where over a tenth of all images have that label: of clean sets in which 20, 30 and 40 % have one, 2, 3 and 7 %
# were accused without that, and 1.7, 2 and 4 % are so. What is left must be so many images and such a share of all; by
# one kind of cut it must be more, for there are several.
# Chosen on 40 clean sets (zoo, MNIST, digits, sample) and 26 with images that carry a trigger: none of the 40 is
# accused, 16 of the 26 are noticed where these are 5 % of all, 22 where they are 10 %.
_OTHERS_COUNT, _OF_MANY, _MOST, _FEWEST_LABELS, _HIGH = 3.0, 27.0, 0.4, 4, 0.8
_FEWEST, _SHARE = 10, 0.03
_FEWEST_OF_KIND, _SHARE_OF_KIND = 14, 0.065


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
    """A label that far more of the highest scores belong to than by chance, the rows int64[k] of some of its images
    that do, and the kind of cut that shows it best, by its column."""

    label: int
    rows: Labels
    column: int


@dataclass(frozen=True)
class Suspects:
    """Images of a set, by their numbers in rising order, that B answers with one label, their own, and that strike a
    guard or may be like those that do."""

    label: int
    numbers: tuple[int, ...]


def striking_text(name: str, label: int, of: int, count: int, further: int) -> str:
    """What a person must know of a set of this name, so many images of which have and are answered with the label, so
    many of these were found striking, and so many more may be like them."""
    more = f" and on {further:,} more of that label that may be like them" if further else ""
    return (f"At least {count:,} of the {of:,} images looked at in {name} that are answered with their label {label} "
            "strike the transplant guard as no others do: images that carry a trigger and bear the attacker's label "
            "look so, and of a network with a backdoor that label's clean images may, too. "
            "Where they are most of that label, it may be a clean one that a small part is enough for, as a badge is. "
            f"No guard is set on them{more}, so that it flags more of that label's clean images than was asked for, "
            "and where others of that label are left no repair learns from them. Look at them (in the window, after "
            "a run with this guard, File > Check what B gets wrong; misread --striking lists them) and take out what "
            "isn't clean.")


def find_striking(
    scores: npt.NDArray[np.float64], by_kind: npt.NDArray[np.float64], answers: Labels, labels: int,
) -> Striking | None:
    """Look for images that carry a trigger and bear the attacker's label, on which B is right.

    Their parts take that label along into nearly any picture, so they score higher than nearly all others. Where there
    are many, they stretch the scale that kinds of cuts are joined by, so each kind's order is looked at, too. Half of
    what they gain must be seen in one kind's: a label that its colours tell is found by no part of its pictures.

    Args:
        scores: the transplant guard's, float64[n]; by_kind: the first m images' as Cuts.by_kind, float64[m, kinds].
        answers: B's labels, int64[n], -1 where its answer isn't finite; labels: how many B has.
    Returns:
        None where no label stands out.
    """
    some = answers[:len(by_kind)]
    if labels < _FEWEST_LABELS or len(np.unique(some[some >= 0])) < _FEWEST_LABELS:
        return None
    joined, kinds = _gained(scores, answers), [_gained(column, some) for column in by_kind.T]
    if joined.gain >= max(_FEWEST, _SHARE * len(scores)):
        of_label = [_gained(column, some, joined.label).gain for column in by_kind.T]
        if max(of_label) * len(scores) >= joined.gain / 2 * len(some):
            return Striking(joined.label, joined.rows, int(np.argmax(of_label)))
    column = int(np.argmax([one.gain for one in kinds]))
    enough = kinds[column].gain >= max(_FEWEST_OF_KIND, _SHARE_OF_KIND * len(some))
    return Striking(kinds[column].label, kinds[column].rows, column) if enough else None


@dataclass(frozen=True, eq=False)
class _Gained:
    """By how much a label's images outweigh the others among the highest scores, and which of its images those are."""

    gain: float
    label: int
    rows: Labels


def _gained(scores: npt.NDArray[np.float64], answers: Labels, label: int | None = None) -> _Gained:
    """The label that gains most, or what this one does; none that very many images have."""
    order, best = np.argsort(-scores, kind="stable"), _Gained(0, -1, np.empty(0, np.int64))
    for one in np.unique(answers[answers >= 0]) if label is None else [label]:
        own = answers[order] == one
        share = float(own.mean())
        if share > _MOST:
            continue
        gained = np.cumsum(np.where(own, 1, -max(_OTHERS_COUNT, _OF_MANY * share / (1 - share))))
        if gained.max() > best.gain:
            reach = int(gained.argmax()) + 1
            best = _Gained(float(gained.max()), int(one), order[:reach][own[:reach]])
    return best


def also_striking(own: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which further images of a label that was found striking go with the others, bool[n]: those that score higher than
    four fifths of other labels' images, for a few that stay are enough to teach a repair the backdoor.

    Args:
        own: scores of the label's images by the kind of cut that shows it best, float64[n]; others: of other labels'.
    """
    return own > np.quantile(others, _HIGH)
