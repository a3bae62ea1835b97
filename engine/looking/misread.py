"""Which clean images a network gets wrong: a person looks at them, and takes out those that aren't clean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.assessment import astray, overflow_text, percent
from engine.data.classes import called
from engine.data.datasets import Dataset, Labels
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress
from engine.rates import Rate


@dataclass(frozen=True, eq=False)
class Misread:
    """The images of a clean set that a network answers with another label than theirs.

    Attributes:
        name: the set's; wrong: how many of all its images they are.
        numbers: which images they are, int64[n], rising, counted from 0 as the set is stored.
        files: of a set of single picture files theirs, in the same order; else none.
        labels, answers: their own labels, and the network's, int64[n]; -1 where its answer isn't finite.
        doubt: what the answers give away, in sentences; empty where they don't.
        names: what all labels are called; none where nobody says.
    """

    name: str
    wrong: Rate
    numbers: Labels
    files: Sequence[Path]
    labels: Labels
    answers: Labels
    doubt: str
    names: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """How many there are, and where most of them lead."""
        said = f"B gets {self.wrong.count:,} of the {self.wrong.total:,} images in {self.name} wrong"
        label, count = next(iter(Counter(self.answers[self.answers >= 0].tolist()).most_common(1)), (0, 0))
        most = f", and answers {count:,} of them with label {called(label, self.names)}" if count > 1 else ""
        return f"{said} ({percent(self.wrong.value)}){most}."


def files_of(clean: Dataset, numbers: Sequence[int]) -> list[Path]:
    """The picture files of the images with these numbers; none where a set isn't one of single files."""
    return [clean.pictures[i] for i in numbers] if clean.pictures else []


def find_misread(
    network: Network, clean: Dataset, names: Sequence[str] = (), *, progress: ProgressCallback = ignore_progress,
    cancel: CancelToken = NEVER_CANCELLED,
) -> Misread:
    """Ask a network about every image of a clean set.

    Args:
        clean: in the network's input range, with true labels.
        names: what all labels are called; none where nobody says.
    Raises:
        DatasetError: the set can't be read.
        Cancelled: the token was set.
    """
    heard = Heartbeat(f"Looking at {clean.name}", len(clean), progress)
    answers = np.concatenate([network.predict_labels(chunk.images, cancel, heard.beat)
                              for chunk in clean.chunks(network.batch)])
    wrong = np.flatnonzero(answers != clean.labels).astype(np.int64)
    labels, told = clean.labels[wrong], answers[wrong]
    counts = Counter(zip(answers.tolist(), clean.labels.tolist(), strict=True))
    broken = int((told < 0).sum())
    doubt = [overflow_text("B", broken, len(clean), clean.name)] if broken else []
    doubt += filter(None, [astray(clean.name, counts, network.labels, len(clean))])
    return Misread(clean.name, Rate(len(wrong), len(clean)), wrong, files_of(clean, wrong.tolist()), labels, told,
                   " ".join(doubt), names)
