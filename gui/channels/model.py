"""The table of a channel ranking, sorted by number rather than by text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from gui.tables.model import Bar, Block, Column, FigureModel

if TYPE_CHECKING:
    from engine.pruning.ranking import ChannelRanking

RANK, CHANNEL, MEAN, STATE = range(4)


@dataclass(frozen=True)
class Ranked:
    """A channel: its place from 1, its number, its mean activation (NaN if it wasn't measured) and that as a bar."""

    rank: int
    channel: int
    mean: float
    bar: Bar | None

    @property
    def sortable_mean(self) -> float:
        """The mean; one that wasn't measured comes before all others."""
        return self.mean if math.isfinite(self.mean) else -math.inf


COLUMNS: tuple[Column[Ranked], ...] = (
    Column("Rank", "The place in the pruning order: the channel with rank 1 is switched off first.",
           lambda row: (Block(str(row.rank)),), key=lambda row: row.rank),
    Column("Channel", "The channel's number in the layer, from 0.",
           lambda row: (Block(str(row.channel)),), key=lambda row: row.channel),
    Column("Mean\nactivation",
           "How strongly the channel answers to clean images, averaged over all images and positions.",
           lambda row: (Block(mean_text(row.mean), bar=row.bar),), key=lambda row: row.sortable_mean),
    Column("State", "Dead: the channel is silent on every clean image, so pruning it costs nothing, and a backdoor may "
           "hide in it. Alive: clean images use it.",
           lambda row: (_state(row.mean),), left=True, key=lambda row: row.sortable_mean),
)


class RankingModel(FigureModel[Ranked]):
    """A row for each channel in pruning order."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, parent)

    def show_ranking(self, ranking: ChannelRanking | None) -> None:
        """Take a ranking, or none."""
        if ranking is None:
            self.show_rows(())
            return
        means = ranking.mean_activation.tolist()
        known = [mean for mean in means if math.isfinite(mean)]
        low, high = min([0.0, *known]), max([0.0, *known])
        self.show_rows([Ranked(rank, channel, means[channel], _bar(means[channel], low, high))
                        for rank, channel in enumerate(ranking.order.tolist(), start=1)])


def mean_text(mean: float) -> str:
    """A mean activation for people; a dash when it wasn't measured."""
    return f"{mean:.4g}" if math.isfinite(mean) else "–"


def state_of(mean: float) -> str:
    """Whether clean images use a channel."""
    if not math.isfinite(mean):
        return "not measured"
    return "dead" if mean == 0 else "alive"


def _state(mean: float) -> Block:
    return Block(state_of(mean), dot=None if not math.isfinite(mean) else "crossed" if mean == 0 else "full")


def _bar(mean: float, low: float, high: float) -> Bar | None:
    """From 0 to the mean on a scale from the lowest to the highest mean."""
    if not math.isfinite(mean) or high == low:
        return None
    start, end = sorted((value - low) / (high - low) for value in (0.0, mean))
    return Bar(start, end, "clean")
