"""Which label each sub-folder of pictures, or each word, stands for: by name, never by a guess nobody is told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.assessment import percent
from engine.data.classes import are_numbers, beside
from engine.data.datasets import Dataset
from engine.data.preprocessing import Preprocessing
from engine.errors import DatasetError
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.rates import Rate
from engine.runs.feeding import Feeding, find_feeding, right_answers

_REMEDY = ("Give the class list: a text file with one name a line, the first for label 0 (--classes FILE, or Label "
           "names in the window).")


@dataclass(frozen=True)
class Labelling:
    """How sub-folders, or labels that are words, become numbers.

    Attributes:
        classes: names of all labels in order; none where labels are numbers as they stand.
        notice: where the classes come from, or how their order was found, a sentence; empty where nobody needs to know.
        feeding: what was found out on the way about the preprocessing; None where that is chosen or nothing was tried.
        tried: whether the order was found by trying.
    """

    classes: tuple[str, ...]
    notice: str = ""
    feeding: Feeding | None = None
    tried: bool = False

    def of(self, dataset: Dataset, labels: int) -> Dataset:
        """A data set of the same network with its labels.

        Raises:
            DatasetError: a sub-folder can't be matched with a label.
        """
        if not self.classes and dataset.label_names and not are_numbers(dataset.label_names):
            are = "have names" if dataset.names_are == "sub-folders" else "are words"
            raise DatasetError(f"{dataset.path}: its {dataset.names_are} {are} ({_few(dataset.label_names)}), and "
                               f"nothing says which of the network's {labels} labels each stands for. {_REMEDY}")
        by_number = are_numbers(dataset.label_names) and not set(dataset.label_names) <= set(self.classes)
        return (dataset if by_number else dataset.named(self.classes)).fitting(labels)


def find_labelling(
    network: Network, given: Sequence[str], clean: Dataset, others: Sequence[Dataset],
    chosen: Preprocessing | None = None, *, progress: ProgressCallback = ignore_progress,
    cancel: CancelToken = NEVER_CANCELLED,
) -> Labelling:
    """Find out what the sub-folders of a network's data sets, or their labels that are words, stand for.

    A class list that was given counts, or one that lies beside the model or in a folder of pictures; else the names
    of the clean set's sub-folders, where there is one for each label. Where these are numbers that text and numbers
    order differently, both orders are tried on the clean images, and the one with more right answers is taken.

    Args:
        given: a class list; none to look for one.
        clean, others: as opened, before any labelling.
        chosen: the preprocessing where a person chose it; None to find it out.
    Raises:
        DatasetError: the list doesn't fit the network, or names can't be matched.
        Cancelled: the token was set.
    """
    if not any(dataset.label_names for dataset in (clean, *others)):
        return Labelling(())
    if given:
        if len(given) != network.labels:
            raise DatasetError(f"The class list holds {len(given)} names, but {network.path} has {network.labels} "
                               f"labels. {_REMEDY}")
        return Labelling(tuple(given))
    found = beside([network.path.parent, *(_folder_of(d) for d in (clean, *others) if d.label_names)], network.labels)
    if found and any(set(dataset.label_names) & set(found[0]) for dataset in (clean, *others)):
        return Labelling(found[0], f"{_called(clean, *others)} are labels in the order of {found[1].name}.")
    if are_numbers(clean.label_names) or not clean.label_names:
        return _by_number(network, clean, chosen, progress, cancel)
    if len(clean.label_names) != network.labels:
        raise DatasetError(f"{clean.path}: has {len(clean.label_names)} {clean.names_are} ({_few(clean.label_names)}), "
                           f"but the network has {network.labels} labels, so which stands for which can't be told. "
                           f"{_REMEDY}")
    return Labelling(clean.label_names, f"{_called(clean)} are labels in the order of their names: 0 is "
                     f"{clean.label_names[0]}, {network.labels - 1} is {clean.label_names[-1]}.")


def _by_number(network: Network, clean: Dataset, chosen: Preprocessing | None, progress: ProgressCallback,
               cancel: CancelToken) -> Labelling:
    """Numbers as they stand, or their order as text, whichever the network is right with."""
    as_text = clean.label_names
    if len(as_text) != network.labels or as_text == tuple(sorted(as_text, key=int)):
        return Labelling(())
    every = {"numbers (0, 1, 2, ...)": clean, f"text ({', '.join(as_text[:3])}, ...)": clean.named(as_text)}
    ways = {way: dataset for way, dataset in every.items() if dataset.labels.max() < network.labels}
    feedings: dict[str, Feeding] = {}
    if chosen:
        truths = [dataset.labels for dataset in ways.values()]
        right = dict(zip(ways, right_answers(network, clean.prepared(chosen), truths, cancel), strict=True))
    else:
        feedings = {way: find_feeding(network, dataset, progress=progress, cancel=cancel)
                    for way, dataset in ways.items()}
        right = {way: Rate(max(found.right.values()), found.images) for way, found in feedings.items()}
    best = max(right, key=lambda way: right[way].value)
    share = {way: percent(rate.value) for way, rate in right.items()}
    other = "".join(f", in that of {way} on {share[way]}" for way in right if way != best)
    return Labelling(ways[best].classes, f"{_called(clean)} are labels in the order of {best}: so the network is right "
                     f"on {share[best]} of the clean images{other}.", feedings.get(best), tried=True)


def _called(*sets: Dataset) -> str:
    """What the names of the first set that has some are called, at a sentence's beginning."""
    return next(dataset.names_are for dataset in sets if dataset.label_names).capitalize()


def _folder_of(dataset: Dataset) -> Path:
    """Where a class list lies that belongs to a data set."""
    return dataset.path if dataset.path.is_dir() else dataset.path.parent


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
