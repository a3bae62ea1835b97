"""What a GoodNet's figures mean, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.rates import Rate

Level = Literal["repaired", "costly", "weakened", "failed", "unknown"]

# An attack that works on at most this share of images, and a loss of clean accuracy up to this many
# percentage points, are called a repair. Both are a matter of judgement, so they are said in the words.
HARMLESS_ATTACK = 0.05
BEARABLE_LOSS_POINTS = 5.0


@dataclass(frozen=True)
class Assessment:
    """A level for icons and filters, and one sentence for people."""

    level: Level
    sentence: str


def assess(name: str, clean: Rate, clean_before: Rate, attack: Rate | None) -> Assessment:
    """Judge a GoodNet by what it costs and what it stops.

    Args:
        name: how the sentence begins, such as "At X = 10".
        clean: its clean accuracy; clean_before: that of B alone on the same images.
        attack: its attack success rate on the first poisoned set, None when there is no such set.
    """
    loss = 100 * (clean_before.value - clean.value)
    kept = f"clean accuracy is {percent(clean.value)} (B alone: {percent(clean_before.value)})"
    if attack is None:
        return Assessment("unknown", f"{name} {kept}; without poisoned images nobody can say whether the "
                                     "backdoor is gone.")
    if attack.value > HARMLESS_ATTACK:
        works = f"{name} the attack still works on {percent(attack.value)} of poisoned images"
        if attack.value > 0.5:
            return Assessment("failed", f"{works}: this GoodNet does not repair the model.")
        return Assessment("weakened", f"{works} and {kept}: weakened, not repaired.")
    gone = f"{name} the attack works on {percent(attack.value)} of poisoned images"
    if loss > BEARABLE_LOSS_POINTS:
        return Assessment("costly", f"{gone}, but {kept}: the repair costs more than it is worth.")
    bound = percent(attack.interval[1])
    return Assessment("repaired", f"{gone} and {kept}: repaired, as far as these {attack.total} images tell "
                                  f"(up to {bound} at 95 % confidence).")


def percent(fraction: float) -> str:
    """A fraction as per cent for people, two decimals at most."""
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + " %"
