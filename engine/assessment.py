"""What a defence's figures mean, in plain words. The worst of all poisoned sets decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.rates import Rate

Level = Literal["repaired", "protected", "costly", "weakened", "failed", "unknown"]

# Lowest first: a network that was changed for the better and one that a guard stands before are worth the same.
RANK: dict[Level, int] = {"repaired": 0, "protected": 0, "costly": 1, "weakened": 2, "unknown": 3, "failed": 4}
LEVEL_WORDS: dict[Level, str] = {"repaired": "Repaired", "protected": "Protected", "costly": "Too costly",
                                 "weakened": "Weakened", "failed": "Not stopped", "unknown": "No verdict"}

# An attack that works on at most this share of images, and a loss of clean accuracy up to this many
# percentage points, are called a repair. Both are a matter of judgement, so they are said in the words.
HARMLESS_ATTACK = 0.05
BEARABLE_LOSS_POINTS = 5.0

# So many wrong answers, and more than half of all, lead to one label, of 4 labels or more: so it was on none of 40
# networks with clean images, and where 3 % of the images wear a trigger that works.
_MANY_ASTRAY, _FEWEST_LABELS = 10, 4
_MOST_NAMED = 4  # of labels that look exchanged

# Stands behind the name of a poisoned set whose trigger was computed from a network, wherever people read it.
RECONSTRUCTED_MARK = "(reconstructed)"
ESTIMATE = ("Attack success on a reconstructed trigger is an estimate: the attacker's own trigger isn't known, and it "
            "may work where this one is stopped")


@dataclass(frozen=True)
class Attack:
    """What one poisoned set says of a defence.

    Attributes:
        name: the set's; target: the label the attacker wants, None where each image has its own.
        before: how often B alone answers the target; success: how often it is answered with the defence.
        detection: the share labelled N.
        reconstructed: the trigger was computed from the network, not given by anybody who has seen it.
        robust: the share answered with the images' own labels, where those are known and were counted.
    """

    name: str
    target: int | None
    before: Rate
    success: Rate
    detection: Rate
    reconstructed: bool = False
    robust: Rate | None = None

    @property
    def title(self) -> str:
        """The set's name as people read it."""
        return titled(self.name, self.reconstructed)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a defence costs and what it stops.

    Attributes:
        clean: its clean accuracy; clean_before: that of B alone on the same images; false_alarms: labelled N of them.
        attacks: what each poisoned set says, in the order given.
    """

    clean: Rate
    clean_before: Rate
    false_alarms: Rate
    attacks: tuple[Attack, ...]

    @property
    def points_lost(self) -> float:
        """What it costs in points of clean accuracy, free of the last digits that a difference of shares leaves."""
        return round(100 * (self.clean_before.value - self.clean.value), 9)

    @property
    def worst(self) -> Attack | None:
        """The set on which the attack works most, the first of equals; None without a poisoned set."""
        return max(self.attacks, key=lambda attack: attack.success.value, default=None)

    @property
    def attack(self) -> Rate | None:
        """The worst set's attack success rate."""
        return self.worst.success if self.worst else None

    @property
    def detection(self) -> Rate | None:
        """The worst set's detection rate."""
        return self.worst.detection if self.worst else None


@dataclass(frozen=True)
class Assessment:
    """A level for icons and filters, one sentence for people, and of that sentence what was counted."""

    level: Level
    sentence: str
    facts: str


def assess(
    name: str, figures: Figures, *, changed: bool = True, guarded: bool = False, plausible: bool = True,
) -> Assessment:
    """Judge a defence by what it costs and what it stops.

    Args:
        name: how the sentence begins, such as "At X = 10".
        changed: anything but B answers; guarded: a guard stands before it, so what succeeds is protected, not repaired.
        plausible: False where the input is such that nothing follows from it.
    """
    loss = figures.points_lost
    kept = f"clean accuracy is {percent(figures.clean.value)} (B alone: {percent(figures.clean_before.value)})"
    attack = figures.worst
    if attack is None:
        return _assessed("unknown", f"{name} {kept}", "; without poisoned images nobody can say whether the backdoor "
                                                      "is gone")
    worst = " (the worst set)" if len(figures.attacks) > 1 else ""
    named = worth_naming([one.reconstructed for one in figures.attacks])
    where = f"the images of {attack.title}{worst}" if named else "poisoned images"
    still = "still " if attack.success.value > HARMLESS_ATTACK else ""
    works = f"the attack {still}works on {percent(attack.success.value)} of {where}"
    if not plausible:
        return _assessed("unknown", f"{name} {works} and {kept}", ", but the input is implausible (see the warning), "
                                                                  "so that says little")
    if not shows_attack(figures.attacks):
        return _assessed("unknown", f"{name} {works} and {kept}", "; B alone answers the target as seldom, so these "
                                                                  "images don't show a backdoor")
    if attack.success.value > HARMLESS_ATTACK:
        if attack.success.value > 0.5:
            return _assessed("failed", f"{name} {works}", ": this GoodNet does not repair the model" if changed else
                             ": nothing stops it")
        return _assessed("weakened", f"{name} {works} and {kept}", ": weakened, not stopped")
    if loss > BEARABLE_LOSS_POINTS:
        return _assessed("costly", f"{name} {works}, but {kept}", ": that costs more than it is worth")
    level: Level = "protected" if guarded else "repaired"
    return _assessed(level, f"{name} {works} and {kept}", f": {level}, {as_far_as(figures.attacks)}")


def titled(name: str, reconstructed: bool) -> str:
    """A poisoned set's name as people read it: it says where the trigger is an estimate."""
    return f"{name} {RECONSTRUCTED_MARK}" if reconstructed else name


def worth_naming(reconstructed: Sequence[bool]) -> bool:
    """Whether figures must say which poisoned set they are of: one of several, or one whose trigger is an estimate.

    Args:
        reconstructed: of each poisoned set, whether it is.
    """
    return len(reconstructed) > 1 or any(reconstructed)


def with_target(name: str, target: int | None) -> str:
    """A poisoned set's name with its target, where it doesn't say it already."""
    told = "(a target for each image)" if target is None else f"(target {target})"
    return name if name.endswith(told) else f"{name} {told}"


def shows_attack(attacks: Sequence[Attack]) -> bool:
    """Whether B alone falls for any of the sets; if not, there is nothing that a defence could stop."""
    return any(attack.before.value > HARMLESS_ATTACK for attack in attacks)


def as_far_as(attacks: Sequence[Attack]) -> str:
    """How much a success rests on: the images that show an attack, and how high the true rate may be on them."""
    shown = [attack for attack in attacks if shows_attack([attack])]
    images, sets = sum(attack.success.total for attack in shown), len(shown)
    bound = max(attack.success.interval[1] for attack in shown)
    within = f" in {sets} sets" if sets > 1 else ""
    return f"as far as these {images:,} images{within} tell (up to {percent(bound)} at 95 % confidence)"


def drawn_to(wrong: Mapping[int, int], labels: int) -> int | None:
    """The label that most of the clean images lead to that B gets wrong: those that carry a trigger may be among them.

    Args:
        wrong: how many images of a set B answers with each label, wrongly; labels: how many B has.
    Returns:
        None where no label stands out.
    """
    label, count = max(wrong.items(), key=lambda one: one[1], default=(0, 0))
    enough = count >= _MANY_ASTRAY and count > sum(wrong.values()) / 2 and labels >= _FEWEST_LABELS
    return label if enough else None


def astray(name: str, answers: Mapping[tuple[int, int], int], labels: int, total: int) -> str:
    """Sentences on what B's wrong answers to clean images give away: labels that look exchanged, two or more in a ring,
    and of all others one that stands out; none where there is neither.

    Args:
        answers: how many images of a set B answers with the first label (-1: none) that have the second; labels: how
            many B has.
        total: how many images the set has, of which these may be some.
    """
    images = Counter[int]()
    for (_, own), count in answers.items():
        images[own] += count
    # No trigger does so: of each label most images are answered with another one's.
    mostly = {own: told for (told, own), count in answers.items() if told not in (own, -1) and 2 * count > images[own]}
    rings = [ring for ring in _rings(mostly) if sum(answers[mostly[own], own] for own in ring) >= _MANY_ASTRAY]
    exchanged = {(mostly[own], own) for ring in rings for own in ring}
    wrong = Counter[int]()
    for (told, own), count in answers.items():
        if told not in (own, -1) and (told, own) not in exchanged:
            wrong[told] += count
    said = [_exchanged_text(name, ring, mostly, answers, images) for ring in rings]
    label = drawn_to(wrong, labels)
    if label is not None:
        seen = sum(answers.values())
        some = f" among the {seen:,} of {total:,} looked at" if seen < total else ""
        all_wrong = f"{sum(wrong.values()):,} {'other ' if rings else ''}images"
        said.append(
            f"Of the {all_wrong} in {name} that B gets wrong{some} it answers {wrong[label]:,} with label "
            f"{label}: images that carry a trigger look so, labelled with what they show. Look at them (misread lists "
            "them, the File menu shows them) and take out what isn't clean. A guard is set without those that it sees.")
    return " ".join(said)


def _rings(following: Mapping[int, int]) -> list[list[int]]:
    """Labels that lead back to where they began, the lowest of each ring first."""
    rings = []
    for first in sorted(following):
        ring = [first]
        while (after := following.get(ring[-1], -1)) > first and after not in ring:
            ring.append(after)
        rings += [ring] if after == first else []
    return rings


def _exchanged_text(name: str, ring: Sequence[int], mostly: Mapping[int, int], answers: Mapping[tuple[int, int], int],
                    images: Mapping[int, int]) -> str:
    of_each = [f"{answers[mostly[own], own]:,} of the {images[own]:,}{' images' * (own == ring[0])} of label {own}"
               + f" in {name}" * (own == ring[0]) + f" with label {mostly[own]}" for own in ring[:_MOST_NAMED]]
    more = ", and so on" if len(ring) > _MOST_NAMED else ""
    look = "two look swapped" if len(ring) == 2 else f"{len(ring)} look exchanged in a ring"
    return (f"B answers {', '.join(of_each[:-1])} and {of_each[-1]}{more}: these {look}. Check the order of the class "
            "list, or the labels.")


def overflow_text(called: str, broken: int, tried: int, name: str) -> str:
    """That a network answers some images with values that aren't finite, two sentences.

    Args:
        called: what the network is called; broken: so many; tried: of so many that it was asked about.
        name: where these are from.
    """
    return (f"{called} answers {broken:,} of {tried:,} images tried in {name} with values that aren't numbers (NaN or "
            "infinite): these have no label, whatever is counted of them. Check how values are fed, and that the "
            "network's file is undamaged.")


def percent(fraction: float) -> str:
    """A fraction as per cent for people, two decimals at most."""
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + " %"


def enumerated(words: Iterable[str]) -> str:
    """One word or more for a sentence: "a", "a and b", "a, b and c"."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def listed(labels: Sequence[int]) -> str:
    """Labels for a sentence: "label 2", "labels 2 and 6", "labels 2, 6 and 8"."""
    return f"label{'s' * (len(labels) > 1)} {enumerated(map(str, labels))}"


def _assessed(level: Level, facts: str, judgement: str) -> Assessment:
    return Assessment(level, f"{facts}{judgement}.", f"{facts}.")
