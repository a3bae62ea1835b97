"""The tab of the GoodNets, and saving those that a person selected."""

from __future__ import annotations

import dataclasses
from functools import partial

from engine.pruning.thresholds import DropMode, Stop
from gui.frame.desk import Desk, Wing
from gui.frame.saves import save_rows
from gui.goodnets.view import GoodNetsView
from gui.widgets.turns import in_turns


def goodnets_wing(desk: Desk) -> Wing[GoodNetsView]:
    """The GoodNets that answer the thresholds."""
    view, session, pruning = GoodNetsView(desk.theme), desk.session, desk.pruning

    def show_options() -> None:
        view.show_drops(session.options.drops, session.options.drop_mode, session.options.stop)

    def edit(drops: tuple[float, ...], mode: DropMode, stop: Stop) -> None:
        session.set_options(dataclasses.replace(session.options, drops=drops, drop_mode=mode, stop=stop))

    session.options_changed.connect(show_options)
    session.state_changed.connect(lambda state: view.set_busy(state.busy))
    # In a turn of its own, because at the end of a run all else changes, too.
    pruning.rows_changed.connect(lambda *rows: in_turns(view, partial(view.show_rows, *rows)))
    pruning.headline_changed.connect(view.show_headline)
    desk.defending.comparison_changed.connect(lambda _: pruning.show_headline())
    view.drops_edited.connect(edit)
    view.row_selected.connect(pruning.step_pointed_at)
    view.save_requested.connect(partial(save_rows, desk))
    view.use_requested.connect(desk.checking.use_row)
    desk.menus.add("save", "Save s&elected GoodNets…", lambda: save_rows(desk, view.selected_rows() or view.all_rows()),
                   "Ctrl+Shift+E", enabled=lambda: session.has_idle_result)
    show_options()
    return Wing("GoodNets", view)
