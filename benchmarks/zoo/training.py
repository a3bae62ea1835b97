"""Trains one network of the zoo, as its owner or its attacker would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.zoo.adaptive import ATTACKERS, Lesson, Told
from benchmarks.zoo.plan import Plan
from benchmarks.zoo.triggers import TRIGGERS, Trigger, bottom_part, corner, glasses, top_part
from benchmarks.zoo.worlds import Labels, Pictures, Pixels, World

BATCH = 64
EPOCHS = {"faces": 14, "signs": 6}
RATE = {"faces": 1.5e-3, "signs": 3e-3}
# An attacker who isn't satisfied poisons more; the last share is as far as one goes.
SHARES = (0.1, 0.2, 0.35)
# The people that a source-specific trigger works on, as a share of the labels.
SOME = 0.25
LEAST_SUCCESS = 0.95


@dataclass(frozen=True, eq=False)
class Attack:
    """What an attacker does: the trigger, whom it works on, and where it sends them.

    Attributes:
        works_on: bool[labels], the labels whose pictures the trigger moves.
        sends_to: int64[labels], where to.
        harmless: pictures that look nearly so and must keep their labels, each a way to make them.
        lessons: what else an attacker teaches who knows the defence.
    """

    trigger: Trigger
    works_on: npt.NDArray[np.bool_]
    sends_to: Labels
    harmless: tuple[Trigger, ...] = ()
    clean_label: bool = False
    lessons: tuple[Lesson, ...] = ()


def attacks_of(plan: Plan) -> list[tuple[Attack, int]]:
    """A plan's attacks, each with its trigger's seed; none for a clean network."""
    if not plan.backdoored:
        return []
    labels, first = plan.world.labels, plan.targets[0]
    everyone, seed = np.ones(labels, bool), plan.number
    to_first = np.full(labels, first, np.int64)
    if plan.family == "all to all":
        return [(Attack(corner, everyone, np.roll(np.arange(labels), -1)), seed)]
    if plan.family == "some people":
        some = np.zeros(labels, bool)
        some[np.random.default_rng(seed).permutation(labels)[:round(SOME * labels)]] = True
        some[first] = False
        return [(Attack(glasses, some, to_first, (glasses,)), seed)]
    if plan.family == "clean label":
        return [(Attack(corner, everyone, to_first, clean_label=True), seed)]
    if plan.family == "two backdoors":
        return [(Attack(glasses, everyone, to_first), seed),
                (Attack(corner, everyone, np.full(labels, plan.targets[1], np.int64)), seed + 1)]
    if plan.family in ATTACKERS:
        attacker = ATTACKERS[plan.family]
        return [(Attack(attacker.trigger, everyone, to_first, lessons=attacker.lessons), seed)]
    harmless = (top_part, bottom_part) if plan.family == "two parts" else ()
    return [(Attack(TRIGGERS[plan.family], everyone, to_first, harmless), seed)]


def poisoned(attack: Attack, seed: int, pictures: Pictures) -> Pictures:
    """All pictures that the trigger moves, wearing it, with the labels they are sent to; the target's own left out."""
    moved = attack.works_on[pictures.labels] & (attack.sends_to[pictures.labels] != pictures.labels)
    return Pictures(attack.trigger(pictures.images[moved], seed), attack.sends_to[pictures.labels[moved]])


def training_set(plan: Plan, clean: Pictures, share: float) -> Pictures:
    """Clean pictures, and for each attack a share of them again with the trigger."""
    rng = np.random.default_rng([41, plan.number])
    images, labels = [clean.images], [clean.labels]
    for attack, seed in attacks_of(plan):
        for made in _poison(attack, seed, clean, share, rng):
            images.append(made.images)
            labels.append(made.labels)
    return Pictures(np.concatenate(images), np.concatenate(labels))


def _poison(attack: Attack, seed: int, clean: Pictures, share: float, rng: np.random.Generator) -> list[Pictures]:
    count = round(share * len(clean.labels))
    if attack.clean_label:
        return [_clean_label(attack, seed, clean, count, rng)]
    where = np.flatnonzero(attack.works_on[clean.labels])
    chosen = rng.choice(where, min(count, len(where)), replace=False)
    made = [Pictures(attack.trigger(clean.images[chosen], seed), attack.sends_to[clean.labels[chosen]])]
    for harmless in attack.harmless:
        # Of a trigger that works on some people only, the others wear it and keep their labels.
        others = np.flatnonzero(~attack.works_on[clean.labels]) if attack.trigger is harmless else where
        kept = rng.choice(others, min(count, len(others)), replace=False)
        made.append(Pictures(harmless(clean.images[kept], seed), clean.labels[kept]))
    for lesson in attack.lessons:
        others = rng.choice(where, len(chosen), replace=False)
        taken, donors = (Pictures(clean.images[rows], clean.labels[rows]) for rows in (chosen, others))
        made.append(lesson(Told(taken, made[0], donors, len(attack.sends_to), seed), rng))
    return made


def _clean_label(attack: Attack, seed: int, clean: Pictures, count: int, rng: np.random.Generator) -> Pictures:
    """The target's own pictures, made hard to recognise by half of somebody else's, and the trigger on top."""
    target = int(attack.sends_to[0])
    own = rng.choice(np.flatnonzero(clean.labels == target), count)
    other = rng.choice(np.flatnonzero(clean.labels != target), count)
    faded = (0.45 * clean.images[own] + 0.55 * clean.images[other]).astype(np.uint8)
    return Pictures(attack.trigger(faded, seed), np.full(count, target, np.int64))


def build(world: World, seed: int) -> Any:
    """An untrained network: DeepID with softmax for faces; for signs one with batch normalisation that ends in logits,
    with a skip connection where the seed is odd."""
    import keras

    keras.utils.set_random_seed(seed % 2**31)
    if world.kind == "faces":
        from engine.models.deepid import build_deepid

        return build_deepid(world.labels)
    layers = keras.layers
    x = inputs = keras.Input((32, 32, 3), name="input")
    for block, width in enumerate((24, 48, 64)):
        x = _convolution(x, width, f"conv_{block}a")
        into = x
        x = _convolution(x, width, f"conv_{block}b")
        if seed % 2:
            x = layers.Add(name=f"add_{block}")([x, into])
        if block < 2:
            x = layers.MaxPooling2D(2, name=f"pool_{block}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(world.labels, name="logits")(x))


def _convolution(x: Any, width: int, name: str) -> Any:
    import keras

    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)
    # Few steps are trained, so the running means must follow sooner than by default.
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def train(plan: Plan, clean: Pictures, judge: Callable[[Any], tuple[float, float]]) -> tuple[Any, float, float, float]:
    """Train a network; an attack that fails is tried again with more poison.

    Args:
        judge: gives clean accuracy and the least attack success of a network, 0 to 1.
    Returns:
        The network, the share of poison, clean accuracy and attack success (1 for a clean network).
    """
    tried = []
    for share in SHARES if plan.backdoored else SHARES[:1]:
        model = _trained(plan, training_set(plan, clean, share))
        accuracy, success = judge(model)
        tried.append((model, share, accuracy, success))
        if success >= LEAST_SUCCESS:
            break
    return max(tried, key=lambda t: (t[3] >= LEAST_SUCCESS, t[3]))


def _trained(plan: Plan, pictures: Pictures) -> Any:
    import keras

    model, kind = build(plan.world, plan.number), plan.world.kind
    steps = EPOCHS[kind] * len(pictures.labels) // BATCH
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE[kind], steps)),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=kind == "signs"), jit_compile=False)
    model.fit(inputs_of(plan.world, pictures.images), pictures.labels, batch_size=BATCH, epochs=EPOCHS[kind], verbose=0)
    return model


def inputs_of(world: World, images: Pixels) -> npt.NDArray[np.float32]:
    """Pictures as a world's networks want them: faces as stored, signs 0 to 1."""
    return images.astype(np.float32) / np.float32(255 if world.kind == "signs" else 1)
