"""All defences side by side on the same images: what each costs and what it stops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.assessment import Attack, Figures
from engine.data.datasets import Dataset
from engine.data.subsets import Indices, halves
from engine.data.targets import target_of
from engine.errors import DatasetError
from engine.guards.alarms import Alarms, alarms_of
from engine.guards.calibration import Guard, at_once
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Did, Heartbeat, ProgressCallback, ignore_progress
from engine.rates import Rate

# What B is called among the defences, where nothing but a guard is beside it.
BADNET = "B"
# Repaired copies that answer alone: agreement with B costs clean accuracy and stops little more.
UNPAIRED, UNLEARNT_UNPAIRED = "repaired network alone", "unlearnt network alone"
_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Defence:
    """A defence to compare.

    Attributes:
        name: such as "repaired".
        b_prime: the network that stands beside B; None for B alone.
        seconds: what it took to make.
        paired: whether B has to agree; without B, the network beside it answers alone.
        guard: a guard of the defence's own that stands before it.
    """

    name: str
    b_prime: Network | None
    seconds: float
    paired: bool = True
    guard: Guard | None = None


@dataclass(frozen=True, eq=False)
class GuardDefence:
    """A guard to put before defences, and the seconds it took to calibrate.

    Attributes:
        name: its kind, unless it is told from another of that kind.
        only: the defences it is put before; all where none is named.
    """

    guard: Guard
    seconds: float
    name: str = ""
    only: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """What rows call it."""
        return self.name or self.guard.kind


@dataclass(frozen=True, kw_only=True)
class ComparisonRow(Figures):
    """One defence, plain or behind a guard.

    Attributes:
        defence: its name; guard: "none", "transplant", "margin" or "sparing".
        seconds: what defence and guard together took to make.
        paired: whether B has to agree; else the network beside it answers alone.
    """

    defence: str
    guard: str
    seconds: float
    paired: bool = True

    @property
    def name(self) -> str:
        """Defence and guard in words."""
        return self.defence if self.guard == "none" else f"{self.defence} behind the {self.guard} guard"

    @property
    def changed(self) -> bool:
        """Whether anything but B answers."""
        return self.defence != BADNET

    @property
    def robust(self) -> Rate | None:
        """The lowest share of a poisoned set answered with the images' own labels; None where none is known."""
        known = [attack.robust for attack in self.attacks if attack.robust]
        return min(known, key=lambda rate: rate.value, default=None)


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the defences, each plain first.

    Attributes:
        warning: what a person must know before trusting the trained defences; empty when all is well.
        halves: the same rows on half of each set's images, and on the rest: what one half chooses is told by the other.
            None where a comparison was read back from a file.
        alarms: what each guard, in their order, flags of the clean images, by label; none of one that was read back.
    """

    rows: tuple[ComparisonRow, ...]
    warning: str = ""
    halves: tuple[tuple[ComparisonRow, ...], tuple[ComparisonRow, ...]] | None = None
    alarms: tuple[Alarms, ...] = ()


@dataclass(frozen=True, eq=False)
class _Answers:
    """Of n images: their labels, B's, those each defence gives, N where its networks disagree, and what each guard
    flags."""

    truth: Labels
    b: Labels
    defences: list[Labels]
    guards: list[npt.NDArray[np.bool_]]

    def final(self, defence: int, guard: int, flag_label: int) -> Labels:
        """Labels int64[n] of a defence; `guard` 0 is none, 1 the first."""
        labels = self.defences[defence]
        return np.where(self.guards[guard - 1], flag_label, labels) if guard else labels

    def part(self, which: Indices) -> _Answers:
        """Those to some of the images."""
        return _Answers(self.truth[which], self.b[which], [labels[which] for labels in self.defences],
                        [flags[which] for flags in self.guards])


def compare(
    b: Network, defences: Sequence[Defence], guards: Sequence[GuardDefence], test: Dataset,
    poisoned: Sequence[Dataset] = (), true_labels: Sequence[Labels | None] = (), *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Comparison:
    """Measure every defence plain and behind every guard that is for it.

    Every image is answered once by each network and guard, whatever the number of rows.

    Args:
        test: clean images; poisoned: sets whose labels are the attacker's target. All in B's input range.
        true_labels: int64[n] of each poisoned set's images, None where they aren't known; empty where none are.
    Raises:
        DatasetError: a poisoned set has not one true label an image.
        Cancelled: the token was set; nothing is kept.
    """
    known = list(true_labels) or [None] * len(poisoned)
    _check_true_labels(poisoned, known)
    heard, begun, found = Heartbeat("Comparing defences", len(test) + sum(map(len, poisoned)), progress), 0, []
    for dataset in (test, *poisoned):
        found.append(_answers(b, defences, guards, dataset, begun, heard, cancel))
        begun += len(dataset)
    parts = [halves(answers.truth) for answers in found]

    def rows(half: int) -> tuple[ComparisonRow, ...]:
        some = [answers.part(part[half]) for answers, part in zip(found, parts, strict=True)]
        truths = (None if truth is None else truth[part[half]] for truth, part in zip(known, parts[1:], strict=True))
        return _rows(b, defences, guards, poisoned, some, truths)

    alarms = (alarms_of(test.name, flags, found[0].truth, b.labels) for flags in found[0].guards)
    return Comparison(_rows(b, defences, guards, poisoned, found, known), halves=(rows(0), rows(1)),
                      alarms=tuple(alarms))


def _rows(
    b: Network, defences: Sequence[Defence], guards: Sequence[GuardDefence], poisoned: Sequence[Dataset],
    found: Sequence[_Answers], known: Iterable[Labels | None],
) -> tuple[ComparisonRow, ...]:
    """Each defence plain and behind every guard that is for it.

    Args:
        found: answers to test images, then to each poisoned set's; known: true labels of the latter.
    """
    on_test, sets = found[0], [*zip(poisoned, found[1:], known, strict=True)]

    def attack(of: Dataset, answers: _Answers, truth: Labels | None, d: int, g: int) -> Attack:
        labels = answers.final(d, g, b.labels)
        return Attack(of.name, target_of(of), _share(answers.b == answers.truth), _share(labels == answers.truth),
                      _share(labels == b.labels), of.reconstructed,
                      robust=None if truth is None else _share(labels == truth))

    rows = []
    for d, defence in enumerate(defences):
        for g, standing in enumerate((None, *guards)):
            if standing and standing.only and defence.name not in standing.only:
                continue
            clean = on_test.final(d, g, b.labels)
            rows.append(ComparisonRow(
                defence=defence.name, guard=standing.called if standing else "none",
                clean=_share(clean == on_test.truth), clean_before=_share(on_test.b == on_test.truth),
                false_alarms=_share(clean == b.labels),
                attacks=tuple(attack(*one, d, g) for one in sets),
                seconds=defence.seconds + (standing.seconds if standing else 0), paired=defence.paired))
    return tuple(rows)


def _check_true_labels(poisoned: Sequence[Dataset], known: Sequence[Labels | None]) -> None:
    for dataset, truth in zip(poisoned, known, strict=True):
        if truth is not None and len(truth) != len(dataset):
            raise DatasetError(f"{dataset.path}: holds {len(dataset)} images, but {len(truth)} true labels were given; "
                               "one an image was expected.")


def _answers(
    b: Network, defences: Sequence[Defence], guards: Sequence[GuardDefence], dataset: Dataset, begun: int,
    heard: Heartbeat, cancel: CancelToken,
) -> _Answers:
    standing = _StandingGuards(b, [g.guard for g in guards])
    own_guards = [defence.guard.on(b) if defence.guard else None for defence in defences]
    own_labels: list[Labels] = []
    labels: list[list[Labels]] = [[] for _ in defences]
    flags: list[list[npt.NDArray[np.bool_]]] = [[] for _ in guards]
    for chunk in dataset.chunks(at_once(b, _CHUNK)):
        own = b.predict_labels(chunk.images, cancel, heard.beat)
        own_labels.append(own)
        for into, defence, before in zip(labels, defences, own_guards, strict=True):
            other = defence.b_prime.predict_labels(chunk.images, cancel, heard.beat) if defence.b_prime else own
            flagged_too = before.answer(chunk.images, cancel, heard.beat).flagged if before else \
                np.zeros(len(own), bool)
            disagree = (own != other) if defence.paired else np.zeros(len(own), bool)
            into.append(np.where(disagree | flagged_too, b.labels, other))
        for into_flags, flagged in zip(flags, standing.flagged(chunk.images, cancel, heard.beat), strict=True):
            into_flags.append(flagged)
        heard.report(begun + chunk.start + len(chunk.labels))
    return _Answers(dataset.labels, np.concatenate(own_labels), [np.concatenate(part) for part in labels],
                    [np.concatenate(part) for part in flags])


class _StandingGuards:
    """Guards before B; those that part only in their threshold score each image once."""

    def __init__(self, b: Network, guards: Sequence[Guard]) -> None:
        self._guards = guards
        # Scores are exact above a guard's own threshold, so the lowest one's serve the others too.
        rising = sorted(range(len(guards)), key=lambda i: guards[i].threshold)
        self._scored_by = [next(i for i in rising if guards[i].scores_like(guard)) for guard in guards]
        self._standing = {i: guards[i].on(b) for i in self._scored_by}

    def flagged(self, images: Images, cancel: CancelToken, did: Did) -> list[npt.NDArray[np.bool_]]:
        """What each guard flags, bool[n]."""
        scores = {i: standing.answer(images, cancel, did).score for i, standing in self._standing.items()}
        return [scores[i] > guard.threshold for i, guard in zip(self._scored_by, self._guards, strict=True)]


def _share(holds: npt.NDArray[np.bool_]) -> Rate:
    return Rate(int(holds.sum()), len(holds))
