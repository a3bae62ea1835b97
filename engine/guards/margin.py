"""The margin guard's arithmetic: a trigger makes the network surer than any clean image does.

Kin: Wang, Xiang, Miller, Kesidis, MM-BD: Post-Training Detection of Backdoor Attacks, 2023.
"""

from __future__ import annotations

import math

import numpy as np

from engine.guards.transplant import CutScores
from engine.models.logits import compiled_logits, top_margin
from engine.models.networks import Images, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ignore_done


class MarginScores:
    """Scores images on one network, in one forward pass."""

    def __init__(self, network: Network) -> None:
        self._logits = compiled_logits(network)

    def scores(self, images: Images, cancel: CancelToken = NEVER_CANCELLED, above: float = -math.inf,
               did: Did = ignore_done) -> CutScores:
        """Largest minus second-largest logit of float32[n, H, W, C]; nothing is cut, so the cut is -1.

        Args:
            above: is for scores that cost more; these are all exact.
            did: is told how many images were answered.
        Raises:
            Cancelled: the token was set.
        """
        score = top_margin(self._logits(images, cancel, did))
        return CutScores(score, np.full(len(score), -1, np.int64))
