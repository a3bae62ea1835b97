"""guard.npz: a calibrated guard on disk, plain arrays only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError, in_short
from engine.files.own import read_own_arrays
from engine.files.saving import whole_file
from engine.guards.calibration import LOWEST_FALSE_ALARMS, Calibration, Guard
from engine.guards.cuts import KINDS, Cuts, of_bands, raised
from engine.guards.transplant import Donors
from engine.rates import Rate

SCHEMA = 2

# What each entry must be: the kinds of number (NumPy's letters) and how many axes.
_ENTRIES = {
    "schema": ("iu", 0), "kind": ("U", 0), "threshold": ("f", 0), "labels": ("iu", 0), "image_shape": ("iu", 1),
    "false_alarms": ("f", 0), "calibration_images": ("iu", 0), "held_back": ("iu", 1), "seed": ("iu", 0),
    "donors": ("uf", 4), "donor_labels": ("iu", 1), "escalate_above": ("f", 0),
}
# What is cut, by schema: the first knew bands of rows only, and their scores as they are.
_CUTS = {
    1: {"bands": ("iu", 2)},
    2: {"cut_kinds": ("U", 1), "cut_shares": ("f", 3), "cut_centres": ("f", 1), "cut_spreads": ("f", 1)},
}
_MOST_BYTES = 1 << 27
# A guard of this program has up to 21 cuts and 16 donors.
_MOST_CUTS, _MOST_DONORS = 64, 1024
_SAID, _REMEDY = "isn't a saved guard, or is damaged", "Calibrate the guard again."


def save_guard(guard: Guard, path: Path) -> None:
    """Write guard.npz; donors take a byte a value when all are whole numbers from 0 to 255, as in stored pictures.

    Raises:
        OutputError: it can't be written.
    """
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **_entries(guard))


def open_guard(path: Path) -> Guard:
    """Read guard.npz; nothing pickled is read and everything is checked.

    Raises:
        EngineError: the file isn't a guard or is damaged.
    """
    schema = int(_arrays(path, {"schema": _ENTRIES["schema"]})["schema"])
    try:
        _require(schema in _CUTS, f"its schema is {schema}, {' or '.join(map(str, _CUTS))} was expected")
        return _checked(_arrays(path, {**_ENTRIES, **_CUTS[schema]}))
    except (ValueError, KeyError, TypeError, MemoryError, OverflowError, IndexError) as error:
        raise EngineError(f"{path}: {_SAID} ({in_short(error)}). {_REMEDY}") from error


def _arrays(path: Path, entries: Mapping[str, tuple[str, int]]) -> dict[str, npt.NDArray[Any]]:
    return read_own_arrays(path, entries, _MOST_BYTES, _SAID, _REMEDY)


def _entries(guard: Guard) -> dict[str, npt.NDArray[Any]]:
    donors = guard.donors.images
    as_bytes = donors.clip(0, 255).astype(np.uint8)
    facts = guard.calibration
    return {name: np.asarray(value) for name, value in {
        "schema": SCHEMA, "kind": guard.kind, "threshold": guard.threshold, "labels": guard.labels,
        "image_shape": guard.image_shape, "false_alarms": facts.false_alarms, "calibration_images": facts.images,
        "held_back": (facts.held_back.count, facts.held_back.total), "seed": facts.seed,
        "donors": as_bytes if np.array_equal(as_bytes, donors) else donors, "donor_labels": guard.donors.labels,
        "escalate_above": guard.escalate_above, "cut_kinds": np.array(guard.cuts.kinds, np.str_),
        "cut_shares": guard.cuts.shares, "cut_centres": guard.cuts.centres, "cut_spreads": guard.cuts.spreads,
    }.items()}


def _checked(stored: Mapping[str, npt.NDArray[Any]]) -> Guard:
    """Raises ValueError, saying what is wrong."""
    kind, shape = str(stored["kind"]), tuple(int(n) for n in stored["image_shape"])
    donors, labels = stored["donors"].astype(np.float32), stored["donor_labels"]
    _require(kind in ("transplant", "margin"), f"its kind is '{kind}'")
    _require(len(shape) == 3 and shape[2] in (1, 3) and min(shape) > 0, f"its image shape is {shape}")
    _require(donors.shape[1:] == shape and len(donors) == len(labels), "its donors don't match its image shape")
    _require(bool(np.isfinite(donors).all()), "its donors hold values that aren't numbers")
    _require(bool((labels >= 0).all() and (labels < int(stored["labels"])).all()), "a donor's label is out of range")
    _require(len(donors) <= _MOST_DONORS, f"it has {len(donors):,} donors")
    threshold, escalate_above = float(stored["threshold"]), float(stored["escalate_above"])
    _require(threshold > -math.inf and not math.isnan(escalate_above),
             f"its threshold is {threshold:g}, and what escalates {escalate_above:g}")
    _require(LOWEST_FALSE_ALARMS <= float(stored["false_alarms"]) < 1,
             f"its false-alarm rate isn't between {LOWEST_FALSE_ALARMS:g} and 1")
    _require(int(stored["calibration_images"]) >= 0, "its number of calibration images is below 0")
    held = stored["held_back"]
    _require(held.shape == (2,) and 0 <= held[0] <= held[1], "its held-back counts don't add up")
    height, width, channels = shape
    cuts = _checked_cuts(stored, height, width)
    if "bands" in stored and kind == "transplant":
        # Scores stood as they are then: mean log-probabilities, which cuts without a scale of their own only raise.
        threshold, escalate_above = (score if math.isinf(score) else float(raised(np.array(score)))
                                     for score in (threshold, escalate_above))
    _require(kind == "margin" or (len(np.unique(labels)) > 1 and len(cuts.kinds) > 0),
             "it lacks cuts or donors of two labels")
    return Guard(
        "margin" if kind == "margin" else "transplant", threshold, int(stored["labels"]), (height, width, channels),
        Calibration(float(stored["false_alarms"]), int(stored["calibration_images"]),
                    Rate(int(held[0]), int(held[1])), int(stored["seed"])),
        Donors(donors, labels.astype(np.int64)), cuts, escalate_above)


def _checked_cuts(stored: Mapping[str, npt.NDArray[Any]], height: int, width: int) -> Cuts:
    if "bands" in stored:
        bands = stored["bands"]
        _require(len(bands) <= _MOST_CUTS, f"it has {len(bands):,} bands")
        _require(bands.shape[1:] == (2,) and bool((bands >= 0).all() and (bands[:, 0] < bands[:, 1]).all()
                                                  and (bands <= height).all()), "its bands lie outside the image")
        return of_bands(height, width, bands.astype(np.int64))
    kinds, shares = tuple(str(kind) for kind in stored["cut_kinds"]), stored["cut_shares"].astype(np.float32)
    centres, spreads = stored["cut_centres"].astype(np.float64), stored["cut_spreads"].astype(np.float64)
    _require(len(kinds) <= _MOST_CUTS and set(kinds) <= set(KINDS), "its cuts are of no known kind, or too many")
    _require(shares.shape == (len(kinds), height, width), "its cuts don't match its image shape")
    _require(bool((shares >= 0).all() and (shares <= 1).all()), "its cuts show less than none or more than all")
    _require(bool(shares.any(axis=(1, 2)).all()), "one of its cuts shows nothing")
    _require(centres.shape == spreads.shape == (len(kinds),) and bool(np.isfinite(centres).all())
             and bool(np.isfinite(spreads).all() and (spreads > 0).all()), "the scales of its cuts aren't numbers")
    return Cuts(kinds, shares, centres, spreads)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
