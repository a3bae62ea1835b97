"""What a network computes before its final softmax, where differences still tell when probabilities are all 1 or 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.models.architecture import BOTH_LABELS, LABEL_0
from engine.models.networks import Call, Images, Labels, Network, explained, in_batches
from engine.models.vocabulary import ending_of
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done

Logits = npt.NDArray[np.float32]  # [n, labels]

# What turns logits into probabilities, last of all.
_PROBABILITIES = ("softmax", "sigmoid")
# The smallest positive normal float32: the logarithm of a probability that was rounded to 0.
_TINY = float(np.finfo(np.float32).tiny)


def logits_function(network: Network) -> Callable[[Any], Any]:
    """The network as a function from an image tensor to its logits, over the network's own weights.

    A final softmax or sigmoid, in a Dense layer or as a layer by itself, is left out; of a single sigmoid, which counts
    as two labels, what it is given is label 1's and 0 is label 0's. Of other networks whose outputs are probabilities
    the logarithm is taken; all other outputs are logits already.

    Returns:
        A differentiable function of tensors, float32[n, H, W, C] to float32[n, labels].
    """
    tensorflow, _ = backend.load()
    last = _maker(network, network.output)
    one = _single_sigmoid(network, last) if last else None
    of_one = _below_ending(network, one) if one else None
    if of_one:
        def of_both(images: Any) -> Any:
            logit = of_one(images)
            return tensorflow.concat([tensorflow.zeros_like(logit), logit], axis=1)

        return of_both
    below = _below_ending(network, last) if last else None
    if below:
        return below
    whole = network.submodel([network.input], [network.output])
    if _gives_probabilities(network):
        return lambda images: tensorflow.math.log(tensorflow.maximum(whole(images, training=False), _TINY))
    return lambda images: whole(images, training=False)


def compiled_logits(network: Network) -> Callable[..., npt.NDArray[np.float32]]:
    """The network's logits for any number of images, float32[n, H, W, C] to float32[n, labels]; see logits_function.

    What is returned takes a cancel token behind the images, and raises Cancelled once that is set; and, behind that,
    what is told how many were answered; EngineError when TensorFlow can't compute it.
    """
    tensorflow, _ = backend.load()
    signature = [tensorflow.TensorSpec((None, *network.input_shape), "float32")]
    run = explained(tensorflow.function(logits_function(network), input_signature=signature, autograph=False),
                    network.model.name)

    def logits(images: Images, cancel: CancelToken = NEVER_CANCELLED,
               did: Did = ignore_done) -> npt.NDArray[np.float32]:
        if not len(images):
            return np.empty((0, network.labels), np.float32)
        return np.concatenate([answer.numpy() for answer in in_batches(run, images, network.batch, cancel, did)])

    return logits


def logits_bias(network: Network) -> Any | None:
    """The variable, float32[labels], that is added last to a network's logits; None where there is none.

    That of the Dense layer whose output, or the softmax or sigmoid of it, is the network's.
    """
    _, keras = backend.load()
    last = _maker(network, network.output)
    if last and type(last.layer).__name__ in ("Softmax", "Activation") and ending_of(last.layer) in _PROBABILITIES:
        last = _maker(network, last.inputs[0])
    dense = last is not None and type(last.layer) is keras.layers.Dense and last.layer.use_bias
    return last.layer.bias if last and dense and ending_of(last.layer) in (*_PROBABILITIES, "linear") else None


@np.errstate(invalid="ignore")  # where a network overflows there is none
def log_probability(logits: npt.NDArray[np.float32], labels: Labels) -> npt.NDArray[np.float64]:
    """The log-softmax of one label a row, exact where the probability rounds to 1.

    Args:
        logits: float32[n, N]; labels: int64[n].
    Returns:
        float64[n], at most 0: log p = -log(1 + sum over the other labels of exp(z_other - z_label)).
    """
    rows = np.arange(len(logits))
    others = logits.astype(np.float64)
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    highest = others.max(axis=1)
    rest = highest + np.log(np.exp(others - highest[:, np.newaxis]).sum(axis=1))
    result: npt.NDArray[np.float64] = -np.logaddexp(0, rest - own)
    return result


@np.errstate(invalid="ignore")  # where a network overflows there is no probability
def log_softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """The log-probability of every label, float64[n, N] of float32[n, N]."""
    values = logits.astype(np.float64)
    result: npt.NDArray[np.float64] = values - np.logaddexp.reduce(values, axis=1, keepdims=True)
    return result


def label_margins(answers: Any, labels: Any) -> Any:
    """How far each row's label is ahead of the best other one: tensors float32[n, N] and int64[n] to float32[n]."""
    tensorflow, _ = backend.load()
    own = tensorflow.one_hot(labels, tensorflow.shape(answers)[1], dtype=answers.dtype)
    others = tensorflow.reduce_max(answers - own * answers.dtype.max, axis=1)
    return tensorflow.reduce_sum(answers * own, axis=1) - others


def top_margin(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The largest of each row less the second largest, float64[n] of float32[n, N]."""
    two = np.partition(logits.astype(np.float64), -2, axis=1)[:, -2:]
    margins: npt.NDArray[np.float64] = two[:, 1] - two[:, 0]
    return margins


def _maker(network: Network, tensor: Any) -> Call | None:
    return next((call for call in network.calls if call.output is tensor), None)


def _single_sigmoid(network: Network, last: Call) -> Call | None:
    """What gives the probability of label 1 where two labels were made of it; None where they weren't."""
    _, keras = backend.load()
    joined = last.name == BOTH_LABELS and type(last.layer) is keras.layers.Concatenate and len(last.inputs) == 2
    other = _maker(network, last.inputs[0]) if joined else None
    made = other and other.name == LABEL_0 and type(other.layer) is keras.layers.Rescaling \
        and (other.layer.scale, other.layer.offset) == (-1.0, 1.0) and other.inputs[0] is last.inputs[1]
    return _maker(network, last.inputs[1]) if made else None


def _below_ending(network: Network, last: Call) -> Callable[[Any], Any] | None:
    """What a use of a layer would give without the softmax or sigmoid that it ends in; None where it has none."""
    tensorflow, keras = backend.load()
    layer: Any = last.layer
    if type(layer) is keras.layers.Dense and ending_of(layer) in _PROBABILITIES:
        below = network.submodel([network.input], last.inputs)

        def dense(images: Any) -> Any:
            product = tensorflow.matmul(below(images, training=False), layer.kernel)
            return product + layer.bias if layer.use_bias else product

        return dense
    if ending_of(layer) in _PROBABILITIES and not layer.weights:
        model = network.submodel([network.input], last.inputs)
        return lambda images: model(images, training=False)
    return None


def ends_in_probabilities(network: Network) -> bool:
    """Whether its outputs are probabilities: of one label each after a sigmoid, else of all together."""
    last = _maker(network, network.output)
    return (last is not None and ending_of(last.layer) in _PROBABILITIES) or _gives_probabilities(network)


def _gives_probabilities(network: Network) -> bool:
    """Whether the outputs for a grey ramp are none negative and sum to 1."""
    height, width, channels = network.input_shape
    shape = (height or 64, width or 64, channels)
    answer = network.predict(np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape))
    return bool((answer >= 0).all() and abs(float(answer.sum()) - 1) < 1e-4)
