"""What a pruning run was asked for beside its files, as run.json and a project hold it, and back."""

from __future__ import annotations

from typing import get_args

from engine.data.preprocessing import choice
from engine.guards.calibration import LOWEST_FALSE_ALARMS
from engine.guards.guarded_curve import GuardChoice
from engine.pruning.ranking import RankAt
from engine.pruning.thresholds import DropMode, Stop
from engine.records import checked
from engine.records.json_of import Json
from engine.runs.prune import PruningRequest

_CHOICES = {"rank_at": RankAt, "drop_mode": DropMode, "stop": Stop, "guard": GuardChoice}
NAMES = (*_CHOICES, "scale", "drops", "false_alarms", "layer")
_MOST_DROPS = 1000


def settings_json(request: PruningRequest) -> Json:
    """A request's settings by their names in PruningRequest. Files aren't among them, nor is a cluster's address."""
    return {name: getattr(request, name) for name in NAMES}


def checked_settings(settings: Json) -> Json:
    """Settings out of a stranger's JSON, as PruningRequest takes them.

    Raises:
        LookupError, TypeError, ValueError: one is missing or isn't what it should be.
    """
    drops = tuple(checked.number(x) for x in settings["drops"])
    if len(drops) > _MOST_DROPS or not all(0 <= x <= 100 for x in drops):
        raise ValueError("the drops aren't numbers from 0 to 100")
    false_alarms = checked.number(settings["false_alarms"])
    if not LOWEST_FALSE_ALARMS <= false_alarms < 1:
        raise ValueError(f"{false_alarms} isn't a rate of false alarms")
    return {"scale": choice(checked.text(settings["scale"])), "drops": drops, "false_alarms": false_alarms,
            "layer": None if settings["layer"] is None else checked.text(settings["layer"]),
            **{name: checked.one_of(settings[name], get_args(kind)) for name, kind in _CHOICES.items()}}
