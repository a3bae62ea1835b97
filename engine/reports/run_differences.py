"""What sets finished runs apart: files, options, order, curves and the best defence, one row a difference.

Nothing is computed again: everything is read off the runs' own counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.assessment import percent
from engine.data.classes import name_of
from engine.data.preprocessing import preprocessing
from engine.pruning.sweep import SetCounts
from engine.rates import Rate
from engine.reports.headline import Headline, headline
from engine.runs.opening.inputs import DatasetSummary, InputFiles
from engine.runs.prune import PruningRequest, PruningRun
from engine.runs.rows import rows_of

# Whether images count as poisoned, their SHA-256, and their target.
_SetKey = tuple[bool, str, int | None]

_HASH_LETTERS = 12
_SETTINGS = {"rank_at": "Channels ranked at", "drops": "Thresholds X", "drop_mode": "X counts",
             "stop": "Step that answers X", "guard": "Guard", "false_alarms": "False alarms asked for"}
# The order itself is compared, and a cluster counts as one machine does.
_LEFT_OUT = {*(field.name for field in dataclasses.fields(InputFiles)), "order", "cluster"}


@dataclass(frozen=True)
class Difference:
    """One thing in which runs differ, with an entry a run.

    Attributes:
        values: plain values for programs, rates as fractions; None where a run has none.
        texts: the same for people.
    """

    what: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """A run's entry; runs are the same in something when their keys are equal."""

    key: Hashable
    value: Any
    text: str


def differences(runs: Sequence[PruningRun]) -> tuple[Difference, ...]:
    """Everything in which two or more runs differ, inputs first, the best defence last."""
    rows = (Difference(what, tuple(e.value for e in entries), tuple(e.text for e in entries))
            for what, entries in _everything(runs) if len({e.key for e in entries}) > 1)
    return tuple(rows)


def cautions(runs: Sequence[PruningRun]) -> tuple[str, ...]:
    """Why figures of these runs can't be set against each other, a sentence each; none where they can."""
    found = []
    if len({_measured_on(run).sha256 for run in runs}) > 1:
        found.append("Clean accuracy was measured on different images, so a difference of clean accuracy may come from "
                     "the images. Run again with the same test images to compare it.")
    elif len({best.clean.total for run in runs if (best := best_of(run))}) > 1:
        found.append("The best defences were measured on different numbers of clean images, for without a test set "
                     "some are measured on images held back: a difference of clean accuracy may come from the images.")
    if len({(_images(run, "poisoned").key, _targets(run).key) for run in runs}) > 1:
        found.append("The poisoned images or their targets aren't the same, so a difference of attack success may come "
                     "from them. Run again with the same poisoned images to compare it.")
    return tuple(found)


def best_of(run: PruningRun) -> Headline | None:
    """The best defence that a run measured."""
    return headline(run, rows_of(run))


def b_beside(best: Headline | None, run: PruningRun) -> Rate:
    """Clean accuracy of B alone on the images that its best defence was measured on; without one, on the run's."""
    return best.clean_before if best else run.curve.clean.b_prime_rate(0)


def worst_attack(sets: Sequence[SetCounts], step: int) -> Rate | None:
    """The highest attack success of the GoodNet over poisoned sets, None where there are none."""
    return max((counts.goodnet_rate(step) for counts in sets), key=lambda rate: rate.value, default=None)


def _everything(runs: Sequence[PruningRun]) -> Iterator[tuple[str, list[_Entry]]]:
    def each(of: Callable[..., _Entry], *given: Any) -> list[_Entry]:
        return [of(run, *given) for run in runs]

    yield "Model", each(lambda run: _hashed([(run.model.path.name, run.model.sha256)]))
    yield "Clean validation images", each(_images, "validation")
    yield "Clean test images", each(_images, "test")
    yield "Poisoned images", each(_images, "poisoned")
    yield "Targets of the poisoned images", each(_targets)
    yield "Output", each(lambda run: _plain(run.request.output))
    yield "Layer", each(lambda run: _plain(run.model.layer))
    yield "Channels of the layer", each(lambda run: _plain(run.model.channels))
    yield from _names(runs)
    yield "Values", each(lambda run: _plain(preprocessing(run.model.scale).words))
    for name, what in _settings(runs):
        yield what, each(_setting, name)
    yield from _orders(runs)
    yield "Defences compared", each(lambda run: _Entry(bool(run.comparison), bool(run.comparison),
                                                       "yes" if run.comparison else "no"))
    yield "Device", each(lambda run: _plain(run.device))
    yield from _curves(runs)
    yield "B without a defence", each(_figures, 0)
    for x in sorted({x for run in runs for x in run.request.drops}):
        yield f"The GoodNet at X = {x:g}", each(_goodnet, x)
    best = [best_of(run) for run in runs]
    yield "Best defence", [_plain(b.name if b else None) for b in best]
    yield "Clean accuracy of the best", [_rate(b.clean if b else None) for b in best]
    yield "Attack success of the best", [_rate(b.attack if b else None) for b in best]


def _settings(runs: Sequence[PruningRun]) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(PruningRequest):
        unused = field.name == "false_alarms" and not any(map(_guarding, runs))
        if field.name not in _LEFT_OUT and not unused:
            yield field.name, _SETTINGS.get(field.name, field.name.replace("_", " ").capitalize())


def _guarding(run: PruningRun) -> bool:
    """Whether a run set up guards, as a comparison does, too."""
    return run.request.guard != "none" or run.comparison is not None


def _setting(run: PruningRun, name: str) -> _Entry:
    value = getattr(run.request, name)
    if name == "drops":
        return _Entry(value, list(value), ", ".join(f"{x:g}" for x in value))
    return _Entry(value, value, percent(value)) if name == "false_alarms" else _plain(value)


def _names(runs: Sequence[PruningRun]) -> Iterator[tuple[str, list[_Entry]]]:
    """The first label that has another name in another run."""
    named = [run.model.classes for run in runs]
    for label in range(max(map(len, named))):
        names = [name_of(label, names) for names in named]
        if len(set(names)) > 1:
            yield f"Names of labels, first of label {label}", list(map(_plain, names))
            return


def _orders(runs: Sequence[PruningRun]) -> Iterator[tuple[str, list[_Entry]]]:
    """The first step at which the orders of a layer part."""
    orders = [run.ranking.order for run in runs]
    if len({run.model.layer for run in runs}) > 1 or len({len(order) for order in orders}) > 1:
        return
    apart = np.flatnonzero((np.stack(orders) != orders[0]).any(axis=0))
    if len(apart):
        entries = [_Entry(int(order[apart[0]]), int(order[apart[0]]), f"channel {order[apart[0]]}") for order in orders]
        yield f"Pruning order, first at step {apart[0] + 1}", entries


def _curves(runs: Sequence[PruningRun]) -> Iterator[tuple[str, list[_Entry]]]:
    """For each set that all runs share, the step at which the GoodNet's curves lie furthest apart."""
    if len({run.model.channels for run in runs}) > 1:
        return
    shared: dict[_SetKey, list[SetCounts]] = {}
    for run in runs:
        for images, counts in _counted(run).items():
            shared.setdefault(images, []).append(counts)
    for curves in shared.values():
        if len(curves) == len(runs):
            rates = np.stack([counts.goodnet_correct / counts.images for counts in curves])
            step = int(np.ptp(rates, axis=0).argmax())
            what = "Attack success" if curves[0].role == "poisoned" else "Clean accuracy"
            yield (f"{what} on {curves[0].title}, curves furthest apart at {step} pruned",
                   [_rate(counts.goodnet_rate(step)) for counts in curves])


def _counted(run: PruningRun) -> dict[_SetKey, SetCounts]:
    """A run's counts by the images; a file with several targets has counts for each."""
    found, left = {}, list(run.curve.sets)
    for file in (d for role in ("validation", "test", "poisoned") for d in _of(run, role)):
        parted = any(counts.name.endswith(f"(target {counts.target})") for counts in left[:1])
        sets = file.labels if parted else 1
        found.update({(file.role == "poisoned", file.sha256, counts.target): counts for counts in left[:sets]})
        left = left[sets:]
    return found


def _goodnet(run: PruningRun, x: float) -> _Entry:
    row = next((row for row in rows_of(run) if row.x == x), None)
    if row:
        return _figures(run, row.channels_pruned)
    return _Entry(None, None, "never reached" if x in run.request.drops else "not asked for")


def _figures(run: PruningRun, step: int) -> _Entry:
    clean, attack = run.curve.clean.goodnet_rate(step), worst_attack(run.curve.poisoned, step)
    text = f"{step} pruned: " if step else ""
    text += f"{percent(clean.value)} clean" + (f", {percent(attack.value)} attack" if attack else "")
    return _Entry((step, clean, attack),
                  {"channels_pruned": step, "clean_accuracy": clean.value,
                   "attack_success_rate": attack.value if attack else None}, text)


def _images(run: PruningRun, role: str) -> _Entry:
    return _hashed([(d.name, d.sha256) for d in _of(run, role)])


def _targets(run: PruningRun) -> _Entry:
    """What is wanted of each poisoned set; None where each of its images has a target of its own."""
    targets = [counts.target for counts in run.curve.poisoned]
    words = ["one an image" if target is None else str(target) for target in targets]
    return _Entry(tuple(targets), targets or None, ", ".join(words) or "none")


def _hashed(files: Sequence[tuple[str, str]]) -> _Entry:
    """Files by their contents: the same content under another name is no difference."""
    return _Entry(tuple(sha256 for _, sha256 in files), [f"{name}, SHA-256 {sha256}" for name, sha256 in files] or None,
                  ", ".join(f"{name} ({sha256[:_HASH_LETTERS]})" for name, sha256 in files) or "none")


def _plain(value: Any) -> _Entry:
    return _Entry(value, value, "none" if value is None else str(value))


def _rate(rate: Rate | None) -> _Entry:
    if rate is None:
        return _plain(None)
    low, high = rate.interval
    return _Entry(rate, rate.value, f"{percent(rate.value)} ({100 * low:.1f} to {100 * high:.1f})")


def _of(run: PruningRun, role: str) -> list[DatasetSummary]:
    return [d for d in run.datasets if d.role == role]


def _measured_on(run: PruningRun) -> DatasetSummary:
    """The images that clean accuracy is reported on."""
    return (_of(run, "test") or _of(run, "validation"))[0]
