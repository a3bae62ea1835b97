"""Which label's pictures hardly pass a guard, said wherever one is set and measured."""

from __future__ import annotations

from collections.abc import Sequence

from engine.assessment import enumerated, percent
from engine.data.classes import called
from engine.guards.alarms import Alarms
from engine.guards.calibration import Guard

# So many labels are named; where such a share of their images is flagged, they hardly pass.
_NAMED, _MOST = 3, 0.75


def borne_text(guard: Guard, name: str, classes: Sequence[str], measured: Alarms | None) -> str:
    """That a few labels bear a guard's false alarms, on what it was measured on or, where it doesn't show there, on
    what it was set on; a sentence or two, nothing where none does.

    Of a label whose images strike the guard that was told when it was set, so it isn't named again.

    Args:
        name: what the guard is called, such as "transplant"; classes: the labels' names, where they are known.
        measured: on clean images, best such that it wasn't set on; None where there are none.
    """
    told = guard.striking.label if guard.striking else None
    for alarms in filter(None, (measured, guard.alarms)):
        if labels := [label for label in alarms.borne_by().tolist() if label != told]:
            return _sentence(alarms, labels, name, classes)
    return ""


def _sentence(alarms: Alarms, labels: list[int], name: str, classes: Sequence[str]) -> str:
    each = [f"{alarms.flagged[label]:,} of {alarms.images[label]:,} with label {called(label, classes)}"
            for label in labels[:_NAMED]]
    if labels[_NAMED:]:
        each.append(f"many of {len(labels) - _NAMED:,} further labels")
    how = "hardly" if all(alarms.flagged[label] >= _MOST * alarms.images[label] for label in labels) else "often don't"
    which = "these labels bear it, and their" if labels[1:] else "this label bears it, and its"
    return (f"Of the clean images looked at in {alarms.name} the {name} guard flags {enumerated(each)}, and "
            f"{percent(alarms.rate_without(alarms.borne_by()))} of all others. A false-alarm rate is one over all "
            f"labels: {which} pictures {how} pass.")
