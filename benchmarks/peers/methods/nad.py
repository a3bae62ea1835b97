"""NAD: a fine-tuned copy of B teaches B where to look.

Source: Li, Lyu, Koren, Lyu, Li, Ma, Neural Attention Distillation, ICLR 2021, section 3: the teacher is B fine-tuned on
the clean images; the student, B, learns the labels and the teacher's attention maps, each the sum over channels of the
squared activations, scaled to norm 1, at the end of every group of layers. Their settings: SGD 0.1 (a tenth of it after
a tenth of the training), momentum 0.9 (Nesterov), decay 1e-4, beta 500 for the first map and 1,000 for the others,
times the mean squared difference. Departs: batches of 32 in place of 64, 10 epochs for the teacher and 30 for the
student; the maps are what pooling or flattening takes in, since our networks have no groups of residual blocks; the
rate by the rule in `student`; pictures as they are, where the authors' program crops, flips and cuts out.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.methods import fine_tuning
from benchmarks.peers.methods.student import Descent, Recipe, Step, Student, compiled_step, cross_entropy, trained
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.further import ALL_LABELS, Further
from engine.models.networks import Network

BETAS = (500.0, 1000.0)


def falls(done: float) -> float:
    """Whole for a tenth of the training, then a tenth."""
    return 1.0 if done < 0.1 else 0.1


TEACHER = Recipe(rate=0.1, epochs=10, falls=falls, decay=1e-4)
STUDENT = Recipe(rate=0.1, epochs=30, falls=falls, decay=1e-4)
_POOLS = ("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D")


def distilled(network: Network, clean: Dataset) -> Network:
    """B taught by a fine-tuned copy of itself."""
    teacher = Student(trained(network, clean, TEACHER, fine_tuning.lesson, nesterov=True))

    def lesson(student: Student, descent: Descent) -> Step:
        return lesson_by(teacher, student, descent)

    return trained(network, clean, STUDENT, lesson, nesterov=True)


def lesson_by(teacher: Student, student: Student, descent: Descent) -> Step:
    """One step on the labels and on the teacher's attention."""
    tensorflow, _ = backend.load()
    taught, learning = with_maps(teacher.model), with_maps(student.model)

    def step(images: Any, labels: Any) -> None:
        *wanted, _ = taught(images, training=False)
        with tensorflow.GradientTape() as tape:
            *maps, logits = learning(images, training=True)
            loss = cross_entropy(logits, labels)
            for number, (own, other) in enumerate(zip(maps, wanted, strict=True)):
                loss += BETAS[number > 0] * tensorflow.reduce_mean((attention(own) - attention(other)) ** 2)
        descent.apply(tape.gradient(loss, [v.value for v in student.variables]))

    return compiled_step(student, step)


def attention(features: Any) -> Any:
    """The attention map [n, H * W] of features [n, H, W, C], each of norm 1."""
    tensorflow, _ = backend.load()
    shown = tensorflow.reduce_sum(features**2, axis=-1)
    flat = tensorflow.reshape(shown, (-1, shown.shape[1] * shown.shape[2]))
    # As far from 0 as the paper's own code keeps it; the square root of 0 has no slope.
    return flat / (tensorflow.sqrt(tensorflow.reduce_sum(flat**2, axis=1, keepdims=True) + 1e-12) + 1e-6)


def with_maps(model: Any) -> Any:
    """A model over the same layers that gives what each pooling or flattening takes in, and the logits last."""
    _, keras = backend.load()
    pooled, maps = set(), {}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in _POOLS:
            pooled.add(id(layer.output))
        if kind in (*_POOLS, "Flatten") and id(layer.input) not in pooled and len(layer.input.shape) == 4:
            maps[id(layer.input)] = layer.input
    return keras.Model(model.inputs[0], [*maps.values(), model.outputs[0]])


NAD = Further("NAD", (ALL_LABELS,), distilled)
