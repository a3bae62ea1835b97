"""Training a copy of B further on clean images: what all repairs have in common.

Own loop, no Keras `fit`: it is cancelled between steps, repeats to the bit from its seed, and layers that behave
differently in training (dropout, batch normalisation) stay as they are when the network answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.data.datasets import Dataset
from engine.errors import DatasetError
from engine.models.logits import logits_function
from engine.models.networks import Images, Labels, Network
from engine.models.prunable.channels import channel_weights
from engine.parallel import read_ahead
from engine.progress import CancelToken, Did, Heartbeat, ProgressCallback, ignore_done
from engine.rates import Rate

Weights = tuple[npt.NDArray[np.float32], ...]
# Given what a lesson made ahead of a batch's rows int64[b] among n training images, or these, what to learn: images
# float32[m, H, W, C] and what is wanted for them, float32[m, labels]: probabilities, or what else the loss takes.
Batch = Callable[[Any], tuple[Images, npt.NDArray[np.float32]]]
# Given the network that will be trained and what is told of parts done, what makes batches.
Batches = Callable[[Network, Did], Batch]
# Tensors float32[m, labels] twice, what is wanted and a network's logits, to losses float32[m].
Loss = Callable[[Any, Any], Any]

STEPS = 330
# Of a large network fewer are learnt at a step: that teaches more than as many images in fewer steps.
BATCH, FEWER = 34, 11
# The first is the recipes'; deep networks need a lower one: 18 steps at it made a ResNet-18 forget all its labels.
# After so many a network must keep so much of what it gets right.
RATES = (1e-3, 3e-4, 1e-4, 3e-5)
_TRIAL_STEPS, _KEPT, _LOOKED_AT = 18, 0.6, 200
# A state is looked at every so many steps; fine-tuning ends when so many looks in a row found nothing better.
LOOK_EVERY = 30
PATIENCE = 5

# Of the clean images so many are held aside where they choose the state to keep; and where they only tell what a
# repair costs, for each one more to train on counts.
HELD_TO_CHOOSE, HELD_TO_TELL = 0.2, 0.05
_MOST_HELD_ASIDE = 500
# Images that are trained on, and where those of all labels take more.
_MOST_BYTES, _MOST_FOR_LABELS = 512 << 20, 2 << 30


@dataclass(frozen=True, eq=False)
class Repair:
    """A trained B' as plain values; `repaired_network` makes it a network.

    Attributes:
        method: "distillation", "unlearning" or "fine-pruning".
        weights: of all layers, as Keras orders them.
        steps: steps trained; kept_step: the step whose state was kept.
        before, after: clean accuracy of B and of B' on the images held aside.
        pruned: channels of `layer` that stay zero (fine-pruning), else none.
        warning: what a person must know before using it; empty when all is well.
        seed: the run repeats from it.
        lowered: labels that B' answers only where it is surer of them than of others.
    """

    method: str
    weights: Weights
    steps: int
    kept_step: int
    before: Rate
    after: Rate
    layer: str
    pruned: tuple[int, ...]
    warning: str
    seed: int
    lowered: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Clean images in memory, in the network's input range, with their true labels."""

    images: Images
    labels: Labels
    held_images: Images
    held_labels: Labels


@dataclass(frozen=True, eq=False)
class Lesson:
    """What to train on.

    Attributes:
        what: words for progress.
        batches: makes what makes its batches.
        grade: of the network as it is now: how good it is on images held aside, higher is better; where there is none,
            the last state is kept.
        pruned: channels of `layer` that are put back to zero after every step.
        loss: of what is wanted and the logits; cross-entropy where there is none.
        ahead: what can be made of a batch's rows without the network, by another thread while the last batch is learnt.
        rate: of learning, at the first step.
    """

    what: str
    batches: Batches
    grade: Callable[[Network], int] | None
    layer: str = ""
    pruned: tuple[int, ...] = ()
    loss: Loss | None = None
    ahead: Callable[[Labels], Any] = lambda rows: rows
    rate: float = RATES[0]


@dataclass(frozen=True, eq=False)
class Trained:
    """The best state of a training and when it was reached."""

    weights: Weights
    steps: int
    kept_step: int


def repaired_network(network: Network, repair: Repair) -> Network:
    """B': a copy of B with a repair's weights.

    Args:
        network: the B that the repair was made from.
    """
    copy = network.pruned(repair.layer, repair.pruned) if repair.layer and repair.pruned else network.copy()
    copy.model.set_weights(list(repair.weights))
    return copy


def missing_labels_warning(network: Network, clean: Dataset, allow: bool) -> str:
    """Refuse to train where labels have no image, or say what that costs.

    Returns:
        The warning; empty when every label has an image.
    Raises:
        DatasetError: a label has no image and that isn't allowed.
    """
    missing = network.labels - len(np.unique(clean.labels))
    if not missing:
        return ""
    found = f"{missing:,} of {network.labels:,} labels have no image in {clean.path.name}"
    if not allow:
        raise DatasetError(f"{clean.path}: {found}. The network would forget those labels in training, so it is "
                           "refused. Add images of all labels, or allow missing labels.")
    return f"{found}; expect the trained network to have forgotten those labels."


def load_training_data(clean: Dataset, seed: int, held_share: float = HELD_TO_CHOOSE) -> TrainingData:
    """Read clean images and hold a share of them (at most 500) aside; every label keeps an image to train on.

    Of sets larger than half a gigabyte a part is read, images of every label first and a quarter as many more.

    Raises:
        DatasetError: every label has one image only, so none can be held aside, or those of all labels are too large.
    """
    order = np.random.default_rng(seed).permutation(len(clean)).astype(np.int64)
    _, first = np.unique(clean.labels[order], return_index=True)
    is_first = np.zeros(len(order), bool)
    is_first[first] = True
    size, least = int(np.prod(clean.image_shape)) * 4, len(first) * 5 // 4
    if least * size > _MOST_FOR_LABELS:
        raise DatasetError(f"{clean.path}: one image of each of its {len(first):,} labels and some to hold aside take "
                           f"{least * size / 1e9:.1f} GB of memory; training holds at most "
                           f"{_MOST_FOR_LABELS / 1e9:.1f}. A guard or pruning needs no training.")
    order = np.concatenate([order[is_first], order[~is_first]])[:max(2, least, _MOST_BYTES // size)]
    spare = len(order) - len(first)
    held = min(int(len(order) * held_share) or 1, _MOST_HELD_ASIDE, spare)
    if held < 1:
        raise DatasetError(f"{clean.path}: has one image a label only; training holds some aside to stop in time. "
                           "Add images.")
    training, aside = order[:-held], order[-held:]
    return TrainingData(clean.take(training.tolist()), clean.labels[training],
                        clean.take(aside.tolist()), clean.labels[aside])


def train(
    network: Network, images: int, lesson: Lesson, steps: int, seed: int,
    progress: ProgressCallback, cancel: CancelToken,
) -> Trained:
    """Train a copy of a network with Adam, its rate falling along a cosine, batches of 34; of a large one 11.

    Args:
        images: how many training images there are.
    Returns:
        The state that was graded best, the last of equals.
    Raises:
        Cancelled: the token was set; nothing is kept and `network` is as it was.
    """
    student, heard = _learner(network), Heartbeat(lesson.what, steps, progress)
    step_on, batch = _step_function(student, lesson, steps, cancel), lesson.batches(student, heard.beat)
    best: tuple[int, Trained] | None = None
    looks_since, rows = 0, _rows_of_steps(network, images, steps, seed)
    for step, made in enumerate(read_ahead(map(lesson.ahead, rows)), start=1):
        step_on(*batch(made), heard.beat)
        heard.report(step)
        if step == steps or (lesson.grade and step % LOOK_EVERY == 0):
            grade = lesson.grade(student) if lesson.grade else 0
            looks_since = 0 if best is None or grade > best[0] else looks_since + 1
            if best is None or grade >= best[0]:
                best = grade, Trained(tuple(np.array(w) for w in student.model.get_weights()), step, step)
            if looks_since >= PATIENCE:
                break
    assert best is not None
    return Trained(best[1].weights, step, best[1].kept_step)


def learning_rate(
    network: Network, data: TrainingData, seed: int, progress: ProgressCallback, cancel: CancelToken,
) -> float:
    """The fastest of a few rates of learning at which a network keeps what it knows.

    At each, a copy learns the labels of half of the images for 18 steps. Of the other half, up to 200 are looked at: of
    those that the network is right on the copy must be right on three in five. Where no rate does, the slowest.

    Raises:
        Cancelled: the token was set.
    """
    half = len(data.images) // 2
    images, truth = data.images[half:half + _LOOKED_AT], data.labels[half:half + _LOOKED_AT]
    heard = Heartbeat("Trying how fast it may learn", len(RATES) * _TRIAL_STEPS, progress)
    known, taught = network.predict_labels(images, cancel, heard.beat) == truth, labelled_batches(network, data)
    for tried, rate in enumerate(RATES):
        student = _learner(network)
        step_on = _step_function(student, Lesson("", lambda *_: taught, None, rate=rate), None, cancel)
        for step, rows in enumerate(_rows_of_steps(network, half, _TRIAL_STEPS, seed), start=1):
            step_on(*taught(rows), heard.beat)
            heard.report(tried * _TRIAL_STEPS + step)
        if (student.predict_labels(images, cancel, heard.beat) == truth)[known].sum() >= _KEPT * known.sum():
            return rate
    return RATES[-1]


def labelled_batches(network: Network, data: TrainingData) -> Batch:
    """Makes batches of images as they are, with their true labels."""
    def batch(rows: Labels) -> tuple[Images, npt.NDArray[np.float32]]:
        wanted = np.zeros((len(rows), network.labels), np.float32)
        wanted[np.arange(len(rows)), data.labels[rows]] = 1
        return data.images[rows], wanted

    return batch


def _rows_of_steps(network: Network, images: int, steps: int, seed: int) -> Iterator[Labels]:
    """Which images each step learns, int64[34], of a large network 11; none comes again before all have come."""
    rng, rows, size = np.random.default_rng(seed), list[int](), min(images, FEWER if network.is_large else BATCH)
    for _ in range(steps):
        while len(rows) < size:
            rows += rng.permutation(images).tolist()
        yield np.array(rows[:size], np.int64)
        rows = rows[size:]


def clean_accuracy(network: Network, data: TrainingData, cancel: CancelToken, did: Did = ignore_done) -> Rate:
    """On the images held aside.

    Raises:
        Cancelled: the token was set.
    """
    right = network.predict_labels(data.held_images, cancel, did) == data.held_labels
    return Rate(int(right.sum()), len(right))


def as_repair(
    network: Network, method: str, trained: Trained, data: TrainingData, warning: str, seed: int, lesson: Lesson,
    cancel: CancelToken, did: Did = ignore_done,
) -> Repair:
    """A training's best state as a result, with clean accuracy before and after on the images held aside.

    Raises:
        Cancelled: the token was set.
    """
    before = clean_accuracy(network, data, cancel, did)
    made = Repair(method, trained.weights, trained.steps, trained.kept_step, before, before, lesson.layer,
                  lesson.pruned, warning, seed)
    return dataclasses.replace(made, after=clean_accuracy(repaired_network(network, made), data, cancel, did))


def _learner(network: Network) -> Network:
    """A copy all weights of which learn, whatever its maker froze; but for masks that keep channels out."""
    student = network.copy()
    student.model.trainable = True  # and all layers in it
    for call in student.calls:
        weights = call.layer.get_weights() if type(call.layer).__name__ == "DepthwiseConv2D" else []
        if len(weights) == 1 and np.isin(weights[0], (0, 1)).all():
            call.layer.trainable = False
    return student


def _step_function(
    student: Network, lesson: Lesson, steps: int | None, cancel: CancelToken,
) -> Callable[[Images, npt.NDArray[np.float32], Did], None]:
    """One step of training: images and what is wanted for them in, the student's weights changed; of so many, over
    which the rate falls, or without an end, of which all are at the lesson's rate.

    Gradients of a batch are summed over parts that the network computes at once, so that memory is one part's; layers
    answer as they do in use, so parts don't change what is learnt.
    """
    tensorflow, keras = backend.load()
    # On a CPU this repeats to the bit by itself; on a GPU only so.
    tensorflow.config.experimental.enable_op_determinism()
    logits, loss = logits_function(student), lesson.loss or tensorflow.nn.softmax_cross_entropy_with_logits
    variables = student.model.trainable_variables
    falling = keras.optimizers.schedules.CosineDecay(lesson.rate, steps) if steps else lesson.rate
    optimizer = keras.optimizers.Adam(falling)
    optimizer.build(variables)
    kept = _masks(student, lesson.layer, lesson.pruned)
    signature = [tensorflow.TensorSpec((None, *student.input_shape), "float32"),
                 tensorflow.TensorSpec((None, student.labels), "float32"), tensorflow.TensorSpec((), "float32")]

    @tensorflow.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def gradients(images: Any, wanted: Any, count: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            tape.watch([v.value for v in variables])
            mean = tensorflow.reduce_sum(loss(wanted, logits(images))) / count
        return [tensorflow.convert_to_tensor(s) for s in tape.gradient(
            mean, [v.value for v in variables], unconnected_gradients="zero")]

    @tensorflow.function(autograph=False)  # type: ignore[untyped-decorator]
    def change(found: Any) -> None:
        optimizer.apply([tensorflow.add_n(same) for same in zip(*found, strict=True)], variables)
        for variable, mask in kept:
            variable.assign(variable.value * mask)

    def step_on(images: Images, wanted: npt.NDArray[np.float32], did: Did) -> None:
        found = []
        for start in range(0, len(images), student.batch):
            cancel.raise_if_cancelled()
            part = slice(start, start + student.batch)
            found.append(gradients(images[part], wanted[part], np.float32(len(images))))
            did(len(images[part]))
        change(found)

    return step_on


def _masks(student: Network, layer: str, pruned: Sequence[int]) -> list[tuple[Any, npt.NDArray[np.float32]]]:
    """The layer's variables, each with a mask that is 0 at pruned channels and 1 elsewhere."""
    if not pruned:
        return []
    found = []
    for variable in channel_weights(student.call_of(layer).layer):
        mask = np.ones(variable.shape, np.float32)
        mask[..., list(pruned)] = 0
        found.append((variable, mask))
    return found
