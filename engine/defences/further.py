"""Defences beyond the project's own: plug-ins that somebody installed.

A further defence is a `Further` in a package of its own that names it as an entry point of the group
`goodnet.defences`. A plug-in is a program, with all rights of whoever installed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.data.datasets import Dataset
from engine.errors import EngineError, in_short
from engine.files.scratch import scratch_folder
from engine.guards.calibration import Guard
from engine.guards.guard_files import open_guard, save_guard
from engine.literal import literal
from engine.models.networks import Images, Network, open_network
from engine.progress import NEVER_CANCELLED, ignore_done

GROUP = "goodnet.defences"
# What a defence may say that it needs; without it, it is left out.
ALL_LABELS = "images of every label"


@dataclass(frozen=True, eq=False)
class Further:
    """A defence to compare with the others.

    Attributes:
        name: what it is called in tables.
        needs: nothing, or ALL_LABELS.
        defend: makes of B and clean images in its input range a network that answers in B's place, or a guard that
            stands before B. It must leave B as it is; what it raises becomes a sentence.
    """

    name: str
    needs: tuple[str, ...]
    defend: Callable[[Network, Dataset], Network | Guard]


def further_defences() -> tuple[list[Further], list[str]]:
    """All further defences, and a sentence for each plug-in that can't be loaded."""
    found: list[Further] = []
    failed: list[str] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            loaded = entry.load()
        except Exception as error:  # a stranger's code may raise whatever it likes
            failed.append(f"The plug-in {literal(entry.name)} can't be loaded ({in_short(error)}).")
            continue
        if wrong := _wrong_form(loaded):
            failed.append(f"The plug-in {literal(entry.name)} {wrong}")
        else:
            found.append(loaded)
    return found, failed


def _wrong_form(loaded: Any) -> str:
    """Why what a plug-in names is no Further to work with, the end of a sentence; empty where it is one."""
    if not isinstance(loaded, Further):
        return f"is a {type(loaded).__name__}; a Further was expected."
    named, needs = isinstance(loaded.name, str), loaded.needs
    words = isinstance(needs, Collection) and not isinstance(needs, str) and all(isinstance(one, str) for one in needs)
    if named and words and callable(loaded.defend):
        return ""
    return "is badly formed; a name, strings that say what it needs, and a function were expected."


def defended(further: Further, network: Network, clean: Dataset) -> Network | Guard:
    """What a further defence makes of B, checked on an image; the same each time, if only chance parts them.

    Raises:
        EngineError: it lacks what it needs, fails, or makes something that doesn't fit B.
    """
    if unknown := set(further.needs) - {ALL_LABELS}:
        raise EngineError(f"{further.name} needs {', '.join(sorted(unknown))}, which a comparison doesn't have, so "
                          "it was left out.")
    if ALL_LABELS in further.needs and len(np.unique(clean.labels)) < network.labels:
        raise EngineError(f"{further.name} needs {ALL_LABELS}, and some have none here, so it was left out.")
    # Training demands that TensorFlow repeats, in the whole process from then on: without a seed nothing is random.
    backend.load()[1].utils.set_random_seed(0)
    try:
        made = further.defend(network, clean)
        image = clean.take([0])
        if isinstance(made, Guard):
            made.on(network).answer(image, NEVER_CANCELLED, ignore_done)
        elif not isinstance(made, Network):
            raise TypeError(f"it made a {type(made).__name__}; a Network or a Guard was expected")
        elif made.predict(image).shape != (1, network.labels):  # predicting finds out whether it takes such images
            raise ValueError(f"its network has {made.labels} labels, and B has {network.labels}")
    except Exception as error:  # a stranger's code may raise whatever it likes
        raise EngineError(f"{further.name} failed and was left out ({in_short(error)}).") from error
    return made


def as_saved(name: str, made: Network | Guard, network: Network, images: Images) -> bytes | Guard:
    """What `defended` gave as it is once it is saved and opened again: the bytes of a network's file, or a guard.

    Args:
        network: B; images: some of its input range, with which it is tried whether it still answers the same.
    Raises:
        EngineError: it can't be saved, can't be opened again, or answers otherwise then.
    """
    with scratch_folder() as folder:
        try:
            if isinstance(made, Guard):
                save_guard(made, folder / "guard.npz")
                guard = open_guard(folder / "guard.npz")
                _check_same(*(one.on(network).answer(images).flagged for one in (made, guard)))
                return guard
            file = folder / "network.keras"
            made.model.save(file)
            _check_same(made.predict(images), open_network(file).predict(images))
            return file.read_bytes()
        except Exception as error:  # what a stranger's network does when it is saved, nobody knows
            raise EngineError(f"{name} can be measured but not saved ({in_short(error)}).") from error


def _check_same(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> None:
    if not np.allclose(before, after, rtol=1e-3, atol=1e-5):
        raise ValueError("opened again, it answers otherwise")
