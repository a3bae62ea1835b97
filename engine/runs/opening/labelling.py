"""Which label each sub-folder of pictures, or each word, stands for: by name, never by a guess nobody is told of."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.assessment import percent
from engine.data.classes import are_numbers, beside, few, passed_over, places_among
from engine.data.datasets import Dataset
from engine.data.preprocessing import Preprocessing
from engine.errors import DatasetError
from engine.models.networks import Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.rates import Rate
from engine.runs.opening.feeding import Feeding, all_answers, find_feeding, right_answers

_REMEDY = ("Give the class list: a text file with one name a line, the first for label 0 (--classes FILE, or Label "
           "names in the window).")


class Named(Protocol):
    """What of a data set, or of its description, says how its labels are named."""

    @property
    def path(self) -> Path:
        """Its file or folder."""
        ...

    @property
    def label_names(self) -> tuple[str, ...]:
        """All names by which its images are labelled; none where labels are numbers."""
        ...

    @property
    def names_are(self) -> str:
        """What these names are called."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """What label numbers are called, where the file says so."""
        ...


@dataclass(frozen=True)
class Labelling:
    """How sub-folders, or labels that are words, become numbers.

    Attributes:
        classes: names of all labels in order; none where labels are numbers as they stand.
        notice: where the classes come from, or how their order was found, a sentence; empty where nobody needs to know.
        feeding: what was found out on the way about the preprocessing; None where that is chosen or nothing was tried.
        tried: whether the order was found by trying.
        doubt: that a file calls its label numbers otherwise than the classes, a sentence; empty where none does.
        whose: whose classes they are.
        numbers: whether label numbers are names of classes, such as "50" of a speed limit, too.
        passed_over: why a file that is called like a class list counted for nothing, a sentence; empty without one.
    """

    classes: tuple[str, ...]
    notice: str = ""
    feeding: Feeding | None = None
    tried: bool = False
    doubt: str = ""
    whose: str = "the network's"
    numbers: bool = False
    passed_over: str = ""

    def of(self, dataset: Dataset, labels: int) -> Dataset:
        """A data set of the same network with its labels.

        Raises:
            DatasetError: a sub-folder can't be matched with a label.
        """
        if not self.classes and dataset.label_names and not are_numbers(dataset.label_names):
            are = "have names" if dataset.names_are == "sub-folders" else "are words"
            raise DatasetError(f"{dataset.path}: its {dataset.names_are} {are} ({few(dataset.label_names)}), and "
                               f"nothing says which of the network's {labels} labels each stands for. "
                               f"{_remedy(self.passed_over)}")
        by_number = are_numbers(dataset.label_names) and not set(dataset.label_names) <= set(self.classes)
        # Where they fit as they stand and aren't all names they are the network's own, whatever the clean set's are.
        are_names = self.numbers and (dataset.labels.max() >= labels or
                                      set(dataset.labels.astype(str).tolist()) <= set(self.classes))
        return (dataset if by_number else dataset.named(self.classes, self.whose, are_names)).fitting(labels)


def find_labelling(
    network: Network, given: Sequence[str], clean: Dataset, others: Sequence[Dataset],
    chosen: Preprocessing | None = None, *, progress: ProgressCallback = ignore_progress,
    cancel: CancelToken = NEVER_CANCELLED,
) -> Labelling:
    """Find out what the sub-folders of a network's data sets, or their labels that are words, stand for.

    A class list that was given counts, or one that lies beside the model or in a folder of pictures; else the names
    in the model's own file, or those in a file of images; else the names of the clean set's sub-folders, where there is
    one for each label. Where these are numbers that text and numbers order differently, both orders are tried on the
    clean images, and the one with more right answers is taken. So are, with a class list that was given, label numbers
    that are all among its names: as they stand and as names.

    Args:
        given: a class list; none to look for one.
        clean, others: as opened, before any labelling.
        chosen: the preprocessing where a person chose it; None to find it out.
    Raises:
        DatasetError: the list doesn't fit the network, or names can't be matched.
        Cancelled: the token was set.
    """
    found = labelling_by_name(network.path, network.labels, given, clean, others, network.classes)
    if found is None:
        as_text = clean.label_names
        as_numbers = tuple(sorted(as_text, key=int))
        ways = {f"in the order of numbers ({', '.join(as_numbers[:3])}, ...)":
                clean if _are_labels(as_numbers, network.labels) else clean.named(as_numbers),
                f"in the order of text ({', '.join(as_text[:3])}, ...)": clean.named(as_text)}
        return _tried(network, ways, _called(clean), chosen, progress, cancel)
    if not given or clean.label_names or clean.class_names \
            or not set(words := clean.labels.astype(str).tolist()) <= set(found.classes):
        return found
    ways = {"as they stand (0, 1, 2, ...)": clean, f"by the names in the class list ({few(found.classes, 3)})":
            clean.named(found.classes, numbers=True)}
    if words == [found.classes[label] if label < network.labels else "" for label in clean.labels]:
        return found  # either way
    tried = _tried(network, ways, "Label numbers", chosen, progress, cancel)
    return dataclasses.replace(tried, classes=found.classes, doubt=found.doubt, numbers=bool(tried.classes))


def labelling_by_name(
    model: Path, labels: int, given: Sequence[str], clean: Named, others: Sequence[Named],
    in_model: tuple[str, ...] = (),
) -> Labelling | None:
    """As find_labelling, without a network; None where the sub-folders are numbers, whose order must be tried.

    Args:
        in_model: what the model's file calls its labels; none where it doesn't say.
    Raises:
        DatasetError: as find_labelling.
    """
    found = _labelling(model, labels, given, clean, others, in_model)
    return found and dataclasses.replace(found, doubt=_doubt(found.classes, (clean, *others)))


def _labelling(model: Path, labels: int, given: Sequence[str], clean: Named, others: Sequence[Named],
               in_model: tuple[str, ...]) -> Labelling | None:
    if given:
        check_count(model, labels, given)
        return Labelling(tuple(given))
    own = next((found for found in (clean, *others) if len(found.class_names) == labels), None)
    if not any(named.label_names for named in (clean, *others)):
        return Labelling(in_model or (own.class_names if own else ()))
    places = _places_of_lists(model, (clean, *others))
    found, unfit = beside(places, labels), passed_over(places, labels)
    names = {name for named in (clean, *others) for name in named.label_names}
    if found and names & set(found[0]):
        return Labelling(found[0], f"{_called(clean, *others)} are labels in the order of {found[1].name}.")
    if names & set(in_model):
        return Labelling(in_model, f"{_called(clean, *others)} are labels by the names in the model file {model.name}.")
    if own:
        return Labelling(own.class_names, f"{_called(clean, *others)} are labels by the names of classes in "
                         f"{own.path.name}.")
    if are_numbers(clean.label_names):
        return None if _two_orders(clean.label_names, labels) else Labelling((), passed_over=unfit)
    if len(clean.label_names) != labels:
        raise DatasetError(f"{clean.path}: has {len(clean.label_names)} {clean.names_are} ({few(clean.label_names)}), "
                           f"but the network has {labels} labels, so which stands for which can't be told. "
                           f"{_remedy(unfit)}")
    order = (f"{_called(clean)} are labels in the order of their names: 0 is {clean.label_names[0]}, {labels - 1} "
             f"is {clean.label_names[-1]}.")
    return Labelling(clean.label_names, " ".join(filter(None, (order, unfit))), whose="the clean images'")


def check_count(model: Path, labels: int, given: Sequence[str], file: Path | None = None) -> None:
    """Refuse a class list that isn't a network's.

    Args:
        file: where it is from, if that is known.
    Raises:
        DatasetError: it has more or fewer names than the network has labels.
    """
    if len(given) != labels:
        held = f"{file}: holds" if file else "The class list holds"
        raise DatasetError(f"{held} {len(given):,} names, but {model} has {labels:,} labels. {_REMEDY}")


def _remedy(unfit: str) -> str:
    """What to do, after why a list that was found can't be used."""
    return " ".join(filter(None, (unfit, _REMEDY)))


def _doubt(classes: Sequence[str], sets: Sequence[Named]) -> str:
    """A sentence on the first set whose file calls a label number what is none of the classes."""
    for named in sets:
        strange = [name for name, place in zip(named.class_names, places_among(named.class_names, classes), strict=True)
                   if place is None]
        if classes and strange:
            return (f"{named.path.name} calls its labels {few(named.class_names)}, but the network's classes are "
                    f"{few(classes)}: nothing shows that {strange[0]} is one of them, and its label numbers are taken "
                    "as they stand.")
    return ""


def _tried(network: Network, every: Mapping[str, Dataset], called: str, chosen: Preprocessing | None,
           progress: ProgressCallback, cancel: CancelToken) -> Labelling:
    """Of ways to label the clean set that one by which the network is right most often, the first of equals."""
    clean = next(iter(every.values()))
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
    other = "".join(f", {way} on {share[way]}" for way in right if way != best)
    return Labelling(ways[best].classes, f"{called} are labels {best}: so the network is right "
                     f"on {share[best]} of the clean images{other}.", feedings.get(best), tried=True)


def _two_orders(numbers: tuple[str, ...], labels: int) -> bool:
    """Whether sub-folders named by numbers may be labels in the order of text as well."""
    return len(numbers) == labels and numbers != tuple(sorted(numbers, key=int))


def _are_labels(numbers: Sequence[str], labels: int) -> bool:
    """Whether names that are numbers are labels as they stand; else, as of 1 to 10, the lowest is label 0."""
    return max(map(int, numbers)) < labels


def _places_of_lists(model: Path, sets: Sequence[Named]) -> list[Path]:
    """Where a class list may lie: beside the model, and in or beside data whose labels have names."""
    return [model.parent, *(_folder_of(named) for named in sets if named.label_names)]


def _called(*sets: Named) -> str:
    """What the names of the first set that has some are called, at a sentence's beginning."""
    return next(dataset.names_are for dataset in sets if dataset.label_names).capitalize()


def _folder_of(dataset: Named) -> Path:
    """Where a class list lies that belongs to a data set."""
    return dataset.path if dataset.path.is_dir() else dataset.path.parent


@dataclass(frozen=True, eq=False)
class Trial:
    """What a network answers on clean images whose labels have names, so that any way to number the names is told
    apart from a better one.

    Attributes:
        names: all names of the clean set.
        orders: ways to number them that suggest themselves, each called by what it goes by, the most right one first.
    """

    names: tuple[str, ...]
    _codes: Labels
    _answers: dict[str, Labels]
    orders: tuple[tuple[str, dict[str, int]], ...] = ()

    def right(self, labels: Mapping[str, int]) -> Rate:
        """How often the network is right where names are labels so, by whichever preprocessing it is so most often;
        images of a name without a label count as wrong."""
        truth = np.array([labels.get(name, -1) for name in self.names], np.int64)[self._codes]
        known = truth >= 0  # an answer that is no number is none of them
        return Rate(max(int((answer == truth)[known].sum()) for answer in self._answers.values()), len(truth))

    def answer(self, name: str) -> tuple[int, Rate]:
        """The label that the network gives most often to images of a name, and how often it does."""
        asked = self._codes == self.names.index(name)
        counts = [Counter(answer[asked & (answer >= 0)].tolist()).most_common(1) for answer in self._answers.values()]
        label, times = max((first for first, *_ in filter(None, counts)), key=lambda pair: pair[1], default=(-1, 0))
        return label, Rate(times, int(asked.sum()))

    def by_answers(self) -> dict[str, int]:
        """Names as the labels that the network answers, each label once; names that it leaves open are left out."""
        ways = []
        for answer in self._answers.values():
            found: dict[str, int] = {}
            for (code, label), _ in Counter(zip(self._codes.tolist(), answer.tolist(), strict=True)).most_common():
                if label >= 0 and self.names[code] not in found and label not in found.values():
                    found[self.names[code]] = label
            ways.append(found)
        return max(ways, key=lambda found: self.right(found).value)


def try_orders(
    network: Network, clean: Dataset, chosen: Preprocessing | None = None, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Trial:
    """Try on clean images which labels their names may stand for: the order of text, that of numbers, a class list
    found beside the files or in the model, and what the network answers.

    Args:
        clean: as opened, before any labelling.
        chosen: the preprocessing where a person chose it; None tries all.
    Raises:
        DatasetError: the clean images' labels have no names.
        Cancelled: the token was set.
    """
    names = clean.label_names
    if not names:
        raise DatasetError(f"{clean.path}: its labels are numbers, so there is nothing to try them by.")
    asked, answers = all_answers(network, clean, chosen, progress=progress, cancel=cancel)
    trial = Trial(names, clean.named(names).labels[asked], answers)
    orders: list[tuple[str, dict[str, int]]] = []
    found = beside(_places_of_lists(network.path, [clean]), network.labels)
    lists = {f"the list {found[1].name}": found[0]} if found else {}
    for called, classes in (lists | {"the names in the model file": network.classes}).items():
        if set(names) <= set(classes):
            orders.append((called, {name: classes.index(name) for name in names}))
    if are_numbers(names) and _are_labels(names, network.labels):
        orders.append(("their order as numbers", {name: int(name) for name in names}))
    elif are_numbers(names) and len(names) == network.labels:
        orders.append(("their order as numbers", {name: n for n, name in enumerate(sorted(names, key=int))}))
    if len(names) == network.labels:
        orders.append(("their order as text", {name: place for place, name in enumerate(names)}))
    orders.append(("what the network answers", trial.by_answers()))
    unlike = [order for place, order in enumerate(orders) if order[1] not in [labels for _, labels in orders[:place]]]
    ranked = sorted(unlike, key=lambda order: -trial.right(order[1]).value)
    return dataclasses.replace(trial, orders=tuple(ranked))


def as_classes(labels: Mapping[str, int], count: int, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Names that are labels as a class list; labels without one keep what a known list calls them, or get a name.

    Args:
        labels: a label 0 to count - 1 for each name, each label once.
        known: a list of so many names, or none.
    """
    name_of = {label: name for name, label in labels.items()}
    classes: list[str] = []
    for label in range(count):
        name = name_of.get(label) or (known[label] if len(known) == count else f"label {label}")
        while label not in name_of and (name in labels or name in classes):
            name += " (no images)"
        classes.append(name)
    return tuple(classes)
