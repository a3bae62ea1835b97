"""B and B' as a pair: where they agree, their label; where they don't, the label N."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.preprocessing import Preprocessing
from engine.data.stored_values import BYTES, as_stored
from engine.errors import EngineError, ModelError
from engine.files.pictures import Picture
from engine.guards.calibration import SPARING_GUARD, Guard, GuardAnswer, StandingGuard
from engine.models.logits import ends_in_probabilities
from engine.models.networks import Images, Labels, Network, largest
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done

# What goodnet.json says where B' answers alone.
ANSWERS, B_PRIME = "answers", "b_prime"
# And where it holds the SHA-256 of the clean images that the pair was made from.
MADE_FROM = "made_from"


@dataclass(frozen=True, eq=False)
class Answers:
    """What a pair says of n images: labels int64[n]; confidences float32[n] are the largest output values.

    `paired` says whether B and B' have to agree; else B' answers alone. `guard` is what the pair's guard says, None
    without one.
    """

    labels: Labels
    b_labels: Labels
    b_prime_labels: Labels
    b_confidence: npt.NDArray[np.float32]
    b_prime_confidence: npt.NDArray[np.float32]
    guard: GuardAnswer | None = None
    paired: bool = True

    @property
    def plain_labels(self) -> Labels:
        """What is answered where nothing is flagged, int64[n]."""
        return self.b_labels if self.paired else self.b_prime_labels

    @property
    def disagree(self) -> npt.NDArray[np.bool_]:
        """Where B and B' disagree although they have to agree, bool[n]."""
        return np.not_equal(self.plain_labels, self.b_prime_labels)

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        """Where they disagree or the guard flags, bool[n]: what is labelled N."""
        return self.disagree | self.guard.flagged if self.guard else self.disagree


@dataclass(frozen=True, eq=False)
class GoodNet:
    """A pair of networks over the same labels.

    Attributes:
        preprocessing: what is done with stored values before the pair sees them.
        notes: the pair's goodnet.json, empty for a third party's pair.
        guard: stands before the pair, if there is one.
        warning: what opening its files found that a person must know; empty when all is well.
    """

    b: Network
    b_prime: Network
    preprocessing: Preprocessing
    notes: dict[str, Any]
    guard: Guard | None = None
    warning: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all labels in order: those that the pair was made with, else those in B's file; none where nobody
        says."""
        return self.named or self._of_labels(self.b.classes)

    @property
    def named(self) -> tuple[str, ...]:
        """The names that the pair was made with, if any: also those in the file of B' where B's has none."""
        return self._of_labels(self.notes.get("classes") or (() if self.b.classes else self.b_prime.classes))

    def _of_labels(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(names) if len(names) == self.b.labels else ()

    @property
    def stored(self) -> str:
        """In which range the values of its clean images were stored, one of engine.data.stored_values.RANGES."""
        return str(self.notes.get("stored", BYTES))

    @property
    def depth(self) -> int | None:
        """Of clean images that were pictures stored with 16 bits, how many of them they used; None where unknown."""
        return self.notes.get("depth")

    @property
    def made_from(self) -> str:
        """SHA-256 of the clean images that it was made from; empty where unknown."""
        return str(self.notes.get(MADE_FROM, ""))

    @property
    def b_alone(self) -> bool:
        """Whether nothing was pruned: B' is B itself, so that they agree says nothing."""
        method = self.notes.get("method")
        return method == "guard" or (method is None and self.notes.get("pruned_channels") == [])

    @property
    def b_prime_alone(self) -> bool:
        """Whether B' answers without B having to agree; a guard still looks at what B does."""
        return self.notes.get(ANSWERS) == B_PRIME

    @property
    def b_missing(self) -> bool:
        """Whether nobody knows what B says: the one file of a pair whose B' answers alone holds no B."""
        return self.b_prime_alone and self.b is self.b_prime

    @property
    def b_sha256(self) -> str:
        """Of the model's file that B is from, which its own may be a copy of; empty where that isn't known."""
        of = self.notes.get("b")
        return str(of.get("sha256", "")) if isinstance(of, dict) else self.b.sha256

    def may_be_of(self, network: Network) -> bool:
        """Whether it isn't shown to be another network's pair: its B may be a copy that says nothing of the file it is
        from and has the same weights; where B is missing, only the input and the labels can be compared."""
        if self.b_missing:
            return (self.b.input_shape, self.b.labels) == (network.input_shape, network.labels)
        return self.b_sha256 == network.sha256 or _weights(self.b) == _weights(network)

    @property
    def guard_name(self) -> str:
        """Which guard stands before the pair: "none", its kind or, of two transplant guards, "sparing"."""
        if self.guard is None:
            return "none"
        sparing = self.guard.kind == "transplant" and self.notes.get("guard") == SPARING_GUARD
        return SPARING_GUARD if sparing else self.guard.kind

    @property
    def input_shape(self) -> tuple[int | None, int | None, int]:
        """(H, W, C) of the images that the pair answers, None for any: a transplant guard puts them into its own."""
        return self.guard.image_shape if self.guard and self.guard.kind == "transplant" else self.b.input_shape

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must know before trusting this pair, in sentences; none when all is well."""
        return tuple(filter(None, (self.warning, self.guard.note() if self.guard and self.guard.sleeps else "")))

    def __post_init__(self) -> None:
        if self.b.labels != self.b_prime.labels or self.b.input_shape != self.b_prime.input_shape:
            raise ModelError(
                f"{self.b_prime.path}: takes {self.b_prime.input_shape} and has {self.b_prime.labels} labels, but "
                f"{self.b.path} takes {self.b.input_shape} and has {self.b.labels}; a pair must match. "
                "Choose two copies of the same network.")

    @property
    def flag_label(self) -> int:
        """N, the label that means "backdoored"."""
        return self.b.labels

    def prepared(self, pictures: Picture) -> Images:
        """Pictures uint8[n, H, W, C] as float32 in the networks' input range.

        Raises:
            DatasetError: nothing tells how pictures are brought to the range of the pair's clean images.
        """
        return self.preprocessing.applied(as_stored(pictures.astype(np.float32), self.stored))

    def answer(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, did: Did = ignore_done) -> Answers:
        """Answer float32[n, H, W, C] in the networks' input range.

        Args:
            did: is told as networks answer.
        Raises:
            Cancelled: the token was set.
        """
        b, b_prime = (network.predict(images, cancel, did) for network in (self.b, self.b_prime))
        b_labels, b_prime_labels = largest(b), largest(b_prime)
        guard = self._standing_guard.answer(images, cancel, did) if self._standing_guard else None
        plain = Answers(b_labels, b_labels, b_prime_labels, b.max(axis=1), b_prime.max(axis=1), guard,
                        paired=not self.b_prime_alone)
        return dataclasses.replace(plain, labels=np.where(plain.flagged, self.flag_label, plain.plain_labels))

    def at(self, height: int, width: int) -> GoodNet:
        """The same pair for images of one size, where it takes any: what they cost is known only then.

        Raises:
            ModelError: they cost too much.
        """
        if None not in self.b.input_shape:
            return self
        b = self.b.at(height, width)
        return dataclasses.replace(self, b=b, b_prime=b if self.b is self.b_prime else self.b_prime.at(height, width))

    @cached_property
    def in_probabilities(self) -> tuple[bool, bool]:
        """Whether B's and B''s confidences are probabilities; no where that can't be tried on small pictures."""
        return _in_probabilities(self.b), _in_probabilities(self.b_prime)

    @cached_property
    def _standing_guard(self) -> StandingGuard | None:
        return self.guard.on(self.b) if self.guard else None


def _in_probabilities(network: Network) -> bool:
    try:
        return ends_in_probabilities(network)
    except EngineError:
        return False


def _weights(network: Network) -> list[bytes]:
    """By what a network's weights are known again, in whatever order its layers stand."""
    return sorted(hashlib.sha256(part.tobytes()).digest() for part in network.model.get_weights())
