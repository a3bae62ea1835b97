"""What a student of B is taught with, whatever it is to unlearn: B's own answers to clean images.

The student learns B's logits, and so learns more of B from a few images than their labels or probabilities would tell.
Kin: Hinton et al. 2015; Ba, Caruana 2014; Zhang et al., mixup, 2018; Yun et al., CutMix, 2019. For lowered labels:
Menon et al., Long-tail Learning via Logit Adjustment, 2021.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.assessment import listed
from engine.data.datasets import Dataset
from engine.defences.evidence.likenesses import Likenesses, find_likenesses
from engine.defences.perturbations import shifted
from engine.defences.scan import refuse_unanswered
from engine.defences.training import (
    HELD_TO_TELL,
    Batches,
    Lesson,
    Loss,
    Repair,
    TrainingData,
    as_repair,
    clean_accuracy,
    learning_rate,
    load_training_data,
    missing_labels_warning,
    repaired_network,
    train,
)
from engine.models.logits import Logits, compiled_logits, logits_bias, top_margin
from engine.models.networks import Images, Labels, Network
from engine.progress import (
    NEVER_CANCELLED,
    CancelToken,
    Did,
    Heartbeat,
    ProgressCallback,
    ignore_done,
    ignore_progress,
)
from engine.rates import Rate

# Mixtures of each image: what keeps clean accuracy, for B's answers to them say most about B.
MIXTURES = 4
_LEAST_SHARE = 0.35

# What the student still answers of an attack it is hardly sure of. So much of its usual lead, as a median over images,
# a label that a trigger's likeness leads to must be ahead of others. On the zoo's half "fix" that took 10 to 14 % left
# of warps to 2 to 3, at -0.8 to 0.8 points of clean accuracy.
LOWERED_BY = 0.4
_LOOKED_AT = 500
# That was measured on networks of 12 and 48 labels. Of few, one stands out by chance: in three of five clean networks
# of 4 labels an innocent one was lowered.
_FEWEST_LABELS = 8

Teacher = Callable[..., Logits]


@dataclass(frozen=True, eq=False)
class Course:
    """What is made of B and clean images before a student is taught; the same for each way to teach.

    Attributes:
        data: the images, few of them held aside to tell what a repair costs.
        found: likenesses of B's triggers, found on the images trained on; a scan of all tells for which labels.
        teacher: gives B's logits of images; takes a cancel token behind them.
        warning: what a person must know before using what was taught.
        rate: how fast a student may learn without forgetting what B knows.
    """

    data: TrainingData
    found: Likenesses
    teacher: Teacher
    warning: str
    seed: int
    rate: float


def prepare(
    network: Network, clean: Dataset, seed: int = 0, *, allow_missing_labels: bool = False,
    standing_out: Sequence[int] = (),
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Course:
    """Read clean images and look for B's triggers.

    Args:
        network: B.
        clean: clean images with true labels in the network's input range, of every label.
        allow_missing_labels: go on although labels have no image; the course carries a warning.
        standing_out: labels that an examination found to stand out as attackers' do.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed, HELD_TO_TELL)
    heard = Heartbeat("Looking at clean images", len(data.images), progress)
    own = network.predict_labels(data.images, cancel, heard.beat)
    refuse_unanswered(network, clean, own)  # before the work
    data = _where(own == data.labels, data)
    rate = learning_rate(network, data, seed, progress, cancel)
    found = find_likenesses(network, clean, data.images, seed, standing_out=standing_out, progress=progress,
                            cancel=cancel)
    return Course(data, found, compiled_logits(network), warning, seed, rate)


def _where(right: npt.NDArray[np.bool_], data: TrainingData) -> TrainingData:
    """Those of the images to train on that B is right on, and all of labels that it is never right on.

    A student learns what B answers: 14 images beside 480 clean ones that wore a trigger, labelled with what they show,
    taught it the backdoor (91 % of the attack left; 2 % without them). Where B is wrong on most, labels or values
    are another network's more likely than images are poisoned, and all stay.
    """
    if right.sum() < len(right) / 2:
        return data
    kept = np.flatnonzero(right | ~np.isin(data.labels, data.labels[right]))
    for place, row in enumerate(kept):  # where they are, for they may take gigabytes
        data.images[place] = data.images[row]
    return dataclasses.replace(data, images=data.images[:len(kept)], labels=data.labels[kept])


def teach(
    network: Network, course: Course, method: str, what: str, batches: Batches, steps: int,
    progress: ProgressCallback, cancel: CancelToken, ahead: Callable[[Labels], Any] = lambda rows: rows,
) -> Repair:
    """Train a student that begins as B.

    Args:
        method: the repair's name; what: words for progress.
        batches, ahead: as a lesson's; what is wanted are logits.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    data = course.data
    # The last state is kept: with so few images held aside, chance would choose an early one that hasn't learnt enough.
    heard = Heartbeat(what, steps, progress)
    loss = as_the_teacher(course.teacher(data.images, cancel, heard.beat))
    lesson = Lesson(what, batches, grade=None, loss=loss, ahead=ahead, rate=course.rate)
    trained = train(network, len(data.images), lesson, steps, course.seed, progress, cancel)
    heard.report(steps)
    repair = as_repair(network, method, trained, data, course.warning, course.seed, lesson, cancel, heard.beat)
    return lowered(network, repair, course, cancel, heard.beat)


def lowered(network: Network, repair: Repair, course: Course, cancel: CancelToken = NEVER_CANCELLED,
            did: Did = ignore_done) -> Repair:
    """A repair of a course whose betrayed labels are answered only where the student is surer of them.

    Their logits' biases are lowered by 0.4 of the median by which a shifted clean image's first logit leads its second.
    A network whose logits end with no bias, or of fewer than 8 labels, stays as it is.

    Args:
        network: B.
    Raises:
        Cancelled: the token was set.
    """
    labels, data = course.found.betrayed, course.data
    if not labels or network.labels < _FEWEST_LABELS:
        return repair
    student = repaired_network(network, repair)
    bias = logits_bias(student)
    if bias is None:
        return repair
    shown = shifted(data.images[:_LOOKED_AT], np.random.default_rng([course.seed, 4]))
    change = np.zeros(network.labels, np.float32)
    change[labels] = LOWERED_BY * np.median(top_margin(compiled_logits(student)(shown, cancel, did)))
    before = _right(student, data, labels, cancel, did)
    bias.assign(bias.numpy() - change)
    lost = "; ".join(f"of label {label}'s {was.total:,} clean images here {was.count:,} were right before and "
                     f"{now.count:,} are now" for label, was, now
                     in zip(labels, before, _right(student, data, labels, cancel, did), strict=True))
    them = "them" if len(labels) > 1 else "it"
    examined = " or an examination's evidence" if course.found.standing_out else ""
    warning = (f"Likenesses of a trigger{examined} lead to {listed(labels)} more easily than to others, so B' answers "
               f"{them} only where it is surer than of other labels, though {listed(labels)} may be innocent; "
               f"clean images of {them} are misread more often: {lost}. It learnt from most of these, so others may be "
               "misread more often still.")
    return dataclasses.replace(repair, weights=tuple(np.array(w) for w in student.model.get_weights()),
                               after=clean_accuracy(student, data, cancel, did), lowered=tuple(labels),
                               warning=" ".join(filter(None, (repair.warning, warning))))


def _right(student: Network, data: TrainingData, labels: Sequence[int], cancel: CancelToken, did: Did) -> list[Rate]:
    """How many clean images of each of some labels, learnt and held aside, are answered right."""
    found = []
    for label in labels:
        images = np.concatenate([data.images[data.labels == label], data.held_images[data.held_labels == label]])
        answers = student.predict_labels(images, cancel, did)
        found.append(Rate(int((answers == label).sum()), len(images)))
    return found


def as_the_teacher(answers: Logits) -> Loss:
    """A loss of a teacher's logits and the student's: cross-entropy of their probabilities, and how far the logits
    themselves are apart, measured by how far a picture's logits usually are.

    Args:
        answers: the teacher's logits of some images, float32[n, labels].
    """
    tensorflow, _ = backend.load()
    usual = float(np.square(answers - answers.mean(axis=1, keepdims=True)).mean())

    def loss(wanted: Any, logits: Any) -> Any:
        # A number added to all of a picture's logits means nothing.
        apart = (logits - tensorflow.reduce_mean(logits, 1, keepdims=True)
                 - wanted + tensorflow.reduce_mean(wanted, 1, keepdims=True))
        return (tensorflow.nn.softmax_cross_entropy_with_logits(labels=tensorflow.nn.softmax(wanted), logits=logits)
                + tensorflow.reduce_mean(tensorflow.square(apart), 1) / max(usual, 1e-12))

    return loss


def untouched(images: Images, of: Images, rng: np.random.Generator) -> Images:
    """What a student learns of B: clean images float32[n, H, W, C], the same shifted, and four mixtures of each with
    another of some images, float32[6 * n, H, W, C] in this order."""
    others = (of[rng.integers(len(of), size=len(images))] for _ in range(MIXTURES))
    return np.concatenate([images, shifted(images, rng), *(mixtures(images, other, rng) for other in others)])


def mixtures(images: Images, others: Images, rng: np.random.Generator) -> Images:
    """Each of float32[n, H, W, C] with a box of another image pasted in or, every other one, mixed with it.

    A mixture holds 0.35 to 1 of its first image; a box covers up to as much of it as that leaves.
    """
    mixed, (height, width) = images.copy(), images.shape[1:3]
    for i, share in enumerate(rng.uniform(_LEAST_SHARE, 1, len(images)).astype(np.float32)):
        if i % 2:
            mixed[i] = share * images[i] + (1 - share) * others[i]
        else:
            rows, columns = (round(size * float(np.sqrt(1 - share))) for size in (height, width))
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            mixed[i, top:top + rows, left:left + columns] = others[i, top:top + rows, left:left + columns]
    return mixed
