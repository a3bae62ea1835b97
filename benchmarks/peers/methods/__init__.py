"""Eight defences from the literature, one file each, behind the interface that plug-ins have."""

from __future__ import annotations

from benchmarks.peers.methods.anp import ANP
from benchmarks.peers.methods.clp import CLP
from benchmarks.peers.methods.fine_tuning import FINE_TUNING
from benchmarks.peers.methods.ft_sam import FT_SAM
from benchmarks.peers.methods.i_bau import I_BAU
from benchmarks.peers.methods.nad import NAD
from benchmarks.peers.methods.neural_cleanse import NEURAL_CLEANSE
from benchmarks.peers.methods.strip import STRIP
from engine.defences.further import Further

METHODS: tuple[Further, ...] = (FINE_TUNING, NAD, FT_SAM, ANP, I_BAU, NEURAL_CLEANSE, CLP, STRIP)
