"""The tab of the channels."""

from __future__ import annotations

from functools import partial

from engine.runs.prune import PruningRun
from gui.channels.view import ChannelsView
from gui.frame.desk import Desk, Wing
from gui.widgets.turns import in_turns


def channels_wing(desk: Desk) -> Wing[ChannelsView]:
    """The run's ranking, and what a channel sees."""
    view = ChannelsView(desk.theme)

    def show_run(run: PruningRun) -> None:
        # Two thousand rows, at the same time as all else that the end of a run changes.
        in_turns(view, partial(view.show_ranking, run.ranking))

    desk.session.run_changed.connect(show_run)
    desk.session.state_changed.connect(lambda state: view.set_busy(state.busy))
    desk.pruning.maps_found.connect(view.show_maps)
    view.channel_selected.connect(desk.pruning.find_maps)
    return Wing("Channels", view)
