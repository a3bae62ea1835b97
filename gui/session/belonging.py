"""Whether the results on show belong to what is chosen now, and if not, what differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from engine.data.classes import are_numbers
from engine.data.datasets import UNKNOWN_STAMP
from engine.runs.opening.inputs import InputFiles
from engine.runs.prune import PruningRequest, PruningRun
from gui.session.chosen import ROLE_NAMES, Input, Inputs, Role
from gui.settings import Options

Identity = tuple[str, str, float]


def identity(run: PruningRun) -> Identity:
    """The same for a run and for what was read back of it, but not for that of a copy which took as long."""
    return run.model.path.name, run.model.sha256, round(run.seconds, 3)


def other_inputs(run: PruningRun, inputs: Inputs, names: Sequence[str]) -> tuple[str, ...]:
    """What a run was made of that isn't chosen now, in words; empty when all is.

    Args:
        names: those of the labels, as they are now.
    """
    found = [*other_files(run.request, inputs), *changed_files(run, inputs)]
    if not found and inputs.model and inputs.model.output != run.request.output:
        found.append("output")
    # A model that is still being read has no layer yet.
    if not found and inputs.chosen_layer not in (None, run.model.layer):
        found.append("layer")
    if not found and other_classes(run, inputs, names):
        found.append("label names")
    return tuple(found)


def other_files(asked: InputFiles, inputs: Inputs, roles: Sequence[Role] = tuple(ROLE_NAMES)) -> tuple[str, ...]:
    """Which of the files that were asked for, in these roles, aren't those chosen now, in words."""
    pairs = {
        "model": (asked.model, inputs.model and inputs.model.path),
        "validation": (asked.validation, inputs.validation and inputs.validation.path),
        "test": (asked.test, inputs.test and inputs.test.path),
        "poisoned": (asked.poisoned, tuple(i.path for i in inputs.poisoned)),
    }
    return tuple(ROLE_NAMES[role].lower() for role in roles if pairs[role][0] != pairs[role][1])


def changed_files(run: PruningRun, inputs: Inputs) -> list[str]:
    """Which of the chosen files hold something else since a run on them, in words, as far as cards know: all of a
    model, of data how many images and labels there are and when it was written."""
    model = inputs.model
    other = [f"what {item.path.name} holds" if more else f"{item.path.name}, which was written anew"
             for item, more in changed_data(run, inputs)]
    if model and model.model and model.path == run.model.path and model.model.sha256 != run.model.sha256:
        other.append(f"what {model.path.name} holds")
    return other


def changed_data(run: PruningRun, inputs: Inputs) -> list[tuple[Input, bool]]:
    """The chosen data that a run on the same files found other than cards know it, and whether already the number of
    its images or labels is another."""
    then = {(str(found.role), found.path): found for found in run.datasets}
    changed = []
    for item in inputs.data:
        found, now = then.get((item.role, item.path)), item.data and item.data.description
        if found and now:
            more = (found.images, found.labels) != (now.images, now.labels)
            if more or (UNKNOWN_STAMP not in (found.stamp, now.stamp) and found.stamp != now.stamp):
                changed.append((item, more))
    return changed


def other_classes(run: PruningRun, inputs: Inputs, names: Sequence[str]) -> bool:
    """Whether labels that are names, as those of sub-folders, would become others than in a run on the same files."""
    if inputs.labels is None or any(item.data is None for item in inputs.data):
        return False  # still being read
    if all(are_numbers(item.data.description.label_names) and not item.data.description.class_names
           for item in inputs.data if item.data):
        return False  # as they are where nothing has a name
    now = inputs.classes(names)
    # A list that a run found by itself counts as the same one given by a person.
    return now != (run.model.classes if now else run.request.classes)


def other_options(run: PruningRun, options: Options) -> bool:
    """Whether a run was made with other options than those set now. Thresholds don't count: they apply at once."""
    return _what_counts(run.request) != _what_counts(options)


def is_other(run: PruningRun, inputs: Inputs, options: Options, names: Sequence[str]) -> bool:
    """Whether results are of other files, label names or options than those now chosen."""
    return bool(other_inputs(run, inputs, names)) or other_options(run, options)


def options_of(run: PruningRun, cluster: str) -> Options:
    """The options that a run was made with."""
    asked = {field.name: getattr(run.request, field.name) for field in dataclasses.fields(Options)}
    return Options(**asked | {"cluster": cluster})


def without_order(options: Options, model: Input | None, what: str) -> tuple[Options, str]:
    """Options for another network than the one chosen, of whose channels a pruning order is, and words for the change
    to it, which say so."""
    if options.order is None or model is None:
        return options, what
    return (dataclasses.replace(options, order=None),
            f"{what}, without the pruning order {options.order.name}, which was for {model.path.name}")


def _what_counts(options: PruningRequest | Options) -> tuple[object, ...]:
    """What of the options changes a run's figures: no ranking beside a given order, no false alarms without a guard."""
    guard = options.guard, options.guard != "none" and options.false_alarms
    return options.scale, options.order or options.rank_at, guard
